"""A bad network in virtual time, and TFTP clients that behave as boot firmware does. Seeded; nothing sleeps.

The clients are models of what the real ones do with each packet (lock-step or windowed, what they say to a gap, a repetition,
silence), so that a rule which starves or floods one of them shows in a test. They check what a client would: ports, OACK values,
block order.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pxenet.engine.surface import NEVER, Blocks, Delivered, Output, Upload
from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.engine.tftp.blocks import datagrams
from pxenet.events import Event
from pxenet.model import Absent, Content, Missing, Region
from pxenet.net.datagram import Datagram, Send, pack_peer, peer_port
from pxenet.wire.tftp import Ack, Data, Error, Oack, OpCode, Packet, Request, find_option, parse, serialize

SERVER = 0x0A000001
PORTS = (30001, 30002, 30003, 30004, 30005)
NOT_THERE = Absent(Missing.NOT_FOUND)


def content(data: bytes, name: str = "file") -> Content:
    """A content out of memory."""
    return Content(name, (data,), len(data), 0, '"1"')


def pattern(size: int, seed: int = 0) -> bytes:
    """Octets in which no two blocks look alike."""
    return random.Random(seed).randbytes(size)


def read_nothing(region: Region, offset: int, length: int) -> bytes:
    raise AssertionError("this content has no file")


@dataclass(frozen=True)
class Personality:
    """How one kind of client behaves (the facts' table of clients, from their sources)."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    retry_s: float = 1.0
    backs_off: bool = False
    """The time-out doubles."""
    tries: int = 6
    acks_old: bool = True
    """A block it already has is acknowledged again: by its own number (GRUB), or the newest in order."""
    acks_own_number: bool = False
    each_gap: bool = False
    """EDK2 acknowledges expected−1 for every block it cannot use; with windows others do so once until there is progress."""
    dallies: bool = False
    """It answers a repeated last block after the end."""
    needs_oack: bool = False
    strict_oack: bool = True
    """An option it did not ask for, or a larger value, ends the transfer."""


IPXE = Personality("iPXE", (("blksize", "1432"), ("tsize", "0")), retry_s=0.25, backs_off=True, strict_oack=False)
GRUB = Personality(
    "GRUB", (("blksize", "1024"), ("tsize", "0")), retry_s=0.4, tries=40, acks_own_number=True, needs_oack=True
)
PXELINUX = Personality("pxelinux", (("tsize", "0"), ("blksize", "1408")), retry_s=0.5, backs_off=True, tries=8)
EDK2 = Personality("EDK2", (("blksize", "1468"), ("windowsize", "4")), retry_s=4.0, each_gap=True)
UBOOT = Personality(
    "U-Boot", (("timeout", "5"), ("tsize", "0"), ("blksize", "1468"), ("windowsize", "8")), retry_s=5.0, tries=10
)
HPA = Personality("window 16", (("blksize", "1024"), ("windowsize", "16")), retry_s=1.0, dallies=True)
PLAIN = Personality("no options", (), retry_s=1.0, dallies=True)

LOCKSTEP = (IPXE, GRUB, PXELINUX, PLAIN)
WINDOWED = (EDK2, UBOOT, HPA)
EVERYONE = LOCKSTEP + WINDOWED


class Client:
    """One read by one client. ``outbox`` holds what it wants sent: (payload, to which port of the server)."""

    def __init__(self, personality: Personality, filename: str, peer: bytes) -> None:
        self.is_like = personality
        self.peer = peer
        self.filename = filename
        self.outbox: list[tuple[bytes, int]] = []
        self.received: list[bytes] = []
        self.error: Error | None = None
        self.done = False
        self.deadline = NEVER
        self.tid = 0
        self.expected = 1
        self.blksize = 512
        self.windowsize = 1
        self.tsize: int | None = None
        self.since_ack = 0
        self.gap_told = False
        self.tries = 0
        self.last_sent: tuple[bytes, int] = (b"", 0)

    @property
    def over(self) -> bool:
        return self.done or self.error is not None

    @property
    def data(self) -> bytes:
        return b"".join(self.received)

    def start(self, now: float) -> None:
        self._say(Request(OpCode.RRQ, self.filename, "octet", self.is_like.options), 69, now)

    def tick(self, now: float) -> None:
        """Nothing came for a while: say the last thing again."""
        self.tries += 1
        if self.tries > self.is_like.tries:
            self.error = Error(0, "client timed out")
            self.deadline = NEVER
            return
        self.outbox.append(self.last_sent)
        self.gap_told = False
        self._wait(now)

    def receive(self, payload: bytes, port: int, now: float) -> None:
        packet = parse(payload)
        if self.error is not None or (self.tid and port != self.tid):
            return  # iPXE, EDK2 and GRUB drop what comes from another port
        if self.done:
            if self.is_like.dallies and isinstance(packet, Data):
                self.outbox.append((serialize(Ack(packet.block)), self.tid))
            return
        if isinstance(packet, Error):
            self.error = packet
            self.deadline = NEVER
        elif isinstance(packet, Oack):
            self._oack(packet, port, now)
        elif isinstance(packet, Data):
            self._data(packet, port, now)
        else:
            raise AssertionError(f"a server never sends {packet}")

    def _oack(self, packet: Oack, port: int, now: float) -> None:
        if self.expected > 1 or self.since_ack:
            return
        self._check(packet)
        self.tid = port
        self.blksize = find_option(packet.options, "blksize") or 512
        self.windowsize = find_option(packet.options, "windowsize") or 1
        self.tsize = find_option(packet.options, "tsize")
        self._say(Ack(0), port, now)

    def _check(self, packet: Oack) -> None:
        asked = dict(self.is_like.options)
        for name, value in packet.options:
            assert not self.is_like.strict_oack or name in asked, f"{name} was not asked for"
            if name in ("blksize", "windowsize"):
                assert int(value) <= int(asked[name])
            if name == "timeout":
                assert value == asked[name]

    def _data(self, packet: Data, port: int, now: float) -> None:
        if not self.tid:
            if packet.block != 1:
                return  # of an earlier transfer from the same port
            assert not self.is_like.needs_oack, f"{self.is_like.name} cannot go on without an OACK"
            self.tid = port
        assert len(packet.payload) <= self.blksize
        if packet.block != self.expected & 0xFFFF:
            self._out_of_order(packet, now)
            return
        self.received.append(packet.payload)
        self.expected += 1
        self.since_ack += 1
        self.gap_told = False
        self.done = len(packet.payload) < self.blksize
        if self.done or self.since_ack >= self.windowsize:
            self._ack(now)
        else:
            self.tries = 0
            self._wait(now)
        if self.done:
            self.deadline = NEVER

    def _out_of_order(self, packet: Data, now: float) -> None:
        old = 0 < (self.expected - packet.block) & 0xFFFF < 0x8000
        if self.is_like.each_gap:
            self._ack(now)
        elif old and self.windowsize == 1 and self.is_like.acks_old:
            number = packet.block if self.is_like.acks_own_number else self.expected - 1
            self.outbox.append((serialize(Ack(number & 0xFFFF)), self.tid))
        elif self.windowsize > 1 and not self.gap_told:
            self.gap_told = True  # U-Boot: once per place, for old blocks too
            self._ack(now)

    def _ack(self, now: float) -> None:
        self.since_ack = 0
        self._say(Ack((self.expected - 1) & 0xFFFF), self.tid, now)

    def _say(self, packet: Packet, port: int, now: float) -> None:
        self.last_sent = (serialize(packet), port)
        self.outbox.append(self.last_sent)
        self.tries = 0
        self._wait(now)

    def _wait(self, now: float) -> None:
        pause = self.is_like.retry_s * (2**self.tries if self.is_like.backs_off else 1)
        self.deadline = now + min(pause, 10.0)


class Writer(Client):
    """A client that writes: blocks out, acknowledgments in; windows as RFC 7440 has them."""

    def __init__(self, personality: Personality, filename: str, peer: bytes, data: bytes) -> None:
        super().__init__(personality, filename, peer)
        self.file = data
        self.acked = 0

    def start(self, now: float) -> None:
        options = tuple((n, str(len(self.file)) if n == "tsize" else v) for n, v in self.is_like.options)
        self._say(Request(OpCode.WRQ, self.filename, "octet", options), 69, now)

    def receive(self, payload: bytes, port: int, now: float) -> None:
        packet = parse(payload)
        if self.over or (self.tid and port != self.tid):
            return
        if isinstance(packet, Error):
            self.error, self.deadline = packet, NEVER
        elif isinstance(packet, Oack):
            if not self.tid:
                self._check(packet)
                self.tid = port
                self.blksize = find_option(packet.options, "blksize") or 512
                self.windowsize = find_option(packet.options, "windowsize") or 1
                self._window(now)
        elif isinstance(packet, Ack):
            first, self.tid = not self.tid, port
            step = (packet.block - self.acked) & 0xFFFF
            if first or 0 < step <= self.windowsize:
                self.acked += step
                self._window(now)
        else:
            raise AssertionError(f"a server never sends {packet}")

    def tick(self, now: float) -> None:
        if not self.tid:
            super().tick(now)
            return
        self.tries += 1
        if self.tries > self.is_like.tries:
            self.error, self.deadline = Error(0, "client timed out"), NEVER
            return
        tries = self.tries
        self._window(now)
        self.tries = tries

    def _window(self, now: float) -> None:
        last = len(self.file) // self.blksize + 1
        if self.acked == last:
            self.done, self.deadline = True, NEVER
            return
        for block in range(self.acked + 1, min(self.acked + self.windowsize, last) + 1):
            payload = self.file[(block - 1) * self.blksize : block * self.blksize]
            self._say(Data(block & 0xFFFF, payload), self.tid, now)


@dataclass
class Weather:
    """What the network does to a packet, each way."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay_s: tuple[float, float] = (0.001, 0.001)
    """Shortest and longest; packets overtake each other when they differ."""
    at: int = -1
    """Of all packets of the run, the one (from 0) that arrives in another number of ``copies``."""
    copies: int = 1


@dataclass
class Network:
    """A server, clients, weather, and one heap of what happens next."""

    contents: Mapping[str, Content | Absent]
    weather: Weather = field(default_factory=Weather)
    seed: int = 0
    settings: TftpSettings = field(default_factory=lambda: TftpSettings(tid_ports=PORTS, max_windowsize=64))
    tap: Callable[[bytes], None] = lambda payload: None
    """Sees every datagram of the server."""
    refuse: Absent | None = None
    """What becomes of uploads."""

    def __post_init__(self) -> None:
        self.server = TftpServer(self.settings)
        self.random = random.Random(self.seed)
        self.now = 0.0
        self.clients: dict[bytes, Client] = {}
        self.events: list[Event] = []
        self.delivered: list[Delivered] = []
        self.uploads: list[Upload] = []
        self.sent_by_server = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._flown = 0

    def add(self, client: Client, at: float = 0.0) -> None:
        """A client that starts at this time."""

        def start() -> None:
            self.clients[client.peer] = client
            client.start(self.now)
            self._collect(client)

        self._at(at, start)

    def run(self, until: float = 600.0) -> None:
        """Until every client is finished, and the server after that, or a time is over."""
        while self._heap or self._next_deadline() < NEVER:
            at = min(self._heap[0][0] if self._heap else NEVER, self._next_deadline())
            if at > until:
                self.now = until
                break
            self.now = max(self.now, at)
            if self._heap and self._heap[0][0] <= self.now:
                heapq.heappop(self._heap)[2]()
                continue
            self._ticks()

    def _ticks(self) -> None:
        if self.server.deadline() <= self.now:
            self._obey(self.server.tick(self.now))
        for client in self.clients.values():
            if client.deadline <= self.now:
                client.tick(self.now)
                self._collect(client)

    def _next_deadline(self) -> float:
        return min([self.server.deadline(), *(client.deadline for client in self.clients.values())])

    def _at(self, at: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, act))

    def _fly(self, act: Callable[[], None]) -> None:
        copies = 2 if self.random.random() < self.weather.duplicate else 1
        if self._flown == self.weather.at:
            copies = self.weather.copies
        self._flown += 1
        for _ in range(copies):
            if self.random.random() >= self.weather.loss:
                self._at(self.now + self.random.uniform(*self.weather.delay_s), act)

    def _collect(self, client: Client) -> None:
        outbox, client.outbox = client.outbox, []
        for payload, port in outbox:
            self._fly(self._to_server(Datagram(payload, client.peer, SERVER, port, 2)))

    def _to_server(self, datagram: Datagram) -> Callable[[], None]:
        return lambda: self._obey(self.server.receive([datagram], self.now))

    def _to_client(self, to: bytes, payload: bytes, port: int) -> Callable[[], None]:
        def arrive() -> None:
            client = self.clients[to]
            client.receive(payload, port, self.now)
            self._collect(client)

        return arrive

    def _obey(self, output: Output) -> None:
        self.events += output.events
        self.delivered += output.delivered
        for send in output.leaving():
            for payload in payloads(send):
                self.sent_by_server += 1
                self.tap(payload)
                self._fly(self._to_client(send.to, payload, send.port))
        for want in output.wants:
            self._obey(self.server.provide(want.id, self.contents.get(want.path, NOT_THERE), self.now))
        for upload in output.uploads:
            self.uploads.append(upload)
            self._obey(self.server.uploaded(upload.id, self.refuse, self.now))


def payloads(send: Send | Blocks) -> list[bytes]:
    """What goes out, joined."""
    if isinstance(send, Blocks):
        return [header + payload for header, payload in datagrams(send, read_nothing)]
    return [b"".join(send.parts)]


def fetch(personality: Personality, data: bytes, weather: Weather, seed: int = 0) -> tuple[Network, Client]:
    """One read by one client, to its end."""
    network = Network({"file": content(data)}, weather, seed)
    client = Client(personality, "file", pack_peer(0x0A000005, 2070))
    network.add(client)
    network.run()
    return network, client


def says(out: Output) -> list[str]:
    """An output in words, one line each, for scripts: what is sent, then what is wanted, then what happened."""
    lines = [_send_text(send) for send in out.leaving()]
    lines += [f"want {want.path}{' netascii' if want.netascii else ''}" for want in out.wants]
    lines += [f"upload {upload.path} {len(upload.data)}" for upload in out.uploads]
    lines += [f"delivered {delivered.content.name}" for delivered in out.delivered]
    return lines + [event.kind for event in out.events]


def _send_text(send: Send | Blocks) -> str:
    where = f"{send.port}>{peer_port(send.to)}"
    if isinstance(send, Blocks):
        return f"{where} DATA {send.first}-{send.first + send.count - 1}"
    match parse(b"".join(send.parts)):
        case Ack(block):
            return f"{where} ACK {block}"
        case Oack(options):
            return f"{where} OACK {' '.join('='.join(option) for option in options)}"
        case Error(code, text):
            return f"{where} ERROR {code} {text}"
        case other:
            raise AssertionError(f"a server never sends {other}")
