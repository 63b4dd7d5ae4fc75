"""Capture files as a stream of packets: pcap and pcapng, packed by gzip or not, from a file or a pipe, in bounded memory.

Both byte orders, micro- and nanoseconds; of pcapng several interfaces and sections, each interface with its own link type,
resolution and offset of time; blocks that are not known are skipped. What is broken ends the stream: what stood before it has been
read, and ``damage`` names the place. dpkt reads the same in ``pcap``, which must agree where dpkt can.

Layouts: the IETF drafts on pcap and pcapng (opsawg). Knows nothing of what packets carry.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pxenet.capture.boots import Damage
from pxenet.capture.frames import LINK_TYPES
from pxenet.capture.unpacking import Unpacked

Record = tuple[int, int, int, bytes, int, int, int]
"""at_ns, interface, link type, buffer, start, end, wire_bytes: a packet is ``buffer[start:end]``. A tuple: one for each."""

MAX_PACKET_BYTES = 262144
"""The largest snap length that libpcap takes; a longer packet is a length that lies."""
MAX_INTERFACES = 65536
"""All sections of a file together."""

_CHUNK_BYTES = 1 << 18
_NS = 1_000_000_000

# magic: (byte order, nanoseconds per unit of the time's fraction)
_PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_PCAP_HEADER_BYTES = 24
_SECTION = b"\x0a\x0d\x0d\x0a"
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 1, 2, 3, 6
_IF_NAME, _IF_RESOLUTION, _IF_OFFSET = 2, 9, 14


class CaptureError(Exception):
    """A file that cannot be read as a capture. The message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Interface:
    """What packets were recorded on."""

    link: int
    """Link type, as ``frames.LINK_TYPES``."""
    name: str = ""
    snap_bytes: int = 0
    """How much of each packet is kept at most; 0: all."""
    multiply: int = 1000
    divide: int = 1
    """Units of time × multiply // divide = nanoseconds."""
    offset_ns: int = 0
    """Added to each time."""


@contextmanager
def open_capture(path: Path) -> Iterator[CaptureReader]:
    """A reader of this file; ``-`` is standard input. OSError: it cannot be opened. CaptureError: it is no capture."""
    if str(path) == "-":
        yield CaptureReader(sys.stdin.buffer, "standard input")
        return
    with path.open("rb") as file:
        yield CaptureReader(file, str(path), path.stat().st_size)


class CaptureReader:
    """Iterates over a capture's packets, once. CaptureError when it is none, or nothing in it can be read."""

    def __init__(self, file: BinaryIO, name: str, total_bytes: int | None = None) -> None:
        self.name = name
        """For messages."""
        self.total_bytes = total_bytes
        """Size of the file, as it is packed; None for a pipe."""
        self.interfaces: list[Interface] = []
        """Those met so far."""
        self.damage: Damage | None = None
        """Where and why the stream ended before the end of the file."""
        self.packets = 0
        """How many have been read."""
        self._source = Unpacked(file)
        self._buffer = b""
        self._base = 0
        self._last_ns = 0
        while len(self._buffer) < _PCAP_HEADER_BYTES and self._more(0):
            pass
        magic = self._buffer[:4]
        if magic in _PCAP_MAGIC and len(self._buffer) >= _PCAP_HEADER_BYTES:
            self._records = self._pcap(*_PCAP_MAGIC[magic])
        elif magic == _SECTION:
            self._records = self._pcapng()
        else:
            broken = f": {self._source.broken}" if self._source.broken else ""
            raise CaptureError(f"{name}: not a pcap or pcapng file (packed by gzip or not){broken}")

    @property
    def read_bytes(self) -> int:
        """How much of the file has been read, as it is packed: for progress, with ``total_bytes``."""
        return self._source.read_bytes

    def offset(self, start: int) -> int:
        """Where the byte ``start`` of the current record's buffer stands in the unpacked file."""
        return self._base + start

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def _more(self, at: int) -> bool:
        """Read on; what is before ``at`` is let go. False: there is no more."""
        chunk = self._source.read(_CHUNK_BYTES)
        self._buffer = self._buffer[at:] + chunk
        self._base += at
        return bool(chunk)

    def _break(self, at: int, reason: str) -> None:
        if self._source.broken:
            reason = f"{reason} ({self._source.broken})"
        self.damage = Damage(self.packets + 1, self._last_ns, self._base + at, reason)

    # -- pcap -----------------------------------------------------------------------------------------------------------------
    # magic 4, version 2 2, zone 4, accuracy 4, snap length 4, link type 4 (its upper 16 bits say how long the FCS is)
    # each packet: seconds 4, fraction 4, recorded 4, on the wire 4

    def _pcap(self, order: str, unit_ns: int) -> Iterator[Record]:
        snap, link = struct.unpack_from(order + "II", self._buffer, 16)
        link &= 0xFFFF
        if link not in LINK_TYPES:
            raise CaptureError(f"{self.name}: link type {link} cannot be read; {_READABLE}")
        self.interfaces.append(Interface(link, "", snap, unit_ns))
        unpack = struct.Struct(order + "IIII").unpack_from
        at = _PCAP_HEADER_BYTES
        while True:
            buffer, end = self._buffer, len(self._buffer)
            while at + 16 <= end:
                seconds, fraction, kept, wire = unpack(buffer, at)
                stop = at + 16 + kept
                if kept > MAX_PACKET_BYTES:
                    return self._break(at, f"a packet of {kept} bytes; none is longer than {MAX_PACKET_BYTES}")
                if stop > end:
                    break
                self.packets += 1
                self._last_ns = at_ns = seconds * _NS + fraction * unit_ns
                yield at_ns, 0, link, buffer, at + 16, stop, wire
                at = stop
            if not self._more(at):
                if self._buffer or self._source.broken:
                    self._break(0, "the file ends inside a packet" if self._buffer else "the file is cut off")
                return None
            at = 0

    # -- pcapng ---------------------------------------------------------------------------------------------------------------
    # each block: type 4, length 4, body padded to 4, length 4

    def _pcapng(self) -> Iterator[Record]:
        order, first, at = "<", 0, 0
        head = struct.Struct("<II")
        while True:
            while len(self._buffer) - at < 12:
                if not self._more(at):
                    if self._buffer or self._source.broken:
                        self._break(0, "the file ends inside a block" if self._buffer else "the file is cut off")
                    return self._check_links()
                at = 0
            if self._buffer[at : at + 4] == _SECTION:
                found = _ORDERS.get(self._buffer[at + 8 : at + 12])
                if found is None:
                    return self._break(at, "a section header without its byte order")
                order, first, head = found, len(self.interfaces), struct.Struct(found + "II")
                packet = _packet_layouts(order)
            kind, size = head.unpack_from(self._buffer, at)
            if size < 12 or size % 4:
                return self._break(at, f"a block of {size} bytes; they are multiples of 4, and 12 at least")
            if kind not in _KNOWN:
                if not self._skip(at, size):
                    return self._break(0, "the file ends inside a block")
                at = 0
                continue
            if size > MAX_PACKET_BYTES + 65536:
                return self._break(at, f"a block of {size} bytes with a packet of at most {MAX_PACKET_BYTES}")
            while len(self._buffer) - at < size:
                if not self._more(at):
                    return self._break(0, "the file ends inside a block")
                at = 0
            if head.unpack_from(self._buffer, at + size - 8)[1] != size:
                return self._break(at, f"a block of {size} bytes that says otherwise at its end")
            if kind in packet:
                record = self._packet(packet[kind], kind, first, at, size)
                if isinstance(record, str):
                    return self._break(at, record)
                self.packets += 1
                self._last_ns = record[0]
                yield record
            elif kind == _INTERFACE:
                wrong = self._interface(order, at, size)
                if wrong:
                    return self._break(at, wrong)
            at += size

    def _check_links(self) -> None:
        """Other interfaces may be beside those that can be read; their packets are passed by."""
        links = {interface.link for interface in self.interfaces}
        if links and not links & LINK_TYPES:
            names = " and ".join(map(str, sorted(links)))
            raise CaptureError(f"{self.name}: link type {names} cannot be read; {_READABLE}")

    def _skip(self, at: int, size: int) -> bool:
        """Let go of a block, however long, without keeping it."""
        while len(self._buffer) - at < size:
            size -= len(self._buffer) - at
            if not self._more(len(self._buffer)):
                return False
            at = 0
        self._base += at + size
        self._buffer = self._buffer[at + size :]
        return True

    def _packet(self, layout: struct.Struct, kind: int, first: int, at: int, size: int) -> Record | str:
        """The record of a packet's block, or what is wrong with it."""
        fields = layout.size + 8
        if size < fields + 4:
            return f"a packet's block of {size} bytes"
        number, high, low, kept, wire = 0, 0, 0, 0, 0
        if kind == _SIMPLE:
            (wire,) = layout.unpack_from(self._buffer, at + 8)
        else:
            number, high, low, kept, wire = layout.unpack_from(self._buffer, at + 8)
        if first + number >= len(self.interfaces):
            return f"a packet of interface {number}, which the file does not describe"
        interface = self.interfaces[first + number]
        at_ns = self._last_ns
        if kind == _SIMPLE:  # has no time, and its recorded length is not said
            kept = min(wire, interface.snap_bytes or wire, size - fields - 4)
        else:
            at_ns = (high << 32 | low) * interface.multiply // interface.divide + interface.offset_ns
        if kept > min(size - fields - 4, MAX_PACKET_BYTES):
            return f"a packet of {kept} bytes in a block of {size}"
        start = at + fields
        return at_ns, first + number, interface.link, self._buffer, start, start + kept, wire

    def _interface(self, order: str, at: int, size: int) -> str:
        """Take in an interface's description; what is wrong with it, or nothing."""
        if size < 20 or len(self.interfaces) >= MAX_INTERFACES:
            return f"interface {len(self.interfaces)} in a block of {size} bytes"
        link, snap = struct.unpack_from(order + "HxxI", self._buffer, at + 8)
        values = dict(_options(order, self._buffer[at + 16 : at + size - 4]))
        name = values.get(_IF_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")
        multiply, divide = _resolution(values.get(_IF_RESOLUTION, b""))
        offset = values.get(_IF_OFFSET, b"")
        seconds = struct.unpack(order + "q", offset)[0] if len(offset) == 8 else 0
        self.interfaces.append(Interface(link, name, snap, multiply, divide, seconds * _NS))
        return ""


_KNOWN = frozenset({_INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED, int.from_bytes(_SECTION, "big")})
_READABLE = "Ethernet (1), Linux cooked (113, 276), raw IP (101 and its kin) and loopback (0, 108) can"


def _packet_layouts(order: str) -> dict[int, struct.Struct]:
    """interface, high and low half of the time, recorded bytes, bytes on the wire; of a simple one the last alone."""
    return {
        _ENHANCED: struct.Struct(order + "IIIII"),
        _OLD_PACKET: struct.Struct(order + "HxxIIII"),
        _SIMPLE: struct.Struct(order + "I"),
    }


def _options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    """code 2, length 2, value padded to 4; 0 ends. What is cut off is left out."""
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        if code == 0 or at + 4 + size > len(data):
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def _resolution(value: bytes) -> tuple[int, int]:
    """if_tsresol: a negative power of ten, or of two when the upper bit is set; without it microseconds."""
    power = value[0] if value else 6
    if power & 0x80:
        return _NS, 1 << (power & 0x7F)
    return (10 ** (9 - power), 1) if power <= 9 else (1, 10 ** (power - 9))
