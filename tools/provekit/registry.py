"""Which proofs there are. A new one is a file in ``proofs`` with ``run(options) -> Result`` and a line in :data:`PROOFS`."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class CannotRunError(Exception):
    """Something that the proof needs is not here. The message names it, and what would bring it."""


@dataclass(slots=True)
class Result:
    """What a proof has found: figures for the table, and every fault in a sentence."""

    figures: list[tuple[str, object]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def figure(self, name: str, value: object) -> None:
        """One line of the table."""
        self.figures.append((name, value))


@dataclass(frozen=True, slots=True)
class Options:
    """How a proof is to be run."""

    seed: int
    count: int
    """How many of what the proof counts: kills, packets, machines."""
    short: bool
    directory: Path
    """Empty, for everything that it writes; gone afterwards unless kept."""
    say: Callable[[str], None]
    """Progress, a line at a time."""

    def chance(self, *salt: object) -> random.Random:
        """Random numbers of this seed, and of what they are for."""
        return random.Random(f"{self.seed} {salt}")


@dataclass(frozen=True, slots=True)
class Proof:
    """One line of the table of proofs."""

    name: str
    about: str
    counts: str
    """What ``--count`` counts."""
    full: int
    short: int

    def run(self, options: Options) -> Result:
        """Loads the proof's file and runs it."""
        module = importlib.import_module(f"provekit.proofs.{self.name}")
        result = module.run(options)
        assert isinstance(result, Result)
        return result


PROOFS = (
    Proof("kill", "kill -9 of the server in a lease storm: nothing acknowledged is lost", "kills", 200, 6),
    Proof("power", "power cuts under load: what was promised has been flushed before", "ACKs", 10_000, 1_500),
    Proof("disk", "full, failing and read-only disks under load: no ACK without its lease", "rounds", 5, 1),
    Proof(
        "garbage",
        "damaged packets through codecs and engines: nothing but counted drops",
        "packets each",
        10_000_000,
        120_000,
    ),
    Proof("storm", "simulated machines over real sockets, ten times as many in virtual time", "machines", 1000, 60),
    Proof("workers", "a storm over sockets, served by workers that are killed at random", "machines", 1000, 60),
    Proof(
        "cache",
        "a mirror behind the cache: one fetch for all, gone on with after kill -9, nothing damaged",
        "machines",
        100,
        12,
    ),
    Proof("faults", "machines under loss, duplication, reordering and corruption: all installed", "machines", 200, 40),
    Proof(
        "replay",
        "captured boots before a configuration: each comes to its end, and as fast as promised",
        "boots",
        1000,
        100,
    ),
    Proof("soak", "hours of renewals, reboots and reinstalls in virtual time: memory flat", "virtual hours", 24, 2),
)
