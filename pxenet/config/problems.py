"""What is wrong with a configuration, said so that it can be mended: file, line, key, what is wrong, what would be right.

A key in a message is written like ``dhcp.subnet[1].pool``: entries of a list are counted from 1, and a host, profile or subnet
is also named.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Key = tuple[str | int, ...]
"""Where a value stands: names of tables, and indexes from 0 in lists of tables."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    file: str
    """As the user named it; empty when there is no file."""
    line: int | None
    """Counted from 1; None when the key is not in the file."""
    key: str
    """Dotted; empty for faults of the file as a whole."""
    wrong: str
    right: str
    """What would be right; empty when ``wrong`` says it."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file and self.line else self.file
        parts = [part for part in (where, self.key, self.wrong) if part]
        return ": ".join(parts) + (f"; {self.right}" if self.right else "")


class ConfigError(Exception):
    """A configuration that cannot be used, with every problem that was found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host stands that is not in the configuration's text."""

    name: str
    """What to call it: "added host web01"; empty for one that its line names."""
    file: str = ""
    line: int | None = None
    columns: Mapping[str, int] = field(default_factory=dict)
    """Key → column, from 1, in a table of values."""

    def problem(self, key: Key, wrong: str, right: str = "") -> Problem:
        """A problem with the value at ``key``, which begins inside the host."""
        text = ".".join(str(part) for part in key)
        column = max((name for name in self.columns if f"{text}.".startswith(f"{name}.")), key=len, default="")
        if column:
            text = f"column {self.columns[column]} ({text})"
        return Problem(self.file, self.line, ".".join(filter(None, (self.name, text))), wrong, right)

    def __str__(self) -> str:
        return self.name or f"line {self.line} of {self.file}"


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a configuration, to find the line of a key."""

    file: str = ""
    text: str = ""
    labels: Mapping[Key, str] = field(default_factory=dict)
    """Names of list entries, e.g. ``(("host", 0), "web01")``, shown in messages about them."""

    elsewhere: Mapping[Key, Place] = field(default_factory=dict)
    """Entries that are not in the text, by their keys; they come behind those that are."""

    def problem(self, key: Key, wrong: str, right: str = "") -> Problem:
        """A problem with the value at ``key``."""
        if (place := self.elsewhere.get(key[:2])) is not None:
            return place.problem(key[2:], wrong, right)
        return Problem(self.file, line_of(self.text, key), self.key_text(key), wrong, right)

    def writes(self, key: Key) -> bool:
        """The key stands in the text by itself, not inside of an inline table."""
        return any(written[: len(key)] == key for written in _written_keys(self.text))

    def where(self, key: Key) -> str:
        """An entry, with the line where it stands, to be named in messages about others."""
        if (place := self.elsewhere.get(key[:2])) is not None:
            return str(place)
        line = line_of(self.text, key)
        file = f"{self.file}, " if self.elsewhere and self.file else ""
        return f"{self.key_text(key)} in {file}line {line}" if line else self.key_text(key)

    def key_text(self, key: Key) -> str:
        """``("host", 0, "mac")`` as ``host[1] (web01).mac``."""
        text = ""
        for position, part in enumerate(key):
            if isinstance(part, int):
                label = self.labels.get(key[: position + 1], "")
                text += f"[{part + 1}]" + (f" ({label})" if label else "")
            else:
                text += f".{part}" if text else part
        return text


# [table] or [[table]], perhaps with a comment behind it.
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
# A key, bare, quoted or dotted, before its equals sign.
_ASSIGNMENT = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, key: Key) -> int | None:
    """The line (from 1) where ``key`` is written, else that of the nearest table around it, else None.

    A scan of lines, not a parser: inside inline tables and lists over several lines it finds where they begin.
    """
    written = _written_keys(text)
    for length in range(len(key), 0, -1):
        if (line := written.get(key[:length])) is not None:
            return line
    return None


@functools.lru_cache(maxsize=2)
def _written_keys(text: str) -> Mapping[Key, int]:
    """Each table header and each assignment, and the line where it is written first."""
    found: dict[Key, int] = {}
    table: Key = ()
    counts: dict[Key, int] = {}
    closing = ""  # the quotes that end the string over several lines which we are inside of
    for number, line in enumerate(text.splitlines(), 1):
        if closing:
            if closing in line:
                closing = ""
            continue
        if header := _HEADER.match(line):
            names = tuple(part.strip("\"'") for part in _KEY_PART.findall(header[2]))
            table = _indexed(names[:-1], counts) + names[-1:]
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            else:
                table = _indexed(names, counts)
            found.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            names = tuple(part.strip("\"'") for part in _KEY_PART.findall(assignment[1]))
            found.setdefault(table + names, number)
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2:
                closing = quotes
    return found


def _indexed(names: Sequence[str], counts: dict[Key, int]) -> Key:
    """A header's names with the index of the latest entry behind each that is a list of tables."""
    key: Key = ()
    for name in names:
        key = (*key, name)
        if key in counts:
            key = (*key, counts[key])
    return key
