"""Names as firmware spells them, sources in order, directories that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.content.tree import Entry, Tree, bytes_content, listing_page, normalise
from pxenet.model import Absent, Asker, Content, Missing

ANYONE = Asker(0x0A000005)

NAMES = {
    "plain": ("pxelinux.0", "pxelinux.0"),
    "leading slash": ("/grub/grub.cfg", "grub/grub.cfg"),
    "many slashes": ("///a//b", "a/b"),
    "backslashes": ("\\boot\\x64\\wdsnbp.com", "boot/x64/wdsnbp.com"),
    "dots": ("./a/./b/.", "a/b"),
    "trailing slash": ("a/", "a"),
    "root": ("/", ""),
    "empty": ("", ""),
    "space and plus": ("a b+c", "a b+c"),
    "hidden": ("/.treeinfo", ".treeinfo"),
    "three dots": (".../x", ".../x"),
    "not decoded again": ("/%2e%2e/etc/passwd", "%2e%2e/etc/passwd"),
    "drive letter is a name": ("C:\\x", "C:/x"),
    "not UTF-8": ("caf\udce9", "caf\udce9"),
    "PXELINUX's mark for the root": ("::profile/x/linux", "profile/x/linux"),
    "the mark behind U-Boot's directory": ("boot/::profile/x/linux", "profile/x/linux"),
    "a name with colons": ("a::b", "a::b"),
    "parent behind the mark": ("::../x", None),
    "parent": ("../x", None),
    "parent inside": ("a/../b", None),
    "parent with backslashes": ("a\\..\\..\\b", None),
    "parent alone": ("..", None),
    "NUL": ("a\0.efi", None),
    "newline": ("a\nb", None),
    "escape": ("\x1b[2J", None),
    "DEL": ("a\x7f", None),
    "C1": ("a\x9bb", None),
    "lone surrogate": ("a\ud800", None),
    "surrogate of a dot": ("\udc2e\udc2e/x", None),
    "long component": ("a" * 256, None),
    "longest component": ("a" * 255, "a" * 255),
    "long in bytes": ("é" * 128, None),
    "long": ("a/" * 1500, None),
}


@pytest.mark.parametrize(("raw", "expected"), NAMES.values(), ids=NAMES.keys())
def test_a_name_is_normalised(raw: str, expected: str | None) -> None:
    """Each spelling has the one name that it stands for, or none."""
    assert normalise(raw) == expected


@given(st.text(st.characters(), max_size=60) | st.text("./\\ab%2e\0", max_size=20))
def test_a_normalised_name_stays_inside(raw: str) -> None:
    """Whatever is asked, the name is relative, has no parent, no empty part and no control character; and is stable."""
    name = normalise(raw)
    if name is None:
        return
    assert not name.startswith("/")
    assert name == "" or not {"", ".", ".."}.intersection(name.split("/"))
    assert not any(ord(c) < 0x20 or ord(c) == 0x7F or c == "\\" for c in name)
    assert normalise(name) == name


class Fake:
    """A source made of a dictionary."""

    def __init__(self, names: Mapping[str, Content | Absent]) -> None:
        self.names = names

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        return self.names.get(path)


class FakeDirectory(Fake):
    """One that can be listed."""

    def entries(self, path: str) -> Sequence[Entry] | None:
        prefix = f"{path}/" if path else ""
        below = {name[len(prefix) :].partition("/")[::2] for name in self.names if name.startswith(prefix)}
        return [Entry(name, directory=bool(rest)) for name, rest in below] or None


A, B = bytes_content("x/a", b"a"), bytes_content("x/a", b"b")


def test_the_first_source_that_knows_a_name_answers() -> None:
    """Order decides; a refusal ends the search, not knowing does not."""
    refused = Absent(Missing.DENIED, "no")
    tree = Tree([Fake({"x/b": refused}), Fake({"x/a": A}), Fake({"x/a": B, "x/b": B})])
    assert tree.find("/x//a", ANYONE) is A
    assert tree.find("x/b", ANYONE) is refused


def test_what_nobody_has() -> None:
    """An unknown name is not found, one that cannot be is a bad name; both say which."""
    tree = Tree([Fake({})])
    assert tree.find("x", ANYONE) == Absent(Missing.NOT_FOUND, "nothing is called x")
    assert tree.find("../x", ANYONE) == Absent(Missing.BAD_NAME, "'../x' cannot be the name of a file")


def test_case_is_ignored_only_when_asked_for() -> None:
    """Exact names first, then as the directories spell it, then lower case for sources that cannot be listed."""
    exact = bytes_content("BOOT/A.EFI", b"exact")
    sources = [FakeDirectory({"Boot/a.efi": A, "BOOT/A.EFI": exact}), Fake({"boot.ipxe": B})]
    assert Tree(sources).find("boot/A.efi", ANYONE) == Absent(Missing.NOT_FOUND, "nothing is called boot/A.efi")
    tree = Tree(sources, ignore_case=True)
    assert tree.find("Boot/a.efi", ANYONE) is A
    assert tree.find("BOOT/A.EFI", ANYONE) is exact
    assert tree.find("bOOT/a.EFI", ANYONE) is exact
    assert tree.find("Boot.IPXE", ANYONE) is B


def test_directories_add_up() -> None:
    """A directory is a page of what all sources have there, directories first; TFTP, which asks for no listing, finds nothing."""
    tree = Tree([FakeDirectory({"x/a": A, "x/c/d": A}), FakeDirectory({"x/b": B, "x/a": B})])
    page = tree.find("x", ANYONE, listing=True)
    assert isinstance(page, Content)
    assert page.mime == "text/html"
    data = b"".join(segment for segment in page.segments if isinstance(segment, bytes))
    assert [data.count(b'href="/x/%s"' % name) for name in (b"c/", b"a", b"b")] == [1, 1, 1]
    assert data.index(b"c/") < data.index(b'"/x/a"') < data.index(b'"/x/b"')
    assert tree.find("x", ANYONE) == Absent(Missing.NOT_FOUND, "nothing is called x")
    assert tree.find("y", ANYONE, listing=True) == Absent(Missing.NOT_FOUND, "nothing is called y")


def test_a_listing_is_escaped() -> None:
    """Names are text, never markup; bytes that are not UTF-8 survive in the link."""
    page = listing_page("a&b", [Entry('<script>"x"'), Entry("a b?c#d%e"), Entry("\udce9"), Entry("\x1b[2J")])
    (data,) = page.segments
    assert isinstance(data, bytes)
    text = data.decode()
    assert "<script>" not in text
    assert 'href="/a%26b/%3Cscript%3E%22x%22"' in text
    assert 'href="/a%26b/a%20b%3Fc%23d%25e"' in text
    assert 'href="/a%26b/%E9"' in text
    assert "\x1b" not in text


def test_an_etag_of_bytes_tells_them_apart() -> None:
    """Equal bytes, equal tag; quoted, not weak."""
    assert A.etag == bytes_content("other", b"a").etag
    assert A.etag != B.etag
    assert A.etag[0] == A.etag[-1] == '"'
