"""``pxenet hosts``: the machines that a server knows, and how far each has come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer

from pxenet.cli.asking import (
    AsJson,
    Config,
    NotRunningError,
    State,
    ask,
    host_names,
    reporting,
    rows,
    settings_of,
    stored,
)
from pxenet.cli.output import print_json
from pxenet.cli.tables import Column, ago, number_of_address, ordered, show
from pxenet.rack.census import Census, Row
from pxenet.server.control import RefusedError
from pxenet.server.events import printable

_NEXT = {"install": "installs", "local": "its disk", "menu": "menu", "none": "nothing"}

COLUMNS = (
    Column("host", "host"),
    Column("mac", "mac", spare=1),
    Column("address", "address", key=number_of_address),
    Column("state", "state"),
    Column("profile", "profile", spare=3),
    Column("next", "next", text=lambda value, now: _NEXT.get(str(value), str(value)), spare=2),
    Column("seen", "last_seen_at", text=ago),
    Column("firmware", "firmware", spare=4),
)


def _columns() -> list[str]:
    return [column.name for column in COLUMNS]


def hosts(
    context: typer.Context,
    config: Config = None,
    state: State = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Sort by a column; -COLUMN: downwards.", autocompletion=_columns),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the machines: those of the configuration, and all that were seen.

    Asks the running server, or reads its store when none runs.

    \b
    Examples:
      pxenet hosts
      pxenet hosts --config rack.toml --sort -seen
    """
    if context.invoked_subcommand is not None:
        return
    with reporting(as_json):
        found = ordered(rows(settings_of(config, state), "hosts", Census.hosts), COLUMNS, sort)
    if as_json:
        print_json(found)
        return
    show(found, COLUMNS, time.time())
    for row in found:
        if row["state"] in ("failed", "discovered"):
            print(printable(_advice(row)))


def show_one(
    host: Annotated[str, typer.Argument(metavar="HOST", help="Name or hardware address.", autocompletion=host_names)],
    config: Config = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that is known of one machine.

    Also what it sent when its installation failed: the end of its installer's log.

    \b
    Example:
      pxenet hosts show web01
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            (row,) = ask(settings, ask="host", host=host)
        except NotRunningError:
            with stored(settings) as (_, census):
                found = census.find(host)
                if found is None:
                    raise RefusedError(*census.stranger(host)) from None
                row = census.host(found)
    if as_json:
        print_json(row)
        return
    now = time.time()
    for name, value in _facts(row, now):
        print(f"{name:<13}{printable(value)}")
    for line in str(row["log"]).splitlines():
        print(f"  | {printable(line)}")


DISCOVERED = (
    Column("machine", "machine"),
    Column("host", "host"),
    Column("told", "told_at", text=ago),
    Column("what", "what"),
)


def discovered(config: Config = None, state: State = None, as_json: AsJson = False) -> None:
    """List the machines that were booted to tell what they are.

    What boots unknown machines for that is a profile with answer = "discovery",
    named by boot.unknown; pxenet hosts accept makes hosts of them.

    \b
    Example:
      pxenet hosts discovered
    """
    with reporting(as_json):
        found = rows(settings_of(config, state), "discovered", Census.discovered)
    if as_json:
        print_json(found)
        return
    show(found, DISCOVERED, time.time())


def _facts(row: Row, now: float) -> Iterator[tuple[str, str]]:
    """Name and value of everything that is known."""
    known = ("host", "mac", "uuid", "serial", "firmware", "vendor_class", "address", "profile", "state", "reason")
    yield from ((name.replace("_", " "), str(row[name])) for name in known if row[name])
    for name in ("since_at", "first_seen_at", "last_seen_at"):
        if row[name]:
            yield name.removesuffix("_at").replace("_", " "), ago(row[name], now)
    if row["attempts"]:
        yield "attempts", str(row["attempts"])
    yield "next boot", f"{_NEXT.get(str(row['next']), row['next'])}: {row['because']}"
    hardware = row["hardware"]
    if isinstance(hardware, dict):
        yield from ((name, str(hardware[name])) for name in ("vendor", "product") if hardware[name])
        yield from ((name, str(hardware[name])) for name in ("cpus", "memory_bytes") if hardware[name])
        for kind in ("disks", "nics"):
            yield from ((kind[:-1], " ".join(str(value) for value in one.values() if value)) for one in hardware[kind])
    if row["log"]:
        yield "its log", "the end of what it sent:"


def _advice(row: Row) -> str:
    if row["state"] == "discovered":
        return f"! {row['host']} has told what it is: pxenet hosts accept {row['mac']} NAME profile=PROFILE makes it a host"
    why = str(row["reason"] or row["because"]).rstrip(".")
    return f"! {row['host']}: {why}. When that is mended: pxenet reinstall {row['host']}"
