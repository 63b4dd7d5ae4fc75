"""Captures as boots: who said what, in order, and the golden texts beside the captures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pxenet.capture import dissect, frames
from pxenet.capture.boots import Boot, Capture, HttpRequest
from pxenet.capture.frames import ETHERNET, TCP, Packet
from pxenet.capture.text import capture_text
from pxenet.wire import dhcp, tftp
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.options import Options

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = sorted((ROOT / "captures").glob("*.pcap"))
MADE = sorted((ROOT / "captures/made").glob("*.pcap"))

CLIENT, SERVER = 0x0A000005, 0x0A000001
MAC = bytes.fromhex("525400123456")


@pytest.mark.parametrize("path", [*CAPTURES, *MADE], ids=[path.stem for path in [*CAPTURES, *MADE]])
def test_golden(path: Path) -> None:
    """A capture decodes to the text beside it. Changed on purpose? ``python tools/golden.py --update``, and review the diff."""
    assert capture_text(dissect.read(path)) == path.with_suffix(".txt").read_text()


def test_the_command_compares() -> None:
    """The tool finds nothing to say about what is committed, and refuses what it does not know."""
    command = [sys.executable, str(ROOT / "tools" / "golden.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert subprocess.run([*command, "--wrong"], capture_output=True, timeout=60, check=False).returncode == 2


@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_a_boot_per_capture(path: Path) -> None:
    """Each reference capture shows one machine's boot, and nothing in it is damaged."""
    capture = dissect.read(path)
    assert capture.damage == ()
    assert len(capture.boots) == 1
    boot = capture.boots[0]
    assert boot.hardware.startswith(bytes.fromhex("52540077"))
    assert boot.dhcp
    assert boot.dhcp[0].message.hardware == boot.hardware
    assert [step.at for step in boot.steps] == sorted(step.at for step in boot.steps)


def test_edk2_asks_the_size_and_aborts() -> None:
    """The answer and the client's own ERROR belong to the request they follow."""
    boot = dissect.read(ROOT / "captures" / "uefi-pxe-grub.pcap").boots[0]
    probe, load = boot.tftp[:2]
    assert isinstance(probe.answer, tftp.Oack)
    assert probe.abort is not None
    assert probe.abort.code == 8
    assert load.abort is None
    assert [step.request.filename for step in (probe, load)] == ["grubx64.efi", "grubx64.efi"]
    assert boot.http[-1].status == b"HTTP/1.1 200 OK"


def of(*steps: Packet) -> Boot:
    """The one boot in these packets, a second apart."""
    capture = of_all(*steps)
    assert len(capture.boots) == 1
    return capture.boots[0]


def of_all(*packets: Packet) -> Capture:
    """The capture of these packets; TCP is framed by hand."""
    return dissect.dissect(
        (at * 10**9, 0, ETHERNET, frame, 0, len(frame), len(frame)) for at, frame in enumerate(map(framed, packets))
    )


def framed(packet: Packet) -> bytes:
    """An Ethernet frame; the TCP header says no more than it must."""
    if packet.protocol != TCP:
        return frames.serialize_udp(packet)
    ports = packet.source_port.to_bytes(2, "big") + packet.destination_port.to_bytes(2, "big")
    segment = ports + packet.sequence.to_bytes(4, "big") + bytes(4) + b"\x50" + bytes(7) + packet.payload
    total = (20 + len(segment)).to_bytes(2, "big")
    addresses = packet.source.to_bytes(4, "big") + packet.destination.to_bytes(4, "big")
    ip = b"\x45\0" + total + bytes(4) + b"\x40\x06\0\0" + addresses
    return packet.destination_hardware + packet.source_hardware + b"\x08\0" + ip + segment


def up(sequence: int, payload: bytes) -> Packet:
    """A TCP segment of the client's request stream."""
    return Packet(CLIENT, 4000, SERVER, 80, payload, TCP, source_hardware=MAC, sequence=sequence)


def down(payload: bytes, sequence: int = 0) -> Packet:
    """A TCP segment of the server's."""
    return Packet(SERVER, 80, CLIENT, 4000, payload, TCP, destination_hardware=MAC, sequence=sequence)


def heads(boot: Boot) -> list[bytes]:
    """The request heads found."""
    return [step.head for step in boot.http]


GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\n"


def test_http_head_in_pieces() -> None:
    """A head that comes byte by byte, some sent twice, is one head; its response belongs to it."""
    pieces = [up(1000 + at, GET[at : at + 1]) for at in range(len(GET))]
    boot = of(*pieces[:5], pieces[3], *pieces[5:], down(b"HTTP/1.1 404 Not Found\r\n\r\n"))
    assert heads(boot) == [GET]
    assert boot.http[0].status == b"HTTP/1.1 404 Not Found"


def test_http_pipelined_and_bodies() -> None:
    """Several heads in one segment are several requests, answered in order; bodies are none."""
    boot = of(
        up(0, GET + POST),
        up(len(GET + POST), b"body"),
        down(OK),
        down(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", len(OK)),
    )
    assert heads(boot) == [GET, POST]
    assert [step.status for step in boot.http] == [b"HTTP/1.1 200 OK", b"HTTP/1.1 201 Created"]


def test_http_across_a_gap() -> None:
    """Where packets are missing the next head is found all the same."""
    boot = of(up(0, GET), up(100000, b"rest of something"), up(200000, GET[:10]), up(200010, GET[10:]))
    assert heads(boot) == [GET, GET]
    assert isinstance(boot.steps[0], HttpRequest)
    assert boot.steps[0].request_line == "GET /a HTTP/1.1"


def test_http_sequence_numbers_wrap() -> None:
    """The sequence number goes from 2**32 - 1 to 0 in the middle of a head."""
    start = 0xFFFFFFFF - 4
    assert heads(of(up(start, GET[:10]), up((start + 10) & 0xFFFFFFFF, GET[10:]))) == [GET]


def test_one_port_for_many_transfers() -> None:
    """PXELINUX asks from one port again and again: an answer belongs to the latest request."""
    request = tftp.Request(tftp.OpCode.RRQ, "a")
    ask = Packet(CLIENT, 2000, SERVER, 69, tftp.serialize(request), source_hardware=MAC)
    error = Packet(SERVER, 3000, CLIENT, 2000, tftp.serialize(tftp.Error(1, "no")))
    data = Packet(SERVER, 3001, CLIENT, 2000, tftp.serialize(tftp.Data(1, b"x")))
    boot = of(ask, error, ask, data, data)
    assert [step.answer for step in boot.tftp] == [tftp.Error(1, "no"), tftp.Data(1, b"x")]


def test_damage_is_counted_and_passed_by() -> None:
    """A packet that cannot be understood is named by its number, and the rest is read."""
    message = dhcp.Message(1, chaddr=MAC.ljust(16, b"\0"), options=Options.build({Code.MESSAGE_TYPE: 1}))
    good = Packet(0, 68, 0xFFFFFFFF, 67, dhcp.serialize(message), source_hardware=MAC)
    bad = Packet(0, 68, 0xFFFFFFFF, 67, b"nonsense", source_hardware=MAC)
    capture = of_all(bad, good)
    assert [damage.packet for damage in capture.damage] == [1]
    assert [step.message for step in capture.boots[0].dhcp] == [message]
    assert "packet 1, byte 0: header at byte 8" in capture_text(capture)


def test_an_empty_capture() -> None:
    """Nothing is nothing."""
    assert dissect.dissect([]) == Capture(0, ())
