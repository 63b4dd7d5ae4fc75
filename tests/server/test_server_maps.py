"""Mapped contents: shared, forgotten with their files, and never beyond what the file has."""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path

import pytest

from pxenet.content.directory import Directory
from pxenet.content.tree import Tree, bytes_content
from pxenet.engine.tftp.blocks import ContentChanged
from pxenet.model import Asker, Content, Region
from pxenet.server.maps import Maps


def content(base: Path, name: str = "file") -> Content:
    found = Tree([Directory(base)]).find(name, Asker(0))
    assert isinstance(found, Content)
    return found


def open_files(base: Path) -> int:
    """Descriptors of this process that lead below a directory."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            pass
    return sum(link.startswith(str(base)) for link in links)


def test_one_map_for_all(tmp_path: Path) -> None:
    """Contents of one open file lie in one map, regions of it where they begin."""
    (tmp_path / "file").write_bytes(bytes(10_000))
    maps, whole = Maps(), content(tmp_path)
    (region,) = whole.segments
    assert isinstance(region, Region)
    part = Content("part", (Region(region.file, 4096, 100),), 100, 0, '""')
    assert maps.address(whole) == maps.address(whole) == maps.address(part) - 4096 > 0


def test_what_goes_the_plain_way(tmp_path: Path) -> None:
    """Texts, empty files, several pieces, and what cannot be mapped."""
    (tmp_path / "empty").touch()
    (tmp_path / "file").write_bytes(b"x" * 100)
    maps = Maps()
    (region,) = content(tmp_path).segments
    pieces = Content("two", (region, b"tail"), 104, 0, '""')
    assert [0, 0, 0] == [maps.address(one) for one in (bytes_content("t", b"text"), content(tmp_path, "empty"), pieces)]
    with socket.socket() as sock:

        class Unmappable:
            """A descriptor without a file behind it."""

            def fd(self) -> int:
                return sock.fileno()

        one = Unmappable()
        one.fd = sock.fileno()  # type: ignore[method-assign,assignment]
        assert 0 == maps.address(Content("s", (Region(one, 0, 0),), 1, 0, '""'))  # type: ignore[arg-type]


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    """It is told before a zero is sent that the file never had, also when it was mapped before."""
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    maps, whole = Maps(), content(tmp_path)
    assert maps.address(whole)
    os.truncate(tmp_path / "file", 9_990)
    with pytest.raises(ContentChanged, match="file ended 10 octets before its size of 10000"):
        maps.address(whole)


def test_files_are_closed_when_they_are_forgotten(tmp_path: Path) -> None:
    """Two ages after the last transfer nothing holds the file, or its map."""
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    maps = Maps()
    whole: Content | None = content(tmp_path)
    assert whole is not None
    maps.address(whole)
    del whole
    gc.collect()
    assert 1 == open_files(tmp_path)
    maps.age()
    maps.age()
    gc.collect()
    assert 0 == open_files(tmp_path)
    assert f"{tmp_path}/file" not in Path("/proc/self/maps").read_text()
