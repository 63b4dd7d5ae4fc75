"""Contents as bytes: spans over several segments, files that shrink, netascii."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.content.directory import OpenFile
from pxenet.content.plain import netascii, read, to_netascii
from pxenet.content.tree import bytes_content
from pxenet.model import Absent, Content, Missing, Region, Role


def mixed(tmp_path: Path) -> Content:
    """b"012" + file bytes 2..5 "cdef" + b"" + b"9"."""
    path = tmp_path / "f"
    path.write_bytes(b"abcdefgh")
    file = OpenFile(os.open(path, os.O_RDONLY))
    return Content(
        "f", (b"012", Region(file, 2, 4), b"", b"9"), 8, 7, '"t"', "text/plain", Role.ANSWER, "p", private=True
    )


def test_any_span_of_mixed_segments(tmp_path: Path) -> None:
    """Every offset and length gives what a slice of the whole would."""
    content, whole = mixed(tmp_path), b"012cdef9"
    assert read(content) == whole
    for offset in range(10):
        for length in range(10):
            assert read(content, offset, length) == whole[offset : offset + length]


def test_a_file_that_shrank_is_an_error(tmp_path: Path) -> None:
    """Never fewer bytes than were promised."""
    content = mixed(tmp_path)
    os.truncate(tmp_path / "f", 4)
    with pytest.raises(OSError, match="shorter"):
        read(content)


NETASCII = [
    (b"", b""),
    (b"a\nb\n", b"a\r\nb\r\n"),
    (b"a\rb", b"a\r\0b"),
    (b"a\r\n", b"a\r\0\r\n"),
    (b"\0\xff", b"\0\xff"),
]


@pytest.mark.parametrize(("plain", "converted"), NETASCII)
def test_netascii(plain: bytes, converted: bytes) -> None:
    """RFC 764: LF is CR LF, CR is CR NUL."""
    assert to_netascii(plain) == converted


@given(st.binary(max_size=40) | st.text("\r\n\0a", max_size=20).map(str.encode))
def test_netascii_can_be_undone(data: bytes) -> None:
    """Nothing is lost."""
    assert to_netascii(data).replace(b"\r\n", b"\n").replace(b"\r\0", b"\r") == data


def test_netascii_content(tmp_path: Path) -> None:
    """Size and tag are of the converted bytes, everything else stays; too large is refused before and after conversion."""
    converted = netascii(mixed(tmp_path))
    assert isinstance(converted, Content)
    assert (converted.role, converted.profile, converted.private, converted.modified_at) == (Role.ANSWER, "p", True, 7)
    lines = bytes_content("l", b"\n" * 10)
    twice = netascii(lines, 20)
    assert isinstance(twice, Content)
    assert (twice.size, read(twice)) == (20, b"\r\n" * 10)
    assert twice.etag != lines.etag
    for limit in (19, 9):
        refused = netascii(lines, limit)
        assert isinstance(refused, Absent)
        assert refused.missing is Missing.TOO_LARGE


def test_netascii_of_a_file_that_shrank(tmp_path: Path) -> None:
    """It may be whole again in a moment: nobody was denied anything."""
    content = mixed(tmp_path)
    for path in tmp_path.iterdir():
        os.truncate(path, 0)
    refused = netascii(content)
    assert isinstance(refused, Absent)
    assert refused.missing is Missing.UNAVAILABLE
    assert "shorter" in refused.detail
