"""Which install tree this is: the probes in order, at each place where a tree may begin.

First hit with a kernel wins; one without is kept as the second best, for it still says what is missing. A volume id is the last
resort: it names a distribution and cannot tell its images apart.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace

from pxenet.content.media import debian, others, suse, treeinfo
from pxenet.content.media.found import Below, Found, Repository, View, by_place
from pxenet.content.media.treeinfo import anaconda_of
from pxenet.model import Installer

ROOTS = (
    "",
    "os",
    "x86_64/os",
    "aarch64/os",
    "BaseOS/x86_64/os",
    "BaseOS/aarch64/os",
    "BaseOS/x86_64_v2/os",
    "BaseOS/ppc64le/os",
    "BaseOS/s390x/os",
    "install",
)
"""Where the tree proper may begin below the place that a person points at."""

_VOLUMES = (
    (
        re.compile(r"RHEL-(\d+)[-.](\d+)(?:-0)?(?:-BaseOS-|[ ]\w+\.)(\w+)"),
        "Red Hat Enterprise Linux",
        Installer.ANACONDA,
    ),
    (re.compile(r"CentOS-Stream-(\d+)()(?:-BaseOS)?-(\w+?)(?:-dvd)?"), "CentOS Stream", Installer.ANACONDA),
    (re.compile(r"CentOS[-_](\d+)[-._](\d+)\S*?(?:-(x86_64|aarch64|ppc64le)\S*|_Final)"), "CentOS", Installer.ANACONDA),
    (re.compile(r"Rocky-(\d+)-(\d+)-(\w+)-dvd"), "Rocky Linux", Installer.ANACONDA),
    (re.compile(r"AlmaLinux-(\d+)-(\d+)-(\w+)-dvd"), "AlmaLinux", Installer.ANACONDA),
    (
        re.compile(r"OL-?(\d+)[-.](\d+)(?:-0)?(?:-BaseOS-|[ ]Server\.|[ ])(x86_64|aarch64).*"),
        "Oracle Linux",
        Installer.ANACONDA,
    ),
    (re.compile(r"Fedora-\w+-(?:dvd|ostree)-(?:(?P<arch>\w+)-)(?P<version>\d+)"), "Fedora", Installer.ANACONDA),
    (re.compile(r"Debian (\d+)\.(\d+)\S* (\S+).*"), "Debian", Installer.DEBIAN),
    (re.compile(r"Ubuntu-Server (\d+)\.(\d+)\S*(?: LTS)? (\S+)"), "Ubuntu-Server", Installer.SUBIQUITY),
    (re.compile(r"Ubuntu (\d+)\.(\d+)\S*(?: LTS)? (\S+)"), "Ubuntu", Installer.SUBIQUITY),
    (
        re.compile(r"SLE-(\d+)-SP(\d+).*?-(x86_64|aarch64|ppc64le|s390x).*"),
        "SUSE Linux Enterprise Server",
        Installer.LINUXRC,
    ),
    (
        re.compile(r"openSUSE-Leap-(\d+)\.(\d+)-\w+-(x86_64|aarch64|ppc64le|s390x).*"),
        "openSUSE Leap",
        Installer.LINUXRC,
    ),
    (re.compile(r"Install-Leap-(\d+)\.(\d+)-(\w+)"), "openSUSE Leap", Installer.AGAMA),
    (re.compile(r"Install-SUSE-SLE-(\d+)()-(\w+)"), "SUSE Linux Enterprise Server", Installer.AGAMA),
)
"""Volume ids of distributions' images, from the images that osinfo-db has seen: (major, minor, architecture)."""


def detect(view: View) -> Found | None:
    """The install tree in ``view``; None when there is nothing that is known. With a kernel, or with the reason why there is none."""
    second: Found | None = None
    for root in ROOTS:
        found = _at(Below(view, root) if root else view, root)
        if found is None:
            continue
        found = _named(found.below(root), view)
        if found.kernel is not None:
            return found
        second = second or found
    return second or _by_volume(view)


def _named(found: Found, view: View) -> Found:
    """With the name that the volume id tells, where the tree itself tells none."""
    volume = None if found.family and found.version else _by_volume(view)
    if volume is None or (found.family not in ("", "SUSE", "Ubuntu", "Debian") and found.family != volume.family):
        return found
    return replace(
        found,
        family=volume.family,
        version=found.version or volume.version,
        arch=found.arch or volume.arch,
        why=(*found.why, *volume.why),
    )


def _at(view: View, root: str) -> Found | None:
    told = treeinfo.probe(view, root)
    if told is not None:
        told = suse.completed(told, view)
        if told.kernel is not None:
            return told
    for probe in (debian.probe, suse.probe, others.probe):
        found = probe(view)
        if found is not None:
            return found
    if told is not None:
        return told
    return _by_places(view)


def _by_places(view: View) -> Found | None:
    boot = suse.boot_files(view)
    if boot is not None:
        return Found(
            "SUSE", "", boot[2], Installer.LINUXRC, kernel=boot[0], initrd=boot[1] if view.exists(boot[1]) else None,
            why=(f"{boot[0]} is in SUSE's place",),
        )  # fmt: skip
    place = by_place(view)
    if place is None:
        return None
    kernel, initrd = place
    anaconda = kernel.startswith("images/pxeboot/")
    stage2 = next(filter(view.exists, ("images/install.img", "LiveOS/squashfs.img")), None) if anaconda else None
    family, version, arch = _discinfo(view) if anaconda else ("", "", "")
    return Found(
        family,
        version,
        arch,
        anaconda_of(family, version) if anaconda else Installer.OTHER,
        kernel=kernel,
        initrd=initrd,
        stage2=stage2,
        repositories=tuple(_repositories(view)) if anaconda else (),
        why=(f"{kernel} is in a customary place; nothing says what it is of",),
    )


def _repositories(view: View) -> Iterator[Repository]:
    """Where media of the RHEL family have packages."""
    for name in ("", "BaseOS", "AppStream", "Minimal", "minimal", "Server"):
        if view.exists(posixpath.join(name, "repodata/repomd.xml")):
            yield Repository(name or "packages", name)


def _discinfo(view: View) -> tuple[str, str, str]:
    """Family, version and architecture of a ``.discinfo`` (productmd ``doc/discinfo-1.0.rst``): its second and third line."""
    lines = (view.read(".discinfo") or "").splitlines()
    if len(lines) < 3 or not re.fullmatch(r"\d+\.\d+", lines[0].strip()):
        return "", "", ""
    match = re.fullmatch(r"(?P<family>[A-Za-z][A-Za-z ]*?)[ -](?P<version>\d[\d.]*)", lines[1].strip())
    return (match["family"], match["version"], lines[2].strip()) if match else ("", "", lines[2].strip())


def _by_volume(view: View) -> Found | None:
    for pattern, family, installer in _VOLUMES:
        match = pattern.fullmatch(view.volume_id)
        if match is None:
            continue
        named = match.groupdict()
        if named:
            version, arch = named["version"], named["arch"]
        else:
            major, minor, arch = match.groups()
            version = f"{major}.{minor}" if minor else major
        if installer is Installer.ANACONDA:
            installer = anaconda_of(family, version)
        return Found(
            family,
            version,
            arch or "",
            installer,
            why=(f'the volume id is "{view.volume_id}"',),
            missing=("a kernel in the places where this distribution has one",),
        )
    return None
