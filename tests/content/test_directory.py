"""Directories: what is served, and above all what is not."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from pxenet.content import directory as directory_module
from pxenet.content.directory import Directory, mime_type, open_beneath
from pxenet.content.plain import read
from pxenet.content.tree import Entry, Tree
from pxenet.model import Absent, Asker, Content, Missing, Region, Role

ANYONE = Asker(0x0A000005)


@pytest.fixture(params=["openat2", "walk"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with something to steal beside it; opened in both ways, which must not differ."""
    if request.param == "walk":

        def no_openat2(root_fd: int, path: str, flags: int) -> int:
            raise OSError(errno.ENOSYS, "an old kernel")

        monkeypatch.setattr(directory_module, "_open_by_kernel", no_openat2)
    root = tmp_path / "root"
    (root / "images/pxeboot").mkdir(parents=True)
    (root / "images/pxeboot/vmlinuz").write_bytes(b"kernel")
    (root / "empty").write_bytes(b"")
    (root / "with space").write_bytes(b"space")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "rootkit").mkdir()
    (tmp_path / "rootkit/x").write_bytes(b"the path of the root is a prefix of this one")
    return root


def text(source: Directory, path: str) -> bytes | Absent | None:
    found = source.find(path, ANYONE, 0.0)
    return read(found) if isinstance(found, Content) else found


def test_a_file(root: Path) -> None:
    """Its size, time, type, and one region that covers it."""
    content = Directory(root).find("images/pxeboot/vmlinuz", ANYONE, 0.0)
    assert isinstance(content, Content)
    status = os.stat(root / "images/pxeboot/vmlinuz")
    assert (content.name, content.size, content.modified_at) == ("images/pxeboot/vmlinuz", 6, int(status.st_mtime))
    (region,) = content.segments
    assert isinstance(region, Region)
    assert (region.offset, region.length) == (0, 6)
    assert read(content) == b"kernel"
    assert (content.role, content.mime) == (Role.FILE, "application/octet-stream")


def test_names_that_are_no_file(root: Path) -> None:
    """Missing, empty, a directory, below a file, a FIFO, a socket: not found, and never a wait."""
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    source = Directory(root)
    for path in ("nothing", "", "images", "empty/x", "fifo", "socket"):
        assert source.find(path, ANYONE, 0.0) is None, path
    assert text(source, "empty") == b""


LINKS_INSIDE = {
    "to a file": ("link", "images/pxeboot/vmlinuz", "link"),
    "to a directory": ("link", "images", "link/pxeboot/vmlinuz"),
    "up and down": ("images/link", "../images/pxeboot", "images/link/vmlinuz"),
    "absolute": ("link", "{root}/images", "link/pxeboot/vmlinuz"),
    "absolute to a file": ("images/link", "{root}/images/pxeboot/vmlinuz", "images/link"),
}


@pytest.mark.parametrize(("at", "target", "path"), LINKS_INSIDE.values(), ids=LINKS_INSIDE.keys())
def test_links_that_stay_inside_work(root: Path, at: str, target: str, path: str) -> None:
    """Administrators link ``latest`` to a release."""
    (root / at).symlink_to(target.format(root=root))
    assert text(Directory(root), path) == b"kernel"


LINKS_OUT = {
    "relative": ("link", "../secret", "link"),
    "absolute": ("link", "{root}/../secret", "link"),
    "directory": ("link", "..", "link/secret"),
    "deep": ("images/link", "../../secret", "images/link"),
    "to the top": ("link", "/", "link/etc/passwd"),
    "chained": ("link", "images/../../root/../secret", "link"),
    "sibling with our name as prefix": ("link", "{root}kit", "link/x"),
    "loop": ("link", "link", "link"),
    "proc": ("link", "/proc/self/root", "link/etc/passwd"),
}


@pytest.mark.parametrize(("at", "target", "path"), LINKS_OUT.values(), ids=LINKS_OUT.keys())
def test_links_that_lead_out_are_refused(root: Path, at: str, target: str, path: str) -> None:
    """No link leads to anything beside the root, and the refusal names no path outside."""
    (root / at).symlink_to(target.format(root=root))
    found = Directory(root).find(path, ANYONE, 0.0)
    assert isinstance(found, Absent)
    assert found.missing is Missing.DENIED
    assert "secret" not in found.detail or "secret" in path


def test_hostile_names_do_not_reach_the_file_system(root: Path) -> None:
    """The tree in front of a directory refuses what leads out, whichever way it is written."""
    tree = Tree([Directory(root)])
    for name in (
        "../secret",
        "images/../../secret",
        "..\\secret",
        "/..//secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "a\0b",
    ):
        assert isinstance(tree.find(name, ANYONE, listing=True), Absent), name
    assert isinstance(tree.find("/etc/passwd", ANYONE), Absent)
    assert isinstance(tree.find(f"{root}/images/pxeboot/vmlinuz", ANYONE), Absent)
    assert isinstance(tree.find("images//pxeboot\\vmlinuz", ANYONE), Content)


def test_a_race_does_not_lead_out(root: Path, tmp_path: Path) -> None:
    """While a directory and a link out of the root change places, no answer ever holds what is outside."""
    (root / "real").mkdir()
    (root / "real/secret").write_bytes(b"harmless")
    (root / "link").symlink_to(tmp_path)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "real", root / "now")
            os.rename(root / "now", root / "real")
            os.rename(root / "link", root / "now")
            os.rename(root / "now", root / "link")

    swapper = threading.Thread(target=swap)
    swapper.start()
    source = Directory(root)
    try:
        answers = [text(source, "now/secret") for _ in range(600)]
    finally:
        stop.set()
        swapper.join()
    assert b"secret" not in answers


def test_the_walk_follows_no_link_put_in_its_way(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that appears after the names were resolved stops the walk that stands in for openat2."""
    resolve = os.path.realpath

    def resolve_then_swap(path: str) -> str:
        resolved = resolve(path)
        if path.endswith("vmlinuz"):
            os.rename(root / "images", root / "moved")
            (root / "images").symlink_to(tmp_path)
        return resolved

    monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
    monkeypatch.setattr(directory_module, "_open_by_kernel", _refuse)
    with pytest.raises(OSError) as caught:
        open_beneath(str(root), "images/pxeboot/vmlinuz", os.O_RDONLY)
    assert caught.value.errno in (errno.ENOTDIR, errno.ELOOP)


def _refuse(root_fd: int, path: str, flags: int) -> int:
    raise OSError(errno.ENOSYS, "an old kernel")


def test_no_descriptor_is_left_behind(root: Path) -> None:
    """Found, refused or missing: what was opened is closed when the content is gone."""
    (root / "out").symlink_to("/etc")
    source = Directory(root)
    before = len(os.listdir("/proc/self/fd"))
    for path in ("images/pxeboot/vmlinuz", "out/passwd", "nothing", "images", "empty") * 5:
        source.find(path, ANYONE, 0.0)
        source.entries(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_readers_share_a_descriptor(root: Path) -> None:
    """A thousand machines that boot at once do not use up the descriptors; a replaced file is opened anew."""
    source = Directory(root)
    held = [source.find("images/pxeboot/vmlinuz", ANYONE, 0.0) for _ in range(50)]
    fds = {segment.file.fd for content in held if isinstance(content, Content) for segment in content.segments}  # type: ignore[union-attr]
    assert len(fds) == 1
    (root / "new").write_bytes(b"another")
    (root / "new").rename(root / "images/pxeboot/vmlinuz")
    assert text(source, "images/pxeboot/vmlinuz") == b"another"
    assert isinstance(held[0], Content)
    assert read(held[0]) == b"kernel"


def test_the_etag_follows_the_file(root: Path) -> None:
    """Stable while nothing changes; another for another size, time or file."""
    source, path = Directory(root), root / "with space"

    def etag() -> str:
        found = source.find("with space", ANYONE, 0.0)
        assert isinstance(found, Content)
        assert found.etag[0] == found.etag[-1] == '"'
        return found.etag

    seen = [etag()]
    assert etag() == seen[0]
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    seen.append(etag())
    os.truncate(path, 2)
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    seen.append(etag())
    path.rename(root / "old")
    path.write_bytes(b"sp")
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    seen.append(etag())
    assert len(set(seen)) == 4


def test_entries(root: Path, tmp_path: Path) -> None:
    """Files and directories; links inside as what they point at; nothing that could not be had."""
    (root / "inside").symlink_to("images")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    entries = Directory(root).entries("")
    assert entries is not None
    assert sorted((entry.name, entry.directory, entry.size) for entry in entries) == [
        ("empty", False, 0),
        ("images", True, 0),
        ("inside", True, 0),
        ("with space", False, 5),
    ]
    assert Directory(root).entries("empty") is None
    assert Directory(root).entries("nothing") is None


def test_a_prefix_is_a_directory_too(root: Path) -> None:
    """Under a prefix nothing else is ours, and the way to it can be listed."""
    source = Directory(
        root,
        "profile/alma9",
        role=Role.SOURCE,
        profile="alma9",
        roles={"profile/alma9/images/pxeboot/vmlinuz": Role.KERNEL},
    )
    kernel = source.find("profile/alma9/images/pxeboot/vmlinuz", ANYONE, 0.0)
    space = source.find("profile/alma9/with space", ANYONE, 0.0)
    assert isinstance(kernel, Content)
    assert isinstance(space, Content)
    assert (kernel.role, kernel.profile, space.role) == (Role.KERNEL, "alma9", Role.SOURCE)
    for path in ("with space", "profile", "profile/alma9", "profile/alma99/empty", "profile/alma9x"):
        assert source.find(path, ANYONE, 0.0) is None, path
    assert source.entries("") == [Entry("profile", True)]
    assert source.entries("profile") == [Entry("alma9", True)]
    assert source.entries("pro") is None
    below = source.entries("profile/alma9/images")
    assert below is not None
    assert [entry.name for entry in below] == ["pxeboot"]


def test_a_root_that_is_missing_or_swapped(root: Path) -> None:
    """The root is looked up for each request: gone is not found, a new release is served at once."""
    source = Directory(root.parent / "current")
    assert source.find("empty", ANYONE, 0.0) is None
    (root.parent / "current").symlink_to(root)
    assert text(source, "with space") == b"space"


REFUSALS = {
    errno.EACCES: Absent(Missing.DENIED, "x cannot be read: Permission denied"),
    errno.EPERM: Absent(Missing.DENIED, "x cannot be read: Operation not permitted"),
    errno.EMFILE: Absent(Missing.UNAVAILABLE, "Too many open files"),
    errno.ENFILE: Absent(Missing.UNAVAILABLE, "Too many open files in system"),
    errno.ENOMEM: Absent(Missing.UNAVAILABLE, "Cannot allocate memory"),
    errno.EIO: Absent(Missing.UNAVAILABLE, "Input/output error"),
    errno.ESTALE: Absent(Missing.UNAVAILABLE, "Stale file handle"),
    errno.ENAMETOOLONG: Absent(Missing.BAD_NAME, "x is too long a name"),
    errno.ENOENT: None,
    errno.ENOTDIR: None,
}


@pytest.mark.parametrize(("number", "expected"), REFUSALS.items(), ids=[errno.errorcode[n] for n in REFUSALS])
def test_why_a_file_cannot_be_read(number: int, expected: Absent | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there is another source's turn; what is forbidden stays forbidden; everything else may be better in a while."""

    def fail(root: str, path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(directory_module, "open_beneath", fail)
    assert Directory("/srv").find("x", ANYONE, 0.0) == expected


MIME = {
    "x64/shimx64.efi": "application/efi",
    "a.ISO": "application/vnd.efi-iso",
    "disk.img": "application/vnd.efi-img",
    "index.html": "text/html",
    "ks.cfg": "text/plain",
    "vmlinuz": "application/octet-stream",
    "initrd.img.gz": "application/octet-stream",
    ".treeinfo": "application/octet-stream",
}


@pytest.mark.parametrize(("name", "expected"), MIME.items(), ids=MIME.keys())
def test_media_types(name: str, expected: str) -> None:
    """edk2 decides by them what it has downloaded; none has parameters."""
    assert mime_type(name) == expected
