"""What a run of a fleet comes to: times in histograms of bounded size, counts, and the whole as a record for people and programs.

Knows numbers only; must not know machines, links or clocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

_STEP = math.log(1.02)
"""Each class of a histogram is 2 % wider than the one before: fine enough to compare runs by."""
_SHORTEST_S = 1e-6


class Histogram:
    """Durations by class: a few hundred numbers, however many millions go in."""

    __slots__ = ("_classes", "count", "longest_s", "total_s")

    def __init__(self) -> None:
        self._classes: dict[int, int] = {}
        self.count = 0
        self.total_s = 0.0
        self.longest_s = 0.0

    def add(self, duration_s: float) -> None:
        """One more. Durations below a microsecond count as one."""
        where = math.ceil(math.log(max(duration_s, _SHORTEST_S)) / _STEP)
        self._classes[where] = self._classes.get(where, 0) + 1
        self.count += 1
        self.total_s += duration_s
        self.longest_s = max(self.longest_s, duration_s)

    def quantile(self, share: float) -> float:
        """A duration that this share (0 to 1) of all does not exceed, at most 2 % too long; 0.0 when there are none."""
        left = math.ceil(share * self.count)
        for where in sorted(self._classes):
            left -= self._classes[where]
            if left <= 0:
                return min(math.exp(where * _STEP), self.longest_s)
        return 0.0

    def figures(self) -> Figures:
        """What is told of it."""
        mean = self.total_s / self.count if self.count else 0.0
        return Figures(self.count, mean, self.quantile(0.5), self.quantile(0.99), self.longest_s)


@dataclass(frozen=True, slots=True)
class Figures:
    """Durations in five numbers, in seconds."""

    count: int = 0
    mean_s: float = 0.0
    p50_s: float = 0.0
    p99_s: float = 0.0
    longest_s: float = 0.0


@dataclass(slots=True)
class Traffic:
    """Datagrams between machines and server, both ways. Over real sockets only the first four are known."""

    sent: int = 0
    received: int = 0
    unsent: int = 0
    """Refused by the kernel; to the peer they look lost."""
    overflowed: int = 0
    """Thrown away by the kernel because our own queue was full."""
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    too_large: int = 0
    """Larger than the path's MTU."""
    unclaimed: int = 0
    """Came for an address that no machine has (any more)."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a fleet."""

    machines: int
    seed: int
    mix: Mapping[str, int]
    """Firmware → how many machines have it."""
    power: str
    """How they were switched on."""
    elapsed_s: float
    """From the first power-on to the last end, in the run's own time."""
    ends: Mapping[str, int]
    """Final stage → machines that stand there; ``unfinished`` for those that had not come to an end."""
    failures: Mapping[str, int]
    """In the machines' own words → how many said so."""
    boots: int
    retries: int
    """Anything that a machine had to say again."""
    bytes_read: int
    given_twice: int
    """How often an address was acknowledged to a machine while another one held it."""
    given_twice_words: tuple[str, ...]
    """The first of them."""
    moved: int
    """How often a machine was given another address than before."""
    stages: Mapping[str, Figures]
    """How long machines stayed in each stage."""
    whole: Figures
    """From power-on to the end, of the machines that came to a good end."""
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def installed(self) -> int:
        """Machines that are installed."""
        return self.ends.get("installed", 0)

    @property
    def all_well(self) -> bool:
        """Every machine came to a good end, and none was given another's address."""
        good = self.installed + self.ends.get("local disk", 0)
        return good == self.machines and not self.given_twice

    def record(self) -> dict[str, object]:
        """For programs."""
        return asdict(self) | {"all_well": self.all_well}
