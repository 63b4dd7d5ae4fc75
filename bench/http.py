"""HTTP over connections that are kept: small, middling and large files beside nginx."""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.generator import clients
from bench.process import Process
from bench.row import Figure, Place, Row, Sample, Target
from bench.run import LOAD_CORE, SERVER_CORE, wait_until
from bench.servers import ADDRESS, HTTP_PORT, NGINX, PXENET, Server


@dataclass(frozen=True, slots=True)
class _Requests:
    """A file of ``size`` bytes, again and again."""

    size: int
    options: Mapping[str, object]

    @property
    def servers(self) -> Sequence[Server]:
        """Both."""
        return [PXENET, NGINX]

    def prepare(self, place: Place) -> None:
        """The file."""
        (place.root / "file").write_bytes(os.urandom(self.size))

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """All requests of one run."""
        with Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
            wait_until(process, lambda: serves_http("/file"))
            before_s = process.cpu_s()
            at, file = f"{ADDRESS}:{HTTP_PORT}", place.root / "file"
            asked = {"server": at, "path": "/file", "expect": file, **self.options}
            load = clients("http", place.program, LOAD_CORE, asked)
            return Sample(load, process.cpu_s() - before_s)


def serves_http(path: str) -> bool:
    """The file is there."""
    connection = http.client.HTTPConnection(ADDRESS, HTTP_PORT, timeout=2)
    try:
        connection.request("HEAD", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


ROWS = tuple(
    Row(
        f"HTTP keep-alive, {name}, {options['connections']} connections",
        _Requests(size, options),
        (Figure("per CPU s", lambda sample: sample.done_per_cpu_s, (Target("nginx", least, goal=goal),)),),
    )
    for name, size, options, least, goal in (
        ("2 KB", 2_000, {"connections": 64, "requests": 200_000, "pause_us": 50}, 0.5, 0.6),
        ("100 KB", 100_000, {"connections": 16, "requests": 60_000}, 0.75, 0.9),
        ("100 MB", 100_000_000, {"connections": 8, "requests": 80}, 1.0, 1.1),
    )
)
