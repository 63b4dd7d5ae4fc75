"""What is odd about boots: every rule with a boot that shows it, and none with boots that are in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from talk import CLIENT, EDK2, IPXE, MAC, OTHER_SERVER, ROM, SERVER, UDHCPC, Talk

from pxenet.capture.dissect import read
from pxenet.capture.made import Frame
from pxenet.look.anomalies import RULES, Level, anomalies, capture_anomalies
from pxenet.look.files import Platform, Purpose, answers_named, platform_of, purpose_of
from pxenet.wire.iana import MessageType
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.tftp import Ack, Data, Error, Oack

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
GRUB_CFG = b"linux /vmlinuz inst.ks=http://10.0.0.1/answer/web01.ks quiet\n"


def file(talk: Talk, name: str, content: bytes = b"x") -> Talk:
    """A small file."""
    return talk.rrq(name).down(Data(1, content)).up(Ack(1))


def ids(talk: Talk) -> dict[str, str]:
    """What is odd, with its words."""
    capture = talk.capture()
    found = [
        *capture_anomalies(capture),
        *(one for boot in capture.boots for one in anomalies(boot, capture.ended_at_ns)),
    ]
    return {one.id: one.words for one in found}


def named(name: str, talk: Talk | None = None, says: dict[Code, object] = EDK2) -> Talk:
    """A lease that names this file."""
    talk = talk or Talk()
    talk.dhcp(MessageType.DISCOVER, says=says)
    talk.dhcp(MessageType.OFFER, yiaddr=CLIENT, server=SERVER, says={Code.BOOT_FILE: name})
    talk.dhcp(MessageType.REQUEST, says=says)
    return talk.dhcp(MessageType.ACK, yiaddr=CLIENT, server=SERVER, says={Code.BOOT_FILE: name})


def in_fragments(talk: Talk) -> Talk:
    """A datagram whose second half is lost."""
    talk.rrq("f").block(1)
    whole = talk.frames.pop()
    data = bytearray(whole.data)
    data[20:22] = b"\x20\0"
    return talk.add(Frame(whole.at_ns, bytes(data), whole.length))


def again_and_again(count: int) -> Talk:
    """The same boot, every minute."""
    talk = Talk()
    for _ in range(count):
        file(named("x.efi", talk), "x.efi").wait(60)
    return talk


def answer_named(seconds: float) -> Talk:
    """The kernel is told of an answer file, comes up, and then nothing."""
    talk = file(file(named("x.efi"), "grub.cfg", GRUB_CFG), "vmlinuz").wait(20).lease(UDHCPC, xid=9).wait(seconds)
    other = bytes.fromhex("525400999999")
    return talk.dhcp(MessageType.DISCOVER, says=UDHCPC, mac=other, xid=77)


def half_a_request() -> Talk:
    """A response that stops."""
    talk = Talk().lease(EDK2)
    web = talk.http()
    talk.add(*web.heard(talk.now, b"GET /linux HTTP/1.1\r\n\r\n"))
    return talk.add(*web.said(talk.now, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"))


def refused_answer() -> Talk:
    """Somebody else's."""
    talk = Talk().lease(UDHCPC)
    web = talk.http()
    talk.add(*web.heard(talk.now, b"GET /web01.ks HTTP/1.1\r\n\r\n"))
    return talk.add(*web.said(talk.now, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))


def many_blocks() -> Talk:
    """A large file in small blocks, of which the middle was not recorded."""
    talk = Talk().rrq("linux", ("tsize", "0")).down(Oack((("tsize", "5120000"),))).ack(0).block(1).ack(1).ack(9999)
    return talk.block(10000).ack(10000).block(10001, 0).ack(10001)


OTHER = {"mac": bytes.fromhex("525400999999"), "xid": 77}
CASES = {
    "no-dhcp-answer": (Talk().dhcp(MessageType.DISCOVER, says=ROM).wait(4).dhcp(MessageType.DISCOVER, says=ROM),
        "nobody answers the DISCOVER, asked 2 times"),
    "no-boot-file": (Talk().lease(EDK2), "10.0.0.1 told of no boot file"),
    "nak": (Talk().dhcp(MessageType.REQUEST, says=ROM).dhcp(MessageType.NAK, server=OTHER_SERVER),
        "10.0.0.2 refused the address that the machine asked for (NAK)"),
    "declined": (named("x.efi").dhcp(MessageType.DECLINE, says=EDK2), "the machine declined its address: somebody else has it"),
    "not-acknowledged": (named("x.efi").dhcp(MessageType.REQUEST, says=EDK2, port=4011, xid=8, ciaddr=CLIENT),
        "a REQUEST was not answered by port 4011 of 10.0.0.1"),
    "wrong-architecture": (file(named("pxelinux.0"), "pxelinux.0"), "pxelinux.0 is a BIOS program, and the machine is x64 UEFI"),
    "boot-file-missing": (named("x.efi").rrq("x.efi").down(Error(1, "File not found")),
        "the server has not the file that DHCP named: x.efi (File not found)"),
    "no-file-answer": (named("x.efi").rrq("x.efi").wait(2).rrq("x.efi"), "no answer to the request for x.efi by TFTP, asked 2 times"),
    "answer-refused": (refused_answer(), "the answer file /web01.ks was refused: HTTP/1.1 403 Forbidden"),
    "broken-off": (named("x.efi").rrq("x.efi").block(1).ack(1).block(2).wait(9),
        "x.efi by TFTP is unfinished at block 2"),
    "answer-never-asked": (answer_named(60),
        "the kernel is told of the answer file http://10.0.0.1/answer/web01.ks, and it was never asked for"),
    "second-server": (named("x.efi").dhcp(MessageType.OFFER, yiaddr=9, server=OTHER_SERVER),
        "2 DHCP servers offer addresses: 10.0.0.1 and 10.0.0.2"),
    "offer-not-taken": (Talk().dhcp(MessageType.DISCOVER, says=EDK2).dhcp(MessageType.OFFER, yiaddr=9, server=SERVER),
        "the machine takes no offer of 10.0.0.1"),
    "sent-again": (named("x.efi").rrq("x.efi").block(1).wait(1).block(1).ack(1).block(2, 0).ack(2),
        "x.efi by TFTP: 1 packets sent again, 1.00 s of silence"),
    "stops": (file(named("x.efi"), "x.efi").wait(90).dhcp(MessageType.DISCOVER, says=ROM, **OTHER),  # type: ignore[arg-type]
        "x.efi was loaded, and in 90.0 s nothing is heard of it"),
    "small-blocks": (many_blocks(), "linux goes in 10001 blocks of 512 bytes"),
    "came-again": (again_and_again(2), "this is the 2nd boot of the machine in this capture"),
    "reboots": (again_and_again(2), "52:54:00:12:34:56 was switched on 2 times, every 60.0 s"),
    "reboot-loop": (again_and_again(3),
        "52:54:00:12:34:56 was switched on 3 times, every 60.0 s, and loads the same files each time: a loop"),
    "fragments-lost": (in_fragments(Talk()), "1 IP fragments were lost, or do not fit together"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_rule(name: str) -> None:
    """What is odd is said in words."""
    talk, words = CASES[name]
    assert ids(talk).get(name) == words


def test_every_rule_has_a_case() -> None:
    """But the one for boots of more steps than are kept, which the record of the boot counts."""
    assert {rule.id for rule in RULES} - set(CASES) == {"steps-dropped"}


def test_half_a_response() -> None:
    """HTTP breaks off too."""
    assert ids(half_a_request())["broken-off"] == "/linux by HTTP stops at 1 of 99 bytes"


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_captures_of_boots_that_went_well(path: Path) -> None:
    """Nothing is odd about the reference captures, trimmed as they are."""
    capture = read(path)
    assert capture_anomalies(capture) == ()
    assert [
        one.words
        for boot in capture.boots
        for one in anomalies(boot, capture.ended_at_ns)
        if one.level is not Level.NOTE
    ] == []


def test_in_order() -> None:
    """A proxy, a search for configurations, a menu, an answer file that is fetched."""
    talk = Talk().dhcp(MessageType.DISCOVER, says=EDK2).dhcp(MessageType.OFFER, yiaddr=CLIENT, server=SERVER)
    talk.dhcp(MessageType.OFFER, server=OTHER_SERVER, says={Code.BOOT_FILE: "x.efi"})
    talk.dhcp(MessageType.REQUEST, says=EDK2).dhcp(MessageType.ACK, yiaddr=CLIENT, server=SERVER)
    file(file(file(talk, "x.efi"), "grub.cfg", GRUB_CFG), "vmlinuz").wait(20).lease(UDHCPC, xid=9)
    web = talk.http()
    talk.add(*web.heard(talk.now, b"GET /answer/web01.ks HTTP/1.1\r\n\r\n"))
    talk.add(*web.said(talk.now, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")).wait(600)
    assert (
        ids(talk.dhcp(MessageType.REQUEST, says=UDHCPC, mac=MAC, xid=10).dhcp(MessageType.ACK, server=SERVER, xid=10))
        == {}
    )
    assert ids(answer_named(1)).get("answer-never-asked") is None  # the capture ends too soon to tell


def test_the_worst_first() -> None:
    """Errors stand before warnings, and those before notes."""
    talk = again_and_again(2)
    talk.lease(IPXE, xid=5).dhcp(MessageType.OFFER, yiaddr=9, server=OTHER_SERVER, xid=5).rrq("boot.ipxe")
    capture = talk.capture()
    levels = [one.level for one in anomalies(capture.boots[-1], capture.ended_at_ns)]
    assert levels == sorted(levels, key=list(Level).index)
    assert {Level.ERROR, Level.WARNING, Level.NOTE} == set(levels)


PURPOSES = {
    "pxelinux.0": Purpose.LOADER, "x64/grubx64.efi": Purpose.LOADER, "ldlinux.c32": Purpose.LOADER,
    "pxelinux.cfg/01-52-54-00-12-34-56": Purpose.CONFIG, "boot.ipxe": Purpose.CONFIG, "/grub/grub.cfg-01-aa": Purpose.CONFIG,
    "images/pxeboot/vmlinuz": Purpose.KERNEL, "linux": Purpose.KERNEL, "install/initrd.gz": Purpose.INITRD,
    "/initrd.img": Purpose.INITRD, "http://a/ks.cfg": Purpose.ANSWER, "/preseed.cfg": Purpose.ANSWER, "/x/web01.ks?a=b": Purpose.ANSWER,
    "/cloud/user-data": Purpose.ANSWER, "/repo/repodata/repomd.xml": Purpose.OTHER, "/Packages/l/links.rpm": Purpose.OTHER,
}  # fmt: skip


@pytest.mark.parametrize("name", PURPOSES)
def test_purposes(name: str) -> None:
    """What a file is for shows in its name."""
    assert purpose_of(name) is PURPOSES[name]


def test_platforms_and_arguments() -> None:
    """Loaders for BIOS and for UEFI, and how kernels are told of answer files."""
    assert [platform_of(name) for name in ("a.efi", "undionly.kpxe", "pxelinux.0", "boot.ipxe")] == [
        Platform.UEFI, Platform.BIOS, Platform.BIOS, None,
    ]  # fmt: skip
    text = (
        "inst.ks=http://a/ks append auto url=http://b/preseed.cfg ds=nocloud-net;s=http://c/ autoyast=tftp://d/x quiet"
    )
    assert answers_named(text) == ("http://a/ks", "http://b/preseed.cfg", "http://c/", "tftp://d/x")
