"""A rack and simulated machines on one small network in virtual time: nothing gets lost, everything takes a millisecond."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from rack_scene import NEIGHBOUR, OTHER_SERVER, SERVER, RackScene

from pxenet.engine.surface import Blocks, Output
from pxenet.engine.tftp.blocks import datagrams
from pxenet.net.datagram import BROADCAST, Datagram, pack_peer, peer_address, peer_port
from pxenet.server.datagrams import read_region
from pxenet.sim.machine import NEVER, ClientSend, HttpFetch, HttpReply, Machine, Said, SimDatagram
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import MessageType
from pxenet.wire.options import Options

DELAY_S = 0.001
TFTP_PORT = 69


class Bench:
    """See the module's text. ``log`` has every datagram and request of the machines, in order."""

    def __init__(self, scene: RackScene, *machines: Machine, beside: bool = False) -> None:
        """``beside``: another server gives the addresses, and knows nothing of booting."""
        self.scene = scene
        self.beside = beside
        self.rack = scene.rack
        self.machines = machines
        self.sent: list[ClientSend] = []
        self.fetched: list[HttpFetch] = []
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def power_on(self, seconds: float = 3600.0) -> None:
        """All machines at once, until each has come to its end (or the time is over)."""
        for machine in self.machines:
            self._obey_machine(machine, machine.power_on(self.scene.now))
        until = self.scene.now + seconds
        while self.scene.now < until and not all(machine.over for machine in self.machines):
            self._step()

    def _step(self) -> None:
        rack = self.rack
        engines = [rack.dhcp, rack.tftp]
        due = [engine.deadline() for engine in engines]
        machines = [machine.deadline() for machine in self.machines]
        at = min([*due, *machines, self._heap[0][0] if self._heap else NEVER])
        assert at < NEVER, f"nothing happens any more: {[(m.stage, m.file, m.trail) for m in self.machines]}"
        now = self.scene.now = max(self.scene.now, at)
        if self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()
            return
        for engine in engines:
            if engine.deadline() <= now:
                self._obey(engine, engine.tick(now))
        for machine in self.machines:
            if machine.deadline() <= now:
                self._obey_machine(machine, machine.tick(now))

    def _later(self, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.scene.now + DELAY_S, self._count, act))

    def _obey_machine(self, machine: Machine, said: Said) -> None:
        for send in said.sends:
            self.sent.append(send)
            self._later(lambda send=send: self._arrive(send))
        for fetch in said.fetches:
            self.fetched.append(fetch)
            self._later(lambda fetch=fetch: self._serve(machine, fetch))

    def _arrive(self, send: ClientSend) -> None:
        broadcast = send.to_address == BROADCAST
        peer = pack_peer(send.from_address, send.from_port)
        datagram = Datagram(send.payload, peer, SERVER, send.to_port, 2, broadcast)
        if not broadcast and send.to_address != SERVER:
            return
        if self.beside and broadcast:
            self._answer_beside(parse(send.payload))
        engine = self.rack.dhcp if send.to_port in (67, 4011) else self.rack.tftp
        self._obey(engine, engine.receive([datagram], self.scene.now))

    def _obey(self, engine: object, output: Output) -> None:
        for send in output.sends:
            parts = datagrams(send, read_region) if isinstance(send, Blocks) else [send.parts]
            for part in parts:
                self._fly(send.to, b"".join(part), send.port, getattr(send, "hardware", None))
        for want in output.wants:
            self._obey(engine, self.rack.tftp.provide(want.id, self.rack.find(want), self.scene.now))
        for commit in output.commits:
            verdict = self.scene.store.commit(commit.changes)[0]
            if commit.id:
                self._obey(engine, self.rack.dhcp.committed(commit.id, verdict, self.scene.now))
        self.scene.absorb(output)

    def _answer_beside(self, said: Message) -> None:
        kind = MessageType.OFFER if said.message_type == MessageType.DISCOVER else MessageType.ACK
        index = next(index for index, machine in enumerate(self.machines) if machine.mac == said.hardware)
        values = {53: kind, 1: 0xFFFFFF00, 3: (OTHER_SERVER,), 51: 3600, 54: OTHER_SERVER}
        reply = replace(said, op=2, secs=0, yiaddr=NEIGHBOUR + 20 + index, options=Options.build(values))
        datagram = SimDatagram(serialize(reply), OTHER_SERVER, 67, BROADCAST, 68)
        machine = self.machines[index]
        self._later(lambda: self._obey_machine(machine, machine.receive(datagram, self.scene.now)))

    def _fly(self, to: bytes, payload: bytes, port: int, hardware: bytes | None) -> None:
        address = peer_address(to)
        datagram = SimDatagram(payload, SERVER, port, address, peer_port(to))
        for machine in self.machines:
            if address in (BROADCAST, machine.address) or machine.mac == hardware:
                self._later(
                    lambda machine=machine: self._obey_machine(machine, machine.receive(datagram, self.scene.now))
                )

    def _serve(self, machine: Machine, fetch: HttpFetch) -> None:
        reply = self.reply(fetch, machine.address)
        self._later(lambda: self._obey_machine(machine, machine.fetched(fetch.id, reply, self.scene.now)))

    def reply(self, fetch: HttpFetch, address: int) -> HttpReply:
        """What the rack answers."""
        parts = urlsplit(fetch.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"{fetch.method} {target} HTTP/{fetch.version}",
            *(f"{name}: {value}" for name, value in fetch.headers),
        ]
        answer = self.scene.http("\r\n".join([*lines, "", ""]).encode(), address)
        body = answer.body if fetch.keep_body else b""
        return HttpReply(answer.status, answer.fields, len(answer.body), body)
