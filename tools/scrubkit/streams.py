"""TCP: what of a stream is HTTP's heads, wherever segments cut them, and what is body.

While the book is noting, streams are put together as ``dissect`` does it, and the heads remembered by their places; afterwards each
segment gets its part of them back, and the rest of it becomes the shape of what it was. Headers whose values say what a file or a
program is stay, but for names in them; of others the shape stays. RFC 9112. Must not know frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pxenet.capture.boots import PacketRef
from pxenet.capture.flows import may_begin
from pxenet.capture.frames import ACK, RST, SYN, TCP, Packet
from pxenet.capture.messages import METHODS, VERSIONS, Framed
from pxenet.capture.streams import Segment
from pxenet.capture.web import Connection, OpenRequest
from scrubkit.book import Book

_MASK = 0xFFFFFFFF
_TOLD = frozenset(
    b"accept accept-encoding accept-language accept-ranges age cache-control connection content-encoding content-length "
    b"content-range content-type date expires host if-modified-since keep-alive last-modified location range referer server te "
    b"trailer transfer-encoding upgrade user-agent vary".split()
)
_FIRST = re.compile(b"(" + b"|".join(map(re.escape, METHODS)) + rb")(.*?)((?: HTTP/1\.[01])?\r?\n?)\Z", re.DOTALL)
_CHUNK = re.compile(rb"[0-9a-fA-F]{1,15}(?:;[^\r\n]*)?\r?\n?\Z")
_SERIAL = re.compile(rb"[^\r\n]*(?:serial|asset)[^\r\n]*\Z", re.IGNORECASE)

Ends = tuple[bytes, bytes, bytes, bytes]


@dataclass(slots=True)
class _Stretch:
    """Bytes of a stream that are no body, by the number of the first one."""

    at: int
    raw: bytes
    done: bytes = b""


class Streams:
    """All of a capture."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._connections: dict[bytes, tuple[Connection, bool]] = {}
        self._stretches: dict[bytes, list[_Stretch]] = {}

    def payload(self, ends: Ends, raw: bytes, length: int, cut: int, number: int, at_ns: int) -> bytes:
        """What follows the ``length`` bytes of a segment's head; ``cut`` bytes behind it were not recorded."""
        key = ends[0] + ends[1] + raw[:4]
        if self._book.noting:
            self._hear(key, Segment(PacketRef(number, at_ns), _packet(raw, length, cut, ends), raw[length:], cut))
            return raw[length:]
        sequence, payload = int.from_bytes(raw[4:8], "big"), raw[length:]
        done = bytearray(self._book.shape(payload))
        for stretch in self._stretches.get(key, ()):
            ahead = (stretch.at - sequence + (1 << 31)) % (1 << 32) - (1 << 31)  # less than nothing: it began before
            first, behind = max(ahead, 0), min(ahead + len(stretch.raw), len(payload))
            part = slice(first - ahead, behind - ahead)
            if first < behind and stretch.raw[part] == payload[first:behind]:
                done[first:behind] = stretch.done[part]
        return bytes(done)

    def settle(self) -> None:
        """All are heard: their heads are noted, and may be asked for when the book is settled."""
        for connection, _ in self._connections.values():
            connection.finish()
        for stretch in self._all():
            _rewritten(self._book, stretch.raw)

    def rewrite(self) -> None:
        """The book is settled."""
        for stretch in self._all():
            stretch.done = self._book.secret(_rewritten(self._book, stretch.raw))

    def _all(self) -> list[_Stretch]:
        return [stretch for stretches in self._stretches.values() for stretch in stretches]

    def _hear(self, key: bytes, segment: Segment) -> None:
        packet = segment.packet
        begins = packet.flags & (SYN | ACK | RST) == SYN
        known = self._connections.get(key)
        if begins or known is None:
            if known is not None:
                known[0].finish()
            elif not begins and not may_begin(packet.payload):
                return
            size = (len(key) - 4) // 2
            back = key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]
            connection = Connection(_began)
            connection.requests.framed = self._framed(key)
            connection.responses.framed = self._framed(back)
            self._connections[key], self._connections[back] = (connection, True), (connection, False)
            known = self._connections[key]
        known[0].take(segment.ref, packet, known[1])

    def _framed(self, key: bytes) -> Framed:
        stretches = self._stretches.setdefault(key, [])

        def framed(segment: Segment, first: int, behind: int) -> None:
            skipped = segment.packet.payload_bytes - segment.size  # what had come before
            at, raw = (segment.sequence + skipped + first) & _MASK, segment.payload[first:behind]
            last = stretches[-1] if stretches else None
            if last is not None and (last.at + len(last.raw)) & _MASK == at:
                last.raw += raw
            else:
                stretches.append(_Stretch(at, raw))

        return framed


def _began(request: OpenRequest) -> None:
    """Whose it is does not matter here."""


def _packet(raw: bytes, length: int, cut: int, ends: Ends) -> Packet:
    sequence, acknowledged = int.from_bytes(raw[4:8], "big"), int.from_bytes(raw[8:12], "big")
    return Packet(
        int.from_bytes(ends[0], "big"), int.from_bytes(raw[:2], "big"), int.from_bytes(ends[1], "big"),
        int.from_bytes(raw[2:4], "big"), raw[length:], TCP, 4 if len(ends[0]) == 4 else 6, sequence=sequence,
        acknowledged=acknowledged, flags=raw[13], cut_bytes=cut,
    )  # fmt: skip


def _rewritten(book: Book, raw: bytes) -> bytes:
    return b"".join(_line(book, line) for line in raw.splitlines(keepends=True))


def _line(book: Book, line: bytes) -> bytes:
    first = _FIRST.match(line)
    if first is not None:
        return first[1] + book.text(first[2]) + first[3]
    if line.startswith(VERSIONS) or not line.strip() or _CHUNK.match(line):
        return line
    name, colon, value = line.partition(b":")
    if not colon:
        return book.shape(line)
    if name.lower() == b"host":
        host, port, number = value.partition(b":") if b"[" not in value else (value, b"", b"")
        return name + colon + book.name(host) + port + number
    if name.lower() in _TOLD or name.lower().startswith(b"x-rhn-provisioning-mac-"):
        return name + colon + book.text(value)
    said = value.strip()
    if book.noting and said and _SERIAL.match(name):
        book.name(said)
    at = value.find(said)
    return name + colon + value[:at] + book.shape(said) + value[at + len(said) :]
