"""Install trees on disk: where the kernel and the initrd for a network boot are in them.

Knows the layouts of distributions' media and mirrors: what the trees say of themselves where they do (``.treeinfo``), else
the customary places. Must not know profiles or URLs.
"""

from __future__ import annotations

import configparser
import posixpath
from dataclasses import dataclass
from pathlib import Path

TREEINFO_NAMES = (".treeinfo", "treeinfo")
"""Mirrors behind content-delivery hosts drop dot files, hence both."""

ROOTS = ("", "os", "x86_64/os", "aarch64/os", "BaseOS/x86_64/os", "BaseOS/aarch64/os", "BaseOS/x86_64_v2/os", "install")
"""Where the tree proper may begin below the directory that a person points at."""

PLACES = (
    ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"),  # RHEL family and Fedora, when .treeinfo was not copied
    ("debian-installer/amd64/linux", "debian-installer/amd64/initrd.gz"),  # Debian netboot.tar.gz
    ("debian-installer/arm64/linux", "debian-installer/arm64/initrd.gz"),
    ("casper/vmlinuz", "casper/initrd"),  # Ubuntu live server
    ("boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"),  # SUSE
    ("boot/aarch64/linux", "boot/aarch64/initrd"),
    ("arch/boot/x86_64/vmlinuz-linux", "arch/boot/x86_64/initramfs-linux.img"),
    ("boot/vmlinuz-lts", "boot/initramfs-lts"),  # Alpine
    ("linux", "initrd.gz"),  # a directory of Debian netboot files
    ("vmlinuz", "initrd.img"),
)
"""Kernel and initrd of trees that do not say where they are."""


@dataclass(frozen=True, slots=True)
class BootFiles:
    """The files to boot from an install tree, relative to the directory given."""

    kernel: str
    initrd: str | None
    root: str = ""
    """Where the tree proper begins, relative to the directory given: what an installer is told as its source."""
    outside: tuple[str, ...] = ()
    """Repositories that the tree refers to and that lie above the directory given: clients cannot reach them."""


def find_boot_files(directory: Path) -> BootFiles | None:
    """The boot files of an install tree; None when the directory has none that is known. May raise OSError."""
    for root in ROOTS:
        for name in TREEINFO_NAMES:
            found = _by_treeinfo(directory, root, directory / root / name)
            if found is not None:
                return found
    for root in ROOTS:
        for kernel, initrd in PLACES:
            if (directory / root / kernel).is_file():
                beside = (directory / root / initrd).is_file()
                return BootFiles(posixpath.join(root, kernel), posixpath.join(root, initrd) if beside else None, root)
    return None


def is_debian_medium(directory: Path) -> bool:
    """A Debian CD or DVD: its own initrd looks for a CD drive and cannot install over the network."""
    return any((directory / name / "vmlinuz").is_file() for name in ("install.amd", "install.a64", "install.386"))


def _by_treeinfo(directory: Path, root: str, path: Path) -> BootFiles | None:
    """What a .treeinfo names, when the files exist: a tree copied in part counts as one without."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    info = _treeinfo(text)
    if info is None:
        return None
    arch = info.get("tree", "arch", fallback="") or info.get("general", "arch", fallback="")
    images = f"images-{arch.strip()}"
    kernel = _inside(info.get(images, "kernel", fallback=""))
    if kernel is None or not (directory / root / kernel).is_file():
        return None
    initrd = _inside(info.get(images, "initrd", fallback=""))
    return BootFiles(
        posixpath.join(root, kernel),
        posixpath.join(root, initrd) if initrd is not None else None,
        root,
        tuple(_repositories_outside(info, root)),
    )


def _treeinfo(text: str) -> configparser.RawConfigParser | None:
    """The parsed file. Names keep their case, ``%`` means nothing, values may be empty (productmd's dialect of INI)."""
    info = configparser.RawConfigParser(
        strict=False, allow_no_value=True, comment_prefixes=("#", ";"), delimiters=("=",)
    )
    info.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        info.read_string(text)
    except configparser.Error:
        return None
    return info


def _inside(path: str | None) -> str | None:
    """A path that a tree names, normalised; None when it is empty or leaves the tree."""
    if not path or not path.strip() or path.startswith("/") or "://" in path:
        return None
    normal = posixpath.normpath(path.strip())
    return None if normal.startswith("..") else normal


def _repositories_outside(info: configparser.RawConfigParser, root: str) -> list[str]:
    """The repositories of the tree's variants that are not below the directory given."""
    outside = []
    for section in info.sections():
        if section.startswith(("variant-", "addon-")):
            repository = info.get(section, "repository", fallback="") or ""
            if _inside(posixpath.join(root, repository.strip())) is None and repository.strip():
                outside.append(repository.strip())
    return outside
