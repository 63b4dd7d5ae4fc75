"""What stands in front of IP, fragments of it, and what the recorder cut off."""

from __future__ import annotations

import random

import pytest
from test_capture_frames import FRAME, PACKET

from pxenet.capture import frames
from pxenet.capture.fragments import MAX_DATAGRAMS, MAX_PIECES, TIMEOUT_NS, Fragments
from pxenet.capture.frames import COOKED, COOKED_2, ETHERNET, LOOP, NULL, Arp, Fragment, Packet, TruncatedError
from pxenet.wire.reader import WireError

IP = FRAME[14:]
MAC = b"\2\0\0\0\0\1"
LINKS = {
    "Ethernet": (ETHERNET, FRAME[:14], True, True),
    "VLAN": (ETHERNET, FRAME[:12] + bytes.fromhex("8100 2001 0800"), True, True),
    "QinQ": (ETHERNET, FRAME[:12] + bytes.fromhex("88a8 0064 8100 0001 0800"), True, True),
    "QinQ of old": (ETHERNET, FRAME[:12] + bytes.fromhex("9100 0064 8100 0001 0800"), True, True),
    "cooked": (COOKED, bytes.fromhex("0004 0001 0006") + MAC + bytes(2) + b"\x08\0", True, False),
    "cooked, VLAN": (COOKED, bytes.fromhex("0004 0001 0006") + MAC + bytes(2) + bytes.fromhex("81000001 0800"), True, False),
    "cooked, no address": (COOKED, bytes.fromhex("0000 0304 0000") + bytes(8) + b"\x08\0", False, False),
    "cooked v2": (COOKED_2, bytes.fromhex("0800 0000 00000003 0001 00 06") + MAC + bytes(2), True, False),
    "raw": (101, b"", False, False),
    "raw, BSD": (12, b"", False, False),
    "raw IPv4": (228, b"", False, False),
    "null, little-endian": (NULL, b"\2\0\0\0", False, False),
    "null, big-endian": (NULL, b"\0\0\0\2", False, False),
    "loop": (LOOP, b"\0\0\0\2", False, False),
}  # fmt: skip


@pytest.mark.parametrize("name", LINKS)
def test_links(name: str) -> None:
    """The same datagram is found behind every kind of link, with the hardware addresses that it tells."""
    link, head, source, destination = LINKS[name]
    found = frames.decode(head + IP, link)
    assert isinstance(found, Packet)
    assert found.payload == PACKET.payload
    assert found.source_hardware == (MAC if source else bytes(6))
    assert found.destination_hardware == (PACKET.destination_hardware if destination else b"\xff" * 6)
    for size in range(len(head) + len(IP)):
        with pytest.raises(WireError):
            frames.decode((head + IP)[:size], link)


def test_endless_tags() -> None:
    """A chain of VLAN tags without end is no boot's."""
    assert frames.decode(FRAME[:12] + bytes.fromhex("81000001") * 300 + FRAME[12:]) is None


def test_another_family() -> None:
    """What is not IP is nothing of ours."""
    assert frames.decode(b"\0\0\0\7" + IP, LOOP) is None
    assert frames.decode(b"\x20" + IP[1:], 101) is None
    assert frames.decode(FRAME, 147) is None


def test_cut_by_the_recorder() -> None:
    """A snap length leaves the payload short, and says so; without room for the headers it is truncated, not malformed."""
    for kept in range(len(FRAME)):
        if kept < 42:
            with pytest.raises(TruncatedError):
                frames.decode(FRAME[:kept], wire_bytes=len(FRAME))
            continue
        found = frames.decode(FRAME[:kept], wire_bytes=len(FRAME))
        assert isinstance(found, Packet)
        assert (found.payload, found.payload_bytes) == (PACKET.payload[: kept - 42], len(PACKET.payload))
    with pytest.raises(WireError) as caught:
        frames.decode(FRAME[:45], wire_bytes=45)  # lengths that contradict each other are nobody's snap length
    assert isinstance(frames.decode(FRAME[:49], wire_bytes=49), Packet)
    assert not isinstance(caught.value, TruncatedError)


def test_arp() -> None:
    """Requests and replies of IPv4 over Ethernet."""
    packet = bytes.fromhex("0001 0800 06 04 0001") + MAC + bytes.fromhex("0a000001 000000000000 0a000002")
    head = b"\xff" * 6 + MAC + b"\x08\x06"
    assert frames.decode(head + packet) == Arp(True, MAC, 0x0A000001, bytes(6), 0x0A000002, MAC, b"\xff" * 6)
    assert frames.decode(head + packet[:6] + b"\0\x08" + packet[8:]) is None  # InARP


def test_ipv6_extensions() -> None:
    """Extension headers are passed by, so many as there may be."""
    addresses = bytes(15) + b"\1" + bytes(15) + b"\2"
    udp = bytes.fromhex("0bb8 0045 000a 0000") + b"hi"

    def packet(count: int) -> bytes:
        chain = (b"\x3c\0" + bytes(6)) * (count - 1) + (b"\x11\0" + bytes(6)) * (count > 0)
        head = b"\x60\0\0\0" + (len(chain) + len(udp)).to_bytes(2, "big") + (b"\x3c" if count else b"\x11") + b"\x40"
        return head + addresses + chain + udp

    for count in (0, 1, 8):
        found = frames.decode(packet(count), 101)
        assert isinstance(found, Packet)
        assert (found.source, found.destination, found.payload) == (1, 2, b"hi")
    assert frames.decode(packet(500), 229) is None


def pieces(payload: bytes, step: int, number: int = 7, protocol: int = 17) -> list[Fragment]:
    """A datagram in fragments."""
    return [
        Fragment(4, 1, 2, number, protocol, at, at + step < len(payload), payload[at : at + step], MAC, MAC)
        for at in range(0, len(payload), step)
    ]


DATAGRAM = bytes.fromhex("0045 1000 05e0 0000") + bytes(range(256)) * 5 + bytes(216)


def test_fragments_in_any_order() -> None:
    """However they come, and doubled, they are the datagram that was sent."""
    for seed in range(50):
        some = [*pieces(DATAGRAM, 512), *pieces(DATAGRAM, 512)[:1]]
        random.Random(seed).shuffle(some)
        box = Fragments()
        found = [packet for packet in (box.take(piece, 0) for piece in some) if packet is not None]
        assert found[0].payload == DATAGRAM[8:]
        assert found[0].source_port == 69
        box.finish()
        assert box.dropped <= 1  # the doubled one, when it came last


@pytest.mark.parametrize(
    "bad",
    [
        [*pieces(DATAGRAM, 512)[:1], *pieces(DATAGRAM[:-8] + b"x" * 8, 504)[1:]],
        [*pieces(DATAGRAM, 512)[:1], pieces(b"x" * len(DATAGRAM), 512)[0]],
        [pieces(DATAGRAM, 512)[-1], pieces(DATAGRAM + bytes(8), 512)[-1]],
        [Fragment(4, 1, 2, 7, 17, 65528, False, bytes(100), MAC, MAC)],
        [Fragment(4, 1, 2, 7, 17, 0, True, bytes(9), MAC, MAC)],
        [Fragment(4, 1, 2, 7, 17, 8 * at, True, bytes(8), MAC, MAC) for at in range(MAX_PIECES + 1)],
    ],
    ids=["overlap", "other contents", "two ends", "too large", "not of 8 bytes", "too many"],
)
def test_fragments_that_lie(bad: list[Fragment]) -> None:
    """They are counted, and come to nothing."""
    box = Fragments()
    assert [box.take(piece, 0) for piece in bad] == [None] * len(bad)
    box.finish()
    assert box.dropped > 0


def test_a_bomb_of_fragments() -> None:
    """No more datagrams wait than the bound says, and none for long."""
    box = Fragments()
    for number in range(10 * MAX_DATAGRAMS):
        box.take(pieces(DATAGRAM, 512, number)[0], number)
    assert box.dropped == 9 * MAX_DATAGRAMS
    first, *rest = pieces(DATAGRAM, 512, 1)
    assert box.take(first, 0) is None
    assert [box.take(piece, TIMEOUT_NS + 10**9) for piece in rest] == [None] * len(rest)
