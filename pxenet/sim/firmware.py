"""The named firmware personalities, and the life of a machine: firmware, the boot programs it is led to, the installer.

Each personality is data that names what it models; the behaviours are in ``ipxe_dhcp``, ``edk2``, ``boards``. Which boot program
follows is told by the file that the server named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from pxenet.sim import boards, edk2, grub, installer, ipxe_script, pxelinux, shim
from pxenet.sim.body import Body, BootError, Stage, Steps, work
from pxenet.sim.lease import acquire
from pxenet.sim.programs import Disk, Kernel, Outcome, Start, kind_of
from pxenet.sim.voices import (
    BIOS_PXE,
    EDK2_HTTP_ARM64,
    EDK2_HTTP_X64,
    EDK2_PXE_ARM64,
    EDK2_PXE_IA32,
    EDK2_PXE_X64,
    IPXE_ARM64,
    IPXE_BIOS,
    IPXE_BIOS_E1000,
    IPXE_EFI,
    RASPBERRY,
    RASPBERRY_4,
    U_BOOT,
    Voice,
)

MAX_PROGRAMS = 8
"""Programs that load one another for ever are a failure."""


@dataclass(frozen=True, slots=True)
class Personality:
    """One kind of machine."""

    name: str
    title: str
    firmware: str
    """Which behaviour: ``ipxe``, ``edk2-pxe``, ``edk2-http``, ``u-boot``, ``raspberry``, ``raspberry-4``; ``system``: none, an
    operating system asks for its address."""
    voice: Voice
    ipxe: Voice
    """How an iPXE speaks that is loaded into it."""
    arch: str = "x64"
    """As EFI file names have it; ``bios``."""
    post_s: float = 2.2
    """Self-test, until the first packet."""
    settles_s: float = 0.05
    """From the ACK to the first request. An iPXE that waits for router advertisements nobody sends: 13 s (captured)."""
    grub: str = "Debian"
    """Whose GRUB a file of that name is (``grub.BUILDS``)."""
    system: installer.System | None = None
    """What runs after the loader; None: what the kernel's arguments name."""


_ALL = (
    # SeaBIOS 1.16.2 with the iPXE option ROM; captures bios-*
    Personality("bios", "SeaBIOS, iPXE option ROM", "ipxe", IPXE_BIOS, IPXE_BIOS, arch="bios"),
    Personality(
        "bios-e1000", "SeaBIOS, iPXE ROM, no router", "ipxe", IPXE_BIOS_E1000, IPXE_BIOS, arch="bios", settles_s=13.0
    ),
    # OVMF 2022.11; captures uefi-pxe-*
    Personality("uefi", "EDK2 PXE, x64", "edk2-pxe", EDK2_PXE_X64, IPXE_EFI, post_s=4.5),
    Personality("uefi-ia32", "EDK2 PXE, IA32", "edk2-pxe", EDK2_PXE_IA32, IPXE_EFI, arch="ia32", post_s=4.5),
    Personality(
        "uefi-redhat", "EDK2 PXE, x64, Red Hat's GRUB", "edk2-pxe", EDK2_PXE_X64, IPXE_EFI, post_s=4.5, grub="Red Hat"
    ),
    Personality("uefi-arm64", "EDK2 PXE, ARM64", "edk2-pxe", EDK2_PXE_ARM64, IPXE_ARM64, arch="aa64", post_s=4.5),
    # OVMF 2022.11; capture uefi-http-ipxe
    Personality("http", "EDK2 HTTP boot, x64", "edk2-http", EDK2_HTTP_X64, IPXE_EFI, post_s=4.5),
    Personality(
        "http-arm64", "EDK2 HTTP boot, ARM64", "edk2-http", EDK2_HTTP_ARM64, IPXE_ARM64, arch="aa64", post_s=4.5
    ),
    # iPXE started by the firmware from a disk or flash, asking for itself
    Personality("ipxe", "iPXE as EFI program", "ipxe", IPXE_EFI, IPXE_EFI, post_s=4.0),
    # net/bootp.c, cmd/pxe.c
    Personality("u-boot", "U-Boot, ARM64", "u-boot", U_BOOT, IPXE_ARM64, arch="aa64", post_s=2.0),
    # raspberrypi documentation
    Personality("raspberry", "Raspberry Pi boot ROM", "raspberry", RASPBERRY, IPXE_ARM64, arch="aa64", post_s=2.0),
    Personality(
        "raspberry-4", "Raspberry Pi 4 EEPROM", "raspberry-4", RASPBERRY_4, IPXE_ARM64, arch="aa64", post_s=2.0
    ),
)

PERSONALITIES: Mapping[str, Personality] = MappingProxyType({one.name: one for one in _ALL})
"""By the name that ``--mix`` and tests use."""

# A PXE ROM of a BIOS that is not iPXE. That it asks for the size, breaks off and then reads, as EDK2 does, is not confirmed
# (tftp.md §5): its reactions are EDK2's for want of a better model.
BIOS_ROM = replace(PERSONALITIES["uefi"], name="bios-rom", title="PXE boot ROM, x86 BIOS", arch="bios", voice=BIOS_PXE)


def life(body: Body, personality: Personality) -> Steps[None]:
    """From power-on to an installed system, the local disk, or a failure (BootError)."""
    yield from work(body, personality.post_s)
    body.enter(Stage.DISCOVER)
    outcome = yield from _firmware(body, personality)
    if isinstance(outcome, Disk):
        body.note(f"local disk: {outcome.how}")
        body.enter(Stage.LOCAL_DISK)
        return
    yield from installer.run(body, outcome, personality.system)


def _firmware(body: Body, personality: Personality) -> Steps[Outcome]:
    if personality.firmware == "system":
        yield from acquire(body, personality.voice)
        body.enter(Stage.LEASE)
        return Disk("it runs from there already")
    if personality.firmware == "ipxe":
        return (
            yield from ipxe_script.rom(body, personality.voice, personality.arch, personality.settles_s, run_program)
        )
    if personality.firmware == "edk2-pxe":
        start = yield from edk2.pxe(body, personality.voice, personality.settles_s)
    elif personality.firmware == "edk2-http":
        start = yield from edk2.http_boot(body, personality.voice, personality.settles_s)
    elif personality.firmware == "u-boot":
        return (yield from boards.u_boot(body, personality.voice))
    elif personality.firmware == "raspberry-4":
        return (yield from boards.raspberry_4(body, personality.voice))
    else:
        return (yield from boards.raspberry(body, personality.voice))
    loads, ack, proxy = start
    url = loads.name if "://" in loads.name else ""
    begun = Start(
        personality.arch, loads.server, loads.name, ack, proxy, personality.ipxe, run_program, url, personality.grub
    )
    return (yield from run_program(body, begun))


def run_program(body: Body, start: Start) -> Steps[Outcome]:
    """Start the program that a file is."""
    start.depth += 1
    if start.depth > MAX_PROGRAMS:
        raise BootError(f"{start.name}: boot programs load one another for ever")
    kind = kind_of(start.name)
    if unfit := body.manners.judge(start.url or start.name, start.arch):
        raise BootError(unfit)
    body.note(f"starts {start.name}")
    if kind in ("pxelinux", "lpxelinux", "syslinux"):
        if start.url:
            raise BootError(f"{start.name} finds no network after HTTP boot")  # measured in this project's lab
        return (yield from pxelinux.run(body, start, kind))
    if kind == "shim":
        return (yield from shim.run(body, start))
    if kind == "grub":
        return (yield from grub.run(body, start))
    if kind == "ipxe":
        return (yield from ipxe_script.program(body, start))
    raise BootError(f"{start.name} is no boot program this simulation knows by its name")


__all__ = ["BIOS_ROM", "MAX_PROGRAMS", "PERSONALITIES", "Disk", "Kernel", "Personality", "life", "run_program"]
