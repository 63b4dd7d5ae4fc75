"""The shell of the datagram engines (DHCP and TFTP): sockets on one side, an engine on the other, and no protocol in between.

What an engine puts out is obeyed in one place, ``Shell.obey``: send, look up content, commit, tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from pxenet.engine.surface import NEVER, Blocks, Engine, Flight, Output, Stream, Upload, Want, joined
from pxenet.engine.tftp.blocks import ContentChanged, datagrams
from pxenet.model import Absent, Change, Content, Later, Missing, Region, Verdict
from pxenet.net.batched import BatchedUdpSocket
from pxenet.net.datagram import BATCH, BROADCAST, Send, pack_peer, peer_port
from pxenet.net.link import Link
from pxenet.net.mapped import Layout
from pxenet.net.udp import UdpSocket
from pxenet.server.maps import Maps, Way, look_at
from pxenet.server.outbox import Outbox
from pxenet.server.rally import Rally
from pxenet.server.tap import Tap

_PLAIN = object()
"""The way of a stream whose blocks leave as bytes."""

_FEW_WAYS = 16
"""In one flight; more would be parted again and again."""

_FORGOTTEN_S = 10.0
"""A file that was not read in this time and as long again is closed."""


@dataclass(slots=True)
class ShellStatistics:
    """Counters of one shell."""

    frames: int = 0
    unsent: int = 0
    delayed: int = 0
    """Windows for which the network had no room at once."""


class House(Protocol):
    """What stands behind an engine: a rack, or in a worker the way to it."""

    def find(self, want: Want) -> Content | Absent | Later:
        """What is asked for."""
        ...

    def accept(self, upload: Upload) -> Absent | None:
        """Keep a file that a client wrote; the reason when it cannot be kept."""
        ...

    def absorb(self, output: Output) -> Sequence[Change]:
        """Take what an engine has seen; what should become durable without anybody waiting for it."""
        ...

    def committed(self, changes: Sequence[Change], verdict: Verdict) -> None:
        """The fate of what ``absorb`` gave."""
        ...


class Commits(Protocol):
    """Where changes are made durable."""

    def submit(
        self, changes: Sequence[Change], done: Callable[[Verdict], None], after: Callable[[], None] | None = None
    ) -> None:
        """``done`` is called with the verdict, and ``after`` when all verdicts that came with it were told, once."""
        ...


class Shell:
    """Drives one engine over its sockets. ``clock`` is the engine's (wall or monotonic).

    ``behind`` is told for how long windows had to wait for the network, and the time. ``alone``: who is heard alone, and answers at
    once, is looked for without sleeping (``rally``); not where a relay agent speaks for many.
    """

    def __init__(
        self,
        engine: Engine,
        sockets: Sequence[UdpSocket],
        house: House,
        committer: Commits,
        clock: Callable[[], float],
        link: Link | None = None,
        tap: Tap | None = None,
        behind: Callable[[float, float], None] = lambda lag_s, now: None,
        *,
        alone: bool = False,
    ) -> None:
        self._engine = engine
        self._sockets = sockets
        self._behind = behind
        self._alone = alone
        self._outboxes = {udp: Outbox() for udp in sockets if isinstance(udp, BatchedUdpSocket)}
        self._held: set[BatchedUdpSocket] = set()
        """Those with something in their outbox."""
        # A reply leaves by the socket that has its port; where each interface has its own, by that of its interface.
        self._by_port = {udp.port: udp for udp in reversed(sockets)}
        self._by_interface = {(udp.port, udp.interface): udp for udp in sockets}
        self._house = house
        self._committer = committer
        self._clock = clock
        self._link = link
        self._tap = tap or Tap()
        self._maps = Maps()
        self._deadline_moved = trio.Event()
        self._sleeping_until = NEVER
        self._obeyed = trio.lowlevel.ParkingLot()
        self._answers: list[Output] = []
        """To verdicts that came together."""
        self.statistics = ShellStatistics()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. The sockets stay the caller's."""
        async with trio.open_nursery() as nursery:
            for udp in self._sockets:
                nursery.start_soon(self._receive, udp)
            for batched in self._outboxes:
                nursery.start_soon(self._write, batched)
            nursery.start_soon(self._tick)
            nursery.start_soon(self._age)
            task_status.started()

    async def drain(self) -> None:
        """Let the engine begin nothing new; returns when nothing is under way any more. ``run`` must go on meanwhile."""
        self._engine.retire()
        while self._engine.busy():
            await self._obeyed.park()

    async def _receive(self, udp: UdpSocket) -> None:
        rally = Rally() if self._alone else None
        while True:
            batch = udp.receive()
            if not batch and rally is not None:
                batch = rally.next(udp.receive)
            if not batch:
                await trio.lowlevel.wait_readable(udp.socket)
                continue
            now = self._clock()
            if self._tap.listener is not None:
                self._tap.listener.received(batch)
            self.obey(self._engine.receive(batch, now))
            if rally is None or not rally.heard(batch, now):
                # After each batch, for a flood of DISCOVERs must not keep transfers from their turn.
                await trio.lowlevel.checkpoint()

    async def _write(self, udp: BatchedUdpSocket) -> None:
        """What the kernel has no room for leaves when it has."""
        outbox = self._outboxes[udp]
        while True:
            await outbox.filled()
            await trio.lowlevel.wait_writable(udp.socket)
            now = self._clock()
            taken = outbox.take(BATCH)
            self._behind(now - taken[0].since_at, now)
            mapped: dict[Way, Flight] = {}
            for each in taken:
                if isinstance(way := each.blocks.stream.way, Way):
                    mapped.setdefault(way, Flight()).add(each.blocks)
            said: list[Output] = []
            self._send_runs(udp, [(way.layout, run) for way, run in mapped.items()], now, said)
            outbox.put_back(_left(udp), taken)
            if not outbox:
                self._held.discard(udp)
            for output in said:
                self.obey(output)

    async def _tick(self) -> None:
        """Wake the engine at its deadlines; sleep again when an earlier one appears."""
        while True:
            self._sleeping_until = self._engine.deadline()
            self._deadline_moved = trio.Event()
            pause = self._sleeping_until - self._clock()
            if pause > 0:
                with trio.move_on_after(pause):
                    await self._deadline_moved.wait()
            if self._engine.deadline() <= self._clock():
                self.obey(self._engine.tick(self._clock()))
                await trio.lowlevel.checkpoint()

    async def _age(self) -> None:
        """Files that nobody reads any more are closed."""
        while True:
            await trio.sleep(_FORGOTTEN_S)
            self._maps.age()

    def obey(self, *outputs: Output) -> None:
        """Do what the engine said, and what it says in answer, until it has nothing more to say."""
        pending = list(outputs)
        while pending:
            now = self._clock()
            # Together, so that the first packets of many transfers leave by one call.
            current, pending = joined(pending), []
            for sends in (current.sends, current.flight):
                if sends:
                    pending.extend(self._send_all(sends, now))
            for want in current.wants:
                found = self._house.find(want)
                if isinstance(found, Later):
                    found.then(self._answer_to(want.id))
                else:
                    pending.append(self._engine.provide(want.id, found, now))
            for upload in current.uploads:
                pending.append(self._engine.uploaded(upload.id, self._house.accept(upload), now))
            for commit in current.commits:
                self._committer.submit(commit.changes, self._verdict_of(commit.id), self._judged)
            if current.events or current.sightings or current.delivered:
                changes = self._house.absorb(current)
                if changes:
                    self._committer.submit(changes, partial(self._house.committed, changes))
        if self._engine.deadline() < self._sleeping_until:
            self._deadline_moved.set()
        if self._obeyed:
            self._obeyed.unpark_all()

    def _answer_to(self, want: int) -> Callable[[Content | Absent | None], None]:
        """Takes the answer that comes later; a transfer that was given up meanwhile ignores it."""

        def there(answer: Content | Absent | None) -> None:
            given = answer or Absent(Missing.UNAVAILABLE, "it is not here yet")
            self.obey(self._engine.provide(want, given, self._clock()))

        return there

    def _verdict_of(self, commit: int) -> Callable[[Verdict], None]:
        def done(verdict: Verdict) -> None:
            if commit:
                self._answers.append(self._engine.committed(commit, verdict, self._clock()))

        return done

    def _judged(self) -> None:
        """What became durable together is answered together, by one call."""
        answers, self._answers = self._answers, []
        if answers:
            self.obey(*answers)

    def _send_all(self, sends: Sequence[Send | Blocks], now: float) -> list[Output]:
        """Everything in order, in batches for each socket; what the engine says to contents that could not be read."""
        if self._tap.listener is not None:
            self._tap.listener.sent(sends)
        said: list[Output] = []
        if isinstance(sends, Flight) and (parts := self._parts(sends)):
            self._flush_blocks(parts, now, said)
            return said
        ready: dict[UdpSocket, list[Send]] = {}
        mapped: dict[Way, Flight] = {}
        looked_at: set[int] = set()
        way, run = None, Flight()
        for send in sends:
            if isinstance(send, Send):
                if not self._framed(send):
                    self._flush_blocks(mapped, now, said)
                    way = None
                    ready.setdefault(self._socket(send.port, send.interface), []).append(send)
                continue
            if way is None or send.stream.way is not way:
                # Not as the one before. Each file is looked at once, whoever reads it.
                try:
                    way = self._way(send.stream, looked_at)
                    if way is None:
                        self._plain(self._socket(send.port, send.interface), send, ready, mapped, now, said)
                        continue
                except (ContentChanged, OSError) as error:
                    said.append(self._engine.unreadable(send.stream.want, str(error), now))
                    way = None
                    continue
                self._flush(ready)
                run = mapped.setdefault(way, Flight())
            run.add(send)
        self._flush_blocks(mapped, now, said)
        self._flush(ready)
        return said

    def _parts(self, flight: Flight) -> dict[Way, Flight]:
        """A flight by its ways: most are of a file or two that leave by one socket. They were looked at. Empty: see each window."""
        parts = flight.parted([stream.way for stream in flight.streams])
        found = {way: part for way, part in parts.items() if isinstance(way, Way)}
        if len(found) < len(parts) or len(parts) > _FEW_WAYS:
            return {}
        try:
            for part in found.values():
                look_at(part.streams[0].content)
        except (ContentChanged, OSError):
            return {}
        return found

    def _way(self, stream: Stream, looked_at: set[int]) -> Way | None:
        """How this stream leaves, None for the plain way; its file was looked at. Raises ContentChanged, OSError."""
        way = stream.way
        if way is None:
            way = stream.way = self._maps.way(stream, self._socket(stream.port, stream.interface)) or _PLAIN
        if not isinstance(way, Way):
            return None
        if id(way.layout) not in looked_at:
            look_at(stream.content)
            looked_at.add(id(way.layout))
        return way

    def _plain(
        self,
        udp: UdpSocket,
        send: Blocks,
        ready: dict[UdpSocket, list[Send]],
        mapped: dict[Way, Flight],
        now: float,
        said: list[Output],
    ) -> None:
        """Blocks as bytes: of texts, of contents of several pieces, where nothing can be mapped, by sockets without batches."""
        run = datagrams(send, read_region)
        stream = send.stream
        self._flush_blocks(mapped, now, said)
        if len(run) == 1:  # lock-step: many clients' blocks leave together
            ready.setdefault(udp, []).append(Send(stream.to, run[0], stream.source, stream.port, stream.interface))
            return
        self._flush(ready)
        self.statistics.unsent += udp.send_run(run, stream.to, stream.source, stream.interface)

    def _flush_blocks(self, mapped: dict[Way, Flight], now: float, said: list[Output]) -> None:
        by_socket: dict[BatchedUdpSocket, list[tuple[Layout, Flight]]] = {}
        for way, run in mapped.items():
            by_socket.setdefault(way.udp, []).append((way.layout, run))
        mapped.clear()
        for udp, runs in by_socket.items():
            self._cut(udp, runs, now, said)

    def _cut(
        self, udp: BatchedUdpSocket, runs: Sequence[tuple[Layout, Flight]], now: float, said: list[Output]
    ) -> None:
        if udp in self._held:  # nothing overtakes what waits
            left = [blocks for _, flight in runs for blocks in flight]
        else:
            self._send_runs(udp, runs, now, said)
            left = _left(udp) if udp.blocks.left else []
        if left:
            self._held.add(udp)
            self.statistics.delayed += len(left)
            for blocks in left:
                self._outboxes[udp].add(blocks, now)

    def _send_runs(
        self, udp: BatchedUdpSocket, runs: Sequence[tuple[Layout, Flight]], now: float, said: list[Output]
    ) -> None:
        before = udp.statistics.unsent
        unread = udp.blocks.send(runs)
        self.statistics.unsent += udp.statistics.unsent - before
        for stream in unread:
            want = next(each.want for _, flight in runs for each in flight.streams if each is stream)
            said.append(self._engine.unreadable(want, "it cannot be read any more", now))

    def _flush(self, ready: dict[UdpSocket, list[Send]]) -> None:
        for udp, batch in ready.items():
            self.statistics.unsent += udp.send_many(batch)
        ready.clear()

    def _framed(self, send: Send) -> bool:
        """It left as a raw frame. Without those the client is reached by broadcast, which RFC 2131 §4.1 allows."""
        if send.hardware is None:
            return False
        if self._link is not None and self._link.send(send):
            self.statistics.frames += 1
            return True
        send.to = pack_peer(BROADCAST, peer_port(send.to))
        return False

    def _socket(self, port: int, interface: int) -> UdpSocket:
        return self._by_interface.get((port, interface)) or self._by_port[port]


def _left(udp: BatchedUdpSocket) -> list[Blocks]:
    """The windows, or ends of windows, that the kernel had no room for."""
    pieces, udp.blocks.left = udp.blocks.left, []
    found: list[Blocks] = []
    for piece in pieces:
        assert isinstance(piece.stream, Stream)
        if found and found[-1].stream is piece.stream:
            found[-1].count += piece.count
        else:
            found.append(Blocks(piece.stream, piece.first, piece.count))
    return found


def read_region(region: Region, offset: int, length: int) -> bytes:
    """``length`` bytes from ``offset`` of a region; fewer when the file has shrunk meanwhile."""
    return os.pread(region.file.fd, length, region.offset + offset)
