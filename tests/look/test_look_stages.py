"""Stages of boots: what belongs together, and whose time it was, with the evidence."""

from __future__ import annotations

from pathlib import Path

from talk import EDK2, IPXE, MS, OTHER_SERVER, ROM, SERVER, UDHCPC, Talk

from pxenet.capture.boots import Boot
from pxenet.capture.dissect import read
from pxenet.look.stages import Kind, Side, Stage, size_text, stages, totals
from pxenet.wire.iana import MessageType
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.tftp import Error, Oack

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


def told(boot: Boot) -> list[tuple[str, str]]:
    """Kind and text of each stage that is no pause."""
    return [(stage.kind.value, stage.what) for stage in stages(boot) if stage.kind is not Kind.PAUSE]


def only(talk: Talk) -> Stage:
    """The one stage of the one boot."""
    (stage,) = stages(talk.boot())
    return stage


def shares(stage: Stage) -> dict[Side, int]:
    """Milliseconds of each side."""
    return {share.side: share.time_ns // MS for share in stage.shares}


def test_a_captured_boot() -> None:
    """The stages of a Debian installation, as one would tell them."""
    (boot,) = read(CAPTURES / "di-preseed.pcap").boots
    assert told(boot) == [
        ("address", '10.77.0.199 from 10.77.0.1, file "lpxelinux.0"'),
        ("file", "lpxelinux.0 by TFTP, 75.1 kB in 53 blocks of 1432"),
        ("file", "ldlinux.c32 by TFTP, 120 kB in 85 blocks of 1408"),
        ("search", "9 names that are not there, pxelinux.cfg/01-52-54-00-77-00-01 to pxelinux.cfg/0"),
        ("file", "pxelinux.cfg/default by TFTP, 388 bytes in 1 block of 1408"),
        ("file", "/vmlinuz by HTTP, 8.2 MB"),
        ("file", "/initrd.img by HTTP, 40.8 MB"),
        ("address", "10.77.0.199 from 10.77.0.1"),
        ("answer file", "/preseed.cfg by HTTP, 369 bytes"),
        ("search", "/early-command-ran is not there"),
    ]
    assert [stage.who for stage in stages(boot) if stage.kind is Kind.ADDRESS] == ["iPXE", "Debian installer"]
    times = totals(stages(boot))
    assert list(times) == [Side.CLIENT, Side.MOVING, Side.SERVER]
    assert sum(times.values()) <= boot.steps[-1].ref.at_ns - boot.began_at_ns + 10 * MS


def test_stages_and_pauses_cover_the_boot() -> None:
    """Of every capture: from the first to the last packet no time is without a stage, and none is negative."""
    for path in sorted(CAPTURES.glob("*.pcap")):
        (boot,) = read(path).boots
        end = boot.steps[0].ref.at_ns
        for stage in stages(boot):
            assert stage.lasted_ns >= 0
            assert stage.began_ns <= max(end, stage.began_ns)
            assert stage.began_ns - end <= 0 or stage.kind is not Kind.PAUSE
            end = max(end, stage.ended_ns)
            assert sum(share.time_ns for share in stage.shares) <= stage.lasted_ns + 1000


def test_a_client_that_takes_its_time() -> None:
    """17 ms for each ACK is the client's, and the evidence says so."""
    talk = Talk().rrq("linux", ("blksize", "1024")).down(Oack((("blksize", "1024"),))).ack(0)
    for number in range(1, 51):
        talk.block(number, 1024 if number < 50 else 0).wait(0.016).ack(number)
    stage = only(talk)
    assert stage.shares[0].side is Side.CLIENT
    assert stage.shares[0].evidence == "16.7 ms for each of 51 ACKs"
    assert stage.shares[0].time_ns > 0.9 * stage.lasted_ns


def test_a_server_that_takes_its_time() -> None:
    """A server that sleeps between blocks."""
    talk = Talk().rrq("linux")
    for number in range(1, 11):
        talk.wait(0.5).block(number, 512 if number < 10 else 0).ack(number)
    assert only(talk).shares[0].side is Side.SERVER


def test_a_network_that_loses() -> None:
    """Silence before what is sent again is nobody's but the network's."""
    talk = Talk().rrq("linux")
    for number in range(1, 6):
        talk.block(number).wait(1).block(number, 512 if number < 5 else 0).ack(number)
    stage = only(talk)
    assert stage.shares[0].side is Side.NETWORK
    assert stage.shares[0].evidence == "silence before what was sent again: 5 blocks"
    assert shares(stage)[Side.NETWORK] >= 5000


def test_what_was_not_recorded_goes_as_what_was() -> None:
    """The proportion of the recorded blocks holds for the whole transfer."""
    talk = Talk().rrq("linux", ("tsize", "0")).down(Oack((("tsize", "512000"),))).ack(0)
    for number in (*range(1, 21), *range(981, 1001)):
        if number == 981:
            talk.wait(9)
        talk.block(number).wait(0.002).ack(number)
    talk.block(1001, 0).ack(1001)
    stage = only(talk)
    assert shares(stage)[Side.CLIENT] / stage.lasted_ns * MS > 0.7
    assert shares(stage)[Side.CLIENT] + shares(stage)[Side.SERVER] <= stage.lasted_ns // MS


def test_dhcp_waits() -> None:
    """Firmware collects offers for seconds; a server that is slow to answer; and one that does not."""
    slow_client = Talk().dhcp(MessageType.DISCOVER, says=EDK2).dhcp(MessageType.OFFER, yiaddr=5, server=SERVER).wait(4)
    slow_client.dhcp(MessageType.REQUEST, says=EDK2).dhcp(MessageType.ACK, yiaddr=5, server=SERVER)
    assert only(slow_client).shares[0].side is Side.CLIENT
    assert only(slow_client).shares[0].evidence == "4.00 s from OFFER to REQUEST"
    silent = Talk().dhcp(MessageType.DISCOVER, says=ROM).wait(4).dhcp(MessageType.DISCOVER, says=ROM)
    assert only(silent).shares[0].side is Side.SERVER
    assert (only(silent).what, only(silent).well) == ("2 × DISCOVER, and no answer", False)


def test_a_proxy_is_named() -> None:
    """Who else answered, and the file, whoever named it."""
    talk = Talk().dhcp(MessageType.DISCOVER, says=EDK2).dhcp(MessageType.OFFER, yiaddr=0x0A000005, server=SERVER)
    talk.dhcp(MessageType.OFFER, server=OTHER_SERVER, says={Code.BOOT_FILE: "x.efi"})
    talk.dhcp(MessageType.REQUEST, says=EDK2).dhcp(MessageType.ACK, yiaddr=0x0A000005, server=SERVER)
    assert only(talk).what == '10.0.0.5 from 10.0.0.1, also answered by 10.0.0.2, file "x.efi"'


def test_pauses() -> None:
    """After an answer the machine is waited for; after a question without one, the server."""
    talk = Talk().lease(ROM).wait(3).rrq("a").block(1, 5).ack(1).wait(20).rrq("b").wait(5)
    talk.rrq("c").down(Error(1, "no"))
    pauses = [stage for stage in stages(talk.boot()) if stage.kind is Kind.PAUSE and stage.lasted_ns > 2 * MS]
    assert [stage.shares[0].side for stage in pauses] == [Side.CLIENT, Side.CLIENT, Side.SERVER]
    assert pauses[2].shares[0].evidence == "packet 8 was not answered; packet 9 is the next"


def test_programs_and_repositories() -> None:
    """A new program begins a new stage; many files of a repository are one."""
    talk = Talk().lease(EDK2).rrq("ipxe.efi").block(1, 5).ack(1)
    talk.lease(IPXE, xid=2).lease(UDHCPC, xid=3)
    web = talk.http()
    for number in range(6):
        head = b"GET /repo/%d.rpm HTTP/1.1\r\nUser-Agent: libdnf\r\n\r\n" % number
        talk.add(*web.heard(talk.now, head), *web.said(talk.now, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nrpm"))
    talk.add(*web.heard(talk.now, b"POST /installed/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"))
    talk.add(*web.said(talk.now, b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert [kind for kind, _ in told(talk.boot())] == ["address", "file", "address", "address", "files", "report"]
    assert told(talk.boot())[-2:] == [
        ("files", "6 files by HTTP, 18 bytes, /repo/0.rpm to /repo/5.rpm"),
        ("report", "POST /installed/x: 204 No Content"),
    ]


def test_sizes_for_people() -> None:
    """Three digits that matter."""
    assert [size_text(size) for size in (0, 1, 999, 1500, 250_000, 8_222_656, 3 * 10**9)] == [
        "0 bytes", "1 byte", "999 bytes", "1.5 kB", "250 kB", "8.2 MB", "3.0 GB",
    ]  # fmt: skip


def test_nobody_is_waited_for_twice() -> None:
    """Of a stage, the sides' shares are no more than it took: what was silence before a repetition is not the server's too."""
    capture = read(CAPTURES / "made" / "lossy.pcap")
    for boot in capture.boots:
        for stage in stages(boot):
            if stage.shares and stage.kind is not Kind.ADDRESS:
                assert sum(share.time_ns for share in stage.shares) <= stage.lasted_ns * 1.001
