"""The leases of one subnet: who has which address, who had it, to whom it is offered, and what is on its way to the disk.

Knows addresses, identities and time as an argument; must not know packets. Three strengths of holding an address, in this order:
*pending* (its lease is being written, the ACK waits), *leased* (written, not yet ended) and *offered* (a promise for some seconds that
counts only against other offers). A lease that has ended is remembered for its client until somebody else needs the address
(RFC 2131 §1.6: the same client gets the same address whenever possible).

No operation walks the table. Memory is bounded: one lease for each address, and never more offers than ``max_offers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from pxenet.engine.dhcp.pool import Pool
from pxenet.model import Lease, LeaseState

SET_ASIDE = b""
"""The holder of an address that was declined: nobody, and nobody may have it."""

CLIENT_ID_FORM = b"\xff"
"""First byte of an identity that is a client identifier; any other first byte is a hardware type."""


@dataclass(slots=True)
class Offer:
    """An address promised to a client for a while."""

    address: int
    identity: bytes
    expires_at: float


class LeaseTable:
    """The leases, offers and pending leases of one subnet. Call :meth:`expire` before asking: the table has no clock."""

    __slots__ = (
        "_by_mac",
        "_lease_ends",
        "_leases",
        "_max_offers",
        "_offer_ends",
        "_offered",
        "_offers",
        "_owned",
        "_pending",
        "_pending_at",
        "_pool",
        "_stale",
    )

    def __init__(self, pool: Pool, max_offers: int) -> None:
        self._pool = pool
        self._max_offers = max_offers
        self._leases: dict[int, Lease] = {}
        self._owned: dict[bytes, int] = {}  # identity → its latest address
        self._by_mac: dict[bytes, int] = {}
        self._stale: dict[int, None] = {}  # addresses whose lease ended, the one that ended first in front
        self._offers: dict[bytes, Offer] = {}  # the oldest in front
        self._offered: dict[int, bytes] = {}
        self._pending: dict[bytes, Lease] = {}
        self._pending_at: dict[int, bytes] = {}
        self._lease_ends = _Ends()
        self._offer_ends = _Ends()

    # -- what is known ---------------------------------------------------------------------------------------------------

    def load(self, leases: Iterable[Lease], now: float) -> None:
        """Take up the leases of a store. Those that ended first are the first to be given to others."""

        def order(lease: Lease) -> tuple[bool, float]:
            return lease.state is LeaseState.BOUND and lease.expires_at > now, lease.expires_at

        for lease in sorted(leases, key=order):
            if lease.state is LeaseState.DECLINED and lease.expires_at <= now:
                continue
            self._put(lease, now)

    def __iter__(self) -> Iterator[Lease]:
        """All leases that were written, ended ones included."""
        return iter(self._leases.values())

    def lease_at(self, address: int) -> Lease | None:
        """The lease written for this address, ended or not."""
        return self._leases.get(address)

    def live_at(self, address: int, now: float) -> Lease | None:
        """The lease of this address if a client holds it now."""
        lease = self._leases.get(address)
        return lease if lease is not None and lease.state is LeaseState.BOUND and lease.expires_at > now else None

    def record(self, identity: bytes, mac: bytes) -> Lease | None:
        """What is known of a client: the lease that is being written for it, else its latest one, ended or not.

        A client known by its hardware address that now shows a client identifier (or the other way round) is the same machine at
        another stage of its boot: the record is taken over, or a small pool runs dry during installs.
        """
        if (pending := self._pending.get(identity)) is not None:
            return pending
        if (address := self._owned.get(identity)) is not None:
            return self._leases[address]
        address = self._by_mac.get(mac) if mac else None
        if address is None or address in self._pending_at:
            return None
        lease = self._leases[address]
        if lease.identity.startswith(CLIENT_ID_FORM) == identity.startswith(CLIENT_ID_FORM):
            return None
        self._forget_owner(lease)
        adopted = replace(lease, identity=identity)
        self._leases[address] = adopted
        self._remember_owner(adopted)
        return adopted

    def pending(self, identity: bytes) -> Lease | None:
        """The lease of this client that is on its way to the disk."""
        return self._pending.get(identity)

    def leased_to(self, address: int, now: float) -> bytes | None:
        """The identity whose lease (written or pending) holds the address, :data:`SET_ASIDE`, or None."""
        if (identity := self._pending_at.get(address)) is not None:
            return identity
        lease = self._leases.get(address)
        if lease is None or lease.expires_at <= now or lease.state is LeaseState.RELEASED:
            return None
        return SET_ASIDE if lease.state is LeaseState.DECLINED else lease.identity

    def holder(self, address: int, now: float) -> bytes | None:
        """As :meth:`leased_to`, offers counting too."""
        held = self.leased_to(address, now)
        return self._offered.get(address) if held is None else held

    def offers(self) -> list[Offer]:
        """What is promised, the oldest promise first."""
        return list(self._offers.values())

    def offered(self, identity: bytes) -> int | None:
        """The address this client was offered and has not yet asked for."""
        offer = self._offers.get(identity)
        return None if offer is None else offer.address

    @property
    def counts(self) -> tuple[int, int, int]:
        """(lease records, offers, pending leases), for statistics."""
        return len(self._leases), len(self._offers), len(self._pending)

    # -- offers ------------------------------------------------------------------------------------------------------------

    def pick(self, seed: int) -> int | None:
        """An address of the pool for a client that has none: one never used, else the one whose lease ended longest ago, else
        the oldest offer's.

        An offer is not a lease: a flood of DISCOVERs that nobody follows up can make others ask twice, but cannot shut them out.
        """
        address = self._pool.pick(seed)
        if address is None:
            address = next(iter(self._stale), None)
        if address is None and self._offers:
            address = next(iter(self._offers.values())).address
        return address

    def offer(self, identity: bytes, address: int, expires_at: float) -> None:
        """Promise an address of the pool; whoever was offered it before loses the promise."""
        offer = self._offers.get(identity)
        if offer is not None and offer.address == address:
            offer.expires_at = expires_at
            self._offers[identity] = self._offers.pop(identity)  # to the end: it is the youngest again
            return
        self.withdraw(identity)
        if (other := self._offered.get(address)) is not None:
            self.withdraw(other)
        elif len(self._offers) >= self._max_offers:
            self.withdraw(next(iter(self._offers)))
        self._offers[identity] = Offer(address, identity, expires_at)
        self._offered[address] = identity
        self._occupy(address)
        self._offer_ends.put(address, expires_at)

    def withdraw(self, identity: bytes) -> None:
        """Forget what was offered to this client, if anything."""
        offer = self._offers.pop(identity, None)
        if offer is not None:
            del self._offered[offer.address]
            self._vacate(offer.address)

    # -- leases ------------------------------------------------------------------------------------------------------------

    def begin(self, lease: Lease) -> None:
        """A lease goes to the disk: from now on nobody else gets the address."""
        self.withdraw(lease.identity)
        if (other := self._offered.get(lease.address)) is not None:
            self.withdraw(other)
        self._pending[lease.identity] = lease
        self._pending_at[lease.address] = lease.identity
        self._occupy(lease.address)

    def drop(self, identity: bytes) -> Lease | None:
        """A pending lease will not be: all is as it was before :meth:`begin`."""
        lease = self._pending.pop(identity, None)
        if lease is not None:
            del self._pending_at[lease.address]
            self._vacate(lease.address)
        return lease

    def bind(self, identity: bytes, now: float) -> Lease | None:
        """A pending lease has become durable. Returns the client's lease of another address: it ends by this and has to be stored."""
        lease = self._pending.pop(identity)
        del self._pending_at[lease.address]
        earlier_at = self._owned.get(identity)
        self._put(lease, now)
        if earlier_at is None or earlier_at == lease.address:
            return None
        earlier = self.live_at(earlier_at, now)
        return None if earlier is None else self._end(earlier, now)

    def release(self, identity: bytes, address: int, now: float) -> Lease | None:
        """The client gives its address back; the record to store, or None when the address is not its own."""
        lease = self.live_at(address, now)
        return self._end(lease, now) if lease is not None and lease.identity == identity else None

    def set_aside(self, address: int, mac: bytes, until_at: float, now: float) -> Lease:
        """Nobody gets this address before ``until_at``, also who was offered it; the record to store. No lease of it may be pending."""
        if (holder := self._offered.get(address)) is not None:
            self.withdraw(holder)
        lease = Lease(address, SET_ASIDE, mac, until_at, LeaseState.DECLINED, since_at=now)
        self._put(lease, now)
        return lease

    def expire(self, now: float) -> None:
        """Let end what has ended. Costs nothing when nothing has."""
        for address in self._offer_ends.due(now):
            identity = self._offered.get(address)
            if identity is None:
                continue
            offer = self._offers[identity]
            if offer.expires_at > now:
                self._offer_ends.put(address, offer.expires_at)
            else:
                self.withdraw(identity)
        for address in self._lease_ends.due(now):
            lease = self._leases.get(address)
            if lease is None or lease.state is LeaseState.RELEASED:
                continue
            if lease.expires_at > now:
                self._lease_ends.put(address, lease.expires_at)
                continue
            if lease.state is LeaseState.DECLINED:
                del self._leases[address]
            self._vacate(address)

    # -- inside ------------------------------------------------------------------------------------------------------------

    def _put(self, lease: Lease, now: float) -> None:
        """Replace the record of an address."""
        former = self._leases.get(lease.address)
        if former is not None:
            self._forget_owner(former)
        self._leases[lease.address] = lease
        if lease.state is not LeaseState.DECLINED:
            self._remember_owner(lease)
        self._occupy(lease.address)
        if lease.state is LeaseState.RELEASED or lease.expires_at <= now:
            self._vacate(lease.address)
        else:
            self._lease_ends.put(lease.address, lease.expires_at)

    def _end(self, lease: Lease, now: float) -> Lease:
        ended = replace(lease, state=LeaseState.RELEASED, expires_at=now)
        self._leases[lease.address] = ended
        self._vacate(lease.address)
        return ended

    def _remember_owner(self, lease: Lease) -> None:
        self._owned[lease.identity] = lease.address
        if lease.mac:
            self._by_mac[lease.mac] = lease.address

    def _forget_owner(self, lease: Lease) -> None:
        if self._owned.get(lease.identity) == lease.address:
            del self._owned[lease.identity]
        if self._by_mac.get(lease.mac) == lease.address:
            del self._by_mac[lease.mac]

    def _occupy(self, address: int) -> None:
        self._pool.take(address)
        self._stale.pop(address, None)

    def _vacate(self, address: int) -> None:
        """One reason to hold the address has gone: give it back, or among the ended leases, unless there is another reason."""
        if address in self._pending_at or address in self._offered:
            return
        lease = self._leases.get(address)
        if lease is None:
            self._pool.give_back(address)
        elif self._ended(lease) and address in self._pool:
            self._stale[address] = None

    def _ended(self, lease: Lease) -> bool:
        """Whether the lease is known to have ended: released, or past its end and noticed by :meth:`expire`."""
        return lease.state is LeaseState.RELEASED or lease.address not in self._lease_ends


class _Ends:
    """When things end, by address: a heap with one valid entry an address, so that renewing costs nothing and leaves nothing behind.

    What has been put off is put again by the owner when the earlier moment comes.
    """

    __slots__ = ("_heap", "_next")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._next: dict[int, float] = {}

    def __contains__(self, address: int) -> bool:
        return address in self._next

    def put(self, address: int, at: float) -> None:
        """Have this address come up at ``at`` or before."""
        earlier = self._next.get(address)
        if earlier is None or at < earlier:
            self._next[address] = at
            if at != _NEVER:
                heappush(self._heap, (at, address))

    def due(self, now: float) -> list[int]:
        """The addresses whose moment has come; they are no longer in."""
        found: list[int] = []
        while self._heap and self._heap[0][0] <= now:
            at, address = heappop(self._heap)
            if self._next.get(address) == at:
                del self._next[address]
                found.append(address)
        return found


_NEVER = float("inf")
