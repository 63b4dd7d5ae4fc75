"""What a row is: a piece of work, the servers that do it, and what figures must come to against whom."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.generator import Load
from bench.servers import Server

BUSIEST = 0.8
"""A generator that uses more of its core than this may be what was measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run against one server."""

    load: Load
    cpu_s: float
    more: Mapping[str, float] = field(default_factory=dict)
    """What only this work has: by names."""
    distribution: tuple[float, ...] = ()
    """Seconds, one for each client, where their spread matters."""

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
    def done_per_cpu_s(self) -> float:
        """Requests, exchanges or machines for each second of the server's CPU time."""
        return self.load.complete / self.cpu_s if self.cpu_s else 0.0

    @property
    def share_complete(self) -> float:
        """Of all that were begun."""
        return self.load.complete / ((self.load.complete + self.load.failed) or 1)

    @property
    def cpu_us_per_block(self) -> float:
        """Microseconds of the server's CPU time for each block."""
        return self.cpu_s * 1e6 / self.load.blocks if self.load.blocks else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """For pxenet's figure by a peer's; for the figure itself where ``peer`` is empty. ``most``: at most, instead of at least. Without a
    limit it is told, and nothing is judged.
    """

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
class Place:
    """Where one row is run: the files to serve, and the load generator."""

    root: Path
    program: Path


class Work(Protocol):
    """Something that servers do and that is measured."""

    @property
    def servers(self) -> Sequence[Server]:
        """Who can do it; pxenet is the first."""

    def prepare(self, place: Place) -> None:
        """Makes what all rounds share. Raises LoadError."""

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """One run; ``work`` is an empty directory. Raises LoadError."""


@dataclass(frozen=True, slots=True)
class Row:
    """A piece of work and its targets."""

    name: str
    work: Work
    figures: tuple[Figure, ...]
    no_retransmits: bool = False
    """A client that had to ask again is a miss."""


def judge(target: Target, ratio: float) -> Verdict:
    """Whether the ratio is what it must be."""
    if target.most:
        return Verdict.PASS if ratio <= target.most else Verdict.MISS
    if not (target.least or target.goal):
        return Verdict.NONE
    if target.goal and ratio >= target.goal:
        return Verdict.GOAL
    return Verdict.PASS if ratio >= target.least else Verdict.MISS
