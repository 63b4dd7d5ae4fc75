"""One machine's kickstart out of what its configuration gives: data, variables, or a template that may use both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pxenet.answer.engines import HERE, Engine, Job
from pxenet.answer.kickstart.commands import render_data
from pxenet.answer.kickstart.data import Kickstart, from_mapping, laid_over
from pxenet.answer.kickstart.dialects import DEFAULT_VERSION, Version, version_of
from pxenet.answer.kickstart.lines import InexpressibleError
from pxenet.answer.kickstart.machine import machine_of, mapping
from pxenet.answer.kickstart.scripts import reports
from pxenet.answer.templates import TemplateProblem

BUILT_IN = "kickstart"
"""What a profile's ``answer`` says to have a kickstart made of data and variables."""


def render(path: str, names: Mapping[str, object], engine: Engine = HERE) -> str:
    """An answer file for one machine: made of data (:data:`BUILT_IN`), or the template of that path. Raises TemplateProblem.

    A template of a profile that has data sees them rendered, as ``kickstart.text``, ``.commands``, ``.packages`` and ``.scripts``.
    """
    data = mapping(names, "kickstart")
    if path == BUILT_IN:
        return _rendered(data, names)["text"]
    seen = {**names, "kickstart": _rendered(data, names)} if data else names
    return engine.render(Job(path, "", "", seen))


def reporting(text: str, names: Mapping[str, object]) -> str:
    """A kickstart with sections at its end that report the end and failures, unless it has the URL for one of them in it already."""
    machine = machine_of(names)
    machine = replace(
        machine,
        installed="" if machine.installed in text else machine.installed,
        failed="" if machine.failed in text else machine.failed,
    )
    if not machine.installed and not machine.failed:
        return text
    version = version_named(mapping(names, "kickstart"), mapping(names, "vars"), machine.profile) or DEFAULT_VERSION
    line_end = "" if text.endswith("\n") else "\n"
    return text + line_end + "\n".join(reports(machine, version)) + "\n"


def version_named(data: Mapping[str, object], values: Mapping[str, object], profile: str) -> Version | None:
    """The dialect that data, variables or the profile's name tell; None when they tell none."""
    return version_of(data.get("version", "")) or version_of(values.get("version", "")) or version_of(profile)


def _rendered(data: Mapping[str, object], names: Mapping[str, object]) -> Mapping[str, str]:
    variables = _of_variables(mapping(names, "vars"))
    try:
        return render_data(from_mapping(laid_over(variables, data), Kickstart), machine_of(names)).names()
    except InexpressibleError as problem:
        # Told by the name under which it was written.
        written = _KEY.match(problem.key)
        key = written[0] if written else ""
        if key in data or (data and key not in variables) or key not in _VARIABLE_OF:
            raise
        raise TemplateProblem(f"vars.{_VARIABLE_OF[key]}", problem.line, problem.message) from None


def _text(value: Any) -> str:
    return str(value)


def _texts(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value]


_VARIABLES: Mapping[str, tuple[str, Any]] = {
    "version": ("version", _text),
    "lang": ("language", _text),
    "keyboard": ("keyboard", _text),
    "timezone": ("timezone", _text),
    "ntp": ("ntp", _texts),
    "rootpw": ("root_password", _text),
    "sshkey": ("root_ssh_keys", _texts),
    "selinux": ("selinux", _text),
    "packages": ("packages", _texts),
    "post": ("post", _text),
    "end": ("end", _text),
    "disk": ("disk", lambda value: {"use": _texts(value)}),
    "append": ("bootloader", lambda value: {"append": str(value)}),
    "bootproto": ("network", lambda value: [{"method": str(value)}]),
    "repos": ("repository", lambda value: [{"name": name, "url": url} for name, url in value.items()]),
}
"""Variable → key and how its value is read: whoever has variables for templates needs no second place for the commonest keys."""

_VARIABLE_OF: Mapping[str, str] = {key: name for name, (key, _) in _VARIABLES.items()}
_KEY = re.compile(r"\w+")


def _of_variables(values: Mapping[str, object]) -> Mapping[str, object]:
    found: dict[str, object] = {}
    for name, (key, read) in _VARIABLES.items():
        if name in values:
            try:
                found[key] = read(values[name])
            except (TypeError, AttributeError) as error:
                raise TemplateProblem(
                    f"vars.{name}", 0, f"{values[name]!r} is not what kickstart.{key} takes: {error}"
                ) from None
    return found
