"""Frames made of what a server heard and said, as they might have been on the wire.

A server sees payloads and addresses, no frames: identification, time to live and TCP's numbers are made up, and so is the hardware
address of whoever is only known by its IP address. What was not kept of a payload is left out, as a recorder's snap length does.
RFC 894, 791, 768, 9293.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pxenet.net.link import checksum, ipv4_udp

BROADCAST = b"\xff" * 6

_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBHII")
_TCP = struct.Struct("!HHIIBBHHH")
_PSEUDO = struct.Struct("!IIBBH")
_TYPE_IPV4 = 0x0800
_TTL = 64
_TCP_PROTOCOL = 6
_FIN, _SYN, _PSH, _ACK = 0x01, 0x02, 0x08, 0x10
_WINDOW = 65535

SEGMENT_BYTES = 64000
"""The longest TCP segment that is made: as a network card with segmentation offload shows them to a recorder."""


@dataclass(frozen=True, slots=True)
class End:
    """One side of a conversation."""

    address: int
    port: int
    hardware: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as a capture file keeps it."""

    at_ns: int
    """Nanoseconds since the epoch."""
    data: bytes
    """Its first bytes."""
    length: int
    """How many it had on the wire."""
    about: bytes = b""
    """Hardware address of the machine whose boot it belongs to; empty: whoever made it does not say."""


def hardware_of(address: int) -> bytes:
    """A hardware address for somebody of whom only the IPv4 address is known: locally administered, so nobody's card has it."""
    return b"\x02\x00" + address.to_bytes(4, "big")


def udp_frame(at_ns: int, source: End, destination: End, payload: bytes, size: int | None = None) -> Frame:
    """One UDP datagram, unfragmented. ``size``: of the payload, when only its beginning was kept; then without UDP checksum."""
    whole = len(payload) if size is None else size
    packet = ipv4_udp(payload, source.address, source.port, destination.address, destination.port, whole)
    return _framed(at_ns, source, destination, packet, whole - len(payload))


class Conversation:
    """One TCP connection: what each side says becomes segments with the numbers that fit."""

    def __init__(self, client: End, server: End) -> None:
        self._client, self._server = client, server
        self._heard = self._said = 0
        """Next sequence number of either side."""

    def opened(self, at_ns: int) -> Iterator[Frame]:
        """The handshake."""
        yield self._segment(at_ns, True, _SYN)
        self._heard += 1
        yield self._segment(at_ns, False, _SYN | _ACK)
        self._said += 1
        yield self._segment(at_ns, True, _ACK)

    def heard(self, at_ns: int, data: bytes, size: int | None = None) -> Iterator[Frame]:
        """The client says something; ``size``: how much, when ``data`` is only its beginning."""
        for piece, length in _pieces(data, size):
            yield self._segment(at_ns, True, _PSH | _ACK, piece, length)
            self._heard += length

    def said(self, at_ns: int, data: bytes, size: int | None = None) -> Iterator[Frame]:
        """The server does."""
        for piece, length in _pieces(data, size):
            yield self._segment(at_ns, False, _PSH | _ACK, piece, length)
            self._said += length

    def closed(self, at_ns: int) -> Iterator[Frame]:
        """Both sides have finished."""
        yield self._segment(at_ns, False, _FIN | _ACK)
        self._said += 1
        yield self._segment(at_ns, True, _FIN | _ACK)
        self._heard += 1
        yield self._segment(at_ns, False, _ACK)

    def _segment(self, at_ns: int, by_client: bool, flags: int, data: bytes = b"", size: int | None = None) -> Frame:
        source, destination = (self._client, self._server) if by_client else (self._server, self._client)
        own, others = (self._heard, self._said) if by_client else (self._said, self._heard)
        whole = len(data) if size is None else size
        acknowledged = others if flags & _ACK else 0
        fields = (source.port, destination.port, own & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, 5 << 4, flags, _WINDOW)
        tcp = _TCP.pack(*fields, 0, 0)
        if whole == len(data):
            pseudo = _PSEUDO.pack(source.address, destination.address, 0, _TCP_PROTOCOL, _TCP.size + whole)
            tcp = _TCP.pack(*fields, checksum(pseudo + tcp + data), 0)
        total = _IPV4.size + _TCP.size + whole
        head = _IPV4.pack(0x45, 0, total, 0, 0, _TTL, _TCP_PROTOCOL, 0, source.address, destination.address)
        head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
        return _framed(at_ns, source, destination, head + tcp + data, whole - len(data))


def _pieces(data: bytes, size: int | None) -> Iterator[tuple[bytes, int]]:
    """(what is kept, length) of each segment."""
    left = len(data) if size is None else size
    while left:
        length = min(left, SEGMENT_BYTES)
        yield data[:length], length
        data, left = data[length:], left - length


def _framed(at_ns: int, source: End, destination: End, packet: bytes, missing: int) -> Frame:
    data = _ETHERNET.pack(destination.hardware, source.hardware, _TYPE_IPV4) + packet
    return Frame(at_ns, data, len(data) + missing)
