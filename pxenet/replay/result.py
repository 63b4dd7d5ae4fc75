"""What a replay says of one boot, as values for text, JSON, JUnit and golden files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pxenet.capture.text import message_lines
from pxenet.model import Content
from pxenet.replay.compare import Answer, Difference, differences, replayed_answers
from pxenet.replay.play import Part, Play, find, path_of
from pxenet.replay.verdict import Stop, stop_of
from pxenet.sim.body import Read
from pxenet.wire.text import address_text, mac_text


@dataclass(frozen=True, slots=True)
class File:
    """One file that the machine asked for."""

    name: str
    by: str
    """Which program asked."""
    role: str
    """``loader``, ``config``, ``kernel`` …; empty when it was not there."""
    size: int
    failure: str = ""
    """Empty: it was read whole."""


@dataclass(frozen=True, slots=True)
class BootResult:
    """One boot."""

    capture: str
    number: int
    mac: str
    stands_for: str
    """The host of the configuration, by ``--map``; empty: for itself."""
    firmware: str
    evidence: str
    end: str
    """``installed``, ``local disk``, or the stage at which it stopped."""
    address: str
    """Empty: it got none."""
    files: tuple[File, ...]
    answer_file: str
    """``read``, ``refused``, ``not asked for``."""
    stop: Stop | None
    differences: tuple[Difference, ...]
    answers: tuple[tuple[str, tuple[str, ...]], ...]
    """Each DHCP answer it took: its name, and what it says line by line; without what changes with every run (xid)."""
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """It comes to a good end."""
        return self.stop is None

    @property
    def title(self) -> str:
        """Which boot this is."""
        return f"{self.capture} boot {self.number} ({self.mac}{f' as {self.stands_for}' if self.stands_for else ''})"

    def record(self) -> dict[str, object]:
        """For programs."""
        stop = self.stop
        return {
            **self.pinned(),
            "evidence": self.evidence,
            "good": self.good,
            "stop": None if stop is None else {"place": stop.place, "says": stop.says, "why": stop.why, "right": stop.right},
            "differences": [
                {
                    "where": one.where, "what": one.what, "recorded": one.recorded, "now": one.now, "cares": one.care.cares,
                    "why": one.care.why, "fact": one.care.fact,
                }
                for one in self.differences
            ],
            "notes": list(self.notes),
        }  # fmt: skip

    def pinned(self) -> dict[str, object]:
        """What a golden file holds: everything that the configuration answers, and how it ends."""
        return {
            "capture": self.capture,
            "boot": self.number,
            "mac": self.mac,
            "stands_for": self.stands_for,
            "firmware": self.firmware,
            "end": self.end,
            "stops": "" if self.stop is None else self.stop.words,
            "address": self.address,
            "answer_file": self.answer_file,
            "files": [
                f"{file.name} ({file.role or 'not there'}, by {file.by}): {file.failure or f'{file.size} bytes'}"
                for file in self.files
            ],
            "answers": {name: list(lines) for name, lines in self.answers},
        }


def results(whole: Play) -> list[BootResult]:
    """The result of each boot of a play, in its order."""
    return [_result(part, whole) for part in whole.parts]


def _result(part: Part, whole: Play) -> BootResult:
    recorded, machine, role = part.recorded, part.machine, part.role
    stop = stop_of(part, whole)
    stands_for = part.host.name if part.host is not None else ""
    mac = mac_text(recorded.mac) if recorded.mac else "?"
    if machine is None or role is None:
        return BootResult(
            recorded.capture,
            recorded.number,
            mac,
            stands_for,
            "",
            "",
            "not played",
            "",
            (),
            "not asked for",
            stop,
            (),
            (),
        )
    files = tuple(_file(read, part, whole) for read in machine.reads)
    answers = [file for file in files if path_of(file.name).startswith("answer/")]
    answer = "read" if any(not file.failure for file in answers) else "refused" if answers else "not asked for"
    return BootResult(
        recorded.capture,
        recorded.number,
        mac,
        stands_for,
        role.personality.title,
        role.evidence,
        machine.stage.value if stop is None or machine.failure else stop.place,
        address_text(machine.address) if machine.address else "",
        files,
        answer,
        stop,
        tuple(differences(part)),
        tuple((answer.name, tuple(_lines(answer))) for answer in replayed_answers(part)),
        (*role.notes, *_waited(part), *whole.wires.notes),
    )


def _file(read: Read, part: Part, whole: Play) -> File:
    assert part.machine is not None
    found = find(whole.rack, part.machine.address, read.url)
    role = found.role.value if isinstance(found, Content) else ""
    if not read.failure and path_of(read.url).startswith("answer/"):
        role = "answer"  # whoever is installed may not read it any more
    return File(read.url, read.by, role, read.size, read.failure)


def _waited(part: Part) -> Iterator[str]:
    if part.waited_s:
        yield f"switched on {part.waited_s:.0f} s later than captured: its boot before was still under way"


def _lines(answer: Answer) -> Iterator[str]:
    for line in message_lines(answer.message):
        if not line.startswith(("op ", "chaddr ")):
            yield line
