"""Mapped contents: shared, forgotten with their files, and never beyond what the file has."""

from __future__ import annotations

import ctypes
import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pxenet.content.directory import Directory
from pxenet.content.tree import Tree, bytes_content
from pxenet.engine.surface import Stream
from pxenet.engine.tftp.blocks import ContentChanged
from pxenet.model import Asker, Content, Region
from pxenet.net.batched import BatchedUdpSocket
from pxenet.net.mapped import PAIR_SHIFT, Layout
from pxenet.net.udp import UdpSocket
from pxenet.server.maps import Maps, look_at


def content(base: Path, name: str = "file") -> Content:
    found = Tree([Directory(base)]).find(name, Asker(0))
    assert isinstance(found, Content)
    return found


@pytest.fixture
def udp() -> Iterator[BatchedUdpSocket]:
    one = BatchedUdpSocket(0, "127.0.0.1")
    yield one
    one.close()


def layout(maps: Maps, content: Content, udp: BatchedUdpSocket, blksize: int = 512) -> Layout | None:
    way = maps.way(Stream(b"", content, blksize), udp)
    assert way is maps.way(Stream(b"", content, blksize), udp)
    if way is None:
        return None
    assert way.udp is udp
    return way.layout


def payload(layout: Layout | None) -> int:
    """Where the payload of block 1 begins in memory."""
    assert layout is not None
    return ctypes.c_uint64.from_address(layout[0] + (1 << PAIR_SHIFT) + 16).value


def open_files(base: Path) -> int:
    """Descriptors of this process that lead below a directory."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            pass
    return sum(link.startswith(str(base)) for link in links)


def test_one_map_for_all(tmp_path: Path, udp: BatchedUdpSocket) -> None:
    """Contents of one open file lie in one map, regions of it where they begin; readers of one block size share the iovecs too."""
    (tmp_path / "file").write_bytes(bytes(10_000))
    maps, whole = Maps(), content(tmp_path)
    (region,) = whole.segments
    assert isinstance(region, Region)
    part = Content("part", (Region(region.file, 4096, 100),), 100, 0, '""')
    one = layout(maps, whole, udp)
    assert payload(one) == payload(layout(maps, whole, udp, 1428)) == payload(layout(maps, part, udp)) - 4096 > 0
    assert one is layout(maps, whole, udp) is not layout(maps, whole, udp, 1428)


def test_what_goes_the_plain_way(tmp_path: Path, udp: BatchedUdpSocket) -> None:
    """Texts, empty files, several pieces, and what cannot be mapped; and everything by a socket without batches."""
    (tmp_path / "empty").touch()
    (tmp_path / "file").write_bytes(b"x" * 100)
    maps = Maps()
    (region,) = content(tmp_path).segments
    pieces = Content("two", (region, b"tail"), 104, 0, '""')
    plain = (bytes_content("t", b"text"), content(tmp_path, "empty"), pieces)
    assert [None, None, None] == [layout(maps, one, udp) for one in plain]
    portable = UdpSocket(0, "127.0.0.1")
    assert maps.way(Stream(b"", content(tmp_path), 512), portable) is None
    portable.close()
    with socket.socket() as sock:

        class Unmappable:
            """A descriptor without a file behind it."""

            def fd(self) -> int:
                return sock.fileno()

        one = Unmappable()
        one.fd = sock.fileno()  # type: ignore[method-assign,assignment]
        assert layout(maps, Content("s", (Region(one, 0, 0),), 1, 0, '""'), udp) is None  # type: ignore[arg-type]


def test_a_file_that_became_shorter(tmp_path: Path, udp: BatchedUdpSocket) -> None:
    """It is told before a zero is sent that the file never had, also when it was mapped before."""
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    maps, whole = Maps(), content(tmp_path)
    assert layout(maps, whole, udp) is not None
    os.truncate(tmp_path / "file", 9_990)
    with pytest.raises(ContentChanged, match="file ended 10 octets before its size of 10000"):
        layout(maps, whole, udp)
    with pytest.raises(ContentChanged):
        look_at(whole)


def test_files_are_closed_when_they_are_forgotten(tmp_path: Path, udp: BatchedUdpSocket) -> None:
    """Two ages after the last transfer nothing holds the file, or its map."""
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    maps = Maps()
    whole: Content | None = content(tmp_path)
    assert whole is not None
    assert payload(layout(maps, whole, udp))
    del whole
    gc.collect()
    assert 1 == open_files(tmp_path)
    maps.age()
    maps.age()
    gc.collect()
    assert 0 == open_files(tmp_path)
    assert f"{tmp_path}/file" not in Path("/proc/self/maps").read_text()
