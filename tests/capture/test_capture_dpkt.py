"""dpkt as a second opinion on frames: addresses, ports, numbers and payloads that we read are those that it reads."""

from __future__ import annotations

from pathlib import Path

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.capture.frames import ETHERNET, TCP, UDP, Packet, decode
from pxenet.capture.made import Conversation, End, udp_frame
from pxenet.capture.reading import open_capture
from pxenet.wire.reader import WireError

FOLDER = Path(__file__).resolve().parents[2] / "captures"
CAPTURES = sorted([*FOLDER.glob("*.pcap"), *(FOLDER / "made").glob("*.pcap")])

Seen = tuple[bytes, bytes, int, bytes, bytes, int, int, int, int, int, bytes]
"""Hardware addresses, protocol, addresses, ports, TCP's two numbers and flags, payload."""


def ours(frame: bytes, wire_bytes: int | None = None) -> Seen | None:
    """By our own structs; None: no datagram, no segment."""
    found = decode(frame, ETHERNET, wire_bytes)
    if not isinstance(found, Packet):
        return None
    size = 4 if found.version == 4 else 16
    return (
        found.source_hardware, found.destination_hardware, found.protocol, found.source.to_bytes(size, "big"),
        found.destination.to_bytes(size, "big"), found.source_port, found.destination_port, found.sequence,
        found.acknowledged, found.flags, found.payload,
    )  # fmt: skip


def theirs(frame: bytes) -> Seen | None:
    """By dpkt's values."""
    ethernet = dpkt.ethernet.Ethernet(frame)
    ip = ethernet.data
    if isinstance(ip, dpkt.ip.IP):
        protocol, piece = ip.p, bool(ip.mf or ip.offset)
    elif isinstance(ip, dpkt.ip6.IP6):
        protocol, piece = ip.p, dpkt.ip.IP_PROTO_FRAGMENT in ip.extension_hdrs
    else:
        return None
    if piece or not isinstance(ip.data, dpkt.udp.UDP | dpkt.tcp.TCP):
        return None
    inside = ip.data
    numbers = (inside.seq, inside.ack, inside.flags) if protocol == TCP else (0, 0, 0)
    payload = bytes(inside.data)[: inside.ulen - 8] if protocol == UDP else bytes(inside.data)
    return (
        ethernet.src, ethernet.dst, protocol, ip.src, ip.dst, inside.sport, inside.dport, *numbers, payload
    )  # fmt: skip


@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_captures(path: Path) -> None:
    """Every Ethernet frame of every capture."""
    compared = 0
    with open_capture(path) as reader:
        for _, _, link, buffer, start, end, wire in reader:
            frame = bytes(buffer[start:end])
            if link == ETHERNET:
                assert ours(frame, wire) == theirs(frame)
            compared += link == ETHERNET
    assert compared or path.stem == "cooked-v2"


ENDS = st.builds(End, st.integers(1, 0xFFFFFFFE), st.integers(1, 65535), st.binary(min_size=6, max_size=6))
TAGS = st.lists(st.sampled_from([b"\x81\0\0\5", b"\x88\xa8\x20\6"]), max_size=2)


@given(ENDS, ENDS, st.binary(max_size=600), TAGS, st.integers(0, 40))
def test_made_frames(client: End, server: End, said: bytes, tags: list[bytes], padding: int) -> None:
    """Datagrams and segments of any content, tagged and padded."""
    frames = [udp_frame(0, client, server, said), udp_frame(0, server, client, said)]
    talk = Conversation(client, server)
    frames += [*talk.opened(0), *talk.heard(0, said), *talk.said(0, said), *talk.closed(0)]
    for frame in frames:
        data = frame.data[:12] + b"".join(tags) + frame.data[12:] + bytes(padding)
        found = ours(data)
        assert found is not None
        assert found == theirs(data)


@given(ENDS, ENDS, st.binary(min_size=1, max_size=100), st.data())
def test_what_we_read_of_broken_frames_dpkt_reads_too(
    client: End, server: End, said: bytes, data: st.DataObject
) -> None:
    """Where we take a frame with a byte changed, both read the same; dpkt takes more of them, whose lengths lie."""
    frame = bytearray(udp_frame(0, client, server, said).data)
    at = data.draw(st.integers(0, 41))
    frame[at] ^= data.draw(st.integers(1, 255))
    try:
        found = ours(bytes(frame))
    except WireError:
        return
    if found is None or frame[14] != 0x45:  # IP options are another matter
        return
    assert found == theirs(bytes(frame))
