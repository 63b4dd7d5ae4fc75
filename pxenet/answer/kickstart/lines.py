"""Lines of kickstart that know which key they come from, so that what a release cannot express is told by that key.

Knows words, quoting and the dialects' table. Must not know what the commands mean.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from pxenet.answer.kickstart.dialects import Fate, Version, fates, knows
from pxenet.answer.templates import TemplateProblem


class InexpressibleError(TemplateProblem):
    """A value that the release cannot be told, or that makes no sense. ``key`` is the dotted one, from ``kickstart`` on."""

    def __init__(self, key: str, message: str, line: int = 0) -> None:
        super().__init__(f"kickstart.{key}", line, message)
        self.key = key


@dataclass(slots=True)
class Lines:
    """Collects the commands of one kickstart. Raises InexpressibleError for what ``version`` does not take."""

    version: Version
    texts: list[str] = field(default_factory=list)

    def add(self, key: str, command: str, *words: str | None) -> None:
        """A command with its words; those that are None or "" are left out."""
        used = [word for word in words if word]
        for word in used:
            if "\n" in word or "\r" in word or "\0" in word:
                raise InexpressibleError(key, f"{word[:40]!r} has more than one line, and a kickstart command has one")
        for what, fate in fates(command, used, self.version):
            if fate is not Fate.DEPRECATED:
                raise InexpressibleError(key, f"cannot be told to {self.version.value}: {what} is {fate.value} there")
        self.texts.append(" ".join([command, *(quoted(word) for word in used)]))

    def knows(self, what: str) -> bool:
        """Whether the release takes a command, or a command and option, without complaint."""
        return knows(what, self.version)


def option(name: str, value: object) -> str:
    """``--name=value``; "" for values that say nothing (0 among them: pass a text where 0 means something)."""
    if isinstance(value, list | tuple):
        value = ",".join(str(item) for item in value)
    return f"--{name}={value}" if value else ""


def flag(name: str, wanted: object) -> str:
    """``--name``, or nothing."""
    return f"--{name}" if wanted else ""


def quoted(word: str) -> str:
    """A word as kickstart reads it, which splits lines as the shell does: ``--append="a b"`` rather than quotes around all of it."""
    if shlex.quote(word) == word or (word.replace("=", "").replace("@", "") and _plain(word)):
        return word
    name, equals, value = word.partition("=")
    if equals and name.startswith("--"):
        return f"{name}={_in_quotes(value)}"
    return _in_quotes(word)


_HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,.:/@%^*[]$~!?&;|<>{}()")
"""Characters that shlex gives no meaning to (it expands nothing): a crypt hash stays readable."""


def _plain(word: str) -> bool:
    return bool(word) and _HARMLESS.issuperset(word)


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def section(opening: str, body: Iterable[str]) -> list[str]:
    """A section with its end."""
    return [opening, *body, "%end"]
