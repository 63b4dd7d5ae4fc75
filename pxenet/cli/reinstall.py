"""``pxenet reinstall``: install a machine again. An explicit act, confirmed when it is on disk."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pxenet.cli.asking import AsJson, Config, NotRunningError, State, ask, host_names, reporting, settings_of, stored
from pxenet.cli.output import print_json
from pxenet.config import Settings
from pxenet.model import Verdict
from pxenet.rack.census import Row
from pxenet.server.answers import armed
from pxenet.server.control import RefusedError
from pxenet.store.base import StoreInUseError
from pxenet.store.sqlite import SqliteStore, open_sqlite


def reinstall(
    host: Annotated[str, typer.Argument(metavar="HOST", help="Name or hardware address.", autocompletion=host_names)],
    config: Config = None,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Install a machine again at its next network boot.

    Whatever it has reported, and however often it has tried. It is not switched
    off or on by this. Works on the store when no server runs.

    \b
    Example:
      pxenet reinstall web01
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            (row,) = ask(settings, ask="reinstall", host=host)
        except NotRunningError:
            row = _in_store(settings, host)
    if as_json:
        print_json(row)
    else:
        print(f"{row['host']} {row['next']}")


def _in_store(settings: Settings, word: str) -> Row:
    opened: list[SqliteStore] = []

    def writing(directory: object) -> SqliteStore:
        opened.append(open_sqlite(settings.server.state, create=False))
        return opened[0]

    try:
        with stored(settings, writing) as (rack, census):
            host = census.find(word)
            if host is None:
                raise RefusedError(*census.stranger(word))
            changes, _ = rack.installs.rearm(host.key, time.time())
            (verdict,) = opened[0].commit(changes)
            if verdict is not Verdict.DURABLE:
                raise RefusedError(
                    f"{host.name} is not armed: {opened[0].last_failure}", "free disk space, or repair the disk"
                )
            return armed(host.name, changes[0], census.next_boot(host))
    except StoreInUseError as error:
        raise RefusedError(
            f"a server runs on {settings.server.state}, but cannot be reached",
            "look into its log for why, or restart it",
        ) from error
