"""Files inside an ISO image, served in place, beside the same files of a directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from bench.generator import LoadError, clients
from bench.http import serves_http
from bench.process import Process
from bench.row import Figure, Place, Row, Sample, Target
from bench.run import LOAD_CORE, SERVER_CORE, wait_until
from bench.servers import ADDRESS, HTTP_PORT, PXENET, Server
from bench.tftp import MIB, serves_tftp

_TREEINFO = b"[general]\nfamily = Bench\nversion = 9\narch = x86_64\n[images-x86_64]\nkernel = FILE\ninitrd = FILE\n"
_IMAGE, _TREE = "image.iso", "tree"
_PATH = "profile/bench/FILE"


def _from(source: str, root: Path, work: Path) -> Sequence[Sequence[str]]:
    commands = PXENET.commands(root, work)
    profile = f'[[profile]]\nname = "bench"\nsource = "{root / source}"\n'
    with (work / "rack.toml").open("a") as config:
        config.write(profile)
    return commands


IMAGE = replace(
    PXENET, commands=lambda root, work: _from(_IMAGE, root, work), settings=f"{PXENET.settings}, from an ISO image"
)
PLAIN = replace(PXENET, name="plain files", commands=lambda root, work: _from(_TREE, root, work))


@dataclass(frozen=True, slots=True)
class _Sources:
    """A file of ``size`` bytes, read by clients of one protocol."""

    size: int
    protocol: str
    options: Mapping[str, object]

    @property
    def servers(self) -> Sequence[Server]:
        """The image, and the directory that it is compared with."""
        return [IMAGE, PLAIN]

    def prepare(self, place: Place) -> None:
        """The same two files in an image and in a directory, and a small one to see who is there."""
        try:
            import pycdlib  # only this row needs it
        except ImportError as error:
            raise LoadError("images are made by pycdlib: pip install pycdlib") from error
        files = {".treeinfo": _TREEINFO, "FILE": os.urandom(self.size)}
        image = pycdlib.PyCdlib()
        image.new(rock_ridge="1.09")
        (place.root / _TREE).mkdir()
        for name, data in files.items():
            (place.root / _TREE / name).write_bytes(data)
            short = f"/{name.strip('.').upper()[:8]}.;1"
            image.add_fp(BytesIO(data), len(data), short, rr_name=name)
        image.write(str(place.root / _IMAGE))
        image.close()
        (place.root / "small").write_bytes(b"ready?")

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """All clients of one run."""
        tftp = self.protocol == "tftp"
        asked = (
            {"server": ADDRESS, "name": _PATH} if tftp else {"server": f"{ADDRESS}:{HTTP_PORT}", "path": f"/{_PATH}"}
        )
        with Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
            # The index of an image is made while the server serves.
            wait_until(process, lambda: serves_tftp(place) and serves_http(f"/{_PATH}"))
            before_s = process.cpu_s()
            options = asked | {"expect": place.root / _TREE / "FILE", **self.options}
            load = clients(self.protocol, place.program, LOAD_CORE, options)
            return Sample(load, process.cpu_s() - before_s)


_LEAST = Target(PLAIN.name, least=0.95)

ROWS = tuple(
    Row(f"ISO image, {name}", _Sources(size, protocol, options), (Figure(figure, of, (_LEAST,)),))
    for name, size, protocol, options, figure, of in (
        (
            "HTTP 100 KB, 16 connections", 100_000, "http", {"connections": 16, "requests": 60_000},
            "per CPU s", lambda sample: sample.done_per_cpu_s,
        ),
        (
            "HTTP 100 MB, 8 connections", 100_000_000, "http", {"connections": 8, "requests": 80},
            "per CPU s", lambda sample: sample.done_per_cpu_s,
        ),
        (
            "TFTP lock-step, 100 clients", MIB, "tftp", {"clients": 100, "blksize": 1428},
            "MB per CPU s", lambda sample: sample.mb_per_cpu_s,
        ),
    )
)  # fmt: skip
