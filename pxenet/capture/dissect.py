"""A capture taken apart into boots: what each machine said and was told, step by step, in order of time.

Steps are DHCP messages (both ways), TFTP requests and HTTP request heads, each with what a replay needs to say the same again, and
with what the captured server answered first. A machine is known by its hardware address: chaddr in DHCP, the frame's source
elsewhere. Captures may be trimmed in the middle of transfers: requests and first answers are what is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pxenet.capture import frames, pcap
from pxenet.capture.frames import Packet
from pxenet.wire import dhcp, tftp
from pxenet.wire.reader import WireError

_DHCP_PORTS = frozenset({67, 68, 4011})
_TFTP_PORT = 69
_METHODS = tuple(
    f"{name} ".encode() for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "CONNECT")
)
_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = 65536


@dataclass(frozen=True, slots=True)
class DhcpStep:
    """One DHCP message, from the machine (``message.op`` 1) or to it (2)."""

    at: float
    """Seconds since the epoch, as in the capture file."""
    packet: Packet
    message: dhcp.Message


@dataclass(frozen=True, slots=True)
class TftpStep:
    """One RRQ or WRQ, and how it began and ended."""

    at: float
    packet: Packet
    request: tftp.Request
    answer: tftp.Packet | None = None
    """The first packet that came back: OACK, ERROR or the first DATA; None: nothing did."""
    abort: tftp.Error | None = None
    """The client ended it by itself (EDK2 asks the size in this way)."""


@dataclass(frozen=True, slots=True)
class HttpStep:
    """One HTTP request head, and the status line of its response."""

    at: float
    packet: Packet
    """The segment in which the head ended."""
    head: bytes
    """Request line and headers, with the empty line behind them."""
    status: bytes = b""
    """``HTTP/1.1 200 OK``; empty when no response was captured."""

    @property
    def request_line(self) -> str:
        """``GET /ks.cfg HTTP/1.1``."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")


Step = DhcpStep | TftpStep | HttpStep


@dataclass(frozen=True, slots=True)
class Boot:
    """All that one machine did in a capture."""

    hardware: bytes
    steps: tuple[Step, ...]

    @property
    def dhcp(self) -> tuple[DhcpStep, ...]:
        """Its DHCP messages, both ways."""
        return tuple(step for step in self.steps if isinstance(step, DhcpStep))

    @property
    def tftp(self) -> tuple[TftpStep, ...]:
        """Its TFTP requests."""
        return tuple(step for step in self.steps if isinstance(step, TftpStep))

    @property
    def http(self) -> tuple[HttpStep, ...]:
        """Its HTTP requests."""
        return tuple(step for step in self.steps if isinstance(step, HttpStep))


@dataclass(frozen=True, slots=True)
class Damage:
    """A packet that could not be understood."""

    at: float
    frame: int
    """Its number in the capture, from 1."""
    error: WireError


@dataclass(frozen=True, slots=True)
class Capture:
    """What a capture shows."""

    began_at: float
    """Time of the first frame; 0 when there is none."""
    boots: tuple[Boot, ...]
    """By machine, in order of their first step."""
    damage: tuple[Damage, ...] = ()


def read(path: Path) -> Capture:
    """The boots in a pcap or pcapng file. CaptureError, OSError: see ``pcap.read``."""
    return dissect(pcap.read(path))


def dissect(packets: Iterable[tuple[float, bytes]]) -> Capture:
    """The boots in a row of (time, Ethernet frame)."""
    work = _Dissection()
    damage: list[Damage] = []
    began_at: float | None = None
    for number, (at, frame) in enumerate(packets, 1):
        began_at = at if began_at is None else began_at
        try:
            packet = frames.parse(frame)
            if packet is not None:
                work.take(at, packet)
        except WireError as error:
            damage.append(Damage(at, number, error))
    boots = tuple(Boot(hardware, tuple(steps)) for hardware, steps in work.steps.items())
    return Capture(began_at or 0.0, boots, tuple(damage))


_Flow = tuple[int, int, int, int]
"""Source, source port, destination, destination port."""


@dataclass(slots=True)
class _Http:
    """One direction of a TCP connection, as far as it carries request heads."""

    buffer: bytes = b""
    expected: int = 0
    """Sequence number of the byte after the buffer."""


def _may_be_head(data: bytes) -> bool:
    """These bytes begin with an HTTP method, or are the beginning of one."""
    return data.startswith(_METHODS) or (data != b"" and any(method.startswith(data) for method in _METHODS))


@dataclass(slots=True)
class _Dissection:
    """What is remembered between packets. Steps are frozen: what is learnt later replaces them in their list."""

    steps: dict[bytes, list[Step]] = field(default_factory=dict)
    _transfers: dict[tuple[int, int], tuple[list[Step], int]] = field(default_factory=dict)
    """The latest request of each TFTP client address and port: its list, its place there."""
    _http: dict[_Flow, _Http] = field(default_factory=dict)
    _waiting: dict[_Flow, list[tuple[list[Step], int]]] = field(default_factory=dict)
    """HTTP requests without a response, by the flow that the response comes in."""

    def take(self, at: float, packet: Packet) -> None:
        if packet.protocol == frames.TCP:
            self._take_tcp(at, packet)
        elif packet.version == 4 and {packet.source_port, packet.destination_port} & _DHCP_PORTS:
            message = dhcp.parse(packet.payload)
            self._add(message.hardware or packet.source_hardware, DhcpStep(at, packet, message))
        elif packet.destination_port == _TFTP_PORT:
            request = tftp.parse(packet.payload)
            if isinstance(request, tftp.Request):
                transfer = self._add(packet.source_hardware, TftpStep(at, packet, request))
                self._transfers[packet.source, packet.source_port] = transfer
        else:
            self._take_transfer(packet)

    def _add(self, hardware: bytes, step: Step) -> tuple[list[Step], int]:
        steps = self.steps.setdefault(hardware, [])
        steps.append(step)
        return steps, len(steps) - 1

    def _take_transfer(self, packet: Packet) -> None:
        """The first answer to a TFTP request; the client's ERROR, if it sends one."""
        if (packet.destination, packet.destination_port) in self._transfers:
            steps, place = self._transfers[packet.destination, packet.destination_port]
            step = steps[place]
            if isinstance(step, TftpStep) and step.answer is None:
                steps[place] = replace(step, answer=tftp.parse(packet.payload))
        elif (packet.source, packet.source_port) in self._transfers:
            steps, place = self._transfers[packet.source, packet.source_port]
            step, said = steps[place], tftp.parse(packet.payload)
            if isinstance(step, TftpStep) and isinstance(said, tftp.Error):
                steps[place] = replace(step, abort=said)

    def _take_tcp(self, at: float, packet: Packet) -> None:
        if not packet.payload:
            return
        flow = (packet.source, packet.source_port, packet.destination, packet.destination_port)
        if packet.payload.startswith(b"HTTP/1."):
            self._take_response(flow, packet)
        if flow not in self._http and not _may_be_head(packet.payload):
            return
        stream = self._http.setdefault(flow, _Http(expected=packet.sequence))
        ahead = (stream.expected - packet.sequence) & 0xFFFFFFFF
        new = packet.payload[ahead:] if ahead < 1 << 31 else packet.payload
        if (
            ahead >= 1 << 31 or not stream.buffer
        ):  # bytes are missing (the capture is trimmed), or a request begins here
            stream.buffer = b""
        if not new:
            return  # sent before
        stream.buffer += new
        stream.expected = (packet.sequence + len(packet.payload)) & 0xFFFFFFFF
        self._take_heads(at, packet, flow, stream)

    def _take_heads(self, at: float, packet: Packet, flow: _Flow, stream: _Http) -> None:
        """Each complete head in the buffer becomes a step. What follows a head and is none itself is a body, and dropped."""
        while _may_be_head(stream.buffer):
            end = stream.buffer.find(_HEAD_END)
            if end < 0:
                if len(stream.buffer) > _MAX_HEAD_BYTES:
                    stream.buffer = b""
                return
            head = stream.buffer[: end + len(_HEAD_END)]
            stream.buffer = stream.buffer[len(head) :]
            step = self._add(packet.source_hardware, HttpStep(at, packet, head))
            self._waiting.setdefault((*flow[2:], *flow[:2]), []).append(step)
        stream.buffer = b""

    def _take_response(self, flow: _Flow, packet: Packet) -> None:
        waiting = self._waiting.get(flow)
        if waiting:
            steps, place = waiting.pop(0)
            step = steps[place]
            if isinstance(step, HttpStep):
                steps[place] = replace(step, status=packet.payload.partition(b"\r\n")[0])
