"""An ISO image served by the program in place: kernel over TFTP, packages over HTTP, ranges, and an image that is replaced below it."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from contextlib import closing
from pathlib import Path

import needs
import pytest
from programlab import Reader, free_ports, loopback_config, program

KERNEL = os.urandom(100_000)
TREEINFO = """[general]
family = Example
version = 9
arch = x86_64
[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
"""


def mastered(directory: Path, name: str, files: dict[str, bytes]) -> Path:
    root = directory / f"{name}.tree"
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    image = directory / name
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-r", "-o", str(image), str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return image


def tree(package: bytes) -> dict[str, bytes]:
    return {
        ".treeinfo": TREEINFO.encode(),
        "images/pxeboot/vmlinuz": KERNEL,
        "images/pxeboot/initrd.img": b"initrd",
        "Packages/a.rpm": package,
    }


def get(url: str, **headers: str) -> tuple[int, bytes, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as reply:
        return reply.status, reply.read(), reply.headers["ETag"]


@needs.tool("xorriso")
@pytest.mark.parametrize("workers", [1, 2], ids=["one process", "workers"])
def test_an_image_in_place(tmp_path: Path, workers: int) -> None:
    """Both protocols give its files; one that takes its place is served at once, by other tags; its index outlives the server."""
    ports = free_ports()
    image = mastered(tmp_path, "x.iso", tree(b"package 1"))
    config = tmp_path / "rack.toml"
    config.write_text(loopback_config(ports, f"workers = {workers}") + '[[profile]]\nname = "p"\nsource = "x.iso"\n')
    base = f"http://127.0.0.1:{ports['http']}/profile/p"
    with program(tmp_path, "--config", str(config)):
        with closing(Reader("127.0.0.1", ports["tftp"], "profile/p/images/pxeboot/vmlinuz")) as reader:
            assert KERNEL == reader.rest()
        status, data, tag = get(f"{base}/Packages/a.rpm")
        assert (200, b"package 1") == (status, data)
        assert (206, b"age") == get(f"{base}/Packages/a.rpm", Range="bytes=4-6")[:2]
        assert b"Packages/" in get(f"{base}/")[1]
        mastered(tmp_path, "y.iso", tree(b"package 2")).replace(image)
        status, data, other = get(f"{base}/Packages/a.rpm", **{"If-None-Match": tag})
        assert (200, b"package 2", True) == (status, data, tag != other)
    kept = list((tmp_path / "state/images").iterdir())
    with program(tmp_path, "--config", str(config)):
        assert b"package 2" == get(f"{base}/Packages/a.rpm")[1]
    assert kept == list((tmp_path / "state/images").iterdir())
    assert 1 == len(kept)
