"""Hours of a rack's life in virtual time: machines keep their leases, reboot, are installed again; and memory stays as it is.

The first quarter warms up. From then on neither objects nor the process's memory may grow.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from provekit.rack import MIX, VirtualRack, write_files
from provekit.registry import Options, Result
from pxenet.sim.faults import Faults
from pxenet.sim.fleet import Plan
from pxenet.sim.machine import Machine
from pxenet.sim.renewals import Renewals

_HOUR_S = 3600.0
_LEASE_S = 600
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_MACHINES = (100, 16)
"""In full, in short."""


def run(options: Options) -> Result:
    """See the module's text. ``count`` virtual hours."""
    result = Result()
    dice = options.chance("soak")
    write_files(options.directory, kernel_bytes=3000)

    def again(index: int, machine: Machine, now: float) -> float:
        renewals.begin(index)
        if dice.random() < 0.3:
            rack.rearm(machine)
        return now + dice.uniform(0.2, 1.0) * _HOUR_S

    plan = Plan(MIX, _MACHINES[options.short], seed=options.seed)
    rack = VirtualRack(
        options.directory, plan, faults=Faults(loss=0.02), seed=options.seed, lease_s=_LEASE_S, again=again
    )
    renewals = Renewals(rack.link, options.seed)
    began_at = rack.link.now
    rack.link.start()
    sizes: list[tuple[int, int]] = []
    for quarter in range(1, 5):
        rack.link.go_on(began_at + options.count * _HOUR_S * quarter / 4)
        sizes.append(_size())
        options.say(f"{quarter} of 4 quarters")
    told = rack.result()
    (objects, kib), (objects_then, kib_then) = sizes[-1], sizes[0]
    result.figure("machines", told.machines)
    result.figure("virtual hours", options.count)
    result.figure("boots", told.boots)
    result.figure("renewals", renewals.asked)
    result.figure("leases that ran out", renewals.expired)
    result.figure("addresses given twice", told.given_twice)
    result.figure("objects after each quarter", " ".join(str(size[0]) for size in sizes))
    result.figure("memory after each quarter, KiB", " ".join(str(size[1]) for size in sizes))
    if objects > 1.02 * objects_then + 500:
        result.faults.append(f"{objects - objects_then} objects more than after the first quarter")
    if kib > 1.05 * kib_then + 2048:
        result.faults.append(f"{kib - kib_then} KiB more than after the first quarter")
    for name, count in (
        ("leases ran out", renewals.expired),
        ("addresses were given twice", told.given_twice),
        ("addresses were changed", told.moved),
    ):
        if count:
            result.faults.append(f"{count} {name}")
    if told.failures:
        result.faults.append(f"failures: {dict(told.failures)}")
    return result


def _size() -> tuple[int, int]:
    """(objects, KiB of memory)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(gc.get_objects()), pages * _PAGE_KIB
