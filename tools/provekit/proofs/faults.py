"""Machines behind a bad network: 5 % of datagrams lost, 5 % doubled, 5 % overtaken, 5 % damaged. All must be installed.

Damaged datagrams are lost as the UDP checksum would have it. Firmware asks four times and gives up: where all four exchanges were
lost, the machine is switched on again, as its owner would do; those are counted, and must be few. In a second run damaged datagrams
arrive: then nothing may be raised, and every machine must come to an end.
"""

from __future__ import annotations

from provekit.rack import MIX, VirtualRack, installed, note, write_files
from provekit.registry import Options, Result
from pxenet.sim.body import Stage
from pxenet.sim.faults import Faults
from pxenet.sim.fleet import Plan
from pxenet.sim.machine import Machine

_WEATHER = Faults(loss=0.05, duplication=0.05, reordering=0.05, corruption=0.05)
_DAMAGED = Faults(loss=0.05, duplication=0.05, reordering=0.05, corruption=0.05, delivers_corrupted=True)
_LONGEST_S = 24 * 3600.0
_RUNS = 5
"""Seeds of the full form, this one and those after it."""
_BOOTS = 4
_AGAIN_AFTER_S = 60.0
_MAY_GIVE_UP = 0.02
"""Of all machines: one exchange in five fails, so four in a row one time in 700, and there are a few such exchanges in a boot."""


def _again(index: int, machine: Machine, now: float) -> float | None:
    """Who gave up is switched on again."""
    return now + _AGAIN_AFTER_S if machine.stage is Stage.FAILED and machine.boots < _BOOTS else None


def run(options: Options) -> Result:
    """See the module's text. ``count`` machines."""
    result = Result()
    all_gave_up = 0
    write_files(options.directory)
    for seed in range(options.seed, options.seed + (1 if options.short else _RUNS)):
        options.say(f"seed {seed}")
        plan = Plan(MIX, options.count, seed=seed)
        rack = VirtualRack(options.directory, plan, faults=_WEATHER, seed=seed, again=_again)
        fleet = rack.run(_LONGEST_S)
        gave_up = fleet.boots - fleet.machines
        if gave_up > max(1, _MAY_GIVE_UP * fleet.machines):
            result.faults.append(f"seed {seed}: machines gave up {gave_up} times")
        all_gave_up += gave_up
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
    result.figure("machines that gave up once, of all seeds", all_gave_up)
    return result
