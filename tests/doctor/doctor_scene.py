"""Observations made by hand: replies of DHCP servers, and what each firmware makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pxenet.doctor.choice import choose, discover
from pxenet.doctor.machines import MACHINES
from pxenet.doctor.observed import (
    Asked,
    BootServer,
    Choice,
    Heard,
    Leased,
    Observed,
    Station,
    TftpAnswer,
    TftpRead,
    TftpTry,
)
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import BOOTREPLY, MessageType
from pxenet.wire.iana import OptionCode as O
from pxenet.wire.options import Options
from pxenet.wire.shapes import Value
from pxenet.wire.text import parse_address, parse_mac

SEED = 7
MAC = parse_mac("02:00:00:78:00:02")
STATION = Station("eth1", MAC, MAC, parse_address("10.0.0.2"), 24)
SERVER, OTHER = "10.0.0.1", "10.0.0.9"
DIRECT_43 = bytes.fromhex("060108ff")


def offer(
    machine: str,
    *,
    server: str = SERVER,
    gives: str = "10.0.0.100",
    file: str = "",
    option_67: str | None = None,
    siaddr: str | None = None,
    options: dict[int, Value] | None = None,
    at: float = 0.01,
    port: int = 67,
    giaddr: str = "0.0.0.0",
    mac: str = "02:00:00:00:00:01",
    seed: int = SEED,
    station: Station = STATION,
) -> Heard:
    """An OFFER to that machine's DISCOVER, as most servers make it; ``gives=""``: of a ProxyDHCP server."""
    asked = parse(discover(MACHINES[machine], station, seed))
    values: dict[int, Value] = {O.MESSAGE_TYPE: MessageType.OFFER, O.SERVER_ID: parse_address(server)}
    if gives:
        values |= {O.SUBNET_MASK: 0xFFFFFF00, O.LEASE_TIME: 3600}
    if option_67 if option_67 is not None else file:
        values[O.BOOT_FILE] = option_67 if option_67 is not None else file
    values |= options or {}
    message = Message(
        BOOTREPLY,
        xid=asked.xid,
        yiaddr=parse_address(gives) if gives else 0,
        siaddr=parse_address(siaddr if siaddr is not None else server if file else "0.0.0.0"),
        giaddr=parse_address(giaddr),
        chaddr=asked.chaddr,
        file=file.encode(),
        options=Options.build({code: value for code, value in values.items() if value is not None}),
    )
    return Heard(at, serialize(message, max_size=1472), parse_address(server), port, parse_mac(mac))


def asked(machine: str, *heard: Heard, station: Station = STATION, answers: bool = False) -> Asked:
    """What that machine makes of them; ``answers``: whoever is asked on port 4011 says nothing."""
    personality, silent = MACHINES[machine], {}
    choice = Choice(stops="nobody answers")
    if heard:
        choice = choose(personality, station, heard, silent, SEED)
    while choice.question is not None and answers:
        silent[choice.question.key] = ()
        choice = choose(personality, station, heard, silent, SEED)
    return Asked(personality, heard, choice)


def leased(machine: str, offered: Heard, *replies: Heard, kind: MessageType = MessageType.ACK) -> Leased:
    """A REQUEST for that offer and its answers; ``kind``: what they are made into."""
    made = [replace(one, payload=one.payload.replace(b"\x35\1\2", bytes((0x35, 1, kind)), 1)) for one in replies]
    return Leased(machine, offered, tuple(made), True)


def silent_4011(machine: str, server: str = SERVER) -> BootServer:
    """It was asked, and said nothing."""
    return BootServer(machine, parse_address(server), ())


def seen(*machines: Asked, **more: Any) -> Observed:
    """All of it."""
    return Observed(**({"station": STATION, "asked": machines} | more))


def program(machine: int = 0x8664, size: int = 6000) -> bytes:
    """An EFI program for that machine type, as far as its head goes."""
    head = b"MZ" + bytes(58) + (0x80).to_bytes(4, "little")
    return (head.ljust(0x80, b"\0") + b"PE\0\0" + machine.to_bytes(2, "little")).ljust(size, b"\x90")


def transfer(
    answer: TftpAnswer = TftpAnswer.OACK,
    *,
    asked: str = "tsize=0 blksize=1468 windowsize=4",
    granted: str = "tsize=6000 blksize=1468",
    head: bytes | None = None,
    **more: Any,
) -> TftpTry:
    """The beginning of a transfer."""
    if head is None:
        head = program() if answer in (TftpAnswer.OACK, TftpAnswer.DATA) else b""
    values = {"address": parse_address(SERVER), "first_window": 1, **more}
    return TftpTry(answer, _pairs(asked), _pairs(granted if answer is TftpAnswer.OACK else ""), head=head, **values)


def read(
    first: TftpTry,
    *by: str,
    name: str = "grubx64.efi",
    sizes: dict[int, bool] | None = None,
    large: TftpTry | None = None,
) -> TftpRead:
    """A file that was tried."""
    return TftpRead(parse_address(SERVER), name, by or ("uefi",), first, tuple((sizes or {}).items()), large)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, _, value in (word.partition("=") for word in text.split()))
