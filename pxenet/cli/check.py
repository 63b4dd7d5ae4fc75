"""``pxenet check``: is a configuration right, and what would machines get by it?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pxenet.boot.policy import RULES
from pxenet.cli.asking import with_hosts_by_command
from pxenet.cli.output import BAD_CONFIG, OK, bad_config, print_json, print_problems, problem_record
from pxenet.config import ConfigError, DhcpMode, Settings, document, load, start_notes, start_problems
from pxenet.model import Host
from pxenet.net.interfaces import interfaces
from pxenet.net.udp import granted_queue_bytes
from pxenet.rack.desk import Desk
from pxenet.rack.offering import MODES, UNKNOWN, Offering, offerings
from pxenet.rack.preview import review
from pxenet.server.summary import queues
from pxenet.wire.text import address_text, mac_text


def check(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="The configuration (TOML).")] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Print all keys with their defaults instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a configuration and every text of its hosts.

    Keys, addresses and files; each template is rendered for each host, so that
    nothing is found out at night. Tells what each kind of firmware gets and what
    is missing. Exit status 2 when something is wrong.

    \b
    Examples:
      pxenet check rack.toml
      pxenet check --defaults > rack.toml
    """
    if defaults:
        raise typer.Exit(_print_defaults(as_json))
    if config is None:
        raise typer.BadParameter("name a configuration, or ask for --defaults", param_hint="CONFIG")
    raise typer.Exit(_check(config, as_json))


def _print_defaults(as_json: bool) -> int:
    if as_json:
        fields = ("table", "name", "description", "default", "example", "required", "repeated")
        print_json([{field: getattr(key, field) for field in fields} for key in document.all_keys()])
    else:
        print(document.text(), end="")
    return OK


def _check(config: Path, as_json: bool) -> int:
    try:
        settings = with_hosts_by_command(load(config))
    except ConfigError as error:
        return bad_config(error, as_json=as_json)
    with Desk(settings, interfaces()) as desk:
        return _checked(config, desk, as_json)


def _checked(config: Path, desk: Desk, as_json: bool) -> int:
    settings = desk.settings
    wrong, complaints = review(desk.rack, settings, desk.hosts(), desk.address)
    notes = [
        *settings.notes,
        *start_problems(settings, desk.present),
        *start_notes(settings, desk.present),
        *complaints,
    ]
    offered = offerings(desk.rack, desk.address)
    if as_json:
        print_json(
            {
                "problems": [problem_record(problem) for problem in wrong],
                "notes": [problem_record(note) for note in notes],
                "firmware": [_offering_record(offering) for offering in offered],
                "hosts": [_host_record(desk, host) for host in settings.hosts],
                "workers": settings.server.workers,
                "udp_queue_bytes": granted_queue_bytes(),
            }
        )
        return BAD_CONFIG if wrong else OK
    room = queues(granted_queue_bytes())
    for line in (*_networks(settings), *_workers(settings), *room, *_firmware(offered), *_hosts(desk)):
        print(line)
    for note in notes:
        print(f"note: {note}")
    print_problems(wrong)
    if not wrong:
        print(f"{config} is right")
    return BAD_CONFIG if wrong else OK


def _networks(settings: Settings) -> Iterator[str]:
    for subnet in settings.dhcp.subnets:
        pools = ", ".join(f"{address_text(first)}-{address_text(last)}" for first, last in subnet.pools)
        line = f"network {address_text(subnet.network)}/{subnet.prefix} {MODES[subnet.mode]}"
        yield line + (f", pool {pools}" if pools and subnet.mode is DhcpMode.SERVER else "")
    if not settings.dhcp.subnets:
        yield f"every network of the interfaces {MODES[settings.dhcp.mode]}"


def _workers(settings: Settings) -> Iterator[str]:
    if settings.server.workers > 1:
        yield f"{settings.server.workers} workers serve files by TFTP and HTTP"


def _firmware(offered: list[Offering]) -> Iterator[str]:
    width = max(len(offering.firmware) for offering in offered)
    for offering in offered:
        file = offering.file or "nothing"
        missing = f"; {offering.missing}" if offering.missing else ""
        yield f"{offering.firmware:{width}}  {file}{missing}"


def _hosts(desk: Desk) -> Iterator[str]:
    added = {host.name for host in desk.settings.added}
    for host in desk.settings.hosts:
        plan = desk.rack.plan(host)
        profile = plan.profile
        what = f"installs {profile.name}" if profile is not None and not profile.discovers else RULES[plan.reason]
        yield f"host {host.name} ({_identity(host)}{', added by command' if host.name in added else ''}): {what}"
    if not desk.settings.hosts:
        yield "no [[host]]"
    unknown = desk.settings.boot.unknown
    profile = desk.settings.profile(unknown)
    deed = "tell what they are, by" if profile is not None and profile.discovers else "install"
    yield f"other machines: {UNKNOWN.get(unknown) or f'{deed} {unknown}'}"


def _identity(host: Host) -> str:
    parts = [mac_text(host.mac) if host.mac is not None else host.uuid or host.serial or ""]
    return ", ".join(parts + ([address_text(host.address)] if host.address is not None else []))


def _offering_record(offering: Offering) -> dict[str, str]:
    fields = ("firmware", "file", "origin", "reason", "missing")
    return {field: getattr(offering, field) for field in fields}


def _host_record(desk: Desk, host: Host) -> dict[str, object]:
    plan = desk.rack.plan(host)
    return {
        "name": host.name,
        "mac": mac_text(host.mac) if host.mac is not None else None,
        "address": address_text(host.address) if host.address is not None else None,
        "action": plan.action.value,
        "profile": plan.profile.name if plan.profile is not None else None,
        "reason": RULES[plan.reason],
    }
