"""Observations to findings: what is seen on a network leads to these words, and to no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from doctor_scene import (
    DIRECT_43,
    OTHER,
    SEED,
    SERVER,
    STATION,
    asked,
    leased,
    offer,
    program,
    read,
    seen,
    silent_4011,
    transfer,
)

import pxenet.sim
from pxenet.cli.doctor import lines
from pxenet.doctor.boot_rules import REMEDIES
from pxenet.doctor.choice import choose, discover, release
from pxenet.doctor.diagnose import RULES, diagnose
from pxenet.doctor.findings import ORDER, Level
from pxenet.doctor.machines import DEFAULT, MACHINES
from pxenet.doctor.observed import Asked, Choice, Direct, Observed, TftpAnswer
from pxenet.wire.dhcp import parse
from pxenet.wire.iana import MessageType
from pxenet.wire.iana import OptionCode as O
from pxenet.wire.text import parse_address

PXE = {O.VENDOR_CLASS: "PXEClient"}
PROXY = PXE | {O.VENDOR_SPECIFIC: DIRECT_43}
HTTP = {O.VENDOR_CLASS: "HTTPClient"}
MENU = bytes.fromhex("0601 00 0807 8000 01 0a000001 0907 8000 04 496e7374 0a03 00 4869 ff")
SAID_NO = {O.MESSAGE: "address not available"}
OLD_HAND = bytes.fromhex("060107 0a02 ff 41 ff")
"""A menu that waits for a key."""


def direct(by: str = "uefi", answered: bool = True) -> Direct:
    heard = (offer(by),) if answered else ()
    return Direct(parse_address(SERVER), STATION.address, by, heard)


WELL = asked("uefi", offer("uefi", file="a.efi"))

CASES = {
    "an address that is somebody's": (
        seen(WELL, in_use=((parse_address("10.0.0.100"), bytes.fromhex("02000000abcd")),)),
        ["error dhcp.address-in-use"],
    ),
    "a lease": (seen(WELL, leased=(leased("uefi", WELL.heard[0], WELL.heard[0]),)), []),
    "an offer that is not kept": (seen(WELL, leased=(leased("uefi", WELL.heard[0]),)), ["error lease.silence"]),
    "an offer that is refused": (
        seen(WELL, leased=(leased("uefi", WELL.heard[0], offer("uefi", options=SAID_NO), kind=MessageType.NAK),)),
        ["error lease.refused"],
    ),
    "an offer that another server refuses": (
        seen(
            WELL,
            leased=(leased("uefi", WELL.heard[0], offer("uefi", server=OTHER, gives=""), kind=MessageType.NAK),),
        ),
        ["error lease.refused"],
    ),
    "another address than was offered": (
        seen(WELL, leased=(leased("uefi", WELL.heard[0], offer("uefi", file="a.efi", gives="10.0.0.101")),)),
        ["error lease.other-address"],
    ),
    "another file than was offered": (
        seen(WELL, leased=(leased("uefi", WELL.heard[0], offer("uefi", option_67="b.efi", siaddr=OTHER)),)),
        ["error lease.changed"],
    ),
    "all is well": (seen(asked("uefi", offer("uefi", file="grubx64.efi"))), []),
    "nobody answers": (seen(asked("uefi"), asked("bios")), ["error dhcp.silence"]),
    "the cable": (Observed(replace(STATION, up=False)), ["error station.no-link"]),
    "two DHCP servers": (
        seen(asked("uefi", offer("uefi", file="a.efi"), offer("uefi", file="a.efi", server=OTHER, gives="10.0.0.200"))),
        ["warning dhcp.conflict"],
    ),
    "two DHCP servers, one names no file": (
        seen(asked("uefi", offer("uefi", file="a.efi"), offer("uefi", server=OTHER, gives="10.0.0.200"))),
        ["error dhcp.conflict"],
    ),
    "two DHCP servers beside a ProxyDHCP server": (
        seen(
            asked(
                "uefi",
                offer("uefi"),
                offer("uefi", server="10.0.0.8"),
                offer("uefi", server=OTHER, gives="", file="a.efi", options=PROXY),
            )
        ),
        ["warning dhcp.conflict"],
    ),
    "one address, two machines": (
        seen(asked("uefi", offer("uefi", file="a.efi"), offer("uefi", file="a.efi", mac="02:00:00:00:00:09"))),
        ["warning dhcp.same-identifier"],
    ),
    "through relays the same server has many": (
        seen(
            asked(
                "uefi",
                offer("uefi", file="a.efi", giaddr="10.0.0.254"),
                offer("uefi", file="a.efi", giaddr="10.0.0.253", mac="02:00:00:00:00:09"),
            )
        ),
        ["note relay.seen"],
    ),
    "DHCP and ProxyDHCP, as it should be": (
        seen(
            asked("uefi", offer("uefi"), offer("uefi", server=OTHER, gives="", file="grubx64.efi", options=PROXY)),
            asked("bios", offer("bios"), offer("bios", server=OTHER, gives="", file="pxelinux.0", options=PROXY)),
        ),
        [],
    ),
    "only a ProxyDHCP server": (
        seen(asked("uefi", offer("uefi", gives="", file="a.efi", options=PROXY))),
        ["error dhcp.no-address", "error boot.stops"],
    ),
    "two ProxyDHCP servers": (
        seen(
            asked(
                "uefi",
                offer("uefi"),
                offer("uefi", server=OTHER, gives="", file="a.efi", options=PROXY),
                offer("uefi", server="10.0.0.8", gives="", file="b.efi", options=PROXY),
            )
        ),
        ["warning proxy.conflict"],
    ),
    "a DHCP server that names a file beside a ProxyDHCP server": (
        seen(
            asked(
                "uefi",
                offer("uefi", file="wds.efi"),
                offer("uefi", server=OTHER, gives="", file="a.efi", options=PROXY),
            )
        ),
        ["warning proxy.overruled"],
    ),
    "an address and no file": (seen(asked("uefi", offer("uefi"))), ["error boot.stops"]),
    "a file for BIOS alone": (
        seen(asked("bios", offer("bios", file="pxelinux.0")), asked("uefi", offer("uefi"))),
        ["warning boot.stops"],
    ),
    "HTTP boot is not offered": (
        seen(asked("uefi", offer("uefi", file="a.efi")), asked("http", offer("http", file="a.efi"))),
        ["note boot.stops"],
    ),
    "HTTP boot alone is asked for, and not offered": (
        seen(asked("http", offer("http", file="a.efi"))),
        ["error boot.stops"],
    ),
    "HTTP boot": (
        seen(asked("http", offer("http", option_67="http://10.0.0.1/a.efi", siaddr="0.0.0.0", options=HTTP))),
        [],
    ),
    "HTTP boot by a name without DNS": (
        seen(asked("http", offer("http", option_67="http://boot.example/a.efi", options=HTTP))),
        ["error boot.stops"],
    ),
    "an URL for PXE": (
        seen(asked("uefi", offer("uefi", option_67="http://10.0.0.1/a.efi"))),
        ["error boot.stops"],
    ),
    "the class alone leads to port 4011, where nobody is": (
        seen(
            asked("uefi", offer("uefi", file="a.efi", options=PXE), answers=True), boot_servers=(silent_4011("uefi"),)
        ),
        ["error proxy.4011-closed"],
    ),
    "a ProxyDHCP server whose port 4011 is closed": (
        seen(
            asked(
                "uefi", offer("uefi"), offer("uefi", server=OTHER, gives="", options=PXE, siaddr=OTHER), answers=True
            ),
            asked(
                "bios", offer("bios"), offer("bios", server=OTHER, gives="", options=PXE, siaddr=OTHER), answers=True
            ),
            boot_servers=(silent_4011("uefi", OTHER), silent_4011("bios", OTHER)),
        ),
        ["error proxy.4011-closed"],
    ),
    "a menu whose server is silent": (
        seen(
            asked("uefi", offer("uefi", options=PXE | {O.VENDOR_SPECIFIC: MENU}), answers=True),
            boot_servers=(silent_4011("uefi"),),
        ),
        ["error proxy.4011-closed"],
    ),
    "a menu that waits": (
        seen(asked("uefi", offer("uefi", options=PXE | {O.VENDOR_SPECIFIC: OLD_HAND}))),
        ["error boot.stops"],
    ),
    "a proxy without a class": (
        seen(asked("uefi", offer("uefi", file="a.efi"), offer("uefi", server=OTHER, gives=""))),
        ["error boot.stops"],
    ),
    "without an address port 4011 is not asked": (
        seen(
            asked("uefi", offer("uefi", options=PXE), station=replace(STATION, address=0)),
            station=replace(STATION, address=0),
        ),
        ["note station.no-address", "note boot.not-tried"],
    ),
    "iPXE for iPXE": (seen(asked("ipxe", offer("ipxe", file="ipxe.efi"))), ["error ipxe.loop"]),
    "iPXE for a PXE ROM": (seen(asked("bios-rom", offer("bios-rom", file="undionly.kpxe"))), []),
    "a script for iPXE": (seen(asked("ipxe", offer("ipxe", file="boot.ipxe"))), []),
    "one file for all": (
        seen(
            asked("bios-rom", offer("bios-rom", file="bootfile")),
            asked("uefi", offer("uefi", file="bootfile")),
        ),
        ["error boot.one-for-all"],
    ),
    "a BIOS loader for UEFI": (
        seen(asked("uefi", offer("uefi", file="/boot/pxelinux.0"))),
        ["warning boot.wrong-kind"],
    ),
    "an EFI loader for BIOS": (seen(asked("bios", offer("bios", file="grubx64.efi"))), ["warning boot.wrong-kind"]),
    "UEFI is not answered": (
        seen(asked("bios", offer("bios", file="pxelinux.0")), asked("uefi")),
        ["warning dhcp.one-way", "warning boot.unanswered"],
    ),
    "broadcasts do not arrive": (
        seen(asked("uefi"), asked("http"), asked("ipxe", offer("ipxe", file="x.ipxe"))),
        ["warning dhcp.one-way", "warning boot.unanswered"],
    ),
    "an option of a wrong length": (
        seen(asked("uefi", offer("uefi", file="a.efi", options={O.ROUTERS: b"\n\0\0"}))),
        ["error reply.edk2-drops", "error boot.stops"],
    ),
    "no subnet mask": (
        seen(asked("uefi", offer("uefi", file="a.efi", options={O.SUBNET_MASK: None}))),
        ["error reply.no-mask", "error boot.stops"],
    ),
    "no server identifier": (
        seen(asked("uefi", offer("uefi", file="a.efi", options={O.SERVER_ID: None}))),
        ["error reply.no-server-id", "error boot.stops"],
    ),
    "option 66 instead of the next server": (
        seen(asked("bios", offer("bios", file="a.0", siaddr="0.0.0.0", options={O.TFTP_SERVER: "10.0.0.1"}))),
        ["error boot.stops", "warning reply.no-next-server"],
    ),
    "overload": (
        seen(asked("uefi", offer("uefi", option_67="a.efi", siaddr=SERVER, options={O.OVERLOAD: 1}))),
        ["warning reply.overload"],
    ),
    "two names": (
        seen(asked("uefi", offer("uefi", file="a.efi", option_67="b.efi"))),
        ["warning reply.two-names"],
    ),
    "a blank behind the name": (
        seen(asked("uefi", offer("uefi", file="a.efi ", option_67="a.efi "))),
        ["warning reply.odd-name"],
    ),
    "late": (seen(asked("uefi", offer("uefi", file="a.efi", at=4.5))), ["warning reply.late"]),
    "from another port": (
        seen(asked("bios", offer("bios", file="a.0", port=1067))),
        ["error boot.stops", "warning reply.port"],
    ),
    "option 13": (
        seen(asked("uefi", offer("uefi", file="a.efi", options={O.BOOT_FILE_SIZE: 12}))),
        ["warning reply.file-size"],
    ),
    "a lease of a minute": (
        seen(asked("uefi", offer("uefi", file="a.efi", options={O.LEASE_TIME: 60}))),
        ["note reply.short-lease"],
    ),
    "another network than this host's": (
        seen(asked("uefi", offer("uefi", file="a.efi", gives="10.9.0.100"))),
        ["note station.network"],
    ),
    "a Raspberry Pi without its text": (seen(asked("raspberry", offer("raspberry"))), ["error boot.stops"]),
    "a relay that does not deliver": (
        seen(asked("uefi"), servers=(parse_address(SERVER),), direct=(direct(),)),
        ["error dhcp.silence", "error relay.not-delivering"],
    ),
    "a server that says nothing to relays": (
        seen(asked("uefi"), servers=(parse_address(SERVER),), direct=(direct(answered=False),)),
        ["error dhcp.silence", "warning relay.server-silent"],
    ),
    "a server of this network that wants no relay": (
        seen(
            asked("uefi", offer("uefi", file="a.efi")),
            servers=(parse_address(SERVER),),
            direct=(direct(answered=False),),
        ),
        ["note relay.server-silent"],
    ),
    "a file that arrives": (seen(tftp=(read(transfer()),)), []),
    "a closed TFTP port": (
        seen(tftp=(read(transfer(TftpAnswer.REFUSED)), read(transfer(TftpAnswer.REFUSED), "ipxe"))),
        ["error tftp.refused"],
    ),
    "a silent TFTP server": (seen(tftp=(read(transfer(TftpAnswer.SILENCE)),)), ["error tftp.silent"]),
    "a file that is not there": (
        seen(tftp=(read(transfer(TftpAnswer.ERROR, code=1, text="File not found")),)),
        ["error tftp.error"],
    ),
    "a file that is kept for another machine": (
        seen(
            station=replace(STATION, card=bytes(6)),
            tftp=(read(transfer(TftpAnswer.ERROR, code=2, text="denied"), "u-boot", name="pxelinux.cfg/01-02"),),
        ),
        ["note tftp.error"],
    ),
    "a file of this host itself": (
        seen(station=replace(STATION, ours=(parse_address(SERVER),)), tftp=(read(transfer()),)),
        ["note tftp.own-host"],
    ),
    "no configuration for U-Boot": (
        seen(
            Asked(MACHINES["u-boot"], (offer("u-boot", siaddr=SERVER),), Choice(stops="U-Boot: Config file not found"))
        ),
        ["error boot.stops"],
    ),
    "a file that is refused": (
        seen(tftp=(read(transfer(TftpAnswer.ERROR, code=2, text="Access violation")),)),
        ["error tftp.error"],
    ),
    "an answer from another address": (
        seen(tftp=(read(transfer(address=parse_address(OTHER))),)),
        ["error tftp.other-address"],
    ),
    "large blocks are lost": (
        seen(tftp=(read(transfer(head=b""), sizes={1400: True, 1432: False, 1408: False}),)),
        ["error tftp.blocks-lost"],
    ),
    "no block arrives": (seen(tftp=(read(transfer(head=b""), sizes={512: False}),)), ["error tftp.blocks-lost"]),
    "a server without options": (seen(tftp=(read(transfer(TftpAnswer.DATA)),)), ["error tftp.no-options"]),
    "a server that does not tell the size": (
        seen(tftp=(read(transfer(granted="blksize=1468")),)),
        ["error tftp.no-size"],
    ),
    "the same for iPXE": (seen(tftp=(read(transfer(granted="blksize=1432"), "ipxe"),)), []),
    "an option that was not asked for": (
        seen(tftp=(read(transfer(granted="tsize=6000 blksize=1468 timeout=1")),)),
        ["error tftp.unasked"],
    ),
    "a larger block than was asked for": (
        seen(tftp=(read(transfer(granted="tsize=6000 blksize=8192")),)),
        ["error tftp.unasked"],
    ),
    "other letters": (seen(tftp=(read(transfer(granted="tsize=6000 BLKSIZE=1468")),)), ["error tftp.unasked"]),
    "a program for another machine": (
        seen(tftp=(read(transfer(head=program(0xAA64))),)),
        ["error tftp.image"],
    ),
    "an EFI program for BIOS": (seen(tftp=(read(transfer(), "bios-rom", "bios"),)), ["error tftp.image"]),
    "a script for iPXE by TFTP": (seen(tftp=(read(transfer(head=b"#!ipxe\nexit\n", last=True), "bios", "ipxe"),)), []),
    "a script for UEFI": (seen(tftp=(read(transfer(head=b"#!ipxe\n", last=True), "uefi"),)), ["error tftp.image"]),
    "an empty file": (seen(tftp=(read(transfer(head=b"", last=True), "uefi"),)), ["error tftp.image"]),
    "a window with holes": (
        seen(tftp=(read(transfer(granted="tsize=6000 blksize=1468 windowsize=4", first_window=2)),)),
        ["warning tftp.window"],
    ),
    "a whole window": (
        seen(tftp=(read(transfer(granted="tsize=6000 blksize=1468 windowsize=4", first_window=4)),)),
        [],
    ),
    "fragments are lost": (
        seen(tftp=(read(transfer(), large=transfer(granted="blksize=8192", head=b"")),)),
        ["note tftp.fragments"],
    ),
    "fragments arrive": (seen(tftp=(read(transfer(), large=transfer(granted="blksize=8192")),)), []),
    "large blocks are not granted": (seen(tftp=(read(transfer(), large=transfer(head=b"")),)), []),
    "a server that answers both ways": (
        seen(asked("uefi", offer("uefi", file="a.efi")), servers=(parse_address(SERVER),), direct=(direct(),)),
        [],
    ),
}


@pytest.mark.parametrize(("observed", "expected"), CASES.values(), ids=CASES.keys())
def test_findings(observed: Observed, expected: list[str]) -> None:
    """These findings, in this order, and none else; what is wrong always comes with words, and errors and warnings with a remedy."""
    diagnosis = diagnose(observed)
    assert expected == [f"{finding.level.value} {finding.id}" for finding in diagnosis.findings]
    assert [] == [finding for finding in diagnosis.findings if not finding.words]
    assert [] == [one for one in diagnosis.findings if one.level is not Level.NOTE and not one.remedy]
    assert diagnosis.well == all(word.startswith("note") for word in expected)


def test_every_rule_is_seen() -> None:
    """No rule without a case that leads to it; and each has a name of its own."""
    told = {finding.id for observed, _ in CASES.values() for finding in diagnose(observed).findings}
    ours = {rule.id for rule in RULES if not rule.id.startswith("http.")}  # those have cases of their own
    assert ours - told == {"boot.kept", "proxy.4011-no-file"}
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_the_worst_comes_first() -> None:
    """Errors, then warnings, then notes, whatever the order of the rules."""
    for observed, _ in CASES.values():
        levels = [ORDER[finding.level] for finding in diagnose(observed).findings]
        assert sorted(levels) == levels


def test_words_evidence_and_remedy() -> None:
    """What is said of an address without a file names the machine, the firmware's own words, what was heard, and what to do."""
    (finding,) = diagnose(seen(asked("uefi", offer("uefi")))).findings
    assert finding.record() == {
        "id": "boot.stops",
        "level": "error",
        "words": "uefi would not boot: PXE-E53: No boot filename received",
        "evidence": ["uefi hears 10.0.0.1: address 10.0.0.100, no file"],
        "remedy": "name a boot file for this architecture (x64 UEFI): option 67 and the header's file, with the next server; "
        "where only known machines are booted, ask as one of them by --mac",
    }


def test_changes_in_the_ack() -> None:
    """Each is named, with what was said before and after."""
    found = leased("uefi", WELL.heard[0], offer("uefi", option_67="b.efi", siaddr=OTHER, options=PROXY))
    (finding,) = diagnose(seen(WELL, leased=(found,))).findings
    assert finding.evidence == (
        'option 67: "a.efi" in the OFFER, "b.efi" in the ACK',
        'option 60: nothing in the OFFER, "PXEClient" in the ACK',
        "option 43: nothing in the OFFER, 06 01 08 ff in the ACK",
        'file: "a.efi" in the OFFER, nothing in the ACK',
        "next server: 10.0.0.1 in the OFFER, 10.0.0.9 in the ACK",
    )


def test_request_and_release() -> None:
    """A machine asks for the address that it was offered, and the one of its ACK is given back under the same identity."""
    station = replace(STATION, address=0)
    choice = choose(MACHINES["ipxe"], station, [offer("ipxe", file="x.ipxe")], {}, SEED)
    request = parse(choice.request)
    assert request.options.number(O.REQUESTED_ADDRESS) == parse_address("10.0.0.100")
    said = parse(release(choice.request, offer("ipxe"), 99))
    assert (said.message_type, said.ciaddr, said.xid) == (MessageType.RELEASE, parse_address("10.0.0.100"), 99)
    assert said.options.number(O.SERVER_ID) == parse_address(SERVER)
    assert said.options.raw(O.CLIENT_ID) == request.options.raw(O.CLIENT_ID) == b"\1" + STATION.mac


@pytest.mark.parametrize("words", [words for words, _ in REMEDIES])
def test_remedies_fit_what_the_firmware_says(words: str) -> None:
    """What a remedy waits for is what some firmware of the simulation says."""
    texts = [path.read_text() for path in Path(pxenet.sim.__file__).parent.glob("*.py")]
    assert any(words in text for text in texts)


@pytest.mark.parametrize("name", MACHINES)
def test_choices_repeat(name: str) -> None:
    """The same replies and the same seed lead to the same choice, and another seed to another transaction number."""
    heard = [offer(name, file="grubx64.efi")]
    first, second = (choose(MACHINES[name], STATION, heard, {}, SEED) for _ in range(2))
    assert first == second
    one, other = (discover(MACHINES[name], STATION, seed) for seed in (1, 2))
    assert one[4:8] != other[4:8]


@pytest.mark.parametrize(
    ("name", "url", "reader"),
    [
        ("uefi", "tftp://10.0.0.1/a.efi", "EDK2 size probe"),
        ("bios", "tftp://10.0.0.1/a.efi", "iPXE"),
        ("u-boot", "tftp://10.0.0.1/pxelinux.cfg/01-02-00-00-78-00-02", "U-Boot"),
    ],
)
def test_choice(name: str, url: str, reader: str) -> None:
    """Each firmware's first file, with the reader by which it asks; the offer is the one whose address it takes."""
    heard = offer(name, file="a.efi")
    choice = choose(MACHINES[name], STATION, [heard], {}, SEED)
    assert (choice.url, choice.reader, choice.offer) == (url, reader, heard)


def test_missing_names() -> None:
    """Firmware with a list of names goes on to the next, until one is there or none is left; others stop at the first."""
    heard, missing, found = [offer("u-boot", siaddr=SERVER)], set[str](), list[str]()
    while (choice := choose(MACHINES["u-boot"], STATION, heard, {}, SEED, missing)).url:
        missing.add(choice.url)
        found.append(choice.url.removeprefix("tftp://10.0.0.1/pxelinux.cfg/"))
    assert found[:3] == ["01-02-00-00-78-00-02", "0A000002", "0A00000"]
    assert found[-1] == "default"
    assert choice.stops == "U-Boot: Config file not found"
    heard = [offer("uefi", file="a.efi")]
    stopped = choose(MACHINES["uefi"], STATION, heard, {}, SEED, {"tftp://10.0.0.1/a.efi"})
    assert stopped.stops.startswith("PXE-E23")


def test_a_question_to_port_4011_is_asked_and_answered() -> None:
    """The firmware stops at the question, and with its answer goes on to the file that is named there."""
    heard = [offer("uefi"), offer("uefi", server=OTHER, gives="", options=PXE, siaddr=OTHER)]
    first = choose(MACHINES["uefi"], STATION, heard, {}, SEED)
    question = first.question
    assert question is not None
    assert (question.server, question.from_port) == (parse_address(OTHER), 4011)
    xid = question.payload[4:8]
    answer = offer("uefi", server=OTHER, gives="", file="b.efi", options=PXE)
    answer = replace(answer, payload=answer.payload[:4] + xid + answer.payload[8:], port=4011)
    second = choose(MACHINES["uefi"], STATION, heard, {question.key: (answer,)}, SEED)
    assert (second.url, second.question) == ("tftp://10.0.0.9/b.efi", None)


def test_no_request_is_needed() -> None:
    """The choice of a boot server by broadcast is kept back, and said to be."""
    heard = [offer("bios", options=PXE | {O.VENDOR_SPECIFIC: MENU})]
    one = asked("bios", *heard, answers=True)
    assert len(one.choice.kept) > 0
    assert "boot.kept" in [finding.id for finding in diagnose(seen(one)).findings]


def test_default_machines() -> None:
    """They exist, and are told apart by their first words."""
    said = {discover(MACHINES[name], STATION, SEED)[12:] for name in DEFAULT}
    assert len(said) == len(DEFAULT)


def test_printed() -> None:
    """What is wrong first, with evidence and remedy; then who answers, and what each would boot."""
    seen = Observed(STATION, (asked("uefi", offer("uefi")), asked("bios", offer("bios", file="pxelinux.0"))))
    assert list(lines(diagnose(seen))) == [
        "1 thing is wrong with network boot on eth1:",
        "",
        "WARNING: uefi would not boot: PXE-E53: No boot filename received",
        "    seen: uefi hears 10.0.0.1: address 10.0.0.100, no file",
        "    do:   name a boot file for this architecture (x64 UEFI): option 67 and the header's file, with the next server; "
        "where only known machines are booted, ask as one of them by --mac",
        "",
        "Who answers",
        "  DHCP      10.0.0.1 at 02:00:00:00:00:01 answers uefi, bios: address 10.0.0.100, no file (to uefi)",
        "",
        "What each would boot",
        "  uefi  EDK2 PXE, x64: nothing (PXE-E53: No boot filename received)",
        "  bios  SeaBIOS, iPXE option ROM: tftp://10.0.0.1/pxelinux.0",
    ]
