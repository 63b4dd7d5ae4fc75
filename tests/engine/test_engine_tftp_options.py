"""What is granted of what is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.engine.tftp.options import Limits, Terms, negotiate
from pxenet.wire.tftp import OPTION_RANGES, OpCode, Options, Request

LIMITS = Limits(1468, 16)
SIZE = 26460

CASES: dict[str, tuple[Options, Options]] = {
    "none": ((), ()),
    "iPXE": ((("blksize", "1432"), ("tsize", "0")), (("blksize", "1432"), ("tsize", "26460"))),
    "EDK2 probe": (
        (("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")),
        (("tsize", "26460"), ("blksize", "1468"), ("windowsize", "4")),
    ),
    "names come back as they were spelled": (
        (("BLKSize", "512"), ("TSIZE", "0")),
        (("BLKSize", "512"), ("TSIZE", "26460")),
    ),
    "larger than we grant": ((("blksize", "65464"), ("windowsize", "64")), (("blksize", "1468"), ("windowsize", "16"))),
    "above the range": ((("blksize", "70000"), ("windowsize", "70000")), (("blksize", "1468"), ("windowsize", "16"))),
    "below the range": ((("blksize", "7"), ("windowsize", "0"), ("timeout", "0")), ()),
    "smallest": ((("blksize", "8"), ("windowsize", "1"), ("timeout", "1")),) * 2,
    "timeout as asked": ((("timeout", "255"),), (("timeout", "255"),)),
    "timeout above the range": ((("timeout", "256"),), ()),
    "not numbers": ((("blksize", "big"), ("tsize", ""), ("timeout", "-1"), ("windowsize", "0x4")), ()),
    "unknown": ((("multicast", ""), ("blksize2", "1024"), ("rollover", "1"), ("password", "x")), ()),
    "unknown among known": ((("multicast", ""), ("tsize", "0")), (("tsize", "26460"),)),
    "repeated": ((("blksize", "1024"), ("BLKSIZE", "512")), (("blksize", "1024"),)),
    "repeated, the first one malformed": ((("blksize", "x"), ("blksize", "512")), (("blksize", "512"),)),
    "leading zeros": ((("blksize", "0512"),), (("blksize", "512"),)),
}


@pytest.mark.parametrize(("asked", "granted"), CASES.values(), ids=CASES.keys())
def test_oack(asked: Options, granted: Options) -> None:
    """The OACK, in the order of the request."""
    assert granted == negotiate(Request(OpCode.RRQ, "f", "octet", asked), LIMITS, SIZE).oack


def test_terms() -> None:
    """What is granted is what holds; what is not has the RFC's defaults."""
    asked = (("blksize", "9999"), ("windowsize", "8"), ("timeout", "5"))
    terms = negotiate(Request(OpCode.RRQ, "f", "octet", asked), LIMITS, SIZE)
    assert (1468, 8, 5, None) == (terms.blksize, terms.windowsize, terms.timeout_s, terms.tsize)
    assert Terms(512, 1, None, None, ()) == negotiate(Request(OpCode.RRQ, "f"), LIMITS, SIZE)


def test_netascii_has_no_tsize() -> None:
    """RFC 2349: for octet alone."""
    assert () == negotiate(Request(OpCode.RRQ, "f", "netascii", (("tsize", "0"),)), LIMITS, SIZE).oack


def test_tsize_of_a_write_is_echoed() -> None:
    """RFC 2349: the client's own size comes back."""
    terms = negotiate(Request(OpCode.WRQ, "f", "octet", (("tsize", "17"),)), LIMITS, 0)
    assert ((("tsize", "17"),), 17) == (terms.oack, terms.tsize)


values = st.integers(0, 70000).map(str) | st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=5)
asked_options = st.lists(
    st.tuples(st.sampled_from([*OPTION_RANGES, "BlkSize", "WINDOWSIZE", "multicast"]), values), max_size=6
).map(tuple)


@given(asked_options)
def test_what_clients_insist_on(asked: Options) -> None:
    """Whatever is asked: nothing that was not asked for, no larger value, each option once, the timeout unchanged, values in range."""
    granted = negotiate(Request(OpCode.RRQ, "f", "octet", asked), LIMITS, SIZE).oack
    names = [name.lower() for name, _ in granted]
    assert len(names) == len(set(names))
    for name, value in granted:
        low, high = OPTION_RANGES[name.lower()]
        assert low <= int(value) <= high
        wished = [int(v) for n, v in asked if n == name and v.isdigit()]
        if name.lower() == "tsize":
            assert int(value) == SIZE
        elif name.lower() == "timeout":
            assert int(value) in wished
        else:
            assert int(value) <= max(wished)
