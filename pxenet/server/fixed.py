"""What of a configuration cannot change while the server runs, and why another one is refused because of it.

Sockets are open and rights are dropped, the state is open, and processes have begun: all that needs a restart. Knows settings only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pxenet.config import DhcpMode, Problem, Settings
from pxenet.net.datagram import Interface
from pxenet.server.ports import modes
from pxenet.wire.text import address_text


@dataclass(frozen=True, slots=True)
class Fixed:
    """One thing that cannot change."""

    key: str
    value: Callable[[Settings], object]
    text: Callable[[object], str] = str
    """For people."""


def _listed(names: object) -> str:
    assert isinstance(names, tuple)
    return ", ".join(names) or "unset"


def _or_unset(value: object) -> str:
    return "unset" if value is None else str(value)


def _address(value: object) -> str:
    return address_text(value) if isinstance(value, int) else "unset"


def _kept(value: object) -> str:
    return "more than 0" if value else "0"


FIXED = (
    Fixed("server.interface", lambda settings: settings.server.interfaces, _listed),
    Fixed("server.address", lambda settings: settings.server.address, _address),
    Fixed("server.user", lambda settings: settings.server.user, _or_unset),
    Fixed("server.state", lambda settings: settings.server.state),
    Fixed("server.workers", lambda settings: settings.server.workers),
    Fixed("server.failure_captures", lambda settings: settings.server.failure_captures > 0, _kept),
    Fixed("dhcp.port", lambda settings: settings.dhcp.port),
    Fixed("dhcp.proxy_port", lambda settings: settings.dhcp.proxy_port),
    Fixed("tftp.port", lambda settings: settings.tftp.port),
    Fixed("tftp.single_port", lambda settings: settings.tftp.single_port, lambda value: str(value).lower()),
    Fixed("http.port", lambda settings: settings.http.port),
    Fixed("http.tls_port", lambda settings: settings.http.tls_port),
    Fixed(
        "http.tls_cert", lambda settings: settings.http.tls_cert is not None, lambda there: "set" if there else "unset"
    ),
)


def needs_restart(running: Settings, new: Settings, interfaces: Iterable[Interface]) -> list[Problem]:
    """Everything in ``new`` that a server which runs by ``running``, on these interfaces, cannot take."""
    return [*_values(running, new), *_sockets(running, new), *_wires(new, interfaces)]


def _values(running: Settings, new: Settings) -> Iterator[Problem]:
    for fixed in FIXED:
        before, after = fixed.value(running), fixed.value(new)
        if before != after:
            wrong = f"cannot become {fixed.text(after)} while the server runs: it is {fixed.text(before)}"
            yield new.problem(fixed.key, wrong, "restart the server, or put it back")


_OPEN = {
    DhcpMode.SERVER: frozenset({"the socket for DHCP", "the socket for raw frames"}),
    DhcpMode.PROXY: frozenset({"the socket for DHCP", "the socket for ProxyDHCP"}),
    DhcpMode.OFF: frozenset[str](),
}
"""What each way of answering needs that was opened at the start."""


def _sockets(running: Settings, new: Settings) -> Iterator[Problem]:
    there = frozenset[str]().union(*(_OPEN[mode] for mode in modes(running)))
    for mode in sorted(modes(new)):
        if lacking := sorted(_OPEN[mode] - there):
            begin = f'a network cannot begin to have mode "{mode.value}" while the server runs'
            wrong = f"{begin}: {lacking[0]} had to be opened at the start"
            yield new.problem("dhcp.mode", wrong, "restart the server")


def _wires(new: Settings, interfaces: Iterable[Interface]) -> Iterator[Problem]:
    served = {interface.name for interface in interfaces}
    for index, subnet in enumerate(new.dhcp.subnets):
        if subnet.interface is not None and subnet.interface not in served:
            key = ("dhcp", "subnet", index, "interface")
            wrong = f"{subnet.interface} was not there when the server began, which serves {', '.join(sorted(served)) or 'none'}"
            yield new.source.problem(key, wrong, "restart the server")
