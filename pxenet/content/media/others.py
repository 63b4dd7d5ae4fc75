"""Media that are known by a few files: CoreOS, Arch, Alpine, Proxmox VE, ESXi, XenServer, FreeBSD, Mageia."""

from __future__ import annotations

import re

from pxenet.content.media.found import Found, View
from pxenet.model import Installer

_ARCHES = ("x86_64", "aarch64", "x86")


def probe(view: View) -> Found | None:
    """Any of them."""
    for each in (_coreos, _proxmox, _arch, _alpine, _esxi, _xenserver, _freebsd, _mageia):
        found = each(view)
        if found is not None:
            return found
    return None


def _coreos(view: View) -> Found | None:
    """The live system, whose root is a third image beside kernel and initrd (CoreOS' documentation on PXE, coreos-assembler)."""
    root = "images/pxeboot/rootfs.img"
    marks = [name for name in ("coreos/igninfo.json", "coreos/kargs.json") if view.exists(name)]
    if not marks or not view.exists(root):
        return None
    volume = re.fullmatch(r"(fedora-coreos|rhcos|scos)-(\d[\w.]*)", view.volume_id)
    names = {"fedora-coreos": "Fedora CoreOS", "rhcos": "RHEL CoreOS", "scos": "CentOS Stream CoreOS"}
    return Found(
        names[volume[1]] if volume else "CoreOS",
        volume[2] if volume else "",
        "",
        Installer.COREOS,
        kernel="images/pxeboot/vmlinuz" if view.exists("images/pxeboot/vmlinuz") else None,
        initrd="images/pxeboot/initrd.img" if view.exists("images/pxeboot/initrd.img") else None,
        stage2=root,
        why=(f"{marks[0]} and {root} are there",),
    )


def _proxmox(view: View) -> Found | None:
    text = view.read(".disk/info") or view.read(".cd-info")
    values: dict[str, str] = dict(re.findall(r"^([A-Z]+)='([^'\n]*)'$", text or "", re.MULTILINE))
    if "PRODUCT" not in values or "RELEASE" not in values:
        return None
    kernel = "boot/linux26" if view.exists("boot/linux26") else None
    initrd = "boot/initrd.img" if view.exists("boot/initrd.img") else None
    return Found(
        values.get("PRODUCTLONG") or values["PRODUCT"],
        "-".join(filter(None, (values["RELEASE"], values.get("ISORELEASE", "")))),
        "amd64",
        Installer.PROXMOX,
        kernel=kernel,
        initrd=initrd,
        why=(".disk/info has Proxmox's keys",),
        missing=("the image as a second initrd called proxmox.iso: name it in initrd",),
    )


def _arch(view: View) -> Found | None:
    for arch in _ARCHES:
        kernel = f"arch/boot/{arch}/vmlinuz-linux"
        if view.exists(kernel):
            initrd = f"arch/boot/{arch}/initramfs-linux.img"
            roots = (f"arch/{arch}/airootfs.sfs", f"arch/{arch}/airootfs.erofs")
            return Found(
                "Arch Linux",
                view.volume_id.removeprefix("ARCH_") if view.volume_id.startswith("ARCH_") else "",
                arch,
                Installer.ARCH,
                kernel=kernel,
                initrd=initrd if view.exists(initrd) else None,
                stage2=next(filter(view.exists, roots), None),
                why=(f"{kernel} is there",),
            )
    if re.fullmatch(r"ARCH_\d{6}", view.volume_id):
        version = view.volume_id.removeprefix("ARCH_")
        return Found("Arch Linux", version, "x86_64", Installer.ARCH, why=(f"volume id {view.volume_id}",))
    return None


def _alpine(view: View) -> Found | None:
    named = re.fullmatch(r"alpine-(?P<flavour>\w+) (?P<version>\S+) (?P<arch>\S+)", view.volume_id)
    for flavour in ("lts", "virt"):
        kernel = f"boot/vmlinuz-{flavour}"
        if view.exists(kernel):
            initrd = f"boot/initramfs-{flavour}"
            modloop = f"boot/modloop-{flavour}"
            return Found(
                "Alpine Linux",
                named["version"] if named else (view.read(".alpine-release") or "").strip()[:40],
                named["arch"] if named else "",
                Installer.ALPINE,
                kernel=kernel,
                initrd=initrd if view.exists(initrd) else None,
                stage2=modloop if view.exists(modloop) else None,
                why=(f"{kernel} is there",),
            )
    if named:
        return Found(
            "Alpine Linux", named["version"], named["arch"], Installer.ALPINE, why=(f'volume id "{view.volume_id}"',)
        )
    return None


def _esxi(view: View) -> Found | None:
    text = next(filter(None, map(view.read, ("boot.cfg", "BOOT.CFG"))), None)
    if text is None and not view.exists("boot.cfg"):
        return None
    values = dict(re.findall(r"^(\w+)=(.*)$", text or "", re.MULTILINE))
    new = view.exists("b.b00") or view.exists("B.B00") or values.get("kernel", "").lower().lstrip("/") == "b.b00"
    if not new and not view.exists("tboot.b00"):
        return None
    told = view.read("vmware-esx-base-osl.txt") or ""
    match = re.search(r"ESXi (\d+\.\d+\S*)", told)
    version = match[1] if match else values.get("build", "").partition("-")[0]
    return Found(
        "VMware ESXi",
        version,
        "x86_64",
        Installer.ESXI,
        why=("boot.cfg beside b.b00",),
        missing=("a Linux kernel: ESXi is started by its own mboot, which is not served here",),
    )


def _xenserver(view: View) -> Found | None:
    if not view.exists("boot/xen.gz") or not view.exists("install.img"):
        return None
    return Found(
        "XenServer",
        "",
        "x86_64",
        Installer.OTHER,
        stage2="install.img",
        why=("boot/xen.gz beside install.img",),
        missing=("a kernel that boots alone: Xen needs mboot.c32 with several modules",),
    )


def _freebsd(view: View) -> Found | None:
    text = view.read("bin/freebsd-version")
    match = re.search(r'USERLAND_VERSION="([^"]+)"', text or "")
    named = re.fullmatch(r"(\d+)_(\d+)_(\w+?)_(\w+?)_(?:CD|DVD|BO)", view.volume_id)
    if match is None and named is None:
        return None
    version = match[1] if match else f"{named[1]}.{named[2]}-{named[3]}" if named else ""
    return Found(
        "FreeBSD",
        version,
        named[4].lower() if named else "",
        Installer.OTHER,
        why=("bin/freebsd-version" if match else f"volume id {view.volume_id}",),
        missing=("a Linux kernel: FreeBSD has no netboot of this kind",),
    )


def _mageia(view: View) -> Found | None:
    text = view.read("VERSION") or ""
    match = re.match(r"Mageia (\S+) .*?(x86_64|i586|aarch64|armv7hl)", text)
    named = re.fullmatch(r"Mageia-(\d+)-(x86_64|i586)(?:-\w+)?", view.volume_id)
    if match is None and named is None:
        return None
    version, arch = (match[1], match[2]) if match else (named[1], named[2]) if named else ("", "")
    kernel = f"isolinux/{arch}/vmlinuz"
    initrd = f"isolinux/{arch}/all.rdz"
    there = view.exists(kernel)
    return Found(
        "Mageia",
        version,
        arch,
        Installer.OTHER,
        kernel=kernel if there else None,
        initrd=initrd if there and view.exists(initrd) else None,
        why=(f'VERSION says "{text.strip()[:60]}"' if match else f"volume id {view.volume_id}",),
        missing=() if there else ("its kernel: name kernel and initrd",),
    )
