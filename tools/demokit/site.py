"""What the demo's server serves: stand-ins for boot loaders and an installer, a configuration, and ports that are free.

Knows file names and TOML. No package of any distribution is needed: what a machine reads has the names, and sizes of the order, of
the real thing, and noise inside.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pxenet.boot.policy import LOADERS
from pxenet.model import Platform
from pxenet.wire.text import mac_text

GIADDR = "127.77.0.1"
"""Of the simulated relay; on Linux every address of 127.0.0.0/8 is this machine's own."""

LOADER_BYTES = 400_000
KERNEL_BYTES = 5_000_000
INITRD_BYTES = 12_000_000
STAGE2_BYTES = 24_000_000
METADATA = ("primary.xml.gz", "filelists.xml.gz", "comps.xml.gz")
METADATA_BYTES = 1_500_000

_TREES = {"linux-x64": "x86_64", "linux-arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the server listens."""

    dhcp: int
    tftp: int
    http: int
    proxy: int = 4011


WELL_KNOWN = Ports(67, 69, 80)
"""In a network namespace of one's own."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One machine of the rack, as the configuration has it."""

    name: str
    kind: str
    """Its firmware: a key of ``pxenet.sim.machine.PERSONALITIES``."""
    firmware: str
    """The same for a narrow column."""
    loader: str = ""
    """``loader.x64 = "ipxe"``, where it is not the default."""
    profile: str = "linux-x64"


GUESTS = (
    Guest("bios-pxelinux", "bios", "SeaBIOS"),
    Guest("bios-ipxe", "bios", "SeaBIOS", 'loader.bios = "ipxe"'),
    Guest("uefi-grub", "uefi", "EDK2 PXE"),
    Guest("uefi-shim", "uefi", "EDK2 PXE", 'loader.x64 = "shim"'),
    Guest("uefi-ipxe", "uefi", "EDK2 PXE", 'loader.x64 = "ipxe"'),
    Guest("uefi-http", "http", "EDK2 HTTP"),
    Guest("arm-grub", "uefi-arm64", "EDK2 ARM", profile="linux-arm64"),
    Guest("arm-uboot", "u-boot", "U-Boot", profile="linux-arm64"),
)


def free_ports() -> Ports:
    """High ports that nobody has: the same each time where possible, so that a person can look at them again."""
    for thousand in range(10_000, 30_000, 1_000):
        ports = Ports(thousand + 67, thousand + 69, thousand + 80)
        if all(map(_free, (ports.dhcp, ports.tftp), (socket.SOCK_DGRAM,) * 2)) and _free(
            ports.http, socket.SOCK_STREAM
        ):
            return ports
    raise OSError("no three free ports from 10067, 10069 and 10080 on, in steps of 1000")


def _free(port: int, kind: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as the server: the last demo's connections do no harm
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def make_files(directory: Path, *, real_bios: bool = False) -> None:
    """Put everything that is served into ``directory``. ``real_bios``: leave the loaders for BIOS to installed packages."""
    noise = random.Random(0)
    for (platform, _), loader in LOADERS.items():
        if real_bios and platform is Platform.BIOS:
            continue
        for name in (*loader.names, *loader.beside):
            _write(directory / "files" / name, noise.randbytes(LOADER_BYTES))
    locations = "".join(f'<data><location href="repodata/{name}"/></data>' for name in METADATA)
    sizes = {
        "images/pxeboot/vmlinuz": KERNEL_BYTES,
        "images/pxeboot/initrd.img": INITRD_BYTES,
        "images/install.img": STAGE2_BYTES,
        **{f"repodata/{name}": METADATA_BYTES for name in METADATA},
    }
    first = directory / next(iter(_TREES))
    for tree, arch in _TREES.items():
        for name, size in sizes.items():
            path = directory / tree / name
            if directory / tree == first:
                _write(path, noise.randbytes(size))
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(first / name, path)
        _write(directory / tree / "repodata/repomd.xml", f"<repomd>{locations}</repomd>\n".encode())
        _write(directory / tree / ".treeinfo", _treeinfo(arch).encode())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _treeinfo(arch: str) -> str:
    return (
        f"[general]\nname = Demo 1\nfamily = Demo\nversion = 1\narch = {arch}\n"
        f"[images-{arch}]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n"
        "[stage2]\nmainimage = images/install.img\n"
    )


def configuration(macs: Sequence[bytes], ports: Ports, *, network: str = "", more: str = "") -> str:
    """The demo's TOML. ``macs``: of ``GUESTS``, in their order.

    ``network``: what a wire beside the loopback needs; ``more``: at the end.
    """
    lines = [
        "[server]",
        'interface = ["lo", "br0"]' if network else 'interface = "lo"\naddress = "127.0.0.1"',
        'state = "state"',
        'root = "files"',
        "",
        f"[dhcp]\nport = {ports.dhcp}\n\n[tftp]\nport = {ports.tftp}\n\n[http]\nport = {ports.http}\n",
        '[[dhcp.subnet]]\nnetwork = "127.0.0.0/8"\npool = "127.77.0.100-127.77.0.199"\n',
        network,
    ]
    for tree in _TREES:
        lines.append(f'[[profile]]\nname = "{tree}"\nsource = "{tree}"\nanswer = "kickstart"\nvars.sshkey = "{_KEY}"\n')
    for guest, mac in zip(GUESTS, macs, strict=True):
        loader = f"\n{guest.loader}" if guest.loader else ""
        lines.append(f'[[host]]\nmac = "{mac_text(mac)}"\nname = "{guest.name}"\nprofile = "{guest.profile}"{loader}\n')
    return "\n".join([*lines, more])


_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7 demo@example.org"
