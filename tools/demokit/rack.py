"""The machines of the demo, as rows for a table and as lines for a pipe.

Knows the fleet of ``pxenet.sim`` and what its stages mean to people. Must not know terminals or clocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from demokit.server import Line
from demokit.site import GUESTS, Guest
from pxenet.cli.board import BoardRow
from pxenet.cli.picture import rate_text
from pxenet.sim.body import Relay, Stage
from pxenet.sim.fleet import Fleet, Plan, Power
from pxenet.sim.machine import Machine

_AGAIN_S = 1.0
"""Between the end of an install and the next power-on."""
_RATE_S = 0.4
"""Over which a rate is measured."""
_SHOWN_S = 1.5
"""How long it stays to be seen."""
_SEED = 7

_WORDS = {
    Stage.OFF: "self-test",
    Stage.DISCOVER: "asks",
    Stage.LEASE: "address",
    Stage.SYSTEM: "starts up",
    Stage.REPOSITORY: "installing",
    Stage.CALLBACK: "reports",
    Stage.FAILED: "failed",
}
"""Where the stage's own word is not what a person would say."""

DISK = "disk boots"
"""Of a machine that has come back and was sent to its own disk."""


def plan(pace: float) -> Plan:
    """The fleet that ``GUESTS`` are, one after the other."""
    mix: dict[str, int] = {}
    for guest in GUESTS:
        mix[guest.kind] = mix.get(guest.kind, 0) + 1
    return Plan(mix, power=Power(1, 0.7 * pace), seed=_SEED, pace=pace)


def in_order_of(plan: Plan) -> list[Guest]:
    """The guests in the order in which the fleet has their firmware."""
    left = list(GUESTS)
    order = []
    for kind in plan.firmwares():
        guest = next(guest for guest in left if guest.kind == kind)
        left.remove(guest)
        order.append(guest)
    return order


@dataclass(slots=True)
class _Seen:
    """What was to be seen of a machine so far."""

    boot: int = 0
    bytes_read: int = 0
    at: float = 0.0
    rate: float = 0.0
    rate_at: float = 0.0
    told: tuple[int, Stage] = (0, Stage.OFF)
    began_at: float = 0.0


@dataclass(slots=True)
class Story:
    """What a machine has been through, for the end."""

    installed_at: float = 0.0
    """On the clock of the run; 0: never."""
    programs: list[str] = field(default_factory=list)
    """Boot programs, in the order in which they ran."""


class Rack:
    """The eight machines, and how far each has come. Times are of one clock, which begins at 0 with the first power-on."""

    def __init__(self, plan: Plan, relay: Relay, guests: list[Guest]) -> None:
        self.guests = guests
        self.fleet = Fleet(plan, relay_of=lambda index: relay, again=self._ended)
        self.stories = [Story() for _ in guests]
        self.confirmed: set[str] = set()
        """Machines that the server says are installed."""
        self._seen = [_Seen() for _ in guests]
        self._began_at = 0.0
        for machine, guest in zip(self.fleet.machines, guests, strict=True):
            machine.name = guest.name

    def begin(self, now: float) -> None:
        """The first button is about to be pressed."""
        self._began_at = now

    def hear(self, said: Line) -> None:
        """A line of the server's."""
        if said.get("kind") == "install.installed":
            self.confirmed.add(str(said.get("host")))

    @property
    def installed(self) -> int:
        """Machines whose installation has ended well."""
        return sum(1 for story in self.stories if story.installed_at)

    @property
    def on_disk(self) -> int:
        """Machines that run from their own disk after that."""
        return sum(
            1
            for machine, story in zip(self.fleet.machines, self.stories, strict=True)
            if story.installed_at and machine.stage is Stage.LOCAL_DISK
        )

    def problems(self) -> Iterator[str]:
        """What did not go as it should, a sentence each."""
        for machine, story in zip(self.fleet.machines, self.stories, strict=True):
            if machine.stage is Stage.FAILED:
                yield f"{machine.name} stopped: {machine.failure}"
            elif not story.installed_at:
                yield f"{machine.name} was not installed in time; it was at: {words(machine, story)}"
            elif machine.name not in self.confirmed:
                yield f"{machine.name} has reported the end, but the server never said so"
            elif machine.stage is not Stage.LOCAL_DISK:
                yield f"{machine.name} was installed, but did not boot its disk in time; it was at: {words(machine, story)}"
        yield from (f"an address was given twice: {text}" for text in self.fleet.ledger.words)

    def rows(self, now: float) -> list[BoardRow]:
        """The table of this moment."""
        return [self._row(index, machine, now) for index, machine in enumerate(self.fleet.machines)]

    def news(self, now: float) -> Iterator[str]:
        """A line for each machine that has got on since the last call."""
        for machine, story, seen in zip(self.fleet.machines, self.stories, self._seen, strict=True):
            told = (machine.boots, machine.stage)
            if told == seen.told or machine.stage is Stage.OFF:
                continue
            before = seen.told[1] if seen.told[0] == machine.boots else Stage.OFF
            seen.told = told
            since = machine.reached.get(before, -1.0)
            passed = [stage for stage, at in machine.reached.items() if at > since or stage is machine.stage]
            again = " again" if machine.boots > 1 and before is Stage.OFF else ""
            steps = ", ".join(_word(stage, story) for stage in passed if stage is not Stage.OFF)
            file = f" ({name(machine.file)})" if _reads(machine) else ""
            trouble = f": {machine.failure}" if machine.failure else ""
            yield f"{now - self._began_at:5.1f} s  {machine.name:14}{again} {steps}{file}{trouble}"

    def _row(self, index: int, machine: Machine, now: float) -> BoardRow:
        story, seen, guest = self.stories[index], self._seen[index], self.guests[index]
        if seen.boot != machine.boots:
            seen.boot, seen.bytes_read, seen.at = machine.boots, 0, now
        if now - seen.at >= _RATE_S:
            if machine.bytes_read > seen.bytes_read:
                seen.rate, seen.rate_at = (machine.bytes_read - seen.bytes_read) / (now - seen.at), now
            seen.at, seen.bytes_read = now, machine.bytes_read
        current = seen.rate_at and now - seen.rate_at < _SHOWN_S and not machine.over
        file = machine.failure or (name(machine.file) if _reads(machine) else "")
        began_at, ended_at = self.fleet.switched_on_at[0 if False else index], self.fleet.ended_at[index]
        seen.began_at = seen.began_at or began_at or 0.0
        elapsed = (ended_at or now) - seen.began_at if seen.began_at else 0.0
        rate = seen.rate if current else None
        return BoardRow(guest.name, guest.firmware, words(machine, story), file, None, rate, elapsed, machine.retries)

    def _ended(self, index: int, machine: Machine, now: float) -> float | None:
        """Who is installed is switched on again: it must boot its own disk."""
        if machine.stage is not Stage.INSTALLED or self.stories[index].installed_at:
            return None
        story = self.stories[index]
        story.installed_at = now - self._began_at
        story.programs = [note.removeprefix("starts ") for note in machine.trail if note.startswith("starts ")]
        return now + _AGAIN_S


def words(machine: Machine, story: Story) -> str:
    """A stage, as people say it."""
    return _word(machine.stage, story) if machine.boots else "off"


def _word(stage: Stage, story: Story) -> str:
    if stage is Stage.LOCAL_DISK:
        return DISK if story.installed_at else "own disk"
    return _WORDS.get(stage, stage.value)


def _reads(machine: Machine) -> bool:
    return bool(machine.file) and machine.stage in _READING


_READING = frozenset({Stage.LOADER, Stage.CONFIG, Stage.KERNEL, Stage.INITRD, Stage.ANSWER, Stage.REPOSITORY})


def name(path: str) -> str:
    """The last of a path or URL."""
    return path.rstrip("/").rpartition("/")[2]


def summary(rack: Rack, rate: float) -> str:
    """One line under the table."""
    count = len(rack.guests)
    parts = [f"{rack.installed} of {count} installed", f"{rack.on_disk} on their own disks"]
    return " · ".join([*parts, rate_text(rate)] if rate else parts)
