"""``pxenet hosts add``, ``accept``, ``set``, ``remove``, ``import`` and ``export``: hosts beside those of the configuration file.

By the running server, or in its store when none runs; either way all of an order is carried out, or nothing.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
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
)
from pxenet.cli.output import BAD_CONFIG, print_json, print_problems
from pxenet.config import ConfigError, Problem, Settings, toml
from pxenet.config.draft import Extra
from pxenet.config.host_table import read_table
from pxenet.config.inventory import Change, Patch, change_of, changed, record_of
from pxenet.config.problems import Place
from pxenet.model import Verdict
from pxenet.rack.census import Census, Row
from pxenet.server.answers import change_row
from pxenet.server.control import RefusedError
from pxenet.store.base import StoreInUseError
from pxenet.store.sqlite import open_sqlite, read_sqlite
from pxenet.wire.text import mac_text, parse_mac

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would become of it.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Host name.", autocompletion=host_names)]
Values = Annotated[
    list[str],
    typer.Argument(metavar="KEY=VALUE...", help="Keys of [[host]]: a text; KEY:=VALUE takes a value of TOML."),
]


def add(
    name: Name,
    values: Values,
    config: Config = None,
    state: State = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add a host beside those of the configuration file.

    It is there at once, and after a restart. The keys are those of [[host]].

    \b
    Example:
      pxenet hosts add web07 mac=52:54:00:12:34:07 profile=alma9 vars.rack=b2
    """
    _order(_new_host(name, {}, values), config, state, dry_run, as_json)


def accept(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Hardware address, serial number or machine id.")],
    name: Name,
    values: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE...]", help="Keys of [[host]].")] = None,
    config: Config = None,
    state: State = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a host of a machine that has told what it is.

    It is known by its network cards from then on, and armed: a machine that waits
    for this begins anew at once, and is installed with its profile.

    \b
    Example:
      pxenet hosts accept CN7475158R0123 web07 profile=alma9 address=10.0.0.17
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        found = rows(settings, "discovered", Census.discovered)
        chosen = _chosen(machine, found)
    macs = [str(chosen["machine"]), *(nic["mac"] for nic in chosen["nics"])]  # type: ignore[attr-defined]
    known = {"mac": list(dict.fromkeys(macs))}
    _order(_new_host(name, known, values or []), config, state, dry_run, as_json)


def _chosen(word: str, found: Sequence[Row]) -> Row:
    """The one machine that is meant. RefusedError when there is none, or several."""

    def called(row: Row) -> Iterator[str]:
        yield from (str(row[key]).lower() for key in ("machine", "serial", "uuid") if row[key])
        yield from (nic["mac"] for nic in row["nics"])  # type: ignore[attr-defined]

    try:
        spelled = mac_text(parse_mac(word))
    except ValueError:
        spelled = word.lower()
    meant = [row for row in found if spelled in called(row)]
    if len(meant) == 1 and meant[0]["host"] is None:
        return meant[0]
    if len(meant) == 1:
        host = meant[0]["host"]
        raise RefusedError(f"{word} is {host} already", f"pxenet reinstall {host} installs it")
    if meant:
        raise RefusedError(
            f"{len(meant)} machines say that they are {word}",
            f"name one by its hardware address: {', '.join(str(row['machine']) for row in meant)}",
        )
    raise RefusedError(f"no machine has told that it is {word}", '"pxenet hosts discovered" lists those that have')


def _new_host(name: str, known: Mapping[str, object], values: Sequence[str]) -> Change:
    keys: dict[str, object] = {"name": name, **known}
    for dotted, value in _values(values):
        *above, last = dotted.split(".")
        inner = keys
        for part in above:
            made = inner.setdefault(part, {})
            assert isinstance(made, dict)
            inner = made
        inner[last] = value
    return Change(put=(Extra(keys, Place(f"host {name}")),), new=True)


def set_keys(
    name: Name,
    values: Values,
    config: Config = None,
    state: State = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change keys of a host that was added; KEY= takes one away.

    \b
    Example:
      pxenet hosts set web07 address=10.0.0.17 vars.rack=
    """
    patch = Patch(name, {key: None if value == "" else value for key, value in _values(values)})
    _order(Change(patch=(patch,)), config, state, dry_run, as_json)


def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Host names.", autocompletion=host_names)],
    config: Config = None,
    state: State = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove hosts that were added. What is known of their installation stays.

    \b
    Example:
      pxenet hosts remove web07 web08
    """
    _order(Change(remove=tuple(names)), config, state, dry_run, as_json)


def import_table(
    table: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Its first line names the keys.")],
    only: Annotated[bool, typer.Option("--only", help="Remove hosts that were added and are not in the file.")] = False,
    config: Config = None,
    state: State = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add the hosts of a CSV file, or change those that were added before.

    Columns: mac, uuid, serial, name, profile, address, exit, vars.NAME,
    loader.KIND. A file with any fault is refused whole, each with its line and
    column.

    \b
    Example:
      pxenet hosts import rack4.csv --dry-run
    """
    with reporting(as_json):
        change = Change(put=read_table(table), only=only)
    _order(change, config, state, dry_run, as_json)


def export(
    config: Config = None,
    state: State = None,
    everything: Annotated[bool, typer.Option("--all", help="Those of the configuration file too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the hosts that were added as TOML, as the configuration file would have them.

    Put into the file, they are its own from the next reload on.

    \b
    Example:
      pxenet hosts export >> rack.toml
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            added: list[Row] = list(ask(settings, ask="added_hosts"))
        except NotRunningError:
            with closing(read_sqlite(settings.server.state)) as store:
                added = [json.loads(host.keys) for host in store.added()]
    tables = [*(tomllib.loads(settings.source.text).get("host", []) if everything else []), *added]
    if as_json:
        print(json.dumps(tables, indent=2, ensure_ascii=False, default=str))
    else:
        print(toml.tables("host", tables), end="")


def _values(words: Sequence[str]) -> Iterator[tuple[str, object]]:
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.strip(":"):
            raise typer.BadParameter(f'"{word}" is no KEY=VALUE, e.g. profile=alma9', param_hint="KEY=VALUE")
        if not key.endswith(":"):
            yield key, text
            continue
        try:
            yield key[:-1], tomllib.loads(f"value = {text}")["value"]
        except (tomllib.TOMLDecodeError, KeyError) as error:
            raise typer.BadParameter(f"{text} is no value of TOML, e.g. 3, true or [1, 2]", param_hint=key) from error


def _order(change: Change, config: Path | None, state: Path | None, dry_run: bool, as_json: bool) -> None:
    """Have it carried out, and say what became of it."""
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            (row,) = ask(settings, None, ask="change_hosts", dry_run=dry_run, **record_of(change))
        except NotRunningError:
            row = _in_store(settings, change, dry_run)
    problems, notes, fates = row["problems"], row["notes"], row["hosts"]
    assert isinstance(problems, list)
    assert isinstance(notes, list)
    assert isinstance(fates, dict)
    if as_json:
        print_json(row)
    else:
        print_problems(Problem(**problem) for problem in problems)
        for note in notes:
            print(f"note: {Problem(**note)}")
        for name, fate in fates.items():
            print(f"{name} {'would be ' if dry_run else 'is '}{fate}")
    if problems:
        raise typer.Exit(BAD_CONFIG)


def _in_store(settings: Settings, change: Change, dry_run: bool) -> Row:
    try:
        with closing(open_sqlite(settings.server.state, create=False)) as store:
            try:
                found = changed(replace(settings, added=tuple(store.added())), change_of(record_of(change)))
            except ConfigError as error:
                return change_row(list(error.problems))
            if not dry_run and Verdict.FAILED in store.commit(found.records):
                raise RefusedError(f"nothing is changed: {store.last_failure}", "free disk space, or repair the disk")
            return change_row(found)
    except StoreInUseError as error:
        raise RefusedError(
            f"a server runs on {settings.server.state}, but cannot be reached",
            "look into its log for why, or restart it",
        ) from error
