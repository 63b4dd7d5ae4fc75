"""Crowds of TFTP clients at a server that takes time for each packet, in virtual time.

The server has one processor and takes a batch from each port in turn, as the shell does. Packets are not lost, they wait. The clients
are simpler than those of ``tftp_harness``: they ask, acknowledge whole windows, ask again when nothing comes, and give up.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tftp_harness import PORTS, SERVER, content

from pxenet.engine.surface import NEVER, Blocks, Output
from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.events import Event
from pxenet.net.datagram import BATCH, Datagram, Send, pack_peer
from pxenet.wire.tftp import Ack, OpCode, Request, serialize

BLKSIZE = 512
"""Of those who say nothing else."""


@dataclass(frozen=True)
class Firmware:
    """When it asks again, and gives up at last: seconds from one to the next."""

    retries: Sequence[float]
    windowsize: int = 1
    blksize: int = BLKSIZE


IPXE = Firmware((0.25, 0.5, 1.0, 2.0, 4.0, 8.0))
EDK2 = Firmware((4.0,) * 6, windowsize=4)
PXELINUX = Firmware(
    tuple(ticks / 18.2 for ticks in (2, 2, 3, 3, 4, 5, 6, 7, 9, 10, 12, 15, 18, 21, 26, 31, 37, 44, 53, 64, 77))
)
GRUB = Firmware(tuple(0.4 + 0.02 * count for count in range(40)))
UBOOT = Firmware((5.0,) * 10)
LARGE = Firmware((1.0,) * 10, windowsize=64, blksize=1468)
EVERYONE = (IPXE, EDK2, PXELINUX, GRUB, UBOOT)


@dataclass
class Machine:
    """One client, and what became of it."""

    peer: bytes
    like: Firmware
    size: int
    start_at: float = 0.0
    begun_at: float = NEVER
    """When it was answered first."""
    done_at: float = NEVER
    gave_up: bool = False
    asked: int = 0
    again: int = 0
    """Packets that it has sent again."""
    expected: int = 0
    tid: int = 0
    tries: int = 0
    timer: int = 0

    @property
    def took_s(self) -> float:
        return self.done_at - self.start_at


@dataclass
class Crowd:
    """A server, machines, and a heap of what happens when."""

    machines: Sequence[Machine]
    packet_s: float = 0.0005
    """Of the server's time, for each packet that comes."""
    block_s: float = 0.0
    """And for each block that leaves."""
    wire_s: float = 0.0002
    settings: TftpSettings = field(default_factory=lambda: TftpSettings(tid_ports=PORTS, max_windowsize=64))

    def __post_init__(self) -> None:
        self.server = TftpServer(self.settings)
        self.now = 0.0
        self.events: list[Event] = []
        self.blocks = 0
        self.most_reading = self.most_waiting = 0
        self._queues: dict[int, deque[Datagram]] = {port: deque() for port in (69, *PORTS)}
        self._by_peer = {machine.peer: machine for machine in self.machines}
        self._files = {machine.size: content(bytes(machine.size)) for machine in self.machines}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        for machine in self.machines:
            self._at(machine.start_at, lambda machine=machine: self._ask(machine))

    def run(self, until: float = 600.0) -> None:
        """Until nothing more happens, or a time is over."""
        while self.now < until:
            while self._heap and self._heap[0][0] <= self.now:
                heapq.heappop(self._heap)[2]()
            if not self._turn():
                at = min(self._heap[0][0] if self._heap else NEVER, self.server.deadline())
                if at == NEVER:
                    return
                self.now = max(self.now, at)

    def _turn(self) -> bool:
        """One batch of each port, and what is due. False: there was nothing to do."""
        worked = False
        for queue in self._queues.values():
            if queue:
                batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
                self._obey(self.server.receive(batch, self.now), len(batch))
                worked = True
        if self.server.deadline() <= self.now:
            self._obey(self.server.tick(self.now), 0)
            worked = True
        counted = self.server.statistics()
        self.most_reading = max(self.most_reading, counted.reading)
        self.most_waiting = max(self.most_waiting, counted.waiting)
        return worked

    def _obey(self, out: Output, packets: int) -> None:
        self.events += out.events
        for want in out.wants:
            file = self._files[self._by_peer[want.peer].size]
            given = self.server.provide(want.id, file, self.now)
            out.sends += given.sends
            self.events += given.events
        blocks = sum(send.count for send in out.sends if isinstance(send, Blocks))
        self.blocks += blocks
        self.now += packets * self.packet_s + blocks * self.block_s
        for send in out.sends:
            self._at(self.now + self.wire_s, lambda send=send: self._arrives(send))

    # The machines

    def _ask(self, machine: Machine) -> None:
        options = (("blksize", str(machine.like.blksize)), ("windowsize", str(machine.like.windowsize)))
        machine.asked += 1
        self._say(machine, serialize(Request(OpCode.RRQ, "file", "octet", options)), 69)

    def _arrives(self, send: Send | Blocks) -> None:
        machine = self._by_peer[send.to]
        if machine.gave_up or machine.done_at < NEVER:
            return
        if isinstance(send, Send):
            if machine.tid:
                return
            machine.begun_at, machine.tid = self.now, send.port
        elif send.first > machine.expected or send.first + send.count <= machine.expected:
            return
        else:
            machine.expected = send.first + send.count
            if (machine.expected - 1) * machine.like.blksize > machine.size:
                machine.done_at = self.now
        machine.expected = machine.expected or 1
        machine.tries = 0
        self._acknowledge(machine)

    def _acknowledge(self, machine: Machine) -> None:
        self._say(machine, serialize(Ack((machine.expected - 1) & 0xFFFF)), machine.tid)

    def _say(self, machine: Machine, payload: bytes, port: int) -> None:
        datagram = Datagram(payload, machine.peer, SERVER, port, 2)
        self._at(self.now + self.wire_s, lambda: self._queues[port].append(datagram))
        machine.timer += 1
        if machine.done_at == NEVER:
            wait_s, number = machine.like.retries[machine.tries], machine.timer
            self._at(self.now + wait_s, lambda: self._nothing_came(machine, number))

    def _nothing_came(self, machine: Machine, number: int) -> None:
        if number != machine.timer or machine.gave_up:
            return
        machine.tries += 1
        if machine.tries == len(machine.like.retries):
            machine.gave_up = True
            return
        machine.again += 1
        if machine.tid:
            self._acknowledge(machine)
        else:
            self._ask(machine)

    def _at(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (at, next(self._numbers), act))


def machines(count: int, like: Sequence[Firmware], size: int, *, first: int = 0x0A000100) -> list[Machine]:
    """So many, each with an address of its own, that start in the same instant."""
    return [Machine(pack_peer(first + n, 2070), like[n % len(like)], size) for n in range(count)]
