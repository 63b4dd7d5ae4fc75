"""The list of all keys, made from the schema so that it cannot drift: for people as TOML with comments, for programs as records."""

from __future__ import annotations

import enum
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic.fields import FieldInfo

from pxenet.boot.policy import DEFAULT_LOADERS
from pxenet.config.records import section_in
from pxenet.config.schema import LISTS, SECTIONS, LoaderKeys, TimeoutKeys
from pxenet.config.sections import Section
from pxenet.model import Platform

_WIDTH = 110

_HEAD = """\
# Every key that pxenet knows, with what holds when it is not written.
# A line like #key = value has no such default and shows an example. Relative paths are relative to this file.
"""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key of the configuration."""

    table: str
    """``dhcp.subnet``"""
    name: str
    """``pool``, ``loader.x64``"""
    description: str
    default: object
    """As TOML shows it; None when it has none."""
    example: object
    required: bool

    @property
    def repeated(self) -> bool:
        """The table is written once per entry, with double brackets."""
        return self.table.startswith(LISTS)


def all_keys() -> Iterator[KeyInfo]:
    """Every key, table by table."""
    for table, model in SECTIONS.items():
        yield from _keys_of(table, "", model)


def text() -> str:
    """All keys as a valid configuration that says what holds without one."""
    lines = [_HEAD.rstrip()]
    table = ""
    for key in all_keys():
        if key.table != table:
            table = key.table
            lines += ["", *_comment((SECTIONS[table].__doc__ or "").split("\n")[0])]
            lines.append(_header(key))
        lines += _comment(key.description)
        unset = key.repeated or key.default is None
        value = key.example if key.default is None or (key.repeated and key.example is not None) else key.default
        lines.append(f"{'#' if unset else ''}{key.name} = {toml(value)}")
    return "\n".join(lines) + "\n"


def _header(key: KeyInfo) -> str:
    if key.table in LISTS:
        return f"#[[{key.table}]]"
    return f"#[{key.table}]" if key.repeated else f"[{key.table}]"


def toml(value: object) -> str:
    """A value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _keys_of(table: str, prefix: str, model: type[Section]) -> Iterator[KeyInfo]:
    for name, info in model.model_fields.items():
        if info.annotation in (LoaderKeys, TimeoutKeys):
            yield from _keys_of(table, f"{name}.", info.annotation)
            continue
        if section_in(info.annotation) is not None or f"{table}.{name}" in SECTIONS:
            continue  # a table of its own
        default = _default(info)
        if table == "boot" and model is LoaderKeys:
            default = DEFAULT_LOADERS[Platform(name)].value
        example = info.examples[0] if info.examples else default
        yield KeyInfo(table, prefix + name, info.description or "", default, example, info.is_required())


def _default(info: FieldInfo) -> object:
    """The default as people write it, which ``examples`` shows where it differs from the value; None when there is none."""
    if info.is_required() or info.default_factory is not None or info.default is None:
        return None
    if isinstance(info.default, enum.Enum):
        return info.default.value
    if info.default == "":
        return None
    return info.examples[0] if info.examples else info.default


def _comment(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, _WIDTH, initial_indent="# ", subsequent_indent="# ")
