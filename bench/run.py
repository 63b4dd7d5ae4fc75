"""Runs rows: each server in turn, several rounds, so that a machine whose speed drifts is the same for all of them."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.generator import Load, LoadError, tftp
from bench.process import Process
from bench.rows import BUSIEST, Row, Sample, Verdict, judge
from bench.servers import ADDRESS, PXENET, Server

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
                if self.samples.get(target.peer) and self.samples.get(PXENET.name):
                    theirs = self.median(target.peer, figure.of)
                    ratio = self.median(PXENET.name, figure.of) / theirs if theirs else 0.0
                    found.append((figure.name, target.peer, ratio, judge(target, ratio)))
        return found

    @property
    def good(self) -> bool:
        """Nothing is missed, and nothing makes the figures doubtful."""
        return not self.faults and all(verdict is not Verdict.MISS for _, _, _, verdict in self.judged())


def measure(row: Row, servers: Sequence[Server], program: Path, rounds: int, tell: Callable[[str], None]) -> Measured:
    """All rounds of one row."""
    measured = Measured(row)
    taking_part = [each for each in servers if each.windows or not row.windows]
    with tempfile.TemporaryDirectory(prefix="pxenet-bench-") as directory:
        root = Path(directory) / "root"
        root.mkdir(mode=0o755)
        os.chmod(directory, 0o755)
        (root / "file").write_bytes(os.urandom(row.size))
        (root / "small").write_bytes(b"ready?")
        for number in range(rounds):
            for server in taking_part:
                work = Path(tempfile.mkdtemp(dir=directory))
                tell(f"{row.name}: {server.name}, round {number + 1} of {rounds}")
                try:
                    sample = _once(row, server, program, root, work)
                except LoadError as error:
                    measured.faults.append(f"{server.name}: {error}")
                    continue
                measured.samples.setdefault(server.name, []).append(sample)
    for fault in dict.fromkeys(_faults(measured)):
        measured.faults.append(fault)
    return measured


def _once(row: Row, server: Server, program: Path, root: Path, work: Path) -> Sample:
    options = row.options if server is PXENET or row.peers_options is None else row.peers_options
    with Process(server.command(root, work), SERVER_CORE, work / "output") as process:
        _wait_until_ready(process, program, root)
        before_s = process.cpu_s()
        load = tftp(program, LOAD_CORE, server=ADDRESS, name="file", expect=root / "file", **options)
        return Sample(load, process.cpu_s() - before_s)


def _wait_until_ready(process: Process, program: Path, root: Path) -> None:
    """It serves a small file. Raises LoadError with its last words."""
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and not process.ended:
        options = {"clients": 1, "tries": 1, "timeout": 0.1, "base": "127.80.0.1"}
        if tftp(program, LOAD_CORE, server=ADDRESS, name="small", expect=root / "small", **options).complete:
            return
        time.sleep(0.05)
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
                found.append(f"pxenet: {load.failed} transfers failed ({load.first_error})")
            if measured.row.no_retransmits and load.retransmits and server == PXENET.name:
                found.append(f"pxenet: {load.retransmits} requests repeated")
    return found


__all__ = ["Load", "Measured", "measure"]
