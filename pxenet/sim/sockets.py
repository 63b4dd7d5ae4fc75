"""A fleet over real sockets, in one process: DHCP through a simulated relay agent, TFTP and HTTP from each machine's own address.

Where a machine's lease is an address of this host, it speaks from there, by a small pool of sockets that are told source and
destination of each datagram. On the loopback every address of 127.0.0.0/8 is ours, without privileges; on a real wire those are that
``ip route add local NETWORK dev lo`` has made ours. Else all machines speak from this host's own address, one socket per transfer,
and a server that tells machines apart by address cannot.

The relay asks for answers to its own port (RFC 8357), so that nothing here needs port 67 or 68.
"""

from __future__ import annotations

import heapq
import select
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import trio

from pxenet.net.datagram import BROADCAST, Datagram, pack_peer, peer_address, peer_port
from pxenet.net.http_client import ClosedEarlyError, Connection, HttpError
from pxenet.net.udp import UdpSocket
from pxenet.sim.body import NEVER, ClientSend, HttpFetch, HttpReply, Relay, Said, SimDatagram
from pxenet.sim.figures import Traffic
from pxenet.sim.fleet import Fleet
from pxenet.wire.text import address_text

_CHADDR = slice(28, 34)
_LOOPBACK = 127
_TURNS = 8
"""Batches taken from one socket before the others get their turn."""
_PORTS_KEPT = 4
"""Source ports of a machine that are still listened to: its transfer, and what may come late for those before."""
_MACHINES_PER_SOCKET = 16
"""More, and a burst of windows overflows the queue of the socket."""
_POOL = (16, 256)


@dataclass(frozen=True, slots=True)
class Target:
    """The server, and how it is reached."""

    address: int
    relay: int
    """giaddr: an address of ours in a network that the server gives addresses of."""
    dhcp_port: int = 67
    proxy_port: int = 4011
    tftp_port: int = 69
    relay_port: int = 0
    """The relay's own port; 0: the kernel chooses. 67: answers come there as to any relay, without RFC 8357."""

    @property
    def loopback(self) -> bool:
        """Nothing leaves this machine."""
        return self.address >> 24 == _LOOPBACK


Key = tuple[int, int]


@dataclass(slots=True)
class _Line:
    """Where a machine's source port really is."""

    udp: UdpSocket
    key: Key
    shared: bool


@dataclass(slots=True)
class _Net:
    """One machine's sockets and connections."""

    lines: dict[int, _Line] = field(default_factory=dict)
    web: dict[tuple[str, int], Connection] = field(default_factory=dict)
    next_slot: int = 0


class Sockets:
    """Carries a fleet to a server: ``relay`` goes into each machine, then ``run``. Bound at once; raises OSError."""

    def __init__(self, target: Target, machines: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.target = target
        self.traffic = Traffic()
        self._clock = clock
        self._closing = ExitStack()
        self._epoll = self._closing.enter_context(select.epoll())
        self._sockets: dict[int, UdpSocket] = {}
        self._ours: dict[int, bool] = {}
        self.shared = False
        """A machine had to speak from an address that is not its own."""
        self._owners: dict[Key, tuple[int, int]] = {}
        """(socket, local address or 0) → (machine, its own name for that port)."""
        try:
            self._relay = self._bind(target.relay_port, address_text(target.relay))
            pool = min(max(machines // _MACHINES_PER_SOCKET, _POOL[0]), _POOL[1])
            self._pool = [self._bind(0, "0.0.0.0") for _ in range(pool)]
        except BaseException:
            self.close()
            raise
        relay_port = 0 if self._relay.port == 67 else self._relay.port
        self.relay = Relay(target.relay, target.address, relay_port, target.dhcp_port)

    def close(self) -> None:
        """Release all ports."""
        for udp in self._sockets.values():
            self._count_drops(udp)
            udp.close()
        self._sockets.clear()
        self._closing.close()

    async def run(self, fleet: Fleet, for_s: float = NEVER) -> None:
        """Switch the machines on, until each has come to its end, or for so long at most."""
        self._fleet = fleet
        self._nets = [_Net() for _ in fleet.machines]
        self._heap: list[tuple[float, int, bool]] = []
        self._armed = [NEVER] * len(fleet.machines)
        self._earlier = trio.Event()
        self._sleeping_until = NEVER
        self._buttons = 0
        began_at = self._clock()
        try:
            with trio.move_on_after(for_s):
                async with trio.open_nursery() as self._nursery:
                    for index, after in enumerate(fleet.times()):
                        self._switch_on(index, began_at + after)
                    self._nursery.start_soon(self._listen)
                    await self._keep_time()
                    self._nursery.cancel_scope.cancel()
        finally:
            for net in self._nets:
                for connection in net.web.values():
                    connection.close()

    # -- time ---------------------------------------------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        """Wake machines when they are due, until all is over."""
        fleet, heap = self._fleet, self._heap
        while not fleet.done or self._buttons:
            now = self._clock()
            for _ in range(64):
                if not heap or heap[0][0] > now:
                    break
                _, index, button = heapq.heappop(heap)
                self._wake(index, button, now)
            self._sleeping_until = heap[0][0] if heap else NEVER
            self._earlier = trio.Event()
            pause = self._sleeping_until - self._clock()
            if pause <= 0:
                await trio.lowlevel.checkpoint()
            elif not fleet.done or self._buttons:
                with trio.move_on_after(pause):
                    await self._earlier.wait()

    def _wake(self, index: int, button: bool, now: float) -> None:
        machine = self._fleet.machines[index]
        if button:
            self._buttons -= 1
            self._fleet.switched_on(index, now)
            self._obey(index, machine.power_on(now))
            return
        if self._armed[index] > now:
            return  # an entry that an earlier one had replaced
        self._armed[index] = NEVER
        if machine.deadline() <= now:
            self._obey(index, machine.tick(now))
        else:
            self._arm(index, machine.deadline())

    def _switch_on(self, index: int, at: float) -> None:
        self._buttons += 1
        self._push(at, index, True)

    def _arm(self, index: int, at: float) -> None:
        """Deadlines mostly move later: the heap hears of earlier ones only."""
        if at < self._armed[index]:
            self._armed[index] = at
            self._push(at, index, False)

    def _push(self, at: float, index: int, button: bool) -> None:
        heapq.heappush(self._heap, (at, index, button))
        if at < self._sleeping_until:
            self._earlier.set()

    # -- datagrams ----------------------------------------------------------------------------------------------------------------

    def _bind(self, port: int, address: str) -> UdpSocket:
        udp = UdpSocket(port, address)
        self._sockets[udp.fileno()] = udp
        self._epoll.register(udp.fileno(), select.EPOLLIN)
        return udp

    def _release(self, udp: UdpSocket) -> None:
        self._count_drops(udp)
        self._epoll.unregister(udp.fileno())
        del self._sockets[udp.fileno()]
        udp.close()

    def _count_drops(self, udp: UdpSocket) -> None:
        self.traffic.overflowed += udp.counted().overflowed

    async def _listen(self) -> None:
        """One task for all sockets: their epoll is itself something to wait for."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            for descriptor, _ in self._epoll.poll(0, 256):
                for _ in range(_TURNS):
                    # What a machine hears may lead it to hang up: its socket is then closed, and its number perhaps another's.
                    udp = self._sockets.get(descriptor)
                    batch = udp.receive() if udp is not None else []
                    if udp is None or not batch:
                        break
                    now = self._clock()
                    for datagram in batch:
                        self._hear(udp, descriptor, datagram, now)
            await trio.lowlevel.checkpoint()

    def _hear(self, udp: UdpSocket, number: int, datagram: Datagram, now: float) -> None:
        self.traffic.received += 1
        payload = datagram.data
        if udp is self._relay:
            index, port = self._fleet.index_of.get(payload[_CHADDR], -1), 68
            self._fleet.heard(payload, now)
        else:
            index, port = self._owners.get((number, datagram.local)) or self._owners.get((number, 0)) or (-1, 0)
        if index < 0:
            self.traffic.unclaimed += 1
            return
        machine = self._fleet.machines[index]
        from_port = self._theirs(peer_port(datagram.peer))
        heard = SimDatagram(payload, peer_address(datagram.peer), from_port, machine.address, port)
        self._obey(index, machine.receive(heard, now))

    def _obey(self, index: int, said: Said) -> None:
        for send in said.sends:
            self._send(index, send)
        for fetch in said.fetches:
            self._nursery.start_soon(self._fetch, index, fetch)
        machine = self._fleet.machines[index]
        self._arm(index, machine.deadline())
        if machine.over:
            self._ended(index)

    def _ended(self, index: int) -> None:
        net = self._nets[index]
        for port in list(net.lines):
            self._hang_up(net, port)
        for connection in net.web.values():
            connection.close()
        net.web.clear()
        again_at = self._fleet.ended(index, self._clock())
        if again_at is not None:
            self._switch_on(index, again_at)
        elif self._fleet.done:
            self._earlier.set()

    def _send(self, index: int, send: ClientSend) -> None:
        self.traffic.sent += 1
        if send.to_address == BROADCAST or (
            send.from_port == (self.relay.port or 67) and send.to_port == self.relay.server_port
        ):
            self._say(self._relay, send.payload, self.target.address, self.target.dhcp_port, 0)
            return
        line = self._line(index, send)
        source = 0 if line.shared else send.from_address
        self._say(line.udp, send.payload, send.to_address, self._real(send.to_port), source)

    def _say(self, udp: UdpSocket, payload: bytes, address: int, port: int, source: int) -> None:
        if not udp.send_parts((payload,), pack_peer(address, port), source, 0):
            self.traffic.unsent += 1

    def _line(self, index: int, send: ClientSend) -> _Line:
        """The socket that stands for a source port of a machine, made at its first use."""
        net = self._nets[index]
        line = net.lines.get(send.from_port)
        own = self._is_ours(send.from_address)
        if line is not None and (line.shared or line.key[1] == send.from_address):
            return line
        if line is not None:
            self._hang_up(net, send.from_port)
        while len(net.lines) >= _PORTS_KEPT:
            self._hang_up(net, next(iter(net.lines)))
        if own:
            net.next_slot += 1
            udp = self._pool[(index + net.next_slot) % len(self._pool)]
            line = _Line(udp, (udp.fileno(), send.from_address), False)
        else:
            udp = self._bind(0, "0.0.0.0")
            line = _Line(udp, (udp.fileno(), 0), True)
            self.shared = True
        net.lines[send.from_port] = line
        self._owners[line.key] = index, send.from_port
        return line

    def _is_ours(self, address: int) -> bool:
        """Whether datagrams can leave from this address."""
        known = self._ours.get(address)
        if known is None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((address_text(address), 0))
                    known = bool(address)
                except OSError:
                    known = False
            self._ours[address] = known
        return known

    def _hang_up(self, net: _Net, port: int) -> None:
        line = net.lines.pop(port)
        self._owners.pop(line.key, None)
        if line.shared:
            self._release(line.udp)

    def _real(self, port: int) -> int:
        """The server's port for a well-known one."""
        known = {67: self.target.dhcp_port, 4011: self.target.proxy_port, 69: self.target.tftp_port}
        return known.get(port, port)

    def _theirs(self, port: int) -> int:
        """What a machine takes the server's port for."""
        known = {self.target.dhcp_port: 67, self.target.proxy_port: 4011, self.target.tftp_port: 69}
        return known.get(port, port)

    # -- HTTP ---------------------------------------------------------------------------------------------------------------------

    async def _fetch(self, index: int, fetch: HttpFetch) -> None:
        machine = self._fleet.machines[index]
        boot = machine.boots
        try:
            reply = await self._exchange(index, fetch)
        except HttpError as error:
            reply = HttpReply(failed=str(error))
        if machine.boots == boot and not machine.over:
            self._obey(index, machine.fetched(fetch.id, reply, self._clock()))

    async def _exchange(self, index: int, fetch: HttpFetch) -> HttpReply:
        url = urlsplit(fetch.url)
        if url.scheme != "http" or not url.hostname:
            raise HttpError(f"{fetch.url} is no http URL")
        place = url.hostname, url.port or 80
        net = self._nets[index]
        address = self._fleet.machines[index].address
        source = address if self._is_ours(address) else 0
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        got = None
        if (connection := net.web.pop(place, None)) is not None:
            try:
                got = await connection.fetch(
                    fetch.method, target, fetch.version, fetch.headers, fetch.body, keep=fetch.keep_body
                )
            except ClosedEarlyError:
                pass  # it had been idle for too long: as clients do, again by a new one (RFC 9112 §9.3.1)
        if got is None:
            connection = await Connection.open(*place, source)
            got = await connection.fetch(
                fetch.method, target, fetch.version, fetch.headers, fetch.body, keep=fetch.keep_body
            )
        assert connection is not None
        if got.reusable and place not in net.web and not self._fleet.machines[index].over:
            net.web[place] = connection
        else:
            connection.close()
        return HttpReply(got.status, got.headers, got.size, got.body)
