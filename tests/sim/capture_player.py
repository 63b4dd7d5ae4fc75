"""A captured server that plays its part again: its DHCP replies with our xid, its first TFTP answers, its HTTP replies.

What the simulated machine says is laid beside what the captured one said, packet by packet and in the same order. Equal must be
everything but what cannot be: the xid, the time in ``secs`` (iPXE's is none, and counts), source ports. File contents that the capture
lost to trimming are zeros of the right size; texts are whole.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pxenet.capture import dissect, frames, pcap
from pxenet.capture.boots import ArpStep, Boot, DhcpStep
from pxenet.capture.boots import Transfer as TftpTransfer
from pxenet.capture.frames import Packet
from pxenet.sim.machine import NEVER, ClientSend, HttpFetch, HttpReply, Machine, Said, SimDatagram
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import OptionCode
from pxenet.wire.reader import WireError
from pxenet.wire.tftp import Ack, Data, Error, Oack, Request, find_option
from pxenet.wire.tftp import parse as parse_tftp
from pxenet.wire.tftp import serialize as tftp_bytes

CAPTURES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))}
DHCP_PORTS = (67, 68, 4011)
DELAY_S = 0.0005


@dataclass
class Transfer:
    """One captured read."""

    request: bytes
    name: str
    said: list[bytes] = field(default_factory=list)
    """By the client, after its request, as far as the capture shows it without a gap."""
    answer: bytes = b""
    tid: int = 0
    blocks: dict[int, bytes] = field(default_factory=dict)

    def content(self, sizes: dict[str, int]) -> bytes:
        """The file: as captured when it is all there, else zeros."""
        oack = parse_tftp(self.answer)
        assert isinstance(oack, Oack)
        size = find_option(oack.options, "tsize")
        size = sizes[self.name] if size is None else sizes.setdefault(self.name, size)
        whole = b"".join(self.blocks[block] for block in sorted(self.blocks))
        return whole if len(whole) == size else bytes(size)


@dataclass
class Fetched:
    """One captured HTTP request with its reply."""

    head: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Recording:
    """What one capture shows of its one machine, over IPv4."""

    def __init__(self, name: str) -> None:
        (self.boot,) = dissect.read(CAPTURES[name]).boots
        self.dhcp = [step for step in self.boot.dhcp if step.packet.version == 4]
        self.transfers = list(_transfers(CAPTURES[name]))
        self.fetches = list(_fetches(CAPTURES[name], self.boot))
        self.order = _order(self.boot)


def _packets(path: Path) -> list[Packet]:
    found = []
    for _, frame in pcap.read(path):
        packet = frames.parse(frame)
        if packet is not None and packet.version == 4:
            found.append(packet)
    return found


def _transfers(path: Path) -> list[Transfer]:
    """All reads in order."""
    found: list[Transfer] = []
    open_now: dict[tuple[int, int], Transfer] = {}
    for packet in _packets(path):
        ports = {packet.source_port, packet.destination_port}
        if packet.protocol != frames.UDP or ports & {*DHCP_PORTS, 53}:
            continue
        try:
            said = parse_tftp(packet.payload)
        except WireError:
            continue
        if isinstance(said, Request):
            found.append(Transfer(packet.payload, said.filename))
            open_now[packet.source, packet.source_port] = found[-1]
        elif (packet.destination, packet.destination_port) in open_now:
            transfer = open_now[packet.destination, packet.destination_port]
            if not transfer.answer:
                transfer.answer, transfer.tid = packet.payload, packet.source_port
            if isinstance(said, Data):
                transfer.blocks[said.block] = said.payload
        elif (packet.source, packet.source_port) in open_now:
            transfer = open_now[packet.source, packet.source_port]
            if not isinstance(said, Ack) or said.block == len(transfer.said):
                transfer.said.append(packet.payload)
    return found


def _fetches(path: Path, boot: Boot) -> list[Fetched]:
    """All HTTP requests in order, with as much of the reply as the capture has in one piece."""
    packets = [packet for packet in _packets(path) if packet.protocol == frames.TCP]
    found = []
    for step in boot.http:
        if step.packet.version != 4:
            continue
        flow = (step.packet.destination, step.packet.destination_port, step.packet.source_port)
        at = next(n for n, packet in enumerate(packets) if packet == step.packet)
        raw, expected = b"", None
        for packet in packets[at:]:
            if (packet.source, packet.source_port, packet.destination_port) == flow and packet.payload:
                if expected is not None and packet.sequence != expected:
                    break
                if raw and packet.payload.startswith(b"HTTP/"):
                    break
                raw += packet.payload
                expected = packet.sequence + len(packet.payload)
        head, _, body = raw.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        pairs = tuple((name, value.strip()) for name, _, value in (text.partition(":") for text in lines))
        found.append(Fetched(step.head, int(line.split()[1]) if line else 0, pairs, body))
    return found


def _order(boot: Boot) -> list[str]:
    """``dhcp``, ``tftp``, ``http`` for each thing that the machine began, in order."""
    order = []
    for step in boot.steps:
        if step.packet.version != 4 or isinstance(step, ArpStep):
            continue
        if isinstance(step, DhcpStep):
            if step.message.op == 1:
                order.append("dhcp")
        else:
            order.append("tftp" if isinstance(step, TftpTransfer) else "http")
    return order


class Player:
    """Drives one machine with one recording. ``change`` may alter what the captured server says."""

    def __init__(
        self,
        recording: Recording,
        machine: Machine,
        change: Callable[[Message], Message] = lambda message: message,
        text: Callable[[bytes], bytes] = lambda text: text,
    ) -> None:
        self.recording, self.machine, self.change, self.text = recording, machine, change, text
        self.compare = True
        self.now = recording.boot.steps[0].at
        self.said: list[str] = []
        """What the machine began, in words."""
        self._order = list(recording.order)
        self._dhcp = list(recording.dhcp)
        self._transfers = list(recording.transfers)
        self._fetches = list(recording.fetches)
        self._sizes: dict[str, int] = {}
        self._serving: dict[int, tuple[Transfer, bytes, int]] = {}
        self._heard: list[bytes] = []
        self._heap: list[tuple[float, int, Callable[[], Said]]] = []
        self._count = 0

    def play(self, *, to_the_end: bool = False) -> None:
        """From power-on until the capture or the machine is at its end; ``to_the_end``: of the machine."""
        self._obey(self.machine.power_on(self.now))
        while (self._order or to_the_end) and not self.machine.over:
            at = min(self.machine.deadline(), self._heap[0][0] if self._heap else NEVER)
            assert at < NEVER
            self.now = max(self.now, at)
            if self._heap and self._heap[0][0] <= self.now:
                self._obey(heapq.heappop(self._heap)[2]())
            else:
                self._obey(self.machine.tick(self.now))

    def _later(self, delay: float, act: Callable[[], Said]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay, self._count, act))

    def _obey(self, said: Said) -> None:
        for send in said.sends:
            if send.from_port in DHCP_PORTS:
                self._take_dhcp(send)
            elif send.to_port == 69:
                self._take_request(send)
            else:
                self._take_transfer(send)
        for fetch in said.fetches:
            self._take_fetch(fetch)

    def _begin(self, kind: str, words: str) -> bool:
        """The machine begins something; False: the capture has ended before."""
        self.said.append(words)
        if not self._order:
            return False
        if self.compare:
            assert self._order[0] == kind, f"the captured machine went on with {self._order[0]}, not with {words}"
        if self._order[0] == kind:
            self._order.pop(0)
        return True

    # -- DHCP ----------------------------------------------------------------------------------------------------------------

    def _take_dhcp(self, send: ClientSend) -> None:
        message = parse(send.payload)
        if not self._begin("dhcp", f"dhcp {message.message_type}"):
            return
        while self._dhcp and self._dhcp[0].message.op == 2:
            self._dhcp.pop(0)
        if not self._dhcp:
            return
        step = self._dhcp.pop(0)
        if self.compare:
            assert _comparable(step.packet.payload) == _comparable(send.payload)
            ends = (step.packet.destination, step.packet.destination_port, step.packet.source_port, step.packet.source)
            assert ends == (send.to_address, send.to_port, send.from_port, send.from_address)
        for reply in self._dhcp:
            if reply.message.op == 1:
                break
            changed = self.change(reply.message)
            payload = reply.packet.payload if changed is reply.message else serialize(changed, min_size=300)
            payload = payload[:4] + message.xid.to_bytes(4, "big") + payload[8:]
            packet = reply.packet
            datagram = SimDatagram(
                payload, packet.source, packet.source_port, packet.destination, packet.destination_port
            )
            self._deliver(max(reply.at - step.at, DELAY_S), datagram)

    def _deliver(self, delay: float, datagram: SimDatagram) -> None:
        self._later(delay, lambda: self.machine.receive(datagram, self.now))

    # -- TFTP ----------------------------------------------------------------------------------------------------------------

    def _take_request(self, send: ClientSend) -> None:
        request = parse_tftp(send.payload)
        assert isinstance(request, Request)
        if not self._begin("tftp", f"tftp {request.filename}") or not self._transfers:
            return
        self._ended()
        transfer = self._transfers.pop(0)
        if self.compare:
            assert transfer.request == send.payload
        if transfer.answer[:2] == b"\0\5":
            self._answer(send, transfer.tid, transfer.answer)
            return
        content = self.text(transfer.content(self._sizes))
        answer = transfer.answer
        oack = parse_tftp(answer)
        assert isinstance(oack, Oack)
        blksize = find_option(oack.options, "blksize") or 512
        if len(content) != self._sizes[transfer.name]:
            options = tuple((name, str(len(content)) if name == "tsize" else value) for name, value in oack.options)
            answer = tftp_bytes(Oack(options))
        self._serving[send.from_port] = (transfer, content, blksize)
        self._heard = []
        self._answer(send, transfer.tid, answer)

    def _answer(self, send: ClientSend, tid: int, payload: bytes) -> None:
        self._deliver(DELAY_S, SimDatagram(payload, send.to_address, tid, send.from_address, send.from_port))

    def _take_transfer(self, send: ClientSend) -> None:
        transfer, content, blksize = self._serving[send.from_port]
        self._heard.append(send.payload)
        if self.compare and len(self._heard) <= len(transfer.said):
            assert transfer.said[len(self._heard) - 1] == send.payload
        said = parse_tftp(send.payload)
        if isinstance(said, Error):
            return
        assert isinstance(said, Ack)
        at = len(self._heard) - 1  # nothing is lost here: one ACK for each block, the first for the OACK
        if at * blksize <= len(content):
            block = Data((at + 1) & 0xFFFF, content[at * blksize : (at + 1) * blksize])
            self._answer(send, transfer.tid, tftp_bytes(block))

    def _ended(self) -> None:
        """Of the transfer before: all that the capture shows of the client was said again."""
        if self._serving and self.compare:
            transfer = next(reversed(self._serving.values()))[0]
            assert transfer.said == self._heard[: len(transfer.said)]
        self._serving.clear()

    # -- HTTP ----------------------------------------------------------------------------------------------------------------

    def _take_fetch(self, fetch: HttpFetch) -> None:
        if not self._begin("http", f"http {fetch.method} {fetch.url}") or not self._fetches:
            return
        captured = self._fetches.pop(0)
        if self.compare:
            assert captured.head == _head(fetch)
        reply = HttpReply(captured.status, captured.headers, len(captured.body), self.text(captured.body))
        self._later(DELAY_S, lambda: self.machine.fetched(fetch.id, reply, self.now))


def _head(fetch: HttpFetch) -> bytes:
    path = "/" + fetch.url.partition("://")[2].partition("/")[2]
    lines = [f"{fetch.method} {path} HTTP/{fetch.version}", *(f"{name}: {value}" for name, value in fetch.headers)]
    return "\r\n".join([*lines, "", ""]).encode()


def _comparable(payload: bytes) -> bytes:
    """A DHCP message without its xid, and without ``secs`` unless it is iPXE's."""
    ipxe = OptionCode.IPXE in parse(payload).options
    return payload[:4] + bytes(4) + (payload[8:10] if ipxe else b"\0\0") + payload[10:]
