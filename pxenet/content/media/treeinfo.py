"""Trees that describe themselves by ``.treeinfo``: the RHEL family, Fedora, SUSE since 15.

The form is productmd's (``doc/treeinfo-1.2.rst``), and those that were before it.

Knows the file's generations. Must not know how the tree is read.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from dataclasses import dataclass

from pxenet.content.media.found import Found, Repository, View, by_place, inside
from pxenet.model import Installer

TREEINFO_NAMES = (".treeinfo", "treeinfo")
"""Mirrors behind content-delivery hosts drop dot files, hence both."""

_DIGEST = re.compile(r"(md5|sha1|sha224|sha256|sha384|sha512):([0-9a-fA-F]{32,128})")
_STAGE2 = ("images/install.img", "LiveOS/squashfs.img")
"""Where anaconda's initramfs looks when nothing tells, in this order (anaconda ``dracut/anaconda-lib.sh``)."""


@dataclass(frozen=True, slots=True)
class TreeInfo:
    """The file's content, whatever its generation."""

    family: str
    version: str
    arch: str
    kernel: str | None
    initrd: str | None
    stage2: str | None
    repositories: tuple[tuple[str, str], ...]
    """(name, path as written): relative to the file, perhaps out of its directory."""
    checksums: dict[str, str]


def parse_treeinfo(text: str) -> TreeInfo | None:
    """The description in a .treeinfo; None when it is none. Names keep their case, ``%`` means nothing, values may be empty."""
    info = configparser.RawConfigParser(
        strict=False, allow_no_value=True, comment_prefixes=("#", ";"), delimiters=("=",)
    )
    info.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        info.read_string(text)
    except configparser.Error:
        return None

    def first(*places: tuple[str, str]) -> str:
        values = ((info.get(section, key, fallback="") or "").strip() for section, key in places)
        return next(filter(None, values), "")

    arch = first(("tree", "arch"), ("general", "arch"))
    if not arch and not info.has_section("general") and not info.has_section("tree"):
        return None
    images = f"images-{arch}"
    family = first(("release", "name"), ("product", "name"), ("general", "family"), ("general", "name"))
    if "SUSE" in first(("general", "family")):
        # [release] has "SUSE Linux Enterprise" and "15 SP4" there, which no tool compares with.
        family = first(("general", "family"))
        version = first(("general", "version"), ("release", "version"))
    else:
        version = first(("release", "version"), ("product", "version"), ("general", "version"))
    return TreeInfo(
        family=family,
        version=version,
        arch=arch,
        kernel=inside(first((images, "kernel"))),
        initrd=inside(first((images, "initrd"))),
        stage2=inside(first(("stage2", "mainimage"))),
        repositories=tuple(_repositories(info)),
        checksums=_checksums(info),
    )


def _repositories(info: configparser.RawConfigParser) -> list[tuple[str, str]]:
    found = []
    for section in info.sections():
        kind, dash, name = section.partition("-")
        if dash and kind in ("variant", "addon"):
            path = (info.get(section, "repository", fallback="") or "").strip()
            # RHEL 6.0 to 6.5 name the directory of the metadata.
            path = path.removesuffix("/repodata") if path != "repodata" else "."
            if path:
                found.append((name, path))
    return found


def _checksums(info: configparser.RawConfigParser) -> dict[str, str]:
    if not info.has_section("checksums"):
        return {}
    found = {}
    for name, value in info.items("checksums"):
        path = inside(name)
        if path is not None and _DIGEST.fullmatch((value or "").strip()):
            found[path] = value.strip().lower()
    return found


def probe(view: View, root: str = "") -> Found | None:
    """The tree that a .treeinfo in ``view`` describes. ``root``: how far below the place looked at that view is."""
    for name in TREEINFO_NAMES:
        text = view.read(name)
        info = parse_treeinfo(text) if text is not None else None
        if info is not None:
            return _found(view, info, name, root)
    return None


def _found(view: View, info: TreeInfo, name: str, root: str) -> Found:
    why = [f"{name} says {' '.join(filter(None, (info.family, info.version, info.arch)))}"]
    missing = []
    kernel, initrd = info.kernel, info.initrd
    if kernel is not None and view.exists(kernel):
        why.append(f"kernel and initrd are those of [images-{info.arch}] in {name}")
        if initrd is not None and not view.exists(initrd):
            missing.append(f"{initrd}, which {name} names as the initrd: copy the tree whole")
            initrd = None
    else:
        if kernel is not None:
            missing.append(f"{kernel}, which {name} names as the kernel: copy the tree whole")
        kernel, initrd = by_place(view) or (None, None)
        if kernel is not None:
            why.append(f"{kernel} is in a customary place")
    suse = "SUSE" in info.family
    stage2 = None if suse else _stage2(view, info, name, why, missing)
    repositories, outside = _reachable(view, info, root)
    for each in repositories:
        why.append(f"repository {each.name} at {each.path or '.'}")
    if suse and not repositories and view.exists("repodata/repomd.xml"):
        repositories = (Repository("product", ""),)
        why.append("repodata/repomd.xml is a repository")
    if not repositories and not outside and not suse:
        missing.append("a package repository: name one in the answer file, or in args")
    return Found(
        family=info.family,
        version=info.version,
        arch=info.arch,
        installer=_installer(info, suse),
        kernel=kernel,
        initrd=initrd,
        stage2=stage2,
        repositories=repositories,
        outside=outside,
        checksums=info.checksums,
        why=tuple(why),
        missing=tuple(missing),
    )


def _installer(info: TreeInfo, suse: bool) -> Installer:
    if suse:
        return Installer.LINUXRC
    if "XenServer" in info.family or ("Silverblue" in info.family and info.kernel is None):
        return Installer.OTHER
    return anaconda_of(info.family, info.version)


def anaconda_of(family: str, version: str) -> Installer:
    """Which anaconda a release has: those older than RHEL 7 and Fedora 17 know no ``inst.``."""
    major = re.match(r"\d+", version)
    old = 17 if family.startswith("Fedora") else 7
    return Installer.ANACONDA_LEGACY if major and int(major[0]) < old else Installer.ANACONDA


def _stage2(view: View, info: TreeInfo, name: str, why: list[str], missing: list[str]) -> str | None:
    if info.stage2 is not None:
        if view.exists(info.stage2):
            why.append(f"stage 2 is mainimage in [stage2] of {name}")
            return info.stage2
        missing.append(f"{info.stage2}, which {name} names as stage 2: copy the tree whole")
    for path in _STAGE2:
        if view.exists(path):
            why.append(f"stage 2 {path} is in a customary place")
            return path
    return None


def _reachable(view: View, info: TreeInfo, root: str) -> tuple[tuple[Repository, ...], tuple[str, ...]]:
    """The repositories that lie below the place looked at, and those that do not."""
    reachable, outside = [], []
    for name, path in info.repositories:
        if path.startswith("/") or "://" in path or inside(posixpath.join(root, path)) is None:
            outside.append(path)
        else:
            below = posixpath.normpath(path)
            reachable.append(Repository(name, "" if below == "." else below))
    if not info.repositories and view.exists("repodata/repomd.xml"):
        reachable.append(Repository(info.family or "packages", ""))
    return tuple(reachable), tuple(outside)
