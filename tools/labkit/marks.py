"""The lines by which a machine tells on its serial console how far it is: ``@lab STAGE DETAIL``.

Knows text only. Firmware and kernels colour, position and interleave their output, so a mark is found anywhere in a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"@lab ([a-z]+)(?: ([^\x00-\x1f\x7f]*))?")
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|.)|[\x00-\x08\x0b-\x1f\x7f]")

# What firmware says when it has given up: waiting longer is pointless
_HOPELESS = (
    "No bootable device",
    "Kernel panic",
    "Press any key to enter the Boot Manager Menu",
    "Nothing to boot",
    "grub>",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One step that a machine reported."""

    stage: str
    detail: str = ""


def mark(stage: str, detail: str = "") -> str:
    """The text of a mark, as programs of the lab print it."""
    return f"@lab {stage} {detail}".rstrip()


def parse(line: str) -> Mark | None:
    """The mark in a line of a console, if there is one."""
    found = _MARK.search(plain(line))
    return Mark(found[1], (found[2] or "").strip()) if found else None


def plain(line: str) -> str:
    """A line of a console without colours, cursor movements and other control characters."""
    return _ESCAPE.sub("", line)


def hopeless(line: str) -> str | None:
    """The words by which a line says that the machine will not go on by itself, or None."""
    return next((words for words in _HOPELESS if words in line), None)
