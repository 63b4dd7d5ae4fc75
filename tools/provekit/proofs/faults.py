"""Machines behind a bad network: 5 % of datagrams lost, 5 % doubled, 5 % overtaken, 5 % damaged. All must be installed.

Damaged datagrams are lost as the UDP checksum would have it. In a second run they arrive: then nothing may be raised, no address given
twice, and every machine must come to an end.
"""

from __future__ import annotations

from provekit.rack import MIX, VirtualRack, installed, note, write_files
from provekit.registry import Options, Result
from pxenet.sim.faults import Faults
from pxenet.sim.fleet import Plan

_WEATHER = Faults(loss=0.05, duplication=0.05, reordering=0.05, corruption=0.05)
_DAMAGED = Faults(loss=0.05, duplication=0.05, reordering=0.05, corruption=0.05, delivers_corrupted=True)
_LONGEST_S = 24 * 3600.0
_RUNS = 5
"""Seeds of the full form, this one and those after it."""


def run(options: Options) -> Result:
    """See the module's text. ``count`` machines."""
    result = Result()
    write_files(options.directory)
    for seed in range(options.seed, options.seed + (1 if options.short else _RUNS)):
        options.say(f"seed {seed}")
        plan = Plan(MIX, options.count, seed=seed)
        rack = VirtualRack(options.directory, plan, faults=_WEATHER, seed=seed)
        fleet = rack.run(_LONGEST_S)
        if not fleet.all_well or installed(rack.store.installs()) != fleet.machines:
            words = " ".join(fleet.given_twice_words)
            result.faults.append(f"seed {seed}: {dict(fleet.ends)} {dict(fleet.failures)} {words}")
        if seed == options.seed:
            note(result.figure, "lost", fleet)
            result.figure("lost: datagrams", fleet.traffic.sent)
            result.figure("lost: of them lost", fleet.traffic.lost + fleet.traffic.corrupted)
        rack = VirtualRack(options.directory, plan, faults=_DAMAGED, seed=seed)
        fleet = rack.run(_LONGEST_S)
        if not rack.fleet.done:
            result.faults.append(f"seed {seed}, damaged datagrams delivered: {fleet.ends} after a day")
        if seed == options.seed:
            result.figure("damaged: delivered", fleet.traffic.corrupted)
            result.figure("damaged: ends", ", ".join(f"{name} {count}" for name, count in fleet.ends.items()))
    result.figure("seeds", 1 if options.short else _RUNS)
    return result
