"""Runs rows: each server in turn, several rounds, so that a machine whose speed drifts is the same for all of them."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.generator import LoadError
from bench.process import Process
from bench.row import BUSIEST, Place, Row, Sample, Verdict, judge
from bench.servers import PXENET

SERVER_CORE, LOAD_CORE = 0, 1
_READY_S = 20.0


@dataclass(slots=True)
class Measured:
    """A row with everything that was seen, by the servers' names."""

    row: Row
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """Why this row says nothing, or is a miss whatever its ratios."""

    def median(self, server: str, figure: Callable[[Sample], float]) -> float:
        """Of all rounds."""
        return statistics.median(map(figure, self.samples[server]))

    def judged(self) -> list[tuple[str, str, float, Verdict]]:
        """(figure, peer, ratio, verdict) for each target whose peer took part."""
        found = []
        for figure in self.row.figures:
            for target in figure.targets:
                if not self.samples.get(PXENET.name) or (target.peer and not self.samples.get(target.peer)):
                    continue
                theirs = self.median(target.peer, figure.of) if target.peer else 1.0
                ratio = self.median(PXENET.name, figure.of) / theirs if theirs else 0.0
                found.append((figure.name, target.peer, ratio, judge(target, ratio)))
        return found

    @property
    def good(self) -> bool:
        """Nothing is missed, and nothing makes the figures doubtful."""
        return not self.faults and all(verdict is not Verdict.MISS for _, _, _, verdict in self.judged())


def measure(row: Row, program: Path, rounds: int, tell: Callable[[str], None]) -> Measured:
    """All rounds of one row, with those of its servers that are installed."""
    measured = Measured(row)
    servers = [each for each in row.work.servers if each.found()]
    with tempfile.TemporaryDirectory(prefix="pxenet-bench-") as directory:
        place = Place(Path(directory) / "root", program)
        place.root.mkdir(mode=0o755)
        os.chmod(directory, 0o755)
        try:
            row.work.prepare(place)
        except LoadError as error:
            measured.faults.append(str(error))
            return measured
        for number in range(rounds):
            for server in servers:
                work = Path(tempfile.mkdtemp(dir=directory))
                tell(f"{row.name}: {server.name}, round {number + 1} of {rounds}")
                try:
                    sample = row.work.once(server, place, work)
                except LoadError as error:
                    measured.faults.append(f"{server.name}: {error}")
                    continue
                measured.samples.setdefault(server.name, []).append(sample)
    for fault in dict.fromkeys(_faults(measured)):
        measured.faults.append(fault)
    return measured


def wait_until(process: Process, serves: Callable[[], bool], every_s: float = 0.05) -> None:
    """The server answers. Raises LoadError with its last words."""
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and not process.ended:
        if serves():
            return
        time.sleep(every_s)
    words = process.log.read_text("utf-8", "replace").strip().splitlines()[-3:]
    raise LoadError(f"it does not serve: {' '.join(words)}")


def _faults(measured: Measured) -> list[str]:
    """What makes the samples of pxenet a miss, and anybody's doubtful."""
    found = []
    for server, samples in measured.samples.items():
        for sample in samples:
            load = sample.load
            if load.busy > BUSIEST:
                found.append(f"{server}: the load generator used {load.busy:.0%} of its core: invalid")
            if load.failed and server == PXENET.name:
                found.append(f"pxenet: {load.failed} of the clients' requests failed ({load.first_error})")
            if measured.row.no_retransmits and load.retransmits and server == PXENET.name:
                found.append(f"pxenet: {load.retransmits} requests repeated")
    return found
