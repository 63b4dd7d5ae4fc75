"""ACKs that wait until their leases are durable.

A client that is told "this address is yours" may use it through every crash of ours, so the word leaves only after the disk has it.
Meanwhile its retransmissions are swallowed: at most one ACK waits for each client. Must not know packets' contents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pxenet.engine.dhcp.query import Query, Stage
from pxenet.engine.dhcp.subnet import ServedSubnet, Subnets
from pxenet.engine.surface import Commit, Output, Sighting
from pxenet.events import Event
from pxenet.model import Lease, LeaseState
from pxenet.net.datagram import Send


@dataclass(slots=True)
class Waiting:
    """One ACK, ready to leave."""

    query: Query
    stage: Stage
    served: ServedSubnet
    lease: Lease
    send: Send
    sighting: Sighting
    event: Event | None


class Grants:
    """The commits under way and their ACKs."""

    __slots__ = ("_by_identity", "_last_id", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._by_identity: dict[bytes, int] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def of(self, identity: bytes) -> Waiting | None:
        """What waits for this client."""
        commit = self._by_identity.get(identity)
        return None if commit is None else self._waiting[commit]

    def begin(self, waiting: Waiting, out: Output) -> None:
        """Have the lease written. The client has nothing else waiting: see :meth:`cancel`."""
        self._last_id += 1
        waiting.served.leases.begin(waiting.lease)
        self._waiting[self._last_id] = waiting
        self._by_identity[waiting.query.identity] = self._last_id
        out.commits.append(Commit((waiting.lease,), self._last_id))

    def settle(self, commit: int) -> Waiting | None:
        """The verdict on a commit has come; None when nobody waits for it any more."""
        waiting = self._waiting.pop(commit, None)
        if waiting is not None:
            del self._by_identity[waiting.query.identity]
        return waiting

    def move(self, subnets: Subnets, now: float, out: Output) -> None:
        """From now on the leases that are being written belong to these subnets; those of none of them are not to be."""
        for identity in list(self._by_identity):
            waiting = self._waiting[self._by_identity[identity]]
            served = subnets.of_address(waiting.lease.address)
            if served is None:
                self.cancel(identity, now, out)
            elif served is not waiting.served:
                waiting.served = served
                served.leases.begin(waiting.lease)

    def cancel(self, identity: bytes, now: float, out: Output) -> None:
        """The client does not want what is being written for it: its ACK stays here, and the record is written over."""
        commit = self._by_identity.get(identity)
        if commit is None:
            return
        waiting = self._waiting[commit]
        self.settle(commit)
        waiting.served.leases.drop(identity)
        # The store may know a lease of before for this address: what we still hold true is what it has to say again.
        kept = waiting.served.leases.lease_at(waiting.lease.address)
        ended = replace(waiting.lease, state=LeaseState.RELEASED, expires_at=now)
        out.commits.append(Commit((kept if kept is not None else ended,)))
