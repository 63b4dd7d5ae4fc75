"""Hosts from a table of values (CSV, RFC 4180): a line of key names, then a line for each host.

Knows how spreadsheets write such files: with commas, semicolons or tabs, and a mark at their beginning. What the values must be is the
schema's; here only the table is read, and each value keeps its line and column.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pxenet.config.draft import Extra
from pxenet.config.problems import ConfigError, Place, Problem

KEYS = ("name", "mac", "uuid", "serial", "profile", "address", "exit")
"""Columns of their own; and ``vars.NAME`` and ``loader.KIND``."""
TABLES = ("vars", "loader")
_SEPARATORS = ",;\t"
_RIGHT = f"use {', '.join(KEYS)}, vars.NAME and loader.KIND"


def read_table(path: Path) -> tuple[Extra, ...]:
    """The hosts of a file. Raises :class:`ConfigError` with every fault of the table."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([Problem(str(path), None, "", f"cannot be read: {reason}", "")]) from error
    return from_text(text, str(path))


def from_text(text: str, file: str) -> tuple[Extra, ...]:
    """The hosts of a text. Raises :class:`ConfigError`."""
    rows = _rows(text, file)
    line, header = next(rows, (1, []))
    columns, wrong = _columns(header, file, line)
    hosts: list[Extra] = []
    for line, cells in rows:
        if len(cells) != len(header):
            some = f"has {len(cells)} values, and the first line names {len(header)} columns"
            wrong.append(
                Problem(file, line, "", some, "write every value, empty ones too; put those with commas in quotes")
            )
        else:
            hosts.append(Extra(_host(columns, cells), Place("", file, line, {name: at + 1 for at, name in columns})))
    if wrong:
        raise ConfigError(wrong)
    return tuple(hosts)


def _rows(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """(line where it begins, its values) of each row that is not empty. Raises ConfigError for what is no table."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ConfigError(
                [Problem(file, line, "", f"is no line of a table: {error}", "close every quote")]
            ) from error
        if any(cell.strip() for cell in cells):
            yield line, [cell.strip() for cell in cells]


def _columns(header: Sequence[str], file: str, line: int) -> tuple[list[tuple[int, str]], list[Problem]]:
    """(place, key) of each column, and what is wrong with them."""
    wrong: list[Problem] = []
    found: list[tuple[int, str]] = []
    for at, name in enumerate(header):
        where = f"column {at + 1} ({name})"
        above, dot, below = name.partition(".")
        if name in [known for _, known in found]:
            wrong.append(Problem(file, line, where, "is there twice", "name each key once"))
        elif name not in KEYS and not (dot and below and above in TABLES):
            close = difflib.get_close_matches(name.lower(), KEYS, n=1)
            wrong.append(
                Problem(file, line, where, "is no key of a host", f"did you mean {close[0]}?" if close else _RIGHT)
            )
        found.append((at, name))
    if not {"mac", "uuid", "serial"} & {name for _, name in found}:
        wrong.append(Problem(file, line, "", "names none of mac, uuid, serial", f"begin with a line of keys: {_RIGHT}"))
    return found, wrong


def _host(columns: Sequence[tuple[int, str]], cells: Sequence[str]) -> dict[str, object]:
    """A row as a ``[[host]]`` would have it; an empty value is a key that is not written."""
    keys: dict[str, object] = {}
    for at, name in columns:
        text = cells[at]
        if not text:
            continue
        above, _, below = name.partition(".")
        if above in TABLES:
            inner = keys.setdefault(above, {})
            assert isinstance(inner, dict)
            inner[below] = text
        elif name == "mac" and len(several := text.replace(";", " ").split()) > 1:
            keys[name] = several
        else:
            keys[name] = text
    return keys
