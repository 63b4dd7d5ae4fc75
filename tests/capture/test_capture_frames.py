"""Frames: what is taken apart is what tshark sees, and bytes of any kind raise nothing but WireError."""

from __future__ import annotations

import subprocess
from pathlib import Path

import needs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.capture import frames, pcap
from pxenet.capture.frames import TCP, UDP, Packet
from pxenet.wire.reader import WireError

CAPTURES = sorted((Path(__file__).resolve().parents[2] / "captures").glob("*.pcap"))

PACKET = Packet(
    0x0A000001, 67, 0x0A000002, 68, b"payload", source_hardware=b"\2\0\0\0\0\1", destination_hardware=b"\2\0\0\0\0\2"
)
FRAME = bytes.fromhex(
    "020000000002 020000000001 0800"
    "45 00 0023 0000 4000 40 11 26c8 0a000001 0a000002"
    "0043 0044 000f 2e17"
) + b"payload"  # fmt: skip


def test_udp_both_ways() -> None:
    """A datagram with its addresses is a frame with its checksums, and back."""
    assert frames.serialize_udp(PACKET) == FRAME
    assert frames.parse(FRAME) == PACKET


@given(st.binary(max_size=1472), st.integers(0, 0xFFFFFFFF), st.integers(0, 65535))
def test_udp_round_trip(payload: bytes, address: int, port: int) -> None:
    """Any payload, address and port."""
    packet = Packet(address, port, 0xFFFFFFFF, 69, payload)
    assert frames.parse(frames.serialize_udp(packet)) == packet


def test_tags_and_padding() -> None:
    """VLAN tags are skipped, and what Ethernet pads behind the datagram is no payload."""
    tagged = FRAME[:12] + bytes.fromhex("88a80001 81000002") + FRAME[12:] + bytes(20)
    assert frames.parse(tagged) == PACKET


@pytest.mark.parametrize(
    "frame",
    [
        FRAME[:12] + b"\x08\x06" + FRAME[14:],
        FRAME[:23] + b"\x01" + FRAME[24:],
        FRAME[:20] + b"\x20\x00" + FRAME[22:],
        FRAME[:20] + b"\x00\x01" + FRAME[22:],
    ],
    ids=["ARP", "ICMP", "first fragment", "later fragment"],
)
def test_not_ours(frame: bytes) -> None:
    """What carries no whole datagram or segment is None."""
    assert frames.parse(frame) is None


def test_only_udp_over_ipv4_is_written() -> None:
    """Other packets are refused."""
    for packet in (Packet(1, 1, 1, 1, b"", TCP), Packet(1, 1, 1, 1, b"", UDP, 6)):
        with pytest.raises(ValueError, match="only UDP"):
            frames.serialize_udp(packet)


def test_truncated_and_changed() -> None:
    """Every truncation of a frame raises WireError; every changed byte does, or parses."""
    for size in range(len(FRAME)):
        with pytest.raises(WireError):
            frames.parse(FRAME[:size])
    for at in range(len(FRAME)):
        for value in (0, 1, 0x7F, 0xFF):
            survives(FRAME[:at] + bytes((value,)) + FRAME[at + 1 :])


@settings(max_examples=200)
@given(st.sampled_from([0x0800, 0x86DD, 0x8100]), st.binary(max_size=100))
def test_any_bytes(kind: int, data: bytes) -> None:
    """Any bytes behind an Ethernet header."""
    survives(bytes(12) + kind.to_bytes(2, "big") + data)


def survives(frame: bytes) -> None:
    """WireError, or nothing."""
    try:
        frames.parse(frame)
    except WireError:
        return


@needs.tool("tshark")
@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_same_as_tshark(path: Path) -> None:
    """Ports and payload sizes of every datagram and segment, as tshark sees them."""
    ours = [packet for _, frame in pcap.read(path) if (packet := frames.parse(frame)) is not None]
    fields = ("udp.srcport", "udp.dstport", "udp.length", "tcp.srcport", "tcp.dstport", "tcp.len")
    command = ["tshark", "-n", "-r", str(path), "-Y", "(udp or tcp) and not icmp and not icmpv6", "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    theirs = [[int(field) for field in line.split("\t") if field] for line in output.splitlines()]
    headers = {UDP: 8, TCP: 0}
    assert [[p.source_port, p.destination_port, len(p.payload) + headers[p.protocol]] for p in ours] == theirs
