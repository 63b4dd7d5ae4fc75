"""A whole rack of simulated machines in virtual time: installed, reproducible, and counted right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fleet_scene import Scene, make_files

from pxenet.model import Change, Verdict
from pxenet.sim.body import Stage
from pxenet.sim.faults import Faults
from pxenet.sim.fleet import AT_ONCE, FIRST_MAC, Fleet, Plan, PlanError, Power, parse_mix, parse_power
from pxenet.sim.machine import Machine
from pxenet.wire.text import parse_mac

ROUGH = Faults(loss=0.05, duplication=0.05, reordering=0.05, corruption=0.02)
MIXED = {"bios": 4, "uefi": 3, "http": 1}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the rack. Nobody writes into them."""
    directory = tmp_path_factory.mktemp("fleet")
    make_files(directory)
    return directory


# -- runs ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", [{"bios": 8}, {"uefi": 8}, {"http": 8}, MIXED], ids=str)
def test_every_machine_is_installed(site: Path, mix: dict[str, int]) -> None:
    """Machines say so and the store says so; nothing had to be said twice on a network without faults."""
    scene = Scene(site, Plan(mix))
    result = scene.run()
    assert {"installed": 8} == result.ends, result.failures
    assert 8 == scene.installed()
    assert (0, 0, True) == (result.retries, result.given_twice, result.all_well)


@pytest.mark.parametrize("seed", range(4))
def test_faults_keep_nobody_from_being_installed(site: Path, seed: int) -> None:
    """5 % loss, 5 % duplication, reordering and corruption; a seed that fails here is a case to keep."""
    scene = Scene(site, Plan(MIXED, 16, seed=seed), faults=ROUGH, seed=seed)
    result = scene.run()
    assert ({"installed": 16}, 0) == (result.ends, result.given_twice), (seed, result.failures)
    assert 16 == scene.installed()
    traffic = result.traffic
    assert 0 not in (result.retries, traffic.lost, traffic.duplicated, traffic.reordered, traffic.corrupted)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_datagrams_break_nothing(site: Path, seed: int) -> None:
    """Delivered as they are, they may cost a machine its boot: neither side raises or hangs, and no address is given twice."""
    scene = Scene(site, Plan(MIXED, 16, seed=seed), faults=Faults(corruption=0.1, delivers_corrupted=True), seed=seed)
    result = scene.run(for_s=3600)
    assert "unfinished" not in result.ends, (seed, result)
    assert result.traffic.corrupted


def test_a_run_is_what_its_seeds_make_of_it(site: Path) -> None:
    """The same twice gives the same to the last datagram, and other weather another."""
    plan = Plan(MIXED, seed=3)
    first, again, other = (Scene(site, plan, faults=ROUGH, seed=seed).run() for seed in (5, 5, 6))
    assert first == again
    assert first.traffic != other.traffic


def test_a_path_of_its_own(site: Path) -> None:
    """One machine's cable is bad: the others have nothing to repeat."""
    scene = Scene(site, Plan({"bios": 4}), faults_of=lambda index: Faults(loss=0.2) if index == 2 else Faults())
    scene.run()
    assert [0, 0, 1, 0] == [min(machine.retries, 1) for machine in scene.fleet.machines]


def test_a_small_mtu_shows_as_machines_that_give_up(site: Path) -> None:
    """Blocks that do not fit never arrive: no machine is installed, each says why, and the run ends by itself."""
    result = Scene(site, Plan({"bios": 2}), faults=Faults(mtu=900)).run()
    assert {"failed": 2} == result.ends
    assert result.traffic.too_large
    assert list(result.failures)


def test_a_store_whose_disk_is_full_gives_no_address(site: Path) -> None:
    """Nothing that is not durable is said: machines wait without an address, and are installed once there is room."""
    scene = Scene(site, Plan({"bios": 4}))
    broken = True
    written = scene.store.commit

    def commit(changes: list[Change]) -> list[Verdict]:
        return [Verdict.FAILED] * len(changes) if broken else written(changes)

    scene.store.commit = commit  # type: ignore[assignment, method-assign]
    scene.link.serve(scene.rack, scene.address, commit)  # type: ignore[arg-type]
    leases_then: list[int] = []

    def repair() -> None:
        nonlocal broken
        leases_then.append(len(scene.fleet.ledger))
        broken = False

    scene.link.call(scene.link.now + 5, repair)
    result = scene.run()
    assert [0] == leases_then
    assert {"installed": 4} == result.ends


def test_machines_can_be_switched_on_again(site: Path) -> None:
    """An installed machine boots its disk; when it is armed again it is installed again. Boots are counted."""

    def again(index: int, machine: Machine, now: float) -> float | None:
        if machine.boots == 2:
            scene.rearm(machine)
        return now + 60 if machine.boots < 3 else None

    ends: list[Stage] = []
    scene = Scene(site, Plan({"bios": 1, "uefi": 1}), again=lambda *end: (ends.append(end[1].stage), again(*end))[1])
    result = scene.run()
    assert 2 * [Stage.INSTALLED] + 2 * [Stage.LOCAL_DISK] + 2 * [Stage.INSTALLED] == ends
    assert ({"installed": 2}, 6) == (result.ends, result.boots)


def test_the_result_is_json(site: Path) -> None:
    """Programs read the same as people."""
    result = Scene(site, Plan({"bios": 2}, power=Power(1, 10.0))).run()
    read = json.loads(json.dumps(result.record()))
    assert (2, "0.1/s", {"bios": 2}) == (read["machines"], read["power"], read["mix"])
    assert {"discover", "lease", "loader", "kernel", "callback"} <= set(read["stages"])
    assert read["elapsed_s"] > 10 > read["stages"]["kernel"]["p99_s"] >= read["stages"]["kernel"]["p50_s"] > 0


# -- plans --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "power", "times"),
    [
        ("at-once", AT_ONCE, [0, 0, 0, 0]),
        ("2/s", Power(1, 0.5), [0, 0.5, 1, 1.5]),
        ("3x5s", Power(3, 5), [0, 0, 0, 5]),
    ],
)
def test_ways_to_switch_on(text: str, power: Power, times: list[float]) -> None:
    """As they are written, and when that is."""
    assert power == parse_power(text)
    assert times == power.times(4)


@pytest.mark.parametrize("text", ["", "often", "0/s", "-1/s", "nan/s", "inf/s", "x", "0x5", "3x"])
def test_no_way_to_switch_on(text: str) -> None:
    """The message says what would be right."""
    with pytest.raises(PlanError, match="write at-once, 50/s or 20x5s"):
        parse_power(text)


@pytest.mark.parametrize("text", ["", "bios=x", "bios=-1", "bios=", "vax=1", "bios=0", "bios=4,,uefi=1"])
def test_no_mix(text: str) -> None:
    """The message says what would be right, or what there is."""
    with pytest.raises(PlanError, match=r"write|there are"):
        parse_mix(text)


def test_kinds_are_interleaved() -> None:
    """Any part of the fleet has about the proportions of the whole, also when the mix is cycled through."""
    kinds = Plan(parse_mix("bios=4, uefi=3, http"), 16).firmwares()
    assert {"bios": 8, "uefi": 6, "http": 2} == {kind: kinds.count(kind) for kind in ("bios", "uefi", "http")}
    assert 2 == kinds[:4].count("bios")


@pytest.mark.parametrize("mac", ["00:16:3e:00:00:01", "03:00:00:00:00:00", "02:ff:ff:ff:ff:fe"])
def test_hardware_addresses_of_no_card(mac: str) -> None:
    """Not locally administered, a group's, or too few of them."""
    with pytest.raises(PlanError):
        Plan({"bios": 4}, first_mac=parse_mac(mac)).macs()


def test_hardware_addresses_count_up() -> None:
    """From the first one on."""
    fleet = Fleet(Plan({"bios": 2}))
    assert [FIRST_MAC, FIRST_MAC[:-1] + b"\1"] == [machine.mac for machine in fleet.machines]
