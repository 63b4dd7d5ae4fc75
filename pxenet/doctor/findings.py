"""Findings: what is wrong in words, the evidence, and what would be right. The rules stand beside this, in tables by protocol."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pxenet.doctor.observed import Observed


class Level(enum.Enum):
    """How bad it is; in this order they are printed."""

    ERROR = "error"
    """Machines do not boot."""
    WARNING = "warning"
    """Machines may not boot, or not what they should, or not always."""
    NOTE = "note"
    """Worth knowing; nothing has to be done."""


ORDER = {level: number for number, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule has seen."""

    words: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    """Where it is another than the rule's."""
    level: Level | None = None
    """Likewise."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong."""

    id: str
    level: Level
    remedy: str
    check: Callable[[Observed], Iterator[Seen]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    id: str
    level: Level
    words: str
    evidence: tuple[str, ...]
    remedy: str

    def record(self) -> dict[str, object]:
        """For programs."""
        return {
            "id": self.id,
            "level": self.level.value,
            "words": self.words,
            "evidence": list(self.evidence),
            "remedy": self.remedy,
        }


def findings(rules: tuple[Rule, ...], observed: Observed) -> list[Finding]:
    """What the rules see, the worst first, else in the rules' order."""
    found = [
        Finding(rule.id, seen.level or rule.level, seen.words, seen.evidence, seen.remedy or rule.remedy)
        for rule in rules
        for seen in rule.check(observed)
    ]
    return sorted(found, key=lambda finding: ORDER[finding.level])
