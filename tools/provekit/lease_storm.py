"""A lease storm: machines behind a relay that ask for addresses, come again with them and give them back, many at a time.

Knows DHCP as clients do. The relay asks for answers at its own port (RFC 8357) and names the machines' network (RFC 3527), so
that everything happens between unprivileged ports of the loopback.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from provekit.launch import NETWORK, Place, host_mac
from provekit.promises import Promises
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.text import address_text, parse_address

RELAY = parse_address("127.77.0.1")
_RELAY_OPTION = b"\x13\x00\x05\x04" + parse_address(NETWORK.split("/")[0]).to_bytes(4, "big")
_GIVE_UP_S = 2.0
"""A machine without an answer begins anew after this time."""

_CLASS = b"PXEClient:Arch:00000:UNDI:002001"


@dataclass(slots=True)
class Exchange:
    """A question under way."""

    machine: int
    kind: MessageType
    asked_at: float
    """Seconds since the epoch."""
    wants: int
    """The address that it has and asks for again; 0: any."""


class LeaseStorm:
    """Many machines; ``machines`` 0: each comes only once, so that every ACK is for a lease that must be written before.

    ``width``: exchanges at a time. What was promised goes to ``promises``.
    """

    def __init__(
        self, place: Place, promises: Promises, chance: Random, *, machines: int, width: int = 96, releases: bool = True
    ) -> None:
        self.promises = promises
        self._chance = chance
        self._machines = machines
        self._newest = 0
        self._hosts = len(place.keys)
        self._width = width
        self._releases = releases
        self._server = ("127.0.0.1", place.ports["dhcp"])
        self._under_way: dict[int, Exchange] = {}
        self._busy: set[int] = set()
        self._xid = 0
        self.unanswered = 0
        self.ack_times: list[float] = []
        """When each ACK arrived, on the monotonic clock."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.setblocking(False)
        self._socket.bind((address_text(RELAY), 0))

    def close(self) -> None:
        """No more."""
        self._socket.close()

    def blow(self, until: Callable[[], bool]) -> None:
        """Ask until the function says so."""
        while not until():
            self._give_up()
            for _ in range(self._width - len(self._under_way)):
                self._begin()
            if select.select([self._socket], [], [], 0.02)[0]:
                self.take()

    def rest(self) -> None:
        """Hear what had left the server before its end; what was under way is over."""
        self.take()
        self._under_way.clear()
        self._busy.clear()

    def come_again(self, count: int, patience_s: float = 30.0) -> int:
        """So many machines that have addresses ask for them again, until each is told it has it; how many were asked."""
        known = sorted(self.promises.leases)
        wanting = {_number_of(mac) for mac in self._chance.sample(known, min(count, len(known)))}
        asked = len(wanting)
        until = time.monotonic() + patience_s
        while wanting and time.monotonic() < until:
            for machine in sorted(wanting - self._busy):
                self._ask_again(machine)
            if select.select([self._socket], [], [], 0.05)[0]:
                wanting -= self.take()
            self._give_up()
        for machine in wanting:
            self.promises.faults.append(f"{self.mac(machine).hex(':')} is not given its own address again")
        return asked

    def mac(self, machine: int) -> bytes:
        """The first machines are those of the configuration."""
        return host_mac(machine) if machine < self._hosts else b"\x02\x50\x53" + machine.to_bytes(3, "big")

    def take(self) -> set[int]:
        """Everything that has arrived; which machines were given an address."""
        served: set[int] = set()
        while True:
            try:
                message = parse(self._socket.recv(2000))
            except BlockingIOError:
                return served
            exchange = self._under_way.pop(message.xid, None)
            if exchange is None:
                continue
            self._busy.discard(exchange.machine)
            if message.message_type == MessageType.OFFER:
                self._request(exchange.machine, message)
            elif message.message_type == MessageType.ACK:
                self._acknowledged(exchange, message)
                served.add(exchange.machine)
            elif message.message_type == MessageType.NAK and exchange.wants:
                self.promises.faults.append(f"{self.mac(exchange.machine).hex(':')} was refused its own address")

    def _acknowledged(self, exchange: Exchange, message: Message) -> None:
        mac = self.mac(exchange.machine)
        if exchange.wants not in (0, message.yiaddr):
            self.promises.faults.append(f"{mac.hex(':')} asked for its own address and was given another")
        self.ack_times.append(time.monotonic())
        lease_s = message.options.number(OptionCode.LEASE_TIME) or 0
        # A tenth of a second: the clock may be set a little by whoever keeps it.
        self.promises.acknowledged(mac, message.yiaddr, exchange.asked_at + lease_s - 0.1)

    def _begin(self) -> None:
        machine = self._chance.randrange(self._machines) if self._machines else self._newest
        self._newest += 1
        if machine in self._busy:
            return
        has = self.promises.leases.get(self.mac(machine))
        choice = self._chance.random()
        if has is None or choice < 0.2:
            self._send(machine, MessageType.DISCOVER, {})
        elif choice < 0.9 or not self._releases:
            self._ask_again(machine)
        else:
            self.promises.forget(self.mac(machine))
            self._send(machine, MessageType.RELEASE, {OptionCode.SERVER_ID: parse_address("127.0.0.1")}, has.address)

    def _ask_again(self, machine: int) -> None:
        has = self.promises.leases[self.mac(machine)]
        self._send(machine, MessageType.REQUEST, {OptionCode.REQUESTED_ADDRESS: has.address}, wants=has.address)

    def _request(self, machine: int, offer: Message) -> None:
        options: dict[int, object] = {
            OptionCode.REQUESTED_ADDRESS: offer.yiaddr,
            OptionCode.SERVER_ID: offer.options.address(OptionCode.SERVER_ID),
        }
        self._send(machine, MessageType.REQUEST, options)

    def _send(
        self, machine: int, kind: MessageType, options: dict[int, object], ciaddr: int = 0, wants: int = 0
    ) -> None:
        self._xid += 1
        items = Options.build({OptionCode.MESSAGE_TYPE: kind, **options})
        raw = [*items, (OptionCode.VENDOR_CLASS, _CLASS), (OptionCode.ARCHITECTURE, b"\0\0")]
        message = Message(
            BOOTREQUEST,
            1,
            6,
            hops=1,
            xid=self._xid,
            ciaddr=ciaddr,
            giaddr=RELAY,
            chaddr=self.mac(machine).ljust(16, b"\0"),
            options=Options([*raw, (OptionCode.RELAY_AGENT, _RELAY_OPTION)]),
        )
        if kind is not MessageType.RELEASE:
            self._under_way[self._xid] = Exchange(machine, kind, time.time(), wants)
            self._busy.add(machine)
        try:
            self._socket.sendto(serialize(message), self._server)
        except OSError:
            pass  # nobody listens between two lives of the server

    def _give_up(self) -> None:
        late = time.time() - _GIVE_UP_S
        for xid, exchange in list(self._under_way.items()):
            if exchange.asked_at > late:
                return  # the others were asked later
            del self._under_way[xid]
            self._busy.discard(exchange.machine)
            self.unanswered += 1


def _number_of(mac: bytes) -> int:
    return int.from_bytes(mac[4:], "big") if mac[:3] == b"\x02\x50\x52" else int.from_bytes(mac[3:], "big")
