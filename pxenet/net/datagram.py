"""Datagrams as values: what came in, and what shall go out.

The one module of ``net`` that engines import: it holds no socket. Both classes are plain slotted ones, not frozen, because
one is made for each packet. Peers are raw ``sockaddr`` bytes as the kernel gives them: they are the dictionary key of a TFTP
transfer, and nothing has to be formatted on the way.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

BATCH = 128
"""Datagrams taken from a socket before others get their turn."""

BROADCAST = 0xFFFFFFFF
"""255.255.255.255, the limited broadcast address."""

# struct sockaddr_in: family (host order), port, address, 8 bytes of zero.
_FAMILY = struct.Struct("=H")
_PORT_ADDRESS = struct.Struct("!HI8x")
_FAMILY_INET = _FAMILY.pack(socket.AF_INET)


def pack_peer(address: int, port: int) -> bytes:
    """The ``sockaddr_in`` of an IPv4 address (as an int) and a UDP port."""
    return _FAMILY_INET + _PORT_ADDRESS.pack(port, address)


def peer_address(peer: bytes) -> int:
    """The IPv4 address of a ``sockaddr_in``, as an int."""
    return int.from_bytes(peer[4:8], "big")


def peer_port(peer: bytes) -> int:
    """The UDP port of a ``sockaddr_in``."""
    return int.from_bytes(peer[2:4], "big")


def peer_text(peer: bytes) -> str:
    """``10.0.0.5:2070``, for people."""
    return f"{socket.inet_ntoa(peer[4:8])}:{peer_port(peer)}"


@dataclass(slots=True)
class Datagram:
    """One UDP payload that arrived."""

    data: bytes
    peer: bytes
    """Where it came from, raw ``sockaddr_in``."""
    local: int
    """The address of ours by which an answer should leave: the destination if it was unicast, else the interface's own."""
    port: int
    """The local UDP port it came to."""
    interface: int
    """Index of the interface it came in by; 0 when the kernel does not say."""
    broadcast: bool = False
    """It was sent to a broadcast address."""


class Quads(Sequence[Datagram]):
    """Datagrams of four octets each that came to one port of ours, by one interface, for one address: most of what a server hears.

    For those in a hurry in columns, of which nothing is made per datagram; for all others a sequence like any other.
    """

    __slots__ = ("broadcast", "interface", "local", "peers", "port", "words")

    def __init__(
        self, peers: Sequence[bytes], words: Sequence[int], local: int, port: int, interface: int, broadcast: bool
    ) -> None:
        self.peers = peers
        self.words = words
        """The octets of each, as a number in network order."""
        self.local, self.port, self.interface, self.broadcast = local, port, interface, broadcast

    def __len__(self) -> int:
        return len(self.peers)

    @overload
    def __getitem__(self, index: int) -> Datagram: ...

    @overload
    def __getitem__(self, index: slice) -> list[Datagram]: ...

    def __getitem__(self, index: int | slice) -> Datagram | list[Datagram]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self.datagram(self.peers[index], self.words[index])

    def datagram(self, peer: bytes, word: int) -> Datagram:
        """One of them as a value."""
        return Datagram(word.to_bytes(4, "big"), peer, self.local, self.port, self.interface, self.broadcast)


@dataclass(slots=True)
class Send:
    """One UDP payload that shall leave."""

    to: bytes
    """Destination, raw ``sockaddr_in``."""
    parts: Sequence[bytes | memoryview]
    """The payload in pieces, so that nobody has to join a header and a slice of a file."""
    source: int = 0
    """Local address to send from; 0 = the kernel chooses."""
    port: int = 0
    """Local UDP port to send from; names the socket."""
    interface: int = 0
    """Interface index to leave by; 0 = by route."""
    hardware: bytes | None = None
    """When set, a raw frame to this hardware address: the client does not answer ARP yet (RFC 2131 §4.1)."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as the system describes it."""

    index: int
    name: str
    hardware: bytes
    addresses: tuple[tuple[int, int], ...]
    """(IPv4 address, prefix length), the first one is its own address towards clients."""
