"""From the description of a window to its datagrams."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.engine.surface import Blocks, Stream
from pxenet.engine.tftp.blocks import ContentChanged, datagrams, piece
from pxenet.model import Content, Region

PEER = bytes(16)


@dataclass
class File:
    """A file in memory; ``fd`` finds it again."""

    data: bytes
    fd: int = 7


def read(region: Region, offset: int, length: int) -> bytes:
    file = region.file
    assert isinstance(file, File)
    assert offset + length <= region.length
    start = region.offset + offset
    return file.data[start : start + length]


def made_of(*parts: bytes | Region) -> Content:
    size = sum(len(part) if isinstance(part, bytes) else part.length for part in parts)
    return Content("f", parts, size, 0, '"1"')


def joined(blocks: Blocks) -> list[bytes]:
    return [b"".join(parts) for parts in datagrams(blocks, read)]


def test_a_window() -> None:
    """Full blocks, then the short one."""
    content = made_of(b"abcdefgh" * 2 + b"xyz")
    assert [b"\0\3\0\1abcdefgh", b"\0\3\0\2abcdefgh", b"\0\3\0\3xyz"] == joined(Blocks(Stream(PEER, content, 8), 1, 3))


def test_the_last_block_may_be_empty() -> None:
    """A multiple of blksize ends with a block of nothing; so does an empty content."""
    assert [b"\0\3\0\2"] == joined(Blocks(Stream(PEER, made_of(b"abcdefgh"), 8), 2, 1))
    assert [b"\0\3\0\1"] == joined(Blocks(Stream(PEER, made_of(), 8), 1, 1))


def test_numbers_roll_over_to_0() -> None:
    """Block 65536 is number 0 on the wire."""
    content = made_of(bytes(8 * 65537))
    assert [b"\0\3\xff\xff", b"\0\3\0\0", b"\0\3\0\1"] == [
        d[:4] for d in joined(Blocks(Stream(PEER, content, 8), 65535, 3))
    ]


@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=30)), max_size=6),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_pieces(parts: list[tuple[bool, bytes]], start: int, length: int) -> None:
    """Any piece of any mixture of memory and file regions is that piece of the whole."""
    file = File(b"--" + b"".join(data for _, data in parts))
    segments: list[bytes | Region] = []
    at = 2
    for in_file, data in parts:
        segments.append(Region(file, at, len(data)) if in_file else data)
        at += len(data)
    assert file.data[2:][start : start + length] == piece(made_of(*segments), start, length, read)


@pytest.mark.parametrize("cut", [0, 5, 11])
def test_a_file_that_shrank(cut: int) -> None:
    """Less than was promised is noticed, and never a block that is too short."""
    content = made_of(b"head", Region(File(bytes(12)[:cut]), 0, 12))
    with pytest.raises(ContentChanged, match="f ended"):
        datagrams(Blocks(Stream(PEER, content, 8), 1, 2), read)
