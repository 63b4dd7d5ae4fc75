"""How often and for how long an answer file may be read: since the machine was last handed a boot text that names it.

Who records the wire, or finds the URL in the log of an installer, has all that the machine had; so the name is good for some hours and
some reads, no more. A boot hands it out anew. Knows keys and times; must not know who asks.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_ENTRIES = 65536
"""Machines remembered; the one that was handed its text longest ago goes first."""


@dataclass(slots=True)
class _Handed:
    at: float
    reads: int = 0


class Readings:
    """The reads of all machines since each was handed its boot text. ``began_at``: of what was handed out before, nothing is known."""

    def __init__(self, most: int, window_s: float, began_at: float) -> None:
        self._most = most
        self._window_s = window_s
        self._began_at = began_at
        self._handed: dict[str, _Handed] = {}

    @property
    def most(self) -> int:
        """How many reads one boot is good for."""
        return self._most

    def reconfigure(self, most: int, window_s: float) -> None:
        """From now on these limits hold; what was counted stays."""
        self._most, self._window_s = most, window_s

    def clock_moved(self, stepped_s: float) -> None:
        """The clock was set: it went so much further than time has passed."""
        self._began_at += stepped_s
        for handed in self._handed.values():
            handed.at += stepped_s

    def handed(self, key: str, now: float) -> None:
        """The machine is told where its answer file is."""
        self._handed.pop(key, None)
        self._handed[key] = _Handed(now)
        if len(self._handed) > MAX_ENTRIES:
            del self._handed[next(iter(self._handed))]

    def refusal(self, key: str, now: float) -> str:
        """Why it may not be read any more; empty when it may."""
        found = self._handed.get(key) or _Handed(self._began_at)
        if now - found.at >= self._window_s:
            return (
                f"its machine was told of it {_minutes(now - found.at)} ago, and boot.answer_window is "
                f"{_minutes(self._window_s)}; a machine that boots again is told anew"
            )
        if found.reads >= self._most:
            return (
                f"it was read {found.reads} times since its machine was told of it, as often as boot.answer_reads allows; "
                "a machine that boots again is told anew"
            )
        return ""

    def read(self, key: str) -> int:
        """It is given out. How often it was by now."""
        found = self._handed.setdefault(key, _Handed(self._began_at))
        found.reads += 1
        return found.reads


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
