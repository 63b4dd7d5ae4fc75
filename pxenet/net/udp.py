"""UDP sockets for servers: which interface and address a datagram came to, and leave by.

The portable path: one system call per datagram, in batches for the caller. Nothing here knows what the payloads mean.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from pxenet.net.datagram import BATCH, BROADCAST, Datagram, Send, pack_peer, peer_address, peer_port

MAX_DATAGRAM = 65_536
"""More than any UDP payload."""

MAX_PAYLOAD = 65_507
"""The largest UDP payload over IPv4."""

Parts = Sequence[bytes | memoryview]
"""One datagram in pieces."""

GONE = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EINTR})
"""What a receive may say of an earlier send; nothing is wrong with what has arrived."""

QUEUE_BYTES = 4 << 20
"""Room for what waits to be received: a thousand machines may ask in one instant."""

_SO_RCVBUFFORCE: int = getattr(
    socket, "SO_RCVBUFFORCE", 33
)  # asm-generic/socket.h; the socket module has no name for it

_IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)

_SO_MEMINFO = 55  # asm-generic/socket.h
_MEMINFO = struct.Struct("=9I")
"""<linux/sock_diag.h>, SK_MEMINFO_VARS: the last of the words counts what did not fit into the queue."""

# struct in_pktinfo: interface index, local address (sent from / received at), destination in the header.
_PKTINFO = struct.Struct("=i4s4s")
_PKTINFO_SPACE = socket.CMSG_SPACE(_PKTINFO.size)


@dataclass(slots=True)
class UdpStatistics:
    """Counters of one socket."""

    received: int = 0
    sent: int = 0
    unsent: int = 0
    """Datagrams that the kernel refused; to the peer they look like lost packets."""
    overflowed: int = 0
    """Datagrams that came, and found no room in the queue. Up to date in what ``counted`` gives."""


def widen_queue(sock: socket.socket, size: int = QUEUE_BYTES) -> None:
    """Have room for so much that waits to be received: with CAP_NET_ADMIN always, else up to net.core.rmem_max."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def queue_bytes(sock: socket.socket) -> int:
    """The room that it has. The kernel tells twice of what was asked for, with what it needs itself (socket(7))."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def granted_queue_bytes() -> int:
    """The room that sockets made by this user get."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as made:
        widen_queue(made)
        return queue_bytes(made)


EVERYWHERE = "0.0.0.0"


def overflowed(sock: socket.socket) -> int:
    """How many datagrams found no room in its queue since it was made."""
    found: int = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[-1]
    return found


def bind_udp(
    port: int, address: str = EVERYWHERE, interface: str | None = None, *, shared: bool = False
) -> socket.socket:
    """A bound socket of the kind that ``UdpSocket`` serves. Raises OSError when the port cannot be bound.

    ``shared``: others of ours may be bound to it too; the kernel gives each client to one of them (SO_REUSEPORT).
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if address == EVERYWHERE:
            # Who has one address needs not be told which.
            made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        widen_queue(made)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if interface:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        made.bind((address, port))
    except BaseException:
        made.close()
        raise
    return made


class UdpSocket:
    """One bound, non-blocking UDP socket.

    ``interface``: listen on that one alone (SO_BINDTODEVICE), so that another server may use the port elsewhere on the machine.
    Raises OSError when the port cannot be bound.
    """

    def __init__(
        self,
        port: int,
        address: str = EVERYWHERE,
        interface: str | None = None,
        *,
        bound: socket.socket | None = None,
    ) -> None:
        """``bound``: a socket of ``bind_udp``, instead of one that is made here."""
        self.statistics = UdpStatistics()
        """Add to them; read what ``counted`` gives."""
        self.interface = socket.if_nametoindex(interface) if interface else 0
        self.socket = bound or bind_udp(port, address, interface)
        address, self.port = self.socket.getsockname()
        self.local = int.from_bytes(socket.inet_aton(address), "big")
        """The address that it is bound to; 0: all of this machine."""
        self._overflowed = overflowed(self.socket)
        """Before it was ours."""

    def counted(self) -> UdpStatistics:
        """The counters, up to date."""
        self.statistics.overflowed = overflowed(self.socket) - self._overflowed
        return self.statistics

    def fileno(self) -> int:
        """For waiting until it is readable."""
        return self.socket.fileno()

    def close(self) -> None:
        """Release the port."""
        self.socket.close()

    def receive(self) -> Sequence[Datagram]:
        """Whatever has arrived, at most ``BATCH``; empty when there is nothing."""
        batch: list[Datagram] = []
        while len(batch) < BATCH:
            try:
                data, ancillary, _, source = self.socket.recvmsg(MAX_DATAGRAM, _PKTINFO_SPACE)
            except BlockingIOError:
                break
            except OSError as error:
                # An ICMP error of an earlier send shows up here. The peer is gone; its engine times it out.
                if error.errno in GONE:
                    continue
                raise
            batch.append(self._datagram(data, ancillary, source))
        self.statistics.received += len(batch)
        return batch

    def _datagram(self, data: bytes, ancillary: list[tuple[int, int, bytes]], source: tuple[str, int]) -> Datagram:
        index = 0
        local = destination = self.local.to_bytes(4, "big")
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(value) >= _PKTINFO.size:
                index, local, destination = _PKTINFO.unpack_from(value)
        peer = pack_peer(int.from_bytes(socket.inet_aton(source[0]), "big"), source[1])
        # The kernel's "local" is the interface's own address for a broadcast, which is what a reply should leave by. The two
        # differ for broadcast and multicast only.
        broadcast = destination != local or destination == b"\xff\xff\xff\xff"
        return Datagram(data, peer, int.from_bytes(local, "big"), self.port, index, broadcast)

    def send(self, send: Send) -> bool:
        """Hand one datagram to the kernel; False when it was refused, which the peer cannot tell from a loss."""
        return self.send_parts(send.parts, send.to, send.source, send.interface)

    def send_many(self, sends: Sequence[Send]) -> int:
        """Hand datagrams to the kernel in order; how many it refused."""
        return sum(not self.send(send) for send in sends)

    def send_run(self, run: Sequence[Parts], to: bytes, source: int, interface: int) -> int:
        """Hand several datagrams for one peer to the kernel, in order; how many it refused. None but the last may be shorter."""
        return sum(not self.send_parts(parts, to, source, interface) for parts in run)

    def send_parts(self, parts: Sequence[bytes | memoryview], to: bytes, source: int, interface: int) -> bool:
        """As ``send``, without the object around it."""
        try:
            self.socket.sendmsg(parts, self.ancillary(to, source, interface), 0, socket_address(to))
        except OSError:
            self.statistics.unsent += 1
            return False
        self.statistics.sent += 1
        return True

    def ancillary(self, to: bytes, source: int, interface: int) -> list[tuple[int, int, bytes]]:
        """What the kernel is told beside the destination: our address, and for a broadcast the interface."""
        address = peer_address(to)
        # Only a broadcast needs to be told its interface: for the others the route is right, also when a relay answers by
        # another interface than the one it asked by.
        index = interface if address == BROADCAST else 0
        if not index and source in (0, self.local):
            return []
        return [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(index, source.to_bytes(4, "big"), b"\0\0\0\0"))]


def socket_address(peer: bytes) -> tuple[str, int]:
    """A raw ``sockaddr_in`` as the socket module wants it."""
    return socket.inet_ntoa(peer[4:8]), peer_port(peer)


def counted(sockets: Iterable[UdpSocket]) -> dict[str, UdpStatistics]:
    """What sockets have counted, by port: several may have one, each on an address of its own."""
    found: dict[str, UdpStatistics] = {}
    for udp in sockets:
        total, one = found.setdefault(str(udp.port), UdpStatistics()), udp.counted()
        for field in fields(UdpStatistics):
            setattr(total, field.name, getattr(total, field.name) + getattr(one, field.name))
    return found
