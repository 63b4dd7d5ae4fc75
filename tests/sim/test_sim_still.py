"""The shortcut of a still network: windows that are carried in one step leave everything as datagrams one by one do."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from fleet_scene import Scene, make_files

from pxenet.events import Event
from pxenet.sim.faults import CALM, STILL, Faults
from pxenet.sim.fleet import Plan, Power

ONE_BY_ONE = replace(STILL)
"""Equal in value, so that nothing else differs; the shortcut is for :data:`STILL` itself."""

PLANS = {
    "lock-step": Plan({"bios": 3}),
    "windows": Plan({"uefi": 3}),
    "all at once": Plan({"bios": 4, "uefi": 3, "http": 1}, 16),
    "one after the other": Plan({"bios": 1, "uefi": 1}, 6, power=Power(2, 0.7)),
}


def outcome(scene: Scene, for_s: float = 7200.0) -> dict[str, object]:
    """Everything that anybody could tell of a run."""
    result = scene.run(for_s)
    return {
        "result": result,
        "now": scene.link.now,
        "events": scene.events,
        "installs": scene.records(),
        "leases": scene.store.leases(),
        "tftp": scene.rack.tftp.statistics(),
        "reads": [[asdict(read) for read in machine.reads] for machine in scene.fleet.machines],
        "reached": [machine.reached for machine in scene.fleet.machines],
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kernels of some hundred blocks. Nobody writes into them."""
    directory = tmp_path_factory.mktemp("still")
    make_files(directory, kernel_bytes=400_000)
    return directory


@pytest.mark.parametrize("name", PLANS)
def test_the_same_comes_out(site: Path, name: str) -> None:
    """Times, events, counters, leases, states and every read are equal, to the last bit of the clock."""
    quick, plain = (Scene(site, PLANS[name], faults=faults) for faults in (STILL, ONE_BY_ONE))
    assert outcome(plain) == outcome(quick)
    assert quick.installed() == len(quick.fleet.machines)


@pytest.mark.parametrize("for_s", [5.0, 6.2, 9.123, 14.0])
def test_the_same_at_any_instant(site: Path, for_s: float) -> None:
    """A run that is stopped has come to the same events, leases and states."""
    told = []
    for faults in (STILL, ONE_BY_ONE):
        found = outcome(Scene(site, PLANS["all at once"], faults=faults), for_s)
        told.append([found[key] for key in ("now", "events", "installs", "leases")])
    assert told[1] == told[0]


def test_block_numbers_that_roll_over(tmp_path: Path) -> None:
    """A file of more than 65 535 blocks, to the same end."""
    make_files(tmp_path)
    with (tmp_path / "tree/images/pxeboot/initrd.img").open("r+b") as file:
        os.truncate(file.fileno(), 1408 * 65_540)
    quick, plain = (Scene(tmp_path, Plan({"bios": 1}), faults=faults) for faults in (STILL, ONE_BY_ONE))
    assert outcome(plain) == outcome(quick)
    assert 1 == quick.installed()


@pytest.mark.parametrize("faults", [STILL, ONE_BY_ONE], ids=["shortcut", "one by one"])
def test_a_file_that_was_cut(tmp_path: Path, faults: Faults) -> None:
    """What is shorter than it was is missed at the same block, with the same words."""
    make_files(tmp_path, kernel_bytes=400_000)
    events: list[Event] = []

    def tell(event: Event) -> None:
        events.append(event)
        if event.kind == "tftp.start" and "vmlinuz" in str(event.detail):
            os.truncate(tmp_path / "tree/images/pxeboot/vmlinuz", 300_000)

    scene = Scene(tmp_path, Plan({"bios": 1}), faults=faults, tell=tell)
    scene.run(600)
    changed = [event for event in events if event.kind == "tftp.changed"]
    (machine,) = scene.fleet.machines
    assert 1 == len(changed)
    assert "the file changed while it was being sent" in machine.failure
    assert 300_000 // 1408 * 1408 == machine.reads[-1].size


def heard_by_themselves(scene: Scene) -> int:
    """How many datagrams the machines hear one by one."""
    count = 0
    hear = scene.link._hear

    def counted(*said: object) -> None:
        nonlocal count
        count += 1
        hear(*said)  # type: ignore[arg-type]

    scene.link._hear = counted  # type: ignore[method-assign, assignment]
    scene.run()
    return count


def test_it_is_taken(site: Path) -> None:
    """Of a large file nearly no block is carried for itself; on any other network all are."""
    shortcut, plain, calm = (
        heard_by_themselves(Scene(site, Plan({"bios": 1}), faults=each)) for each in (STILL, ONE_BY_ONE, CALM)
    )
    assert shortcut < 100 < 800 < plain == calm
