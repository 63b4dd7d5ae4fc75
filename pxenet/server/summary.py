"""What the server says when it starts, in plain words: which interfaces, which mode, what each firmware gets, what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pxenet import __version__
from pxenet.config import DhcpMode, Settings, Subnet, Unknown, start_notes
from pxenet.net.datagram import Interface
from pxenet.net.udp import QUEUE_BYTES
from pxenet.rack import Rack
from pxenet.rack.offering import MODES, UNKNOWN, offerings
from pxenet.server.ports import Ports
from pxenet.wire.text import address_text


def summary(settings: Settings, rack: Rack, interfaces: Sequence[Interface], ports: Ports) -> list[str]:
    """The lines, in the order in which somebody who looks for a fault wants them."""
    return [
        f"pxenet {__version__}",
        *networks(settings, interfaces),
        *_services(settings, rack, interfaces, ports),
        *_firmware(rack, interfaces),
        *_machines(settings, rack),
        *(f"  note: {note}" for note in start_notes(settings, interfaces)),
    ]


def networks(settings: Settings, interfaces: Sequence[Interface]) -> Iterator[str]:
    """What machines on each interface and behind relays get."""
    if not interfaces:
        yield "  no interface has an IPv4 address: nobody can be answered; give one an address, then start again"
    for interface in interfaces:
        address, prefix = interface.addresses[0]
        subnets = [subnet for subnet in settings.dhcp.subnets if _is_on(subnet, interface)]
        served = "; ".join(map(_subnet, subnets)) or _without_subnet(settings.dhcp.mode, address)
        yield f"  {interface.name} {address_text(address)}/{prefix}: {served}"
    for subnet in settings.dhcp.subnets:
        if not any(_is_on(subnet, interface) for interface in interfaces):
            yield f"  through relays: {_subnet(subnet)}"


def _without_subnet(mode: DhcpMode, address: int) -> str:
    if mode is DhcpMode.SERVER:
        text = address_text(address)
        return (
            f"no addresses and no boot files here: no [[dhcp.subnet]] contains {text}; add one, or correct this address"
        )
    return MODES[mode]


def _is_on(subnet: Subnet, interface: Interface) -> bool:
    return subnet.interface == interface.name or any(address in subnet for address, _ in interface.addresses)


def _subnet(subnet: Subnet) -> str:
    text = f"{MODES[subnet.mode]}, {address_text(subnet.network)}/{subnet.prefix}"
    if subnet.mode is not DhcpMode.SERVER:
        return text
    pools = ", ".join(f"{address_text(first)}-{address_text(last)}" for first, last in subnet.pools)
    refuses = ", refuses addresses it does not know (authoritative)" if subnet.authoritative else ""
    return f"{text}, pool {pools or 'none: reserved addresses only'}{refuses}"


def _services(settings: Settings, rack: Rack, interfaces: Sequence[Interface], ports: Ports) -> Iterator[str]:
    tids = ", ".join(map(str, ports.tid_ports)) or "the same port"
    yield f"  TFTP on port {settings.tftp.port}/udp, transfers from {tids}; HTTP at {rack.url(_address(interfaces))}/"
    if settings.http.tls_cert is not None:
        yield f"  the same by HTTPS on port {settings.http.tls_port}/tcp, with the certificate {settings.http.tls_cert}"
    if settings.server.root is not None:
        yield f"  files of {settings.server.root} are served as they are"
    if len(ports.shares) > 1:
        yield f"  {len(ports.shares)} workers serve TFTP and HTTP; this process DHCP, and what is made for single machines"
    if ports.link_refused:
        yield "  without CAP_NET_RAW: clients that have no address yet are answered by broadcast"
    if not ports.batched:
        yield "  this kernel takes datagrams one by one only (no recvmmsg and sendmmsg): slower with very many machines"
    for line in queues(ports.queue_bytes):
        yield f"  {line}"
    yield f"  state in {settings.server.state}"


def queues(granted: int) -> Iterator[str]:
    """What it means when sockets have less room than they should."""
    if granted < QUEUE_BYTES:
        yield (
            f"room for {granted >> 10} KiB of waiting datagrams, not {QUEUE_BYTES >> 10} KiB: when very many machines ask at once"
            f" some must repeat it; start as root, or sysctl net.core.rmem_max={QUEUE_BYTES}"
        )


def _firmware(rack: Rack, interfaces: Sequence[Interface]) -> Iterator[str]:
    for offering in offerings(rack, _address(interfaces)):
        if offering.file:
            origin = f" ({offering.origin})" if offering.origin else ""
            yield f"  {offering.firmware}: {offering.file}{origin}"
        if offering.missing:
            yield f"  {offering.firmware}: {offering.missing}"


def _machines(settings: Settings, rack: Rack) -> Iterator[str]:
    named = len(settings.hosts)
    unknown = settings.boot.unknown
    if isinstance(unknown, Unknown):
        others = UNKNOWN[unknown]
    else:
        profile = settings.profile(unknown)
        discovers = profile is not None and profile.discovers
        others = f"tell what they are by profile {unknown}" if discovers else f"are installed with profile {unknown}"
    yield f"  {named} machine{'s' if named != 1 else ''} in the configuration; others {others}"
    ended = dict.fromkeys(("installed", "failed"), 0)
    for record in rack.installs.records():
        if record.state.value in ended:
            ended[record.state.value] += 1
    if any(ended.values()):
        yield "  remembered: " + ", ".join(f"{count} {state}" for state, count in ended.items() if count)


def _address(interfaces: Sequence[Interface]) -> int:
    return next((address for interface in interfaces for address, _ in interface.addresses), 0)
