"""Captures made to break a reader: nothing is raised, what stood before the damage is there, and memory stays within bounds."""

from __future__ import annotations

import gc
import gzip
import io
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import capture_files as made
import pytest
from capture_files import Kept
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.capture import dissect, flows, machines, streams, web
from pxenet.capture.boots import Capture
from pxenet.capture.dissect import Dissection
from pxenet.capture.frames import ETHERNET
from pxenet.capture.made import Conversation, End, udp_frame
from pxenet.capture.reading import CaptureError, CaptureReader, Record
from pxenet.capture.text import capture_text
from pxenet.wire.dhcp import Message, serialize
from pxenet.wire.options import Options

CAPTURES = sorted((Path(__file__).resolve().parents[2] / "captures").glob("*.pcap"))

# -- files ------------------------------------------------------------------------------------------------------------------------


def as_pcapng(data: bytes) -> bytes:
    return made.pcapng(made.read(data)[0])


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "pcap": lambda data: data,
    "pcapng": as_pcapng,
    "big-endian pcapng": lambda data: made.pcapng(made.read(data)[0], order=">"),
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
}


def whole(data: bytes) -> tuple[Capture | None, list[Kept], CaptureReader | None]:
    """What a file comes to; None when it is refused. Whatever is found can be told."""
    try:
        packets, reader = made.read(data)
        found = dissect.dissect(CaptureReader(io.BytesIO(data), "x"))
    except CaptureError as error:
        return (None, [], None) if str(error).startswith("x: ") else pytest.fail(f"not named: {error}")
    capture_text(found)
    return found, packets, reader


def damaged(data: bytes, chance: random.Random) -> tuple[bytes, int]:
    """A file with something done to it, and where that begins."""
    at = chance.randrange(len(data))
    few = chance.randrange(1, 40)
    kind = chance.randrange(6)
    if kind == 0:
        return data[:at], at
    if kind == 1:
        return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :], at
    if kind == 2:
        return data[:at] + chance.randbytes(few) + data[at + few :], at
    if kind == 3:
        return data[:at] + chance.randbytes(few) + data[at:], at
    if kind == 4:
        return data[:at] + data[at + few :], at
    return data[:at] + chance.choice((b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff")) + data[at + 4 :], at


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_damaged_files(path: Path, form: str) -> None:
    """Cut, flipped, longer, shorter, with other lengths: packets in front of the damage are those that were recorded."""
    chance = random.Random(f"{path.stem} {form}")
    recorded = made.read(path.read_bytes())[0][:90]
    data = FORMS[form](made.pcap(recorded))
    for _ in range(25):
        broken, at = damaged(data, chance)
        found, packets, reader = whole(broken)
        if found is None or reader is None:
            continue
        before = _packets_before(data, at) if form != "gzip" else 0
        assert recorded[:before] == packets[:before]
        if reader.damage is not None:
            assert (len(packets) + 1, len(packets)) == (reader.damage.packet, found.counts.packets)
            assert found.damage[-1].offset == reader.damage.offset
        named = sum(not one.truncated for one in found.damage) - (reader.damage is not None)
        assert found.counts.malformed >= named


def _packets_before(data: bytes, at: int) -> int:
    """How many packets lie whole in front of this byte, as the file was."""
    reader = CaptureReader(io.BytesIO(data), "x")
    return sum(1 for _, _, _, _, _, end, _ in reader if reader.offset(end) + 8 <= at)  # padding, length


@given(
    st.binary(max_size=300), st.sampled_from([b"", made.pcap([]), made.section() + made.interface(), b"\x1f\x8b\x08\0"])
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_behind_a_good_beginning(rest: bytes, begin: bytes) -> None:
    """They are a capture or are refused, and whatever is wrong in them has a place."""
    found, packets, reader = whole(begin + rest)
    assert (found is None) is (reader is None)
    if reader is not None and reader.damage is not None:
        assert (len(packets) + 1, True) == (reader.damage.packet, reader.damage.offset <= len(begin + rest))


def test_blocks_without_end() -> None:
    """A million blocks that say nothing, an interface in each of 70 000: read to the last, or to the bound."""
    reader = CaptureReader(io.BytesIO(made.section() + made.block("<", 0xBAD, b"") * 1_000_000), "x")
    assert [] == list(reader)
    assert reader.damage is None
    reader = CaptureReader(io.BytesIO(made.section() + made.interface() * 70_000), "x")
    assert [] == list(reader)
    assert reader.damage is not None
    assert "interface 65536" in reader.damage.reason


# -- packets ----------------------------------------------------------------------------------------------------------------------

US = End(1, 69, b"\2\0\0\0\0\1")
ALL = End(0xFFFFFFFF, 67, b"\xff" * 6)


def mac(number: int) -> bytes:
    return b"\2\1" + number.to_bytes(4, "big")


def client(number: int, who: int = 1) -> End:
    return End(1000 + number // 60_000, number % 60_000 + 1, mac(who))


def discover(who: int, xid: int, more: bytes = b"") -> bytes:
    options = {53: 1, 60: "PXEClient:Arch:00007:UNDI:003016"} | ({97: more} if more else {})
    message = Message(1, 1, 6, xid=xid, chaddr=mac(who).ljust(16, b"\0"), options=Options.build(options))
    return udp_frame(0, End(0, 68, mac(who)), ALL, serialize(message)).data


def relayed(number: int) -> bytes:
    message = Message(1, 1, 6, xid=number, giaddr=5, chaddr=mac(1).ljust(16, b"\0"), options=Options.build({53: 1}))
    return udp_frame(0, End(7, 67, mac(number)), End(9, 67, mac(0)), serialize(message)).data


def given_away(who: int, number: int) -> bytes:
    message = Message(
        2, 1, 6, yiaddr=number + 9, chaddr=mac(who).ljust(16, b"\0"), options=Options.build({53: 5, 54: 1})
    )
    return udp_frame(0, End(1, 67, US.hardware), ALL, serialize(message)).data


def answered(number: int) -> Iterator[bytes]:
    yield udp_frame(0, client(number), US, b"\0\1f\0octet\0").data
    yield udp_frame(0, End(1, 2000, US.hardware), client(number), b"\0\3\0\1" + bytes(300)).data


def talk(number: int, asks: bytes, says: bytes = b"", *, missing: int = 0) -> Iterator[bytes]:
    """A connection's SYN, and one thing that each side says."""
    both = Conversation(client(number), End(1, 80, US.hardware))
    syn, *_ = both.opened(0)
    yield syn.data
    if missing:
        list(both.heard(0, bytes(missing)))
    for frame in (*both.heard(0, asks), *both.said(0, says)):
        yield frame.data


def pipeline(count: int) -> Iterator[bytes]:
    """Requests of one connection that nobody answers."""
    both = Conversation(client(1), End(1, 80, US.hardware))
    for _ in range(count):
        yield from (frame.data for frame in both.heard(0, GET))


def pieces(number: int) -> bytes:
    """The first fragment of a datagram that never becomes whole."""
    frame = bytearray(udp_frame(0, client(number), US, bytes(1400)).data)
    frame[18:22] = struct.pack("!HH", number & 0xFFFF, 0x2000)
    return bytes(frame)


GET = b"GET /a HTTP/1.1\r\nX: %s\r\n\r\n" % (b"y" * 300)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n" + b"z" * 600

FLOODS: dict[str, Callable[[int], Iterator[bytes]]] = {
    "machines": lambda count: (discover(number, number) for number in range(count)),
    "machines that come again": lambda count: (discover(number % (count // 2), number) for number in range(count)),
    "machine identifiers": lambda count: (discover(1, number, b"\0" + number.to_bytes(16, "big")) for number in range(count)),
    "relays": lambda count: (relayed(number) for number in range(count)),
    "addresses given": lambda count: (given_away(1, number) for number in range(count)),
    "addresses given to all": lambda count: (given_away(number, number) for number in range(count)),
    "TFTP requests": lambda count: (udp_frame(0, client(number), US, b"\0\1f\0octet\0").data for number in range(count)),
    "TFTP machines": lambda count: (
        udp_frame(0, End(number, 9, mac(number)), US, b"\0\1f\0octet\0").data for number in range(count)
    ),
    "TFTP transfers": lambda count: (frame for number in range(count) for frame in answered(number)),
    "connections": lambda count: (frame for number in range(count) for frame in talk(number, b"")),
    "strangers": lambda count: (frame for number in range(count) for frame in talk(number, b"SSH-2.0-x\r\n")),
    "HTTP requests": lambda count: (frame for number in range(count) for frame in talk(number, GET, OK)),
    "heads without end": lambda count: (frame for number in range(count) for frame in talk(number, b"GET /" + b"x" * 900)),
    "bytes too early": lambda count: (frame for number in range(count) for frame in talk(number, b"y" * 900, missing=5)),
    "a pipeline": lambda count: pipeline(count),
    "fragments": lambda count: (pieces(number) for number in range(count)),
}  # fmt: skip


def peak_bytes(frames: Iterator[bytes]) -> int:
    """The most memory that a dissection held, whose boots nobody keeps."""

    def packets() -> Iterator[Record]:
        for number, frame in enumerate(frames):
            if not number % 100:
                gc.collect()  # connections are circles
            yield number * 10**6, 0, ETHERNET, frame, 0, len(frame), len(frame)

    tracemalloc.start()
    try:
        for _ in Dissection(packets()).boots():
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FLOODS)
def test_floods(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of one thing comes, no more than the bounds say is held: twice the flood takes the same memory."""
    small = {
        machines: ("MAX_OPEN", "MAX_STEPS", "MAX_CONTENTS", "MAX_PLACES"),
        flows: ("MAX_STRANGERS", "MAX_SILENT", "MAX_FLOWS"),
        web: ("MAX_PENDING",),
        dissect: ("MAX_WAITING", "MAX_DAMAGE"),
    }
    for module, names in small.items():
        for bound in names:
            monkeypatch.setattr(module, bound, 50)
    monkeypatch.setattr(streams, "MAX_HELD_BYTES", 20_000)
    once, twice = peak_bytes(FLOODS[name](1000)), peak_bytes(FLOODS[name](2000))
    assert twice < 1.25 * once + 50_000
