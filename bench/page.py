"""What was measured as one page that needs nothing else: ratios as bars beside their targets, and how times spread. No scripts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from bench.report import cells_of, hardware, servers_used
from bench.row import Target, Verdict
from bench.run import Measured
from bench.servers import Server

_WIDTH, _HEIGHT = 420.0, 220.0
"""Of a chart, in its own units."""
_DECADES = -1, 3
"""Ratios from a tenth to a thousand, by powers of ten; what is beyond stands at the edge."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One ratio."""

    work: str
    figure: str
    peer: str
    ratio: float
    limit: str
    verdict: str
    begins: float
    width: float
    target: float | None
    goal: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """How many of a server's clients were done by when."""

    server: str
    points: str
    """As of an SVG polyline."""
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The times of one row's clients, by server."""

    work: str
    until_s: float
    curves: tuple[Curve, ...]


def page(measured: Sequence[Measured], servers: Sequence[Server]) -> str:
    """The page."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((Path(__file__).parent / "page.html.j2").read_text("utf-8"))
    return template.render(
        hardware=hardware(),
        servers=list(servers_used(servers)),
        bars=list(_bars(measured)),
        ticks=[(10.0**power, _place(10.0**power)) for power in range(_DECADES[0], _DECADES[1] + 1)],
        table=[cells for each in measured for cells in cells_of(each)],
        faults=[(each.row.name, fault) for each in measured for fault in each.faults],
        spreads=[spread for each in measured if (spread := _spread(each)) is not None],
        width=_WIDTH,
        height=_HEIGHT,
    )


def _bars(measured: Sequence[Measured]) -> Iterator[Bar]:
    """Of all ratios that are ratios: a figure that is judged by itself is in the table alone."""
    one = _place(1.0)
    for each in measured:
        targets = {(figure.name, target.peer): target for figure in each.row.figures for target in figure.targets}
        for figure, peer, ratio, verdict in each.judged():
            if not peer:
                continue
            target, at = targets[figure, peer], _place(ratio)
            limit, goal = target.most or target.least, target.goal
            yield Bar(
                each.row.name, figure, peer, ratio, _limit_text(target), _word(verdict), min(one, at), round(abs(at - one), 1),
                _place(limit) if limit else None, _place(goal) if goal else None,
            )  # fmt: skip


def _limit_text(target: Target) -> str:
    if target.most:
        return f"at most {target.most:g}"
    goal = f", goal {target.goal:g}" if target.goal else ""
    return f"at least {target.least:g}{goal}" if target.least else "no target"


def _word(verdict: Verdict) -> str:
    return {Verdict.GOAL: "goal", Verdict.PASS: "pass", Verdict.MISS: "miss", Verdict.NONE: "told"}[verdict]


def _place(ratio: float) -> float:
    """Where a ratio stands, from the left."""
    low, high = _DECADES
    power = math.log10(ratio) if ratio > 0 else low
    return round((min(max(power, low), high) - low) / (high - low) * _WIDTH, 1)


def _spread(measured: Measured) -> Spread | None:
    """Of all rounds together; None: this row has no such times."""
    times = {
        server: sorted(second for sample in samples for second in sample.distribution)
        for server, samples in measured.samples.items()
    }
    times = {server: seconds for server, seconds in times.items() if seconds}
    if not times:
        return None
    until_s = max(seconds[-1] for seconds in times.values()) or 1.0
    return Spread(measured.row.name, until_s, tuple(_curve(server, times[server], until_s) for server in times))


def _curve(server: str, seconds: Sequence[float], until_s: float) -> Curve:
    steps = range(101)
    points = [(_at(seconds, step / 100) / until_s * _WIDTH, _HEIGHT * (1 - step / 100)) for step in steps]
    return Curve(server, " ".join(f"{x:.1f},{y:.1f}" for x, y in points), _at(seconds, 0.5), _at(seconds, 0.99))


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
