"""A profile's kernel, initrd and source: found in install trees of every customary shape, and named where they are served."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.answer import templates
from pxenet.config import ConfigError, from_text, profiles
from pxenet.config.trees import BootFiles, find_boot_files

PRODUCTMD = """\
[header]
type = productmd.treeinfo
version = 1.2
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
OLD = "[general]\narch = x86_64\nvariant =\n; a comment\n[images-x86_64]\nkernel = isolinux/vmlinuz \ninitrd = isolinux/initrd.img\n"


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


PXEBOOT = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")


def test_the_treeinfo_decides(tmp_path: Path) -> None:
    """Section images-<arch> of .treeinfo; keys keep their case, a percent sign means nothing."""
    make(tmp_path, *PXEBOOT, "isolinux/vmlinuz")
    (tmp_path / ".treeinfo").write_text(PRODUCTMD.format(appstream="AppStream"))
    assert BootFiles(*PXEBOOT) == find_boot_files(tmp_path)


def test_a_treeinfo_without_its_dot(tmp_path: Path) -> None:
    """Mirrors that drop dot files, the old dialect, and trailing blanks."""
    make(tmp_path, "isolinux/vmlinuz", "isolinux/initrd.img")
    (tmp_path / "treeinfo").write_text(OLD)
    assert BootFiles("isolinux/vmlinuz", "isolinux/initrd.img") == find_boot_files(tmp_path)


def test_a_tree_further_down(tmp_path: Path) -> None:
    """A person may name the directory that holds BaseOS and AppStream: the tree's root is told, its repositories are inside."""
    root = tmp_path / "BaseOS/x86_64/os"
    make(root, *PXEBOOT)
    (root / ".treeinfo").write_text(PRODUCTMD.format(appstream="../../../AppStream/x86_64/os"))
    below = "BaseOS/x86_64/os"
    assert BootFiles(f"{below}/{PXEBOOT[0]}", f"{below}/{PXEBOOT[1]}", below) == find_boot_files(tmp_path)
    found = find_boot_files(root)
    assert found is not None
    assert ("../../../AppStream/x86_64/os",) == found.outside


@pytest.mark.parametrize("evil", ["/etc/passwd", "../../etc/passwd", "http://x/vmlinuz", ""])
def test_a_treeinfo_cannot_name_files_elsewhere(tmp_path: Path, evil: str) -> None:
    """Nothing outside the tree is taken for its kernel."""
    (tmp_path / ".treeinfo").write_text(f"[general]\narch = x86_64\n[images-x86_64]\nkernel = {evil}\n")
    assert find_boot_files(tmp_path) is None


@pytest.mark.parametrize("damage", ["no ini at all", "[images-x86_64", "\x00\xff", "[general]\n[general]\n"])
def test_a_damaged_treeinfo_counts_as_none(tmp_path: Path, damage: str) -> None:
    """The customary places are tried then."""
    make(tmp_path, *PXEBOOT)
    (tmp_path / ".treeinfo").write_text(damage)
    assert BootFiles(*PXEBOOT) == find_boot_files(tmp_path)


def profile_text(directory: Path, more: str = "") -> str:
    return f'[[profile]]\nname = "p"\nsource = "{directory}"\n{more}'


def test_a_source_directory_is_served_and_named(tmp_path: Path) -> None:
    """Kernel and initrd have their names below profile/NAME; the URL of the source points to the tree's root."""
    make(tmp_path / "alma/BaseOS/x86_64/os", *PXEBOOT)
    settings = from_text(profile_text(Path("alma")), tmp_path)
    profile = settings.profiles[0]
    below = "profile/p/BaseOS/x86_64/os"
    assert (f"{below}/{PXEBOOT[0]}", (f"{below}/{PXEBOOT[1]}",)) == (profile.kernel, profile.initrd)
    assert "{server}/" + below == profile.source_url
    assert (tmp_path / "alma", {}) == (settings.trees["p"].source_dir, dict(settings.trees["p"].files))


def test_files_outside_the_source(tmp_path: Path) -> None:
    """They get names of their own, one each, even when two files are called alike."""
    make(tmp_path, "tree/vmlinuz", "a/initrd", "b/initrd")
    more = 'kernel = "vmlinuz"\ninitrd = ["a/initrd", "b/initrd"]\n'
    settings = from_text(profile_text(Path("tree"), more), tmp_path)
    assert "profile/p/vmlinuz" == settings.profiles[0].kernel
    first, second = settings.profiles[0].initrd
    assert {first: tmp_path / "a/initrd", second: tmp_path / "b/initrd"} == dict(settings.trees["p"].files)
    assert first.startswith("profile/p/")
    assert first != second


def test_a_link_out_of_the_source(tmp_path: Path) -> None:
    """A kernel behind a symbolic link is served as the file it is: directories never follow a link out."""
    make(tmp_path, "tree/initrd.img", "kernels/6.1")
    (tmp_path / "tree/vmlinuz").symlink_to("../kernels/6.1")
    settings = from_text(profile_text(Path("tree")), tmp_path)
    assert {"profile/p/vmlinuz": tmp_path / "kernels/6.1"} == dict(settings.trees["p"].files)


def test_a_source_elsewhere(tmp_path: Path) -> None:
    """An URL is what the installer is told; the boot files are local."""
    make(tmp_path, "vmlinuz")
    settings = from_text(profile_text(Path("x"), 'kernel = "vmlinuz"').replace("x", "http://m/alma/9/", 1), tmp_path)
    assert ("http://m/alma/9", "profile/p/boot-files/vmlinuz") == (
        settings.profiles[0].source_url,
        settings.profiles[0].kernel,
    )
    assert settings.trees["p"].source_dir is None


def test_the_built_in_answer_file(tmp_path: Path) -> None:
    """Its name is no path; it is the one that the template engine knows."""
    make(tmp_path, "vmlinuz")
    settings = from_text('[[profile]]\nname = "p"\nkernel = "vmlinuz"\nanswer = "kickstart"\n', tmp_path)
    assert "kickstart" == settings.profiles[0].answer
    assert templates.BUILT_IN == profiles.BUILT_IN_ANSWERS


def test_a_debian_cd_is_refused(tmp_path: Path) -> None:
    """Its initrd looks for a CD drive; the message names what to use."""
    make(tmp_path, "install.amd/vmlinuz", "install.amd/initrd.gz")
    with pytest.raises(ConfigError, match=r"netboot\.tar\.gz"):
        from_text(profile_text(tmp_path), tmp_path)


def test_a_tree_without_a_kernel(tmp_path: Path) -> None:
    """The message says what was looked for and what to write."""
    with pytest.raises(ConfigError, match=r'no kernel found.*kernel = "images/pxeboot/vmlinuz"'):
        from_text(profile_text(tmp_path), tmp_path)


def test_a_kernel_in_neither_place(tmp_path: Path) -> None:
    """Both places that were tried are named."""
    (tmp_path / "tree").mkdir()
    with pytest.raises(ConfigError, match=r"k is not in .*tree, and .*/k does not exist"):
        from_text(profile_text(Path("tree"), 'kernel = "k"'), tmp_path)


def test_a_repository_out_of_reach_is_noted(tmp_path: Path) -> None:
    """AppStream beside a source that is BaseOS alone cannot be fetched by the installer."""
    make(tmp_path, *PXEBOOT)
    (tmp_path / ".treeinfo").write_text(PRODUCTMD.format(appstream="../../../AppStream/x86_64/os"))
    (note,) = from_text(profile_text(tmp_path), tmp_path).notes
    assert "AppStream" in note.wrong
