"""The ports a server needs, bound before privileges are dropped; each failure says who probably has the port and how to see."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pxenet.config import ConfigError, DhcpMode, Settings
from pxenet.net.batched import BatchedUdpSocket, batches
from pxenet.net.datagram import Interface
from pxenet.net.link import Link
from pxenet.net.udp import UdpSocket, bind_udp, queue_bytes
from pxenet.wire.text import address_text

TID_SOCKETS = 4
"""Sockets that transfers leave by, in turn: late packets of a client's last transfer must not meet its next (design §4)."""

_EVERYWHERE = "0.0.0.0"
_ATTEMPTS = 100
"""How often another port is tried when one is free on some addresses and taken on others."""

T = TypeVar("T", UdpSocket, socket.socket)


@dataclass(slots=True)
class Share:
    """What one process serves TFTP and HTTP on."""

    tftp: list[socket.socket] = field(default_factory=list)
    """The well-known port, on each address."""
    tids: list[socket.socket] = field(default_factory=list)
    """What transfers leave by, on each address; empty with ``single_port``."""
    http: list[socket.socket] = field(default_factory=list)
    https: list[socket.socket] = field(default_factory=list)
    """Empty without a certificate."""

    @property
    def tid_ports(self) -> tuple[int, ...]:
        """The numbers of the ports that transfers leave by."""
        return tuple(dict.fromkeys(port_of(tid) for tid in self.tids))

    def close(self) -> None:
        """Release them, in this process."""
        for each in (*self.tftp, *self.tids, *self.http, *self.https):
            each.close()


@dataclass(slots=True)
class Ports:
    """Everything that is open. ``close`` releases it."""

    udp: type[UdpSocket] = UdpSocket
    """The kind of socket that this machine can have."""
    dhcp: list[UdpSocket] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    """For each process that serves files: all share the well-known ports, the kernel gives each client to one of them."""
    link: Link | None = None
    link_refused: bool = False
    """Raw frames are not permitted: clients without an address are answered by broadcast."""

    @property
    def batched(self) -> bool:
        """Datagrams come and go by the batch."""
        return self.udp is not UdpSocket

    @property
    def tid_ports(self) -> tuple[int, ...]:
        """The numbers of the ports that transfers leave by."""
        return tuple(port for share in self.shares for port in share.tid_ports)

    @property
    def queue_bytes(self) -> int:
        """The least room for what waits that any socket for datagrams has."""
        files = [each for share in self.shares for each in (*share.tftp, *share.tids)]
        return min(map(queue_bytes, (*files, *(udp.socket for udp in self.dhcp))))

    def close(self) -> None:
        """Release every port."""
        self.close_own()
        for share in self.shares:
            share.close()

    def close_own(self) -> None:
        """Release what belongs to no share: DHCP's."""
        for udp in self.dhcp:
            udp.close()
        if self.link is not None:
            self.link.close()


def bind(settings: Settings, interfaces: Sequence[Interface]) -> Ports:
    """Open all ports that ``settings`` ask for. Raises ConfigError, with everything closed again."""
    ports = Ports(udp=BatchedUdpSocket if batches() else UdpSocket)
    try:
        _bind_dhcp(ports, settings, interfaces)
        addresses = _addresses(settings, interfaces)
        shared = settings.server.workers > 1
        if shared:
            _claim(settings, addresses)
        for _ in range(settings.server.workers):
            ports.shares.append(Share())
            _bind_share(ports.shares[-1], settings, addresses, shared=shared)
    except BaseException:
        ports.close()
        raise
    return ports


def _claim(settings: Settings, addresses: Sequence[str]) -> None:
    """See that nobody has the ports that are shared among workers: by SO_REUSEPORT another server of this user would share them too."""
    claimed = Share()
    try:
        _bind_share(claimed, settings, addresses, shared=False)
    finally:
        claimed.close()


def _bind_share(share: Share, settings: Settings, addresses: Sequence[str], *, shared: bool) -> None:
    tftp, http = settings.tftp, settings.http
    for address in addresses:
        make = partial(bind_udp, tftp.port, address, shared=shared)
        share.tftp.append(_bound(settings, "tftp.port", tftp.port, "UDP", make))
        make = partial(_listen, address, http.port, shared=shared)
        share.http.append(_bound(settings, "http.port", http.port, "TCP", make))
        if http.tls_cert is not None:
            make = partial(_listen, address, http.tls_port, shared=shared)
            share.https.append(_bound(settings, "http.tls_port", http.tls_port, "TCP", make))
    if not tftp.single_port:
        for _ in range(TID_SOCKETS):
            share.tids += _same_port(addresses)


def modes(settings: Settings) -> set[DhcpMode]:
    """Every way in which DHCP is answered on some network."""
    return {settings.dhcp.mode} | {subnet.mode for subnet in settings.dhcp.subnets}


def _bind_dhcp(ports: Ports, settings: Settings, interfaces: Sequence[Interface]) -> None:
    wanted = modes(settings)
    keys = []
    if wanted != {DhcpMode.OFF}:
        keys.append(("dhcp.port", settings.dhcp.port))
    if DhcpMode.PROXY in wanted:
        keys.append(("dhcp.proxy_port", settings.dhcp.proxy_port))
    # Named interfaces get a socket each, so that another DHCP server (a hypervisor's, say) may serve the others.
    names = [interface.name for interface in interfaces] if settings.server.interfaces else [None]
    for key, port in keys:
        for name in names:
            ports.dhcp.append(_bound(settings, key, port, "UDP", partial(ports.udp, port, interface=name)))
    if DhcpMode.SERVER in wanted:
        try:
            ports.link = Link()
        except PermissionError:
            ports.link_refused = True


def _addresses(settings: Settings, interfaces: Sequence[Interface]) -> list[str]:
    """Where TFTP and HTTP listen: the configured address, else those of the named interfaces, else everywhere.

    By address and not by device, so that who works on the server itself can ask it, and clients behind routers can.
    """
    if settings.server.address is not None:
        return [address_text(settings.server.address)]
    if settings.server.interfaces:
        return [address_text(address) for interface in interfaces for address, _ in interface.addresses]
    return [_EVERYWHERE]


def _same_port(addresses: Sequence[str]) -> list[socket.socket]:
    """A socket on each address, all with one port that the kernel chose: the engine knows its TIDs by their numbers."""
    for attempt in range(_ATTEMPTS):
        sockets = [bind_udp(0, addresses[0])]
        try:
            for address in addresses[1:]:
                sockets.append(bind_udp(port_of(sockets[0]), address))
            return sockets
        except OSError:
            for made in sockets:
                made.close()
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("no attempt was made")


def port_of(bound: socket.socket) -> int:
    """The port that it is bound to."""
    port: int = bound.getsockname()[1]
    return port


def _listen(address: str, port: int, *, shared: bool) -> socket.socket:
    """A listening TCP socket; everywhere means IPv6 too, where there is IPv6."""
    if address == _EVERYWHERE and socket.has_dualstack_ipv6():
        listener = socket.create_server(
            ("::", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True, reuse_port=shared
        )
    else:
        listener = socket.create_server((address, port), backlog=1024, reuse_port=shared)
    listener.setblocking(False)
    return listener


def _bound(settings: Settings, key: str, port: int, protocol: str, make: Callable[[], T]) -> T:
    """What ``make`` opens; an OSError becomes a ConfigError that helps."""
    try:
        return make()
    except OSError as error:
        flag = "-lunp" if protocol == "UDP" else "-ltnp"
        see = f"see who has it with: ss {flag} 'sport = :{port}'; stop that, or set {key}"
        helps = {
            errno.EADDRINUSE: (f"port {port}/{protocol} is taken", see),
            errno.EACCES: (
                f"port {port}/{protocol} needs root",
                f"start as root (server.user drops it), or set {key} above 1023",
            ),
            errno.EPERM: (
                f"port {port}/{protocol} needs root",
                f"start as root (server.user drops it), or set {key} above 1023",
            ),
            errno.EADDRNOTAVAIL: (
                f"{address_text(settings.server.address or 0)} is not an address of this machine",
                "set server.address to one of its own (ip -4 address), or leave it out",
            ),
        }
        wrong, right = helps.get(error.errno or 0, (f"port {port}/{protocol} cannot be opened: {error.strerror}", ""))
        raise ConfigError([settings.problem(key, wrong, right)]) from error
