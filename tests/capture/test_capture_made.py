"""Frames that are made: read back they say the same, tshark finds no fault, and what was left out is left out honestly."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import tshark
from hypothesis import given
from hypothesis import strategies as st

from pxenet.capture import kept, pcap
from pxenet.capture.frames import TCP, parse
from pxenet.capture.kept import CaptureFiles, MachineFiles, serialize
from pxenet.capture.made import SEGMENT_BYTES, Conversation, End, Frame, hardware_of, udp_frame

CLIENT = End(0x0A000005, 50000, bytes.fromhex("525400000005"))
SERVER = End(0x0A000001, 80, bytes.fromhex("525400000001"))
AT = 1_700_000_000_123_456_789


@given(st.binary(max_size=2000))
def test_a_datagram_reads_back(payload: bytes) -> None:
    """Addresses, ports, hardware addresses and payload are those that went in."""
    packet = parse(udp_frame(AT, CLIENT, SERVER, payload).data)
    assert packet is not None
    assert (payload, CLIENT.address, CLIENT.port) == (packet.payload, packet.source, packet.source_port)
    assert (SERVER.address, SERVER.port) == (packet.destination, packet.destination_port)
    assert (CLIENT.hardware, SERVER.hardware) == (packet.source_hardware, packet.destination_hardware)


def test_a_datagram_of_which_the_beginning_was_kept() -> None:
    """The lengths are those of the wire, and the frame says how much it had."""
    frame = udp_frame(AT, CLIENT, SERVER, b"\0\3\0\1", 516)
    assert (14 + 20 + 8 + 4, 14 + 20 + 8 + 516) == (len(frame.data), frame.length)
    assert (20 + 8 + 516, 8 + 516) == tuple(int.from_bytes(frame.data[at : at + 2], "big") for at in (16, 38))


def talk() -> list[Frame]:
    """A whole connection: a request in two pieces, a head and a body of which nothing was kept."""
    one = Conversation(CLIENT, SERVER)
    return [
        *one.opened(AT),
        *one.heard(AT + 1, b"GET /x HTTP/1.1\r\nHost"),
        *one.heard(AT + 2, b": a\r\n\r\n"),
        *one.said(AT + 3, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"),
        *one.said(AT + 4, b"", 200_000),
        *one.closed(AT + 5),
    ]


def test_a_connection_counts_as_tcp_does() -> None:
    """Each side's numbers go on where they were: one for its SYN, then its bytes."""
    frames = talk()
    packets = [parse(frame.data[:54] + bytes(frame.length - 54)) for frame in frames]
    assert all(packet is not None and packet.protocol == TCP for packet in packets)
    own = [packet for packet in packets if packet is not None and packet.source_port == 80]
    ends = [packet.sequence + len(packet.payload) for packet in own]
    assert [0, 1] == [own[0].sequence, own[1].sequence]
    assert ends[1:-2] == [packet.sequence for packet in own[2:-1]]
    assert max(frame.length for frame in frames) == 54 + SEGMENT_BYTES


@tshark.installed
def test_tshark_finds_no_fault(tmp_path: Path) -> None:
    """Checksums, numbers and lengths: nothing is worth more than a remark."""
    path = tmp_path / "made.pcap"
    with CaptureFiles(path) as file:
        for frame in [*talk(), udp_frame(AT, CLIENT, End(SERVER.address, 69, SERVER.hardware), b"\0\1x\0octet\0")]:
            file.write(frame)
    opinions = tshark.read(path)
    assert [] == [opinion for opinion in opinions if opinion.malformed or opinion.notes_of("error", "warn")]
    assert {"http", "tcp", "tftp"} <= {opinion.protocol for opinion in opinions}


def test_an_address_of_nobody() -> None:
    """It is unicast, and locally administered."""
    assert (2, bytes.fromhex("02000a000005")) == (hardware_of(CLIENT.address)[0] & 3, hardware_of(CLIENT.address))


# -- files ----------------------------------------------------------------------------------------------------------------------------


def test_a_file_reads_back(tmp_path: Path) -> None:
    """The reader finds the frames with their times; nobody but the owner can read the file."""
    path = tmp_path / "x.pcap"
    with CaptureFiles(path) as file:
        file.write(udp_frame(AT, CLIENT, SERVER, b"hello"))
        assert 1 == file.frames
    ((at, frame),) = pcap.read(path)
    assert pytest.approx(AT / 1e9, abs=1e-6) == at
    assert frame == udp_frame(AT, CLIENT, SERVER, b"hello").data
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_rotation(tmp_path: Path) -> None:
    """The file begun last has the plain name, older ones count up, and no more than so many are kept, none too large."""
    path = tmp_path / "x.pcap"
    frames = [udp_frame(AT + number, CLIENT, SERVER, bytes([number]) * 100) for number in range(10)]
    size = len(serialize(frames[0]))
    with CaptureFiles(path, rotate_bytes=24 + 3 * size, keep=3) as file:
        for frame in frames:
            file.write(frame)
    found = {each.name: [frame[-1] for _, frame in pcap.read(each)] for each in sorted(tmp_path.iterdir())}
    assert {"x.pcap": [9], "x.pcap.1": [6, 7, 8], "x.pcap.2": [3, 4, 5]} == found


def test_a_file_for_each_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when more of them speak than files may be open: what was closed is gone on with. No name leaves the directory."""
    monkeypatch.setattr(kept, "_MAX_OPEN", 2)
    frame = udp_frame(AT, CLIENT, SERVER, b"hello")
    with MachineFiles(tmp_path / "rack.pcap") as files:
        for machine in ("web01", "web02", "../web03", "web01", "", "web01"):
            files.write(frame, machine)
    names = ["rack-..-web03.pcap", "rack-unknown.pcap", "rack-web01.pcap", "rack-web02.pcap"]
    assert [tmp_path / name for name in names] == files.paths == sorted(tmp_path.iterdir())
    assert 6 == files.frames
    whole = 24 + len(serialize(frame))
    assert [whole, whole, whole + 2 * len(serialize(frame)), whole] == [path.stat().st_size for path in files.paths]
