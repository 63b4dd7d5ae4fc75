"""Which reads begin now, and which wait for their turn: when more is asked than can be answered in time.

Whether a server keeps up shows where its clients wait: a batch that comes full says that more was waiting on that port than one turn
takes. Between two in a row, one turn apart, nothing rested, so the time and the packets of that turn tell how long one packet takes
(``Load``): whatever takes that time, this engine, its neighbours in the process or other processes. It costs nothing per packet.

Each transfer has one packet under way, or one window, so an acknowledgment waits for as many others as there are transfers. However
many they are, that is no overload as long as each is answered soon. Saturated is a server when acknowledgments would wait for longer
than the shortest time-out after which packets are sent again: with each transfer more, more is sent twice, and all end later.

The network is watched, too: for how long what leaves had to wait for it is told by who sends (``behind``).

From then on new reads wait (``Admission``), and those under way come to their end. First come machines that are in the middle of their
boot, or have asked again, by age; then all others, by age; last what an address asks for that reads much already. Nobody waits
for longer than the least patient firmware does. What finds no place is counted, and told.

Knows requests, addresses and time that it is given. Must not know transfers or packets.
"""

from __future__ import annotations

import enum
import heapq

from pxenet.engine.surface import NEVER
from pxenet.engine.timers import Timers
from pxenet.net.datagram import BATCH, Datagram, peer_address
from pxenet.wire.tftp import Request

WAIT_S = 10.0
"""The least patient is iPXE: it asks 6 times within 7.75 s, and gives up after 15.75 s. EDK2 waits for 24 s, others for longer."""

CROWD = 256
"""Requests of one address that may wait: it cannot fill the queue."""

_STEP = 64
"""Reads that begin beyond what was too many once: whether it still is shows before the next ones."""

_SMALL = 1024
"""Entries of the queue that are never worth clearing away."""

_LONGEST_TURN_S = 0.5
"""Full batches that are further apart were no queue that stood: in between all was quiet."""


UNLIMITED = 1 << 30


class _Bound:
    """So many are answered in time, as far as is known: what was measured holds for a while."""

    __slots__ = ("most", "until_at")

    def __init__(self) -> None:
        self.most = UNLIMITED
        self.until_at = -NEVER

    def at(self, now: float) -> int:
        """What holds now."""
        if now >= self.until_at:
            self.most, self.until_at = UNLIMITED, -NEVER
        return self.most


class Load:
    """How many transfers are answered in time: an acknowledgment, and what answers it, must not wait for longer than ``limit_s``."""

    __slots__ = ("_heard", "_limit_s", "_network", "_server", "full")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._heard = 0
        """Packets that came while some port was full."""
        self.full: dict[int, tuple[float, int]] = {}
        """By port whose last batch was full: when that came, and how many packets until then. Not to be changed by others."""
        self._server, self._network = _Bound(), _Bound()

    def heard(self, port: int, count: int, now: float) -> None:
        """A batch came, that is full or for which some other was."""
        self._heard += count
        bound = self._server
        if count < BATCH:
            self.full.pop(port, None)
            if count >= BATCH // 2 and now < bound.until_at:
                bound.until_at = max(
                    bound.until_at, now + self._limit_s
                )  # it says nothing new, but there was no rest either
            return
        at, heard = self.full.get(port, (-NEVER, 0))
        self.full[port] = now, self._heard
        turn_s = now - at
        if 0 < turn_s < _LONGEST_TURN_S:
            bound.most = int(min(UNLIMITED, self._limit_s * (self._heard - heard) / turn_s))
            bound.until_at = now + max(2 * turn_s, self._limit_s)

    def behind(self, lag_s: float, reading: int, now: float) -> None:
        """What left had waited for the network for so long, with so many transfers under way."""
        if lag_s > self._limit_s:
            self._network.most = int(reading * self._limit_s / lag_s)
            self._network.until_at = now + lag_s

    def most(self, now: float) -> int:
        """So many transfers can be under way, as far as is known."""
        return min(self._server.at(now), self._network.at(now))

    def loosen(self, reading: int, now: float) -> None:
        """It was quiet for a while, and some wait: allow a few more than there are."""
        if self.most(now) == UNLIMITED:
            self._server.most = reading + _STEP
            self._server.until_at = now + self._limit_s

    def known_until(self) -> float:
        """Until when ``most`` stays at least, if nothing else is heard."""
        ends = [bound.until_at for bound in (self._server, self._network) if bound.most < UNLIMITED]
        return min(ends, default=-NEVER)


class Rank(enum.IntEnum):
    """Who comes first."""

    EARLY = 0
    """In the middle of its boot, or asks again."""
    NEW = 1
    LATE = 2
    """Its address has much under way already."""


class Waiting:
    """A request that waits for its turn."""

    __slots__ = ("armed_at", "datagram", "due_at", "rank", "request", "since_at")

    def __init__(self, datagram: Datagram, request: Request, rank: Rank, now: float) -> None:
        self.datagram = datagram
        self.request = request
        self.rank = rank
        self.since_at = now
        self.due_at = self.armed_at = NEVER


_Entry = tuple[Rank, float, int, Waiting]
"""Of the queue: rank, age, and a number that tells equal ones apart."""


class Admission:
    """The requests that wait: ``limit`` of them at most."""

    __slots__ = ("_ages", "_count", "_crowds", "_heap", "by_peer", "limit", "load")

    def __init__(self, limit: int, lag_limit_s: float) -> None:
        self.limit = limit
        self.load = Load(lag_limit_s)
        self.by_peer: dict[bytes, Waiting] = {}
        """All that wait. Not to be changed by others."""
        self._heap: list[_Entry] = []
        """Who is next. Entries stay when their request goes, or comes further forward by another entry."""
        self._ages: Timers[Waiting] = Timers()
        self._crowds: dict[int, int] = {}
        """By address: how many of its requests wait."""
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self.by_peer)

    def repeated(self, datagram: Datagram) -> bool:
        """Whether this peer waits already, for the answer to the very same request: then it comes forward by that."""
        waiting = self.by_peer.get(datagram.peer)
        if waiting is None:
            return False
        if waiting.datagram.data != datagram.data:
            self._remove(waiting)  # it does not wait for that answer any more
            return False
        if waiting.rank is Rank.NEW:
            waiting.rank = Rank.EARLY
            self._push(waiting)
        return True

    def wait(self, datagram: Datagram, request: Request, rank: Rank, now: float) -> str:
        """Take in a request of a peer that does not wait yet. Gives the reason when there is no place for it, else nothing."""
        address = peer_address(datagram.peer)
        crowd = self._crowds.get(address, 0)
        if crowd >= CROWD:
            return f"{crowd} requests of this address wait already"
        if len(self.by_peer) >= self.limit:
            return f"{self.limit} requests wait already"
        self._crowds[address] = crowd + 1
        waiting = self.by_peer[datagram.peer] = Waiting(datagram, request, rank, now)
        self._ages.arm(waiting, now + WAIT_S)
        self._push(waiting)
        return ""

    def next(self, reading: int, most: int, now: float) -> list[Waiting]:
        """Those whose turn it is, with ``reading`` of ``most`` under way: who has waited too long, and others as the load allows."""
        found: list[Waiting] = []
        for waiting in self._ages.due(now):
            if reading + len(found) < most:
                found.append(self._remove(waiting))
            else:
                self._ages.arm(waiting, now + WAIT_S)
        self.load.loosen(reading, now)
        room = min(most, self.load.most(now)) - reading
        while self._heap and len(found) < room:
            entry = heapq.heappop(self._heap)
            if self._stands(entry):
                found.append(self._remove(entry[-1]))
        return found

    def due_at(self) -> float:
        """When somebody's turn may come although no transfer ends; it may be too early, never too late."""
        return min(self.load.known_until(), self._ages.next_at()) if self.by_peer else NEVER

    def clear(self) -> int:
        """Nobody waits any more; how many did."""
        count = len(self.by_peer)
        for waiting in list(self.by_peer.values()):
            self._remove(waiting)
        return count

    def _push(self, waiting: Waiting) -> None:
        self._count += 1
        heapq.heappush(self._heap, (waiting.rank, waiting.since_at, self._count, waiting))
        if len(self._heap) > _SMALL + 2 * len(self.by_peer):
            self._heap = [entry for entry in self._heap if self._stands(entry)]
            heapq.heapify(self._heap)

    def _stands(self, entry: _Entry) -> bool:
        """It is of a request that waits, and is its last one."""
        rank, _, _, waiting = entry
        return rank is waiting.rank and self.by_peer.get(waiting.datagram.peer) is waiting

    def _remove(self, waiting: Waiting) -> Waiting:
        del self.by_peer[waiting.datagram.peer]
        self._ages.disarm(waiting)
        address = peer_address(waiting.datagram.peer)
        crowd = self._crowds.pop(address)
        if crowd > 1:
            self._crowds[address] = crowd - 1
        if not self.by_peer:
            self._heap.clear()
        return waiting
