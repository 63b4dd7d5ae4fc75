"""From the description of a TFTP window to its datagrams: the plain path, which every faster one must equal.

Pure: whoever calls passes in how to read. Knows segments of content and DATA headers; must not know files or sockets.
"""

from __future__ import annotations

from collections.abc import Callable

from pxenet.engine.surface import Blocks
from pxenet.model import Content, Region
from pxenet.wire.tftp import data_header

Read = Callable[[Region, int, int], bytes]
"""``read(region, offset, length)``, ``offset`` counted within the region: like ``pread``, it may return less where the file ends."""


class ContentChanged(Exception):  # noqa: N818 - it says what happened; nobody made an error
    """There is less to read than the content promised: a file was cut while it was being sent."""


def datagrams(blocks: Blocks, read: Read) -> list[tuple[bytes, memoryview]]:
    """The window's datagrams in order, each in two parts: the DATA header and the payload.

    Raises ContentChanged when the content is shorter than its size, and whatever ``read`` raises: both mean that the engine
    has to be told (``unreadable(blocks.stream.want, …)``).
    """
    stream = blocks.stream
    size = stream.blksize
    start = (blocks.first - 1) * size
    payload = memoryview(piece(stream.content, start, blocks.count * size, read))
    return [
        (data_header(blocks.first + index), payload[index * size : (index + 1) * size]) for index in range(blocks.count)
    ]


def piece(content: Content, start: int, length: int, read: Read) -> bytes:
    """``length`` octets of a content from ``start``, fewer at its end. Raises as :func:`datagrams` does."""
    length = max(0, min(length, content.size - start))
    wanted = length
    found: list[bytes] = []
    at = 0  # where the segment begins
    for segment in content.segments:
        whole = len(segment) if isinstance(segment, bytes) else segment.length
        skip = start - at
        if wanted and skip < whole:
            count = min(wanted, whole - skip)
            part = _part(segment, skip, count, read)
            found.append(part)
            wanted -= len(part)
            start += len(part)
            if len(part) < count:
                break
        at += whole
    if wanted:
        raise ContentChanged(f"{content.name} ended {wanted} octets before its size of {content.size}")
    return found[0] if len(found) == 1 else b"".join(found)


def _part(segment: bytes | Region, skip: int, count: int, read: Read) -> bytes:
    if isinstance(segment, bytes):
        return segment[skip : skip + count]
    return read(segment, skip, count)
