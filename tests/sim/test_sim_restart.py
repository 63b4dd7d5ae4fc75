"""A server that is killed in the middle of a hundred installs and started again: nothing is different for any of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from fleet_scene import SERVER, Scene, make_files

from pxenet.model import Asker, InstallState
from pxenet.rack import Rack
from pxenet.sim.body import Stage
from pxenet.sim.faults import CALM, Faults
from pxenet.sim.fleet import Plan, Power
from pxenet.sim.machine import Machine

MACHINES = 100
MIX = {"bios": 4, "uefi": 3, "http": 1}
LOSSY = Faults(loss=0.02, duplication=0.02, reordering=0.02)


def again(index: int, machine: Machine, now: float) -> float | None:
    """Firmware that could not load goes round its boot order and begins anew."""
    return now + 5.0 if machine.stage is Stage.FAILED else None


def known(rack: Rack, now: float) -> Mapping[bytes, object]:
    """All that a rack says of each machine: its state, token and address, what it boots next, and the text that it would get."""
    said: dict[bytes, object] = {}
    for seen in rack.hosts.seen():
        host = rack.hosts.of_mac(seen.mac)
        lease = rack.dhcp.who(next((one.address for one in rack.dhcp.leases() if one.mac == seen.mac), 0), now)
        plan = rack.plan(host)
        said[seen.mac] = (
            rack.installs.record(host.key),
            rack.installs.token(host.key),
            rack.installs.armed(host.key),
            lease and (lease.address, lease.mac, lease.expires_at),
            (plan.action, plan.reason, plan.profile and plan.profile.name),
            rack.rendered.entry(host, plan.profile, Asker(lease.address, host, "lease", None, SERVER))
            if plan.profile is not None and lease is not None
            else None,
        )
    return said


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the rack. Nobody writes into them."""
    directory = tmp_path_factory.mktemp("restart")
    make_files(directory, kernel_bytes=300_000, loader_bytes=300_000)  # so that many are in the middle of one
    return directory


@pytest.mark.parametrize("faults", [CALM, LOSSY], ids=["calm", "lossy"])
@pytest.mark.parametrize("seed", range(2))
def test_a_restart_changes_nothing(site: Path, seed: int, faults: Faults) -> None:
    """What the new server knows of each machine is what the old one knew, at any moment; all are installed, each once and at the
    address that it had, and none was stopped for the start that the restart cost it."""
    chance = random.Random(seed)
    scene = Scene(site, Plan(MIX, MACHINES, Power(10, 1.0), seed=seed), faults=faults, seed=seed, again=again)
    stages: set[str] = set()
    before: dict[bytes, int] = {}

    def restart() -> None:
        now = scene.link.now
        old = known(scene.rack, now)
        stages.update(record.state.value for record in scene.rack.installs.records())
        before.update({lease.mac: lease.address for lease in scene.rack.dhcp.leases()})
        scene.start_server()
        assert old == known(scene.rack, now)

    for at in (*(chance.uniform(start, start + 4.0) for start in (1.0, 6.0, 11.0, 18.0)), chance.uniform(30.0, 60.0)):
        scene.link.call(scene.link.now + at, restart)
    result = scene.run()
    assert ({"installed": MACHINES}, 0) == (result.ends, result.given_twice), (seed, result.failures)
    assert MACHINES == scene.installed()
    assert {"loading", "booted"} < stages, stages
    assert before.items() <= {machine.mac: machine.address for machine in scene.fleet.machines}.items()
    kinds = [event.kind for event in scene.events]
    assert (MACHINES, 0) == (kinds.count("install.installed"), kinds.count("install.stopped"))
    assert {InstallState.INSTALLED} == {record.state for record in scene.records()}
