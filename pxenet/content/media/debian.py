"""Media and mirrors of Debian and Ubuntu: ``.disk/info``, installer directories with a MANIFEST, netboot tarballs, casper.

Knows which of their initrds install over a network, and which look for a CD drive only.
"""

from __future__ import annotations

import re

from pxenet.content.media.found import Found, Repository, View
from pxenet.model import Installer

_INFO = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z /-]*?) (?P<version>\d+(?:\.\d+)*)(?: LTS)?(?: \"(?P<codename>[^\"]*)\")? - "
    r"(?:.*?\b)?(?P<arch>amd64|arm64|armhf|armel|i386|ppc64el|riscv64|s390x|mips64el|mipsel|powerpc)\b"
)
"""``Ubuntu-Server 24.04.4 LTS "Noble Numbat" - Release amd64 (20260210)``, ``Debian GNU/Linux 13.6.0 "Trixie" - Official amd64 …``."""

_ARCHES = ("amd64", "arm64", "i386", "armhf", "ppc64el", "riscv64", "s390x")

_MEDIUM_KERNELS = {
    "amd64": "install.amd/vmlinuz",
    "i386": "install.386/vmlinuz",
    "arm64": "install.a64/vmlinuz",
    "armhf": "install.ahf/vmlinuz",
    "ppc64el": "install/vmlinux",
    "riscv64": "install/vmlinux",
    "s390x": "boot/linux_vm",
}

_CASPER = (
    ("casper/vmlinuz", ("casper/initrd", "casper/initrd.gz", "casper/initrd.lz")),
    ("casper/vmlinux", ("casper/initrd", "casper/initrd.gz")),
    ("boot/kernel.ubuntu", ("boot/initrd.ubuntu",)),
)
_CASPER_ROOTS = (
    "casper/ubuntu-server-minimal.squashfs",
    "casper/installer.squashfs",
    "casper/filesystem.squashfs",
    "casper/minimal.squashfs",
)

_IMAGES = ("current/images", "current/legacy-images", "daily", "images", ".")
"""Where a MANIFEST may stand below an installer directory."""

_MARK = "netboot/"


def probe(view: View) -> Found | None:
    """A Debian or Ubuntu tree of any shape."""
    return _medium(view) or _mirror(view) or _installer_directory(view) or _netboot(view)


def _medium(view: View) -> Found | None:
    info = view.read(".disk/info")
    if info is None:
        return _unnamed_medium(view)
    match = _INFO.match(info.strip())
    if match is None:
        return None
    name, version, arch = match["name"].removesuffix(" GNU/Linux"), match["version"], match["arch"]
    why = (f'.disk/info says "{info.strip()[:80]}"',)
    if name.startswith("Debian"):
        return _debian_medium(view, version, arch, why)
    casper = _casper(view, name, version, arch, why)
    if casper is not None:
        return casper
    legacy = _tarball(view, "install/netboot/", (arch,))
    missing: tuple[str, ...] = ()
    if legacy is None:
        missing = ("a kernel for the network: name kernel and initrd of the netboot files of this release",)
    return Found(
        name,
        version,
        arch,
        Installer.DEBIAN if view.exists("install/vmlinuz") or legacy else Installer.SUBIQUITY,
        kernel=legacy[0] if legacy else None,
        initrd=legacy[1] if legacy else None,
        repositories=_pool(view),
        why=(*why, "netboot files of its own are in install/netboot") if legacy else why,
        missing=missing,
    )


def _unnamed_medium(view: View) -> Found | None:
    """One whose ``.disk`` was not copied: known by its kernels, named by the one suite that it has."""
    for arch, kernel in _MEDIUM_KERNELS.items():
        if kernel.startswith("install.") and view.exists(kernel):
            return _debian_medium(view, _release(view, "Version"), arch, (f"{kernel}: a Debian medium",))
    name, version = _release(view, "Origin") or "Ubuntu", _release(view, "Version")
    casper = _casper(view, name, version, "", ())
    legacy = _tarball(view, "install/netboot/", _ARCHES) if casper is None else None
    if legacy is None:
        return casper
    kernel, initrd, arch = legacy
    why = (f"{kernel}: netboot files of its own",)
    return Found(name, version, arch, Installer.DEBIAN, kernel=kernel, initrd=initrd, repositories=_pool(view), why=why)


def _release(view: View, name: str) -> str:
    """A field of the medium's Release file, when it has one suite."""
    suites = _pool(view)
    return _field(view.read(f"dists/{suites[0].name}/Release") or "", name) if len(suites) == 1 else ""


def _debian_medium(view: View, version: str, arch: str, why: tuple[str, ...]) -> Found:
    """Its own kernel is no use here: the initrd beside it looks for a CD drive."""
    found = _tarball(view, "", (arch,))
    kernel = _MEDIUM_KERNELS.get(arch, "")
    missing: tuple[str, ...] = ()
    if found is None:
        there = f"{kernel} is there, but its initrd installs from a CD drive only" if view.exists(kernel) else "none"
        missing = (
            f"a kernel for the network ({there}): unpack netboot.tar.gz of the same release, and name its linux and initrd.gz",
        )
    return Found(
        "Debian",
        version,
        arch,
        Installer.DEBIAN,
        kernel=found[0] if found else None,
        initrd=found[1] if found else None,
        repositories=_pool(view),
        why=why,
        missing=missing,
    )


def _casper(view: View, name: str, version: str, arch: str, why: tuple[str, ...]) -> Found | None:
    for kernel, initrds in _CASPER:
        if view.exists(kernel):
            initrd = next(filter(view.exists, initrds), None)
            root = next(filter(view.exists, _CASPER_ROOTS), None)
            missing = () if initrd else ("the initrd of casper: copy the medium whole",)
            return Found(
                name,
                version,
                arch or ("s390x" if kernel.startswith("boot/") else ""),
                Installer.SUBIQUITY,
                kernel=kernel,
                initrd=initrd,
                stage2=root,
                repositories=_pool(view),
                why=(*why, f"{kernel}: a live system, which fetches the whole image into memory (url=….iso)"),
                missing=missing,
            )
    return None


def _pool(view: View) -> tuple[Repository, ...]:
    """The medium as an archive: the suites that it has an index of."""
    suites = [name for name in view.names("dists") if view.exists(f"dists/{name}/Release")]
    return tuple(Repository(name, "") for name in sorted(suites) if name not in ("stable", "testing", "unstable"))


def _mirror(view: View) -> Found | None:
    """A mirror of an archive: the installer of the first suite that has one."""
    for suite in sorted(view.names("dists")):
        for arch in _ARCHES:
            at = f"dists/{suite}/main/installer-{arch}"
            found = _images(view, f"{at}/", (arch,))
            if found is not None:
                release = view.read(f"dists/{suite}/Release") or ""
                return Found(
                    _field(release, "Origin") or "Debian",
                    _field(release, "Version") or _field(release, "Codename") or suite,
                    arch,
                    Installer.DEBIAN,
                    kernel=found[0],
                    initrd=found[1],
                    repositories=(Repository(suite, ""),),
                    why=(f"{at} has the netboot files of suite {suite}",),
                )
    return None


def _installer_directory(view: View) -> Found | None:
    """A directory ``dists/SUITE/main/installer-ARCH`` of a mirror, by its MANIFEST."""
    for images in _IMAGES:
        path = "MANIFEST" if images == "." else f"{images}/MANIFEST"
        text = view.read(path)
        if text is None or _MARK not in text:
            continue
        ubuntu = "ubuntu" in text.lower()
        found = _tarball(view, "netboot/" if images == "." else f"{images}/netboot/", _ARCHES)
        return Found(
            "Ubuntu" if ubuntu else "Debian",
            "",
            found[2] if found else "",
            Installer.DEBIAN,
            kernel=found[0] if found else None,
            initrd=found[1] if found else None,
            why=(f"{path} lists the installer's images of {'Ubuntu' if ubuntu else 'Debian'}",),
            missing=() if found else (f"the netboot files that {path} lists: copy {images}/netboot too",),
        )
    return None


def _netboot(view: View) -> Found | None:
    """An unpacked netboot.tar.gz, or netboot files of Ubuntu live servers."""
    found = _tarball(view, "", _ARCHES)
    if found is not None:
        kernel, initrd, arch = found
        name = "Ubuntu" if "ubuntu-installer" in kernel else "Debian"
        version = _field(view.read("version.info") or "", "Debian version")
        return Found(
            name, version, arch, Installer.DEBIAN, kernel=kernel, initrd=initrd, why=(f"{kernel}: a netboot tarball",)
        )
    for arch in _ARCHES:
        kernel, initrd = f"{arch}/linux", f"{arch}/initrd"
        if view.exists(kernel) and view.exists(initrd):
            return Found(
                "Ubuntu",
                "",
                arch,
                Installer.SUBIQUITY,
                kernel=kernel,
                initrd=initrd,
                why=(f"{kernel}: the netboot files of a live server",),
                missing=("the image that it loads: give it by args, url=http://…/ubuntu-live-server.iso",),
            )
    return None


def _images(view: View, prefix: str, arches: tuple[str, ...]) -> tuple[str, str, str] | None:
    for images in _IMAGES[:3]:
        found = _tarball(view, f"{prefix}{images}/netboot/", arches)
        if found is not None:
            return found
    return None


def _tarball(view: View, prefix: str, arches: tuple[str, ...]) -> tuple[str, str, str] | None:
    """Kernel, initrd and architecture of netboot files below ``prefix``."""
    for flavour in ("debian-installer", "ubuntu-installer"):
        for arch in arches:
            for kernel in ("linux", "vmlinux"):
                path = f"{prefix}{flavour}/{arch}/{kernel}"
                if view.exists(path):
                    return path, f"{prefix}{flavour}/{arch}/initrd.gz", arch
    return None


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{re.escape(name)}:[ \t]*(\S.*)$", text, re.MULTILINE)
    return match[1].strip()[:40] if match else ""
