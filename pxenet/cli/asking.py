"""Asking the running server; and while none runs, its store.

Knows the socket and its lines of JSON from the client's side. A command says what it asks and what stands in for the answer.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pxenet.cli.output import FAILED, bad_config, print_failure
from pxenet.config import ConfigError, Settings, defaults, load
from pxenet.rack import Rack
from pxenet.rack.census import Census, Row
from pxenet.server.control import SOCKET, RefusedError, reachable
from pxenet.store.base import Store, StoreError
from pxenet.store.sqlite import read_sqlite

PATIENCE_S = 30.0
"""How long a server may take for the next piece of an answer."""

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The server's configuration (TOML).")]
State = Annotated[
    # Not looked at by the parser: who may not read it is told who may.
    Path | None, typer.Option("--state", metavar="DIR", readable=False, help="The server's state directory.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NotRunningError(Exception):
    """Nobody listens in the state directory."""


def settings_of(config: Path | None, state: Path | None) -> Settings:
    """The settings of the server that is meant: by its configuration, its state directory, or where both are by default."""
    settings = defaults() if config is None else load(config)
    return settings if state is None else replace(settings, server=replace(settings.server, state=state.absolute()))


def ask(settings: Settings, patience_s: float | None = PATIENCE_S, **request: object) -> Iterator[Row]:
    """The rows with which the running server answers, as they come.

    Raises NotRunningError before the first row; RefusedError for an answer that is a refusal, or ends in the middle.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(patience_s)
        try:
            with reachable(settings.server.state / SOCKET) as name:
                sock.connect(name)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise NotRunningError from error
        except OSError as error:
            raise RefusedError(
                f"the server in {settings.server.state} cannot be asked: {error.strerror}", _AS_WHOM
            ) from error
        try:
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as lines:
                yield from _rows(lines)
        except (TimeoutError, ConnectionError, ValueError) as error:
            raise RefusedError("the server does not answer any more", "look at its log") from error


_AS_WHOM = "run this as root, or as the user that the server runs as"


def _rows(lines: Iterable[bytes]) -> Iterator[Row]:
    for line in lines:
        said = json.loads(line)
        if "row" in said:
            yield said["row"]
        elif "error" in said:
            raise RefusedError(said["error"], said.get("right", ""))
        else:
            return
    raise RefusedError("the server has stopped", "")


def rows(settings: Settings, ask_for: str, offline: Callable[[Census], Iterable[Row]]) -> list[Row]:
    """The rows that the running server gives, or else those of its store. Raises RefusedError and StoreError."""
    try:
        return list(ask(settings, ask=ask_for))
    except NotRunningError:
        pass
    with stored(settings) as (_, census):
        return list(offline(census))


@contextmanager
def stored(settings: Settings, opened: Callable[[Path], Store] = read_sqlite) -> Iterator[tuple[Rack, Census]]:
    """The rack of a server that does not run, on its store. Raises StoreError."""
    with closing(opened(settings.server.state)) as store:
        settings = with_stored(settings, store)
        rack = Rack(settings, store, interfaces=(), tell=lambda event: None, clock=time.time)
        # Not the engine's leases: it takes up only those of the subnets that are configured.
        yield rack, Census(rack, store.leases)


def with_stored(settings: Settings, store: Store) -> Settings:
    """The settings of a file with the hosts that were added by command. Raises ConfigError when they do not go together."""
    added = list(store.added())
    if not added:
        return settings
    from pxenet.config.inventory import with_added

    return with_added(settings, added).settings


def with_hosts_by_command(settings: Settings, state: Path | None = None) -> Settings:
    """The same, from the state directory; without them where no store can be read. Raises ConfigError."""
    try:
        with closing(read_sqlite(settings.server.state if state is None else state.absolute())) as store:
            return with_stored(settings, store)
    except StoreError:
        return settings


@contextmanager
def reporting(as_json: bool) -> Iterator[None]:
    """Turn what went wrong into words and an exit status."""
    try:
        yield
    except ConfigError as error:
        raise typer.Exit(bad_config(error, as_json=as_json)) from error
    except StoreError as error:
        right = _AS_WHOM if "denied" in str(error) else "" if "Restore" in str(error) else _WHERE
        print_failure(str(error), right, as_json=as_json)
        raise typer.Exit(FAILED) from error
    except RefusedError as error:
        print_failure(error.wrong, error.right, as_json=as_json)
        raise typer.Exit(FAILED) from error


_WHERE = "name the server's configuration with --config FILE, or its state directory with --state DIR"


def host_names(context: typer.Context, incomplete: str) -> list[str]:
    """For the shell: the machines that a server knows, whose names begin so. Never fails, and never waits for long."""
    options: Mapping[str, Path | str | None] = context.params
    config, state = (Path(value) if (value := options.get(name)) else None for name in ("config", "state"))
    try:
        settings = settings_of(config, state)
        try:
            found = [str(row["host"]) for row in ask(settings, 1.0, ask="hosts")]
        except (NotRunningError, RefusedError):
            found = [host.name for host in settings.hosts]
            with stored(settings) as (_, census):
                found = census.names()
    except (ConfigError, StoreError):
        found = [] if config is None else found_in(config)
    return [name for name in found if name.startswith(incomplete)]


def found_in(config: Path) -> list[str]:
    """The names in a configuration whose server has never run."""
    try:
        return [host.name for host in load(config).hosts]
    except ConfigError:
        return []
