"""ProxyDHCP: who is answered, with what, and who is left alone."""

from __future__ import annotations

import dhcp_scene as scene
import firmware_rules as firmware
import pytest
from dhcp_scene import (
    MAC1,
    MAC2,
    RELAY,
    SERVER,
    A,
    Scene,
    discover,
    nothing,
    payload_of,
    pxe,
    select,
    sends_of,
    with_subnet,
)

from pxenet.engine.dhcp import DhcpSettings
from pxenet.engine.dhcp.boot import RASPBERRY_43
from pxenet.model import BootClient, BootFile
from pxenet.wire.dhcp import serialize
from pxenet.wire.iana import MessageType
from pxenet.wire.pxe import DIRECT_BOOT_43

PROXY = DhcpSettings()
OFFERED = ["OFFER to 255.255.255.255:68"]
OWN = A("10.0.0.77")
CHOSEN_43 = bytes.fromhex("4704 8000 0000 ff")
IPXE = {77: b"iPXE", 175: bytes.fromhex("130101 b10501 1af41000")}
PI = bytes.fromhex("b827eb000001")
PI_OPTIONS = {94: bytes((1, 2, 1)), 97: b"\0" + b"\x44" * 16, 55: (43, 60, 67, 128, 129, 66)}


def beside(*, boot: object = scene.boots) -> Scene:
    """A server without configuration: a proxy everywhere."""
    return Scene(PROXY, boot=boot)  # type: ignore[arg-type]


def test_without_configuration_nobody_gets_an_address() -> None:
    """The safe default: no OFFER with an address, no ACK, no NAK, whatever is asked; the address is noted."""
    net = beside()
    assert net.hear(discover()) == []
    for said in (
        select(OWN, server=SERVER),
        scene.renew(OWN),
        scene.reboot(OWN),
        scene.decline(OWN),
        scene.release(OWN),
    ):
        assert net.hear(said) == []
    assert net.hear(scene.message(MessageType.INFORM, ciaddr=OWN)) == []
    assert net.hear(scene.message(None)) == []
    assert net.sightings() == [("proxy request", OWN)] * 3
    assert net.events() == []


@pytest.mark.parametrize(
    ("said", "file", "vendor_43", "vendor_class"),
    [
        (pxe(), b"bios/loader", DIRECT_BOOT_43, b"PXEClient"),
        (pxe(vendor_class="PXEClient", arch=0), b"bios/loader", DIRECT_BOOT_43, b"PXEClient"),
        (pxe(vendor_class=scene.X64_CLASS, arch=7), b"", None, b"PXEClient"),
        (pxe(vendor_class=scene.X64_CLASS, arch=9), b"", None, b"PXEClient"),
        (pxe(vendor_class="PXEClient:Arch:00011:UNDI:003000", arch=11), b"", None, b"PXEClient"),
        (pxe(options=IPXE), b"bios/loader", DIRECT_BOOT_43, b"PXEClient"),
        (pxe(vendor_class=scene.X64_CLASS, arch=7, options=IPXE), b"x64/loader", DIRECT_BOOT_43, b"PXEClient"),
        (pxe(vendor_class=scene.HTTP_CLASS, arch=16), b"http://10.0.0.1/x64/ipxe.efi", None, b"HTTPClient"),
        (pxe(PI, options=PI_OPTIONS), b"bios/loader", RASPBERRY_43, b"PXEClient"),
    ],
    ids=["BIOS", "bare class", "x64", "x64 as 9", "arm64", "iPXE ROM", "iPXE for EFI", "HTTP boot", "Raspberry Pi"],
)
def test_the_offer(said: scene.Message, file: bytes, vendor_43: bytes | None, vendor_class: bytes) -> None:
    """Below 6 and for iPXE everything at once; from 6 on only where the boot server is; HTTP boot by URI (facts: pxe §5)."""
    net = beside()
    assert net.hear(said) == OFFERED
    offer = net.sent()[0]
    assert (offer.file, offer.options.raw(43), offer.options.raw(60)) == (file, vendor_43, vendor_class)
    assert (offer.options.raw(67) or b"") == file
    assert (offer.yiaddr, offer.ciaddr, offer.siaddr, offer.broadcast) == (0, 0, SERVER, True)
    assert offer.options.address(54) == SERVER
    assert not {1, 3, 51, 58, 59, 175} & set(dict(offer.options))
    assert net.sightings() == [("proxy offer", 0)]
    assert net.hear(said) == OFFERED
    assert net.events() == ["proxy.offer"]


@pytest.mark.parametrize("kind", [MessageType.REQUEST, MessageType.INFORM], ids=["REQUEST", "INFORM"])
@pytest.mark.parametrize("mode", ["proxy", "server"])
def test_the_boot_server(kind: MessageType, mode: str) -> None:
    """Port 4011 answers to where it was asked from, in both modes: file, siaddr, and no menu."""
    net = Scene(with_subnet(mode=mode))
    said = pxe(vendor_class=scene.X64_CLASS, arch=7, kind=kind, ciaddr=OWN, options={97: bytes(17)})
    assert net.hear(said, port=4011, source_port=4011, unicast=True) == ["ACK to 10.0.0.77:4011"]
    answer = net.sent()[0]
    assert (answer.file, answer.options.raw(67), answer.siaddr) == (b"x64/loader", b"x64/loader", SERVER)
    assert (answer.options.raw(43), answer.options.raw(60), answer.options.raw(97)) == (
        DIRECT_BOOT_43,
        b"PXEClient",
        bytes(17),
    )
    assert (answer.yiaddr, answer.ciaddr) == (0, OWN)
    assert sends_of(net.outputs[0])[0].port == 4011
    assert net.sightings() == [("proxy 4011", OWN)]
    assert net.events() == ["proxy.answer"]


@pytest.mark.parametrize("mode", ["proxy", "server"])
def test_a_chosen_item_comes_back(mode: str) -> None:
    """43.71 on 4011, or broadcast to port 67, where it must not pass for a REQUEST that rebinds."""
    net = Scene(with_subnet(mode=mode, authoritative=True))
    said = pxe(kind=MessageType.REQUEST, ciaddr=OWN, options={43: CHOSEN_43})
    assert net.hear(said, port=4011, unicast=True) == ["ACK 10.0.0.77 to 10.0.0.77:68"]
    assert net.hear(said) == ["ACK 10.0.0.77 to 10.0.0.77:68"]
    assert [answer.options.raw(43) for answer in net.sent()] == [CHOSEN_43] * 2


def test_credentials_are_not_answered() -> None:
    """Bit 15 of the layer asks for Boot Integrity Services, which we do not have."""
    net = beside()
    said = pxe(kind=MessageType.REQUEST, ciaddr=OWN, options={43: bytes.fromhex("4704 8000 8000 ff")})
    assert net.hear(said, port=4011, unicast=True) == []


@pytest.mark.parametrize(
    "said",
    [
        pxe(ciaddr=OWN),
        scene.renew(OWN),
        scene.message(MessageType.REQUEST, ciaddr=OWN, options={60: "MSFT 5.0"}),
        pxe(kind=MessageType.RELEASE, ciaddr=OWN),
        pxe(vendor_class=scene.HTTP_CLASS, arch=16, kind=MessageType.REQUEST, ciaddr=OWN),
    ],
    ids=["DISCOVER", "no class", "another class", "RELEASE", "HTTP boot"],
)
@pytest.mark.parametrize("mode", ["proxy", "server"])
def test_port_4011_is_for_boot_clients(said: scene.Message, mode: str) -> None:
    """Nothing else is answered there, and no address is given."""
    net = Scene(with_subnet(mode=mode))
    assert net.hear(said, port=4011, unicast=True) == []


def test_through_a_relay() -> None:
    """The offer goes back to the relay, option 82 as it came."""
    net = beside()
    assert net.hear(pxe(giaddr=RELAY, options={82: b"\x01\x01a"})) == ["OFFER to 10.5.0.1:67"]
    assert list(net.sent()[0].options)[-1] == (82, b"\x01\x01a")


def test_nothing_to_boot() -> None:
    """Silence, explained once in each boot, so that the firmware goes on to its disk; the machine is noted."""
    net = beside(boot=nothing)
    for at in range(3):
        assert net.hear(pxe(vendor_class=scene.X64_CLASS, arch=7), at) == []
    assert net.hear(pxe(kind=MessageType.REQUEST, ciaddr=OWN), 3, port=4011, unicast=True) == []
    assert net.events() == ["proxy.silent"]
    assert net.sightings() == [("discover", 0)] * 3
    net.hear(pxe(xid=99), 4)
    assert net.events() == ["proxy.silent"] * 2


def test_an_unknown_architecture() -> None:
    """Silence, explained."""
    net = beside()
    assert net.hear(pxe(vendor_class="PXEClient:Arch:00012", arch=12)) == []
    assert net.events() == ["dhcp.unknown_arch"]


def test_off() -> None:
    """Nothing at all."""
    net = Scene(DhcpSettings(default_mode="off"))
    assert net.hear(pxe()) == []
    assert net.hear(pxe(kind=MessageType.REQUEST, ciaddr=OWN), port=4011, unicast=True) == []
    assert net.server.statistics().dropped == {"off": 2}


def test_another_tftp_server() -> None:
    """``next_server``: the offer still sends EFI clients to our port 4011, the answer there to the other server."""
    other = A("10.0.0.9")
    net = Scene(with_subnet(mode="proxy", next_server=other))
    net.hear(pxe(vendor_class=scene.X64_CLASS, arch=7))
    net.hear(pxe(vendor_class=scene.X64_CLASS, arch=7, kind=MessageType.REQUEST, ciaddr=OWN), port=4011, unicast=True)
    net.hear(pxe(MAC2))
    assert [answer.siaddr for answer in net.sent()] == [SERVER, other, other]


# -- boot answers beside our own addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "more"),
    [
        (pxe(), {}),
        (pxe(vendor_class=scene.X64_CLASS, arch=7), {}),
        (pxe(options=IPXE), {175: b"\xb0\1\1"}),
        (pxe(vendor_class=scene.HTTP_CLASS, arch=16), {60: b"HTTPClient"}),
        (pxe(PI, options=PI_OPTIONS), {60: b"PXEClient", 43: RASPBERRY_43}),
        (discover(), None),
        (pxe(vendor_class="PXEClient:Arch:00012", arch=12), None),
    ],
    ids=["BIOS", "x64", "iPXE", "HTTP boot", "Raspberry Pi", "system", "unknown architecture"],
)
def test_the_servers_own_offer(said: scene.Message, more: dict[int, bytes] | None) -> None:
    """``file`` and 67, siaddr and 66; 60, 43 and 175 only for who needs them; nothing for who boots nothing (facts: dhcp §6)."""
    net = Scene()
    net.hear(said)
    offer = net.sent()[0]
    options = {code: offer.options.raw(code) for code in (13, 43, 52, 60, 66, 67, 175) if code in offer.options}
    if more is None:
        assert (options, offer.siaddr, offer.file) == ({}, 0, b"")
    else:
        assert options == {66: b"10.0.0.1", 67: offer.file} | more
        assert (offer.siaddr, bool(offer.file)) == (SERVER, True)


def test_offer_and_ack_say_the_same() -> None:
    """EDK2 reads both."""
    net = Scene()
    net.hear(pxe(vendor_class=scene.X64_CLASS, arch=7))
    offered = net.sent()[0]
    chosen = {50: offered.yiaddr, 54: SERVER}
    net.hear(pxe(vendor_class=scene.X64_CLASS, arch=7, kind=MessageType.REQUEST, options=chosen))
    ack = net.sent()[1]
    assert (ack.message_type, ack.file, ack.siaddr, ack.yiaddr) == (5, offered.file, offered.siaddr, offered.yiaddr)
    assert ack.options.without(53) == offered.options.without(53)


def test_a_raspberry_without_file_names() -> None:
    """Its ROM has names of its own: it only has to be told where. Its address stays reserved although it never asks for it."""
    net = Scene(boot=nothing)
    said = pxe(PI, options=PI_OPTIONS)
    lines = net.hear(said, 0)
    assert firmware.raspberry(payload_of(sends_of(net.outputs[0])[0]), serialize(said)).server == SERVER
    address = net.sent()[0].yiaddr
    assert net.hear(discover(MAC1, {50: address}), 300)[0].split()[1] != lines[0].split()[1]
    assert net.hear(said, 400) == lines


@pytest.mark.parametrize(
    ("url", "in_file"),
    [("http://h/" + "a" * 118, True), ("http://h/" + "a" * 119, False), ("http://h/" + "a" * 246, False)],
    ids=["127", "128", "255"],
)
def test_long_urls(url: str, in_file: bool) -> None:
    """127 bytes fit into ``file``; what is longer stands in 67 alone; never overloaded, even in a small answer."""

    def boot(client: BootClient, server: int, proxied: bool) -> BootFile:
        return BootFile(url=url)

    net = Scene(boot=boot)
    net.hear(pxe(options=IPXE))
    offer = net.sent()[0]
    assert (offer.file, offer.options.raw(67)) == (url.encode() if in_file else b"", url.encode())
    assert 52 not in offer.options


def test_what_cannot_be_said_is_not_said() -> None:
    """256 bytes do not fit into an option that clients read unjoined."""
    net = Scene(boot=lambda client, server, proxied: BootFile(url="http://h/" + "a" * 247, reason="long"))
    net.hear(pxe())
    assert net.sent()[0].options.raw(67) is None
    assert net.events() == ["dhcp.discover", "dhcp.no_boot", "dhcp.offer"]


def test_ipxe_waits_when_there_is_more_to_come() -> None:
    """``complete = False``: a ProxyDHCP server has the rest, so 175.176 is not sent."""
    net = Scene(boot=lambda client, server, proxied: BootFile(path="x", complete=False))
    net.hear(pxe(options=IPXE))
    assert 175 not in net.sent()[0].options


@pytest.mark.parametrize("mode", ["server", "proxy"])
def test_the_policy_knows_whose_addresses_they_are(mode: str) -> None:
    """Behind another DHCP server some loaders need another way: who chooses the file is told."""
    asked: list[bool] = []

    def boot(client: BootClient, server: int, proxied: bool) -> BootFile:
        asked.append(proxied)
        return BootFile(path="x64/grubx64.efi", reason="loader")

    Scene(with_subnet(mode=mode), boot=boot).hear(pxe())
    assert asked == [mode == "proxy"]
