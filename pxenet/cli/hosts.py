"""``pxenet hosts``: the machines that a server knows, and how far each has come."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pxenet.cli.asking import AsJson, Config, State, reporting, rows, settings_of
from pxenet.cli.output import print_json
from pxenet.cli.tables import Column, ago, number_of_address, ordered, show
from pxenet.rack.census import Census, Row
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
        if row["state"] == "failed":
            print(printable(_advice(row)))


def _advice(row: Row) -> str:
    return f"! {row['host']}: {row['reason'] or row['because']}. When that is mended: pxenet reinstall {row['host']}"
