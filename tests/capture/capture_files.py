"""Capture files made by hand, in every form that ``reading`` takes."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from pxenet.capture.frames import ETHERNET
from pxenet.capture.reading import CaptureReader

MAGIC_US, MAGIC_NS = 0xA1B2C3D4, 0xA1B23C4D


@dataclass(frozen=True, slots=True)
class Kept:
    """One packet."""

    at_ns: int
    data: bytes
    wire_bytes: int
    interface: int = 0


def pcap(packets: list[Kept], *, order: str = "<", nanoseconds: bool = True, link: int = ETHERNET) -> bytes:
    """A pcap file."""
    unit = 1 if nanoseconds else 1000
    found = struct.pack(order + "IHHiIII", MAGIC_NS if nanoseconds else MAGIC_US, 2, 4, 0, 0, 262144, link)
    for packet in packets:
        seconds, rest = divmod(packet.at_ns, 10**9)
        found += struct.pack(order + "IIII", seconds, rest // unit, len(packet.data), packet.wire_bytes) + packet.data
    return found


def block(order: str, kind: int, body: bytes) -> bytes:
    """A block of pcapng."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<", length: int = -1) -> bytes:
    """A section header."""
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length))


def interface(
    order: str = "<", link: int = ETHERNET, snap: int = 0, *, resolution: int | None = None, offset_s: int = 0,
    name: str = "",
) -> bytes:  # fmt: skip
    """An interface's description."""
    options = b""
    if name:
        options += option(order, 2, name.encode())
    if resolution is not None:
        options += option(order, 9, bytes((resolution,)))
    if offset_s:
        options += option(order, 14, struct.pack(order + "q", offset_s))
    if options:
        options += option(order, 0, b"")
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap) + options)


def option(order: str, code: int, value: bytes) -> bytes:
    """One option."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(packet: Kept, units: int, order: str = "<") -> bytes:
    """An enhanced packet block; ``units``: its time as the interface counts."""
    head = struct.pack(
        order + "IIIII", packet.interface, units >> 32, units & 0xFFFFFFFF, len(packet.data), packet.wire_bytes
    )
    return block(order, 6, head + packet.data)


def pcapng(packets: list[Kept], *, order: str = "<") -> bytes:
    """A file with one Ethernet interface that counts nanoseconds."""
    blocks = (enhanced(packet, packet.at_ns, order) for packet in packets)
    return section(order) + interface(order, resolution=9) + b"".join(blocks)


class Pipe(io.RawIOBase):
    """A file that cannot be sought in, and gives a few bytes at a time."""

    def __init__(self, data: bytes, piece: int = 7) -> None:
        self._data, self._piece = io.BytesIO(data), piece

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most a piece."""
        return self._data.read(min(size, self._piece) if size >= 0 else self._piece)


def read(data: bytes, piece: int | None = None) -> tuple[list[Kept], CaptureReader]:
    """All packets of a file, and its reader; ``piece``: by a pipe that gives so many bytes at a time."""
    reader = CaptureReader(io.BytesIO(data) if piece is None else Pipe(data, piece), "x")  # type: ignore[arg-type]
    found = [
        Kept(at_ns, bytes(buffer[start:end]), wire, number) for at_ns, number, _, buffer, start, end, wire in reader
    ]
    return found, reader
