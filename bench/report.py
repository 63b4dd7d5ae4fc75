"""What was measured, as a fixed-width table that can be diffed, as Markdown, and for programs. Ratios; absolute times are noise."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.run import Measured
from bench.servers import Server

_WIDE = (46, 13, 10, 8, 8, 5)
_HEAD = ("work", "figure", "against", "ratio", "target", "")


def hardware() -> str:
    """The machine, without a date."""
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("model name", "CPU part"))
    ]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def table(measured: Sequence[Measured]) -> Iterator[str]:
    """A line for each target; below a row what is doubtful in it."""
    yield _line(_HEAD)
    for each in measured:
        for cells in cells_of(each):
            yield _line(cells)
        for fault in each.faults:
            yield f"  ! {fault}"


def cells_of(measured: Measured) -> Iterator[tuple[str, ...]]:
    """(work, figure, peer, ratio, target, verdict) for each target that could be looked at."""
    targets = {(figure.name, target.peer): target for figure in measured.row.figures for target in figure.targets}
    for figure, peer, ratio, verdict in measured.judged():
        target = targets[figure, peer]
        limit = f"<= {target.most:g}" if target.most else f">= {target.least:g}" if target.least else ""
        yield (measured.row.name, figure, peer or "-", f"{ratio:.2f}", limit, verdict.value)


def markdown(measured: Sequence[Measured]) -> Iterator[str]:
    """The table for a README."""
    yield f"| {' | '.join(_HEAD)} |"
    yield "|" + "---|" * len(_HEAD)
    for each in measured:
        for cells in cells_of(each):
            yield f"| {' | '.join(cells)} |"


def servers_used(servers: Sequence[Server]) -> Iterator[str]:
    """Who takes part, how set, and what would bring the others."""
    for server in servers:
        if server.found():
            yield f"{server.name} {server.version_text()}: {server.settings}"
    if missing := [server.package for server in servers if not server.found()]:
        yield f"not installed: apt-get install {' '.join(missing)}"


def record(measured: Sequence[Measured]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "hardware": hardware(),
        "rows": [
            {
                "work": each.row.name,
                "ratios": [
                    {"figure": figure, "peer": peer, "ratio": round(ratio, 4), "verdict": verdict.value}
                    for figure, peer, ratio, verdict in each.judged()
                ],
                "servers": {
                    name: [
                        {
                            "mb_per_s": round(sample.mb_per_s, 3),
                            "mb_per_cpu_s": round(sample.mb_per_cpu_s, 3),
                            "per_cpu_s": round(sample.done_per_cpu_s, 3),
                            "cpu_s": round(sample.cpu_s, 2),
                            "complete": sample.load.complete,
                            "failed": sample.load.failed,
                            "retransmits": sample.load.retransmits,
                            "load_busy": round(sample.load.busy, 3),
                            "more": {key: round(value, 4) for key, value in sample.more.items()},
                            "distribution_s": list(sample.distribution),
                        }
                        for sample in samples
                    ]
                    for name, samples in each.samples.items()
                },
                "faults": each.faults,
            }
            for each in measured
        ],
    }


def _line(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDE, strict=True)).rstrip()
