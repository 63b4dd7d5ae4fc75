"""A profile's kernel, initrd and source: found in install trees of every customary shape, and named where they are served."""

from __future__ import annotations

import os
from pathlib import Path

import pycdlib
import pytest

from pxenet.answer import templates
from pxenet.config import ConfigError, from_text, profiles
from pxenet.model import DISCOVERY, Installer, Platform

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


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


PXEBOOT = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")


def master(tree: Path, image: Path) -> None:
    """An image of a directory, with Rock Ridge names."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=4, rock_ridge="1.09")
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree)
        if path.is_dir():
            iso.add_directory(f"/{name}", rr_name=path.name)
        else:
            iso.add_file(str(path), f"/{name}", rr_name=path.name)
    iso.write(str(image))
    iso.close()


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
    """Its files come through the cache, and without one the installer is told the URL; a file that is here is meant by its name."""
    make(tmp_path, "vmlinuz")
    keys = 'kernel = "vmlinuz"\ninitrd = "images/initrd.img"'
    text = profile_text(Path("x"), keys).replace("x", "http://m/alma/9/", 1)
    settings = from_text(text, tmp_path)
    (profile,) = settings.profiles
    assert ("{server}/profile/p", "profile/p/boot-files/vmlinuz") == (profile.source_url, profile.kernel)
    assert ("profile/p/images/initrd.img",) == profile.initrd
    assert ("http://m/alma/9", None) == (settings.trees["p"].source_upstream, settings.trees["p"].source_dir)
    uncached = from_text("[server]\ncache_gib = 0\n" + text.replace('"images/initrd.img"', '"vmlinuz"'), tmp_path)
    assert ("http://m/alma/9", "") == (uncached.profiles[0].source_url, uncached.trees["p"].source_upstream)


def test_the_built_in_answer_file(tmp_path: Path) -> None:
    """Its name is no path; it is the one that the template engine knows."""
    make(tmp_path, "vmlinuz")
    settings = from_text('[[profile]]\nname = "p"\nkernel = "vmlinuz"\nanswer = "kickstart"\n', tmp_path)
    assert "kickstart" == settings.profiles[0].answer
    assert templates.BUILT_IN == (*profiles.BUILT_IN_ANSWERS, DISCOVERY)


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


def test_an_image_is_a_source(tmp_path: Path) -> None:
    """Kernel and initrd are those in the image; it is served in place, and its index is asked for nothing here."""
    tree = tmp_path / "tree"
    make(tree, "isolinux/vmlinuz", "isolinux/initrd.img")
    master(tree, tmp_path / "x.iso")
    settings = from_text(profile_text(Path("x.iso")), tmp_path)
    profile, where = settings.profiles[0], settings.trees["p"]
    assert ("profile/p/isolinux/vmlinuz", ("profile/p/isolinux/initrd.img",)) == (profile.kernel, profile.initrd)
    assert (tmp_path / "x.iso", None, "{server}/profile/p") == (where.source_iso, where.source_dir, profile.source_url)


def test_the_image_of_a_live_server_is_served_whole_too(tmp_path: Path) -> None:
    """casper loads the image as one file, whose name must end in .iso."""
    make(tmp_path / "tree", "casper/vmlinuz", "casper/initrd")
    master(tmp_path / "tree", tmp_path / "u.iso")
    settings = from_text(profile_text(Path("u.iso")), tmp_path)
    name = "profile/p/boot-files/u.iso"
    assert (Installer.SUBIQUITY, f"{{server}}/{name}") == (
        settings.profiles[0].installer,
        settings.profiles[0].image_url,
    )
    assert {name: tmp_path / "u.iso"} == dict(settings.trees["p"].files)


def test_an_image_that_is_cut(tmp_path: Path) -> None:
    """A download that was interrupted is told with both sizes."""
    make(tmp_path / "tree", *PXEBOOT)
    (tmp_path / "tree/large").write_bytes(bytes(4 << 20))
    master(tmp_path / "tree", tmp_path / "x.iso")
    os.truncate(tmp_path / "x.iso", 1 << 20)
    with pytest.raises(
        ConfigError, match=r"source: .*x\.iso is cut: it has 1048576 of \d+ bytes; download it to its end"
    ):
        from_text(profile_text(Path("x.iso")), tmp_path)


def test_several_architectures(tmp_path: Path) -> None:
    """One profile, a source for each kind of machine; BIOS machines start what x64 starts."""
    make(tmp_path / "x86", *PXEBOOT)
    make(tmp_path / "arm", *PXEBOOT)
    text = '[[profile]]\nname = "p"\nsource = {x64 = "x86", arm64 = "arm"}\n'
    settings = from_text(text, tmp_path)
    profile = settings.profiles[0]
    kernels = {platform: found.kernel if (found := profile.on(platform)) else None for platform in Platform}
    x86, arm = (f"profile/p/{name}/images/pxeboot/vmlinuz" for name in ("x64", "arm64"))
    assert {Platform.BIOS: x86, Platform.X64: x86, Platform.IA32: x86, Platform.ARM64: arm} == kernels
    assert [(tmp_path / "x86", "profile/p/x64"), (tmp_path / "arm", "profile/p/arm64")] == [
        (part.source_dir, part.prefix) for part in settings.trees["p"].parts
    ]


def test_an_architecture_that_the_source_lacks(tmp_path: Path) -> None:
    """A machine of that kind gets nothing rather than a kernel that it cannot start."""
    make(tmp_path / "x86", *PXEBOOT)
    profile = from_text('[[profile]]\nname = "p"\nsource = {x64 = "x86"}\n', tmp_path).profiles[0]
    assert profile.on(Platform.ARM64) is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('{vax = "x"}', r'"vax" is no kind of machine; name kinds of machine \(bios, x64'),
        ("{}", "the table is empty"),
        ('{x64 = "nowhere"}', r"source\.x64: .*nowhere does not exist"),
    ],
)
def test_tables_of_sources_that_are_wrong(tmp_path: Path, source: str, words: str) -> None:
    """The key of the architecture is named."""
    with pytest.raises(ConfigError, match=words):
        from_text(f'[[profile]]\nname = "p"\nsource = {source}\n', tmp_path)
