"""A small distribution as an ISO image: kernel, installer, and a repository of packages that are built here.

As the media of the Red Hat family are: a ``.treeinfo`` says where kernel and initrd are, and ``repodata`` what packages there are.
Knows rpmbuild, createrepo_c and xorriso. The installer's kernel has no module for the file systems of disks, so what is installed is
kept on the disk as an archive, behind the boot loader: :func:`installed` reads it.
"""

from __future__ import annotations

import shlex
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit import cpio, payload

NAME = "Lab-9-x86_64.iso"
ARCHIVE_AT = 2 << 20
"""Bytes from the start of the disk to the archive; before it is what ``lab-boot`` brings."""

_TREEINFO = """\
[general]
family = Lab Linux
name = Lab Linux 9
version = 9
arch = x86_64
platforms = x86_64
repository = .

[tree]
arch = x86_64
platforms = x86_64

[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
"""

_COMPS = """\
<?xml version="1.0" encoding="UTF-8"?>
<comps>
 <group>
  <id>core</id>
  <packagelist>
   <packagereq type="mandatory">lab-base</packagereq>
  </packagelist>
 </group>
</comps>
"""

CONFIG = """\
dhcp.subnet = [{{ network = "{network}" }}]
[[profile]]
name = "lab9"
source = "{source}"
kickstart.packages = ["hello"]
kickstart.root_ssh_keys = ["{key}"]
kickstart.network = [{{ method = "static" }}]
[[host]]
mac = "{mac}"
name = "{name}"
address = "{address}"
profile = "lab9"
"""
"""All that a person writes to have one machine installed; README shows it."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7 admin@example.org"

_WANTED = ("hello-9-1.x86_64", "hello-words-9-1.x86_64", "lab-base-9-1.x86_64", "lab-boot-9-1.x86_64")
"""What ``@core`` and ``hello`` are."""

_SPEC = """\
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
Name: {name}
Version: 9
Release: 1
Summary: {about}
License: MIT
AutoReqProv: no
{requires}
%description
{about}.
%install
{install}
%files
{files}
"""

_RPM_FILES = ("/usr/lib/rpm/macros", "/usr/lib/rpm/rpmrc")
_RPM = Path("/usr/bin/rpm")


@dataclass(frozen=True, slots=True)
class Package:
    """What rpmbuild is told of a package."""

    name: str
    about: str
    files: Mapping[str, Path | str]
    """By their place: the file to put there, or its text."""
    links: Mapping[str, str]
    requires: tuple[str, ...] = ()


def packages(work: Path) -> list[Package]:
    """All that the repository has; every system gets ``lab-base``."""
    boot = work / "disk.img"
    boot.write_bytes(payload.DISKS["disk.img"]())
    shell = dict.fromkeys(("bin/sh", "bin/cat", "bin/wget", "bin/mkdir", "bin/tail", "bin/sleep"), "busybox")
    return [
        Package("lab-base", "The least that a system needs", {"bin/busybox": payload.BUSYBOX}, shell, ("lab-boot",)),
        Package("lab-boot", "Boots from a disk", {"boot/disk.img": boot}, {}),
        Package("hello", "Says hello", {"usr/share/hello/text": "hello world\n"}, {}, ("hello-words",)),
        Package("hello-words", "What there is to say", {"usr/share/hello/words": "hello\nworld\n"}, {}),
        Package("unwanted", "Nobody asks for this one", {"usr/share/unwanted": "why?\n"}, {}),
    ]


def build(directory: Path) -> Path:
    """Make the image in ``directory``, which is made when missing, and give its place. Raises RuntimeError with a tool's words."""
    work = directory / "made"
    tree = work / "tree"
    images = tree / "images/pxeboot"
    images.mkdir(parents=True)
    (tree / ".treeinfo").write_text(_TREEINFO)
    (images / "vmlinuz").write_bytes((payload.INSTALLER / "linux").read_bytes())
    (images / "initrd.img").write_bytes(initrd())
    for package in packages(work):
        _build_package(package, work, tree / "Packages")
    (work / "comps.xml").write_text(_COMPS)
    _run("createrepo_c", "--quiet", "--general-compress-type=gz", "--groupfile", str(work / "comps.xml"), str(tree))
    image = directory / NAME
    _run("xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-V", "Lab-9-x86_64", "-o", str(image), str(tree))
    return image


def initrd() -> bytes:
    """The lab's small installer, with rpm and what that needs."""
    scripts = [
        cpio.file(name, (payload.SCRIPTS / name).read_bytes(), 0o755)
        for name in ("install", "packages.awk", "section.awk")
    ]
    places = {str(_RPM): _RPM, **{name: Path(name) for name in _RPM_FILES}, **_libraries(_RPM)}
    folders = {str(parent): None for place in sorted(places) for parent in reversed(Path(place).parents)}
    made = [cpio.directory(name.lstrip("/")) for name in folders if name != "/"]
    files = [cpio.file(place.lstrip("/"), path.read_bytes(), 0o755) for place, path in sorted(places.items())]
    return payload.initrd([*made, *files, *scripts])


def _libraries(program: Path) -> dict[str, Path]:
    """The shared libraries of a program, by the names under which it looks for them (ldd(1))."""
    words = [line.split() for line in _run("ldd", str(program)).splitlines()]
    found = [next((word for word in each if word.startswith("/")), "") for each in words]
    return {name: Path(name).resolve() for name in found if name}


def _build_package(package: Package, work: Path, out: Path) -> None:
    install, files = [], []
    for place, what in package.files.items():
        source = work / f"{package.name}-{place.replace('/', '-')}"
        source.write_bytes(what.encode() if isinstance(what, str) else what.read_bytes())
        install.append(f"install -D -m 755 {shlex.quote(str(source))} %{{buildroot}}/{place}")
        files.append(f"/{place}")
    for place, target in package.links.items():
        install.append(f"ln -s {target} %{{buildroot}}/{place}")
        files.append(f"/{place}")
    spec = work / f"{package.name}.spec"
    requires = "".join(f"Requires: {name}\n" for name in package.requires)
    texts = {"install": "\n".join(install), "files": "\n".join(files), "requires": requires}
    spec.write_text(_SPEC.format(name=package.name, about=package.about, **texts))
    places = [
        word for key, place in (("_topdir", work / "rpm"), ("_rpmdir", out)) for word in ("--define", f"{key} {place}")
    ]
    _run("rpmbuild", "-bb", "--quiet", *places, str(spec))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def faults(disk: Path, packages: str | None, name: str, address: str) -> list[str]:
    """What is on a machine's disk otherwise than its configuration says; ``packages``: what rpm said that is installed."""
    found = (
        [] if packages is not None and tuple(packages.split()) == _WANTED else [f"rpm says {packages}, not {_WANTED}"]
    )
    try:
        files = installed(disk)
    except ValueError as error:
        return [*found, str(error)]
    expected = {
        "etc/hostname": name,
        "etc/network": f"static {address}/255.255.255.0",
        "root/.ssh/authorized_keys": KEY,
        "usr/share/hello/text": "hello world",
    }
    for place, text in expected.items():
        there = files[place].decode(errors="replace").strip() if place in files else "missing"
        if there != text:
            found.append(f"/{place} on its disk is {there!r}, not {text!r}")
    if "usr/share/unwanted" in files:
        found.append("a package that nobody asked for is on its disk")
    return found


def installed(disk: Path) -> dict[str, bytes]:
    """The files that stand on a machine's disk, by their places. Raises ValueError where there is no archive."""
    with disk.open("rb") as stream:
        stream.seek(ARCHIVE_AT)
        packed = stream.read()
    stream = zlib.decompressobj(31)  # gzip; behind it is the rest of the disk
    try:
        data = stream.decompress(packed)
    except zlib.error as error:
        raise ValueError(f"nothing is installed on {disk.name}: {error}") from error
    return {entry.name: entry.data for entry in cpio.parse(data)}
