"""Two workers beside one process: both carry their share, and what they need to agree costs little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.generator import LoadError, clients
from bench.http import serves_http
from bench.process import Process
from bench.row import Figure, Place, Row, Sample, Target
from bench.run import LOAD_CORE, SERVER_CORE, wait_until
from bench.servers import ADDRESS, HTTP_PORT, PXENET, Server
from bench.tftp import MIB, serves_tftp

_WORKERS = 2


def _several(root: Path, work: Path) -> Sequence[Sequence[str]]:
    commands = PXENET.commands(root, work)
    config = work / "rack.toml"
    config.write_text(config.read_text().replace("[server]\n", f"[server]\nworkers = {_WORKERS}\n", 1))
    return commands


SEVERAL = replace(PXENET, commands=_several, settings=f"{PXENET.settings}, workers = {_WORKERS}")
ALONE = replace(PXENET, name="one process")


@dataclass(frozen=True, slots=True)
class _Shared:
    """A file of ``size`` bytes, read by clients of one protocol."""

    size: int
    protocol: str
    options: Mapping[str, object]

    @property
    def servers(self) -> Sequence[Server]:
        """The workers, and the process that they are compared with."""
        return [SEVERAL, ALONE]

    def prepare(self, place: Place) -> None:
        """The file, and a small one to see who is there."""
        (place.root / "file").write_bytes(os.urandom(self.size))
        (place.root / "small").write_bytes(b"ready?")

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """All clients of one run."""
        tftp = self.protocol == "tftp"
        asked = {"server": ADDRESS, "name": "file"} if tftp else {"server": f"{ADDRESS}:{HTTP_PORT}", "path": "/file"}
        with Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
            wait_until(process, lambda: serves_tftp(place) and serves_http("/small"))
            before_s = process.cpu_s()
            options = asked | {"expect": place.root / "file", **self.options}
            load = clients(self.protocol, place.program, LOAD_CORE, options)
            used_s = process.cpu_s() - before_s
            return Sample(load, used_s, {"least share": self._least_share(work) if server is SEVERAL else 1.0})

    def _least_share(self, work: Path) -> float:
        """Of what was read, what the worker gave that gave least."""
        command = [sys.executable, "-m", "pxenet", "status", "--json", "--config", str(work / "rack.toml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise LoadError(f"the server does not tell what it has done: {done.stderr.strip()}")
        name = "completed" if self.protocol == "tftp" else "bytes_sent"
        given = [worker[self.protocol][name] for worker in json.loads(done.stdout)["workers"]]
        return float(min(given) / (sum(given) or 1))


ROWS = tuple(
    Row(
        f"two workers, {name}",
        _Shared(size, protocol, options),
        (
            Figure("MB per CPU s", lambda sample: sample.mb_per_cpu_s, (Target("one process", 0.9),)),
            Figure("least share", lambda sample: sample.more["least share"], (Target("", 0.4),)),
        ),
    )
    for name, size, protocol, options in (
        ("TFTP in lock-step, 200 clients", MIB, "tftp", {"clients": 200, "blksize": 1428, "waves": 4}),
        (
            "TFTP in windows of 16, 200 clients",
            MIB,
            "tftp",
            {"clients": 200, "blksize": 1428, "windowsize": 16, "waves": 8},
        ),
        (
            "HTTP keep-alive, 2 KB, 120 connections",
            2_000,
            "http",
            {"connections": 120, "requests": 200_000, "pause_us": 50},
        ),
        ("HTTP keep-alive, 100 KB, 120 connections", 100_000, "http", {"connections": 120, "requests": 60_000}),
    )
)
