"""A network in virtual time: machines on one side, a server's engines on the other, and one heap of what happens next.

No socket, no thread, no clock: a run depends on its seeds alone. Changes become durable at once. Knows the surface of engines and what
a server's shells do with an ``Output``; must not know which protocol a datagram belongs to, but for one shortcut: replies to
those that have no address yet are carried to the machine whose hardware address stands in them (``chaddr``, RFC 2131 §2), where a
real wire would show them to every machine.
"""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pxenet.engine.surface import NEVER, Blocks, Engine, Output
from pxenet.engine.tftp.blocks import ContentChanged, datagrams, piece
from pxenet.model import Change, Content, Region, Verdict, at_once
from pxenet.net.datagram import BROADCAST, Datagram, Send, pack_peer, peer_address, peer_port
from pxenet.sim.body import ClientSend, HttpFetch, HttpReply, Reading, Said, SimDatagram
from pxenet.sim.faults import CALM, HEADERS_BYTES, STILL, Faults, Weather
from pxenet.sim.figures import Traffic
from pxenet.sim.sides import USUAL_PORTS, Beside, Commit, Crew, Plug, Ports, Server
from pxenet.sim.web import answer
from pxenet.wire.text import parse_address

BEGAN_AT = 1_800_000_000.0
"""Virtual seconds since the epoch at which a run begins."""

_HOUSEKEEPING_S = 10.0
"""How often a server looks for time-outs of installs."""

_CHADDR = slice(28, 34)

_AHEAD_BYTES = 1 << 18


@dataclass(slots=True)
class _Driven:
    """One engine, and when it is next to be woken."""

    engine: Engine
    armed_at: float = NEVER


class Link:
    """See the module's text. ``clock`` is what the server is to read."""

    def __init__(
        self,
        fleet: Crew,
        *,
        faults: Faults = CALM,
        faults_of: Callable[[int], Faults] | None = None,
        seed: int = 0,
        http_bytes_s: float = 117e6,
        tap: Callable[[float, bytes, bytes, int], None] | None = None,
        beside: Beside | None = None,
        began_at: float = BEGAN_AT,
    ) -> None:
        """``faults_of``: the path of each machine, instead of ``faults`` for all. ``http_bytes_s``: what the server's own wire carries
        (a gigabit). ``tap``: sees (time, payload, the client's ``sockaddr``, the server's port) of every datagram that arrives.
        ``began_at``: what the clock shows at first, in seconds since the epoch."""
        self.fleet = fleet
        self.now = began_at
        self.weather = Weather(seed)
        self.faults = faults
        """The weather on all paths; may be changed while the run goes on."""
        self._faults_of = faults_of
        self._http_bytes_s = http_bytes_s
        self._http_free_at = 0.0
        self._tap = tap
        self._beside = beside
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0
        self._buttons = 0
        """Machines that are still to be switched on."""
        self._armed: list[float] = [NEVER] * len(fleet.machines)
        self._at_address: dict[int, int] = {}
        self._driven: dict[int, _Driven] = {}

    def clock(self) -> float:
        """Virtual seconds since the epoch."""
        return self.now

    @property
    def traffic(self) -> Traffic:
        """What was carried and what was not, so far."""
        return self.weather.traffic

    def serve(
        self,
        server: Server,
        address: int,
        commit: Commit,
        *,
        ports: Ports = USUAL_PORTS,
        interface: int = 1,
        plugs: Sequence[Plug] | None = None,
    ) -> None:
        """Put a server on the wire, at this address and on the interface that it knows by this index. Before ``run``; later on it
        takes the place of the one before, which is gone as after a power cut: nothing of what it was about to do happens any more.

        ``plugs``: where each machine is plugged in, when there are several wires.
        """
        self._server, self._address, self._commit = server, address, commit
        self._plugs = [Plug(address, interface)] * len(self.fleet.machines) if plugs is None else plugs
        self._addresses = frozenset((address, *(plug.address for plug in self._plugs)))
        for driven in self._driven.values():
            driven.armed_at = NEVER
        dhcp, tftp = _Driven(server.dhcp), _Driven(server.tftp)
        self._driven = {ports.dhcp: dhcp, ports.proxy: dhcp, ports.tftp: tftp}
        self._dhcp_ports = frozenset((ports.dhcp, ports.proxy))
        self._ours = {67: ports.dhcp, 4011: ports.proxy, 69: ports.tftp}
        self._theirs = {ours: theirs for theirs, ours in self._ours.items()}
        self._tftp = tftp
        self._at(self.now + _HOUSEKEEPING_S, self._keep_house, server)

    def run(self, for_s: float = NEVER) -> None:
        """Switch the machines on; until each has come to its end, or for so long at most."""
        until = self.now + for_s
        self.start()
        self.go_on(until)

    def start(self) -> None:
        """Have the machines switched on as planned, from now on; ``go_on`` does it."""
        for index, after in enumerate(self.fleet.times()):
            self.switch_on(index, self.now + after)

    def go_on(self, until: float = NEVER, *, idle: bool = False) -> None:
        """Until that time, or until each machine has come to its end and none will be switched on; ``idle``: also beyond."""
        heap = self._heap
        while heap and (idle or self.pending):
            at, _, act, arguments = heap[0]
            if at > until:
                self.now = until
                return
            heapq.heappop(heap)
            if at > self.now:
                self.now = at
            act(*arguments)

    @property
    def pending(self) -> bool:
        """A machine is under way, or is to be switched on."""
        return bool(self._buttons) or not self.fleet.done

    def __len__(self) -> int:
        """How much is on its way, or waits for its time."""
        return len(self._heap)

    def switch_on(self, index: int, at: float) -> None:
        """Press a machine's button at that time."""
        self._buttons += 1
        self._at(at, self._switch_on, index)

    def call(self, at: float, act: Callable[[], None]) -> None:
        """Do something else at that time: stop a server, change the weather."""
        self._at(at, act)

    @property
    def server_address(self) -> int:
        """Where the server is."""
        return self._address

    def send(self, index: int, send: ClientSend) -> None:
        """Something that a machine says beside its boot."""
        self._to_server(index, send)

    # -- machines -------------------------------------------------------------------------------------------------------------

    def _switch_on(self, index: int) -> None:
        later_at = self.fleet.not_before(index, self.now)
        if later_at is not None:
            self._at(later_at, self._switch_on, index)
            return
        self._buttons -= 1
        self.fleet.switched_on(index, self.now)
        self._obey_machine(index, self.fleet.machines[index].power_on(self.now))

    def _wake(self, index: int) -> None:
        if self._armed[index] > self.now:
            return  # an entry that an earlier one had replaced
        self._armed[index] = NEVER
        machine = self.fleet.machines[index]
        if machine.deadline() <= self.now:
            self._obey_machine(index, machine.tick(self.now))
        else:
            self._arm(index, machine.deadline())

    def _arm(self, index: int, at: float) -> None:
        """Deadlines mostly move later: the heap hears of earlier ones only."""
        if at < self._armed[index]:
            self._armed[index] = at
            self._at(at, self._wake, index)

    def _obey_machine(self, index: int, said: Said) -> None:
        machine = self.fleet.machines[index]
        for send in said.sends:
            self._to_server(index, send)
        for fetch in said.fetches:
            self._fetch(index, fetch)
        if machine.address:
            self._at_address[machine.address] = index
        self._arm(index, machine.deadline())
        if machine.over and (again_at := self.fleet.ended(index, self.now)) is not None:
            self.switch_on(index, again_at)

    def _to_server(self, index: int, send: ClientSend) -> None:
        to = send.to_address
        answered = self._asked_beside(index, send)
        if to != BROADCAST and to not in self._addresses:
            self.traffic.unclaimed += not answered
            return
        plug = self._plugs[index]
        local = plug.address if to == BROADCAST else to
        port = self._ours.get(send.to_port, send.to_port)
        peer = pack_peer(send.from_address, send.from_port)
        for delay, payload in self.weather.carry(send.payload, self._path(index)):
            datagram = Datagram(payload, peer, local, port, plug.interface, to == BROADCAST)
            self._at(self.now + delay, self._receive, datagram)

    def _asked_beside(self, index: int, send: ClientSend) -> bool:
        """Let another server answer too; whether it does."""
        replies = self._beside(index, send) if self._beside is not None else ()
        for reply in replies:
            for delay, payload in self.weather.carry(reply.payload, self._path(index)):
                self._at(self.now + 2 * delay, self._hear_beside, index, replace(reply, payload=payload))
        return bool(replies)

    def _hear_beside(self, index: int, heard: SimDatagram) -> None:
        self._obey_machine(index, self.fleet.machines[index].receive(heard, self.now))

    def _path(self, index: int) -> Faults:
        return self.faults if self._faults_of is None else self._faults_of(index)

    def _hear(self, index: int, payload: bytes, send: Send | Blocks) -> None:
        machine = self.fleet.machines[index]
        self.traffic.received += 1
        if self._tap is not None:
            self._tap(self.now, payload, send.to, send.port)
        if send.port in self._dhcp_ports:
            self.fleet.heard(payload, self.now)
        from_port = self._theirs.get(send.port, send.port)
        heard = SimDatagram(
            payload, send.source or self._plugs[index].address, from_port, peer_address(send.to), peer_port(send.to)
        )
        self._obey_machine(index, machine.receive(heard, self.now))

    # -- the server -----------------------------------------------------------------------------------------------------------

    def _receive(self, datagram: Datagram) -> None:
        self.traffic.received += 1
        if self._tap is not None:
            self._tap(self.now, datagram.data, datagram.peer, datagram.port)
        driven = self._driven.get(datagram.port, self._tftp)  # TFTP transfers have ports of their own
        self._obey(driven, driven.engine.receive([datagram], self.now))

    def _tick(self, driven: _Driven) -> None:
        if driven.armed_at > self.now:
            return
        driven.armed_at = NEVER
        if driven.engine.deadline() <= self.now:
            self._obey(driven, driven.engine.tick(self.now))
        else:
            self._arm_engine(driven)

    def _arm_engine(self, driven: _Driven) -> None:
        deadline = driven.engine.deadline()
        if deadline < driven.armed_at:
            driven.armed_at = deadline
            self._at(deadline, self._tick, driven)

    def _obey(self, driven: _Driven, output: Output) -> None:
        """As ``server.datagrams.Shell.obey``, with a store that never takes time."""
        pending = deque([output])
        server, engine = self._server, driven.engine
        while pending:
            current = pending.popleft()
            for send in current.leaving():
                pending.extend(self._send(engine, send))
            for want in current.wants:
                pending.append(engine.provide(want.id, at_once(server.find(want)), self.now))
            for upload in current.uploads:
                pending.append(engine.uploaded(upload.id, server.accept(upload), self.now))
            for commit in current.commits:
                verdict = self._written(commit.changes)
                if commit.id:
                    pending.append(engine.committed(commit.id, verdict, self.now))
            if current.sightings or current.delivered or current.events:
                self._keep(server.absorb(current))
        self._arm_engine(driven)

    def _send(self, engine: Engine, send: Send | Blocks) -> list[Output]:
        index = self._index_of(send)
        if index is None:
            self.traffic.unclaimed += 1
            return []
        if self.faults is STILL and isinstance(send, Blocks) and self._carried_whole(index, send):
            return []
        try:
            payloads = (
                [header + payload for header, payload in datagrams(send, _read)]
                if isinstance(send, Blocks)
                else [b"".join(send.parts)]
            )
        except (ContentChanged, OSError) as error:
            assert isinstance(send, Blocks)
            return [engine.unreadable(send.stream.want, str(error), self.now)]
        for payload in payloads:
            for delay, arrives in self.weather.carry(payload, self._path(index)):
                self._at(self.now + delay, self._hear, index, arrives, send)
        return []

    def _carried_whole(self, index: int, blocks: Blocks) -> bool:
        """Fast path: a window and its ACK as one event, for nothing on a still network can come between; a test proves it equal."""
        reading = self.fleet.machines[index].reading
        if reading is None or self._tap is not None or self._faults_of is not None:
            return False
        stream, count = blocks.stream, blocks.count
        size, (delay, _) = stream.blksize, STILL.delay_s
        end = (blocks.first + count - 1) * size
        if (
            end > stream.content.size
            or size + 4 + HEADERS_BYTES > STILL.mtu
            or reading.server != (stream.source or self._plugs[index].address)
            or (end > reading.readable_bytes and not _look_ahead(reading, stream.content, end))
        ):
            return False
        arrives_at = self.now + delay
        ack = reading.window(blocks.first, count, size, stream.port, arrives_at)
        if ack is None:
            return False
        self.traffic.sent += count + 1
        datagram = Datagram(ack, stream.to, reading.server, stream.port, self._plugs[index].interface)
        self._at(arrives_at + delay, self._acknowledged, index, reading, count, datagram)
        return True

    def _acknowledged(self, index: int, reading: Reading, count: int, datagram: Datagram) -> None:
        if self.fleet.machines[index].reading is reading:  # else it was switched off meanwhile
            self.traffic.received += count
            self._receive(datagram)

    def _index_of(self, send: Send | Blocks) -> int | None:
        """The machine that a datagram is for: by its address once it has one."""
        if isinstance(send, Send) and send.port in self._dhcp_ports:
            index = self.fleet.index_of.get(send.hardware or bytes(send.parts[0][_CHADDR]))
            if index is not None:
                return index
        index = self._at_address.get(peer_address(send.to))
        if index is not None and self.fleet.machines[index].address != peer_address(send.to):
            return None
        return index

    def _keep_house(self, server: Server) -> None:
        if server is self._server:
            self._keep(server.tick())
            self._at(self.now + _HOUSEKEEPING_S, self._keep_house, server)

    def _keep(self, changes: Sequence[Change]) -> None:
        if changes:
            self._server.committed(changes, self._written(changes))

    def _written(self, changes: Sequence[Change]) -> Verdict:
        """The worst verdict on a group."""
        verdicts = self._commit(changes)
        return next((verdict for verdict in verdicts if verdict is not Verdict.DURABLE), Verdict.DURABLE)

    # -- HTTP -----------------------------------------------------------------------------------------------------------------

    def _fetch(self, index: int, fetch: HttpFetch) -> None:
        """TCP loses nothing: a request takes a round trip for the connection, one for itself, and what its losses cost."""
        faults = self._path(index)
        self._at(self.now + 3 * faults.delay_s[1] + self.weather.recovery_s(faults), self._answer, index, fetch)

    def _answer(self, index: int, fetch: HttpFetch) -> None:
        address = self.fleet.machines[index].address
        local = self._local(index, fetch.url)
        reply, served = answer(self._server, fetch, address, local, self._written, self.now)
        self._http_free_at = max(self._http_free_at, self.now) + reply.size / self._http_bytes_s
        self._at(self._http_free_at + self._path(index).delay_s[1], self._fetched, index, fetch.id, reply)
        if served is not None:
            content, whole = served
            self._keep(self._server.delivered(content, address, whole=whole))

    def _local(self, index: int, url: str) -> int:
        """The address of the server that a URL names; that of the machine's wire for one that is not the server's."""
        try:
            named = parse_address(urlsplit(url).hostname or "")
        except ValueError:
            named = 0
        return named if named in self._addresses else self._plugs[index].address

    def _fetched(self, index: int, id: int, reply: HttpReply) -> None:
        self._obey_machine(index, self.fleet.machines[index].fetched(id, reply, self.now))

    def _at(self, at: float, act: Callable[..., None], *arguments: object) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, act, arguments))


def _look_ahead(reading: Reading, content: Content, end: int) -> bool:
    """Whether all up to there can be read, and more of it, so that not each window needs a look."""
    upto = min(content.size, end + _AHEAD_BYTES)
    try:
        piece(content, reading.readable_bytes, upto - reading.readable_bytes, _read)
    except (ContentChanged, OSError):
        return False
    reading.readable_bytes = upto
    return True


def _read(region: Region, offset: int, length: int) -> bytes:
    return os.pread(region.file.fd, length, region.offset + offset)
