"""Raw frames: UDP to a client that has an address on paper only and does not answer ARP yet (RFC 2131 §4.1).

Needs CAP_NET_RAW once, when the socket is opened; privileges may be dropped afterwards.
"""

from __future__ import annotations

import socket
import struct

from pxenet.net.datagram import Send, peer_address, peer_port

_ETH_P_IP = 0x0800
_TTL = 64

# IPv4 header without options (RFC 791 §3.1): version/IHL, TOS, total length, identification, flags/offset, TTL, protocol,
# header checksum, source, destination.
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
# UDP header (RFC 768): source port, destination port, length, checksum.
_UDP = struct.Struct("!HHHH")
# The pseudo header that the UDP checksum covers: source, destination, zero, protocol, UDP length.
_PSEUDO = struct.Struct("!4s4sBBH")


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): ones' complement of the ones' complement sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4_udp(
    payload: bytes, source: int, source_port: int, destination: int, destination_port: int, size: int | None = None
) -> bytes:
    """An IPv4 packet that carries one UDP datagram, checksums included.

    ``size``: of the payload, when ``payload`` is only its beginning; then the UDP checksum is left out (zero).
    """
    from_, to = source.to_bytes(4, "big"), destination.to_bytes(4, "big")
    length = _UDP.size + (len(payload) if size is None else size)
    udp = _UDP.pack(source_port, destination_port, length, 0) + payload
    # A sum of zero is sent as all ones: zero on the wire means "no checksum" (RFC 768).
    udp_sum = 0
    if len(udp) == length:
        pseudo = _PSEUDO.pack(from_, to, 0, socket.IPPROTO_UDP, length)
        udp_sum = checksum(pseudo + udp) or 0xFFFF
    udp = _UDP.pack(source_port, destination_port, length, udp_sum) + payload
    head = _IPV4.pack(0x45, 0, _IPV4.size + length, 0, 0, _TTL, socket.IPPROTO_UDP, 0, from_, to)
    head = _IPV4.pack(0x45, 0, _IPV4.size + length, 0, 0, _TTL, socket.IPPROTO_UDP, checksum(head), from_, to)
    return head + udp


class Link:
    """Sends UDP in frames of our own making. Raises PermissionError without CAP_NET_RAW."""

    def __init__(self) -> None:
        # Protocol 0: it receives nothing, so its queue never fills. SOCK_DGRAM: the kernel writes the link-layer header.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)

    def close(self) -> None:
        """Release the socket."""
        self.socket.close()

    def send(self, send: Send) -> bool:
        """Send to ``send.hardware`` by ``send.interface``; both must be set. False when the kernel refuses."""
        assert send.hardware is not None
        packet = ipv4_udp(b"".join(send.parts), send.source, send.port, peer_address(send.to), peer_port(send.to))
        try:
            name = socket.if_indextoname(send.interface)
            self.socket.sendto(packet, (name, _ETH_P_IP, 0, 0, send.hardware))
        except OSError:
            return False
        return True
