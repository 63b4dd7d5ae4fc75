"""Frames ↔ UDP and TCP payloads, over IPv4 and IPv6, and ARP. The plain path: ``skim`` must equal it.

    Ethernet   destination 6, source 6, [VLAN tag 4]*, type 2
    cooked v1  packet type 2, hardware type 2, address length 2, source 8, type 2                                (LINKTYPE_LINUX_SLL)
    cooked v2  type 2, reserved 2, interface 4, hardware type 2, packet type 1, address length 1, source 8       (LINKTYPE_LINUX_SLL2)
    loopback   address family 4, in the recorder's byte order (null) or the network's (loop)
    raw        nothing: IP begins at once
    ARP        hardware type 2, protocol 2, lengths 1 1, operation 2, sender 6 4, target 6 4
    IPv4       version+length 1, tos 1, total 2, id 2, flags+offset 2, ttl 1, protocol 1, checksum 2, source 4, destination 4
    IPv6       version+class+flow 4, length 2, next header 1, hops 1, source 16, destination 16, [extension headers]*
    UDP        source port 2, destination port 2, length 2, checksum 2
    TCP        source port 2, destination port 2, sequence 4, acknowledged 4, offset 1, flags 1, window 2, checksum 2, urgent 2

Knows nothing of what the payloads mean. RFC 894, 791, 8200, 768, 826, 9293; link types: the tcpdump project's list.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pxenet.wire.reader import Reader, WireError

UDP = 17
TCP = 6

ETHERNET = 1
"""Link type, as capture files number them."""
RAW_TYPES = frozenset({12, 14, 101, 228, 229})
"""Link types in which IP begins at once: three numbers of BSD's and Linux' raw IP, then IPv4 and IPv6 by themselves."""
NULL, LOOP = 0, 108
COOKED, COOKED_2 = 113, 276
LINK_TYPES = frozenset({ETHERNET, NULL, LOOP, COOKED, COOKED_2, *RAW_TYPES})
"""Those that can be read."""

_TYPE_IPV4 = 0x0800
_TYPE_ARP = 0x0806
_TYPE_IPV6 = 0x86DD
_TYPES_VLAN = (0x8100, 0x88A8, 0x9100)  # 802.1Q, 802.1ad, and what was used for double tags before it

_MAX_TAGS = 8
_MAX_EXTENSIONS = 8
"""A longer chain of extension headers is no boot's (RFC 8200 §4.1 names seven, each once)."""
_FRAGMENT = 44
_EXTENSIONS = frozenset({0, 43, 60, _FRAGMENT})  # hop-by-hop options, routing, destination options, fragment
_FAMILY_INET6 = frozenset({10, 24, 28, 30})  # Linux and the BSDs number IPv6 each their own way

_IPV4 = struct.Struct("!BBHHHBBHII")
_UDP = struct.Struct("!HHHH")
# For the checksum: source, destination, zero, protocol, UDP length (RFC 768).
_PSEUDO = struct.Struct("!IIBBH")


class TruncatedError(WireError):
    """The recorder kept less of a packet than its headers need (snap length). What was on the wire may have been in order."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One UDP datagram or TCP segment, with the addresses of all its layers."""

    source: int
    """IP address, as an int: of 32 bits when ``version`` is 4, of 128 when 6."""
    source_port: int
    destination: int
    destination_port: int
    payload: bytes
    """As much of it as was recorded."""
    protocol: int = UDP
    """UDP or TCP."""
    version: int = 4
    source_hardware: bytes = bytes(6)
    """Zeros where the link has none."""
    destination_hardware: bytes = b"\xff" * 6
    """Broadcast where the link has none, or does not tell (cooked captures)."""
    sequence: int = 0
    """TCP: number of the payload's first byte."""
    acknowledged: int = 0
    """TCP: number of the byte that is expected next from the other side."""
    flags: int = 0
    """TCP: see ``FIN``, ``SYN``, ``RST``, ``ACK``."""
    cut_bytes: int = 0
    """How much of the payload the recorder left out (snap length)."""

    @property
    def payload_bytes(self) -> int:
        """Size of the payload on the wire."""
        return len(self.payload) + self.cut_bytes


FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(frozen=True, slots=True)
class Arp:
    """One ARP packet of IPv4 over Ethernet. RFC 826."""

    request: bool
    sender_hardware: bytes
    sender: int
    target_hardware: bytes
    target: int
    source_hardware: bytes
    destination_hardware: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of an IP datagram. RFC 791 §3.2, RFC 8200 §4.5."""

    version: int
    source: int
    destination: int
    identification: int
    protocol: int
    offset: int
    """In bytes."""
    more: bool
    """Others follow behind it."""
    payload: bytes
    source_hardware: bytes
    destination_hardware: bytes


def parse(frame: bytes) -> Packet | None:
    """The datagram or segment in an Ethernet frame; None when there is none (ARP, ICMP, a fragment).

    WireError: a frame whose lengths contradict each other, or that was cut short.
    """
    found = decode(frame)
    return found if isinstance(found, Packet) else None


def decode(frame: bytes, link: int = ETHERNET, wire_bytes: int | None = None) -> Packet | Arp | Fragment | None:
    """What a frame carries: a datagram or segment, a piece of one, ARP; None for anything else.

    ``link``: one of :data:`LINK_TYPES`. ``wire_bytes``: its length before the recorder cut it; None: it was not cut.
    WireError: lengths that contradict each other. TruncatedError: the headers go on behind what was recorded.
    """
    cut = 0 if wire_bytes is None else max(wire_bytes - len(frame), 0)
    try:
        return _decode(frame, link, cut)
    except WireError as error:
        if cut and error.reason.startswith("needs "):
            raise TruncatedError(error.offset, error.field, f"{error.reason}; the recorder left out {cut}") from error
        raise


def _decode(frame: bytes, link: int, cut: int) -> Packet | Arp | Fragment | None:
    reader = Reader(frame)
    source, destination, kind = _link(reader, frame, link)
    if kind == _TYPE_IPV4:
        return _ipv4(reader, source, destination, cut)
    if kind == _TYPE_IPV6:
        return _ipv6(reader, source, destination, cut)
    if kind == _TYPE_ARP:
        return _arp(reader, source, destination)
    return None


def _link(reader: Reader, frame: bytes, link: int) -> tuple[bytes, bytes, int]:
    """Source and destination hardware address, and the type of what follows; 0 when it is nothing of ours."""
    source, destination = bytes(6), b"\xff" * 6
    if link == ETHERNET:
        destination, source = reader.take(6, "destination"), reader.take(6, "source")
        kind = reader.u16("type")
    elif link == COOKED:
        reader.take(2, "packet type")
        reader.take(2, "hardware type")
        source = _cooked_source(reader.u16("address length"), reader.take(8, "source"))
        kind = reader.u16("type")
    elif link == COOKED_2:
        kind = reader.u16("type")
        reader.take(9, "interface")
        source = _cooked_source(reader.u8("address length"), reader.take(8, "source"))
    elif link in (NULL, LOOP):
        raw = reader.take(4, "address family")
        family = min(int.from_bytes(raw, "big"), int.from_bytes(raw, "little"))  # the smaller reading is the right one
        return source, destination, _TYPE_IPV4 if family == 2 else _TYPE_IPV6 if family in _FAMILY_INET6 else 0
    elif link not in RAW_TYPES:
        return source, destination, 0
    else:
        if not frame:
            raise WireError(0, "version", "needs 1 bytes, 0 are left")
        return source, destination, {4: _TYPE_IPV4, 6: _TYPE_IPV6}.get(frame[0] >> 4, 0)
    for _ in range(_MAX_TAGS):
        if kind not in _TYPES_VLAN:
            break
        reader.take(2, "VLAN tag")
        kind = reader.u16("type")
    return source, destination, kind


def _cooked_source(size: int, raw: bytes) -> bytes:
    # Loopback and tunnels have none.
    return raw[:6] if size == 6 else bytes(6)


def _arp(reader: Reader, source: bytes, destination: bytes) -> Arp | None:
    kinds = reader.u16("hardware type"), reader.u16("protocol type"), reader.u16("lengths")
    operation = reader.u16("operation")
    if kinds != (1, _TYPE_IPV4, 0x0604) or operation not in (1, 2):
        return None
    sender = reader.take(6, "sender"), reader.u32("sender address")
    target = reader.take(6, "target"), reader.u32("target address")
    return Arp(operation == 1, *sender, *target, source, destination)


def _ipv4(reader: Reader, source: bytes, destination: bytes, cut: int) -> Packet | Fragment | None:
    start = reader.offset
    length = (reader.u8("IP header length") & 15) * 4
    if length < _IPV4.size:
        raise WireError(start, "IP header length", f"{length} is less than {_IPV4.size}")
    reader.take(1, "type of service")
    total = reader.u16("total length")
    identification = reader.u16("identification")
    fragment = reader.u16("fragment offset")
    reader.take(1, "time to live")
    protocol = reader.u8("protocol")
    reader.take(2, "checksum")
    addresses = reader.u32("source"), reader.u32("destination")
    reader.take(length - _IPV4.size, "IP options")
    if protocol not in (UDP, TCP):
        return None
    inner, missing = _inside(reader, total - length, "IP payload", cut)  # Ethernet may pad behind it
    if fragment & 0x3FFF:
        more, at = bool(fragment & 0x2000), (fragment & 0x1FFF) * 8
        return _piece(4, addresses, identification, protocol, at, more, inner, missing, source, destination)
    return transport(4, protocol, *addresses, inner, missing, source, destination)


def _ipv6(reader: Reader, source: bytes, destination: bytes, cut: int) -> Packet | Fragment | None:
    reader.take(4, "version")
    size, protocol = reader.u16("payload length"), reader.u8("next header")
    reader.take(1, "hop limit")
    addresses = _u128(reader, "source"), _u128(reader, "destination")
    inner, missing = _inside(reader, size, "IP payload", cut)
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS:
            break
        following = inner.u8("next header")
        if protocol == _FRAGMENT:
            inner.take(1, "reserved")
            word, identification = inner.u16("fragment offset"), inner.u32("identification")
            at, more = word & 0xFFF8, bool(word & 1)
            if more or at:
                return _piece(6, addresses, identification, following, at, more, inner, missing, source, destination)
        else:
            inner.take(inner.u8("extension length") * 8 + 6, "extension header")
        protocol = following
    if protocol not in (UDP, TCP):
        return None
    return transport(6, protocol, *addresses, inner, missing, source, destination)


def _u128(reader: Reader, field: str) -> int:
    return int.from_bytes(reader.take(16, field), "big")


def _inside(reader: Reader, size: int, field: str, cut: int) -> tuple[Reader, int]:
    """A cursor over the next ``size`` bytes, and how many of them the recorder left out."""
    if size < 0:
        raise WireError(reader.offset, field, f"its length is less than its header's: {size}")
    missing = min(max(size - reader.left, 0), cut)
    return reader.within(size - missing, field), missing


def _piece(
    version: int, addresses: tuple[int, int], identification: int, protocol: int, offset: int, more: bool,
    inner: Reader, missing: int, source: bytes, destination: bytes,
) -> Fragment:  # fmt: skip
    if missing:
        raise TruncatedError(inner.offset, "fragment", f"the recorder left out {missing} bytes of it")
    return Fragment(version, *addresses, identification, protocol, offset, more, inner.rest(), source, destination)


def transport(
    version: int, protocol: int, source: int, destination: int, inner: Reader, missing: int,
    source_hardware: bytes, destination_hardware: bytes,
) -> Packet:  # fmt: skip
    """The datagram or segment inside IP, of whose end ``missing`` bytes were not recorded. WireError, as ``decode``."""
    start = inner.offset
    ports = inner.u16("source port"), inner.u16("destination port")
    sequence = acknowledged = flags = 0
    if protocol == UDP:
        size = inner.u16("UDP length")
        if size < _UDP.size:
            raise WireError(start + 4, "UDP length", f"{size} is less than {_UDP.size}")
        inner.take(2, "checksum")
        cut = min(max(size - _UDP.size - inner.left, 0), missing)
        payload = inner.take(size - _UDP.size - cut, "UDP payload")
    else:
        sequence, acknowledged = inner.u32("sequence"), inner.u32("acknowledged")
        length = (inner.u8("data offset") >> 4) * 4
        if length < 20:
            raise WireError(start + 12, "data offset", f"{length} is less than 20")
        flags = inner.u8("flags")
        inner.take(length - 14, "TCP header")
        payload, cut = inner.rest(), missing
    return Packet(
        source, ports[0], destination, ports[1], payload, protocol, version,
        source_hardware, destination_hardware, sequence, acknowledged, flags, cut,
    )  # fmt: skip


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
