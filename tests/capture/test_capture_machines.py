"""Whose packet it is: machines that share an address, are switched on again, stand behind relays, or have several network cards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from talk import CLIENT, EDK2, IPXE, MAC, MS, OTHER_SERVER, RELAY, ROM, SERVER, UDHCPC, Talk

from pxenet.capture import dissect
from pxenet.capture.boots import Boot, Missing, Role
from pxenet.capture.dissect import Dissection, read
from pxenet.capture.frames import ETHERNET
from pxenet.capture.machines import IDLE_NS, MAX_STEPS
from pxenet.capture.made import End, udp_frame
from pxenet.wire import tftp
from pxenet.wire.iana import MessageType
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.tftp import Data, Error, OpCode, Request

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
SECOND_MAC = bytes.fromhex("525400abcdef")
UUID = b"\0" + bytes(range(1, 17))


def boots(talk: Talk) -> list[tuple[bytes, int, list[str]]]:
    """Hardware address, power-on, and the files asked for."""
    return [
        (boot.hardware, boot.power_on, [step.request.filename for step in boot.tftp]) for boot in talk.capture().boots
    ]


def load(talk: Talk, name: str, mac: bytes = MAC, address: int = CLIENT, port: int = 2000) -> Talk:
    """A file in one block."""
    talk.up(Request(OpCode.RRQ, name), mac=mac, address=address, port=port)
    talk.down(Data(1, b"x"), mac=mac, address=address, port=port)
    return talk.up(tftp.Ack(1), mac=mac, address=address, port=port)


def test_two_machines_share_an_address() -> None:
    """What is asked from an address belongs to the machine that had it then."""
    talk = load(Talk().lease(ROM), "first").wait(600)
    load(talk.lease(ROM, mac=SECOND_MAC, xid=2), "second", SECOND_MAC, port=2001)
    assert boots(talk) == [(MAC, 1, ["first"]), (SECOND_MAC, 1, ["second"])]


def test_an_address_behind_a_relay() -> None:
    """TFTP that comes through a router is known by the address that DHCP gave, and goes over to the next who has it."""
    talk = Talk()
    for number, mac in enumerate((MAC, SECOND_MAC)):
        talk.lease(ROM, mac=mac, giaddr=RELAY, xid=number + 1)
        load(talk, f"file {number}", SERVER_SIDE, port=2000 + number).wait(60)
    assert boots(talk) == [(MAC, 1, ["file 0"]), (SECOND_MAC, 1, ["file 1"])]
    assert [boot.exchanges[0].relayed for boot in talk.capture().boots] == [True, True]


SERVER_SIDE = bytes.fromhex("02000a0000fe")
"""The router's hardware address, on the server's side."""


def test_switched_on_again() -> None:
    """The firmware asks anew after files were loaded: another boot of the same machine, with times of its own."""
    talk = Talk()
    for _ in range(3):
        load(talk.lease(EDK2), "x.efi").wait(45)
    assert boots(talk) == [(MAC, 1, ["x.efi"]), (MAC, 2, ["x.efi"]), (MAC, 3, ["x.efi"])]


def test_one_boot_of_three_programs() -> None:
    """Firmware, the iPXE that it loads, and the system: three clients, one boot, a lease each."""
    talk = load(Talk().lease(EDK2), "ipxe.efi").wait(2)
    load(talk.lease(IPXE, xid=2), "boot.ipxe").wait(20)
    talk.lease(UDHCPC, xid=3)
    (boot,) = talk.capture().boots
    assert [(one.family, one.role) for one in boot.fingerprints] == [
        ("edk2-pxe", Role.FIRMWARE), ("ipxe", Role.LOADER), ("udhcpc", Role.SYSTEM),
    ]  # fmt: skip
    assert boot.firmware is not None
    assert boot.firmware.architecture == boot.architecture == 7
    assert [lease.who for lease in boot.leases] == ["edk2-pxe", "ipxe", "udhcpc"]
    assert [(lease.address, lease.server, lease.lasts_s) for lease in boot.leases] == [(CLIENT, SERVER, 3600)] * 3
    assert boot.addresses == (CLIENT,)


def test_an_ipxe_that_speaks_first_is_the_firmware() -> None:
    """Network cards and virtual machines have it in their ROM."""
    (found,) = Talk().lease(IPXE).boot().fingerprints
    assert (found.family, found.role) == ("ipxe", Role.FIRMWARE)
    assert found.evidence[0].text == "option 175 (iPXE's own), version 1.21.1"
    assert found.evidence[0].packet == 1


def test_discovers_again_without_an_answer_are_one_boot() -> None:
    """Firmware waits 4, 8, 16 and 32 seconds."""
    talk = Talk()
    for pause in (4, 8, 16, 32):
        talk.dhcp(MessageType.DISCOVER, says=ROM).wait(pause)
    assert len(talk.capture().boots) == 1


def test_the_next_network_card_of_a_machine() -> None:
    """By its UUID a second card joins the boot of the first, when that got nothing."""
    talk = Talk().dhcp(MessageType.DISCOVER, says={**EDK2, Code.MACHINE_ID: UUID}).wait(60)
    load(talk.lease({**EDK2, Code.MACHINE_ID: UUID}, mac=SECOND_MAC, xid=2), "x.efi", SECOND_MAC)
    (boot,) = talk.capture().boots
    assert (boot.hardware, boot.other_hardware, boot.uuid) == (MAC, (SECOND_MAC,), UUID[1:])
    assert len(boot.tftp) == 1


@pytest.mark.parametrize("filler", [b"\0" + bytes(16), b"\0" + b"\xff" * 16], ids=["zeros", "ones"])
def test_uuids_that_name_no_machine(filler: bytes) -> None:
    """What boards' makers forgot to fill in joins nothing."""
    talk = Talk().dhcp(MessageType.DISCOVER, says={**EDK2, Code.MACHINE_ID: filler}).wait(30)
    talk.dhcp(MessageType.DISCOVER, says={**EDK2, Code.MACHINE_ID: filler}, mac=SECOND_MAC)
    assert len(talk.capture().boots) == 2


def test_two_servers_and_a_proxy() -> None:
    """All who answered are in the exchange; what a proxy says at port 4011 gives no address."""
    talk = Talk().dhcp(MessageType.DISCOVER, says=EDK2)
    talk.dhcp(MessageType.OFFER, yiaddr=CLIENT, server=SERVER).dhcp(MessageType.OFFER, server=OTHER_SERVER)
    talk.dhcp(MessageType.REQUEST, says=EDK2).dhcp(MessageType.ACK, yiaddr=CLIENT, server=SERVER)
    talk.dhcp(MessageType.REQUEST, says=EDK2, port=4011, ciaddr=CLIENT)
    talk.dhcp(MessageType.ACK, yiaddr=CLIENT, server=OTHER_SERVER, port=4011)
    boot = talk.boot()
    (exchange,) = boot.exchanges
    assert exchange.servers == (SERVER, OTHER_SERVER)
    assert [lease.server for lease in boot.leases] == [SERVER]
    assert len(boot.dhcp) == 7


def test_silence_ends_a_boot() -> None:
    """Memory is given back while the capture goes on: boots come as they end, not at the end."""
    talk = load(Talk().lease(ROM), "a").wait(2 * IDLE_NS / 10**9)
    talk.lease(ROM, mac=SECOND_MAC).lease(ROM, mac=SECOND_MAC[::-1])
    taken = []

    def records() -> object:
        for number, frame in enumerate(talk.frames):
            taken.append(number)
            yield frame.at_ns, 0, ETHERNET, frame.data, 0, len(frame.data), frame.length

    first = next(Dissection(records()).boots())  # type: ignore[arg-type]
    assert first.hardware == MAC
    assert len(taken) < len(talk.frames)


def test_more_steps_than_are_kept() -> None:
    """Of an endless boot the beginning is kept, and the rest counted."""
    talk = Talk()
    for number in range(MAX_STEPS + 50):
        talk.dhcp(MessageType.REQUEST, says=UDHCPC, xid=number)
    boot = talk.boot()
    assert (len(boot.steps), boot.dropped_steps) == (MAX_STEPS, 50)


def test_a_relay_seen_on_both_sides() -> None:
    """The same messages before and behind the relay are one boot, with one lease."""
    talk = Talk()
    for kind, server in (
        (MessageType.DISCOVER, 0),
        (MessageType.OFFER, SERVER),
        (MessageType.REQUEST, 0),
        (MessageType.ACK, SERVER),
    ):
        for giaddr in (0, RELAY) if not server else (RELAY, 0):
            talk.dhcp(kind, says={} if server else EDK2, yiaddr=CLIENT if server else 0, server=server, giaddr=giaddr)
    boot = talk.boot()
    assert (len(boot.dhcp), len(boot.leases), boot.hardware) == (8, 1, MAC)


def test_dhcp_cut_short_is_truncated() -> None:
    """A message of which the recorder kept only the beginning is named, and is not malformed."""
    talk = Talk().dhcp(MessageType.DISCOVER, says=EDK2)
    frame = talk.frames[0]
    talk.frames[0] = type(frame)(frame.at_ns, frame.data[:128], frame.length)
    capture = talk.capture()
    assert [(damage.packet, damage.truncated) for damage in capture.damage] == [(1, True)]
    assert (capture.counts.truncated, capture.counts.malformed) == (1, 0)


def test_fragments_of_large_blocks() -> None:
    """A block larger than the MTU comes in fragments, and is one block."""
    talk = Talk().rrq("f", ("blksize", "4000")).down(tftp.Oack((("blksize", "4000"),))).ack(0)
    whole = udp_frame(0, End(SERVER, 40000, bytes(6)), End(CLIENT, 2000, MAC), tftp.serialize(Data(1, b"x" * 3999)))
    head, inner = bytearray(whole.data[:34]), whole.data[34:]
    for at in (1480, 0, 2960):
        more = 0x2000 if at + 1480 < len(inner) else 0
        head[16:18] = (20 + len(inner[at : at + 1480])).to_bytes(2, "big")
        head[20:22] = (more | at // 8).to_bytes(2, "big")
        data = bytes(head) + inner[at : at + 1480]
        talk.add(type(whole)(talk.now, data, len(data)))
    found = talk.ack(1).transfer()
    assert (found.blocks, found.size, found.gaps) == (1, 3999, ())
    assert (found.client_waits.longest_ns, found.server_waits.longest_ns) == (MS, 3 * MS)


PROGRAMS = {
    "bios-e1000-pxelinux": ["ipxe", "pxelinux", "udhcpc"],
    "bios-ipxe-script": ["ipxe"],
    "bios-lpxelinux-v6": ["ipxe", "pxelinux"],
    "bios-pxelinux-localboot": ["ipxe", "pxelinux"],
    "di-preseed": ["ipxe", "pxelinux", "debian-installer", "wget"],
    "proxy-bios-kea": ["ipxe"],
    "uefi-http-ipxe": ["edk2-http", "ipxe"],
    "uefi-pxe-grub": ["edk2-pxe", "grub", "udhcpc", "wget"],
    "uefi-pxe-ipxe": ["edk2-pxe", "ipxe"],
    "uefi-pxe6-ipxe": ["edk2-pxe", "ipxe", "udhcpc"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_the_captures(name: str) -> None:
    """Every program that took part is known, by packets that are its own."""
    (boot,) = read(CAPTURES / f"{name}.pcap").boots
    assert [one.family for one in boot.fingerprints] == PROGRAMS[name]
    assert all(one.evidence for one in boot.fingerprints)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_trimmed_captures_show_no_loss(path: Path) -> None:
    """What the recorder cut from the middle of transfers is not recorded: these networks lost nothing."""
    (boot,) = read(path).boots
    gaps = [gap for step in (*boot.tftp, *boot.http) for gap in step.gaps]
    assert {gap.kind for gap in gaps} <= {Missing.NOT_RECORDED}
    assert sum(step.retransmissions for step in boot.tftp) == 0


def test_captures_one_after_the_other() -> None:
    """All captures as one network's, where some machines boot several times: each boot is what it is alone."""
    alone: list[Boot] = []
    records: list[dissect.Record] = []
    for path in sorted(CAPTURES.glob("*.pcap")):
        alone += read(path).boots
        with dissect.open_capture(path) as reader:
            records += [(*one[:3], bytes(one[3][one[4] : one[5]]), 0, one[5] - one[4], one[6]) for one in reader]
    records.sort(key=lambda record: record[0])
    alone.sort(key=lambda boot: boot.began_at_ns)
    together = dissect.dissect(records).boots
    assert [boot.hardware for boot in together] == [boot.hardware for boot in alone]
    for ours, theirs in zip(together, alone, strict=True):
        assert [step.at for step in ours.steps] == [step.at for step in theirs.steps]
        assert [one.family for one in ours.fingerprints] == [one.family for one in theirs.fingerprints]
        assert ours.leases == tuple(
            replace(one, ref=mine.ref) for one, mine in zip(theirs.leases, ours.leases, strict=True)
        )


def test_refused_requests_are_steps() -> None:
    """PXELINUX asks for many configurations; each is there, with the answer."""
    talk = Talk().lease(ROM)
    for name in "abc":
        talk.up(Request(OpCode.RRQ, name)).down(Error(1, "no such file"))
    assert [isinstance(step.answer, Error) for step in talk.boot().tftp] == [True] * 3
