"""Where a DHCP reply goes: a value, computed by a pure function from the request and what kind of answer it is.

RFC 2131 §4.1 and §4.3.2, RFC 8357 (relay source port); the order of the rules matters. Must not know leases or options.
"""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.net.datagram import BROADCAST, Datagram, Send, pack_peer, peer_address, peer_port
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import HTYPE_ETHERNET

_ETHERNET_BYTES = 6


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one reply, and the rule that chose it."""

    address: int
    port: int
    hardware: bytes | None = None
    """The frame's destination where the client cannot answer ARP yet."""
    on_link: bool = False
    """It has to leave by the interface the request came in by; else as the kernel routes it."""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Ports:
    """UDP ports: ours (and relays'), and the boot server's. The client's is one above ours."""

    server: int = 67
    boot_server: int = 4011

    @property
    def client(self) -> int:
        """68 beside 67."""
        return self.server + 1


def route(
    request: Message, datagram: Datagram, ports: Ports, yiaddr: int, *, nak: bool, relay_source_port: bool
) -> Route:
    """Where the reply goes that gives ``yiaddr`` (0: no address), or refuses (``nak``)."""
    if datagram.port == ports.boot_server:
        return _back(request, datagram)
    if request.giaddr:
        port = peer_port(datagram.peer) if relay_source_port else ports.server
        return Route(request.giaddr, port, rule="relay")
    if nak:
        # Its address is wrong, so it cannot be reached by it (RFC 2131 §4.3.2), not even in answer to a unicast renewal.
        return Route(BROADCAST, ports.client, on_link=True, rule="NAK is broadcast")
    if request.ciaddr:
        return Route(request.ciaddr, ports.client, rule="ciaddr")
    if request.broadcast:
        return Route(BROADCAST, ports.client, on_link=True, rule="broadcast flag")
    if not yiaddr:
        # An INFORM that leaves ciaddr empty can be answered where it came from; a client without any address only by broadcast.
        if source := peer_address(datagram.peer):
            return Route(source, ports.client, rule="source address")
        return Route(BROADCAST, ports.client, on_link=True, rule="no address")
    if request.htype != HTYPE_ETHERNET or request.hlen != _ETHERNET_BYTES:
        return Route(BROADCAST, ports.client, on_link=True, rule="no Ethernet address")
    return Route(yiaddr, ports.client, request.hardware, on_link=True, rule="yiaddr by raw frame")


def _back(request: Message, datagram: Datagram) -> Route:
    """The boot server's port: firmware asks from 4011, iPXE from 68, and each listens where it asked from."""
    address = request.ciaddr or peer_address(datagram.peer)
    port = peer_port(datagram.peer)
    if address:
        return Route(address, port, rule="back to the source")
    return Route(BROADCAST, port, on_link=True, rule="back to a source without address")


def send_by(way: Route, datagram: Datagram, source: int, payload: bytes) -> Send:
    """The reply as a value for the shell: it leaves from the port and (where needed) the interface the request came to."""
    return Send(
        to=pack_peer(way.address, way.port),
        parts=(payload,),
        source=source,
        port=datagram.port,
        interface=datagram.interface if way.on_link else 0,
        hardware=way.hardware,
    )
