"""What an install tree turns out to be, and the view of it that is looked through: a directory, an image, or an URL alike."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

from pxenet.model import Installer

_NOTHING: Mapping[str, str] = MappingProxyType({})


class View(Protocol):
    """An install tree as the probes see it. Names are relative, without ``..``; a name that cannot be read is not there."""

    @property
    def volume_id(self) -> str:
        """Of an ISO image; empty for everything else."""
        ...

    def read(self, path: str) -> str | None:
        """The text of a small file; None when it is not there."""
        ...

    def exists(self, path: str) -> bool:
        """A file of that name is there."""
        ...

    def names(self, directory: str) -> list[str]:
        """What is in a directory; nothing where that cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Repository:
    """A package repository that a tree names."""

    name: str
    path: str
    """Below the place looked at; "" is that place itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """An install tree. All paths are relative to the place looked at."""

    family: str
    """"Rocky Linux", "Debian", "openSUSE Leap": as it says of itself."""
    version: str = ""
    arch: str = ""
    """In the words of its family: x86_64 or amd64."""
    installer: Installer = Installer.OTHER
    root: str = ""
    """Where the tree proper begins: what an installer is told as its source."""
    kernel: str | None = None
    initrd: str | None = None
    stage2: str | None = None
    """The image with the installer's system."""
    repositories: tuple[Repository, ...] = ()
    outside: tuple[str, ...] = ()
    """Repositories that it refers to and that lie above the place looked at: clients cannot reach them."""
    checksums: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Path → ``algorithm:hex``, as far as the tree's own description tells."""
    why: tuple[str, ...] = ()
    """What each finding follows from, a sentence each."""
    missing: tuple[str, ...] = ()
    """What is not there, and what to do about it."""

    def below(self, root: str) -> Found:
        """The same, of a tree that begins below the place looked at."""
        if not root:
            return self

        def moved(path: str | None) -> str | None:
            return None if path is None else posixpath.join(root, path)

        repositories = tuple(
            Repository(each.name, posixpath.normpath(posixpath.join(root, each.path))) for each in self.repositories
        )
        return replace(
            self,
            root=posixpath.join(root, self.root) if self.root else root,
            kernel=moved(self.kernel),
            initrd=moved(self.initrd),
            stage2=moved(self.stage2),
            repositories=repositories,
            checksums={posixpath.join(root, path): digest for path, digest in self.checksums.items()},
        )


def inside(path: str | None) -> str | None:
    """A path that a tree names, normalised; None when it is empty or leaves the tree."""
    if not path or not path.strip() or path.strip().startswith("/") or "://" in path or "\0" in path:
        return None
    normal = posixpath.normpath(path.strip())
    return None if normal == ".." or normal.startswith("../") else normal


class Below:
    """A view of what is below a directory of another one."""

    def __init__(self, view: View, root: str) -> None:
        self._view = view
        self._root = root

    @property
    def volume_id(self) -> str:
        """An image's name says nothing of a directory in it."""
        return "" if self._root else self._view.volume_id

    def read(self, path: str) -> str | None:
        """See View."""
        return self._view.read(posixpath.join(self._root, path))

    def exists(self, path: str) -> bool:
        """See View."""
        return self._view.exists(posixpath.join(self._root, path))

    def names(self, directory: str) -> list[str]:
        """See View."""
        return self._view.names(posixpath.join(self._root, directory).rstrip("/"))


PLACES = (
    ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"),  # RHEL family and Fedora, when .treeinfo was not copied
    ("isolinux/vmlinuz", "isolinux/initrd.img"),
    ("ppc/ppc64/vmlinuz", "ppc/ppc64/initrd.img"),
    ("images/kernel.img", "images/initrd.img"),  # s390x
    ("debian-installer/amd64/linux", "debian-installer/amd64/initrd.gz"),  # Debian netboot.tar.gz
    ("debian-installer/arm64/linux", "debian-installer/arm64/initrd.gz"),
    ("ubuntu-installer/amd64/linux", "ubuntu-installer/amd64/initrd.gz"),  # the same of Ubuntu up to 20.04
    ("linux", "initrd.gz"),  # a directory of Debian netboot files
    ("linux", "initrd"),  # of Ubuntu netboot files
    ("vmlinuz", "initrd.img"),
    ("vmlinuz", "initrd"),
)
"""Kernel and initrd of trees that say nothing of themselves."""


def by_place(view: View) -> tuple[str, str | None] | None:
    """Kernel and initrd in one of the customary places."""
    for kernel, initrd in PLACES:
        if view.exists(kernel):
            return kernel, initrd if view.exists(initrd) else None
    return None
