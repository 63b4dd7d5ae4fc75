"""Boot loaders under the names that firmware is told, wherever packages put them."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest

from pxenet.boot.policy import LOADERS
from pxenet.content.loaders import FILES, Loaders, LoaderState
from pxenet.content.plain import read
from pxenet.model import Asker, Content, Role

ASKER = Asker(0x0A000005)


def put(root: Path, path: str, data: bytes = b"loader") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def found(loaders: Loaders, path: str) -> Content:
    content = loaders.find(path, ASKER, 0.0)
    assert isinstance(content, Content)
    return content


@pytest.mark.parametrize(("path", "where"), [(path, where) for path, row in FILES.items() for where in row.paths])
def test_every_place_is_looked_at(tmp_path: Path, path: str, where: str) -> None:
    """A file at any listed place is served under its name, as a boot loader."""
    file = put(tmp_path, where.replace("*", "12"), b"from a package")
    loaders = Loaders(system=tmp_path)
    content = found(loaders, path)
    assert (path, b"from a package", Role.LOADER) == (content.name, read(content), content.role)
    assert (LoaderState.PACKAGE, str(file)) == (loaders.state(path), loaders.origin(path))


def test_a_policy_name_is_always_a_known_name() -> None:
    """What the policy may tell a client, this source knows where to look for."""
    wanted = {name for files in LOADERS.values() for name in (*files.names, *files.beside)}
    loaders = Loaders(system=Path("/nonexistent"))
    assert [] == [name for name in wanted if name not in FILES and "c32" not in name]
    assert [] == [name for name in wanted if not loaders.advice(name)]


def test_efi_programs_have_the_type_that_edk2_wants(tmp_path: Path) -> None:
    """edk2's HTTP boot decides by Content-Type; the package's file name (.signed) must not show through."""
    put(tmp_path, "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed")
    assert "application/efi" == found(Loaders(system=tmp_path), "x64/grubx64.efi").mime


def test_modules_come_beside_their_loader(tmp_path: Path) -> None:
    """pxelinux asks for its modules in its own directory, each platform has its own build of them."""
    put(tmp_path, "usr/lib/syslinux/modules/bios/menu.c32", b"bios")
    put(tmp_path, "usr/lib/syslinux/modules/efi64/menu.c32", b"efi64")
    loaders = Loaders(system=tmp_path)
    assert [b"bios", b"efi64"] == [read(found(loaders, f"{place}/menu.c32")) for place in ("bios", "x64")]
    assert loaders.find("arm64/menu.c32", ASKER, 0.0) is None


@pytest.mark.parametrize(
    "path", ["bios/../x64/grubx64.efi", "bios/.c32", "bios/a/b.c32", "elsewhere/pxelinux.0", "pxelinux.0", ""]
)
def test_other_names_are_nobodys(tmp_path: Path, path: str) -> None:
    """Names that are not in the table are left to the next source."""
    put(tmp_path, "usr/lib/PXELINUX/pxelinux.0")
    assert Loaders(system=tmp_path).find(path, ASKER, 0.0) is None


def test_the_users_own_file_wins(tmp_path: Path) -> None:
    """A loader in server.root replaces the package's, and counts as a loader."""
    put(tmp_path, "system/usr/lib/PXELINUX/pxelinux.0", b"package")
    own = put(tmp_path, "root/bios/pxelinux.0", b"own")
    loaders = Loaders(tmp_path / "root", tmp_path / "system")
    content = found(loaders, "bios/pxelinux.0")
    assert (b"own", Role.LOADER) == (read(content), content.role)
    assert (LoaderState.OWN, str(own)) == (loaders.state("bios/pxelinux.0"), loaders.origin("bios/pxelinux.0"))


def test_a_package_may_link_elsewhere(tmp_path: Path) -> None:
    """Debian's ipxe.efi is a link into /boot."""
    put(tmp_path, "boot/ipxe.efi", b"in boot")
    link = tmp_path / "usr/lib/ipxe/ipxe.efi"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "boot/ipxe.efi")
    assert b"in boot" == read(found(Loaders(system=tmp_path), "x64/ipxe.efi"))


def test_the_latest_installer_wins(tmp_path: Path) -> None:
    """Releases are compared as numbers."""
    for release in ("9", "12"):
        put(
            tmp_path,
            f"usr/lib/debian-installer/images/{release}/arm64/text/debian-installer/arm64/grubaa64.efi",
            release.encode(),
        )
    assert b"12" == read(found(Loaders(system=tmp_path), "arm64/grubaa64.efi"))


def test_second_stage_without_a_directory(tmp_path: Path) -> None:
    """shim behind a ProxyDHCP server asks for grubx64.efi alone; the user's own file of that name goes first."""
    put(tmp_path, "system/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", b"grub")
    assert b"grub" == read(found(Loaders(None, tmp_path / "system"), "grubx64.efi"))
    put(tmp_path, "root/grubx64.efi", b"own")
    assert Loaders(tmp_path / "root", tmp_path / "system").find("grubx64.efi", ASKER, 0.0) is None


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("bios/pxelinux.0", "apt install pxelinux syslinux-common"),
        ("bios/ldlinux.c32", "apt install syslinux-common"),
        ("bios/undionly.kpxe", "apt install ipxe"),
        ("x64/grubx64.efi", "apt install grub-efi-amd64-signed"),
        ("x64/shimx64.efi", "apt install shim-signed"),
        ("arm64/grubaa64.efi", "apt install debian-installer-12-netboot-arm64"),
        ("arm64/ipxe.efi", "no package of Debian has arm64/ipxe.efi; put it at /srv/arm64/ipxe.efi"),
    ],
)
def test_advice(path: str, advice: str) -> None:
    """A missing file comes with the exact way to get it."""
    loaders = Loaders(Path("/srv"), Path("/nonexistent"))
    assert LoaderState.MISSING is loaders.state(path)
    assert advice == loaders.advice(path)


def test_each_package_is_named_once() -> None:
    """PXELINUX and what it loads next are one command to install."""
    advice = Loaders(None, Path("/nonexistent")).advice("bios/pxelinux.0", "bios/ldlinux.c32", "arm64/ipxe.efi")
    assert "apt install pxelinux syslinux-common; no package of Debian has arm64/ipxe.efi; put it" in advice


DEBIAN = sorted(
    package
    for package in {package for row in FILES.values() for package in row.packages}
    if package != "shim-helpers-amd64-signed"
)


@needs.tool("dpkg-query")
@pytest.mark.parametrize("package", DEBIAN)
def test_installed_packages_are_where_they_are_said_to_be(package: str) -> None:
    """On a Debian machine, every name whose packages are all installed is served."""
    loaders = Loaders()
    installed = {name for name in DEBIAN if Path(f"/usr/share/doc/{name}").exists()}
    names = [name for name, row in FILES.items() if package in row.packages and set(row.packages) <= installed]
    assert [] == [name for name in names if not loaders.has(name)]
