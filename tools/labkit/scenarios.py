"""What the lab tries: for each scenario which machine, which boot loader, and who gives the addresses. A table, no code."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.machine import Firmware

KERNEL_ARGS = "console=ttyS0 quiet"
PROFILE = "tiny"
DISCOVERY = "what"
"""The profile of machines that nobody has named."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One machine's way: its first power-on installs it, its second goes to its own disk."""

    name: str
    number: int
    """Makes its hardware address and the name of its port."""
    firmware: Firmware
    loader: str
    """As ``boot.loader.*`` spells it."""
    proxy: bool
    """Addresses come from another server; the server under test is a ProxyDHCP server."""
    about: str
    disk: str = "disk.img"
    """What it installs, a key of ``payload.DISKS``: the lab's own programs, or a distribution's shim and GRUB."""
    optional: bool = False
    """Only when asked for."""
    exit: str = "auto"
    """As ``boot.exit`` spells it: how it gets to its disk."""
    ordered: bool = False
    """When it boots its disk it is ordered to be installed again, and then not to be, and must do so each time."""
    named: bool = True
    """A ``[[host]]`` of the configuration; else it is booted to tell what it is, and made a host by command."""

    from_data: bool = False
    """Installed from an ISO image by kickstart data: twelve lines of configuration, on a wire of its own."""

    @property
    def platform(self) -> str:
        """The key under ``boot.loader`` for this machine."""
        return "bios" if self.firmware is Firmware.BIOS else "x64"

    @property
    def mac(self) -> str:
        """The machine's hardware address (locally administered, QEMU's range)."""
        return f"52:54:00:77:00:{self.number:02x}"

    @property
    def bench(self) -> str:
        """The wire that it is on, with whoever else is."""
        return self.name if self.from_data else "proxy" if self.proxy else "server"

    @property
    def serial(self) -> str:
        """Its SMBIOS serial number."""
        return f"LAB-{self.number:04}"

    @property
    def disk_mark(self) -> str:
        """What the disk says when this firmware starts it."""
        if self.disk == "signed.img":
            return "signed-grub"
        return "boot-sector" if self.firmware is Firmware.BIOS else "efi-program"


SCENARIOS = (
    Scenario("bios", 1, Firmware.BIOS, "pxelinux", False, "SeaBIOS and iPXE ROM, pxelinux, kernel by TFTP"),
    Scenario("uefi-grub", 2, Firmware.UEFI, "grub", False, "OVMF PXE, GRUB, kernel by TFTP"),
    Scenario("uefi-ipxe", 3, Firmware.UEFI, "ipxe", False, "OVMF PXE, iPXE, kernel by HTTP"),
    Scenario("bios-proxy", 4, Firmware.BIOS, "pxelinux", True, "as bios, with dnsmasq giving the addresses"),
    Scenario(
        "uefi-grub-proxy", 5, Firmware.UEFI, "grub", True,
        "as uefi-grub, with dnsmasq giving the addresses; installs shim and GRUB", disk="signed.img",
    ),
    Scenario("uefi-http", 6, Firmware.UEFI_HTTP, "ipxe", False, "OVMF HTTP boot, iPXE, kernel by HTTP", optional=True),
    Scenario(
        "uefi-secure", 7, Firmware.SECURE, "shim", False,
        "OVMF with Secure Boot, shim, GRUB; installs shim and GRUB", disk="signed.img", optional=True,
    ),
    Scenario(
        "bios-lpxelinux", 8, Firmware.BIOS, "lpxelinux", False,
        "as bios, with lpxelinux: kernel by HTTP", optional=True,
    ),
    Scenario(
        "bios-ipxe", 9, Firmware.BIOS, "ipxe", False,
        "SeaBIOS and iPXE ROM alone, kernel by HTTP; sanboot of its disk", optional=True,
    ),
    Scenario(
        "bios-grub", 10, Firmware.BIOS, "grub", False,
        "SeaBIOS and iPXE ROM, GRUB's core.0; chain of the disk's boot sector", optional=True,
    ),
    Scenario(
        "uefi-pxelinux", 11, Firmware.UEFI, "pxelinux", False,
        "OVMF PXE, syslinux.efi; its error leads to the next boot entry", optional=True,
    ),
    Scenario(
        "bios-disk", 13, Firmware.BIOS, "pxelinux", False,
        "as bios; chain.c32 starts its disk", optional=True, exit="disk",
    ),
    Scenario(
        "bios-next", 14, Firmware.BIOS, "pxelinux", False,
        "as bios; LOCALBOOT -1 gives it back to the BIOS", optional=True, exit="next",
    ),
    Scenario(
        "bios-ipxe-next", 15, Firmware.BIOS, "ipxe", False,
        "as bios-ipxe; exit gives it back to the BIOS", optional=True, exit="next",
    ),
    Scenario(
        "bios-grub-next", 16, Firmware.BIOS, "grub", False,
        "as bios-grub; exit gives it back to the BIOS", optional=True, exit="next",
    ),
    Scenario(
        "bios-orders", 17, Firmware.BIOS, "pxelinux", False,
        "as bios; then reinstall and cancel", optional=True, ordered=True,
    ),
    Scenario(
        "uefi-orders", 18, Firmware.UEFI, "grub", False,
        "as uefi-grub; then reinstall and cancel", optional=True, ordered=True,
    ),
    Scenario(
        "bios-kickstart", 19, Firmware.BIOS, "pxelinux", False,
        "SeaBIOS and iPXE ROM, pxelinux; an ISO image and twelve lines of kickstart data, packages by rpm",
        ordered=True, from_data=True,
    ),
    Scenario(
        "uefi-kickstart", 20, Firmware.UEFI, "grub", False,
        "OVMF PXE, GRUB; an ISO image and twelve lines of kickstart data, packages by rpm",
        optional=True, ordered=True, from_data=True,
    ),
    Scenario(
        "discovery", 12, Firmware.BIOS, "pxelinux", False,
        "as bios, but nobody has named it: it tells what it is, and is accepted by its serial number",
        optional=True, named=False,
    ),
)  # fmt: skip
