"""What the lab needs of the machine it runs on, and the Debian package that brings each.

Knows files, programs and apt. It installs only where that is expected: as root with CI=true, or when asked to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from labkit import payload
from labkit.machine import Firmware
from labkit.scenarios import Scenario

# A program's name or a file's path -> its package
_ALWAYS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ethtool": "ethtool",
    "dumpcap": "wireshark-common",
    "tcpdump": "tcpdump",
    "tshark": "tshark",
    "qemu-system-x86_64": "qemu-system-x86",
    "/usr/lib/ipxe/qemu/pxe-virtio.rom": "ipxe-qemu",
    str(payload.INSTALLER / "linux"): "debian-installer-12-netboot-amd64",
    str(payload.BUSYBOX): "busybox-static",
}
_DNSMASQ = {"dnsmasq": "dnsmasq-base"}
_OVMF = {"/usr/share/OVMF/OVMF_CODE_4M.fd": "ovmf"}
_FIRMWARE: dict[Firmware, dict[str, str]] = {
    Firmware.BIOS: {"/usr/share/seabios/bios-256k.bin": "seabios"},
    Firmware.UEFI: _OVMF,
    Firmware.UEFI_HTTP: _OVMF,
    Firmware.SECURE: _OVMF,
}
_GRUB = {"/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed": "grub-efi-amd64-signed"}
_PXELINUX = {
    "/usr/lib/PXELINUX/pxelinux.0": "pxelinux",
    "/usr/lib/syslinux/modules/bios/ldlinux.c32": "syslinux-common",
}
_LOADER: dict[tuple[str, str], dict[str, str]] = {
    ("bios", "pxelinux"): _PXELINUX,
    ("bios", "lpxelinux"): _PXELINUX,
    ("bios", "grub"): {"grub-mkimage": "grub-common", "/usr/lib/grub/i386-pc/pxe.mod": "grub-pc-bin"},
    ("bios", "ipxe"): {"/usr/lib/ipxe/undionly.kpxe": "ipxe"},
    ("x64", "pxelinux"): {
        "/usr/lib/SYSLINUX.EFI/efi64/syslinux.efi": "syslinux-efi",
        "/usr/lib/syslinux/modules/efi64/ldlinux.e64": "syslinux-common",
    },
    ("x64", "grub"): _GRUB,
    ("x64", "shim"): {str(payload.SHIM): "shim-signed", **_GRUB},
    ("x64", "ipxe"): {"/usr/lib/ipxe/ipxe.efi": "ipxe"},
}

_DISTRIBUTION = {"rpmbuild": "rpm", "/usr/bin/rpm": "rpm", "createrepo_c": "createrepo-c", "xorriso": "xorriso"}
_SIGNED_DISK = {str(payload.SHIM): "shim-signed", str(payload.DISK_GRUB): "grub-efi-amd64-signed"}


def missing(scenarios: Iterable[Scenario], *, reference: bool = False) -> list[str]:
    """The packages that ``scenarios`` need and that are not installed, sorted."""
    wanted = dict(_ALWAYS)
    for scenario in scenarios:
        wanted |= _FIRMWARE[scenario.firmware] | _LOADER[scenario.platform, scenario.loader]
        if scenario.proxy or reference:
            wanted |= _DNSMASQ
        if scenario.proxy and scenario.loader == "grub":
            wanted |= _LOADER["x64", "ipxe"]  # it starts GRUB there
        if scenario.from_data:
            wanted |= _DISTRIBUTION
        if scenario.disk == "signed.img":
            wanted |= _SIGNED_DISK
    return sorted({package for thing, package in wanted.items() if not _present(thing)})


def _present(thing: str) -> bool:
    if thing.startswith("/"):
        return Path(thing).exists()
    return shutil.which(thing, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def install(packages: list[str]) -> bool:
    """Install with apt, without questions. False when it fails."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    steps = (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages])
    return all(subprocess.run([*step, "-qq"], env=env, check=False).returncode == 0 for step in steps)
