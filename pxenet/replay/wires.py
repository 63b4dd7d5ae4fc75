"""Where the machines of a capture stand before a configuration: one wire for each of its networks, and the server's address on each.

A relayed machine is where its relay says. Another one is where the configuration reserves its address, else on the network of the
recorded addresses if the configuration has that, else on the first network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pxenet.config import DhcpMode, Settings, Subnet
from pxenet.engine.dhcp.client import lenient
from pxenet.model import Host
from pxenet.net.datagram import Interface
from pxenet.replay.cast import Role
from pxenet.replay.recorded import Recorded
from pxenet.sim.sides import Plug
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import address_text, parse_address

_NO_NETWORK = (parse_address("192.0.2.1"), 24)
"""The server's address where neither the configuration nor the capture names a network (RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Wires:
    """The interfaces of the server that is played, and what had to be changed in the settings for it."""

    settings: Settings
    interfaces: tuple[Interface, ...]
    subnets: tuple[Subnet | None, ...]
    """Of each interface; None: the configuration has no network there."""
    notes: tuple[str, ...] = ()

    def plug(self, role: Role, host: Host | None) -> Plug:
        """Where a machine is."""
        index = self._index(role, host)
        return Plug(self.interfaces[index].addresses[0][0], self.interfaces[index].index)

    def mode(self, role: Role, host: Host | None) -> DhcpMode:
        """What the server is to that machine's network."""
        relayed = role.relay
        own = self.subnets[self._index(role, host)]
        subnet = own if relayed is None else self.settings.subnet_of(relayed.message.giaddr)
        return subnet.mode if subnet is not None else self.settings.dhcp.mode

    def _index(self, role: Role, host: Host | None) -> int:
        wanted = [host.address if host is not None else None, *_recorded_addresses(role.recorded)]
        for address in wanted:
            for index, subnet in enumerate(self.subnets):
                if address and subnet is not None and address in subnet:
                    return index
        return 0


def wires(settings: Settings, recorded: list[Recorded]) -> Wires:
    """Build them for the machines of one capture."""
    known = [address for one in recorded for address in _server_addresses(one)]
    interfaces: list[Interface] = []
    subnets: list[Subnet | None] = list(settings.dhcp.subnets)
    subnets.sort(key=lambda subnet: subnet is None or subnet.mode is not DhcpMode.SERVER)  # stable: else as configured
    for index, subnet in enumerate(subnets, 1):
        assert subnet is not None
        address = _server_in(settings, subnet, known)
        interfaces.append(Interface(index, subnet.interface or f"eth{index - 1}", b"", ((address, subnet.prefix),)))
    if not interfaces:
        address = settings.server.address or next(iter(known), _NO_NETWORK[0])
        interfaces, subnets = [Interface(1, "eth0", b"", ((address, _NO_NETWORK[1]),))], [None]
    changed, notes = _reachable(settings, {interface.addresses[0][0] for interface in interfaces})
    return Wires(changed, tuple(interfaces), tuple(subnets), notes)


def _reachable(settings: Settings, ours: set[int]) -> tuple[Settings, tuple[str, ...]]:
    """Machines that are played resolve no names and speak no TLS: the server's URL is that of its address then."""
    url = settings.server.url
    if url is None:
        return settings, ()
    parts = urlsplit(url)
    try:
        reached = parts.scheme == "http" and parse_address(parts.hostname or "") in ours
    except ValueError:
        reached = False
    if reached:
        return settings, ()
    note = f"server.url ({url}) is left out: replayed machines resolve no names, speak no TLS and reach the server by its address"
    return replace(settings, server=replace(settings.server, url=None)), (note,)


def _server_in(settings: Settings, subnet: Subnet, known: list[int]) -> int:
    """The server's address there: the configured one, that of the recorded server, or the first that is nobody's."""
    for address in (settings.server.address, *known):
        if address and address in subnet and not _taken(settings, subnet, address):
            return address
    free = (address for address in range(subnet.network + 1, subnet.broadcast) if not _taken(settings, subnet, address))
    return next(free, subnet.network + 1)


def _taken(settings: Settings, subnet: Subnet, address: int) -> bool:
    pooled = any(first <= address <= last for first, last in subnet.pools)
    return pooled or any(host.address == address for host in settings.hosts)


def _server_addresses(recorded: Recorded) -> list[int]:
    """Of the servers in a capture, those with files first: it is their place that the configuration takes."""
    files = [urlsplit(file.url).hostname or "" for file in recorded.files]
    named = [parse_address(host) for host in files if _is_address(host)]
    told = [lenient(said.message.options.address, OptionCode.SERVER_ID) or 0 for said in recorded.replies]
    return list(dict.fromkeys(filter(None, (*named, *told))))


def _is_address(host: str) -> bool:
    try:
        return address_text(parse_address(host)) == host
    except ValueError:
        return False


def _recorded_addresses(recorded: Recorded) -> list[int]:
    given = [said.message.yiaddr for said in recorded.replies if said.message.yiaddr]
    return [*given, *_server_addresses(recorded)]
