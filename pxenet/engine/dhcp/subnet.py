"""The networks that the DHCP engine serves, and which of them a message belongs to.

Knows addresses and interfaces; must not know messages' options or leases' rules. RFC 2131 §4.3.1, RFC 3011, RFC 3527.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pxenet.engine.dhcp.lease import LeaseTable
from pxenet.engine.dhcp.pool import Pool
from pxenet.model import Lease
from pxenet.net.datagram import Interface


class DhcpMode(enum.StrEnum):
    """What we are to a network; the values are what a configuration says."""

    SERVER = "server"  # addresses and boot files
    PROXY = "proxy"  # boot files only; another server gives the addresses
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Subnet:
    """One network and what its clients are told."""

    network: int
    prefix: int
    pools: tuple[tuple[int, int], ...] = ()
    """(first, last) address of each range, both included. None: only reserved addresses are given out."""
    routers: tuple[int, ...] = ()
    dns: tuple[int, ...] = ()
    domain: str = ""
    lease_s: float = 43200
    """``inf`` for ever."""
    interface: str | None = None
    """Name of the interface whose clients belong here, where its own address does not say so."""
    next_server: int | None = None
    """Another TFTP server than us, for siaddr and option 66."""
    mode: DhcpMode = DhcpMode.SERVER
    authoritative: bool = False
    """We are the only server of this network: clients with addresses that we do not know are refused instead of left alone."""

    def __post_init__(self) -> None:
        if self.network & ~self.mask:
            raise ValueError(f"network {self.network:#010x} has bits beyond its prefix /{self.prefix}")

    @property
    def mask(self) -> int:
        """As an address: 0xffffff00 for a /24."""
        return (0xFFFFFFFF << (32 - self.prefix)) & 0xFFFFFFFF

    @property
    def broadcast(self) -> int:
        """The directed broadcast address: the last one of the network."""
        return self.network | ~self.mask & 0xFFFFFFFF

    def __contains__(self, address: int) -> bool:
        return address & self.mask == self.network


@dataclass(frozen=True, slots=True)
class DhcpSettings:
    """What the DHCP and ProxyDHCP engines are told once. Durations in seconds."""

    subnets: tuple[Subnet, ...] = ()
    port: int = 67
    """Ours, and relays'. Clients listen on the next one: 68, as with dnsmasq's alternate ports."""
    proxy_port: int = 4011
    default_mode: DhcpMode = DhcpMode.PROXY
    """For interfaces on which no subnet is configured."""
    match_client_id: bool = False
    """Option 61 is a client's key, instead of its hardware address."""
    echo_client_id: bool = True
    """Option 61 is sent back (RFC 6842; RFC 2131 forbade it)."""
    reserved: frozenset[int] = frozenset()
    """Addresses that belong to hosts of the configuration: no pool gives them to others."""
    offer_hold_s: float = 60
    raspberry_hold_s: float = 600
    """A Raspberry Pi's boot ROM loads by the offered address and never asks for it."""
    decline_hold_s: float = 3600
    max_offers: int = 16384
    """In each subnet."""
    max_pending: int = 16384
    """Leases on their way to the disk; more clients have to ask again."""


class ServedSubnet:
    """A subnet at work: what it is told, its pool and its leases."""

    __slots__ = ("leases", "pool", "subnet")

    def __init__(self, subnet: Subnet, excluded: Collection[int], max_offers: int) -> None:
        self.subnet = subnet
        self.pool = _pool_of(subnet, excluded)
        self.leases = LeaseTable(self.pool, max_offers)

    def is_still(self, subnet: Subnet, excluded: Collection[int]) -> bool:
        """By other settings too it is the same subnet, and its pool has the same addresses."""
        return self.subnet == subnet and self.pool.excluded == _pool_of(subnet, excluded).excluded


def _pool_of(subnet: Subnet, excluded: Collection[int]) -> Pool:
    ends = {subnet.network, subnet.broadcast} if subnet.prefix < 31 else set()
    return Pool(subnet.pools, {*ends, *subnet.routers, *excluded})


def on_wire(subnets: Iterable[Subnet], interface: Interface) -> tuple[Subnet, ...]:
    """The subnets of an interface's wire: those in which it has an address, its first one's in front, then those that name it.

    All of a wire have one mode, that of the first: what we are to a client is decided before its address is.
    """
    known = tuple(subnets)
    own = [
        subnet
        for address, _ in interface.addresses
        for subnet in known
        if subnet.interface in (None, interface.name) and address in subnet
    ]
    return tuple(dict.fromkeys(own + [subnet for subnet in known if subnet.interface == interface.name]))


Link = tuple[ServedSubnet, ...]
"""The subnets that share one wire, so that a client there may have an address of any of them. Empty: not configured."""


class Subnets:
    """All subnets, found by address and by interface."""

    __slots__ = ("_all", "_by_prefix", "_links", "_outside", "_settings")

    def __init__(
        self,
        settings: DhcpSettings,
        interfaces: Sequence[Interface],
        former: Subnets | None = None,
        now: float = 0.0,
    ) -> None:
        """``former``: those of other settings, whose leases and offers these take up. They are not used afterwards."""
        ours = {address for interface in interfaces for address, _ in interface.addresses}
        self._settings = settings
        self._outside: list[Lease] = []
        excluded = ours | settings.reserved
        kept = {served.subnet: served for served in former or () if served.is_still(served.subnet, excluded)}
        self._all = tuple(
            kept.get(subnet) or ServedSubnet(subnet, excluded, settings.max_offers) for subnet in settings.subnets
        )
        prefixes = sorted({subnet.prefix for subnet in settings.subnets}, reverse=True)
        self._by_prefix: list[tuple[int, dict[int, ServedSubnet]]] = [
            (served[0].subnet.mask, {one.subnet.network: one for one in served})
            for served in ([one for one in self._all if one.subnet.prefix == prefix] for prefix in prefixes)
        ]
        self._links: dict[int, Link] = {interface.index: self._on(interface) for interface in interfaces}
        if former is not None:
            self._inherit(former, now)

    def __iter__(self) -> Iterator[ServedSubnet]:
        return iter(self._all)

    def of_address(self, address: int) -> ServedSubnet | None:
        """The smallest subnet that contains the address."""
        for mask, networks in self._by_prefix:
            if (served := networks.get(address & mask)) is not None:
                return served
        return None

    def link_of_address(self, address: int) -> Link:
        """That subnet as a link of its own: behind a relay nobody says what else is on the wire."""
        served = self.of_address(address)
        return () if served is None else (served,)

    def link_of_interface(self, index: int) -> Link:
        """The subnets of an interface's wire."""
        return self._links.get(index, ())

    def load(self, leases: Iterable[Lease], now: float) -> None:
        """Take up the leases of a store; those outside every subnet are of no use now, and kept for another configuration."""
        sorted_out: dict[ServedSubnet, list[Lease]] = {}
        for lease in leases:
            if (served := self.of_address(lease.address)) is not None:
                sorted_out.setdefault(served, []).append(lease)
            else:
                self._outside.append(lease)
        for served, its in sorted_out.items():
            served.leases.load(its, now)

    def _inherit(self, former: Subnets, now: float) -> None:
        """Every lease, and each offer of an address that is still to be given out."""
        changed = [served for served in former if served not in self._all]
        self.load([*former._outside, *(lease for served in changed for lease in served.leases)], now)
        for before in changed:
            for offer in before.leases.offers():
                served = self.of_address(offer.address)
                if served is None or offer.address not in served.pool or offer.expires_at <= now:
                    continue
                if served.leases.leased_to(offer.address, now) in (None, offer.identity):
                    served.leases.offer(offer.identity, offer.address, offer.expires_at)

    def _on(self, interface: Interface) -> Link:
        served = {one.subnet: one for one in self._all}
        return tuple(served[subnet] for subnet in on_wire(served, interface))
