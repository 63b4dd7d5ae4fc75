"""Raw frames: checksums that the other end's kernel accepts."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.net.link import checksum, ipv4_udp


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", 0xFFFF, id="empty"),
        pytest.param(bytes.fromhex("0001f203f4f5f6f7"), 0x220D, id="RFC 1071 §3 example"),
        pytest.param(b"\x01", 0xFEFF, id="odd length is padded on the right"),
    ],
)
def test_checksum(data: bytes, expected: int) -> None:
    """The Internet checksum of known data."""
    assert checksum(data) == expected


@given(st.binary(max_size=600), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_packet_sums_to_zero(payload: bytes, source: int, destination: int) -> None:
    """Both checksums verify, as a receiver does it: the sum over the covered bytes, checksum included, is zero."""
    packet = ipv4_udp(payload, source, 67, destination, 68)
    assert checksum(packet[:20]) == 0
    pseudo = packet[12:20] + bytes((0, socket.IPPROTO_UDP)) + (len(packet) - 20).to_bytes(2, "big")
    assert checksum(pseudo + packet[20:]) == 0
    assert packet[28:] == payload
    assert int.from_bytes(packet[2:4], "big") == len(packet)
