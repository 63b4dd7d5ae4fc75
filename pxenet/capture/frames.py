"""Ethernet frames ↔ UDP and TCP payloads, over IPv4 and IPv6.

    Ethernet   destination 6, source 6, [802.1Q tag 4]*, type 2
    IPv4       version+length 1, tos 1, total 2, id 2, flags+offset 2, ttl 1, protocol 1, checksum 2, source 4, destination 4
    IPv6       version+class+flow 4, length 2, next header 1, hops 1, source 16, destination 16
    UDP        source port 2, destination port 2, length 2, checksum 2
    TCP        source port 2, destination port 2, sequence 4, acknowledged 4, offset 1, flags 1, window 2, checksum 2, urgent 2

Knows nothing of what the payloads mean. RFC 894, 791, 8200, 768, 9293.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pxenet.wire.reader import Reader

UDP = 17
TCP = 6

_TYPE_IPV4 = 0x0800
_TYPE_IPV6 = 0x86DD
_TYPES_VLAN = (0x8100, 0x88A8)

_IPV4 = struct.Struct("!BBHHHBBHII")
_UDP = struct.Struct("!HHHH")
# For the checksum: source, destination, zero, protocol, UDP length (RFC 768).
_PSEUDO = struct.Struct("!IIBBH")


@dataclass(frozen=True, slots=True)
class Packet:
    """One UDP datagram or TCP segment, with the addresses of all its layers."""

    source: int
    """IP address, as an int: of 32 bits when ``version`` is 4, of 128 when 6."""
    source_port: int
    destination: int
    destination_port: int
    payload: bytes
    protocol: int = UDP
    """UDP or TCP."""
    version: int = 4
    source_hardware: bytes = bytes(6)
    destination_hardware: bytes = b"\xff" * 6
    sequence: int = 0
    """TCP: number of the payload's first byte."""


def parse(frame: bytes) -> Packet | None:
    """The datagram or segment in an Ethernet frame; None when there is none (ARP, ICMP, a fragment).

    WireError: a frame whose lengths contradict each other, or that was cut short.
    """
    reader = Reader(frame)
    destination_hardware, source_hardware = reader.take(6, "destination"), reader.take(6, "source")
    kind = reader.u16("type")
    while kind in _TYPES_VLAN:
        reader.take(2, "VLAN tag")
        kind = reader.u16("type")
    if kind == _TYPE_IPV4:
        found = _ipv4(reader)
    elif kind == _TYPE_IPV6:
        found = _ipv6(reader)
    else:
        return None
    if found is None:
        return None
    version, protocol, source, destination, inner = found
    ports = inner.u16("source port"), inner.u16("destination port")
    sequence = 0
    if protocol == UDP:
        size = inner.u16("UDP length")
        inner.take(2, "checksum")
        payload = inner.take(max(size - 8, 0), "UDP payload")
    else:
        sequence = inner.u32("sequence")
        inner.take(4, "acknowledged")
        header = (inner.u8("data offset") >> 4) * 4
        inner.take(max(header - 13, 0), "TCP header")
        payload = inner.rest()
    return Packet(
        source, ports[0], destination, ports[1], payload, protocol, version,
        source_hardware, destination_hardware, sequence,
    )  # fmt: skip


def _ipv4(reader: Reader) -> tuple[int, int, int, int, Reader] | None:
    start = reader.offset
    length = (reader.u8("IP header length") & 15) * 4
    reader.take(1, "type of service")
    total = reader.u16("total length")
    reader.take(2, "identification")
    fragment = reader.u16("fragment offset")
    reader.take(1, "time to live")
    protocol = reader.u8("protocol")
    reader.take(2, "checksum")
    source, destination = reader.u32("source"), reader.u32("destination")
    reader.take(max(length - 20, 0), "IP options")
    inner = reader.within(max(total - (reader.offset - start), 0), "IP payload")  # Ethernet may pad behind it
    if protocol not in (UDP, TCP) or fragment & 0x3FFF:
        return None
    return 4, protocol, source, destination, inner


def _ipv6(reader: Reader) -> tuple[int, int, int, int, Reader] | None:
    reader.take(4, "version")
    size, protocol = reader.u16("payload length"), reader.u8("next header")
    reader.take(1, "hop limit")
    source, destination = (int.from_bytes(reader.take(16, field), "big") for field in ("source", "destination"))
    inner = reader.within(size, "IP payload")
    return (6, protocol, source, destination, inner) if protocol in (UDP, TCP) else None


def serialize_udp(packet: Packet) -> bytes:
    """The Ethernet frame of a UDP datagram over IPv4, checksums and all. ValueError for anything else."""
    if packet.protocol != UDP or packet.version != 4:
        raise ValueError(f"only UDP over IPv4 is written: {packet!r}")
    size = _UDP.size + len(packet.payload)
    pseudo = _PSEUDO.pack(packet.source, packet.destination, 0, UDP, size)
    ports = packet.source_port, packet.destination_port
    checksum = _checksum(pseudo + _UDP.pack(*ports, size, 0) + packet.payload) or 0xFFFF
    ip = _IPV4.pack(0x45, 0, _IPV4.size + size, 0, 0x4000, 64, UDP, 0, packet.source, packet.destination)
    ip = ip[:10] + _checksum(ip).to_bytes(2, "big") + ip[12:]
    ethernet = packet.destination_hardware + packet.source_hardware + _TYPE_IPV4.to_bytes(2, "big")
    return ethernet + ip + _UDP.pack(*ports, size, checksum) + packet.payload


def _checksum(data: bytes) -> int:
    """The ones' complement of the ones' complement sum of 16-bit words (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
