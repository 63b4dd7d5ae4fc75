"""``pxenet explain``: why a machine gets what it gets, rule by rule, and why nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from pxenet.answer.confined import Confined
from pxenet.answer.engines import Engine
from pxenet.capture import frames
from pxenet.cli.asking import with_hosts_by_command
from pxenet.cli.output import BAD_CONFIG, OK, bad_config, print_failure, print_json
from pxenet.config import ConfigError, Settings, load
from pxenet.replay.explain import (
    FIRMWARE,
    Explanation,
    explain_machine,
    explain_packet,
    explain_recorded,
    snapshot,
)
from pxenet.replay.notebook import Decision
from pxenet.replay.reasons import Reason
from pxenet.replay.run import ReplayError, boots_of
from pxenet.store.base import Store, StoreError
from pxenet.store.sqlite import read_sqlite
from pxenet.wire.reader import WireError
from pxenet.wire.text import parse_address, parse_mac

_ANYBODY = bytes.fromhex("020000000001")
"""Stands for a machine that no [[host]] names: locally administered, so nobody's card has it."""


_NOT = {"file": "for"}
"""How what was not taken is introduced, by the step."""


_ANY_RASPBERRY = bytes.fromhex("b827eb000001")
"""A Raspberry Pi's ROM is known by its maker's prefix."""


class _WishError(Exception):
    """What cannot be explained; the message says what would be right."""


def explain(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration (TOML).")],
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[MAC | HOST | PACKET | CAPTURE]",
            help="A machine by hardware address or name; a DHCP request (or the frame it is in) as hex digits; or a capture. "
            "None: a machine that is not in the configuration.",
        ),
    ] = None,
    arch: Annotated[str | None, typer.Option(metavar="NAME", help=f"Its firmware: {', '.join(FIRMWARE)}.")] = None,
    via: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="It is behind the DHCP relay with this address.")
    ] = None,
    boot: Annotated[int | None, typer.Option(metavar="N", help="Of a capture, only the boot of this number.")] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", readable=False, help="The server's state directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Explain why a machine gets what it gets.

    Boots the machine in virtual time before the very decisions that the server
    takes, with what the server's state says of it: nothing is sent and nothing
    is changed. Tells for each request which network, host, boot file and address
    were taken, by which rule, and why nothing else; and each text that it is
    served. Tokens in it are shortened.

    \b
    Examples:
      pxenet explain rack.toml web01
      pxenet explain rack.toml 52:54:00:12:34:56 --arch bios
      pxenet explain rack.toml --arch arm64
      pxenet explain rack.toml boot.pcap --boot 2
    """
    try:
        settings = with_hosts_by_command(load(config), state)
        known, note = _known(settings, state)
        with Confined(again_s=math.inf) as engine:
            found = list(_explained(settings, what, arch, via, boot, known, engine))
    except ConfigError as error:
        raise typer.Exit(bad_config(error, as_json=as_json)) from error
    except (ReplayError, _WishError) as error:
        print_failure(str(error), as_json=as_json)
        raise typer.Exit(BAD_CONFIG) from error
    if as_json:
        print_json({"explanations": [one.record() for one in found], "state": note})
        raise typer.Exit(OK)
    for one in found:
        for line in _lines(one):
            print(line)
    print(f"state: {note}")
    raise typer.Exit(OK)


def _known(settings: Settings, state: Path | None) -> tuple[Store | None, str]:
    """What the server knows of its machines, and in words what was taken."""
    directory = settings.server.state if state is None else state.absolute()
    try:
        with closing(read_sqlite(directory)) as store:
            return snapshot(store), f"leases and installs as in {directory}"
    except StoreError as error:
        return None, f"every machine as if it were new ({error})"


def _explained(
    settings: Settings,
    what: str | None,
    arch: str | None,
    via: str | None,
    boot: int | None,
    known: Store | None,
    engine: Engine,
) -> Iterator[Explanation]:
    now = time.time()
    if arch is not None and arch not in FIRMWARE:
        raise _WishError(f"--arch {arch}: no firmware is called so; there are {', '.join(FIRMWARE)}")
    try:
        relay = parse_address(via) if via is not None else 0
    except ValueError as error:
        raise _WishError(f"--via {via}: {error}") from error
    host = settings.host(what) if what is not None else None
    anybody = _ANY_RASPBERRY if arch is not None and arch.startswith("raspberry") else _ANYBODY
    mac = anybody if what is None else host.mac if host is not None else _mac(what)
    if mac is not None:
        yield explain_machine(settings, mac, arch=arch, relay=relay, store=known, now=now, engine=engine)
        return
    assert what is not None
    if host is not None:
        raise _WishError(
            f'host "{what}" has no mac, and a DHCP request is told apart by that; name its hardware address'
        )
    if arch is not None or via is not None:
        raise _WishError(
            "--arch and --via are for a machine that is only named; packets and captures say both themselves"
        )
    packet = _packet(what)
    if packet is not None:
        try:
            yield explain_packet(settings, _payload(packet), store=known, now=now, engine=engine)
        except WireError as error:
            raise _WishError(
                f"these {len(packet)} bytes are no DHCP message (UDP payload, from op on), nor a frame with one: {error}"
            ) from error
        return
    if not Path(what).exists():
        names = ", ".join(sorted(one.name for one in settings.hosts)) or "none"
        raise _WishError(
            f'"{what}" is no hardware address, no host (known: {names}), no packet in hex digits and no file'
        )
    yield from explain_recorded(settings, boots_of(Path(what), boot), store=known, now=now, engine=engine)


def _mac(word: str) -> bytes | None:
    try:
        return parse_mac(word)
    except ValueError:
        return None


def _packet(word: str) -> bytes | None:
    """Hex digits, with or without blanks and colons; a DHCP message has at least 236 bytes."""
    digits = word.replace(":", "").replace(" ", "").replace("\n", "")
    try:
        return bytes.fromhex(digits) if len(digits) >= 2 * 44 else None
    except ValueError:
        return None


def _payload(packet: bytes) -> bytes:
    """Of a whole Ethernet frame, as Wireshark copies it, what is in its datagram; anything else as it is."""
    try:
        found = frames.parse(packet)
    except WireError:
        return packet
    return found.payload if found is not None and found.protocol == frames.UDP else packet


def _lines(one: Explanation) -> Iterator[str]:
    yield f"{one.machine}, played by {one.played}"
    told: dict[str, Reason] = {}
    for step in one.steps:
        yield ""
        if isinstance(step, Decision):
            yield f"{step.at_s:9.3f} s  {step.request}"
            for reason in step.reasons:
                if told.get(reason.step) == reason:
                    yield f"    {reason.step:8} {reason.taken}, as before"
                    continue
                told[reason.step] = reason
                yield f"    {reason.step:8} {reason.taken}"
                yield f"             because {reason.because}"
                yield from (f"             {_NOT.get(reason.step, 'not')} {other}" for other in reason.others)
            yield f"    {'answer':8} {step.answer}"
            yield from (f"             {line}" for line in step.lines)
        else:
            again = f" ({step.times} times)" if step.times > 1 else ""
            yield f"{step.at_s:9.3f} s  asks for {step.name}{again}"
            yield f"    {'gets':8} {step.taken}"
            yield (
                f"             because {step.because}"
                if step.taken.startswith("nothing")
                else f"             {step.because}"
            )
            yield from (f"        | {line}" for line in step.text.splitlines())
    if one.end:
        yield ""
        yield f"In the end {one.end}."
    for note in one.notes:
        yield f"note: {note}"
    yield ""
