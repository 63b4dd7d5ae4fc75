"""What went by at the tap, as entries of a recording: made where it is heard, which may be another process than where it is recorded.

Knows what of it is worth a place in the ring of the last minutes. Must not know who records, or what frames look like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pxenet.capture.made import SEGMENT_BYTES
from pxenet.engine.surface import Blocks, Flight
from pxenet.engine.tftp.blocks import datagrams
from pxenet.model import Content, Region
from pxenet.net.datagram import Datagram, Quads, Send
from pxenet.rack.discreet import masked
from pxenet.server.tap import TcpEnds
from pxenet.wire.tftp import data_header

_ENTRY_BYTES = 300
"""What an entry costs beside its data."""

_ACK_BYTES = 4
"""A TFTP ACK: in the ring there is no room for one per block, nor for the block."""
_FIRST_BLOCKS = 16
"""Of each transfer these are in the ring; boot texts are seldom longer."""

HEAD_BYTES = 4096
"""Of what is said and heard on a connection at once, so much is in the ring: heads and texts, not files."""


Hide = Callable[[bytes], bytes]
"""Masks what secrets bytes have; their number stays."""


@dataclass(slots=True)
class Entry:
    """One datagram that went by, or the blocks of one text."""

    at_ns: int
    said: bool
    """By us; else heard."""
    peer: bytes
    local: int
    """Address of ours; 0 when the kernel chose it."""
    port: int
    interface: int
    data: bytes
    size: int
    """Of the payload; ``data`` is only its beginning when that is longer."""
    broadcast: bool = False
    hardware: bytes | None = None
    text: Blocks | None = None
    """Blocks of a content that is held in memory: its bytes are made when they are wanted."""
    ends: TcpEnds | None = None
    """It belongs to this connection; without data and size its end."""
    secret: bool = False
    """Of a content that is secret."""
    discreet: bytes | None = None
    """``data`` without its secrets, where it is a part of something and does not show by itself what of it is one."""

    def shown(self, hide: Hide | None = masked) -> bytes:
        """Its data, for somebody who may see secrets (None) or not."""
        if hide is None:
            return self.data
        return hide(self.data if self.discreet is None else self.discreet)


def worth_keeping(batch: Sequence[Datagram]) -> list[Datagram]:
    """Those of the datagrams that arrived that are for the ring."""
    return [] if isinstance(batch, Quads) else [one for one in batch if len(one.data) != _ACK_BYTES]


def worth_saying(sends: Sequence[Send | Blocks]) -> list[Send | Blocks]:
    """Those of what leaves that are for the ring."""
    if isinstance(sends, Flight) and min(sends.firsts) > _FIRST_BLOCKS:
        return []
    return [one for one in sends if one.__class__ is Send or one.first <= _FIRST_BLOCKS]  # type: ignore[union-attr]


def heard(one: Datagram, now: int) -> Entry:
    """A datagram that arrived."""
    return Entry(now, False, one.peer, one.local, one.port, one.interface, one.data, len(one.data), one.broadcast)


def said(one: Send | Blocks, now: int) -> Iterator[Entry]:
    """A datagram; a window of a text; of a window of a file the header of each block."""
    if isinstance(one, Send):
        data = b"".join(one.parts)
        yield Entry(now, True, one.to, one.source, one.port, one.interface, data, len(data), hardware=one.hardware)
        return
    to = one.stream
    if all(isinstance(segment, bytes) for segment in to.content.segments):
        size = min(one.count * to.blksize, to.content.size)
        yield Entry(now, True, to.to, to.source, to.port, to.interface, b"", size, text=one)
    else:
        for number in range(one.first, one.first + one.count):
            size = 4 + max(0, min(to.blksize, to.content.size - (number - 1) * to.blksize))
            yield Entry(now, True, to.to, to.source, to.port, to.interface, data_header(number), size)


def cost(entry: Entry) -> int:
    """Bytes that it takes in memory."""
    return _ENTRY_BYTES + len(entry.data) + len(entry.discreet or b"") + (entry.size if entry.text is not None else 0)


def text_datagrams(blocks: Blocks) -> Iterator[bytes]:
    """Blocks of a text as they are on the wire."""
    return (header + bytes(payload) for header, payload in datagrams(blocks, _never_read))


def _never_read(region: Region, offset: int, length: int) -> bytes:
    raise AssertionError("a text has no regions")


def discreet_blocks(blocks: Blocks, hide: Hide = masked) -> Blocks:
    """The same blocks of a text without secrets: everything of one that is secret is masked. Its length stays."""
    stream = blocks.stream
    return Blocks(replace(stream, content=_discreet_content(stream.content, hide)), blocks.first, blocks.count)


def _discreet_content(content: Content, hide: Hide) -> Content:
    data = b"".join(segment for segment in content.segments if isinstance(segment, bytes))
    shown = b"x" * len(data) if content.secret else hide(data)
    return replace(content, segments=(shown,))


def spelled(entry: Entry, blocks: Blocks) -> Iterator[Entry]:
    """``blocks`` of a text, of which ``entry`` tells, one by one: so they can be told to another process."""
    for data, shown in zip(text_datagrams(blocks), text_datagrams(discreet_blocks(blocks)), strict=True):
        yield replace(entry, data=data, size=len(data), text=None, discreet=_unless_plain(shown, data))


def beginning(entry: Entry, most: int) -> Entry:
    """The entry with at most so many bytes of its data."""
    return _part(entry, 0, most) if len(entry.data) > most else entry


def segments(entry: Entry) -> Iterator[Entry]:
    """What was said or heard on a connection, as it is cut when frames are made of it: small enough for a letter each."""
    known = len(entry.data)
    if known <= SEGMENT_BYTES:
        yield entry
        return
    for first in range(0, known, SEGMENT_BYTES):
        size = SEGMENT_BYTES if first + SEGMENT_BYTES < known else entry.size - first
        yield replace(_part(entry, first, SEGMENT_BYTES), size=size)


def _part(entry: Entry, first: int, most: int) -> Entry:
    """A token that is cut in two is one nonetheless."""
    data = entry.data[first : first + most]
    return replace(entry, data=data, discreet=_unless_plain(entry.shown()[first : first + most], data))


def _unless_plain(shown: bytes, data: bytes) -> bytes | None:
    return None if shown == masked(data) else shown


def of_connection(ends: TcpEnds, data: bytes, size: int, now: int, *, said: bool) -> Entry:
    """What was said or heard on a connection; without size its end."""
    secret = ends.secret and said
    return Entry(now, said, ends.peer, ends.local, ends.port, 0, data, size, ends=ends, secret=secret)


Row = list[Any]
"""An entry as a letter has it."""

SIZE, CONNECTION = 7, 11
"""Where in a row the size of the payload stands, and the number of the connection."""


def packed(entry: Entry, connection: int, *, kept: bool) -> Row:
    """``connection``: the number of the connection it belongs to, or 0. ``kept``: it is for the ring. Texts are ``spelled`` before."""
    return [
        entry.at_ns,
        entry.said,
        entry.peer,
        entry.local,
        entry.port,
        entry.interface,
        entry.data,
        entry.size,
        entry.broadcast,
        entry.hardware,
        entry.discreet,
        connection,
        entry.secret,
        kept,
    ]


def unpacked(row: Row, ends: TcpEnds | None) -> tuple[bool, Entry]:
    """Whether it is for the ring, and the entry."""
    *fields, discreet, _, secret, kept = row
    entry = Entry(*fields)
    entry.ends, entry.secret, entry.discreet = ends, secret, discreet
    return kept, entry
