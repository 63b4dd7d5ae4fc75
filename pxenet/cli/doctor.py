"""``pxenet doctor``: how network boot stands on the network that this host is on, asked as machines ask, with or without a pxenet."""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import trio
import typer

from pxenet.cli.output import BAD_CONFIG, FAILED, OK, print_failure, print_json
from pxenet.doctor.diagnose import Diagnosis, diagnose
from pxenet.doctor.examine import PORTS, Probes, Tell, examine
from pxenet.doctor.findings import Finding, Level
from pxenet.doctor.machines import DEFAULT, MACHINES
from pxenet.doctor.observed import Asked, Observed, Station
from pxenet.net.datagram import Interface
from pxenet.net.interfaces import interfaces, link_of, udp_ports
from pxenet.net.raw import RawUdp
from pxenet.server.events import printable
from pxenet.sim.dhcp import SERVER_PORT
from pxenet.sim.fleet import FIRST_MAC
from pxenet.wire.dhcp import FLAG_BROADCAST
from pxenet.wire.text import address_text, mac_text, parse_address, parse_mac

_LABELS = {Level.ERROR: "ERROR", Level.WARNING: "WARNING", Level.NOTE: "note"}

_DEFAULT = ",".join(DEFAULT)

_Interface = Annotated[
    str, typer.Option("--interface", "-i", metavar="NAME", help="Where; needed when there are several.")
]
_As = Annotated[str, typer.Option("--as", metavar="KIND,...", help=f"Firmware to ask as: {', '.join(MACHINES)}.")]
_Mac = Annotated[str, typer.Option(metavar="MAC", help="Ask as this machine; without it as this host's card.")]
_Server = Annotated[
    list[str] | None,
    typer.Option(
        "--server", metavar="ADDRESS", help="Ask this server directly too, as a relay would; may be repeated."
    ),
]
_Wait = Annotated[
    float, typer.Option(min=0.1, max=60, metavar="SECONDS", help="For answers to a DISCOVER; EDK2 waits for 4.")
]
_Lease = Annotated[
    bool,
    typer.Option(
        "--lease", help="Take an address as each of them, and give it back: does the ACK say what the OFFER said?"
    ),
]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before sending.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


def doctor(
    interface: _Interface = "",
    as_: _As = _DEFAULT,
    mac: _Mac = "",
    server: _Server = None,
    wait: _Wait = 4.0,
    lease: _Lease = False,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Find out what is wrong with network boot here.

    Asks as machines with several kinds of firmware would, and says who
    answers, what each would boot, what is wrong with that and what would help;
    the worst first. No pxenet has to run, here or elsewhere.

    Leaves all leases as they are: DISCOVERs are sent and no REQUEST follows,
    but with --lease, when addresses are taken for a moment and given back.
    Speaks from port 68 by raw sockets, which needs root. Exit status 1 when
    something is wrong, 2 when nothing could be asked.

    \b
    Examples:
      pxenet doctor
      pxenet doctor -i eth1 --as uefi,http --mac 52:54:00:12:34:56
      pxenet doctor -i eth1 --server 10.0.0.1
    """
    try:
        probes = _probes(interface, as_, mac, tuple(server or ()), wait, lease)
    except (ValueError, OSError) as error:
        print_failure(str(error), as_json=as_json)
        raise typer.Exit(BAD_CONFIG) from error
    if not _may_speak(probes, as_json):
        raise typer.Exit(BAD_CONFIG)
    if not yes and not _asked(probes):
        raise typer.Exit(BAD_CONFIG)
    tell = (lambda words: None) if as_json else (lambda words: print(printable(words), file=sys.stderr, flush=True))
    observed = trio.run(_examined, probes, tell)
    if observed is None:
        raise typer.Exit(FAILED)
    diagnosis = diagnose(observed)
    if as_json:
        print_json(diagnosis.record())
    else:
        print("\n".join(map(printable, lines(diagnosis))))
    raise typer.Exit(OK if diagnosis.well else FAILED)


def _probes(interface: str, kinds: str, mac: str, servers: tuple[str, ...], wait: float, lease: bool) -> Probes:
    """Raises ValueError or OSError when they cannot be made."""
    names = [name for name in kinds.split(",") if name]
    unknown = next((name for name in names if name not in MACHINES), "")
    if not names or unknown:
        raise ValueError(f"{unknown or 'nothing'} is no kind of firmware; there are {', '.join(MACHINES)}")
    personalities = tuple(MACHINES[name] for name in dict.fromkeys(names))
    everywhere = interfaces()
    here = _chosen(everywhere, interface)
    hardware = here.hardware
    if mac and lease:
        raise ValueError("--lease would give back the address of the machine that --mac names; leave one of them out")
    if lease:
        # Not the card's own address: giving that lease back could take this host off the network.
        hardware = FIRST_MAC[:3] + here.hardware[3:]
    if mac:
        hardware = parse_mac(mac)
    if mac or lease:
        # Answers to the machine itself would not come here: all are asked for by broadcast.
        personalities = tuple(
            replace(one, voice=replace(one.voice, flags=one.voice.flags | FLAG_BROADCAST)) for one in personalities
        )
    mtu, up = link_of(here.name)
    address, prefix = here.addresses[0] if here.addresses else (0, 0)
    ours = tuple(own for one in everywhere for own, _ in one.addresses)
    station = Station(here.name, hardware, here.hardware, address, prefix, mtu, up, SERVER_PORT in udp_ports(), ours)
    directly = tuple(map(parse_address, servers))
    if directly and not address:
        raise ValueError(f"--server needs an address of this host on {here.name}, and it has none")
    return Probes(station, personalities, directly, wait, lease, secrets.randbits(31))


def _chosen(everywhere: list[Interface], name: str) -> Interface:
    """The interface of that name, or the only one there is. Raises ValueError."""
    cards = [one for one in everywhere if len(one.hardware) == 6 and any(one.hardware)]
    if name:
        found = next((one for one in cards if one.name == name), None)
        if found is None:
            raise ValueError(f"there is no Ethernet interface {name}; there are {_names(cards)}")
        return found
    useful = [one for one in cards if one.addresses and link_of(one.name)[1]] or cards
    if len(useful) != 1:
        raise ValueError(f"name the interface with --interface: there are {_names(useful)}")
    return useful[0]


def _names(cards: list[Interface]) -> str:
    return ", ".join(one.name for one in cards) or "none"


def _may_speak(probes: Probes, as_json: bool) -> bool:
    """Whether raw sockets can be had; says so when not."""
    try:
        RawUdp(probes.station.interface, PORTS).close()
    except PermissionError:
        wrong = (
            "speaking and hearing as a machine without an address (port 68) takes raw sockets, which only root may open"
        )
        print_failure(wrong, "run it as root: sudo pxenet doctor", as_json=as_json)
        return False
    except OSError as error:
        print_failure(f"{probes.station.interface} cannot be used: {error.strerror}", as_json=as_json)
        return False
    return True


def _asked(probes: Probes) -> bool:
    """Whether the person wants this to go out on a real network."""
    station = probes.station
    names = ", ".join(one.name for one in probes.personalities)
    taken = "No address is taken, although servers may reserve one for a moment"
    if probes.lease:
        taken = f"An address is taken {len(probes.personalities)} times, and given back each time"
    print(
        f"DISCOVERs as {names} go out on {station.interface} from {mac_text(station.mac)}, and what is named in answer is read by "
        f"TFTP and HTTP.\n{taken}; servers' logs will show the questions.",
        file=sys.stderr,
    )
    if not sys.stdin.isatty():
        print("nothing was sent; say --yes when this is wanted", file=sys.stderr)
        return False
    return typer.confirm("Send?", err=True)


async def _examined(probes: Probes, tell: Tell) -> Observed | None:
    """What is observed; None when Ctrl-C ended it before."""
    found: Observed | None = None

    async def stop(scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop, nursery.cancel_scope)
        found = await examine(probes, tell)
        nursery.cancel_scope.cancel()
    return found


# -- printing -------------------------------------------------------------------------------------------------------------------------


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """For people: what is wrong first, then who answers and what each would boot."""
    wrong = [finding for finding in diagnosis.findings if finding.level is not Level.NOTE]
    station = diagnosis.observed.station
    booting = [asked for asked in diagnosis.observed.asked if asked.choice.url]
    if wrong:
        yield f"{len(wrong)} thing{'s are' if len(wrong) > 1 else ' is'} wrong with network boot on {station.interface}:"
    else:
        yield f"Network boot works on {station.interface}: {len(booting)} of {len(diagnosis.observed.asked)} kinds of firmware boot."
    for finding in diagnosis.findings:
        yield from _finding(finding)
    if diagnosis.servers:
        yield ""
        yield "Who answers"
        for server in diagnosis.servers:
            yield f"  {server.kind:9} {server.evidence()}"
    if diagnosis.observed.asked:
        yield ""
        yield "What each would boot"
        width = max(len(asked.personality.name) for asked in diagnosis.observed.asked)
        for asked in diagnosis.observed.asked:
            yield f"  {asked.personality.name:{width}}  {asked.personality.title}: {_would(asked)}"


def _finding(finding: Finding) -> Iterator[str]:
    yield ""
    yield f"{_LABELS[finding.level]}: {finding.words}"
    for one in finding.evidence:
        yield f"    seen: {one}"
    if finding.remedy:
        yield f"    do:   {finding.remedy}"


def _would(asked: Asked) -> str:
    choice = asked.choice
    if choice.url:
        return choice.url
    if choice.question is not None:
        return f"asks {address_text(choice.question.server)} on port 4011 next"
    return f"nothing ({choice.stops})"
