"""The rack as a whole: who asks, what unknown machines get, and that what is shown beforehand is what happens."""

from __future__ import annotations

from pathlib import Path

import dhcp_scene
import firmware_rules as firmware
import pytest
from rack_machine import ADDRESS, BIOS, MAC, MACHINE, STRANGER_MAC, read, start_installer, token
from rack_scene import (
    NEIGHBOUR,
    NEIGHBOUR_MAC,
    OTHER_SERVER,
    SERVER,
    RackScene,
    site,
)

from pxenet.boot.policy import Action
from pxenet.config import from_text
from pxenet.engine.access import BY_DHCP, BY_LEASE, BY_NEIGHBOUR
from pxenet.events import describe
from pxenet.model import InstallState
from pxenet.net.datagram import Interface
from pxenet.rack import Rack
from pxenet.rack.offering import FIRMWARE, offerings
from pxenet.rack.preview import preview
from pxenet.store.memory import MemoryStore
from pxenet.wire.dhcp import parse, serialize
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.text import parse_address

UUID = "00112233-4455-6677-8899-aabbccddeeff"
S = InstallState


def boot_class(arch: int) -> dict[int, object]:
    """The options by which firmware of this architecture says what it is."""
    kind = "HTTPClient" if arch in (16, 19) else "PXEClient"
    return {
        OptionCode.VENDOR_CLASS: f"{kind}:Arch:{arch:05}:UNDI:003016",
        OptionCode.ARCHITECTURE: (arch,),
    }


# -- who asks ----------------------------------------------------------------------------------------------------------------


def test_by_its_lease(base: Path) -> None:
    """A generic name is rendered for the machine that has the lease of the address."""
    scene = RackScene(base, site(more=MACHINE))
    scene.exchange(MAC, BIOS)
    assert BY_LEASE == scene.rack.asker(ADDRESS).evidence
    assert token(scene) in scene.get("/boot.ipxe", ADDRESS).body.decode()


def test_by_what_it_said_to_another_server(base: Path) -> None:
    """ProxyDHCP: the overheard REQUEST names the address that it is about to have."""
    scene = RackScene(base, site(mode="proxy", more=MACHINE))
    (offer,) = scene.exchange(MAC, BIOS, address=ADDRESS).offers
    assert 0 == parse(offer).yiaddr
    assert BY_DHCP == scene.rack.asker(ADDRESS).evidence
    assert token(scene) in scene.get("/boot.ipxe", ADDRESS).body.decode()
    assert S.OFFERED is scene.state("machine")


def test_by_the_neighbour_table(base: Path) -> None:
    """An address that no DHCP of ours has seen."""
    scene = RackScene(base, site(mode="proxy", more=MACHINE), neighbour={ADDRESS: MAC}.get)
    assert BY_NEIGHBOUR == scene.rack.asker(ADDRESS).evidence
    assert token(scene) in scene.get("/boot.ipxe", ADDRESS).body.decode()


def test_our_lease_says_more_than_the_neighbour_table(base: Path) -> None:
    """A machine that answers ARP for another one's address gets that one's text at most, never an answer file by mistake."""
    scene = RackScene(base, site(more=MACHINE), neighbour={ADDRESS: NEIGHBOUR_MAC}.get)
    scene.exchange(MAC, BIOS)
    text = scene.get("/boot.ipxe", ADDRESS).body.decode()
    assert token(scene) in text
    assert token(scene, "neighbour") not in text


def test_two_that_claim_one_address_are_nobody(base: Path) -> None:
    """Ambiguous means unknown: no text, and whoever of the two has the token is not refused."""
    scene = RackScene(base, site(mode="proxy", more=MACHINE))
    for mac in (MAC, NEIGHBOUR_MAC):
        scene.exchange(mac, BIOS, address=ADDRESS)
        scene.now += 10
    asker = scene.rack.asker(ADDRESS)
    assert (None, "") == (asker.host, asker.evidence)
    assert 404 == scene.get("/boot.ipxe", ADDRESS).status
    assert 200 == scene.get(f"/answer/{token(scene)}/alma9/ks.cfg", ADDRESS).status
    scene.exchange(STRANGER_MAC, BIOS, address=ADDRESS)
    scene.exchange(NEIGHBOUR_MAC, BIOS, address=ADDRESS)
    assert 403 == scene.get(f"/answer/{token(scene)}/alma9/ks.cfg", ADDRESS).status


def test_a_token_is_enough_from_an_address_that_is_nobodys(base: Path) -> None:
    """A machine whose installer has an address from elsewhere; the state follows the token."""
    scene = RackScene(base, site(more=MACHINE))
    assert 200 == scene.get(f"/answer/{token(scene)}/alma9/ks.cfg", parse_address("192.0.2.7")).status
    assert S.ANSWERED is scene.state("machine")


def test_an_answer_file_is_read_so_often_and_so_long(base: Path) -> None:
    """Each read is recorded with who, by what evidence, and which it was; one too many or too late is refused, and says why. The next
    boot is told of it anew."""
    limits = '[boot]\nanswer_reads = 2\nanswer_window = "10m"\n'
    scene = RackScene(base, site(more=MACHINE).replace("[boot]\n", limits))
    scene.exchange(MAC, BIOS)
    path, text = f"/answer/{token(scene)}/alma9/ks.cfg", f"/pxelinux.cfg/01-{MAC.hex('-')}"

    def reads(*times: float) -> list[int]:
        found = []
        for later_s in times:
            scene.now += later_s
            found.append(scene.get(path, ADDRESS).status)
        return found

    def refusal() -> str:
        return scene.rack.access.may_read_answer(token(scene), ADDRESS, scene.now).reason

    assert 200 == scene.get(text, ADDRESS).status
    assert [200, 200, 403] == reads(0, 1, 1)
    told = [event for event in scene.events if event.kind == "answer.read"]
    assert [(MAC, ADDRESS, 1, 2), (MAC, ADDRESS, 2, 2)] == [
        (each.mac, each.address, each.detail["count"], each.detail["most"]) for each in told
    ]
    assert "is given its answer file" in describe(told[0])[0]
    assert "known by lease" in describe(told[0])[0]
    assert "as often as boot.answer_reads allows" in refusal()
    assert 200 == scene.get(text, ADDRESS).status
    assert [200, 403] == reads(599, 1)
    assert "boot.answer_window is 10 min" in refusal()


def test_a_name_is_no_proof(base: Path) -> None:
    """A text named by hardware address carries a token: it goes to who is known to be that machine. Where we hear no DHCP, to whoever
    nothing speaks against."""
    path, nobodys = f"/pxelinux.cfg/01-{MAC.hex('-')}", parse_address("10.77.0.200")
    deaf = RackScene(base, site(mode="off", more=MACHINE))
    assert token(deaf) in deaf.get(path, nobodys).body.decode()
    assert 403 == deaf.get(path, 0).status  # over IPv6
    scene = RackScene(base, site(more=MACHINE))
    for stranger in (nobodys, parse_address("192.0.2.7"), 0):
        assert 403 == scene.get(path, stranger).status
    scene.exchange(MAC, BIOS)
    assert 403 == scene.get(path, nobodys).status
    assert token(scene) in scene.get(path, ADDRESS).body.decode()


@pytest.mark.parametrize("wrong", ["0" * 32, "", "x", "../answer"])
def test_without_a_token_there_is_no_answer_file(base: Path, wrong: str) -> None:
    """Not even from the machine's own address; a missing one is not found or denied, never a listing."""
    scene = RackScene(base, site(more=MACHINE))
    scene.exchange(MAC, BIOS)
    for path in (f"/answer/{wrong}/alma9/ks.cfg", f"/answer/{wrong}", "/answer/"):
        answer = scene.get(path, ADDRESS)
        assert answer.status in (403, 404)
        assert b"secret" not in answer.body
    assert S.OFFERED is scene.state("machine")


def test_part_of_an_answer_file_proves_nothing(base: Path) -> None:
    """Only a file that was read whole moves the state: not HEAD, not a range, not a transfer that was ended."""
    scene = RackScene(base, site(more=MACHINE))
    scene.exchange(MAC, BIOS)
    path = f"/answer/{token(scene)}/alma9/ks.cfg"
    assert 200 == scene.get(path, ADDRESS, "HEAD").status
    head = f"GET {path} HTTP/1.1\r\nHost: 10.77.0.1\r\nRange: bytes=0-3\r\n\r\n".encode()
    assert 206 == scene.http(head, ADDRESS).status
    assert S.OFFERED is scene.state("machine")


# -- machines that nobody named -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unknown", "action", "words"),
    [
        ("ignore", Action.NONE, []),
        ("local", Action.LOCAL, ["LOCALBOOT 0"]),
        ("menu", Action.MENU, ["UI menu.c32", "LABEL alma9", "LABEL debian12", "LABEL local"]),
        ("alma9", Action.INSTALL, ["LINUX ::profile/alma9/images/pxeboot/vmlinuz", "inst.ks="]),
    ],
)
def test_unknown_machines(base: Path, unknown: str, action: Action, words: list[str]) -> None:
    """Each gets an address; what it boots is boot.unknown's word. Who merely asks leaves no install state behind."""
    scene = RackScene(base, site(unknown=unknown))
    exchange = scene.exchange(STRANGER_MAC, BIOS)
    assert exchange.ack is not None
    reply = firmware.read(exchange.ack)
    assert reply.yiaddr
    assert bool(words) == bool(reply.file)
    assert ("dhcp.no_boot" in scene.kinds()) == (action is Action.NONE)
    assert action is scene.rack.plan(scene.rack.hosts.of_mac(STRANGER_MAC)).action
    assert [] == list(scene.store.installs())
    client = read(scene, "bios/pxelinux.cfg/default", reply.yiaddr)
    assert bool(words) == (client.error is None)
    assert [word for word in words if word not in client.data.decode()] == []


def test_an_unknown_machine_is_installed_once(base: Path) -> None:
    """With a profile for all, its state begins with what only a machine does: it reads a boot loader."""
    scene = RackScene(base, site(unknown="alma9"))
    start_installer(scene, STRANGER_MAC)
    (record,) = scene.store.installs()
    assert (STRANGER_MAC.hex(":"), S.BOOTED, 1) == (record.key, record.state, record.attempts)
    secret = scene.rack.installs.token(record.key)
    assert 200 == scene.get(f"/installed/{secret}", 0).status
    assert Action.LOCAL is scene.rack.plan(scene.rack.hosts.of_mac(STRANGER_MAC)).action


def test_a_neighbour_is_no_unknown_machine(base: Path) -> None:
    """A configured host keeps its profile, whatever unknown ones get."""
    scene = RackScene(base, site(unknown="debian12"))
    scene.exchange(NEIGHBOUR_MAC, BIOS)
    assert "alma9" in read(scene, "pxelinux.cfg/default", NEIGHBOUR).data.decode()


# -- hosts without a hardware address ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wire", ["33221100554477668899aabbccddeeff", "00112233445566778899aabbccddeeff"], ids=["PC firmware", "U-Boot"]
)
def test_by_its_machine_id(base: Path, wire: str) -> None:
    """Its reserved address and its text from the first packet on; after a restart its hardware address is enough."""
    more = f'[[host]]\nname = "machine"\nuuid = "{UUID}"\nprofile = "alma9"\naddress = "10.77.0.11"\n'
    scene = RackScene(base, site(more=more))
    machine_id: dict[int, object] = {OptionCode.MACHINE_ID: b"\0" + bytes.fromhex(wire)}
    ack = scene.exchange(MAC, {**BIOS, **machine_id}).ack
    assert ack is not None
    assert ADDRESS == parse(ack).yiaddr
    assert S.OFFERED is scene.state("machine")
    for name in ("pxelinux.cfg/default", "pxelinux.cfg/01-" + MAC.hex("-"), "boot.ipxe"):
        assert token(scene) in scene.get(f"/{name}", ADDRESS).body.decode(), name
    again = RackScene(base, site(more=more), store=scene.store, now=scene.now + 60)
    ack = again.exchange(MAC, BIOS).ack
    assert ack is not None
    assert ADDRESS == parse(ack).yiaddr
    assert token(again) in again.get("/boot.ipxe", ADDRESS).body.decode()
    assert [S.OFFERED] == [record.state for record in scene.store.installs()]


def test_by_its_serial_number(base: Path) -> None:
    """No DHCP option has it: iPXE tells it in the URL of its script. Another machine cannot take it over."""
    more = '[[host]]\nname = "machine"\nserial = "ABC 123"\nprofile = "alma9"\n'
    scene = RackScene(base, site(unknown="local", loaders={"bios": "ipxe"}, more=more))
    ipxe = {**BIOS, OptionCode.USER_CLASS: b"iPXE", OptionCode.IPXE: bytes.fromhex("130101")}
    ack = scene.exchange(MAC, ipxe).ack
    assert ack is not None
    asks = firmware.ipxe([ack], ack, serialize(dhcp_scene.discover(MAC, ipxe)))
    assert "http://10.77.0.1/boot.ipxe?serial=${serial:uristring}" == asks.name
    address = parse(ack).yiaddr
    assert token(scene) not in scene.get("/boot.ipxe?serial=nobody", address).body.decode()
    assert token(scene) in scene.get("/boot.ipxe?serial=ABC%20123", address).body.decode()
    scene.exchange(NEIGHBOUR_MAC, ipxe)
    stolen = scene.get("/boot.ipxe?serial=ABC%20123", NEIGHBOUR).body.decode()
    assert token(scene) not in stolen
    assert token(scene, "neighbour") in stolen


# -- what a client can do ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("features", "scheme"), [("130101", "http"), ("150101", "tftp")], ids=["with HTTP", "without"])
def test_what_this_build_of_ipxe_can_fetch(base: Path, features: str, scheme: str) -> None:
    """The script and what it names come by HTTP where the build says that it can (option 175, feature 19), else by TFTP."""
    scene = RackScene(base, site(loaders={"bios": "ipxe"}, more=MACHINE))
    ipxe = {**BIOS, OptionCode.USER_CLASS: b"iPXE", OptionCode.IPXE: bytes.fromhex(features)}
    exchange = scene.exchange(MAC, ipxe)
    assert exchange.ack is not None
    loads = firmware.ipxe(exchange.offers, exchange.ack, exchange.request)
    assert loads.name == ("http://10.77.0.1/boot.ipxe" if scheme == "http" else "boot.ipxe")
    text = read(scene, "boot.ipxe", ADDRESS).data.decode()
    assert f"kernel {scheme}://10.77.0.1/profile/alma9/images/pxeboot/vmlinuz" in text
    assert f"inst.ks=http://10.77.0.1/answer/{token(scene)}/alma9/ks.cfg" in text


# -- what is told beforehand is what happens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "server", "url"),
    [
        ("", SERVER, "http://10.77.0.1"),
        ("", 0, "http://10.77.0.1"),
        ("", OTHER_SERVER, "http://10.77.0.2"),
        ("[http]\nport = 8080\n", SERVER, "http://10.77.0.1:8080"),
        ('[server]\naddress = "10.77.0.9"\n', SERVER, "http://10.77.0.9"),
        ('[server]\nurl = "http://boot.example:81/x"\n[http]\nport = 8080\n', SERVER, "http://boot.example:81/x"),
    ],
)
def test_urls(base: Path, more: str, server: int, url: str) -> None:
    """server.url, else server.address, else the address by which the client reaches us; the port unless it is 80."""
    wire = Interface(2, "br0", b"", ((SERVER, 24),))
    settings = from_text(more, base)
    rack = Rack(settings, MemoryStore(), interfaces=(wire,), tell=lambda event: None, clock=lambda: 0.0)
    assert url == rack.url(server)


@pytest.mark.parametrize("loader", ["pxelinux", "lpxelinux", "ipxe"])
def test_the_preview_is_what_happens(base: Path, loader: str) -> None:
    """For every firmware: the boot file of ``check`` and ``render`` is the one of the OFFER, their texts are those that are read."""
    for firmware_name, arch in FIRMWARE:
        scene = RackScene(base, site(loaders={"bios": loader}, more=MACHINE))
        shown = preview(scene.rack, scene.host("machine"), SERVER)
        general = {offering.firmware: offering for offering in offerings(scene.rack, SERVER)}
        (offer,) = [offer for offer in shown.offers if offer.firmware == firmware_name]
        exchange = scene.exchange(MAC, boot_class(arch))
        assert exchange.ack is not None
        loads = firmware.edk2_file(firmware.read(exchange.ack))
        assert offer.boot.path or offer.boot.url
        assert loads == (offer.boot.path or offer.boot.url) == general[firmware_name].file
        assert loads == firmware.edk2_file(firmware.read(exchange.offers[0]))
        for text in shown.texts:
            if text.name.startswith("answer/") or (
                firmware_name in text.firmware and not text.name.endswith("boot.ipxe")
            ):
                assert text.text == scene.get(f"/{text.name}", ADDRESS).body.decode()


def test_the_preview_behind_another_server(base: Path) -> None:
    """Proxy mode: the file is in the answer on port 4011 (UEFI) or in the OFFER (BIOS), and the one that was shown."""
    scene = RackScene(base, site(mode="proxy", more=MACHINE))
    shown = {offer.firmware: offer.boot for offer in preview(scene.rack, scene.host("machine"), SERVER).offers}
    general = {offering.firmware: offering.file for offering in offerings(scene.rack, SERVER)}
    for name, arch in FIRMWARE:
        (offer,) = scene.exchange(MAC, boot_class(arch), address=ADDRESS).offers
        said = firmware.edk2_file(firmware.read(offer))
        if arch in (6, 7, 11):
            assert "" == said
            ask = dhcp_scene.message(MessageType.REQUEST, MAC, boot_class(arch), ciaddr=ADDRESS)
            (answer,) = scene.dhcp(ask, source=ADDRESS, source_port=4011, port=4011, broadcast=False)
            said = firmware.edk2_file(firmware.read(answer))
        assert said == (shown[name].path or shown[name].url) == general[name]


def test_looking_changes_nothing(base: Path) -> None:
    """Neither a preview nor a question who asks leaves a state, a host or an event behind."""
    scene = RackScene(base, site(more=MACHINE))
    preview(scene.rack, scene.host("machine"), SERVER)
    offerings(scene.rack, SERVER)
    scene.rack.asker(ADDRESS)
    assert ([], [], [], []) == (
        scene.events,
        list(scene.store.installs()),
        list(scene.store.hosts()),
        list(scene.store.leases()),
    )


# -- small things -------------------------------------------------------------------------------------------------------------------


def test_a_file_of_the_users_own(base: Path) -> None:
    """server.root is served as it is, by TFTP and HTTP alike, and its directories are listed by HTTP only."""
    scene = RackScene(base, site())
    assert b"served as it is\n" == scene.get("/motd", 0).body == read(scene, "//motd", NEIGHBOUR).data
    assert b'href="/motd"' in scene.get("/", 0).body
    error = read(scene, "/", NEIGHBOUR).error
    assert error is not None
    assert 1 == error.code


def test_names_for_people(base: Path) -> None:
    """By hardware address or by the address it asks from; machines that nobody named have none."""
    scene = RackScene(base, site(more=MACHINE))
    scene.exchange(MAC, BIOS)
    assert "machine" == scene.rack.name_of(MAC, 0) == scene.rack.name_of(b"", ADDRESS)
    assert "" == scene.rack.name_of(STRANGER_MAC, 0) == scene.rack.name_of(b"", 0)


def test_events_of_transfers_know_the_machine(base: Path) -> None:
    """TFTP and HTTP know addresses; what is told has the hardware address of the machine behind it."""
    scene = RackScene(base, site(more=MACHINE))
    scene.exchange(MAC, BIOS)
    read(scene, "bios/pxelinux.0", ADDRESS)
    read(scene, "no/such", ADDRESS)
    assert {MAC} == {event.mac for event in scene.events if event.kind.startswith(("tftp.", "install."))}
