"""TOML text → a draft: each table checked by itself against the schema, with a problem for every value that cannot be used.

A bad value is reported and left out, so that everything else is still checked in the same run. What tables mean for each other is not
known here (``rules``).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pxenet.config.problems import ConfigError, Key, Place, Problem, Source
from pxenet.config.records import KickstartKeys, section_in
from pxenet.config.schema import (
    LISTS,
    SECTIONS,
    BootKeys,
    DefaultsKeys,
    DhcpKeys,
    HostKeys,
    HttpKeys,
    ProfileKeys,
    ServerKeys,
    SubnetKeys,
    TftpKeys,
)
from pxenet.config.secrets import put_in, read_secrets
from pxenet.config.sections import Section
from pxenet.config.values import BadValueError, shown

Table = TypeVar("Table", bound=Section)

_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Entry(Generic[Table]):
    """One table of a list, and where it stands."""

    key: Key
    keys: Table


@dataclass(slots=True)
class Draft:
    """A configuration whose tables are each right by themselves, as far as they are not in ``problems``."""

    source: Source
    server: ServerKeys = field(default_factory=ServerKeys)
    dhcp: DhcpKeys = field(default_factory=DhcpKeys)
    tftp: TftpKeys = field(default_factory=TftpKeys)
    http: HttpKeys = field(default_factory=HttpKeys)
    boot: BootKeys = field(default_factory=BootKeys)
    defaults: DefaultsKeys = field(default_factory=DefaultsKeys)
    subnets: list[Entry[SubnetKeys]] = field(default_factory=list)
    profiles: list[Entry[ProfileKeys]] = field(default_factory=list)
    hosts: list[Entry[HostKeys]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    """What is allowed but perhaps not meant."""
    left_out: set[Key] = field(default_factory=set)
    """Keys whose values could not be used: to miss them is no second fault."""
    profile_names: tuple[str, ...] = ()
    """Of all profiles, also those with problems: a host that names one of these names no unknown profile."""
    repeated: set[str] = field(default_factory=set)
    """Names, in lower case, of hosts that are told elsewhere in the very words of the text."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name: what stands elsewhere than in the text."""
    whole: bool = True
    """No subnet or profile was left out: conclusions from what is absent may be drawn."""

    def report(self, key: Key, wrong: str, right: str = "") -> None:
        """Note a problem."""
        self.problems.append(self.source.problem(key, wrong, right))

    def note(self, key: Key, wrong: str, right: str = "") -> None:
        """Note something that is allowed."""
        self.notes.append(self.source.problem(key, wrong, right))


@dataclass(frozen=True, slots=True)
class Extra:
    """A host that stands elsewhere than in the text."""

    keys: Mapping[str, object]
    """As a ``[[host]]`` has them."""
    place: Place


def parse(
    text: str,
    file: str,
    extras: Sequence[Extra] = (),
    *,
    base: Path | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Draft:
    """The draft of a TOML text. Raises :class:`ConfigError` only for text that is no TOML at all.

    ``extras``: further hosts. One that says the very same as a ``[[host]]`` is that host. ``secrets``: those of an earlier reading;
    None: they are read now, relative to ``base``.
    """
    data = _toml(text, file)
    draft = Draft(Source(file, text, dict(_labels(data))))
    draft.secrets = read_secrets(data.get("server"), base, draft.report) if secrets is None else secrets
    data = {name: put_in(value, draft.secrets, draft.report, (name,)) for name, value in data.items()}
    dhcp = data.get("dhcp")
    subnets: object = []
    if isinstance(dhcp, dict):
        subnets = dhcp.get("subnet", [])
        data["dhcp"] = {name: value for name, value in dhcp.items() if name != "subnet"}
    for name in data.keys() - {section for section in SECTIONS if "." not in section}:
        is_table = isinstance(data[name], dict | list)
        draft.report((name,), "no such table" if is_table else "no such key", _unknown_table(name, data[name]))
    draft.server = _table(draft, ("server",), data, ServerKeys)
    draft.dhcp = _table(draft, ("dhcp",), data, DhcpKeys)
    draft.tftp = _table(draft, ("tftp",), data, TftpKeys)
    draft.http = _table(draft, ("http",), data, HttpKeys)
    draft.boot = _table(draft, ("boot",), data, BootKeys)
    draft.defaults = _with_kickstart(draft, ("defaults",), _table(draft, ("defaults",), data, DefaultsKeys))
    draft.subnets = list(_entries(draft, ("dhcp", "subnet"), subnets, SubnetKeys))
    profiles = data.get("profile", [])
    draft.profiles = list(_entries(draft, ("profile",), profiles, ProfileKeys))
    draft.hosts = list(_entries(draft, ("host",), data.get("host", []), HostKeys))
    _add(draft, extras, len(_tables(data.get("host", []))))
    draft.profile_names = tuple(str(raw["name"]) for raw in _tables(profiles) if "name" in raw)
    draft.whole = all(
        not isinstance(raw, list) or len(raw) == len(entries)
        for raw, entries in ((subnets, draft.subnets), (profiles, draft.profiles))
    )
    return draft


def _add(draft: Draft, extras: Sequence[Extra], count: int) -> None:
    """Hosts from elsewhere, behind the ``count`` ones of the text."""
    known = {entry.keys.name.lower(): entry.keys for entry in draft.hosts if entry.keys.name is not None}
    places: dict[Key, Place] = {("host", count + number): extra.place for number, extra in enumerate(extras)}
    draft.source = replace(draft.source, elsewhere=places)
    for key, extra in zip(places, extras, strict=True):
        said = {name: put_in(value, draft.secrets, draft.report, (*key, name)) for name, value in extra.keys.items()}
        keys = _validated(draft, key, said, HostKeys)
        if keys is None:
            continue
        keys = _with_kickstart(draft, key, keys)
        if keys.name is not None and _same(known.get(keys.name.lower()), keys):
            draft.repeated.add(keys.name.lower())
        else:
            draft.hosts.append(Entry(key, keys))


def _same(one: HostKeys | None, other: HostKeys) -> bool:
    return one is not None and one.model_dump() == other.model_dump()


def _toml(text: str, file: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = _AT_LINE.search(message)
        line = int(at[1]) if at and at[1] else len(text.splitlines())
        written = text.splitlines()[line - 1].strip() if text.splitlines() else ""
        wrong = f"not valid TOML: {message[: at.start()] if at else message}, in: {written[:80]}"
        right = "write key = value, with texts in quotes and lists in [ ]"
        raise ConfigError([Problem(file, line, "", wrong, right)]) from error


def _tables(raw: object) -> list[dict[str, object]]:
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def _labels(data: Mapping[str, object]) -> Iterator[tuple[Key, str]]:
    """What to call each entry of a list in messages: by its name, or what else identifies it."""
    dhcp = data.get("dhcp")
    subnets = dhcp.get("subnet") if isinstance(dhcp, dict) else None
    for path, raw in (
        (("dhcp", "subnet"), subnets),
        (("profile",), data.get("profile")),
        (("host",), data.get("host")),
    ):
        for index, table in enumerate(_tables(raw)):
            for naming in ("name", "network", "mac", "uuid", "serial"):
                label = table.get(naming)
                if isinstance(label, list) and label:
                    label = label[0]
                if isinstance(label, str):
                    yield (*path, index), label
                    break


def _table(draft: Draft, key: Key, data: Mapping[str, object], model: type[Table]) -> Table:
    """The one table of that name; all defaults when it is absent or hopeless."""
    raw = data.get(str(key[-1]), {})
    if isinstance(raw, dict):
        return _validated(draft, key, raw, model) or model()
    draft.report(key, f"{shown(raw)} is not a table", f"write [{key[-1]}] once, with its keys below")
    return model()


def _entries(draft: Draft, path: Key, raw: object, model: type[Table]) -> Iterator[Entry[Table]]:
    dotted = ".".join(str(part) for part in path)
    if not isinstance(raw, list) or len(_tables(raw)) != len(raw):
        draft.report(path, "is not a list of tables", f"write [[{dotted}]], with two brackets on each side")
        return
    for index, table in enumerate(_tables(raw)):
        key = (*path, index)
        keys = _validated(draft, key, table, model)
        if keys is not None:
            yield Entry(key, _with_kickstart(draft, key, keys))


def _with_kickstart(draft: Draft, key: Key, keys: Table) -> Table:
    """The table with its kickstart checked too, of which only what was written is kept: a host's is laid over its profile's."""
    raw = getattr(keys, "kickstart", None)
    if not raw:
        return keys
    checked = _validated(draft, (*key, "kickstart"), raw, KickstartKeys)
    written = checked.model_dump(exclude_unset=True) if checked is not None else {}
    return keys.model_copy(update={"kickstart": written})


def kickstart_problems(raw: dict[str, object]) -> list[Problem]:
    """What is wrong in data that would stand below ``[profile.kickstart]``, each key by itself."""
    draft = Draft(Source())
    _validated(draft, ("kickstart",), raw, KickstartKeys)
    return draft.problems


def _validated(draft: Draft, key: Key, raw: dict[str, object], model: type[Table]) -> Table | None:
    """The table without the values that are wrong, each of which is reported; None when one was wrong or missing that it needs."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    for fault in faults:
        draft.problems.append(_problem(draft.source, key, fault, model))
        draft.left_out.add((*key, fault["loc"][0]))
    usable = {name: value for name, value in raw.items() if name not in {fault["loc"][0] for fault in faults}}
    try:
        return model.model_validate(usable)
    except ValidationError:
        return None


def _problem(source: Source, key: Key, fault: ErrorDetails, model: type[Section]) -> Problem:
    """A fault that pydantic found, in our words."""
    where = (*key, *fault["loc"])
    kind, value = fault["type"], fault["input"]
    if kind == "extra_forbidden":
        return source.problem(where, "no such key", _unknown_key(fault, model))
    if kind == "missing":
        return source.problem(where, "is missing", f"write e.g. {fault['loc'][-1]} = {_example(fault, model)}")
    found = fault.get("ctx", {}).get("error")
    if isinstance(found, BadValueError):
        return source.problem(where, found.wrong, found.right)
    if kind in ("greater_than_equal", "less_than_equal"):
        return source.problem(where, f"{shown(value)} is out of range", _range(fault, model))
    if kind == "literal_error":
        return source.problem(where, f"{shown(value)} is not a choice", f"write {fault['ctx']['expected']}")
    noun, right = _SHAPES.get(kind, (fault["msg"], ""))
    return source.problem(where, f"{shown(value)} is not {noun}", right)


_SHAPES = {
    "int_type": ("a whole number", "write it without quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "string_type": ("a text", "write it in quotes"),
    "list_type": ("a list", "write values in [ ], with commas between them"),
    "dict_type": ("a table", "write name = value pairs in { }"),
    "model_type": ("a table", "write name = value pairs in { }, or dotted keys such as loader.x64"),
}
"""Kind of fault → what the value should have been, and how to write that."""


def _field_model(fault: ErrorDetails, model: type[Section]) -> type[Section]:
    """The model that the fault's last name belongs to: loader tables are nested."""
    for part in fault["loc"][:-1]:
        inner = section_in(model.model_fields[str(part)].annotation) if str(part) in model.model_fields else None
        if inner is not None:
            model = inner
    return model


def _unknown_key(fault: ErrorDetails, model: type[Section]) -> str:
    name = str(fault["loc"][-1])
    known = list(_field_model(fault, model).model_fields)
    if len(fault["loc"]) == 1 and model is DhcpKeys:
        known.append("subnet")
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    elsewhere = [f"[{section}]" for section, keys in SECTIONS.items() if name in keys.model_fields]
    if elsewhere:
        return f"it belongs into {' or '.join(elsewhere)}; known here: {', '.join(known)}"
    return f"known here: {', '.join(known)}"


def _unknown_table(name: str, value: object) -> str:
    """What may have been meant by a table, or by a key above all tables, that does not exist."""
    if not isinstance(value, dict | list):
        homes = [section for section, keys in SECTIONS.items() if name in keys.model_fields]
        if homes:
            return f"a key stands below its table: [{homes[0]}]"
    last_parts = {section.split(".")[-1]: section for section in SECTIONS}
    close = difflib.get_close_matches(name, list(last_parts), n=1)
    if close:
        section = last_parts[close[0]]
        return f"did you mean {f'[[{section}]]' if section in LISTS else f'[{section}]'}?"
    return f"known tables: {', '.join(SECTIONS)}"


def _example(fault: ErrorDetails, model: type[Section]) -> str:
    info = _field_model(fault, model).model_fields[str(fault["loc"][-1])]
    return shown(info.examples[0]) if info.examples else "..."


def _range(fault: ErrorDetails, model: type[Section]) -> str:
    bounds = _field_model(fault, model).model_fields[str(fault["loc"][-1])].metadata
    low = next((bound.ge for bound in bounds if isinstance(bound, Ge)), None)
    high = next((bound.le for bound in bounds if isinstance(bound, Le)), None)
    return f"from {low} to {high}"
