"""Contents that stand for their name: told at once when anything on the way to them was changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pxenet.content.chain import GrubScript
from pxenet.content.directory import Directory
from pxenet.content.files import Files
from pxenet.content.loaders import Loaders
from pxenet.content.tree import Entry, Source, Tree
from pxenet.model import Absent, Asker, Content, Role, Standing

ASKER = Asker(0x0A000005)
NAME = "d/e/file"


def standing(source: Source | Tree, name: str) -> Standing:
    found = source.find(name, ASKER, 0.0)
    assert isinstance(found, Content)
    assert found.standing is not None
    return found.standing


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "d/e").mkdir(parents=True)
    (root / NAME).write_bytes(b"a file")
    os.utime(root / NAME, (1000, 1000))
    return root


def rename_over(root: Path) -> None:
    (root / "new").write_bytes(b"a file")
    os.utime(root / "new", (1000, 1000))
    os.replace(root / "new", root / NAME)


def write_in_place(root: Path) -> None:
    """Same size, and the time put back: only the time of the inode's change tells."""
    with open(root / NAME, "r+b") as file:
        file.write(b"A FILE")
    os.utime(root / NAME, (1000, 1000))


def swap_directory(root: Path) -> None:
    (root / "other/e").mkdir(parents=True)
    (root / "other/e/file").write_bytes(b"a file")
    (root / "d").rename(root / "was")
    (root / "other").rename(root / "d")


def move_out(root: Path) -> None:
    """The same directory, now outside and led to by a link: the file itself is untouched."""
    (root / "d").rename(root.parent / "outside")
    (root / "d").symlink_to(root.parent / "outside")


def swap_root(root: Path) -> None:
    root.rename(root.parent / "was")
    (root / "d/e").mkdir(parents=True)
    (root / NAME).write_bytes(b"a file")


CHANGES: dict[str, Callable[[Path], object]] = {
    "renamed over": rename_over,
    "written in place": write_in_place,
    "truncated": lambda root: os.truncate(root / NAME, 3),
    "made longer": lambda root: os.truncate(root / NAME, 10),
    "deleted": lambda root: (root / NAME).unlink(),
    "permissions": lambda root: (root / NAME).chmod(0),
    "owner": lambda root: os.chown(root / NAME, os.getuid(), os.getgid()),
    "directory swapped": swap_directory,
    "directory gone": lambda root: (root / "d").rename(root / "was"),
    "directory moved out": move_out,
    "root swapped": swap_root,
    "root gone": lambda root: root.rename(root.parent / "was"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_changes_on_the_way_ends_it(root: Path, change: Callable[[Path], object]) -> None:
    """A file stands until it, or a directory above it, is touched."""
    stands = standing(Directory(root), NAME)
    assert stands.changed_at == os.stat(root / NAME).st_ctime_ns / 1e9
    assert stands.holds()
    (root / "beside").write_bytes(b"nobody minds")
    assert stands.holds()
    change(root)
    assert not stands.holds()


def test_no_descriptor_is_left_behind(root: Path) -> None:
    """However often it is asked, also in vain."""
    stands = standing(Directory(root), NAME)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        assert stands.holds()
    (root / NAME).unlink()
    for _ in range(10):
        assert not stands.holds()
    # What the content held open while it was asked for is closed with it.
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_by_name_is_followed_again(root: Path) -> None:
    """A profile's kernel may be a link that is turned to the next version."""
    link = root / "vmlinuz"
    link.symlink_to(NAME)
    files = Files({"profile/p/vmlinuz": link}, roles={}, profile="p")
    stands = standing(files, "profile/p/vmlinuz")
    assert stands.holds()
    (root / "d/e/next").write_bytes(b"the next one")
    link.unlink()
    link.symlink_to("d/e/next")
    assert not stands.holds()
    assert standing(files, "profile/p/vmlinuz").holds()


def test_a_loader_of_a_package_gives_way_to_the_users_own(tmp_path: Path) -> None:
    """It stands until there is one in server.root, and until a better package brings the file."""
    system, own = tmp_path / "system", tmp_path / "own"
    own.mkdir()
    package = system / "usr/share/syslinux/pxelinux.0"
    package.parent.mkdir(parents=True)
    package.write_bytes(b"package")
    loaders = Loaders(own, system)
    stands = standing(loaders, "bios/pxelinux.0")
    assert stands.holds()
    better = system / "usr/lib/PXELINUX/pxelinux.0"
    better.parent.mkdir(parents=True)
    better.write_bytes(b"better")
    assert not stands.holds()
    stands = standing(loaders, "bios/pxelinux.0")
    assert stands.holds()
    (own / "bios").mkdir()
    (own / "bios/pxelinux.0").write_bytes(b"own")
    assert not stands.holds()
    stands = standing(loaders, "bios/pxelinux.0")
    (own / "bios/pxelinux.0").unlink()
    assert not stands.holds()


class Silent:
    """A source that may have anything, and has nothing."""

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        return None

    def entries(self, path: str) -> list[Entry] | None:
        return None


def test_only_who_is_first_for_a_name_stands_for_it(root: Path, tmp_path: Path) -> None:
    """Behind a source that might claim the name there is no standing; behind one that never will there is."""
    prefixed = Directory(tmp_path / "nothing", "d", role=Role.SOURCE)
    beside = Directory(tmp_path / "nothing", "x", role=Role.SOURCE)
    for first, expected in (
        (prefixed, False),
        (beside, True),
        (GrubScript(), True),
        (Loaders(root), True),
        (Silent(), False),
    ):
        found = Tree([first, Directory(root)]).find(f"/{NAME}", ASKER)
        assert isinstance(found, Content)
        assert (found.standing is not None) is expected, first


def test_another_spelling_does_not_stand(root: Path) -> None:
    """The exact name may appear any time and would win."""
    found = Tree([Directory(root)], ignore_case=True).find("D/e/FILE", ASKER)
    assert isinstance(found, Content)
    assert found.standing is None
