"""Tables for people: aligned, sorted, as wide as the terminal. Plain text in a pipe, and where NO_COLOR is set.

Knows rows of values and how a person reads times. Must not know what they mean.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import typer

from pxenet.rack.census import Row
from pxenet.server.events import printable

_GAP = "  "
_BOLD = "1"

_COLOURS = {
    "installed": "32",
    "bound": "32",
    "failed": "31",
    "declined": "31",
    "installing": "33",
    "answered": "33",
    "booted": "33",
    "discovered": "36",
    "cancelled": "2",
    "retired": "2",
}
"""SGR codes of states."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how people read the value, by what it is sorted; the larger ``spare``, the sooner it is left out."""

    name: str
    field: str
    text: Callable[[object, float], str] = lambda value, now: "-" if value in (None, "") else str(value)
    key: Callable[[object], object] = lambda value: value
    spare: int = 0


def ago(value: object, now: float) -> str:
    """``5 min ago``, ``in 11 h``."""
    if not isinstance(value, int | float):
        return "-"
    distance = span(abs(now - value))
    return f"{distance} ago" if value <= now else f"in {distance}"


def until(value: object, now: float) -> str:
    """As ``ago``, for a time that may be never."""
    return "never" if value is None else ago(value, now)


def span(seconds: float) -> str:
    """A length of time in the unit that says most: ``40 s``, ``12 min``, ``5 h``, ``9 d``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def number_of_address(value: object) -> object:
    """Sorts 10.0.0.9 before 10.0.0.10."""
    return tuple(int(part) for part in str(value).split(".")) if value else None


def ordered(rows: Sequence[Row], columns: Sequence[Column], sort: str | None) -> list[Row]:
    """Sorted by the column that ``sort`` names, downwards with a minus in front; unknown values come last. BadParameter."""
    if sort is None:
        return list(rows)
    column = next((column for column in columns if column.name == sort.removeprefix("-")), None)
    if column is None:
        names = ", ".join(column.name for column in columns)
        raise typer.BadParameter(f'there is no column "{sort}"; the columns are {names}', param_hint="--sort")
    known = [row for row in rows if row.get(column.field) not in (None, "")]
    known.sort(key=lambda row: column.key(row[column.field]), reverse=sort.startswith("-"))  # type: ignore[arg-type,return-value]
    return known + [row for row in rows if row.get(column.field) in (None, "")]


def show(rows: Sequence[Row], columns: Sequence[Column], now: float) -> None:
    """Print the table. A terminal that is too narrow gets fewer columns; a pipe gets all."""
    terminal = sys.stdout.isatty()
    cells = [[printable(column.text(row.get(column.field), now)) for column in columns] for row in rows]
    shown = _fitting(columns, cells, shutil.get_terminal_size().columns if terminal else None)
    widths = [max([len(columns[i].name), *(len(line[i]) for line in cells)]) for i in shown]
    coloured = terminal and not os.environ.get("NO_COLOR")
    titles = [columns[i].name.upper() for i in shown]
    print(_line(titles, widths, dict.fromkeys(titles, _BOLD) if coloured else {}))
    for line in cells:
        print(_line([line[i] for i in shown], widths, _COLOURS if coloured else {}))


def _fitting(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """Which columns have room."""
    widths = [max([len(column.name), *(len(line[i]) for line in cells)]) for i, column in enumerate(columns)]
    shown = list(range(len(columns)))
    while width is not None and len(shown) > 1 and sum(widths[i] + len(_GAP) for i in shown) - len(_GAP) > width:
        shown.remove(max(shown, key=lambda i: (columns[i].spare, i)))
    return shown


def _line(cells: Sequence[str], widths: Sequence[int], colours: Mapping[str, str]) -> str:
    parts = []
    for cell, width in zip(cells, widths, strict=True):
        colour = colours.get(cell)
        padding = " " * (width - len(cell))
        parts.append((f"\033[{colour}m{cell}\033[0m" if colour else cell) + padding)
    return _GAP.join(parts).rstrip()
