"""A simulated machine and the rack, from power-on to the report and to the local disk after that."""

from __future__ import annotations

from pathlib import Path

import pytest
from rack_scene import NEIGHBOUR_MAC, RackScene, host_text, site
from sim_bench import Bench

from pxenet.model import InstallState
from pxenet.sim.machine import PERSONALITIES, Machine, Stage

MAC = bytes.fromhex("0200000000a1")

PATHS = (Stage.DISCOVER, Stage.LEASE, Stage.LOADER, Stage.CONFIG, Stage.KERNEL, Stage.INITRD, Stage.SYSTEM, Stage.ANSWER,
         Stage.REPOSITORY, Stage.CALLBACK, Stage.INSTALLED)  # fmt: skip

CASES = {
    "bios pxelinux": ("bios", {"bios": "pxelinux"}),
    "bios lpxelinux": ("bios", {"bios": "lpxelinux"}),
    "bios ipxe": ("bios", {"bios": "ipxe"}),
    "uefi shim": ("uefi", {"x64": "shim"}),
    "uefi grub": ("uefi", {"x64": "grub"}),
    "uefi ipxe": ("uefi", {"x64": "ipxe"}),
    "uefi syslinux": ("uefi", {"x64": "pxelinux"}),
    "http": ("http", {"x64": "ipxe"}),
    "uefi redhat": ("uefi-redhat", {"x64": "grub"}),
    "uefi redhat shim": ("uefi-redhat", {"x64": "shim"}),
    "ia32": ("uefi-ia32", {"ia32": "grub"}),
    "arm64": ("uefi-arm64", {"arm64": "grub"}),
    "ipxe": ("ipxe", {}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_machine_installs_and_boots_its_disk(case: tuple[str, dict[str, str]], base: Path) -> None:
    """Every stage in order, the rack believes it, and at the second power-on it is its own disk that boots."""
    personality, loaders = case
    scene = RackScene(base, site(loaders=loaders, more=host_text("node", MAC)))
    machine = Machine(PERSONALITIES[personality], MAC, seed=1)
    bench = Bench(scene, machine)
    bench.power_on()
    assert (Stage.INSTALLED, "") == (machine.stage, machine.failure), machine.trail
    assert set(PATHS) - {Stage.LOADER} <= set(machine.reached)
    times = [machine.reached[stage] for stage in PATHS if stage in machine.reached]
    assert sorted(times) == times
    assert InstallState.INSTALLED is scene.state("node")
    assert 0 == machine.retries
    bench.power_on()
    assert (Stage.LOCAL_DISK, "") == (machine.stage, machine.failure), machine.trail


BESIDE = {
    "bios": ("bios", {"bios": "pxelinux"}),
    "bios ipxe": ("bios", {"bios": "ipxe"}),
    "uefi grub": ("uefi", {"x64": "grub"}),
    "uefi redhat": ("uefi-redhat", {"x64": "grub"}),
    "uefi ipxe": ("uefi", {"x64": "ipxe"}),
    "http": ("http", {"x64": "ipxe"}),
    "ipxe": ("ipxe", {}),
}


@pytest.mark.parametrize("case", BESIDE.values(), ids=BESIDE.keys())
def test_beside_another_dhcp_server(case: tuple[str, dict[str, str]], base: Path) -> None:
    """The rack as ProxyDHCP server: offers collected, port 4011 asked where the firmware asks, and all the way to the report."""
    personality, loaders = case
    scene = RackScene(base, site(mode="proxy", loaders=loaders, more=host_text("node", MAC)))
    machine = Machine(PERSONALITIES[personality], MAC, seed=1)
    bench = Bench(scene, machine, beside=True)
    bench.power_on()
    assert (Stage.INSTALLED, "") == (machine.stage, machine.failure), machine.trail
    assert InstallState.INSTALLED is scene.state("node")
    if personality.startswith("uefi"):
        assert 4011 in {send.from_port for send in bench.sent}
    bench.power_on()
    assert (Stage.LOCAL_DISK, "") == (machine.stage, machine.failure), machine.trail


def test_the_same_seed_says_the_same(base: Path) -> None:
    """Nothing depends on anything but personality, address, seed and answers."""
    runs = []
    for _ in range(2):
        bench = Bench(RackScene(base, site(more=host_text("node", MAC))), Machine(PERSONALITIES["bios"], MAC, seed=7))
        bench.power_on()
        runs.append([(send.payload, send.from_port) for send in bench.sent])
    assert runs[0] == runs[1]
    assert MAC != NEIGHBOUR_MAC
