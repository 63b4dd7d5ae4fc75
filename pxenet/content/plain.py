"""Contents as plain bytes: read by ``pread``, and converted to netascii.

Knows that a file may shrink while it is served. Must not know protocols; netascii is the text form of RFC 764 (TELNET), which
RFC 1350 §1 takes for its mode of that name.
"""

from __future__ import annotations

import os
from dataclasses import replace

from pxenet.content.tree import bytes_content
from pxenet.model import Absent, Arriving, Content, Later, Missing

NETASCII_LIMIT_BYTES = 4 << 20
"""Netascii is converted in memory, because its size must be known for tsize; it is for text files, kernels are asked as octet."""


def read(content: Content, offset: int = 0, length: int | None = None) -> bytes:
    """Bytes of a content; fewer than asked only where the content ends. OSError when a file is shorter than it was."""
    end = content.size if length is None else min(content.size, offset + length)
    pieces: list[bytes] = []
    start = 0
    for segment in content.segments:
        size = len(segment) if isinstance(segment, bytes) else segment.length
        first, last = max(offset, start) - start, min(end, start + size) - start
        start += size
        if first >= last:
            continue
        if isinstance(segment, bytes):
            pieces.append(segment[first:last])
        else:
            pieces.append(_pread(segment.file.fd, segment.offset + first, last - first, content.name))
    return b"".join(pieces)


def _pread(fd: int, offset: int, length: int, name: str) -> bytes:
    data = os.pread(fd, length, offset)
    while len(data) < length:
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            raise OSError(f"{name} is shorter than it was when it was opened")
        data += more
    return data


def to_netascii(data: bytes) -> bytes:
    """LF becomes CR LF, a CR of its own becomes CR NUL (RFC 764 "The NVT printer and keyboard"); the receiver undoes exactly that."""
    return data.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


def netascii(content: Content, limit_bytes: int = NETASCII_LIMIT_BYTES) -> Content | Absent:
    """The content in netascii, with the size that it has then."""
    too_large = Absent(Missing.TOO_LARGE, f"{content.name} is larger than {limit_bytes} bytes in netascii")
    if content.size > limit_bytes:
        return too_large
    try:
        data = to_netascii(read(content))
    except OSError as error:
        return Absent(Missing.UNAVAILABLE, error.strerror or str(error))
    if len(data) > limit_bytes:
        return too_large
    converted = bytes_content(content.name, data)
    return replace(content, segments=converted.segments, size=converted.size, etag=converted.etag)


def whole(content: Content, arriving: Arriving) -> Later:
    """The same content, once all of it is here."""
    later = Later()

    def look() -> None:
        if not arriving.over:
            arriving.then(look)
        elif arriving.fault:
            later.resolve(Absent(Missing.UNAVAILABLE, arriving.fault))
        else:
            later.resolve(replace(content, arriving=None))

    look()
    return later
