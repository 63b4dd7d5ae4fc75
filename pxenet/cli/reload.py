"""``pxenet reload``: the running server takes its configuration as it is now, or refuses it whole."""

from __future__ import annotations

import os

import typer

from pxenet.cli.asking import AsJson, Config, NotRunningError, State, ask, reporting, settings_of
from pxenet.cli.output import BAD_CONFIG, FAILED, print_failure, print_json, print_problems
from pxenet.config import Problem


def reload(config: Config = None, state: State = None, as_json: AsJson = False) -> None:
    """Have the running server take its configuration as it is now.

    No transfer and no lease is lost by it. A configuration that has a fault, or
    that changes what cannot change while a server runs (ports, interface, state,
    user, workers), is refused whole with the reasons. Exit status 2: refused.

    \b
    Example:
      pxenet reload --config rack.toml
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            meant = {} if config is None else {"config": os.path.realpath(config)}
            (row,) = ask(settings, None, ask="reload", **meant)
        except NotRunningError as error:
            right = (
                "start it with pxenet serve; or name its configuration with --config, its state directory with --state"
            )
            print_failure(f"no server runs on {settings.server.state}", right, as_json=as_json)
            raise typer.Exit(FAILED) from error
    if as_json:
        print_json(row)
    elif row["reloaded"]:
        print(f"{row['config']} is taken: hosts {row['hosts']}, profiles {row['profiles']}")
        for note in _problems(row["notes"]):
            print(f"note: {note}")
    else:
        print_problems(_problems(row["problems"]))
    if not row["reloaded"]:
        raise typer.Exit(BAD_CONFIG)


def _problems(records: object) -> list[Problem]:
    assert isinstance(records, list)
    return [Problem(**record) for record in records]
