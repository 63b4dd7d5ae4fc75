"""ISO images served in place: names of every kind, files of several extents, and nothing that a damaged image could do to us."""

from __future__ import annotations

import os
import subprocess
from io import BytesIO
from pathlib import Path

import needs
import pycdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso_writer import SECTOR, Written, directory, image, link_field, name_field

from pxenet.content import iso_index
from pxenet.content.directory import OpenFile
from pxenet.content.iso import Iso, IsoImage, Loaded
from pxenet.content.iso_image import IsoDirectory, IsoError, IsoFile
from pxenet.content.iso_index import Browser, Index, build, key_of, stored
from pxenet.content.plain import read
from pxenet.content.tree import Entry, Tree
from pxenet.model import Absent, Asker, Content, Later, Missing, Role

ANYONE = Asker(0x0A000005)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def index_of(path: Path) -> Index:
    with open(path, "rb") as file:
        return build(file.fileno())


def source(path: Path, cache: Path | None = None) -> Iso:
    roles = {"profile/p/images/vmlinuz": Role.KERNEL}
    return Iso(IsoImage(path, cache), "profile/p", role=Role.SOURCE, profile="p", roles=roles)


def text(iso: Iso, path: str) -> bytes | Absent | Later | None:
    found = iso.find(path, ANYONE, 0.0)
    return read(found) if isinstance(found, Content) else found


FILES = {
    ".treeinfo": b"[general]\n",
    "images/vmlinuz": b"kernel" * 1000,
    "Packages/v/very-long-name-of-a-package-with-CAPITALS-1.2.3-4.el9.x86_64.rpm": b"rpm",
    "a/b/c/d/e/f/g/h/i/j/deep.txt": b"ten levels down",
    "empty": b"",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "stable").symlink_to("images")
    (root / "out").symlink_to("/etc")
    return root


def mastered(tree: Path, path: Path, *command: str) -> Path:
    subprocess.run([*command, "-o", str(path), str(tree)], check=True, capture_output=True, timeout=60)
    return path


MASTERERS = {
    "xorriso, rock ridge": ("xorriso", "-as", "mkisofs", "-quiet", "-r"),
    "xorriso, rock ridge and joliet": ("xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-joliet-long"),
    "genisoimage, rock ridge": ("genisoimage", "-quiet", "-r"),
    "genisoimage, rock ridge, udf": ("genisoimage", "-quiet", "-r", "-udf"),
}


@needs.tool("xorriso", "genisoimage")
@pytest.mark.parametrize("command", MASTERERS.values(), ids=MASTERERS.keys())
def test_files_of_real_images(tree: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Long names, dots, capitals, depth (directories that were moved), links: each file is there with its bytes."""
    iso = source(mastered(tree, tmp_path / "x.iso", *command))
    assert dict(FILES) == {name: text(iso, f"profile/p/{name}") for name in FILES}
    assert FILES["images/vmlinuz"] == text(iso, "profile/p/stable/vmlinuz")
    assert text(iso, "profile/p/out/passwd") is None
    assert [] == index_of(tmp_path / "x.iso").about.problems


@needs.tool("genisoimage")
@pytest.mark.parametrize("options", [("-J", "-joliet-long"), ("-iso-level", "4", "-l")], ids=["joliet", "iso 9660"])
def test_names_without_rock_ridge(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Joliet's names as they are; ISO 9660's own without versions, in whatever case they are asked for."""
    (tmp_path / "t/images").mkdir(parents=True)
    (tmp_path / "t/images/Vmlinuz").write_bytes(b"kernel")
    (tmp_path / "t/noext").write_bytes(b"x")
    iso = source(mastered(tmp_path / "t", tmp_path / "x.iso", "genisoimage", "-quiet", *options))
    assert b"kernel" == text(iso, "profile/p/images/Vmlinuz")
    assert b"x" == text(iso, "profile/p/noext")
    if "-J" not in options:
        assert b"kernel" == text(iso, "profile/p/IMAGES/VMLINUZ")


def test_plain_names_of_the_oldest_form(tmp_path: Path) -> None:
    """``README.;1`` is called readme, and ``BOOT.CFG;1`` boot.cfg."""
    entries = [Written(b"README.;1", 21, 2), Written(b"BOOT.CFG;1", 22, 3)]
    path = write(tmp_path / "x.iso", image({20: directory(20, 20, entries), 21: b"hi", 22: b"cfg"}))
    iso = source(path)
    assert (b"hi", b"cfg") == (text(iso, "profile/p/readme"), text(iso, "profile/p/BOOT.CFG"))


def by_pycdlib(path: Path) -> dict[str, bytes]:
    """The plain path: every file of an image as pycdlib reads it."""
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    try:
        found = {}
        for above, _, names in iso.walk(rr_path="/"):
            for name in names:
                whole = f"{above.rstrip('/')}/{name}"
                if iso.get_record(rr_path=whole).rock_ridge.is_symlink():
                    continue
                data = BytesIO()
                iso.get_file_from_iso_fp(data, rr_path=whole)
                found[whole.lstrip("/")] = data.getvalue()
        return found
    finally:
        iso.close()


@needs.tool("xorriso")
def test_equal_to_pycdlib(tree: Path, tmp_path: Path) -> None:
    """The bounded reader and the library see the same files with the same bytes."""
    path = mastered(tree, tmp_path / "x.iso", *MASTERERS["xorriso, rock ridge"])
    expected = by_pycdlib(path)
    index = index_of(path)
    ours = {name for name, node in index.nodes.items() if isinstance(node, IsoFile)}
    assert expected.keys() == ours
    iso = source(path)
    assert expected == {name: text(iso, f"profile/p/{name}") for name in ours}


def test_an_image_of_pycdlib(tmp_path: Path) -> None:
    """What the library writes is read, with both name spaces."""
    iso = pycdlib.PyCdlib()
    iso.new(rock_ridge="1.09", joliet=3, vol_ident="LIB")
    iso.add_fp(BytesIO(b"hello"), 5, "/HELLO.;1", rr_name="Hello.World", joliet_path="/Hello.World")
    iso.write(str(tmp_path / "x.iso"))
    iso.close()
    assert b"hello" == text(source(tmp_path / "x.iso"), "profile/p/Hello.World")
    assert ("LIB", "rock ridge") == (
        index_of(tmp_path / "x.iso").about.volume_id,
        index_of(tmp_path / "x.iso").about.names,
    )


def test_a_file_of_several_extents(tmp_path: Path) -> None:
    """Files over 4 GiB are several records of one name; extents need not be adjacent, and those that are become one."""
    parts = [
        Written(b"BIG.;1", 21, SECTOR, 0x80),
        Written(b"BIG.;1", 22, SECTOR, 0x80),
        Written(b"BIG.;1", 30, 10),
        Written(b"NEXT.;1", 31, 4),
    ]
    data = {20: directory(20, 20, parts), 21: b"a" * SECTOR, 22: b"b" * SECTOR, 30: b"c" * 10, 31: b"next"}
    path = write(tmp_path / "x.iso", image(data))
    found = source(path).find("profile/p/big", ANYONE, 0.0)
    assert isinstance(found, Content)
    assert (2 * SECTOR + 10, 2) == (found.size, len(found.segments))
    assert b"a" * SECTOR + b"b" * SECTOR + b"c" * 10 == read(found)
    assert b"b" * 2 + b"c" * 3 == read(found, 2 * SECTOR - 2, 5)
    assert b"next" == text(source(path), "profile/p/next")


def test_sizes_beyond_32_bits(tmp_path: Path) -> None:
    """The sum of the extents is the size, and offsets behind 4 GiB are reached."""
    last = (6 << 30) // SECTOR
    most = (0xFFFFFFFF // SECTOR) * SECTOR
    parts = [
        Written(b"BIG.;1", 100, most, 0x80),
        Written(b"BIG.;1", 100 + most // SECTOR, SECTOR),
        Written(b"END.;1", last, 3),
    ]
    with open(tmp_path / "x.iso", "wb") as file:
        file.write(image({20: directory(20, 20, parts)}, size=100))
        file.truncate(last * SECTOR)
        file.seek(last * SECTOR)
        file.write(b"end")
    found = source(tmp_path / "x.iso").find("profile/p/big", ANYONE, 0.0)
    assert isinstance(found, Content)
    assert (most + SECTOR, 1) == (found.size, len(found.segments))
    assert b"end" == text(source(tmp_path / "x.iso"), "profile/p/end")


# -- hostile images --------------------------------------------------------------------------------------------------------------


def loop() -> bytes:
    inner = directory(21, 20, [Written(b"UP", 20, SECTOR, 2), Written(b"SELF", 21, SECTOR, 2)])
    return image(
        {20: directory(20, 20, [Written(b"DIR", 21, SECTOR, 2), Written(b"F.;1", 22, 1)]), 21: inner, 22: b"f"}
    )


HOSTILE = {
    "a loop of directories": (loop(), "a loop, left out"),
    "an extent beyond the end": (
        image({20: directory(20, 20, [Written(b"F.;1", 22, 1), Written(b"X.;1", 60, 99999)]), 22: b"f"}),
        "x lies beyond the end",
    ),
    "a directory beyond the end": (
        image({20: directory(20, 20, [Written(b"F.;1", 22, 1), Written(b"D", 0x7FFFFFFF, SECTOR, 2)]), 22: b"f"}),
        "/d cannot be read",
    ),
    "a directory of 4 GiB": (
        image({20: directory(20, 20, [Written(b"F.;1", 22, 1), Written(b"D", 21, 0xFFFFFFFF, 2)]), 22: b"f"}),
        "/d cannot be read",
    ),
    "a record that does not fit": (
        image({20: (directory(20, 20, [Written(b"F.;1", 22, 1)]).rstrip(b"\0") + bytes([0, 0, 200, 0])), 22: b"f"}),
        "",
    ),
    "zisofs": (
        image(
            {
                20: directory(
                    20, 20,
                    [Written(b"F.;1", 22, 1, fields=name_field(b"f")), Written(b"Z.;1", 23, 9, fields=b"ZF\x10\x01pz" + bytes(10))],
                    rock_ridge=True,
                ),
                22: b"f",
            }
        ),
        "zisofs",
    ),
    "interleaved": (
        image({20: directory(20, 20, [Written(b"F.;1", 22, 1), Written(b"I.;1", 23, 9, gap=3)]), 22: b"f"}),
        "interleaved",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "problem"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_parts(tmp_path: Path, data: bytes, problem: str) -> None:
    """What is wrong is told, and what is right beside it is served all the same."""
    path = write(tmp_path / "x.iso", data)
    problems = index_of(path).about.problems
    assert any(problem in each for each in problems) or not problem
    assert b"f" == text(source(path), "profile/p/f")


def test_names_that_would_lead_out(tmp_path: Path) -> None:
    """``..``, a slash and an empty name are no files, whoever wrote them."""
    entries = [
        Written(b"A.;1", 22, 1, fields=name_field(b"..")),
        Written(b"B.;1", 22, 1, fields=name_field(b"a/b")),
        Written(b"C.;1", 22, 1, fields=name_field(b"x\0y")),
        Written(b"D.;1", 22, 1, fields=name_field(b"d")),
    ]
    path = write(tmp_path / "x.iso", image({20: directory(20, 20, entries, rock_ridge=True), 22: b"f"}))
    assert {"", "d"} == set(index_of(path).nodes)


@pytest.mark.parametrize("target", ["../../etc/passwd", "/etc/passwd", "l", "", "a/../../.."])
def test_links_that_lead_out(tmp_path: Path, target: str) -> None:
    """A link out of the image, or to itself, leads nowhere."""
    entries = [Written(b"L.;1", 0, 0, fields=name_field(b"l") + link_field(target))]
    path = write(tmp_path / "x.iso", image({20: directory(20, 20, entries, rock_ridge=True)}))
    assert index_of(path).find("l") is None or isinstance(index_of(path).find("l"), IsoDirectory)
    assert text(source(path), "profile/p/l") is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not an ISO 9660 image"),
        (bytes(40 * SECTOR), "CD001"),
        (image({})[: 20 * SECTOR], "damaged root|root directory|points to"),
        (image({16: b"\x02CD001\x01".ljust(SECTOR, b"\0")}), "no primary"),
        (image({n: b"\x03CD001\x01".ljust(SECTOR, b"\0") for n in range(17, 90)}, 100), "without end"),
        (image({20: bytes(SECTOR)}), "root directory"),
    ],
    ids=["empty", "no magic", "cut", "no primary", "descriptors without end", "no root"],
)
def test_images_that_are_none(tmp_path: Path, data: bytes, words: str) -> None:
    """One clear error, and an Absent for whoever asks."""
    path = write(tmp_path / "x.iso", data)
    with pytest.raises(IsoError, match=words):
        index_of(path)
    found = text(source(path), "profile/p/f")
    assert isinstance(found, Absent)
    assert (Missing.DAMAGED, True) == (found.missing, str(path) in found.detail)


BASE = image(
    {
        20: directory(
            20, 20,
            [
                Written(b"DIR", 21, SECTOR, 2, name_field(b"dir")),
                Written(b"F.;1", 22, 1, fields=name_field(b"f")),
                Written(b"L.;1", 0, 0, fields=name_field(b"l") + link_field("dir/g")),
                Written(b"B.;1", 22, SECTOR, 0x80), Written(b"B.;1", 24, 7),
            ],
            rock_ridge=True,
        ),
        21: directory(21, 20, [Written(b"G.;1", 23, 5, fields=b"CE\x1c\x01" + bytes([25, 0, 0, 0] * 2 + [0] * 8 + [20, 0, 0, 0] * 2))]),
        25: name_field(b"g").ljust(20, b"\0"),
    },
    size=32,
)  # fmt: skip
"""A small image with one of everything."""


@given(
    st.lists(st.tuples(st.integers(16 * SECTOR, 26 * SECTOR - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(BASE)),
)
def test_any_damage_is_an_error_or_an_index(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    """Whatever octets change, wherever it ends: IsoError, or an index whose files lie inside the image."""
    data = bytearray(BASE)
    for at, octet in changes:
        data[at] = octet
    fd = os.memfd_create("image")
    try:
        os.write(fd, bytes(data) if cut % 3 else bytes(data[:cut]))
        try:
            index = build(fd)
            browser = Browser(fd)
        except IsoError:
            return
        size = os.fstat(fd).st_size
        for path, node in index.nodes.items():
            if isinstance(node, IsoFile) and not node.fault:
                assert all(0 <= start and start + length <= size for start, length in node.extents)
                assert sum(length for _, length in node.extents) == node.size
            index.find(path)
            browser.find(path)
            index.children(path)
    finally:
        os.close(fd)


# -- the index and the image over time -------------------------------------------------------------------------------------------


def test_the_index_is_kept(tmp_path: Path) -> None:
    """By inode, size and time; a damaged one is as good as none."""
    path = write(tmp_path / "x.iso", BASE)
    cache = tmp_path / "cache"
    assert text(source(path, cache), "profile/p/f") is not None
    key = key_of(path.stat())
    kept = stored(cache, key)
    assert kept is not None
    assert index_of(path).nodes == kept.nodes
    assert index_of(path).about == kept.about
    (cache / f"{key}.json").write_bytes((cache / f"{key}.json").read_bytes()[:-9])
    assert stored(cache, key) is None
    assert text(source(path, cache), "profile/p/f") is not None
    assert stored(cache, key) is not None


def test_indexes_of_others_are_forgotten(tmp_path: Path) -> None:
    """Only those of the images that are served are kept."""
    iso_index.store(tmp_path, "a-1", Index(index_of(write(tmp_path / "x.iso", BASE)).about))
    iso_index.store(tmp_path, "b-2", Index(index_of(tmp_path / "x.iso").about))
    iso_index.forget_others(tmp_path, {"b-2"})
    assert ["b-2.json"] == sorted(each.name for each in tmp_path.glob("*.json"))


def test_a_replaced_image_is_read_anew(tmp_path: Path) -> None:
    """Its files are the new ones, with other ETags; who still reads the old one has it open."""
    first = image({20: directory(20, 20, [Written(b"F.;1", 22, 3)]), 22: b"old"})
    path = write(tmp_path / "x.iso", first)
    iso = source(path)
    before = iso.find("profile/p/f", ANYONE, 0.0)
    write(tmp_path / "y.iso", first.replace(b"old", b"new"))
    (tmp_path / "y.iso").replace(path)
    after = iso.find("profile/p/f", ANYONE, 1.0)
    assert isinstance(before, Content)
    assert isinstance(after, Content)
    assert (b"old", b"new", True) == (read(before), read(after), before.etag != after.etag)


def test_in_a_server_whoever_asks_too_early_is_answered_later(tmp_path: Path) -> None:
    """The image is read once however many ask, and all of them are answered when it was."""
    path = write(tmp_path / "x.iso", image({20: directory(20, 20, [Written(b"F.;1", 22, 1)]), 22: b"f"}))
    shared = IsoImage(path)
    wanted: list[IsoImage] = []
    shared.background = wanted.append
    tree = Tree([Iso(shared, "profile/p", role=Role.SOURCE, profile="p")])
    asked = [tree.find("profile/p/f", ANYONE) for _ in range(3)]
    answers: list[Content | Absent | None] = []
    for later in asked:
        assert isinstance(later, Later)
        later.then(answers.append)
    assert ([shared], []) == (wanted, answers)
    shared.take(shared.load())
    assert [b"f"] * 3 == [read(each) if isinstance(each, Content) else each for each in answers]


def test_a_missing_image_is_looked_for_again(tmp_path: Path) -> None:
    """It is not available, not damaged; and once it is there it is served, without a restart."""
    iso = source(tmp_path / "x.iso")
    found = iso.find("profile/p/f", ANYONE, 0.0)
    assert isinstance(found, Absent)
    assert Missing.UNAVAILABLE is found.missing
    write(tmp_path / "x.iso", image({20: directory(20, 20, [Written(b"F.;1", 22, 1)]), 22: b"f"}))
    assert isinstance(iso.find("profile/p/f", ANYONE, 1.0), Absent)
    assert isinstance(iso.find("profile/p/f", ANYONE, 60.0), Content)


def test_directories_of_an_image_are_listed(tmp_path: Path) -> None:
    """As those of a directory are: names, sizes, and the way to the image itself."""
    path = write(
        tmp_path / "x.iso",
        image(
            {20: directory(20, 20, [Written(b"F.;1", 22, 1), Written(b"D", 21, SECTOR, 2)]), 21: directory(21, 20, [])}
        ),
    )
    iso = source(path)
    assert iso.entries("profile/p") is None
    iso.find("profile/p/f", ANYONE, 0.0)
    assert [("d", True, 0), ("f", False, 1)] == sorted(
        (e.name, e.directory, e.size) for e in iso.entries("profile/p") or ()
    )
    assert [] == iso.entries("profile/p/d")
    assert iso.entries("profile/p/f") is None
    assert [Entry("p", True)] == iso.entries("profile")


def test_roles(tmp_path: Path) -> None:
    """The kernel proves a start, everything else that the machine installs."""
    path = write(
        tmp_path / "x.iso",
        image(
            {
                20: directory(20, 20, [Written(b"IMAGES", 21, SECTOR, 2)]),
                21: directory(21, 20, [Written(b"VMLINUZ.;1", 22, 1), Written(b"X.;1", 22, 1)]),
            }
        ),
    )
    iso = source(path)
    found = [iso.find(f"profile/p/images/{name}", ANYONE, 0.0) for name in ("vmlinuz", "x")]
    assert [(Role.KERNEL, "p"), (Role.SOURCE, "p")] == [
        (each.role, each.profile) for each in found if isinstance(each, Content)
    ]


def test_open_files_are_closed(tmp_path: Path) -> None:
    """With the last content that refers to the image."""
    shared = IsoImage(write(tmp_path / "x.iso", BASE))
    loaded = shared.load()
    assert isinstance(loaded, Loaded)
    assert isinstance(loaded.file, OpenFile)
    fd = loaded.file.fd
    os.fstat(fd)
    del loaded
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
