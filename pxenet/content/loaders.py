"""Boot loaders, found where the packages of distributions put them, under the names that firmware is told.

Knows paths and packages. Must not know which loader suits whom (``boot.policy``). A file of the same name in ``server.root`` wins over
every package. Debian's paths are verified by the tests where the packages are installed; Fedora's and Arch's are those of
their syslinux and iPXE packages.
"""

from __future__ import annotations

import enum
import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pxenet.content.directory import Directory, mime_type
from pxenet.model import Absent, Asker, Content, Role, Standing


@dataclass(frozen=True, slots=True)
class _Where:
    """Where a file may be, the best first, and the Debian packages that bring it (and what it cannot do without)."""

    paths: tuple[str, ...]
    """Relative to the file system's root; ``*`` stands for a release number, the highest wins."""
    packages: tuple[str, ...] = ()
    """Empty: no package of Debian has it."""


_SYSLINUX_BIOS = ("usr/lib/syslinux/modules/bios", "usr/share/syslinux", "usr/lib/syslinux/bios")
_SYSLINUX_EFI64 = ("usr/lib/syslinux/modules/efi64", "usr/share/syslinux/efi64", "usr/lib/syslinux/efi64")
_SYSLINUX_EFI32 = ("usr/lib/syslinux/modules/efi32", "usr/share/syslinux/efi32", "usr/lib/syslinux/efi32")
_INSTALLER = "usr/lib/debian-installer/images/*/{0}/text/debian-installer/{0}/{1}"
_NETBOOT_ARM64 = ("debian-installer-12-netboot-arm64",)

# The "net" builds of GRUB, because their built-in prefix is /grub on the server; the others look for /EFI/debian or a disk. The ARM
# packages of GRUB and shim exist on ARM machines only; the installer's netboot package has both for everyone.
FILES: Mapping[str, _Where] = MappingProxyType(
    {
        "bios/pxelinux.0": _Where(
            ("usr/lib/PXELINUX/pxelinux.0", "usr/share/syslinux/pxelinux.0", "usr/lib/syslinux/bios/pxelinux.0"),
            ("pxelinux", "syslinux-common"),
        ),
        "bios/lpxelinux.0": _Where(
            ("usr/lib/PXELINUX/lpxelinux.0", "usr/share/syslinux/lpxelinux.0", "usr/lib/syslinux/bios/lpxelinux.0"),
            ("pxelinux", "syslinux-common"),
        ),
        "bios/undionly.kpxe": _Where(("usr/lib/ipxe/undionly.kpxe", "usr/share/ipxe/undionly.kpxe"), ("ipxe",)),
        "bios/ipxe.pxe": _Where(("usr/lib/ipxe/ipxe.pxe",), ("ipxe",)),
        "bios/core.0": _Where(()),
        "x64/grubx64.efi": _Where(
            (
                "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
                "usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi",
                _INSTALLER.format("amd64", "grubx64.efi"),
            ),
            ("grub-efi-amd64-signed",),
        ),
        "x64/shimx64.efi": _Where(
            (
                "usr/lib/shim/shimx64.efi.signed",
                "usr/lib/shim/shimx64.efi.signed.latest",
                _INSTALLER.format("amd64", "bootnetx64.efi"),
            ),
            ("shim-signed",),
        ),
        "x64/mmx64.efi": _Where(
            ("usr/lib/shim/mmx64.efi.signed", "usr/lib/shim/mmx64.efi"), ("shim-helpers-amd64-signed",)
        ),
        "x64/ipxe.efi": _Where(("usr/lib/ipxe/ipxe.efi", "usr/share/ipxe/ipxe-x86_64.efi"), ("ipxe",)),
        "x64/snponly.efi": _Where(("usr/lib/ipxe/snponly.efi", "usr/share/ipxe/ipxe-snponly-x86_64.efi"), ("ipxe",)),
        "x64/syslinux.efi": _Where(
            (
                "usr/lib/SYSLINUX.EFI/efi64/syslinux.efi",
                "usr/share/syslinux/efi64/syslinux.efi",
                "usr/lib/syslinux/efi64/syslinux.efi",
            ),
            ("syslinux-efi", "syslinux-common"),
        ),
        "x64/ldlinux.e64": _Where(tuple(f"{place}/ldlinux.e64" for place in _SYSLINUX_EFI64), ("syslinux-common",)),
        "ia32/grubia32.efi": _Where(
            (
                "usr/lib/grub/i386-efi-signed/grubnetia32.efi.signed",
                "usr/lib/grub/i386-efi/monolithic/grubnetia32.efi",
            ),
            ("grub-efi-ia32-bin",),
        ),
        "ia32/shimia32.efi": _Where(("usr/lib/shim/shimia32.efi.signed",)),
        "ia32/mmia32.efi": _Where(("usr/lib/shim/mmia32.efi.signed", "usr/lib/shim/mmia32.efi")),
        "ia32/ipxe.efi": _Where(("usr/share/ipxe/ipxe-i386.efi",)),
        "ia32/snponly.efi": _Where(("usr/share/ipxe/ipxe-snponly-i386.efi",)),
        "ia32/syslinux.efi": _Where(
            (
                "usr/lib/SYSLINUX.EFI/efi32/syslinux.efi",
                "usr/share/syslinux/efi32/syslinux.efi",
                "usr/lib/syslinux/efi32/syslinux.efi",
            ),
            ("syslinux-efi", "syslinux-common"),
        ),
        "ia32/ldlinux.e32": _Where(tuple(f"{place}/ldlinux.e32" for place in _SYSLINUX_EFI32), ("syslinux-common",)),
        "arm64/grubaa64.efi": _Where(
            (
                "usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed",
                "usr/lib/grub/arm64-efi/monolithic/grubnetaa64.efi",
                _INSTALLER.format("arm64", "grubaa64.efi"),
            ),
            _NETBOOT_ARM64,
        ),
        "arm64/shimaa64.efi": _Where(
            ("usr/lib/shim/shimaa64.efi.signed", _INSTALLER.format("arm64", "bootnetaa64.efi")), _NETBOOT_ARM64
        ),
        "arm64/mmaa64.efi": _Where(("usr/lib/shim/mmaa64.efi.signed", "usr/lib/shim/mmaa64.efi")),
        "arm64/ipxe.efi": _Where(("usr/share/ipxe/arm64-efi/ipxe.efi",)),
        "arm64/snponly.efi": _Where(("usr/share/ipxe/arm64-efi/snponly.efi",)),
    }
)
"""Name in the tree → where it comes from."""

_MODULE = re.compile(r"(bios|x64|ia32)/([A-Za-z0-9_-]+\.c32)")
_MODULE_PLACES = {"bios": _SYSLINUX_BIOS, "x64": _SYSLINUX_EFI64, "ia32": _SYSLINUX_EFI32}

_BARE = {name.partition("/")[2]: name for name in FILES if re.search(r"/(grub|mm)\w+\.efi$", name)}
"""shim whose DHCP answer had no file name (ProxyDHCP) asks for its second stage without a directory."""


_NOBODY = Asker(0)


class LoaderState(enum.Enum):
    """Whether a name can be served."""

    OWN = "in server.root"
    PACKAGE = "from a package"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class _PackageStanding:
    """The packages are searched again, and must lead to the same file unchanged, with still none of the user's own before it."""

    loaders: Loaders
    path: str
    file: str
    found: Standing

    @property
    def changed_at(self) -> float:
        return self.found.changed_at

    def holds(self) -> bool:
        return self.loaders.leads_to(self.path, self.file) and self.found.holds()


class Loaders:
    """The source of ``<platform>/<file>``. Looks at the disk each time: a package may be installed while the server runs."""

    def __init__(self, root: Path | None = None, system: Path = Path("/")) -> None:
        """``root`` is ``server.root``; ``system`` the root of the file system in which packages are looked for."""
        self._own = Directory(root, role=Role.LOADER) if root is not None else None
        self._root = root
        self._system = system
        self._directories: dict[str, Directory] = {}

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        """A loader or one of its modules; None for every other name, and for those that nobody has."""
        known = path
        if path in _BARE:
            if self._own is not None and self._own.find(path, asker, now) is not None:
                return None  # the user's own file of that name: served as such
            known = _BARE[path]
        where = _where(known)
        if where is None:
            return None
        if self._own is not None:
            own = self._own.find(known, asker, now)
            if isinstance(own, Content) and path != known:
                return replace(own, standing=None)
            if own is not None:
                return own
        file = self._package_file(where)
        if file is None:
            return None
        directory, name = os.path.split(file)
        found = self._directories.setdefault(directory, Directory(directory)).find(name, asker, now)
        if not isinstance(found, Content):
            return found
        # For a bare name the user's own file comes first wherever it lies: that it is not there is no promise.
        standing = None
        if found.standing is not None and path == known:
            standing = _PackageStanding(self, known, file, found.standing)
        return replace(found, name=known, mime=mime_type(known), role=Role.LOADER, standing=standing)

    def leads_to(self, path: str, file: str) -> bool:
        """The name of a loader still stands for this file of a package."""
        where = _where(path)
        if where is None or (self._own is not None and self._own.find(path, _NOBODY, 0.0) is not None):
            return False
        return self._package_file(where) == file

    def claims(self, path: str) -> bool:
        """It is the name of a loader or of a module."""
        return path in _BARE or _where(path) is not None

    def state(self, path: str) -> LoaderState:
        """Where the file of that name would come from now."""
        if self._root is not None and (self._root / path).is_file():
            return LoaderState.OWN
        where = _where(path)
        return LoaderState.PACKAGE if where is not None and self._package_file(where) else LoaderState.MISSING

    def has(self, path: str) -> bool:
        """The name can be served."""
        return self.state(path) is not LoaderState.MISSING

    def advice(self, *paths: str) -> str:
        """How to get the files of these names: every package once."""
        packages: dict[str, None] = {}
        own: list[str] = []
        for path in paths:
            where = _where(path)
            if where is not None and where.packages:
                packages.update(dict.fromkeys(where.packages))
            else:
                place = self._root / path if self._root is not None else f"{path} below server.root"
                own.append(f"no package of Debian has {path}; put it at {place}")
        return "; ".join(([f"apt install {' '.join(packages)}"] if packages else []) + own)

    def origin(self, path: str) -> str:
        """The file on disk behind a name, for people; empty when there is none."""
        if self._root is not None and (self._root / path).is_file():
            return str(self._root / path)
        where = _where(path)
        return (self._package_file(where) if where is not None else None) or ""

    def _package_file(self, where: _Where) -> str | None:
        for path in where.paths:
            full = str(self._system / path)
            # Latest release first: "13" before "12", by number and not by letter.
            for candidate in sorted(glob.glob(full), key=_by_number, reverse=True) if "*" in path else [full]:
                # Packages link one another's files (Debian: ipxe.efi lies in /boot); who installs them may do that.
                real = os.path.realpath(candidate)
                if os.path.isfile(real):
                    return real
        return None


def _where(path: str) -> _Where | None:
    where = FILES.get(path)
    if where is None:
        module = _MODULE.fullmatch(path)
        if module is not None:
            places = _MODULE_PLACES[module[1]]
            where = _Where(tuple(f"{place}/{module[2]}" for place in places), ("syslinux-common",))
    return where


def _by_number(path: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", path)]
