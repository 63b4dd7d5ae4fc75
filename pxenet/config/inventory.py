"""Hosts that are added by command, beside those of the file: the same keys, the same rules, one set of hosts.

What the file says, no command changes: a host that shares its name, an address or what it is recognised by with one of the file is
refused. One that the file has come to name in the same words belongs to the file from then on.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from pxenet.config import rules
from pxenet.config.draft import Draft, Extra, parse
from pxenet.config.problems import ConfigError, Place, Problem
from pxenet.config.reading import host_of, made_name
from pxenet.config.schema import HostKeys
from pxenet.config.settings import Settings
from pxenet.model import AddedHost


@dataclass(frozen=True, slots=True)
class Patch:
    """Other values for some keys of a host that was added."""

    name: str
    values: Mapping[str, object]
    """Dotted key → value; None: the key is taken away."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a person wants of the added hosts, all of it or nothing."""

    put: tuple[Extra, ...] = ()
    """Hosts as they shall be, whether they are there or not."""
    new: bool = False
    """Those must not be there yet."""
    only: bool = False
    """All others go."""
    patch: tuple[Patch, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """What comes of a change."""

    settings: Settings
    records: tuple[AddedHost, ...]
    """What is to be stored."""
    fates: Mapping[str, str]
    """Name of each host that the change is about → what becomes of it: added, changed, removed, unchanged, or in the file."""
    notes: tuple[Problem, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many were added, changed and removed."""
        return {kind: sum(fate == kind for fate in self.fates.values()) for kind in ("added", "changed", "removed")}

    def touched(self) -> set[str]:
        """Names of those that are not what they were."""
        return {name for name, fate in self.fates.items() if fate in ("added", "changed")}


def with_added(settings: Settings, added: Iterable[AddedHost]) -> Changed:
    """The settings of a file, with the hosts that a store has. Raises :class:`ConfigError` when they do not go together."""
    return changed(replace(settings, added=tuple(added)), Change())


def changed(settings: Settings, change: Change) -> Changed:
    """The settings after a change of their added hosts. Raises :class:`ConfigError`, with every reason."""
    before = {host.name.lower(): host for host in settings.added}
    wrong: list[Problem] = []
    after = {} if change.only else dict(before)
    for word in change.remove:
        if after.pop(word.lower(), None) is None:
            wrong.append(_unknown(settings, word, before))
    for patch in change.patch:
        host = after.get(patch.name.lower())
        if host is None:
            wrong.append(_unknown(settings, patch.name, before))
        else:
            after[patch.name.lower()] = replace(host, keys=_patched(host.keys, patch.values))
    named = [(_name_of(extra.keys), extra) for extra in change.put]
    for name, extra in named:
        if change.new and name.lower() in before:
            right = f"pxenet hosts set {name} changes it"
            wrong.append(extra.place.problem((), "is there already, added by command", right))
        after.pop(name.lower(), None)
    if wrong:
        raise ConfigError(wrong)
    kept = [Extra(json.loads(host.keys), Place(f"added host {host.name}")) for host in after.values()]
    put = [replace(extra, keys={**extra.keys, "name": name}) if name else extra for name, extra in named]
    draft = _checked(settings, [*kept, *put])
    after |= {
        name.lower(): AddedHost(name, json.dumps(dict(extra.keys))) for (name, _), extra in zip(named, put, strict=True)
    }
    for name in draft.repeated:
        after.pop(name, None)
    about = [*change.remove, *(patch.name for patch in change.patch), *(name for name, _ in named)]
    if change.only:
        about += [host.name for host in before.values()]
    return Changed(
        replace(
            settings,
            hosts=tuple(host_of(entry) for entry in draft.hosts),
            added=tuple(after.values()),
            source=draft.source,
        ),
        tuple(_records(before, after)),
        {name: _fate(name.lower(), before, after, draft) for name in about},
        tuple(note for note in draft.notes if note not in settings.notes),
    )


def _checked(settings: Settings, extras: Sequence[Extra]) -> Draft:
    draft = parse(settings.source.text, settings.source.file, extras, secrets=settings.secrets)
    rules.check(draft)
    if draft.problems:
        raise ConfigError(draft.problems)
    return draft


def _records(before: Mapping[str, AddedHost], after: Mapping[str, AddedHost]) -> Iterable[AddedHost]:
    for key, host in before.items():
        if key not in after or after[key].name != host.name:
            yield AddedHost(host.name, "")
    for key, host in after.items():
        if before.get(key) != host:
            yield host


def _fate(key: str, before: Mapping[str, AddedHost], after: Mapping[str, AddedHost], draft: Draft) -> str:
    if key in draft.repeated:
        return "in the file"
    if key not in after:
        return "removed"
    if key not in before:
        return "added"
    return "unchanged" if _same(before[key], after[key]) else "changed"


def _same(one: AddedHost, other: AddedHost) -> bool:
    return one.name == other.name and json.loads(one.keys) == json.loads(other.keys)


def _name_of(keys: Mapping[str, object]) -> str:
    """The name that a host has or is given; empty for one that has faults, which are told later."""
    if name := keys.get("name"):
        return str(name)
    try:
        return made_name(HostKeys.model_validate(dict(keys)))
    except ValidationError:
        return ""


def _patched(keys: str, values: Mapping[str, object]) -> str:
    table = json.loads(keys)
    for dotted, value in values.items():
        *above, last = dotted.split(".")
        inner = table
        for part in above:
            if not isinstance(inner.get(part), dict):
                inner[part] = {}
            inner = inner[part]
        if value is None:
            inner.pop(last, None)
            if above and not table[above[0]]:
                del table[above[0]]  # a table without keys says nothing
        else:
            inner[last] = value
    return json.dumps(table)


def _unknown(settings: Settings, word: str, added: Mapping[str, AddedHost]) -> Problem:
    for index, host in enumerate(host for host in settings.hosts if host.name.lower() not in added):
        if host.name.lower() == word.lower():
            where = settings.source.where(("host", index))
            wrong = f"is {where}, and what the file says, no command changes"
            return Problem("", None, f"host {word}", wrong, f"edit {settings.source.file}, then: pxenet reload")
    close = difflib.get_close_matches(word, [host.name for host in added.values()], n=3)
    right = f"did you mean {' or '.join(close)}?" if close else "pxenet hosts export shows those that were"
    return Problem("", None, f"host {word}", "was not added", right)


def record_of(change: Change) -> dict[str, object]:
    """The change for another process, as JSON has it."""
    return {
        "put": [
            {
                "keys": dict(extra.keys),
                "name": extra.place.name,
                "file": extra.place.file,
                "line": extra.place.line,
                "columns": dict(extra.place.columns),
            }
            for extra in change.put
        ],
        "new": change.new,
        "only": change.only,
        "patch": [{"name": patch.name, "values": dict(patch.values)} for patch in change.patch],
        "remove": list(change.remove),
    }


def change_of(record: Mapping[str, object]) -> Change:
    """The way back from ``record_of``. Raises ValueError for what it never makes."""
    match record:
        case {"put": list(put), "new": bool(new), "only": bool(only), "patch": list(patch), "remove": list(remove)}:
            return Change(
                tuple(_extra_of(each) for each in put),
                new,
                only,
                tuple(_patch_of(each) for each in patch),
                tuple(str(word) for word in remove),
            )
    raise ValueError("this is no change of hosts")


def _extra_of(record: object) -> Extra:
    match record:
        case {
            "keys": dict(keys),
            "name": str(name),
            "file": str(file),
            "line": int() | None as line,
            "columns": dict(columns),
        }:
            return Extra(keys, Place(name, file, line, columns))
    raise ValueError("this is no host")


def _patch_of(record: object) -> Patch:
    match record:
        case {"name": str(name), "values": dict(values)}:
            return Patch(name, values)
    raise ValueError("this is no change of a host")
