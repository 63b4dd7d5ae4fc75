"""``pxenet leases``: the addresses that a server has given out."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pxenet.cli.asking import AsJson, Config, State, reporting, rows, settings_of
from pxenet.cli.output import print_json
from pxenet.cli.tables import Column, ago, number_of_address, ordered, show, until
from pxenet.rack.census import Census

COLUMNS = (
    Column("address", "address", key=number_of_address),
    Column("mac", "mac"),
    Column("host", "host"),
    Column("state", "state"),
    Column("expires", "expires_at", text=until),
    Column("since", "since_at", text=ago, spare=2),
    Column("hostname", "hostname", spare=1),
)


def _columns() -> list[str]:
    return [column.name for column in COLUMNS]


def leases(
    config: Config = None,
    state: State = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Sort by a column; -COLUMN: downwards.", autocompletion=_columns),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the leases: every address that was acknowledged, and to whom.

    Asks the running server, or reads its store when none runs.

    \b
    Examples:
      pxenet leases
      pxenet leases --state /var/lib/pxenet --sort expires
    """
    with reporting(as_json):
        found = ordered(rows(settings_of(config, state), "leases", Census.leases), COLUMNS, sort)
    if as_json:
        print_json(found)
    else:
        show(found, COLUMNS, time.time())
