"""Hours of a rack's life in virtual time: leases are kept, machines reboot and are reinstalled, and nothing grows."""

from __future__ import annotations

import gc
import random
from pathlib import Path

import pytest
from fleet_scene import Scene, make_files

from pxenet.sim.faults import Faults
from pxenet.sim.fleet import Plan
from pxenet.sim.machine import Machine
from pxenet.sim.renewals import Renewals

HOUR = 3600.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the rack. Nobody writes into them."""
    directory = tmp_path_factory.mktemp("soak")
    make_files(directory, kernel_bytes=3000, loader_bytes=3000)
    return directory


def test_a_rack_lives_for_hours(site: Path) -> None:
    """No lease of a living machine runs out, no address has two owners, every boot ends well; objects and heap stay as many."""
    dice = random.Random(1)

    def again(index: int, machine: Machine, now: float) -> float:
        renewals.begin(index)
        if dice.random() < 0.3:
            scene.rearm(machine)
        return now + dice.uniform(0.2, 1.0) * HOUR

    plan = Plan({"bios": 2, "uefi": 1, "http": 1}, 12)
    scene = Scene(site, plan, faults=Faults(loss=0.02), again=again, lease_s=600, tell=lambda event: None)
    renewals = Renewals(scene.link)
    began_at = scene.link.now
    scene.link.run(2 * HOUR)
    gc.collect()
    objects, waiting = len(gc.get_objects()), len(scene.link)
    scene.link.go_on(began_at + 8 * HOUR)
    gc.collect()
    result = scene.fleet.result(scene.link.now, scene.link.traffic)
    assert result.boots > 100 < renewals.asked
    assert (0, 0, 0, {}) == (result.given_twice, result.moved, renewals.expired, result.failures)
    assert len(gc.get_objects()) < 1.02 * objects + 500
    assert len(scene.link) < 2 * waiting


def test_a_lease_that_is_not_kept_runs_out(site: Path) -> None:
    """The server falls silent: the count of what ran out is not zero by construction."""
    scene = Scene(site, Plan({"bios": 2}), again=lambda index, machine, now: renewals.begin(index), lease_s=300)
    renewals = Renewals(scene.link)
    scene.run()
    scene.link.faults = Faults(loss=1.0)
    scene.link.go_on(scene.link.now + HOUR, idle=True)
    assert 2 == renewals.expired < renewals.asked
