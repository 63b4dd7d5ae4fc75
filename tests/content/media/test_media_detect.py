"""Install trees of every customary shape, seen as a directory, as an image and as an URL: the same is found in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.content.media.detect import detect
from pxenet.content.media.found import Found, inside
from pxenet.content.media.treeinfo import parse_treeinfo
from pxenet.content.media.views import DirectoryView, UrlView
from pxenet.model import Installer

PRODUCTMD = """\
[header]
type = productmd.treeinfo
version = 1.2
[checksums]
images/pxeboot/vmlinuz = sha256:{digest}
../evil = sha256:{digest}
[tree]
arch = x86_64
variants = AppStream,BaseOS
[images-x86_64]
Kernel = wrong case
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
boot.iso = images/boot%iso
[variant-BaseOS]
repository = .
[variant-AppStream]
repository = {appstream}
"""
DIGEST = "ab" * 32
OLD = "[general]\narch = x86_64\nvariant =\n; a comment\n[images-x86_64]\nkernel = isolinux/vmlinuz \ninitrd = isolinux/initrd.img\n"
PXEBOOT = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def productmd(appstream: str = "AppStream") -> str:
    return PRODUCTMD.format(appstream=appstream, digest=DIGEST)


def url_view(root: Path) -> UrlView:
    """A server of files, as far as a view asks it."""

    def fetch(path: str) -> bytes | None:
        return (root / path).read_bytes() if (root / path).is_file() else None

    return UrlView(fetch, lambda path: (root / path).is_file())


def look(root: Path) -> Found | None:
    """What is in a directory; by its URL it is the same."""
    found = detect(DirectoryView(root))
    assert found == detect(url_view(root))
    return found


def boot_files(found: Found | None) -> tuple[str | None, str | None, str]:
    assert found is not None
    return found.kernel, found.initrd, found.root


def test_the_treeinfo_decides(tmp_path: Path) -> None:
    """Section images-<arch> of .treeinfo; keys keep their case, a percent sign means nothing; checksums stay inside."""
    make(tmp_path, *PXEBOOT, "isolinux/vmlinuz")
    (tmp_path / ".treeinfo").write_text(productmd())
    found = look(tmp_path)
    assert (*PXEBOOT, "") == boot_files(found)
    assert found is not None
    assert [("BaseOS", ""), ("AppStream", "AppStream")] == [(each.name, each.path) for each in found.repositories]
    assert {PXEBOOT[0]: f"sha256:{DIGEST}"} == dict(found.checksums)


def test_a_treeinfo_without_its_dot(tmp_path: Path) -> None:
    """Mirrors that drop dot files, the old dialect, and trailing blanks."""
    make(tmp_path, "isolinux/vmlinuz", "isolinux/initrd.img")
    (tmp_path / "treeinfo").write_text(OLD)
    assert ("isolinux/vmlinuz", "isolinux/initrd.img", "") == boot_files(look(tmp_path))


def test_a_tree_further_down(tmp_path: Path) -> None:
    """A person may name the directory that holds BaseOS and AppStream: the tree's root is told, its repositories are inside."""
    below = "BaseOS/x86_64/os"
    root = tmp_path / below
    make(root, *PXEBOOT)
    (root / ".treeinfo").write_text(productmd("../../../AppStream/x86_64/os"))
    found = look(tmp_path)
    assert (f"{below}/{PXEBOOT[0]}", f"{below}/{PXEBOOT[1]}", below) == boot_files(found)
    assert found is not None
    assert [below, "AppStream/x86_64/os"] == [each.path for each in found.repositories]
    assert {f"{below}/{PXEBOOT[0]}"} == set(found.checksums)
    alone = look(root)
    assert alone is not None
    assert ("../../../AppStream/x86_64/os",) == alone.outside


@pytest.mark.parametrize("evil", ["/etc/passwd", "../../etc/passwd", "http://x/vmlinuz", "", ".."])
def test_a_treeinfo_cannot_name_files_elsewhere(tmp_path: Path, evil: str) -> None:
    """Nothing outside the tree is taken for its kernel."""
    (tmp_path / ".treeinfo").write_text(f"[general]\narch = x86_64\n[images-x86_64]\nkernel = {evil}\n")
    found = look(tmp_path)
    assert found is None or found.kernel is None
    assert inside(evil) is None


@pytest.mark.parametrize("damage", ["no ini at all", "[images-x86_64", "\x00\xff", "[general]\n[general]\n"])
def test_a_damaged_treeinfo_counts_as_none(tmp_path: Path, damage: str) -> None:
    """The customary places are tried then."""
    make(tmp_path, *PXEBOOT)
    (tmp_path / ".treeinfo").write_text(damage)
    assert (*PXEBOOT, "") == boot_files(look(tmp_path))


def test_a_tree_copied_in_part(tmp_path: Path) -> None:
    """What .treeinfo names and is not there is told; the customary places help out."""
    make(tmp_path, "isolinux/vmlinuz")
    (tmp_path / ".treeinfo").write_text(productmd())
    found = look(tmp_path)
    assert ("isolinux/vmlinuz", None, "") == boot_files(found)
    assert found is not None
    assert any(PXEBOOT[0] in each for each in found.missing)


@pytest.mark.parametrize(
    ("names", "family", "installer", "kernel"),
    [
        (("debian-installer/amd64/linux", "debian-installer/amd64/initrd.gz"), "Debian", Installer.DEBIAN, 0),
        (("amd64/linux", "amd64/initrd"), "Ubuntu", Installer.SUBIQUITY, 0),
        (("casper/vmlinuz", "casper/initrd"), "Ubuntu", Installer.SUBIQUITY, 0),
        (("boot/aarch64/linux", "boot/aarch64/initrd"), "SUSE", Installer.LINUXRC, 0),
        (("arch/boot/x86_64/vmlinuz-linux", "arch/boot/x86_64/initramfs-linux.img"), "Arch Linux", Installer.ARCH, 0),
        (("boot/vmlinuz-lts", "boot/initramfs-lts", "boot/modloop-lts"), "Alpine Linux", Installer.ALPINE, 0),
        ((*PXEBOOT, "images/pxeboot/rootfs.img", "coreos/kargs.json"), "CoreOS", Installer.COREOS, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_trees_known_by_their_files(
    tmp_path: Path, names: tuple[str, ...], family: str, installer: Installer, kernel: int
) -> None:
    """No description at all: the places of the kernel tell."""
    make(tmp_path, *names)
    found = look(tmp_path)
    assert found is not None
    assert (family, installer, *names[:2]) == (found.family, found.installer, found.kernel, found.initrd)


def test_a_debian_mirror(tmp_path: Path) -> None:
    """The netboot files of the suite that has them; the mirror is a repository too. Only a directory can be listed."""
    images = "dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64"
    make(tmp_path, f"{images}/linux", f"{images}/initrd.gz", "dists/bookworm/Release", "dists/sid/Release")
    (tmp_path / "dists/bookworm/Release").write_text("Origin: Debian\nVersion: 12.5\nCodename: bookworm\n")
    found = detect(DirectoryView(tmp_path))
    assert found is not None
    assert ("Debian", "12.5", "amd64", f"{images}/linux") == (found.family, found.version, found.arch, found.kernel)
    assert ["bookworm"] == [each.name for each in found.repositories]


def test_an_installer_directory_by_its_url(tmp_path: Path) -> None:
    """dists/SUITE/main/installer-ARCH of a mirror says by its MANIFEST what it is."""
    base = "current/images/netboot/debian-installer/amd64"
    make(tmp_path, f"{base}/linux", f"{base}/initrd.gz")
    (tmp_path / "current/images/MANIFEST").write_text("netboot/netboot.tar.gz -- tarball of PXE boot directory\n")
    assert (f"{base}/linux", f"{base}/initrd.gz", "") == boot_files(look(tmp_path))


def test_a_page_that_says_not_found(tmp_path: Path) -> None:
    """Mirrors that answer 200 with a page for what they do not have: it is no .treeinfo."""
    view = UrlView(lambda path: b"<html>[general] arch = x86_64 not found</html>", lambda path: False)
    assert detect(view) is None


def test_the_types_of_a_treeinfo_without_a_word() -> None:
    """A text that merely parses is no description."""
    assert parse_treeinfo("[x]\ny = z\n") is None
