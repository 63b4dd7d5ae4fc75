"""Byte ranges (RFC 9110 §14): what a Range field asks for, and the pieces of a content that answer it.

Must not know headers of replies, files or sockets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pxenet.model import Region

MAX_RANGES = 512
"""librepo asks for up to 256 chunks of a zchunk file in one request; beyond twice that the whole file is the better answer."""

Span = tuple[int, int]
"""First byte and length; length > 0."""

_RANGE = re.compile(r"(\d*)-(\d*)", re.ASCII)
_MAX_DIGITS = 18
"""More digits than a file offset has: the number is clipped before anybody computes with it."""


def parse_ranges(field: str, size: int) -> list[Span] | None:
    """The satisfiable ranges of a Range field, in its order: [] means 416, None means that the field is to be ignored.

    Ignored are other units, bad syntax, too many ranges, and ranges that together ask for more than the content has: overlaps
    are either a mistake or an attempt to have one request cost as much as hundreds (RFC 9110 §14.2, §17.15).
    """
    unit, equals, listed = field.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    texts = [text.strip(" \t") for text in listed.split(",")]
    texts = [text for text in texts if text]
    if not texts or len(texts) > MAX_RANGES:
        return None
    spans: list[Span] = []
    for text in texts:
        match = _RANGE.fullmatch(text)
        if match is None or text == "-":
            return None
        first, last = (_number(digits) for digits in match.groups())
        if first is None:
            if last and not size:  # the last bytes of nothing: 206 has no words for it, 200 says the same
                return None
            first, length = max(0, size - (last or 0)), min(last or 0, size)
        elif last is None:
            length = size - first
        elif last < first:
            return None
        else:
            length = min(last, size - 1) - first + 1
        if length > 0:
            spans.append((first, length))
    if len(spans) > 1 and sum(length for _, length in spans) > size:
        return None
    return spans


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def cut(segments: Sequence[bytes | Region], first: int, length: int) -> list[bytes | Region]:
    """The pieces of a content that hold ``length`` bytes from ``first`` on; the span lies inside the content."""
    pieces: list[bytes | Region] = []
    end = first + length
    start = 0
    for segment in segments:
        size = len(segment) if isinstance(segment, bytes) else segment.length
        low, high = max(first - start, 0), min(end - start, size)
        start += size
        if low >= high:
            continue
        if isinstance(segment, bytes):
            pieces.append(segment[low:high])
        else:
            pieces.append(Region(segment.file, segment.offset + low, high - low))
    return pieces


def multipart(
    segments: Sequence[bytes | Region], spans: Sequence[Span], size: int, mime: str, boundary: str
) -> list[bytes | Region]:
    """The body of a multipart/byteranges reply (RFC 9110 §14.6).

    Every part, the first too, begins with CR LF, as those of nginx do: that is what clients' patterns were written against.
    """
    pieces: list[bytes | Region] = []
    for first, length in spans:
        head = f"\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Range: bytes {first}-{first + length - 1}/{size}\r\n\r\n"
        pieces.append(head.encode("latin-1"))
        pieces += cut(segments, first, length)
    pieces.append(f"\r\n--{boundary}--\r\n".encode("latin-1"))
    return pieces


def total(pieces: Sequence[bytes | Region]) -> int:
    """Bytes in all."""
    return sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)
