"""Values as TOML writes them (toml.io, version 1.0.0): the way back from ``tomllib``."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def key(name: str) -> str:
    """A key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else string(name)


def string(text: str) -> str:
    """A basic string."""
    return '"' + "".join(_ESCAPES.get(letter) or _plain(letter) for letter in text) + '"'


def value(thing: object) -> str:
    """A value on one line. Raises TypeError for what TOML does not have."""
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, str):
        return string(thing)
    if isinstance(thing, int):
        return str(thing)
    if isinstance(thing, float):
        return repr(thing) if math.isfinite(thing) else str(thing)  # inf, -inf, nan: as TOML spells them
    if isinstance(thing, datetime.datetime | datetime.date | datetime.time):
        return thing.isoformat()
    if isinstance(thing, Mapping):
        return (
            "{ " + ", ".join(f"{key(name)} = {value(item)}" for name, item in thing.items()) + " }" if thing else "{}"
        )
    if isinstance(thing, Sequence) and not isinstance(thing, bytes):
        return "[" + ", ".join(value(item) for item in thing) + "]"
    raise TypeError(f"TOML has no {type(thing).__name__}")


def tables(name: str, entries: Sequence[Mapping[str, object]]) -> str:
    """A list of tables; tables inside them as dotted keys, one a line."""
    return "\n".join(f"[[{name}]]\n" + "".join(f"{line}\n" for line in _lines("", entry)) for entry in entries)


def _lines(before: str, table: Mapping[str, object]) -> list[str]:
    lines: list[str] = []
    for name, item in table.items():
        dotted = before + key(name)
        if isinstance(item, Mapping) and item:
            lines += _lines(f"{dotted}.", item)
        else:
            lines.append(f"{dotted} = {value(item)}")
    return lines


def _plain(letter: str) -> str:
    return letter if " " <= letter != "\x7f" else f"\\u{ord(letter):04x}"
