"""What only the machine the server runs on can tell about a configuration: interfaces, addresses, users. Asked at start-up."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from pxenet.config.problems import Key, Problem
from pxenet.config.settings import Settings
from pxenet.engine.dhcp import DhcpMode
from pxenet.net.datagram import Interface
from pxenet.wire.text import address_text


def start_problems(settings: Settings, interfaces: Sequence[Interface]) -> list[Problem]:
    """Everything in the settings that does not fit the interfaces and directories of this machine."""
    found = [
        *_interfaces(settings, interfaces),
        *_address(settings, interfaces),
        *_pools(settings, interfaces),
        *_state(settings),
    ]
    return [settings.source.problem(key, wrong, right) for key, wrong, right in found]


Found = Iterator[tuple[Key, str, str]]


def _interfaces(settings: Settings, interfaces: Sequence[Interface]) -> Found:
    """Named interfaces exist and have an address."""
    present = {interface.name: interface for interface in interfaces}
    named: list[tuple[Key, str]] = [(("server", "interface"), name) for name in settings.server.interfaces]
    for index, subnet in enumerate(settings.dhcp.subnets):
        if subnet.interface is not None and subnet.interface not in settings.server.interfaces:
            named.append((("dhcp", "subnet", index, "interface"), subnet.interface))
    for key, name in named:
        if name not in present:
            close = difflib.get_close_matches(name, present, n=1)
            hint = f"did you mean {close[0]}? This machine has" if close else "this machine has"
            yield key, f'there is no interface "{name}"', f"{hint} {', '.join(present) or 'none'}"
        elif not present[name].addresses:
            yield (
                key,
                f"interface {name} has no IPv4 address",
                f"give it one, e.g. ip address add 10.0.0.1/24 dev {name}",
            )


def _address(settings: Settings, interfaces: Sequence[Interface]) -> Found:
    """``server.address`` is one of ours."""
    address = settings.server.address
    ours = [own for interface in interfaces for own, _ in interface.addresses]
    if address is not None and address not in ours:
        known = ", ".join(address_text(own) for own in ours) or "none"
        yield (
            ("server", "address"),
            f"{address_text(address)} is no address of this machine",
            f"its addresses are {known}",
        )


def _pools(settings: Settings, interfaces: Sequence[Interface]) -> Found:
    """Our own addresses are not given out."""
    for index, subnet in enumerate(settings.dhcp.subnets):
        if subnet.mode is not DhcpMode.SERVER:
            continue
        for interface in interfaces:
            for own, _ in interface.addresses:
                if any(first <= own <= last for first, last in subnet.pools):
                    wrong = (
                        f"the pool contains {address_text(own)}, which is this server's own address on {interface.name}"
                    )
                    yield ("dhcp", "subnet", index, "pool"), wrong, "leave it out of the pool"


def _state(settings: Settings) -> Found:
    """The store, with the secret that all tokens are made of, is in no directory that everybody may read from, links followed."""
    state = settings.server.state.resolve()
    served = [settings.server.root, *(tree.source_dir for tree in settings.trees.values())]
    for directory in served:
        if directory is not None and state.is_relative_to(directory.resolve()):
            wrong = f"{settings.server.state} is inside {directory}, whose files every machine may read"
            yield ("server", "state"), wrong, "keep the state outside, e.g. in /var/lib/pxenet"
            return
