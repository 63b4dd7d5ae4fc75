"""A capture read twice: noted, then written anew as pcap or pcapng with times in nanoseconds, and nothing but its packets.

Comments, names of interfaces, blocks that are not packets, and what stands behind damage are left behind. Must not know what is in
packets (``packets``).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pxenet.capture.boots import Damage
from pxenet.capture.reading import CaptureError, Interface, open_capture
from scrubkit.book import Book
from scrubkit.packets import Packets
from scrubkit.streams import Streams

_PCAP_HEAD = struct.Struct("<IHHiIII")
_PCAP_PACKET = struct.Struct("<IIII")
_BLOCK = struct.Struct("<II")
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6


def scrub(source: Path, target: Path, book: Book) -> tuple[int, Damage | None]:
    """How many packets were written, and where the source ended early. CaptureError, OSError: ``open_capture``.

    A name that ends with ``.pcapng`` makes such a file, which several interfaces need.
    """
    streams = Streams(book)
    for _ in _walked(source, Packets(book, streams)):
        pass
    streams.settle()
    book.settle()
    streams.rewrite()
    with open_capture(source) as reader:
        for _ in reader:
            pass
        interfaces, damage = reader.interfaces, reader.damage
    several = target.suffix == ".pcapng"
    if len(interfaces) > 1 and not several:
        raise CaptureError(
            f"{source} has {len(interfaces)} interfaces, which only pcapng can hold: name it NAME.pcapng"
        )
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        _begin(file, interfaces, several)
        count = 0
        for at_ns, interface, data, wire in _walked(source, Packets(book, streams)):
            _packet(file, at_ns, interface, data, wire, several)
            count += 1
    return count, damage


def _walked(source: Path, packets: Packets) -> Iterator[tuple[int, int, bytes, int]]:
    with open_capture(source) as reader:
        for number, (at_ns, interface, link, buffer, start, end, wire) in enumerate(reader, 1):
            yield at_ns, interface, packets.frame(bytes(buffer[start:end]), link, wire, number, at_ns), wire


def _begin(file: BinaryIO, interfaces: list[Interface], several: bool) -> None:
    if not several:
        found = interfaces[0] if interfaces else Interface(1)
        file.write(_PCAP_HEAD.pack(0xA1B23C4D, 2, 4, 0, 0, found.snap_bytes or 262144, found.link))
        return
    _block(file, _SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    for found in interfaces:
        nanoseconds = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
        _block(file, _INTERFACE, struct.pack("<HHI", found.link, 0, found.snap_bytes) + nanoseconds)


def _packet(file: BinaryIO, at_ns: int, interface: int, data: bytes, wire: int, several: bool) -> None:
    if several:
        at_ns = max(at_ns, 0)
        head = struct.pack("<IIIII", interface, at_ns >> 32, at_ns & 0xFFFFFFFF, len(data), wire)
        _block(file, _PACKET, head + data)
        return
    seconds, rest = divmod(at_ns, 10**9)
    file.write(_PCAP_PACKET.pack(seconds & 0xFFFFFFFF, rest, len(data), wire) + data)


def _block(file: BinaryIO, kind: int, body: bytes) -> None:
    body += bytes(-len(body) % 4)
    size = len(body) + 12
    file.write(_BLOCK.pack(kind, size) + body + size.to_bytes(4, "little"))
