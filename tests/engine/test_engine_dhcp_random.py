"""Whatever clients say in whatever order, and whatever the store answers: no address has two clients, no ACK is early."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhcp_scene import (
    LAN,
    SERVER,
    A,
    Scene,
    decline,
    discover,
    message,
    payload_of,
    pxe,
    reboot,
    release,
    renew,
    select,
    sends_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.engine.dhcp import DhcpSettings
from pxenet.model import Lease, LeaseState, Verdict
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import MessageType
from pxenet.wire.options import Options

FIRST = A("10.0.0.100")
ADDRESSES = 4
SMALL = DhcpSettings(
    subnets=(LAN.__class__(LAN.network, 24, pools=((FIRST, FIRST + ADDRESSES - 1),), lease_s=300),),
    decline_hold_s=200,
    max_offers=3,
)
CLIENTS = [bytes((2, 0, 0, 0, 0, number)) for number in range(6)]
WORDS = ["discover", "select", "reboot", "renew", "rebind", "release", "decline", "inform", "other", "wait", "verdict"]


@dataclass
class World:
    """The engine, a disk that takes its time, and what the clients have been told."""

    net: Scene = field(default_factory=lambda: Scene(SMALL))
    now: float = 1000.0
    xid: int = 0
    held: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    """Address to the client that was told so, and until when it may believe it."""
    asked_at: dict[tuple[bytes, int, int], float] = field(default_factory=dict)
    disk: dict[int, Lease] = field(default_factory=dict)
    queued: list[tuple[int, Lease]] = field(default_factory=list)

    def hear(self, said: Message, *, unicast: bool = False) -> None:
        """One message, and what follows at once."""
        if said.message_type == MessageType.REQUEST:
            wanted = said.options.address(50) or said.ciaddr
            self.asked_at[said.hardware, said.xid, wanted] = self.now  # a lease counts from there (RFC 2131 §4.4.1)
        seen = len(self.net.outputs)
        self.net.hear(said, self.now, unicast=unicast)
        self.follow(seen)

    def verdict(self, verdict: Verdict) -> None:
        """The disk answers its oldest commit."""
        while self.queued and not self.queued[0][0]:
            self.keep(self.queued.pop(0)[1])
        if self.queued:
            number, lease = self.queued.pop(0)
            if verdict is Verdict.DURABLE:
                self.keep(lease)
            seen = len(self.net.outputs)
            self.net.waiting.remove(number)
            self.net.waiting.insert(0, number)
            self.net.settle(verdict, self.now)
            self.follow(seen)

    def keep(self, lease: Lease) -> None:
        self.disk[lease.address] = lease

    def follow(self, seen: int) -> None:
        """Check what was sent; queue what shall be written."""
        for out in self.net.outputs[seen:]:
            for commit in out.commits:
                for change in commit.changes:
                    assert isinstance(change, Lease)
                    self.queued.append((commit.id, change))
            for send in sends_of(out):
                answer = parse(payload_of(send))
                if answer.message_type == MessageType.ACK and answer.yiaddr:
                    self.believe(answer)

    def believe(self, ack: Message) -> None:
        """A client takes an ACK at its word: it must be true on the disk, and nobody else may hold the address."""
        client, lease_s = ack.hardware, ack.options.number(51)
        assert lease_s is not None
        until = self.asked_at[client, ack.xid, ack.yiaddr] + lease_s
        lease = self.disk[ack.yiaddr]
        assert (lease.mac, lease.state) == (client, LeaseState.BOUND)
        assert lease.expires_at >= until
        holder, holds_until = self.held.get(ack.yiaddr, (client, 0.0))
        assert holder == client or holds_until <= self.now
        self.held[ack.yiaddr] = (client, until)


def step(world: World, word: str, client: bytes, address: int, size: int) -> None:
    """One thing happens."""
    world.now += 0.5
    if size == 0:
        world.xid += 1
    if word == "wait":
        world.now += (0.1, 20.0, 90.0, 400.0)[size]
    elif word == "verdict":
        world.verdict((Verdict.DURABLE, Verdict.DURABLE, Verdict.FAILED, Verdict.TAKEN)[size])
        if size == 3:
            world.held.pop(address, None)
    elif word in ("release", "decline"):
        if world.held.get(address, (b"", 0))[0] == client:
            del world.held[address]
        world.hear((release if word == "release" else decline)(address, client))
    elif word == "renew":
        world.hear(renew(address, client, xid=world.xid), unicast=True)
    else:
        said = {
            "discover": lambda: discover(client, xid=world.xid),
            "select": lambda: select(address, client, xid=world.xid),
            "reboot": lambda: reboot(address, client, xid=world.xid),
            "rebind": lambda: renew(address, client, xid=world.xid),
            "inform": lambda: message(MessageType.INFORM, client, ciaddr=address, xid=world.xid),
            "other": lambda: select(address, client, server=SERVER + 1, xid=world.xid),
        }[word]()
        world.hear(said)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(WORDS),
        st.sampled_from(CLIENTS),
        st.integers(FIRST - 1, FIRST + ADDRESSES),
        st.integers(0, 3),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(STEPS)
def test_one_address_one_client(steps: list[tuple[str, bytes, int, int]]) -> None:
    """Random clients on a pool that is too small, with a disk that is slow, fails, or says that the address is taken."""
    world = World()
    world.net.verdict = None
    for word, client, address, size in steps:
        step(world, word, client, address, size)
    held = world.net.server.statistics()
    assert held.offers <= 3
    assert held.pending <= len(CLIENTS)
    assert held.leases <= ADDRESSES


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=40))
def test_clients_by_the_book_always_get_an_address(steps: list[tuple[int, int]]) -> None:
    """As long as there are addresses: whoever takes what it was offered gets it, from a disk that works."""
    net = Scene(SMALL)
    now = 0.0
    for xid, (number, pause) in enumerate(steps):
        now += (0.1, 30.0, 100.0, 301.0)[pause]
        client = CLIENTS[number % ADDRESSES]
        assert net.hear(discover(client, xid=xid), now)[0].startswith("OFFER")
        offered = net.sent()[-1].yiaddr
        assert net.hear(select(offered, client, xid=xid), now + 1)[-1].startswith("ACK")


@settings(max_examples=100)
@given(
    st.sampled_from([0, 1, 2, 3]),
    st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=20)), max_size=8),
    st.binary(max_size=40),
    st.sampled_from([67, 4011]),
    st.booleans(),
)
def test_nothing_escapes(which: int, more: list[tuple[int, bytes]], tail: bytes, port: int, broadcast: bool) -> None:
    """Random options in any message, random bytes behind it, random damage: an answer or a count, never an exception."""
    kinds = [MessageType.DISCOVER, MessageType.REQUEST, MessageType.INFORM, None]
    said = pxe() if which == 0 else message(kinds[which], ciaddr=0 if which == 1 else A("10.0.0.9"))
    options = Options([*((code, raw) for code, raw in more if code != 52), *said.options])
    data = serialize(Message(op=1, xid=1, ciaddr=said.ciaddr, chaddr=said.chaddr, options=options), max_size=2000)
    for mode in ("server", "proxy"):
        net = Scene(DhcpSettings(subnets=(LAN,)) if mode == "server" else DhcpSettings())
        for payload in (data, data[:-1] + tail, data[: 240 + len(tail)], tail + data):
            datagram = Datagram(payload, pack_peer(A("10.0.0.9"), 68), SERVER, port, 2, broadcast)
            out = net.server.receive([datagram], 1.0)
            for send in sends_of(out):
                assert parse(payload_of(send)).defects == ()
