"""What is measured: a row for each piece of work, with what it must reach against whom."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.generator import Load

BUSIEST = 0.8
"""A generator that uses more of its core than this may be what was measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run against one server."""

    load: Load
    cpu_s: float

    @property
    def mb_per_cpu_s(self) -> float:
        """Megabytes for each second of the server's CPU time."""
        return self.load.bytes / 1e6 / self.cpu_s if self.cpu_s else 0.0

    @property
    def mb_per_s(self) -> float:
        """Megabytes a second on the clock."""
        return self.load.bytes / 1e6 / self.load.wall_s

    @property
    def blocks_per_s(self) -> float:
        """Blocks a second: for one client, the time from its ACK to the next DATA."""
        return self.load.blocks / self.load.wall_s

    @property
    def cpu_us_per_block(self) -> float:
        """Microseconds of the server's CPU time for each block."""
        return self.cpu_s * 1e6 / self.load.blocks if self.load.blocks else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """Of pxenet's figure to a peer's. ``most``: not more than so much, instead of at least."""

    peer: str
    least: float = 0.0
    most: float = 0.0
    goal: float = 0.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a row."""

    name: str
    of: Callable[[Sample], float]
    targets: tuple[Target, ...]


class Verdict(enum.Enum):
    """What a ratio says."""

    GOAL = "goal"
    PASS = "pass"
    MISS = "MISS"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A piece of work. ``options`` are the generator's."""

    name: str
    size: int
    """Bytes of the file."""
    options: Mapping[str, object]
    figures: tuple[Figure, ...]
    windows: bool = False
    """Only servers that know windowsize take part."""
    no_retransmits: bool = False
    """A client that had to ask again is a miss."""
    peers_options: Mapping[str, object] | None = None
    """Other work for the peers: where they are compared without windows."""


def judge(target: Target, ratio: float) -> Verdict:
    """Whether the ratio is what it must be."""
    if target.most:
        return Verdict.PASS if ratio <= target.most else Verdict.MISS
    if target.goal and ratio >= target.goal:
        return Verdict.GOAL
    return Verdict.PASS if ratio >= target.least else Verdict.MISS


_MB_CPU = "MB per CPU s"
_MB = "MB/s"

MIB = 1 << 20

ROWS: tuple[Row, ...] = (
    Row(
        "lock-step, 100 clients of 1 MiB",
        MIB,
        {"clients": 100, "blksize": 1428, "waves": 4},
        (Figure(_MB_CPU, lambda sample: sample.mb_per_cpu_s, (Target("dnsmasq", 1.05, goal=1.2),)),),
    ),
    Row(
        "lock-step, 1000 clients of 64 KiB at once",
        MIB // 16,
        {"clients": 1000, "blksize": 1428, "waves": 2},
        (
            Figure(
                _MB,
                lambda sample: sample.mb_per_s,
                (Target("dnsmasq", 2.5), Target("tftpd-hpa", 5.0), Target("atftpd", 5.0)),
            ),
        ),
        no_retransmits=True,
    ),
    *(
        Row(
            f"one client alone, blksize {blksize}",
            4 * MIB,
            {"clients": 1, "blksize": blksize, "waves": 6},
            (
                Figure("blocks/s", lambda sample: sample.blocks_per_s, (Target("dnsmasq", 1.0),)),
                Figure("CPU us/block", lambda sample: sample.cpu_us_per_block, (Target("dnsmasq", most=1.4),)),
            ),
        )
        for blksize in (512, 1428)
    ),
    Row(
        "windowsize 16, 100 clients of 1 MiB",
        MIB,
        {"clients": 100, "blksize": 1428, "windowsize": 16, "waves": 8},
        (Figure(_MB_CPU, lambda sample: sample.mb_per_cpu_s, (Target("atftpd", 3.5),)),),
        windows=True,
    ),
    Row(
        "windowsize 64, 10 clients of 32 MiB",
        32 * MIB,
        {"clients": 10, "blksize": 1428, "windowsize": 64, "waves": 3},
        (Figure(_MB_CPU, lambda sample: sample.mb_per_cpu_s, (Target("atftpd", 3.5),)),),
        windows=True,
    ),
    Row(
        "1 % lost each way, lock-step, 20 clients",
        MIB,
        {"clients": 20, "blksize": 1428, "loss": 0.01, "timeout": 3},
        (Figure(_MB, lambda sample: sample.mb_per_s, (Target("dnsmasq", 40),)),),
    ),
    Row(
        "1 % lost each way, windowsize 16, 20 clients",
        MIB,
        {"clients": 20, "blksize": 1428, "windowsize": 16, "loss": 0.01, "timeout": 3},
        (Figure(_MB, lambda sample: sample.mb_per_s, (Target("dnsmasq", 20),)),),
        peers_options={"clients": 20, "blksize": 1428, "loss": 0.01, "timeout": 3},
    ),
    Row("10 000 clients of 64 KiB at once", MIB // 16, {"clients": 10_000, "blksize": 1428, "tries": 100}, ()),
)
