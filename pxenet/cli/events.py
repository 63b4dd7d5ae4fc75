"""``pxenet events``: what happened lately, and what happens now."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pxenet.cli.asking import AsJson, Config, NotRunningError, State, ask, host_names, reporting, settings_of
from pxenet.config import Settings
from pxenet.rack.census import Row
from pxenet.server.control import RefusedError
from pxenet.server.events import line_of


def events(
    config: Config = None,
    state: State = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")] = False,
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Of one machine: name or hardware address.", autocompletion=host_names),
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", metavar="NUMBER", min=0, help="So many of the past.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what happened to the machines, oldest first.

    The running server remembers the latest events. With --json one object a line.

    \b
    Examples:
      pxenet events --follow
      pxenet events --host web01 --last 10
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            _print(settings, follow, host, last, as_json)
        except NotRunningError as error:
            raise RefusedError(
                f"no server runs on {settings.server.state}, and events are remembered only while one does",
                "look into the log that it has written",
            ) from error
        except KeyboardInterrupt:
            pass  # the way to end --follow


def _print(settings: Settings, follow: bool, host: str | None, last: int, as_json: bool) -> None:
    patience_s = None if follow else 30.0
    for row in ask(settings, patience_s, ask="events", follow=follow, host=host, last=last):
        print(json.dumps(row) if as_json else _line(row), flush=follow)


def _line(row: Row) -> str:
    if "missed" in row:
        return f"and {row['missed']} more, which came faster than they could be shown"
    return line_of(row)
