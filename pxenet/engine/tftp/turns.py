"""Late ones: transfers whose windows leave after those of others, and few at a time while others are busy.

That is what an address reads beyond its first few transfers, and windows so large that one of them holds up a hundred blocks of others.
Their acknowledgments wait here for their turn, by address. While others are heard, all late ones together get one block for every
``SHARE`` of theirs, and a few at least; as soon as nobody else is heard they have the whole server. So a greedy client can
take what is left over, but cannot slow the rest by more than its share.

Knows transfers by their id, address and window. Must not know what an acknowledgment does.
"""

from __future__ import annotations

from collections import deque

from pxenet.engine.surface import NEVER
from pxenet.engine.tftp.session import Session
from pxenet.engine.tftp.transfer import Transfer
from pxenet.net.datagram import BATCH, peer_address

MANY = 8
"""Transfers of one address, from which on they are late. A machine has one or two; a rack behind NAT may have more."""

LARGE_BYTES = 32 * 1024
"""Windows larger than that are late: they take the time of more than 20 acknowledgments, whatever else is waiting."""

SHARE = 8
"""Blocks of others for each late one."""

LEAST = 8
"""Blocks that late ones get in each turn, however little others need: they hold up a block by 50 us, and are sent by one call."""

_ALONE_S = 0.01
"""Nobody else was heard for so long: whoever comes then is so far away that a burst before him is nothing."""

_BURST = 1024
"""Blocks that late ones get at once when they are alone: a few milliseconds."""


class Turns:
    """The late transfers of a server, and those of them whose clients have acknowledged."""

    __slots__ = ("_acks", "_credit", "_heard_at", "_order", "_queues", "heard", "late", "since_at")

    def __init__(self) -> None:
        self.late: dict[int, Transfer] = {}
        """By id. Not to be changed by others."""
        self._acks: dict[int, tuple[int, float]] = {}
        """By id: the newest number that waits, and when it came."""
        self._queues: dict[int, deque[Transfer]] = {}
        """By address: those with an acknowledgment that waits."""
        self._order: deque[int] = deque()
        """Addresses, in turn."""
        self._credit = 0
        """Blocks that others have got since late ones got some."""
        self.heard = 0
        """Acknowledgments of late ones so far."""
        self._heard_at = -NEVER
        """When others were heard last."""
        self.since_at = NEVER
        """When the first of those that wait came; NEVER when none does."""

    def add(self, transfer: Transfer) -> None:
        """From now on it is late."""
        transfer.late = True
        self.late[transfer.id] = transfer

    def forget(self, session: Session) -> None:
        """It is over; what waits of it is passed over when its turn comes."""
        self.late.pop(session.id, None)
        self._acks.pop(session.id, None)

    def waits(self, transfer: Transfer, number: int, now: float) -> bool:
        """An acknowledgment of a late one came: it has to wait for its turn. Of several, the newest counts. False: it need not wait."""
        self.heard += 1
        if not self._acks and self.alone(now):
            return False
        waits = self._acks.get(transfer.id)
        if waits is None:
            self.since_at = min(self.since_at, now)
            address = peer_address(transfer.peer)
            queue = self._queues.get(address)
            if queue is None:
                queue = self._queues[address] = deque()
                self._order.append(address)
            queue.append(transfer)
        elif (number - waits[0]) & 0xFFFF >= 0x8000:
            return True
        self._acks[transfer.id] = number, now
        return True

    def others(self, count: int, now: float) -> None:
        """So many packets came that were not acknowledgments of late ones."""
        if count:
            self._heard_at = now
            self._credit += count

    def alone(self, now: float) -> bool:
        """Nobody else was heard lately."""
        return now - self._heard_at > _ALONE_S

    def next(self, now: float) -> list[tuple[Transfer, int, float]]:
        """Whose turn it is now, one window of each address after the other: (transfer, number, when it came)."""
        blocks = _BURST if self.alone(now) else min(BATCH, max(LEAST, self._credit // SHARE))
        self._credit = 0
        found: list[tuple[Transfer, int, float]] = []
        while self._order:
            address = self._order.popleft()
            queue = self._queues[address]
            transfer = queue.popleft()
            if queue:
                self._order.append(address)
            else:
                del self._queues[address]
            ack = self._acks.pop(transfer.id, None)
            if ack is not None:
                found.append((transfer, *ack))
                blocks -= transfer.windowsize
                if blocks <= 0:
                    break
        self.since_at = now if self._order else NEVER
        return found
