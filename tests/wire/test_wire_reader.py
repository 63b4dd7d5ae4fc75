"""The cursor all codecs read through: it never reads beyond its end, and its errors say where and what."""

from __future__ import annotations

import pytest

from pxenet.wire.reader import Reader, WireError


def test_reads_in_order() -> None:
    """Numbers are unsigned and big-endian, and each read moves the cursor."""
    reader = Reader(bytes.fromhex("01 0203 04050607 61 62 00 08 09"))
    assert (reader.u8("a"), reader.u16("b"), reader.u32("c")) == (1, 0x0203, 0x04050607)
    assert reader.text("d") == b"ab"
    assert reader.left == 2
    assert reader.rest() == b"\x08\x09"
    reader.done("all")


def test_too_little_says_where_and_what() -> None:
    """A read beyond the end names the offset, the field, and what is missing; the cursor stays where it was."""
    reader = Reader(b"\1\2\3")
    reader.u8("first")
    with pytest.raises(WireError) as caught:
        reader.u32("xid")
    assert (caught.value.offset, caught.value.field, caught.value.reason) == (1, "xid", "needs 4 bytes, 2 are left")
    assert reader.left == 2


def test_text_needs_its_nul() -> None:
    """Text without a NUL inside the cursor's bounds is an error, even when one follows beyond."""
    inner = Reader(b"ab\0").within(2, "field")
    with pytest.raises(WireError, match="no NUL"):
        inner.text("name")


def test_a_nested_length_is_a_border() -> None:
    """A restricted cursor cannot read past its length, has to be used up, and the outer one goes on behind it."""
    outer = Reader(b"\1\2\3\4")
    inner = outer.within(2, "value")
    assert outer.u8("next") == 3
    assert inner.u8("first") == 1
    with pytest.raises(WireError, match="value at byte 1: 1 bytes too many"):
        inner.done("value")
    with pytest.raises(WireError):
        inner.u16("second")
    with pytest.raises(WireError):
        outer.within(2, "beyond")
