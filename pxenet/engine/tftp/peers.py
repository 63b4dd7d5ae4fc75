"""Which transfer a packet belongs to: by our port and the peer's address and port (RFC 1350 §4), and which port the next one takes.

Knows sessions by their peer, port and freshness alone. Memory is bounded: two transfers per peer, and of peers that are gone a limited,
expiring memory of their addresses and last ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pxenet.engine.tftp.session import Session
from pxenet.net.datagram import peer_address

REMEMBERED = 8192
"""Peers in one generation of the memory of those that are gone; there are two generations."""

SHARED = 256
"""Sessions on one port before new peers begin on the next."""

_NOBODY: Mapping[bytes, Session] = MappingProxyType({})


class Peers:
    """All sessions of a server."""

    __slots__ = (
        "_before",
        "_by_address",
        "_by_port",
        "_current",
        "_gone",
        "_gone_before",
        "_ports",
        "_served",
        "_served_before",
    )

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = tuple(ports)
        self._by_port: dict[int, dict[bytes, Session]] = {port: {} for port in self._ports}
        self._current: dict[bytes, Session] = {}
        """By peer: the session of its newest request."""
        self._before: dict[bytes, Session] = {}
        """By peer: the one that the newest request would replace, until the peer speaks on the new one."""
        self._gone: dict[bytes, int] = {}
        """By peer: the port (as an index) that its last session used. Two generations; the older one is dropped whole."""
        self._gone_before: dict[bytes, int] = {}
        self._by_address: dict[int, int] = {}
        """By address: how many sessions it has."""
        self._served: set[int] = set()
        """Addresses that had a session. Two generations, too."""
        self._served_before: set[int] = set()

    def find(self, port: int, peer: bytes) -> Session | None:
        """The session that a packet from this peer to this port of ours belongs to."""
        by_peer = self._by_port.get(port)
        return None if by_peer is None else by_peer.get(peer)

    def on_port(self, port: int) -> Mapping[bytes, Session]:
        """By peer: the sessions on one of our ports; it is not to be kept."""
        return self._by_port.get(port, _NOBODY)

    def current(self, peer: bytes) -> Session | None:
        """The session of the peer's newest request, while it lives."""
        return self._current.get(peer)

    def knows(self, peer: bytes) -> bool:
        """The peer has a session, or had one lately."""
        return peer in self._current or peer in self._before or peer in self._gone or peer in self._gone_before

    def sessions_of(self, address: int) -> int:
        """How many sessions an address has."""
        return self._by_address.get(address, 0)

    def served(self, address: int) -> bool:
        """The address has a session, or had one lately: the machine is in the middle of its boot."""
        return address in self._by_address or address in self._served or address in self._served_before

    def next_port(self, peer: bytes) -> int:
        """The port for the peer's next session: in turn after its last one, and none that it uses now."""
        last = self._last_index(peer)
        if last is None:
            # Few share one port, for what arrives there together is answered together; many spread, for the queue of a port is limited.
            last = len(self._current) // SHARED
        for step in range(1, len(self._ports)):
            port = self._ports[(last + step) % len(self._ports)]
            if peer not in self._by_port[port]:
                return port
        return self._ports[last]  # the single port

    def admit(self, session: Session) -> Session | None:
        """Take in a new session, on the port that ``next_port`` gave. Gives the session that is over by that, if any."""
        peer = session.peer
        over = None
        old = self._current.get(peer)
        if old is not None:
            # With a single port there is no room beside the old one. And of three, the oldest goes.
            over = old if old.port == session.port else self._before.get(peer)
            if over is not None:
                self._drop(over)
            if over is not old:
                self._before[peer] = old
        self._current[peer] = session
        self._by_port[session.port][peer] = session
        address = peer_address(peer)
        self._by_address[address] = self._by_address.get(address, 0) + 1
        return over

    def confirm(self, session: Session) -> Session | None:
        """The peer spoke on this session: what it would replace is over, and given."""
        old = self._before.get(session.peer)
        if old is None or old is session:
            return None
        self._drop(old)
        return old

    def superseded(self, session: Session) -> bool:
        """The peer has another session too, so that this one's silence means nothing."""
        other = self._before if self._current.get(session.peer) is session else self._current
        return session.peer in other

    def end(self, session: Session) -> None:
        """The session is over."""
        self._drop(session)
        if len(self._gone) >= REMEMBERED:
            self._gone_before = self._gone
            self._gone = {}
        self._gone[session.peer] = self._ports.index(session.port)
        if len(self._served) >= REMEMBERED:
            self._served_before = self._served
            self._served = set()
        self._served.add(peer_address(session.peer))

    def used(self, peer: bytes, port: int) -> None:
        """The peer's last session, of which nothing else is known, was on this port of ours."""
        if port in self._ports:
            self._gone[peer] = self._ports.index(port)

    def _last_index(self, peer: bytes) -> int | None:
        session = self._current.get(peer)
        if session is not None:
            return self._ports.index(session.port)
        index = self._gone.get(peer)
        return self._gone_before.get(peer) if index is None else index

    def _drop(self, session: Session) -> None:
        peer = session.peer
        if self._by_port[session.port].get(peer) is session:
            address = peer_address(peer)
            count = self._by_address.pop(address)
            if count > 1:
                self._by_address[address] = count - 1
        for table in (self._current, self._before, self._by_port[session.port]):
            if table.get(peer) is session:
                del table[peer]
