"""Whether an address is somebody's: ARP probes, which change nobody's tables (RFC 5227 §2.1.1). Needs CAP_NET_RAW."""

from __future__ import annotations

import socket
import struct

_ETH_P_ARP = 0x0806
_BROADCAST = b"\xff" * 6

# RFC 826: hardware type, protocol type, their lengths, operation; sender's hardware and protocol address, target's.
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET, _IPV4, _REQUEST, _REPLY = 1, 0x0800, 1, 2


class Arp:
    """Asks on one interface. Raises PermissionError without CAP_NET_RAW, OSError when there is no such interface."""

    def __init__(self, interface: str, hardware: bytes) -> None:
        self._interface, self._hardware = interface, hardware
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self.socket = socket.socket(socket.AF_PACKET, kind, 0)
        try:
            self.socket.bind((interface, _ETH_P_ARP))
        except BaseException:
            self.socket.close()
            raise

    def close(self) -> None:
        """Release the socket."""
        self.socket.close()

    def probe(self, address: int) -> bool:
        """Ask who has it, without an address of one's own. False when the kernel refuses."""
        target = address.to_bytes(4, "big")
        packet = _ARP.pack(_ETHERNET, _IPV4, 6, 4, _REQUEST, self._hardware, bytes(4), bytes(6), target)
        try:
            self.socket.sendto(packet, (self._interface, _ETH_P_ARP, 0, 0, _BROADCAST))
        except OSError:
            return False
        return True

    def receive(self) -> list[tuple[int, bytes]]:
        """Who has said so by now: address, and hardware address."""
        found: list[tuple[int, bytes]] = []
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return found
            said = said_untrusted(packet)
            if said is not None:
                found.append(said)


def said_untrusted(packet: bytes) -> tuple[int, bytes] | None:
    """Whose address a reply says it is; None: it is no reply over Ethernet and IPv4."""
    if len(packet) < _ARP.size:
        return None
    *kind, hardware, address, _, _ = _ARP.unpack_from(packet)
    if kind != [_ETHERNET, _IPV4, 6, 4, _REPLY]:
        return None
    return int.from_bytes(address, "big"), hardware
