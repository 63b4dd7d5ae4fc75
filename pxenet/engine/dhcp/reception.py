"""From a datagram to a query: which client, on which network, by which address of ours.

Knows interfaces and subnets; must not know leases. Subnet choice: RFC 3527, RFC 3011, RFC 2131 §4.3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pxenet.engine.dhcp.client import boot_client, lenient
from pxenet.engine.dhcp.query import Query, identity_of, network_of, relayed_of
from pxenet.engine.dhcp.subnet import DhcpSettings, Link, Subnets
from pxenet.model import BootClient, Host
from pxenet.net.datagram import Datagram, Interface
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import OptionCode

HostFinder = Callable[[BootClient], Host | None]
"""Which host of the configuration a machine is."""


class Reception:
    """Makes queries of messages."""

    __slots__ = ("_by_index", "_default_mode", "_hosts", "_match_client_id", "_subnets", "ours")

    def __init__(
        self, settings: DhcpSettings, interfaces: Sequence[Interface], subnets: Subnets, hosts: HostFinder
    ) -> None:
        self._by_index = {interface.index: interface for interface in interfaces}
        if len(interfaces) == 1:
            self._by_index.setdefault(0, interfaces[0])  # the kernel did not say, but there is only one
        self.ours = frozenset(address for interface in interfaces for address, _ in interface.addresses)
        self._match_client_id = settings.match_client_id
        self._default_mode = settings.default_mode
        self._subnets = subnets
        self._hosts = hosts

    def query(self, message: Message, kind: int | None, datagram: Datagram, now: float) -> Query | str:
        """The query, or why it is none."""
        identity = identity_of(message, match_client_id=self._match_client_id)
        if not identity:
            return "no identity"
        interface = self._by_index.get(datagram.interface)
        relayed = relayed_of(message.options)
        network = network_of(message, relayed)
        if interface is None and not network and not message.ciaddr:
            return "interface"
        wire = self._link(message, datagram, network, interface)
        mode = wire[0].subnet.mode if wire else self._default_mode
        link = tuple(served for served in wire if served.subnet.mode == mode)
        server = _our_address(link, datagram, interface)
        client = boot_client(message)
        return Query(
            message=message,
            kind=kind,
            datagram=datagram,
            relayed=relayed,
            client=client,
            identity=identity,
            link=link,
            beside=tuple(served for served in wire if served.subnet.mode != mode),
            mode=mode,
            server=server,
            via=network or server,
            host=self._hosts(client),
            requested=lenient(message.options.address, OptionCode.REQUESTED_ADDRESS),
            chosen=lenient(message.options.address, OptionCode.SERVER_ID),
            now=now,
        )

    def is_ours(self, server_id: int, query: Query) -> bool:
        """Whether option 54 means us: any address of ours, or what a relay has us called."""
        return server_id in self.ours or server_id in (query.server, query.relayed.server_id)

    def _link(self, message: Message, datagram: Datagram, network: int, interface: Interface | None) -> Link:
        """A relay's word, else (asked by unicast, so perhaps from behind a router) the client's own address, else the wire."""
        if network:
            return self._subnets.link_of_address(network)
        if message.ciaddr and not datagram.broadcast and (link := self._subnets.link_of_address(message.ciaddr)):
            return link
        return () if interface is None else self._subnets.link_of_interface(interface.index)


def _our_address(link: Link, datagram: Datagram, interface: Interface | None) -> int:
    """Our address on the client's own network if we have one there, else the one it asked by."""
    addresses = [address for address, _ in interface.addresses] if interface is not None else []
    for served in link:
        for address in addresses:
            if address in served.subnet:
                return address
    return datagram.local or next(iter(addresses), 0)
