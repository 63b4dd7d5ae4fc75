"""What is wrong in a kickstart, found before a machine finds out. Knows lines, sections and commands, not what they do to a disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pxenet.answer.kickstart.dialects import Fate, Version, fates

SECTIONS = frozenset(
    {"%packages", "%pre", "%pre-install", "%post", "%onerror", "%traceback", "%addon", "%anaconda", "%certificate"}
)
"""All need ``%end``, in every version."""

SCRIPTS = frozenset({"%pre", "%pre-install", "%post", "%onerror", "%traceback"})


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a kickstart that an installer will stumble over (or, with ``fatal`` false, complain about)."""

    line: int
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def check(text: str, version: Version | None = None) -> list[Note]:
    """What is wrong in a kickstart, by line. Without a version only what is wrong in every one."""
    notes: list[Note] = []
    section, opened = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        word = _first_word(raw)
        if section:
            if word == "%end":
                section = ""
            elif word in SECTIONS:
                message = f"{word} stands inside the {section} of line {opened}: installers read it as a new section, even in a "
                notes.append(Note(number, message + "here-document. Is an %end missing before it?"))
                section, opened = word, number
            elif word == "%include" and section in SCRIPTS:
                notes.append(
                    Note(
                        number, f"%include in the body of {section} is carried out by the installer, not by the script"
                    )
                )
            continue
        if word in SECTIONS:
            section, opened = word, number
            notes += _dialect_notes(raw, number, version)
        elif word == "%end":
            notes.append(Note(number, "%end without a section before it"))
        elif word.startswith("%") and word not in ("%include", "%ksappend"):
            notes.append(Note(number, f"{word} is no section that an installer knows"))
        elif word and not word.startswith(("#", "%")):
            notes += _command_notes(raw, number, version)
    if section:
        notes.append(Note(opened, f"{section} has no %end"))
    return notes


def body_lines(body: str) -> Iterator[tuple[int, str]]:
    """(line, first word) of the lines in a script's body that an installer interprets itself: they would end it or pull in a file."""
    for number, raw in enumerate(body.split("\n"), 1):
        word = _first_word(raw)
        if word == "%end" or word == "%include" or word in SECTIONS:
            yield number, word


def _first_word(line: str) -> str:
    words = line.split(None, 1)
    return words[0] if words else ""


def _command_notes(line: str, number: int, version: Version | None) -> Iterator[Note]:
    words = line.split("#", 1)[0].split()
    if words[:1] == ["zerombr"] and len(words) > 1:
        yield Note(number, f"zerombr takes no argument ({words[1]})")
    yield from _dialect_notes(line, number, version)


def _dialect_notes(line: str, number: int, version: Version | None) -> Iterator[Note]:
    if version is None:
        return
    command, *options = line.split("#", 1)[0].split()
    for what, fate in fates(command, options, version):
        yield Note(number, f"{what}: {fate.value} in {version.value}", fate is not Fate.DEPRECATED)
