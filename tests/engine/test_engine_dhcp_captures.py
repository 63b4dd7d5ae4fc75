"""Captured firmware against the engines: every client in ``captures/`` is answered such that it boots, by its own rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import firmware_rules as firmware
import pytest
import tshark
from dhcp_scene import Scene, boots, payload_of, sends_of

from pxenet.capture import frames, pcap
from pxenet.engine.dhcp import DhcpSettings, Subnet
from pxenet.engine.dhcp.client import boot_client
from pxenet.engine.surface import Output
from pxenet.model import BootClient, BootFile, ClientKind, Host
from pxenet.net.datagram import Interface
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.text import parse_address as address

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))
SERVER, OTHER = address("10.77.0.1"), address("10.77.0.2")
WIRE = Interface(2, "br0", b"", ((SERVER, 24),))
RACK = Subnet(
    network=address("10.77.0.0"),
    prefix=24,
    pools=((address("10.77.0.50"), address("10.77.0.60")),),
    routers=(SERVER,),
    dns=(SERVER,),
)


@dataclass
class Exchange:
    """One DISCOVER to ACK of a captured client."""

    client: BootClient
    discover: bytes
    offers: list[bytes] = field(default_factory=list)
    ack: bytes | None = None
    xid: int = 0


def requests(path: Path) -> list[tuple[float, frames.Packet]]:
    """What clients said to ports 67 and 4011."""
    found = []
    for at, frame in pcap.read(path):
        packet = frames.parse(frame)
        if packet is not None and packet.protocol == frames.UDP and packet.destination_port in (67, 4011):
            found.append((at, packet))
    return found


def reservations(path: Path) -> list[Host]:
    """The captured server's choice as reservations, so that the captured REQUESTs are right word for word."""
    hosts = {}
    for _, packet in requests(path):
        said = parse(packet.payload)
        if wanted := said.options.address(OptionCode.REQUESTED_ADDRESS):
            hosts[said.hardware] = Host(said.hardware.hex(), said.hardware, address=wanted)
    return list(hosts.values())


def play(path: Path, mode: str, boot: object = boots) -> tuple[Scene, list[Exchange]]:
    """The captured requests against an engine of this mode."""
    settings = DhcpSettings(subnets=(replace(RACK, mode=mode),))
    net = Scene(settings, boot=boot, hosts=reservations(path), interfaces=(WIRE,))  # type: ignore[arg-type]
    exchanges: dict[int, Exchange] = {}
    for at, packet in requests(path):
        said = parse(packet.payload)
        known = exchanges.setdefault(said.xid, Exchange(boot_client(said), packet.payload, xid=said.xid))
        before = len(net.outputs)
        net.hear(
            packet.payload,
            at,
            source=packet.source,
            source_port=packet.source_port,
            port=packet.destination_port,
            unicast=packet.destination_port == 4011,
        )
        for payload in payloads(net.outputs[before:]):
            if parse(payload).message_type == MessageType.OFFER:
                known.offers.append(payload)
            elif packet.destination_port == 67:
                known.ack = payload
    return net, list(exchanges.values())


def payloads(outputs: list[Output]) -> list[bytes]:
    """What was sent."""
    return [payload_of(send) for out in outputs for send in sends_of(out)]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_as_the_only_server(path: Path) -> None:
    """Each captured client gets OFFER and ACK in return for its own words, and by them boots the file that is meant for it."""
    _, exchanges = play(path, "server")
    for exchange in exchanges:
        client, said = exchange.client, exchange.discover
        meant = boots(client, SERVER, False)
        if exchange.ack is None:
            assert path.stem in (
                "proxy-bios-kea",
                "uefi-pxe6-ipxe",
            )  # chose another server; capture ends before the REQUEST
            continue
        offer, ack = exchange.offers[-1], exchange.ack
        wanted = firmware.Loads(SERVER, meant.path) if meant.path else firmware.Loads(0, meant.url)
        if client.kind is ClientKind.OTHER:
            assert firmware.system(offer, ack, said) in {host.address for host in reservations(path)}
        elif client.kind is ClientKind.HTTP:
            assert firmware.edk2_http([offer], ack, said) == wanted
        elif client.kind is ClientKind.IPXE:
            assert firmware.ipxe([offer], ack, said) == wanted
            assert firmware.pxelinux(ack) == firmware.shim(ack) == firmware.grub(ack) == wanted
        else:
            assert firmware.edk2_pxe([offer], ack, said) == wanted
            assert firmware.shim(ack) == firmware.grub(ack) == firmware.u_boot(ack) == wanted


def plain_offer(exchange: Exchange, kind: MessageType) -> bytes:
    """What a DHCP server that knows nothing of booting says: Kea's answer in proxy-bios-kea."""
    said = parse(exchange.discover)
    options = {53: kind, 1: 0xFFFFFF00, 3: (OTHER,), 51: 3600, 54: OTHER}
    return serialize(
        replace(said, op=2, yiaddr=address("10.77.0.100"), ciaddr=0, options=Options.build(options), defects=())
    )


def ask_boot_server(net: Scene, exchange: Exchange, server: int) -> bytes | None:
    """EDK2's question on port 4011: from its own address and port 4011, a new xid, no 50 and no 54."""
    assert server == SERVER
    said = parse(exchange.discover)
    own = address("10.77.0.100")
    question = Message(
        op=1,
        xid=said.xid + 1,
        ciaddr=own,
        flags=said.flags,
        chaddr=said.chaddr,
        options=said.options.without(50, 54).with_({53: MessageType.REQUEST}),
    )
    before = len(net.outputs)
    net.hear(question, 9.0, source=own, source_port=4011, port=4011, unicast=True)
    found = payloads(net.outputs[before:])
    return found[0] if found else None


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_beside_another_server(path: Path) -> None:
    """The same clients with a plain DHCP server that gives the addresses: each boots what the proxy means."""
    net, exchanges = play(path, "proxy")
    assert [exchange for exchange in exchanges if exchange.offers]
    for exchange in exchanges:
        client, said = exchange.client, exchange.discover
        meant = boots(client, SERVER, True)
        wanted = firmware.Loads(SERVER, meant.path) if meant.path else firmware.Loads(0, meant.url)
        if client.kind is ClientKind.OTHER or not exchange.offers:
            assert exchange.offers == []
            continue
        offers = [plain_offer(exchange, MessageType.OFFER), exchange.offers[-1]]
        ack = plain_offer(exchange, MessageType.ACK)
        if client.kind is ClientKind.HTTP:
            assert firmware.edk2_http(offers, ack, said) == wanted
        elif client.kind is ClientKind.IPXE:
            assert firmware.ipxe(offers, ack, said) == wanted
        else:
            asked = firmware.edk2_pxe(offers, ack, said, lambda server: ask_boot_server(net, exchange, server))  # noqa: B023
            assert asked == wanted


def test_the_boot_server_of_an_option_rom() -> None:
    """The captured question on 4011 has a chosen item (43.71): it comes back, with the client's address, from port 4011."""
    path = next(path for path in CAPTURES if path.stem == "proxy-bios-kea")
    net, _ = play(path, "proxy")
    answer = net.sent()[-1]
    assert answer.message_type == MessageType.ACK
    assert answer.options.raw(OptionCode.VENDOR_SPECIFIC) == bytes.fromhex("47048003 0000ff")
    assert (answer.yiaddr, answer.siaddr) == (address("10.77.0.100"), SERVER)
    assert net.sightings() == [
        ("proxy offer", 0),
        ("proxy request", address("10.77.0.100")),
        ("proxy 4011", address("10.77.0.100")),
    ]
    send = sends_of(net.outputs[-1])[0]
    assert (send.port, send.source) == (4011, SERVER)


def boots_by_a_long_url(client: BootClient, server: int, proxied: bool) -> BootFile:
    """A chooser whose answer does not fit into ``file``."""
    return BootFile(url="http://10.77.0.1/" + "a" * 200)


@tshark.installed
def test_tshark_finds_nothing_wrong() -> None:
    """A second opinion on every answer to every captured client, in both modes."""
    said = [
        payload
        for path in CAPTURES
        for mode in ("server", "proxy")
        for payload in payloads(play(path, mode)[0].outputs)
    ]
    said += payloads(play(CAPTURES[0], "server", boots_by_a_long_url)[0].outputs)
    opinions = tshark.decode((67, 68, payload) for payload in said)
    assert [opinion.protocol for opinion in opinions] == ["dhcp"] * len(said)
    assert [opinion for opinion in opinions if opinion.malformed or opinion.notes_of("error", "warn")] == []
