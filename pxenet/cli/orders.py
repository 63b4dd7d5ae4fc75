"""``pxenet reinstall``, ``cancel``, ``retire``: whether a machine is to be installed, ordered by a person, confirmed when on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from pxenet.cli.asking import AsJson, Config, NotRunningError, State, ask, host_names, reporting, settings_of, stored
from pxenet.cli.output import print_json
from pxenet.config import Settings
from pxenet.model import Verdict
from pxenet.rack.census import Row
from pxenet.rack.orders import carry_out, outcome
from pxenet.server.control import RefusedError
from pxenet.store.base import StoreInUseError
from pxenet.store.sqlite import SqliteStore, open_sqlite

Host = Annotated[str, typer.Argument(metavar="HOST", help="Name or hardware address.", autocompletion=host_names)]


def reinstall(host: Host, config: Config = None, state: State = None, as_json: AsJson = False) -> None:
    """Install a machine again at its next network boot.

    Whatever it has reported, however often it has tried, and also when it was
    cancelled or retired. It is not switched off or on by this. Works on the store
    when no server runs.

    \b
    Example:
      pxenet reinstall web01
    """
    _order("reinstall", host, config, state, as_json)


def cancel(host: Host, config: Config = None, state: State = None, as_json: AsJson = False) -> None:
    """Take back that a machine is to be installed: it boots its local disk.

    Its answer file is not given out any more. An installer that has started is not
    stopped by this; when it reports the end, the machine counts as installed.

    \b
    Example:
      pxenet cancel web01
    """
    _order("cancel", host, config, state, as_json)


def retire(host: Host, config: Config = None, state: State = None, as_json: AsJson = False) -> None:
    """Take a machine out of service: nothing to boot is served to it any more.

    Its token is worthless from now on, and it stays retired also when its [[host]] is
    removed: seen again, it is not taken for a new machine. pxenet reinstall takes it
    back.

    \b
    Example:
      pxenet retire web01
    """
    _order("retire", host, config, state, as_json)


def _order(order: str, host: str, config: Path | None, state: Path | None, as_json: bool) -> None:
    """Have it carried out, and say what the machine does from now on."""
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            (row,) = ask(settings, ask=order, host=host)
        except NotRunningError:
            row = _in_store(settings, order, host)
    if as_json:
        print_json(row)
        return
    print(f"{row['host']} {row['next']}")
    if row["running"]:
        print("its installer was started before, and is not stopped by this: switch it off if it must not go on")


def _in_store(settings: Settings, order: str, word: str) -> Row:
    opened: list[SqliteStore] = []

    def writing(directory: object) -> SqliteStore:
        opened.append(open_sqlite(settings.server.state, create=False))
        return opened[0]

    try:
        with stored(settings, writing) as (rack, census):
            host = census.find(word)
            if host is None:
                raise RefusedError(*census.stranger(word))
            before = rack.installs.record(host.key)
            changes, _ = carry_out(rack.installs, order, host.key, time.time())
            if Verdict.FAILED in opened[0].commit(changes):
                raise RefusedError(
                    f"nothing is changed for {host.name}: {opened[0].last_failure}",
                    "free disk space, or repair the disk",
                )
            return outcome(rack, census, host, before)
    except StoreInUseError as error:
        raise RefusedError(
            f"a server runs on {settings.server.state}, but cannot be reached",
            "look into its log for why, or restart it",
        ) from error
