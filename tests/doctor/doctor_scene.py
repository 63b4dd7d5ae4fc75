"""Observations made by hand: replies of DHCP servers, and what each firmware makes of them."""

from __future__ import annotations

from pxenet.doctor.choice import choose, discover
from pxenet.doctor.machines import MACHINES
from pxenet.doctor.observed import Asked, BootServer, Choice, Heard, Observed, Station
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import BOOTREPLY, MessageType
from pxenet.wire.iana import OptionCode as O
from pxenet.wire.options import Options
from pxenet.wire.shapes import Value
from pxenet.wire.text import parse_address, parse_mac

SEED = 7
STATION = Station("eth1", parse_mac("02:00:00:78:00:02"), parse_address("10.0.0.2"), 24)
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


def silent_4011(machine: str, server: str = SERVER) -> BootServer:
    """It was asked, and said nothing."""
    return BootServer(machine, parse_address(server), ())


def seen(*machines: Asked, **more: object) -> Observed:
    """All of it."""
    return Observed(**({"station": STATION, "asked": machines} | more))  # type: ignore[arg-type]
