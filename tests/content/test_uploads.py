"""What clients write is kept whole, inside the root, or refused with the reason."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pxenet.content.uploads import save
from pxenet.model import Absent, Missing


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "root"
    (inside / "logs").mkdir(parents=True)
    (inside / "out").symlink_to(tmp_path)
    return inside


@pytest.mark.parametrize("name", ["report", "/logs/report", "logs\\report"])
def test_a_file_is_kept(root: Path, name: str) -> None:
    """Under the name as firmware spells it; a second write replaces the first; nothing else stays behind."""
    assert save(root, name, b"first") is None
    assert save(root, name, b"second") is None
    written = [path for path in root.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in written] == [b"second"]
    assert written[0].name == "report"


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("../report", Missing.BAD_NAME),
        ("", Missing.BAD_NAME),
        ("nowhere/report", Missing.DENIED),
        ("out/report", Missing.DENIED),
        ("logs", Missing.DENIED),
    ],
)
def test_a_file_is_refused(root: Path, name: str, missing: Missing) -> None:
    """No way out of the root, no new directories, no directory replaced."""
    refused = save(root, name, b"data")
    assert isinstance(refused, Absent)
    assert refused.missing is missing
    assert not (root.parent / "report").exists()


@pytest.mark.parametrize(
    ("number", "missing"),
    [
        (errno.ENOSPC, Missing.FULL),
        (errno.EDQUOT, Missing.FULL),
        (errno.EIO, Missing.UNAVAILABLE),
        (errno.EMFILE, Missing.UNAVAILABLE),
        (errno.EROFS, Missing.DENIED),
    ],
)
def test_a_disk_that_does_not_take_it(
    root: Path, number: int, missing: Missing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, and one that fails, are no denial of the client; the older file stays."""
    (root / "report").write_bytes(b"older")

    def fail(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    assert Absent(missing, f"report cannot be written: {os.strerror(number)}") == save(root, "report", b"data")
    assert b"older" == (root / "report").read_bytes()


def test_without_a_root(tmp_path: Path) -> None:
    """Nowhere to write is said in words that name the key."""
    refused = save(None, "report", b"data")
    assert isinstance(refused, Absent)
    assert "server.root" in refused.detail
