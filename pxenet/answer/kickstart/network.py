"""The network of an installed system as ``network`` commands: plain cards, bonds, bridges and VLANs, by DHCP or static."""

from __future__ import annotations

import ipaddress

from pxenet.answer.kickstart.data import Network
from pxenet.answer.kickstart.dialects import Version
from pxenet.answer.kickstart.lines import InexpressibleError, Lines, flag, option
from pxenet.answer.kickstart.machine import Machine


def add_networks(lines: Lines, networks: tuple[Network, ...], machine: Machine) -> None:
    """All connections; the first one carries the host name."""
    for index, network in enumerate(networks or (Network(),)):
        key = f"network[{index + 1}]"
        first = index == 0
        lines.add(
            key,
            "network",
            option("device", _device(network, machine, key)),
            *_addresses(network, machine, key, first),
            *_ipv6(network),
            option("mtu", network.mtu),
            option("bondslaves", network.bond),
            option("bondopts", network.bond_options),
            option("bridgeslaves", network.bridge),
            option("bridgeopts", network.bridge_options),
            option("vlanid", network.vlan),
            option("interfacename", network.vlan_name),
            option("hostname", machine.fqdn) if first else "",
            option("onboot", "yes" if network.start else "no"),
            # The card that booted is up anyway; RHEL 6 and 7 stumble over what is activated again.
            flag("activate", network.start and lines.version not in (Version.RHEL6, Version.RHEL7)),
        )


def _device(network: Network, machine: Machine, key: str) -> str:
    made = network.bond or network.bridge
    if made and not network.device:
        raise InexpressibleError(f"{key}.device", "is missing: a bond or bridge needs a name of its own, such as bond0")
    if network.bond and network.bridge:
        raise InexpressibleError(f"{key}.bridge", "a connection is a bond or a bridge; make two of them")
    # By hardware address: the same card has another name in another release.
    return network.device or machine.mac or "link"


def _addresses(network: Network, machine: Machine, key: str, first: bool) -> list[str]:
    if network.method == "none":
        return ["--noipv4"]
    if network.method == "dhcp":
        if network.address:
            raise InexpressibleError(f"{key}.address", 'belongs to method = "static"')
        return ["--bootproto=dhcp", option("nameserver", network.dns)]
    address, netmask = machine.address, machine.netmask
    if network.address:
        try:
            written = ipaddress.IPv4Interface(network.address)
        except ValueError:
            raise InexpressibleError(
                f"{key}.address", f'"{network.address}" is not an address with its prefix'
            ) from None
        if "/" not in network.address:
            raise InexpressibleError(f"{key}.address", f"{network.address} has no prefix, such as {written.ip}/24")
        address, netmask = str(written.ip), str(written.netmask)
    elif not first:
        raise InexpressibleError(f"{key}.address", "is missing: only the first connection takes the host's own")
    if not address or not netmask:
        message = "is static, but the host has no address inside a [[dhcp.subnet]]; give it host.address"
        raise InexpressibleError(f"{key}.method", message)
    gateway = network.gateway or (machine.gateway if first else "")
    return [
        "--bootproto=static",
        option("ip", address),
        option("netmask", netmask),
        option("gateway", gateway),
        flag("nodefroute", not first and not gateway),
        option("nameserver", tuple(network.dns) or (machine.dns if first else ())),
    ]


def _ipv6(network: Network) -> list[str]:
    if network.ipv6 == "none":
        return ["--noipv6"]
    return [option("ipv6", network.ipv6)]
