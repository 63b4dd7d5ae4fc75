"""Boards that read the server's files without a boot program: U-Boot and the Raspberry Pi's ROM."""

from __future__ import annotations

from pathlib import Path

import pytest
from program_world import World
from rack_scene import RackScene, host_text, make_files, site
from sim_bench import Bench

from pxenet.sim import boards
from pxenet.sim.body import BootError
from pxenet.sim.machine import PERSONALITIES, Machine, Stage
from pxenet.sim.programs import Disk, Kernel
from pxenet.sim.voices import RASPBERRY, U_BOOT
from pxenet.wire.iana import OptionCode

MAC = bytes.fromhex("0200000000a1")
PI_43 = bytes.fromhex("0601030a04005058450914000011") + b"Raspberry Pi Boot\xff"
PI_FILES = {
    "bootcode.bin": "b",
    "00000a01/start.elf": "s",
    "00000a01/cmdline.txt": "console=serial0\n",
    "00000a01/kernel8.img": "k",
}
TEXT = "DEFAULT go\nLABEL go\n  LINUX Image\n  INITRD i.gz\n  APPEND quiet\n"


def test_u_boot_reads_pxelinux_cfg() -> None:
    """The directory is the boot file's; hardware address, IPv4 address, its own defaults, in this order."""
    here = World({"dir/pxelinux.cfg/default-arm": TEXT, "dir/Image": "k", "dir/i.gz": "i"})
    here.options = {OptionCode.BOOT_FILE: "dir/anything"}
    assert Kernel("quiet", "Image", ("i.gz",)) == here.finish(boards.u_boot(here.body, U_BOOT))
    names = [name for name in here.asked if name.startswith("dir/pxelinux.cfg/")]
    assert ["01-02-00-00-00-0a-01", "0A00005B"] == [name.rpartition("/")[2] for name in names[:2]]
    assert ["default-arm-armv8-board", "default-arm-armv8", "default-arm"] == [
        name.rpartition("/")[2] for name in names[-3:]
    ]


def test_u_boot_asks_for_option_209_alone() -> None:
    """Where a configuration file is named nothing else is searched."""
    here = World({"mine": "DEFAULT l\nLABEL l\nLOCALBOOT 0\n"})
    here.options = {OptionCode.CONFIG_FILE: "mine"}
    assert Disk("localboot") == here.finish(boards.u_boot(here.body, U_BOOT))
    assert ["dhcp 1", "dhcp 3", "mine"] == here.asked


def test_the_raspberry_pi_boots_without_a_request() -> None:
    """Its files below the serial number's directory where start.elf is there; never a REQUEST (facts: pxe.md §7)."""
    here = World(PI_FILES)
    here.body.serial = "00000a01"
    here.options = {OptionCode.VENDOR_SPECIFIC: PI_43}
    assert Kernel("console=serial0", "kernel8.img") == here.finish(boards.raspberry(here.body, RASPBERRY))
    assert ["dhcp 1", "bootcode.bin", "bootsig.bin", "00000a01/start.elf"] == here.asked[:4]
    assert "dhcp 3" not in here.asked


def test_the_raspberry_pi_wants_its_text() -> None:
    """An offer without "Raspberry Pi Boot" in option 43 is none."""
    here = World(PI_FILES)
    with pytest.raises(BootError, match="Raspberry Pi Boot"):
        here.finish(boards.raspberry(here.body, RASPBERRY))
    assert ["dhcp 1"] * 5 == here.asked


@pytest.mark.parametrize(
    ("personality", "mac"),
    [
        ("raspberry", "b827eb000001"),
        ("raspberry-4", "020000000001"),
    ],  # a server knows the older one by its maker's address
)
def test_a_raspberry_pi_at_the_rack(personality: str, mac: str, tmp_path: Path) -> None:
    """The rack's offer is one that the ROM takes, and its files are served out of the root directory."""
    make_files(tmp_path)
    for name, data in PI_FILES.items():
        (tmp_path / "root" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "root" / name).write_text(data)
    mac = bytes.fromhex(
        "b827eb000001"
    )  # one of its maker's: how a server knows it, for its architecture type is a PC's
    scene = RackScene(tmp_path, site(more=host_text("node", mac)))
    machine = Machine(PERSONALITIES["raspberry"], mac, seed=1, serial="00000a01")
    Bench(scene, machine).power_on()
    assert Stage.KERNEL in machine.reached, machine.trail


def test_u_boot_at_the_rack(base: Path) -> None:
    """It finds its configuration, and the kernel and initrd that this names."""
    machine = Machine(PERSONALITIES["u-boot"], MAC, seed=1)
    Bench(RackScene(base, site(more=host_text("node", MAC))), machine).power_on()
    assert Stage.INSTALLED is machine.stage, machine.trail
