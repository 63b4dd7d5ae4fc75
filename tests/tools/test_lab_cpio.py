"""The archives the lab boots kernels with."""

import shutil
import stat
import subprocess

import needs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labkit import cpio

FILES = [
    cpio.directory("dev"),
    cpio.console(),
    cpio.file("init", b"#!/bin/sh\n", 0o755),
    cpio.file("empty", b""),
    cpio.link("bin/sh", "busybox"),
]


def test_one_record_byte_for_byte() -> None:
    """The magic, thirteen numbers of eight digits, the name and the data, each padded to four bytes."""
    numbers = [1, stat.S_IFREG | 0o644, 0, 0, 1, 0, 2, 0, 0, 0, 0, 2, 0]
    head = b"070701" + b"".join(b"%08X" % n for n in numbers)
    assert cpio.serialize([cpio.file("a", b"hi")]).startswith(head + b"a\0" + b"hi\0\0" + b"070701")


def test_every_kind_of_file_comes_back() -> None:
    """What was written is what is read: files, directories, links and devices, in order."""
    assert list(cpio.parse(cpio.serialize(FILES))) == FILES


@given(st.lists(st.tuples(st.text("abc/.", min_size=1, max_size=9), st.binary(max_size=9))))
def test_any_names_and_data_come_back(files: list[tuple[str, bytes]]) -> None:
    """Padding is right for every length of name and data."""
    entries = [cpio.file(name, data) for name, data in files]
    archive = cpio.serialize(entries)
    assert len(archive) % 4 == 0
    assert list(cpio.parse(archive)) == entries


@pytest.mark.parametrize("length", [0, 6, 109, 130])
def test_a_damaged_archive_says_so(length: int) -> None:
    """An archive that ends early is an error, not a shorter archive."""
    with pytest.raises(ValueError, match=r"record|ends"):
        list(cpio.parse(cpio.serialize(FILES)[:length]))


@needs.tool("busybox")
def test_busybox_reads_it() -> None:
    """A second opinion."""
    program = shutil.which("busybox") or "busybox"
    done = subprocess.run([program, "cpio", "-t"], input=cpio.serialize(FILES), capture_output=True, check=True)
    assert done.stdout.decode().split() == [entry.name for entry in FILES]
