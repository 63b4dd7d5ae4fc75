"""What the tables of a configuration must mean together: a rule per function, every rule for every entry.

Rules look at a draft, whose tables are each right by themselves, and report to it. What touches the file system is in ``reading``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pxenet.config.draft import Draft, Entry
from pxenet.config.problems import Key
from pxenet.config.schema import SubnetKeys
from pxenet.config.settings import Unknown
from pxenet.engine.dhcp import DhcpMode
from pxenet.model import DISCOVERY, Loader
from pxenet.wire.text import address_text

RESERVED_NAMES = tuple(unknown.value for unknown in Unknown)
"""What ``boot.unknown`` says beside the name of a profile: no profile can be called that."""


def check(draft: Draft) -> None:
    """Apply every rule."""
    for rule in RULES:
        rule(draft)


def dhcp_mode(draft: Draft) -> DhcpMode:
    """``dhcp.mode``, or what holds when it is not set: a configured subnet that wants no other mode is there to give out addresses."""
    if draft.dhcp.mode is not None:
        return draft.dhcp.mode
    wanted = any(entry.keys.mode in (None, DhcpMode.SERVER) for entry in draft.subnets)
    return DhcpMode.SERVER if wanted else DhcpMode.PROXY


def ports(draft: Draft) -> None:
    """DHCP and ProxyDHCP need a port each."""
    if draft.dhcp.port == draft.dhcp.proxy_port:
        draft.report(
            ("dhcp", "proxy_port"), f"{draft.dhcp.proxy_port} is dhcp.port too", "use two ports; 4011 is customary"
        )


def server_mode_needs_subnet(draft: Draft) -> None:
    """Without a subnet there is no address to give out."""
    if draft.dhcp.mode is DhcpMode.SERVER and not draft.subnets and draft.whole:
        draft.report(("dhcp", "mode"), 'is "server", but there is no [[dhcp.subnet]]', "add one with network and pool")


def networks_apart(draft: Draft) -> None:
    """A client's address tells its subnet only while none contains another."""
    for second, first in _pairs(draft.subnets):
        (network, prefix), (other, other_prefix) = second.keys.network, first.keys.network
        mask = _netmask(min(prefix, other_prefix))
        if network & mask == other & mask:
            draft.report(
                (*second.key, "network"),
                f"overlaps {_where(draft, first.key)}",
                "give every network one [[dhcp.subnet]]",
            )


def pools_inside(draft: Draft) -> None:
    """Every range lies in its network, without the first and last address, and apart from the other ranges."""
    for entry in draft.subnets:
        low, high = _usable(entry.keys)
        right = f"use addresses from {address_text(low)} to {address_text(high)}"
        key = (*entry.key, "pool")
        for index, (first, last) in enumerate(entry.keys.pool):
            text = _range_text(first, last)
            if first < low or last > high:
                draft.report(key, f"{text} is not inside the network {_network_text(entry.keys)}", right)
            if any(first <= other[1] and other[0] <= last for other in entry.keys.pool[:index]):
                draft.report(key, f"{text} overlaps another range of the pool", "give each address once")


def routers_inside(draft: Draft) -> None:
    """A default gateway that is not in the client's network cannot be reached."""
    for entry in draft.subnets:
        for router in entry.keys.router:
            if not _contains(entry.keys, router):
                draft.report(
                    (*entry.key, "router"),
                    f"{address_text(router)} is not inside the network {_network_text(entry.keys)}",
                    "name the gateway's address in this network, or leave router out",
                )


def pools_free(draft: Draft) -> None:
    """An address that somebody has must not be given out."""
    owners: dict[int, tuple[str, Key]] = {}
    for address, role, owner in _owners(draft):
        owners.setdefault(address, (role, owner))
    for entry in draft.subnets:
        for first, last in entry.keys.pool:
            for address, (role, owner) in owners.items():
                if first <= address <= last:
                    draft.report(
                        (*entry.key, "pool"),
                        f"{_range_text(first, last)} contains {address_text(address)}, {role} {_where(draft, owner)}",
                        f"leave it out, e.g. pool = {_without(first, last, address)}"
                        if first < last
                        else "leave it out",
                    )


def subnets_give_something(draft: Draft) -> None:
    """A subnet from which nobody can get an address is a mistake more often than not; said, not refused."""
    containing = _containing(draft)
    reserved = {
        key for host in draft.hosts if host.keys.address is not None for key, _ in containing(host.keys.address)
    }
    for entry in draft.subnets:
        mode = entry.keys.mode or dhcp_mode(draft)
        if mode is DhcpMode.SERVER and not entry.keys.pool and entry.key not in reserved:
            draft.note((*entry.key, "pool"), "is missing, and no host has an address here", "nobody gets an address")


def subnet_interfaces(draft: Draft) -> None:
    """A subnet on an interface that the server does not answer on would never be used."""
    for entry in draft.subnets:
        interface = entry.keys.interface
        if interface is not None and draft.server.interface and interface not in draft.server.interface:
            draft.report((*entry.key, "interface"), f'"{interface}" is not in server.interface', "add it there")


def hosts_identified(draft: Draft) -> None:
    """A host needs something to be recognised by."""
    for entry in draft.hosts:
        if not any(
            getattr(entry.keys, name) or (*entry.key, name) in draft.left_out for name in ("mac", "uuid", "serial")
        ):
            draft.report(entry.key, "has none of mac, uuid, serial", 'write e.g. mac = "52:54:00:12:34:56"')


def hosts_by_serial(draft: Draft) -> None:
    """No DHCP option carries a serial number; iPXE tells it when it asks for its script, which it must first be given, and so does what
    a profile of discovery boots."""
    only = [entry for entry in draft.hosts if entry.keys.serial and not (entry.keys.mac or entry.keys.uuid)]
    ipxe_first = Loader.IPXE in draft.boot.loader.chosen().values() and draft.boot.unknown != Unknown.IGNORE
    if only and not ipxe_first and not _discovers(draft):
        others = f" (and of {len(only) - 1} more)" if len(only) > 1 else ""
        draft.note(
            (*only[0].key, "serial"),
            f"is all that is known of this host{others}, and nothing that unknown machines boot tells it: "
            "no machine will be recognised by it",
            'add its mac or uuid, or name a profile with answer = "discovery" in boot.unknown, or set boot.loader.* = "ipxe" for its '
            "firmware and a boot.unknown that gives it something to load",
        )


def _discovers(draft: Draft) -> bool:
    """Unknown machines boot what tells the server which they are: nothing is installed on them by that."""
    return any(entry.keys.name == draft.boot.unknown and entry.keys.answer == DISCOVERY for entry in draft.profiles)


def hosts_apart(draft: Draft) -> None:
    """No two hosts share what tells them apart, nor an address."""
    for field in ("mac", "uuid", "serial", "name", "address"):
        seen: dict[object, Key] = {}
        for entry in draft.hosts:
            value = getattr(entry.keys, field)
            if isinstance(value, str) and field == "name":
                value = value.lower()
            for one in value if isinstance(value, tuple) else (value,):
                if one in seen:
                    draft.report(
                        (*entry.key, field),
                        f"is that of {_where(draft, seen[one])} too",
                        f"give each host its own {field}",
                    )
                if one is not None:
                    seen.setdefault(one, entry.key)


def hosts_profiles(draft: Draft) -> None:
    """A host's profile exists."""
    for entry in draft.hosts:
        if entry.keys.profile is not None and entry.keys.profile not in draft.profile_names:
            draft.report((*entry.key, "profile"), f'there is no profile "{entry.keys.profile}"', _known_profiles(draft))


def hosts_addresses(draft: Draft) -> None:
    """A reserved address can be used in one of the subnets, and is not ours. A host may well be a subnet's router or name server."""
    containing = _containing(draft)
    for entry in draft.hosts:
        address = entry.keys.address
        if address is None:
            continue
        key = (*entry.key, "address")
        subnets = [keys for _, keys in containing(address)]
        if not subnets and draft.subnets and draft.whole:
            known = ", ".join(_network_text(subnet.keys) for subnet in draft.subnets)
            draft.report(key, f"{address_text(address)} is in no configured subnet", f"use an address of {known}")
        for subnet in subnets:
            low, high = _usable(subnet)
            if not low <= address <= high:
                draft.report(
                    key,
                    f"{address_text(address)} is the first or last address of {_network_text(subnet)}",
                    f"use one from {address_text(low)} to {address_text(high)}",
                )
        if address == draft.server.address:
            draft.report(
                key, f"{address_text(address)} is this server (server.address)", "give the host an address of its own"
            )


def profile_names(draft: Draft) -> None:
    """Profiles are told apart by name, and from the words that boot.unknown knows."""
    seen: dict[str, Key] = {}
    for entry in draft.profiles:
        name = entry.keys.name
        if name in RESERVED_NAMES:
            draft.report((*entry.key, "name"), f'"{name}" has a meaning in boot.unknown', "choose another name")
        if name in seen:
            draft.report(
                (*entry.key, "name"), f"is that of {_where(draft, seen[name])} too", "give each profile its own name"
            )
        seen.setdefault(name, entry.key)


def unknown_machines(draft: Draft) -> None:
    """``boot.unknown`` says something that exists; installing whatever is switched on deserves a word."""
    unknown = draft.boot.unknown
    if unknown in RESERVED_NAMES:
        return
    if _discovers(draft):
        return
    if unknown in draft.profile_names:
        draft.note(
            ("boot", "unknown"),
            f'every machine that boots from this network is installed with profile "{unknown}"',
            'for chosen machines only, name them in [[host]] and leave boot.unknown = "ignore"',
        )
    else:
        words = ", ".join(f'"{word}"' for word in RESERVED_NAMES)
        draft.report(
            ("boot", "unknown"),
            f'there is no profile "{unknown}"',
            f"write one of {words}, or: {_known_profiles(draft)}",
        )


def tls_pair(draft: Draft) -> None:
    """A certificate is of no use without its key."""
    for here, there in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if getattr(draft.http, here) is not None and getattr(draft.http, there) is None:
            draft.report(("http", here), f"is set without http.{there}", f"set http.{there} too")


def https_apart(draft: Draft) -> None:
    """HTTPS is served beside HTTP, not in its place: firmware needs the plain one."""
    if draft.http.tls_cert is not None and draft.http.tls_port == draft.http.port:
        draft.report(("http", "tls_port"), f"{draft.http.tls_port} is http.port too", "use two ports; 443 is customary")


def writes_need_root(draft: Draft) -> None:
    """Written files go below server.root."""
    if draft.tftp.allow_write and draft.server.root is None:
        draft.report(("tftp", "allow_write"), "is true, but there is no server.root to write into", "set server.root")


RULES: tuple[Callable[[Draft], None], ...] = (
    ports,
    server_mode_needs_subnet,
    networks_apart,
    pools_inside,
    routers_inside,
    pools_free,
    subnets_give_something,
    subnet_interfaces,
    hosts_identified,
    hosts_by_serial,
    hosts_apart,
    hosts_profiles,
    hosts_addresses,
    profile_names,
    unknown_machines,
    tls_pair,
    https_apart,
    writes_need_root,
)


def _owners(draft: Draft) -> Iterator[tuple[int, str, Key]]:
    """(address, whose it is, the entry that says so) of every address that has a user already."""
    if draft.server.address is not None:
        yield draft.server.address, "which is this server", ("server", "address")
    for entry in draft.subnets:
        for role, addresses in (("router", entry.keys.router), ("dns", entry.keys.dns)):
            for address in addresses:
                yield address, f"which is the {role} of", entry.key
        if entry.keys.next_server is not None:
            yield entry.keys.next_server, "which is the next_server of", entry.key
    for host in draft.hosts:
        if host.keys.address is not None:
            yield host.keys.address, "which is reserved for", host.key


def _containing(draft: Draft) -> Callable[[int], list[tuple[Key, SubnetKeys]]]:
    """Which subnets contain an address, each with its key: a look-up for each length of prefix, however many subnets there are."""
    by_prefix: dict[int, dict[int, list[tuple[Key, SubnetKeys]]]] = {}
    for entry in draft.subnets:
        network, prefix = entry.keys.network
        by_prefix.setdefault(prefix, {}).setdefault(network, []).append((entry.key, entry.keys))
    masks = [(_netmask(prefix), networks) for prefix, networks in by_prefix.items()]

    def containing(address: int) -> list[tuple[Key, SubnetKeys]]:
        return [found for mask, networks in masks for found in networks.get(address & mask, ())]

    return containing


def _pairs(entries: list[Entry[SubnetKeys]]) -> Iterator[tuple[Entry[SubnetKeys], Entry[SubnetKeys]]]:
    """(later, earlier) of each two entries."""
    for index, later in enumerate(entries):
        for earlier in entries[:index]:
            yield later, earlier


def _netmask(prefix: int) -> int:
    return (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF


def _contains(subnet: SubnetKeys, address: int) -> bool:
    network, prefix = subnet.network
    return address & _netmask(prefix) == network


def _usable(subnet: SubnetKeys) -> tuple[int, int]:
    """First and last address that a client may have."""
    network, prefix = subnet.network
    return network + 1, network + (1 << (32 - prefix)) - 2


def _network_text(subnet: SubnetKeys) -> str:
    network, prefix = subnet.network
    return f"{address_text(network)}/{prefix}"


def _range_text(first: int, last: int) -> str:
    return address_text(first) if first == last else f"{address_text(first)}-{address_text(last)}"


def _without(first: int, last: int, address: int) -> str:
    """A pool as TOML, with one address left out."""
    ranges = [(low, high) for low, high in ((first, address - 1), (address + 1, last)) if low <= high]
    texts = [f'"{_range_text(low, high)}"' for low, high in ranges]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _where(draft: Draft, key: Key) -> str:
    """An entry, with the line where it stands."""
    return draft.source.where(key)


def _known_profiles(draft: Draft) -> str:
    if not draft.profile_names:
        return "add a [[profile]] of that name"
    return "known profiles: " + ", ".join(sorted(draft.profile_names))
