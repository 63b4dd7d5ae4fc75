"""SUSE trees without a .treeinfo: the ``content`` file of susetags media, ``media.1``, and the images of Agama.

libzypp's ``content`` (up to SLES 12, Leap 42), media.1/products (SUSE Linux 10 and later), and the layout of SLES 16 and Leap 16.
"""

from __future__ import annotations

import re
from dataclasses import replace

from pxenet.content.media import treeinfo
from pxenet.content.media.found import Below, Found, Repository, View
from pxenet.model import Installer

_ARCHES = ("x86_64", "aarch64", "ppc64le", "ppc64", "s390x", "i586", "i386")

_PLACES = (
    ("boot/{arch}/loader/linux", "boot/{arch}/loader/initrd"),
    ("boot/{arch}/linux", "boot/{arch}/initrd"),
)
_SPECIAL = {
    "ppc64": ("suseboot/linux64", "suseboot/initrd64"),
    "s390x": ("boot/s390x/vmrdr.ikr", "boot/s390x/initrd"),
}

_VOLUME = re.compile(r"(?:Install|SLE|openSUSE)-?(?P<name>Leap|SUSE-SLE|Tumbleweed)?-?(?P<version>\d+(?:\.\d+)?)?.*")


def probe(view: View) -> Found | None:
    """A SUSE tree."""
    return _agama(view) or _content(view) or _media(view) or _micro(view)


def boot_files(view: View, arches: tuple[str, ...] = _ARCHES) -> tuple[str, str, str] | None:
    """Kernel, initrd and architecture, in the places that SUSE uses."""
    for arch in arches:
        directory = {"i586": "i386"}.get(arch, arch)
        special = (_SPECIAL[arch],) if arch in _SPECIAL else ()
        for kernel, initrd in (*_PLACES, *special):
            path = kernel.format(arch=directory)
            if view.exists(path):
                return path, initrd.format(arch=directory), arch
    return None


def _agama(view: View) -> Found | None:
    """SLES 16 and Leap 16: dracut loads the live image, packages come from ``install/``."""
    boot = boot_files(view)
    if boot is None or not view.exists("LiveOS/squashfs.img") or not view.exists("install/media.1/media"):
        return None
    inner = treeinfo.probe(Below(view, "install"), "install")
    product = _product(view.read("install/media.1/products") or "")
    volume = _VOLUME.fullmatch(view.volume_id)
    version = (inner.version if inner else "") or product[1] or ((volume["version"] or "") if volume else "")
    repository = view.exists("install/repodata/repomd.xml")
    return Found(
        (inner.family if inner else "") or product[0] or "SUSE",
        version,
        boot[2],
        Installer.AGAMA,
        kernel=boot[0],
        initrd=boot[1],
        stage2="LiveOS/squashfs.img",
        repositories=(Repository("install", "install"),) if repository else (),
        why=("LiveOS/squashfs.img with install/media.1: an Agama image", f"{boot[0]} is in SUSE's place"),
        missing=() if repository else ("a package repository: register, or give inst.install_url in args",),
    )


def _content(view: View) -> Found | None:
    text = view.read("content")
    if text is None:
        return None
    fields: dict[str, str] = {}
    checksums: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key in ("HASH", "META", "KEY"):
            parts = value.split()
            if key == "HASH" and len(parts) == 3 and parts[0] in ("SHA1", "SHA256"):
                checksums[parts[2]] = f"{parts[0].lower()}:{parts[1].lower()}"
        elif key and not key.startswith("#"):
            fields.setdefault(key, value.strip())
    if "DATADIR" not in fields and "DESCRDIR" not in fields and "CONTENTSTYLE" not in fields:
        return None
    distro = fields.get("DISTRO", "").rpartition(",")[2]
    family = fields.get("LABEL", "") or distro or fields.get("NAME", "") or fields.get("PRODUCT", "")
    version = fields.get("VERSION", "").partition("-")[0] or _last_number(fields.get("DISTRO", ""))
    arches = _arches_of(fields)
    boot = boot_files(view, arches)
    return Found(
        family,
        version,
        boot[2] if boot else (arches[0] if arches else ""),
        Installer.LINUXRC,
        kernel=boot[0] if boot else None,
        initrd=boot[1] if boot else None,
        repositories=(Repository("susetags", ""),),
        checksums=checksums,
        why=(f"content says {family} {version}".rstrip(), *((f"{boot[0]} is in SUSE's place",) if boot else ())),
        missing=() if boot else ("a kernel in boot/: copy the tree whole",),
    )


def _arches_of(fields: dict[str, str]) -> tuple[str, ...]:
    words = [*fields.get("DEFAULTBASE", "").split(), *fields.get("BASEARCHS", "").split()]
    words += re.split(r"[-/]", fields.get("REPOID", "").rpartition("/")[2])
    known = [word for word in dict.fromkeys(words) if word in _ARCHES]
    # A tree of several architectures boots its 64-bit kernel wherever that exists.
    known.sort(key=lambda arch: arch in ("i586", "i386"))
    return tuple(known) or _ARCHES


def _media(view: View) -> Found | None:
    text = view.read("media.1/products")
    if text is None and view.read("media.1/media") is None:
        return None
    family, version = _product(text or "")
    boot = boot_files(view)
    repositories = ["" for _ in (1,) if view.exists("repodata/repomd.xml")]
    return Found(
        family or "SUSE",
        version,
        boot[2] if boot else "",
        Installer.LINUXRC,
        kernel=boot[0] if boot else None,
        initrd=boot[1] if boot else None,
        repositories=tuple(Repository("product", path) for path in repositories),
        why=("media.1/products names " + (f"{family} {version}".strip() or "no product"),),
        missing=() if boot else ("a kernel in boot/: copy the tree whole",),
    )


def _product(text: str) -> tuple[str, str]:
    """``/ openSUSE-Leap 15.6-1`` → name and version."""
    parts = (text.splitlines() or [""])[0].split()
    name, version = parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else ""
    if not version:
        match = re.fullmatch(r"(.*)-(\d+(?:\.\d+)*)", name)
        name, version = (match[1], match[2]) if match else (name, "")
    return name.replace("-", " "), version.partition("-")[0]


def _micro(view: View) -> Found | None:
    """Self-installing images of Micro: they write themselves to disk, and have no installer that could be told anything."""
    images = [name for name in view.names("") if name.endswith(".raw.squashfs")]
    boot = boot_files(view)
    if not images or boot is None:
        return None
    return Found(
        images[0].removesuffix(".raw.squashfs").replace("-", " "),
        "",
        boot[2],
        Installer.OTHER,
        kernel=boot[0],
        initrd=boot[1],
        stage2=images[0],
        why=(f"{images[0]}: a self-installing image",),
        missing=("arguments for a network boot: give rd.kiwi.* in args",),
    )


def _last_number(text: str) -> str:
    numbers = re.findall(r"\d+(?:\.\d+)+", text)
    return numbers[-1] if numbers else ""


def completed(found: Found, view: View) -> Found:
    """A SUSE tree by its .treeinfo, with what that does not tell: modules, each a repository of its own."""
    if found.installer is not Installer.LINUXRC:
        return found
    modules = [name for name in view.names("") if name.startswith(("Module-", "Product-"))]
    more = tuple(Repository(name, name) for name in sorted(modules) if view.exists(f"{name}/repodata/repomd.xml"))
    return replace(found, repositories=(*found.repositories, *more))
