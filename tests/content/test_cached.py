"""The cache's shelf: bounded, the longest unused goes first, and never what is being read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pxenet.content.cached import Kept, NoRoomError, Shelf, digest_of


def put(shelf: Shelf, url: str, data: bytes, used_at: float) -> None:
    kept = Kept(url, len(data), '"v"', used_at=used_at)
    file = shelf.begin(kept)
    os.pwrite(file.fd, data, 0)
    shelf.finish(kept)


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    """Only as much as must; what is open stays, and what cannot fit is refused."""
    shelf = Shelf(tmp_path, 100, "boot")
    for number, url in enumerate(("a", "b", "c")):
        put(shelf, url, b"x" * 30, float(number))
    reading = shelf.open("a", 0.5)
    assert reading is not None
    put(shelf, "d", b"x" * 40, 9.0)
    assert ["a", "c", "d"] == shelf.urls()
    assert b"x" * 30 == os.pread(reading.fd, 100, 0)
    with pytest.raises(NoRoomError, match="may have 100"):
        shelf.begin(Kept("e", 101))


def test_it_outlives_the_server(tmp_path: Path) -> None:
    """Files and parts are found again; a file of another length, damaged notes, and what nobody knows are removed."""
    shelf = Shelf(tmp_path, 1000, "boot")
    put(shelf, "whole", b"whole", 1.0)
    put(shelf, "short", b"short", 1.0)
    part = shelf.begin(Kept("part", 9, '"v"'))
    os.pwrite(part.fd, b"half", 0)
    (tmp_path / "stray").write_bytes(b"?")
    (tmp_path / "bad.json").write_text("{")
    again = Shelf(tmp_path, 1000, "boot")
    found = again.go_on("part")
    assert found is not None
    assert (9, 4) == (found[0].size, found[2])
    os.truncate(again._path("short"), 2)
    assert again.open("short", 2.0) is None
    file = again.open("whole", 2.0)
    assert file is not None
    assert b"whole" == os.pread(file.fd, 10, 0)
    assert ["whole"] == again.urls()
    assert not (tmp_path / "stray").exists()


def test_a_part_of_another_boot_is_not_trusted(tmp_path: Path) -> None:
    """After a power failure its end may never have reached the disk; and without a validator nobody knows what it is of."""
    shelf = Shelf(tmp_path, 1000, "boot 1")
    for url, validator in (("a", '"v"'), ("b", "")):
        part = shelf.begin(Kept(url, 9, validator))
        os.pwrite(part.fd, b"half", 0)
    assert Shelf(tmp_path, 1000, "boot 2").go_on("a") is None
    assert Shelf(tmp_path, 1000, "boot 1").go_on("a") is not None
    assert Shelf(tmp_path, 1000, "boot 1").go_on("b") is None


def test_digests(tmp_path: Path) -> None:
    """As the tools print them."""
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        assert "md5:900150983cd24fb0d6963f7d28e17f72" == digest_of(file.fileno(), "md5")
