"""Telling people and machines what happens: one readable line per stage, or one JSON object per line.

Keeps the latest events of each machine in a bounded ring, for those who ask later. What a flood would print is counted instead
(``pace``): the rings and the lines of other kinds go on.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pxenet.boot.policy import RULES
from pxenet.events import KINDS, Event, Level, describe
from pxenet.server.pace import Pace
from pxenet.wire.text import address_text, mac_text

RING = 64
"""Events kept for each machine."""

RECENT = 1000
"""Events kept of all machines together, in the order in which they happened."""

MACHINES = 4096
"""Machines whose events are kept; the one that was silent longest goes first."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event with its time and its machine's name, as kept and printed."""

    at: float
    name: str
    event: Event


class Stream(Protocol):
    """Where lines go: a terminal, a pipe, nowhere."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


class EventLog:
    """The sink of all events. ``name_of`` gives a machine's configured name, or "", by its hardware address."""

    def __init__(
        self,
        stream: Stream,
        *,
        as_json: bool,
        name_of: Callable[[bytes], str],
        clock: Callable[[], float] = time.time,
        quiet: frozenset[str] = frozenset(),
        pace: Pace | None = None,
    ) -> None:
        """``quiet``: kinds that are kept, and put into JSON, but not shown to people. ``pace``: how much is told."""
        self._stream = stream
        self._as_json = as_json
        self._name_of = name_of
        self._clock = clock
        self._quiet = frozenset() if as_json else quiet
        self._pace = pace or Pace()
        self._rings: OrderedDict[str, deque[Told]] = OrderedDict()
        self._recent: deque[Told] = deque(maxlen=RECENT)
        self.watchers: set[Callable[[Told], None]] = set()
        """Called with every event, however many there are; they must be quick and not raise."""

    def __call__(self, event: Event) -> None:
        """Keep ``event`` and print it, unless there were too many of its kind."""
        told = Told(self._clock(), self._name_of(event.mac), event)
        self._keep(told)
        for watcher in self.watchers:
            watcher(told)
        if event.kind not in self._quiet:
            admitted = KINDS[event.kind].audit or self._pace.admits(event.kind, told.at)
            self.settle(told.at)
            if admitted:
                self.line(as_json(told) if self._as_json else as_text(told))

    def settle(self, now: float | None = None, *, all_of_it: bool = False) -> None:
        """Tell how many events were held back, once that is a second old, or ``all_of_it``."""
        for kind, count in self._pace.held(self._clock() if now is None else now, all_of_it=all_of_it):
            self.say(f"and {count} more of {kind}, not shown one by one", of=kind, count=count)

    def line(self, text: str) -> None:
        """Print one line; a closed pipe or a full disk at the other end must not stop the server."""
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except UnicodeEncodeError:
            self.line(text.encode("ascii", "backslashreplace").decode())
        except (BrokenPipeError, ValueError):
            self._stream = _Nowhere()
        except OSError:
            pass  # a disk that is full may have room again

    def say(self, text: str, **fields: object) -> None:
        """Something about the server itself: a sentence for people, a record for machines."""
        if self._as_json:
            self.line(json.dumps({"at": round(self._clock(), 3), "kind": "server", "text": text} | fields, default=str))
        else:
            self.line(text)

    def of(self, mac: bytes) -> list[Told]:
        """The latest events of one machine, oldest first."""
        return list(self._rings.get(mac.hex(), ()))

    def recent(self) -> list[Told]:
        """The latest events of all machines, oldest first."""
        return list(self._recent)

    def _keep(self, told: Told) -> None:
        key = told.event.mac.hex() or address_text(told.event.address)
        ring = self._rings.setdefault(key, deque(maxlen=RING))
        self._rings.move_to_end(key)
        ring.append(told)
        self._recent.append(told)
        if len(self._rings) > MACHINES:
            self._rings.popitem(last=False)


def lost_line(as_json: bool, count: int) -> str:
    """What stands where lines are missing because their reader was too slow."""
    text = f"{count} lines are missing here: they came faster than they were read"
    return json.dumps({"at": round(time.time(), 3), "kind": "server", "text": text, "lost": count}) if as_json else text


class _Nowhere:
    """Where lines go when nobody reads them any more."""

    def write(self, text: str, /) -> int:
        return len(text)

    def flush(self) -> None: ...


def as_text(told: Told) -> str:
    """``12:00:01 web01 52:54:00:12:34:56 10.0.0.9 has read …``, with the advice on a line of its own."""
    return line_of(record(told))


def as_json(told: Told) -> str:
    """The same as one JSON object: see ``record``."""
    return json.dumps(record(told), default=str)


def record(told: Told) -> dict[str, object]:
    """An event for programs: ``at``, ``kind``, ``level``, who, the sentence and its fields."""
    # What decided is a rule's id in the detail, for programs; people read the rule itself.
    rule = RULES.get(str(told.event.detail.get("reason", "")))
    spoken = replace(told.event, detail={**told.event.detail, "reason": rule}) if rule else told.event
    sentence, advice = describe(spoken)
    said: dict[str, object] = {
        "at": round(told.at, 3),
        "kind": told.event.kind,
        "level": KINDS[told.event.kind].level.value,
        "host": told.name,
        "mac": _mac(told.event),
        "address": _address(told.event),
        "text": sentence,
        "detail": dict(told.event.detail),
    }
    if advice:
        said["advice"] = advice
    return said


def line_of(said: Mapping[str, object]) -> str:
    """A ``record`` as people read it."""
    who = " ".join(str(said[part]) for part in ("host", "mac", "address") if said[part])
    mark = "! " if said["level"] in _MARKED else ""
    at = time.strftime("%H:%M:%S", time.localtime(_seconds(said["at"])))
    nobody = "the server" if str(said["kind"]).startswith(_OWN) else "somebody"
    line = printable(f"{at} {mark}{who or nobody} {said['text']}")
    advice = said.get("advice")
    return f"{line}\n         what to do: {printable(str(advice))}" if advice else line


_OWN = ("worker.",)
"""How kinds begin that are of no machine, but of the server itself."""

_MARKED = {Level.WARNING.value, Level.ERROR.value}


def _seconds(at: object) -> float:
    return float(at) if isinstance(at, int | float) else 0.0


def printable(text: str) -> str:
    """``text`` without control characters: names come from the network, a terminal obeys escape sequences, and a line break in a name
    would let anybody write lines of ours."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _mac(event: Event) -> str:
    return mac_text(event.mac) if event.mac else ""


def _address(event: Event) -> str:
    return address_text(event.address) if event.address else ""
