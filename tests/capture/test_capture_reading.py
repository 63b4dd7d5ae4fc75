"""Capture files of every form, whole and broken: dpkt reads the same where it can, and damage takes nothing that stood before it."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import capture_files as made
import dpkt
import pytest
from capture_files import Kept
from hypothesis import given
from hypothesis import strategies as st

from pxenet.capture.reading import CaptureError, CaptureReader, open_capture

CAPTURES = sorted((Path(__file__).resolve().parents[2] / "captures").glob("*.pcap"))
SECOND = 10**9
PACKETS = [
    Kept(1700000000 * SECOND, b"a" * 60, 60),
    Kept(1700000000 * SECOND + 123456000, b"b" * 1514, 1514),
    Kept(1700000001 * SECOND + 5000, b"c" * 64, 1514),
    Kept(1700000001 * SECOND + 5000, b"", 0),
]
FORMS = {
    "microseconds": made.pcap(PACKETS, nanoseconds=False),
    "microseconds, big-endian": made.pcap(PACKETS, nanoseconds=False, order=">"),
    "nanoseconds": made.pcap(PACKETS),
    "nanoseconds, big-endian": made.pcap(PACKETS, order=">"),
    "pcapng": made.pcapng(PACKETS),
    "pcapng, big-endian": made.pcapng(PACKETS, order=">"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", [None, 1, 13], ids=["file", "byte by byte", "pipe"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_form(form: str, piece: int | None, packed: bool) -> None:
    """Packets, times, and lengths on the wire survive, however the file is packed and however it comes."""
    data = gzip.compress(FORMS[form]) if packed else FORMS[form]
    found, reader = made.read(data, piece)
    assert found == PACKETS
    assert reader.damage is None
    assert reader.read_bytes == len(data)


def test_open(tmp_path: Path) -> None:
    """A file tells how large it is, and what is no capture is named."""
    path = tmp_path / "x.pcap"
    path.write_bytes(FORMS["pcapng"])
    with open_capture(path) as reader:
        assert (reader.total_bytes, sum(1 for _ in reader)) == (len(FORMS["pcapng"]), len(PACKETS))
    path.write_bytes(b"nonsense" * 10)
    with pytest.raises(CaptureError, match=r"x\.pcap: not a pcap or pcapng file"), open_capture(path):
        pass


@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_equal_to_dpkt(path: Path) -> None:
    """Each capture of the repository is read as dpkt reads it."""
    with path.open("rb") as file:
        theirs = [(round(at * 10**6), bytes(frame)) for at, frame in dpkt.pcap.Reader(file)]
    ours, reader = made.read(path.read_bytes())
    assert [(packet.at_ns // 1000, packet.data) for packet in ours] == theirs
    assert reader.damage is None


kept = st.builds(
    Kept,
    st.integers(0, 2**32 - 1).map(lambda second: second * SECOND + second % 1000 * 1000),
    st.binary(max_size=200),
    st.integers(0, 2000),
)


@given(st.lists(kept, max_size=8), st.sampled_from("<>"), st.sampled_from(["pcap", "pcapng"]))
def test_made_files_equal_to_dpkt(packets: list[Kept], order: str, form: str) -> None:
    """Files of any contents are read as dpkt reads them."""
    data = made.pcap(packets, order=order, nanoseconds=False) if form == "pcap" else made.pcapng(packets, order=order)
    reader = dpkt.pcap.Reader if form == "pcap" else dpkt.pcapng.Reader
    theirs = [bytes(frame) for _, frame in reader(io.BytesIO(data))]
    ours, _ = made.read(data)
    assert [packet.data for packet in ours] == theirs
    assert ours == packets


def test_interfaces_of_their_own() -> None:
    """Each interface has its link type, resolution of time, offset and name; a new section begins to count anew."""
    packet = Kept(0, b"x" * 20, 20)
    data = (
        made.section()
        + made.interface(name="eth0")
        + made.interface(link=113, resolution=9, offset_s=100, name="any")
        + made.interface(resolution=0x80 | 10)
        + made.enhanced(Kept(0, packet.data, 20, 0), 5_000_001)
        + made.enhanced(Kept(0, packet.data, 20, 1), 5_000_000_001)
        + made.enhanced(Kept(0, packet.data, 20, 2), 5 * 1024 + 512)
        + made.section(">")
        + made.interface(">", resolution=3)
        + made.enhanced(Kept(0, packet.data, 20, 0), 7_001, ">")
    )
    found, reader = made.read(data)
    assert [(one.at_ns, one.interface) for one in found] == [
        (5_000_001_000, 0),
        (105_000_000_001, 1),
        (5_500_000_000, 2),
        (7_001_000_000, 3),
    ]
    assert [(one.link, one.name) for one in reader.interfaces] == [(1, "eth0"), (113, "any"), (1, ""), (1, "")]


def test_old_simple_and_unknown_blocks() -> None:
    """Simple and obsolete packet blocks are packets too; statistics and what is not known are passed by, however long."""
    data = (
        made.section()
        + made.interface(snap=8)
        + made.block("<", 5, bytes(40))
        + made.block("<", 0xBAD, bytes(600_000))
        + made.block("<", 2, struct.pack("<HHIIII", 0, 0, 0, 1_500_000, 3, 9) + b"old")
        + made.block("<", 3, struct.pack("<I", 20) + b"simple..")
    )
    for piece in (None, 4096):
        found, reader = made.read(data, piece)
        assert found == [Kept(1_500_000_000, b"old", 9), Kept(1_500_000_000, b"simple..", 20)]
        assert reader.damage is None


@pytest.mark.parametrize("form", FORMS)
def test_cut_short(form: str) -> None:
    """Wherever a file ends, the packets before are read, and the place is named when it is inside of one."""
    data = FORMS[form]
    ends = {len(data)}
    for size in range(60, len(data)):
        found, reader = made.read(data[:size])
        assert found == PACKETS[: len(found)]
        if reader.damage is None:
            ends.add(size)
            continue
        assert reader.damage.packet == len(found) + 1
        assert reader.damage.offset <= size
        assert "ends inside" in reader.damage.reason
    assert len(ends) >= 4  # the ends of packets


@pytest.mark.parametrize(
    ("data", "packets", "offset", "reason"),
    [
        (made.pcap(PACKETS[:1]) + struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 60), 1, 24 + 76, "none is longer"),
        (made.section() + made.interface() + struct.pack("<II", 6, 13) + bytes(9), 0, 48, "multiples of 4"),
        (made.section() + made.interface() + struct.pack("<II", 6, 8) + bytes(9), 0, 48, "12 at least"),
        (made.section() + made.interface() + struct.pack("<II", 6, 0x7FFFFFFC) + bytes(9), 0, 48, "a packet of at most"),
        (made.section() + made.interface() + struct.pack("<II", 6, 36) + bytes(28), 0, 48, "otherwise at its end"),
        (made.section() + made.interface() + made.enhanced(Kept(0, b"", 0, 7), 0), 0, 48, "interface 7"),
        (made.section() + made.interface() + made.block("<", 6, struct.pack("<IIIII", 0, 0, 0, 50, 50)), 0, 48, "50 bytes in"),
        (made.section() + made.interface() + made.block("<", 6, b""), 0, 48, "a packet's block of 12 bytes"),
        (made.pcapng(PACKETS[:1]) + b"\x0a\x0d\x0d\x0a" + bytes(20), 1, 60 + 92, "without its byte order"),
    ],
    ids=[
        "longer than any packet", "odd block", "short block", "endless block", "other length at the end",
        "no such interface", "longer than its block", "no room for its header", "section",
    ],
)  # fmt: skip
def test_lying_lengths(data: bytes, packets: int, offset: int, reason: str) -> None:
    """What stood before the damage is read; it is named with its place and what is wrong."""
    found, reader = made.read(data)
    assert len(found) == packets
    assert reader.damage is not None
    assert (reader.damage.packet, reader.damage.offset) == (packets + 1, offset)
    assert reason in reader.damage.reason


@pytest.mark.parametrize("data", [made.pcap([], link=147), made.section() + made.interface(link=147)])
def test_link_types_that_cannot_be_read(data: bytes) -> None:
    """They are named, with those that can be."""
    with pytest.raises(CaptureError, match=r"link type 147 cannot be read; Ethernet \(1\)"):
        made.read(data)


def test_gzip_that_breaks() -> None:
    """What was unpacked before the damage is used; several members are one file."""
    whole = FORMS["nanoseconds"]
    packed = gzip.compress(whole)
    assert made.read(gzip.compress(whole[:100]) + gzip.compress(whole[100:]) + bytes(512))[0] == PACKETS
    for data, reason in (
        (packed[:-9], "the gzip data end"),
        (packed + b"nonsense", "bytes behind the gzip data"),
        (gzip.compress(whole[:100]) + packed[:4] + b"\xff" * 60, "not gzip"),
    ):
        found, reader = made.read(data)
        assert found == PACKETS[: len(found)]
        assert reader.damage is not None
        assert reason in reader.damage.reason
    with pytest.raises(CaptureError, match="gzip"):
        made.read(packed[:5])


def test_a_bomb_is_unpacked_piece_by_piece() -> None:
    """A gigabyte of zeros in a megabyte: no more than a piece of it is held, and the first lie ends it."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    packed = squeeze.compress(FORMS["nanoseconds"][:24]) + squeeze.compress(struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0))
    packed += b"".join(squeeze.compress(zeros) for _ in range(1024)) + squeeze.flush()
    reader = CaptureReader(io.BytesIO(packed), "bomb")
    assert list(reader) == []
    assert reader.damage is not None
    assert reader.read_bytes < 1 << 17
