"""What machines say of themselves: read as it was written, and whatever else comes is refused in good order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.wire.discovery import MAX_BYTES, MAX_PARTS, MAX_VALUE, Disk, Hardware, Nic, parse, serialize
from pxenet.wire.reader import WireError

SERVER = Hardware(
    serial="CN7475158R0123",
    uuid="4c4c4544-0042-3510-8058-c7c04f4a4e32",
    vendor="Dell Inc.",
    product="PowerEdge R640",
    cpus=32,
    memory_bytes=137_438_953_472,
    disks=(Disk("sda", 480_103_981_056, "SSDSC2KB480G8R", "PHYF1"), Disk("nvme0n1", 1)),
    nics=(Nic("eno1", bytes.fromhex("e4434b000001"), "ixgbe"), Nic("eno2", bytes.fromhex("e4434b000002"))),
)

CASES = {
    "all": (
        SERVER,
        b"serial\tCN7475158R0123\nuuid\t4c4c4544-0042-3510-8058-c7c04f4a4e32\nvendor\tDell Inc.\nproduct\tPowerEdge R640\n"
        b"cpus\t32\nmemory_bytes\t137438953472\ndisk\tsda\t480103981056\tSSDSC2KB480G8R\tPHYF1\ndisk\tnvme0n1\t1\t\t\n"
        b"nic\teno1\te4:43:4b:00:00:01\tixgbe\nnic\teno2\te4:43:4b:00:00:02\t\n",
    ),
    "nothing": (Hardware(), b""),
}

_NAME = st.text("abcé 0123-", min_size=1, max_size=MAX_VALUE).map(str.strip).filter(bool)
_TEXT = st.text("abcé 0123-", max_size=MAX_VALUE).map(str.strip)
_NUMBER = st.integers(0, (1 << 63) - 1)
HARDWARE = st.builds(
    Hardware,
    serial=_TEXT,
    uuid=_TEXT,
    vendor=_TEXT,
    product=_TEXT,
    cpus=_NUMBER,
    memory_bytes=_NUMBER,
    disks=st.lists(st.builds(Disk, _NAME, _NUMBER, _TEXT, _TEXT), max_size=4, unique_by=lambda one: one.name).map(
        tuple
    ),
    nics=st.lists(
        st.builds(Nic, _NAME, st.binary(min_size=6, max_size=6), _TEXT), max_size=4, unique_by=lambda one: one.name
    ).map(tuple),
)


@pytest.mark.parametrize(("hardware", "data"), CASES.values(), ids=list(CASES))
def test_both_ways(hardware: Hardware, data: bytes) -> None:
    """A machine and its lines."""
    assert data == serialize(hardware)
    assert hardware == parse(data)


@given(HARDWARE)
def test_round_trip(hardware: Hardware) -> None:
    """Any machine that can be told is read as it is."""
    assert hardware == parse(serialize(hardware))


TOLERATED = {
    "other words": (b"bios\t1.2\n\nfan\t3\nserial\tA\n", Hardware(serial="A")),
    "said again": (b"serial\tA\nserial\tB\ncpus\t1\ncpus\t2\n", Hardware(serial="B", cpus=2)),
    "filled with blanks": (b"serial\tA   \r\n", Hardware(serial="A")),
    "no end of line": (b"serial\tA", Hardware(serial="A")),
    "control characters": (b"serial\t\x1b[2JA\x00\n", Hardware(serial="[2JA")),
    "no UTF-8": (b"serial\t\xff\n", Hardware(serial="\ufffd")),
    "too long": (b"serial\t" + b"x" * 1000, Hardware(serial="x" * MAX_VALUE)),
    "without a name": (b"disk\t\t5\nnic\n", Hardware()),
}


@pytest.mark.parametrize(("data", "hardware"), TOLERATED.values(), ids=list(TOLERATED))
def test_what_is_tolerated(data: bytes, hardware: Hardware) -> None:
    """What others leave in such fields."""
    assert hardware == parse(data)


REFUSED = {
    "no number": (b"serial\tA\ncpus\tmany\n", 9, "cpus"),
    "digits of others": ("cpus\t\u0663\n".encode(), 0, "cpus"),
    "negative": (b"disk\tsda\t-1\n", 0, "disk"),
    "too large a number": (b"memory_bytes\t9223372036854775808\n", 0, "memory_bytes"),
    "no hardware address": (b"nic\teth0\t12\n", 0, "nic"),
    "too many": (b"".join(b"disk\td%d\t1\n" % number for number in range(MAX_PARTS + 1)), 1426, "disk"),
    "too much": (b"x" * (MAX_BYTES + 1), MAX_BYTES, "hardware"),
}


@pytest.mark.parametrize(("data", "at", "field"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused(data: bytes, at: int, field: str) -> None:
    """With the line's place and its first word."""
    with pytest.raises(WireError) as raised:
        parse(data)
    assert (at, field) == (raised.value.offset, raised.value.field)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 7))
def test_anything(data: bytes, at: int, bit: int) -> None:
    """Bytes, truncations and flipped bits: read or refused, nothing else."""
    whole = serialize(SERVER)
    flipped = bytearray(whole)
    flipped[at % len(flipped)] ^= 1 << bit
    for words in (data, whole[:at], bytes(flipped)):
        try:
            assert parse(words) == parse(serialize(parse(words)))
        except WireError:
            pass
