"""A fleet of simulated machines for people: a table that moves, plain lines where nothing can move, and the figures at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from pxenet.sim.body import FINAL, Stage
from pxenet.sim.figures import Figures, Result
from pxenet.sim.fleet import GOOD, Fleet
from pxenet.sim.machine import Machine

EACH = 24
"""Up to so many machines have a row each; more are counted by stage."""

_READING = frozenset(
    {Stage.LOADER, Stage.CONFIG, Stage.KERNEL, Stage.INITRD, Stage.ANSWER, Stage.REPOSITORY, Stage.CALLBACK}
)
_STYLES = {
    Stage.INSTALLED: "green",
    Stage.DISCOVERED: "green",
    Stage.LOCAL_DISK: "green",
    Stage.FAILED: "red",
    Stage.OFF: "dim",
}


@dataclass(slots=True)
class _Pace:
    """How fast a machine reads, between two looks at it."""

    at: float = 0.0
    bytes_read: int = 0
    rate: float = 0.0


class FleetTable:
    """Makes the table afresh at each call. ``began_at`` is on the clock of the run."""

    def __init__(self, fleet: Fleet, began_at: float) -> None:
        self._fleet = fleet
        self._began_at = began_at
        self._paces = [_Pace() for _ in fleet.machines]

    def table(self, now: float) -> Table:
        """What is to be seen now."""
        return self._each(now) if len(self._fleet.machines) <= EACH else self._by_stage(now)

    def line(self, now: float) -> str:
        """The same in one line."""
        stages = self._fleet.stages()
        parts = [f"{stage.value} {stages[stage]}" for stage in Stage if stages[stage]]
        retries = sum(machine.retries for machine in self._fleet.machines)
        return f"{now - self._began_at:6.1f} s  {', '.join(parts)}; {retries} retries"

    def _each(self, now: float) -> Table:
        table = self._empty(now)
        names = max(len(machine.name) for machine in self._fleet.machines)
        # At 80 columns the file's name gives way, never a number.
        for name, width in (("machine", names), ("stage", 10), ("file", 0), ("read", 8), ("rate", 10), ("elapsed", 7)):
            table.add_column(
                name,
                justify="left" if name in ("machine", "stage", "file") else "right",
                no_wrap=True,
                min_width=width or None,
                ratio=None if width else 1,
            )
        table.add_column("retries", justify="right", no_wrap=True, min_width=7)
        for index, machine in enumerate(self._fleet.machines):
            table.add_row(
                machine.name,
                f"[{_STYLES.get(machine.stage, 'cyan')}]{machine.stage.value}[/]",
                escape(machine.failure or (machine.file.rpartition("/")[2] if machine.stage in _READING else "")),
                size_text(machine.bytes_read) if machine.bytes_read else "",
                self._rate(index, machine, now),
                self._elapsed(index, now),
                str(machine.retries),
            )
        return table

    def _by_stage(self, now: float) -> Table:
        stages = self._fleet.stages()
        kinds = list(dict.fromkeys(self._fleet.kinds))
        by_kind = {
            kind: [machine for machine, own in zip(self._fleet.machines, self._fleet.kinds, strict=True) if own == kind]
            for kind in kinds
        }
        table = self._empty(now)
        table.add_column("stage", no_wrap=True)
        for name in ("machines", *kinds):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", ratio=1)
        most = max(stages.values())
        for stage in Stage:
            counts = [sum(machine.stage is stage for machine in by_kind[kind]) for kind in kinds]
            bar = "█" * round(30 * stages[stage] / most)
            style = _STYLES.get(stage, "cyan")
            shown = [str(count) if count else "" for count in (stages[stage], *counts)]
            table.add_row(stage.value, *shown, f"[{style}]{bar}[/]")
        return table

    def _empty(self, now: float) -> Table:
        return Table(
            title=self._title(now), title_justify="left", title_style="bold", pad_edge=False, box=None, expand=True
        )

    def _title(self, now: float) -> str:
        fleet = self._fleet
        stages = fleet.stages()
        good = sum(stages[stage] for stage in GOOD)
        retries = sum(machine.retries for machine in fleet.machines)
        words = [f"{now - self._began_at:.1f} s", f"{good} of {len(fleet.machines)} done"]
        if stages[Stage.FAILED]:
            words.append(f"[red]{stages[Stage.FAILED]} failed[/]")
        words += [f"{retries} retries", f"{fleet.ledger.given_twice} addresses given twice"]
        return " · ".join(words)

    def _rate(self, index: int, machine: Machine, now: float) -> str:
        pace = self._paces[index]
        if now - pace.at >= 0.5:
            pace.rate = max(0, machine.bytes_read - pace.bytes_read) / (now - pace.at)
            pace.at, pace.bytes_read = now, machine.bytes_read
        return f"{size_text(int(pace.rate))}/s" if pace.rate and machine.stage not in FINAL else ""

    def _elapsed(self, index: int, now: float) -> str:
        began_at, ended_at = self._fleet.switched_on_at[index], self._fleet.ended_at[index]
        if began_at is None:
            return ""
        return f"{(ended_at if ended_at is not None else now) - began_at:.1f} s"


def summary(result: Result) -> Iterator[str]:
    """What became of the fleet, in lines."""
    mix = ", ".join(f"{kind} {count}" for kind, count in result.mix.items())
    noun = "machine" if result.machines == 1 else "machines"
    yield f"{result.machines} {noun} ({mix}), switched on {_manner(result.power)}, seed {result.seed}"
    yield ""
    yield f"{'stage':12}{'machines':>10}{'p50':>10}{'p99':>10}{'longest':>10}"
    for stage, figures in result.stages.items():
        yield _row(stage, figures)
    yield _row("power-on to end", result.whole)
    yield ""
    ends = ", ".join(f"{count} {end}" for end, count in result.ends.items())
    yield f"{ends}; {result.elapsed_s:.1f} s, {size_text(result.bytes_read)} read, {result.retries} retries"
    traffic = result.traffic
    losses = traffic.unsent + traffic.overflowed + traffic.lost + traffic.too_large
    yield f"datagrams: {traffic.sent} sent, {traffic.received} received, {losses + traffic.corrupted} known to be lost"
    yield f"addresses given twice: {result.given_twice}; machines that were moved to another address: {result.moved}"
    yield from (f"  {words}" for words in result.given_twice_words)
    yield from (f"failed: {words} ({count})" for words, count in result.failures.items())


def size_text(size: int) -> str:
    """``12.3 MB``."""
    if size < 1000:
        return f"{size} B"
    for unit in ("kB", "MB", "GB"):
        size_in_unit = size / {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
        if size_in_unit < 1000 or unit == "GB":
            break
    return f"{size_in_unit:.1f} {unit}"


def _row(name: str, figures: Figures) -> str:
    times = "".join(
        f"{_time_text(value) if figures.count else '-':>10}"
        for value in (figures.p50_s, figures.p99_s, figures.longest_s)
    )
    return f"{name:16}{figures.count:>6}{times}"


def _time_text(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _manner(power: str) -> str:
    return power if power.startswith("at ") else f"at {power}" if power.endswith("/s") else power
