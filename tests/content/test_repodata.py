"""Checksums out of a repository's description, and nothing else out of hostile ones."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.content.repodata import RepodataError, below, read_primary, read_repomd, repository_of

REPOMD = b"""<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>
<data type="primary"><checksum type="sha256">AB</checksum><open-checksum type="sha256">cd</open-checksum>
<location href="repodata/1-primary.xml.gz"/></data>
<data type="other"><checksum type="crc32">ef</checksum><location href="repodata/other.xml.gz"/></data>
<data type="evil"><checksum type="sha256">ef</checksum><location href="../../etc/passwd"/></data></repomd>"""
PRIMARY = b"""<metadata packages="1"><package type="rpm"><name>a</name><checksum type="sha" pkgid="YES">12</checksum>
<location href="Packages/a.rpm"/></package></metadata>"""


def test_what_is_promised() -> None:
    """Paths below the repository, with algorithms that we have; paths that lead out promise nothing."""
    assert ({"repodata/1-primary.xml.gz": "sha256:ab"}, "repodata/1-primary.xml.gz") == read_repomd(REPOMD)
    assert {"os/Packages/a.rpm": "sha1:12"} == below("os/", read_primary(BytesIO(PRIMARY), "primary.xml"))


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "p.xml.gz"), (lzma.compress, "p.xml.xz")], ids=["gz", "xz"])
def test_packings(pack: Callable[[bytes], bytes], name: str) -> None:
    """Both are read; what is cut is an error; of those that are unknown here nothing is read."""
    packed = pack(PRIMARY)
    assert {"Packages/a.rpm": "sha1:12"} == read_primary(BytesIO(packed), name)
    with pytest.raises(RepodataError):
        read_primary(BytesIO(packed[:-9]), name)
    assert {} == read_primary(BytesIO(b"\x28\xb5\x2f\xfd"), "p.xml.zst")


def test_where_a_repository_begins() -> None:
    """Before repodata/repomd.xml, which may stand at the very top."""
    names = ("http://m/os/repodata/repomd.xml", "repodata/repomd.xml", "http://m/repomd.xml")
    assert ["http://m/os/", "", None] == [repository_of(name) for name in names]


def test_entities_are_refused() -> None:
    """A page of them would otherwise become gigabytes."""
    with pytest.raises(RepodataError, match="entities"):
        read_repomd(b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><repomd>&b;</repomd>')


@given(st.binary(max_size=60), st.integers(0, len(REPOMD)))
def test_any_damage_is_an_error_or_a_reading(noise: bytes, at: int) -> None:
    """Nothing else comes out, and no path leads out."""
    try:
        found, primary = read_repomd(REPOMD[:at] + noise + REPOMD[at + len(noise) :])
    except RepodataError:
        return
    assert primary in {"", *found}
    assert not any(path.startswith(("/", "..")) for path in found)
