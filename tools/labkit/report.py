"""What the lab says at its end: a table of times, and for each machine that failed where, why and its last words.

Knows text only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labkit.machine import PowerOn
from labkit.scenarios import Scenario

COLUMNS = ("first DHCP", "loader", "kernel", "answer", "installed", "off", "2nd: DHCP", "disk", "off")


@dataclass(slots=True)
class Report:
    """One machine's two power-ons, and what was wrong with them."""

    scenario: Scenario
    first: PowerOn | None = None
    second: PowerOn | None = None
    first_dhcp_s: float | None = None
    loader_s: float | None = None
    second_dhcp_s: float | None = None
    reads: list[str] = field(default_factory=list)
    """Files it asked for, in order."""
    faults: list[str] = field(default_factory=list)
    logs: list[tuple[str, str]] = field(default_factory=list)
    """Title and last lines of what helps to understand a fault."""

    def times(self) -> tuple[float | None, ...]:
        """Seconds after the power-on, as :data:`COLUMNS` names them."""
        first, second = self.first, self.second
        marks = [first.mark_at(stage) if first else None for stage in ("kernel", "answer", "installed")]
        ends = [power.lasted_s if power else None for power in (first, second)]
        disk = second.mark_at("disk") if second else None
        return self.first_dhcp_s, self.loader_s, *marks, ends[0], self.second_dhcp_s, disk, ends[1]


def table(reports: list[Report]) -> str:
    """Seconds after power-on at which each machine reached each stage."""
    width = max(len(r.scenario.name) for r in reports)
    lines = [" " * width + "  " + "  ".join(COLUMNS)]
    for report in reports:
        cells = (
            f"{t:{len(c)}.1f}" if t is not None else "-".rjust(len(c))
            for t, c in zip(report.times(), COLUMNS, strict=True)
        )
        lines.append(f"{report.scenario.name:{width}}  {'  '.join(cells)}  {'FAILED' if report.faults else 'ok'}")
    return "\n".join(lines)


def failure(report: Report) -> str:
    """Which machine, where, why, and the last words of everybody concerned."""
    lines = [f"== {report.scenario.name}: {report.scenario.about}"]
    lines += [f"   {fault}" for fault in report.faults]
    if report.reads:
        lines.append(f"   it asked for: {', '.join(report.reads[-12:])}")
    for title, text in report.logs:
        lines += [f"-- {title}", *(f"   {line}" for line in text.splitlines())]
    return "\n".join(lines)
