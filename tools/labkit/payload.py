"""What the lab's machines install: the Debian installer's kernel, a small first root around busybox, and a ready disk.

Knows files and their packages. The kernel and the modules come from one package, so that they fit each other without a
kernel being built or the 40 MB installer being booted.
"""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit import cpio, disk
from labkit.marks import mark

INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")
BUSYBOX = Path("/bin/busybox")
SHIM = Path("/usr/lib/shim/shimx64.efi.signed")
DISK_GRUB = Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")

# What the machines have: virtio or Intel network cards, and a USB disk (the installer's root brings no other disk's driver)
_WANTED_MODULES = ("virtio_pci", "virtio_net", "e1000", "xhci_pci", "usb_storage", "sd_mod")
_PARAMETERS = {"usb_storage": " delay_use=0"}  # it waits a second for slow sticks otherwise
SCRIPTS = Path(__file__).parent / "initrd"

KICKSTART = """\
# {{ host.name }}, from the profile {{ profile.name }}
text
network --hostname={{ host.name }}
reboot

%post
# copy the disk, then report
wget -q -O /image {{ urls.source }}/{{ vars.disk | default("disk.img") }}
cat /image >/dev/sda
sync
wget -q -O /dev/null {{ urls.installed }}
%end
"""


@dataclass(frozen=True, slots=True)
class Payload:
    """A profile's source directory, ready to be served, and the template of its answer file, which is not served."""

    directory: Path
    template: Path
    root: Path
    """Boot loaders that no package has ready."""
    kernel: str = "linux"
    initrd: str = "initrd.gz"


def build(directory: Path, disks: Iterable[str] = ("disk.img",), *, grub_for_bios: bool = False) -> Payload:
    """Put kernel, initrd and disk images into ``directory``, which is made when missing, and ``ks.cfg.j2`` beside it.

    ``disks`` are keys of :data:`DISKS`. Raises FileNotFoundError when a Debian package is missing (``labkit.packages`` says which).
    """
    directory.mkdir(parents=True, exist_ok=True)
    payload = Payload(directory, directory.parent / "ks.cfg.j2", directory.parent / "loaders")
    (payload.root / "bios").mkdir(parents=True, exist_ok=True)
    if grub_for_bios:
        _make_grub(payload.root / "bios" / "core.0")
    (directory / payload.kernel).write_bytes((INSTALLER / "linux").read_bytes())
    (directory / payload.initrd).write_bytes(initrd())
    for name in disks:
        (directory / name).write_bytes(DISKS[name]())
    payload.template.write_text(KICKSTART)
    return payload


_GRUB_MODULES = (
    "pxe", "tftp", "normal", "configfile", "linux", "chain", "boot", "biosdisk", "echo", "sleep", "test", "reboot", "minicmd",
)  # fmt: skip


def _make_grub(place: Path) -> None:
    """GRUB for BIOS, as ``grub-mknetdir`` makes it; all that our texts use is built in."""
    subprocess.run(["grub-mkimage", "-O", "i386-pc-pxe", "-p", "/grub", "-o", str(place), *_GRUB_MODULES], check=True)


def _own_disk() -> bytes:
    return disk.image(mark("disk", "boot-sector"), disk.programs(mark("disk", "efi-program")), 1 << 20)


def _signed_disk() -> bytes:
    """As a distribution leaves it for Secure Boot, which refuses the lab's own program: shim, and a GRUB that prints the mark."""
    files = {
        "EFI/DEBIAN/SHIMX64.EFI": SHIM.read_bytes(),
        "EFI/DEBIAN/GRUBX64.EFI": DISK_GRUB.read_bytes(),
        "EFI/DEBIAN/GRUB.CFG": f'echo "{mark("disk", "signed-grub")}"\nhalt\n'.encode(),
    }
    return disk.image(mark("disk", "boot-sector"), files, 6 << 20)


DISKS: Mapping[str, Callable[[], bytes]] = {"disk.img": _own_disk, "signed.img": _signed_disk}
"""What a machine may install, by the file's name."""


def initrd(more: Iterable[cpio.Entry] = ()) -> bytes:
    """The first root of a machine; ``more``: what else is in it. Raises FileNotFoundError as ``build`` does."""
    installer, busybox = (INSTALLER / "initrd.gz").read_bytes(), BUSYBOX.read_bytes()
    available = {
        module_name(entry.name): entry.data
        for entry in cpio.parse(gzip.decompress(installer))
        if entry.name.endswith(".ko")
    }
    modules = in_load_order(_WANTED_MODULES, {name: dependencies(data) for name, data in available.items()})
    folders = ("dev", "proc", "sys", "bin", "etc", "tmp", "modules")
    entries = [cpio.directory(name) for name in folders]
    entries += [cpio.console(), cpio.file("bin/busybox", busybox, 0o755)]
    entries += [cpio.file(f"modules/{name}.ko", available[name]) for name in modules]
    entries += [cpio.file("modules/order", _order(modules).encode())]
    for name, place in (("init", "init"), ("udhcpc-script", "bin/udhcpc-script"), ("post.awk", "post.awk")):
        entries.append(cpio.file(place, (SCRIPTS / name).read_bytes(), 0o755))
    known = {entry.name for entry in entries}
    entries += [entry for entry in more if entry.name not in known]
    return gzip.compress(cpio.serialize(entries), compresslevel=6, mtime=0)


def _order(modules: Iterable[str]) -> str:
    """What /init loads, a line each: file name and parameters."""
    return "".join(f"{name}.ko{_PARAMETERS.get(name, '')}\n" for name in modules)


def module_name(path: str) -> str:
    """The kernel's name of a module file: it takes - and _ for the same."""
    return path.rsplit("/", 1)[-1].removesuffix(".ko").replace("-", "_")


def dependencies(module: bytes) -> tuple[str, ...]:
    """What a module file says that it needs (the string ``depends=a,b`` of its .modinfo section)."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    names = found[1].decode() if found else ""
    return tuple(module_name(name) for name in names.split(",") if name)


def in_load_order(wanted: Iterable[str], needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """``wanted`` and all they need, each after what it needs; names that are not in ``needs`` are built in."""
    order: list[str] = []

    def load(name: str) -> None:
        if name in needs and name not in order:
            for other in needs[name]:
                load(other)
            order.append(name)

    for name in wanted:
        load(name)
    return order
