"""The table that moves, drawn: rows of machines, a line that sums them up, and the latest lines below.

Knows rich, and how much room there is. Must not know where rows come from.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from pxenet.cli.board import BAD, BoardRow
from pxenet.server.events import printable

_WIDE = 100
"""Columns from which on there is room for directories."""

_INDENT = " " * 9
"""As wide as the time in front of an event."""

_LEAST_LINES = 5
"""Lines of events that are shown when there is room for that many at all."""


class Picture:
    """Fits itself into the terminal, whatever its size is by then."""

    def __init__(self, rows: Sequence[BoardRow], summary: str, lines: Sequence[str], more: int = 0) -> None:
        """``more``: machines that are not among ``rows``."""
        self._rows = rows
        self._summary = summary
        self._lines = lines
        self._more = more

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        # Head and summary take a line each, and the cursor stands on one of its own.
        lines = [part for line in self._lines[-height:] for part in _folded(line, width)]
        room = max(1, height - 4 - min(_LEAST_LINES, len(lines)))
        rows = self._rows[-room:]
        below = max(0, height - 4 - len(rows))
        hidden = self._more + len(self._rows) - len(rows)
        summary = self._summary + (f", {hidden} not shown" if hidden else "")
        yield Group(
            _table(rows, width),
            Text(summary, style="bold", no_wrap=True, overflow="ellipsis"),
            *lines[max(0, len(lines) - below) :],
        )


def rows_that_fit(height: int) -> int:
    """How many machines a terminal of so many lines has room for, at most."""
    return max(1, height - 4)


def _table(rows: Sequence[BoardRow], width: int) -> Table:
    wide = width >= _WIDE
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2 if wide else 1, 0, 0), header_style="bold")
    table.add_column("machine", no_wrap=True, overflow="ellipsis", max_width=24 if wide else 17)
    table.add_column("firmware", no_wrap=True, overflow="ellipsis", max_width=16 if wide else 9)
    table.add_column("stage", no_wrap=True, min_width=10)
    table.add_column("file", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("rate", no_wrap=True, justify="right", min_width=9)
    table.add_column("elapsed", no_wrap=True, justify="right", min_width=7)
    table.add_column("retries", no_wrap=True, justify="right")
    for row in rows:
        table.add_row(
            Text(printable(row.machine)),
            Text(row.firmware),
            Text(row.stage, style=_style(row.stage)),
            Text(_file(row, wide)),
            rate_text(row.rate),
            elapsed_text(row.elapsed_s),
            str(row.retries) if row.retries else "",
        )
    return table


_STYLES: Mapping[str, str] = {"installed": "green"} | dict.fromkeys(BAD, "bold red")


def _style(stage: str) -> str:
    return _STYLES.get(stage, "")


def _file(row: BoardRow, wide: bool) -> str:
    parts = printable(row.file).strip("/").split("/")
    name = "/".join(parts[-3:] if wide else parts[-1:])
    return f"{row.percent:3} % {name}" if row.percent is not None and row.percent < 100 else name


def _folded(line: str, width: int) -> list[Text]:
    """A line of the log, on as many lines of the terminal as it takes: what to do must not be cut off."""
    style = "yellow" if "! " in line[:12] else "dim" if line.startswith(" ") else ""
    parts = textwrap.wrap(line, max(20, width), subsequent_indent=_INDENT, drop_whitespace=False) or [""]
    return [Text(part, style=style, no_wrap=True, overflow="ellipsis") for part in parts]


def rate_text(rate: float | None) -> str:
    """``12.3 MB/s``, in decimal units; empty for none."""
    if rate is None:
        return ""
    for unit, size in (("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3)):
        if rate >= size:
            return f"{rate / size:.1f} {unit}"
    return f"{rate:.0f} B/s"


def elapsed_text(seconds: float) -> str:
    """``1:05``, ``2:01:05``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
