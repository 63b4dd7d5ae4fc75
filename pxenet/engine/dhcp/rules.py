"""When to acknowledge, when to refuse, when to be silent: RFC 2131 §4.3.2 as a table, and which address a client gets (§4.3.1).

Questions to the lease tables; nothing is promised or given here. A wrong NAK from a second server is the classic outage, so a network
is only spoken for as far as we know it, unless it is configured as authoritative.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from pxenet.engine.dhcp.query import Query, Stage
from pxenet.engine.dhcp.subnet import ServedSubnet
from pxenet.model import ClientKind, Lease, LeaseState


class Finding(enum.Enum):
    """What is known about a client and the address it asks for. The value tells a refused client's owner why."""

    RIGHT = "its own"
    FOREIGN = "not an address of this network"
    UNKNOWN = "no lease of this client is known here"
    WRONG = "this client has another address here"
    TAKEN = "somebody else has it"


class Reaction(enum.Enum):
    """What to do about it."""

    ACK = "ack"
    NAK = "nak"
    SILENT = "silent"
    NAK_IF_AUTHORITATIVE = "nak if authoritative"


REACTIONS: dict[tuple[Stage, Finding], Reaction] = {
    # It chose us: it is owed a word.
    (Stage.SELECTING, Finding.RIGHT): Reaction.ACK,
    (Stage.SELECTING, Finding.FOREIGN): Reaction.NAK,
    (Stage.SELECTING, Finding.UNKNOWN): Reaction.NAK,
    (Stage.SELECTING, Finding.WRONG): Reaction.NAK,
    (Stage.SELECTING, Finding.TAKEN): Reaction.NAK,
    # It remembers an address and asks everybody. Another server may own an address or a client that we do not know.
    (Stage.INIT_REBOOT, Finding.RIGHT): Reaction.ACK,
    (Stage.INIT_REBOOT, Finding.FOREIGN): Reaction.NAK_IF_AUTHORITATIVE,
    (Stage.INIT_REBOOT, Finding.UNKNOWN): Reaction.NAK_IF_AUTHORITATIVE,
    (Stage.INIT_REBOOT, Finding.WRONG): Reaction.NAK,
    # Silence would let it go on using an address that one of our clients has (§4.4.2 allows it that).
    (Stage.INIT_REBOOT, Finding.TAKEN): Reaction.NAK,
    # It asks us alone.
    (Stage.RENEWING, Finding.RIGHT): Reaction.ACK,
    (Stage.RENEWING, Finding.FOREIGN): Reaction.SILENT,
    (Stage.RENEWING, Finding.UNKNOWN): Reaction.NAK_IF_AUTHORITATIVE,
    (Stage.RENEWING, Finding.WRONG): Reaction.NAK_IF_AUTHORITATIVE,
    (Stage.RENEWING, Finding.TAKEN): Reaction.NAK,
    # Its own server did not answer, and that may not be us.
    (Stage.REBINDING, Finding.RIGHT): Reaction.ACK,
    (Stage.REBINDING, Finding.FOREIGN): Reaction.NAK_IF_AUTHORITATIVE,
    (Stage.REBINDING, Finding.UNKNOWN): Reaction.NAK_IF_AUTHORITATIVE,
    (Stage.REBINDING, Finding.WRONG): Reaction.NAK_IF_AUTHORITATIVE,
    (Stage.REBINDING, Finding.TAKEN): Reaction.NAK_IF_AUTHORITATIVE,
}


def reaction(stage: Stage, finding: Finding, *, authoritative: bool) -> Reaction:
    """ACK, NAK or SILENT."""
    found = REACTIONS[stage, finding]
    if found is Reaction.NAK_IF_AUTHORITATIVE:
        return Reaction.NAK if authoritative else Reaction.SILENT
    return found


def judge(query: Query, stage: Stage, address: int, reserved: frozenset[int]) -> tuple[Finding, ServedSubnet | None]:
    """What is known about this client and this address, and the subnet of the address."""
    served = next((one for one in query.link if address in one.subnet), None)
    if served is None:
        return Finding.FOREIGN, None
    own = reservation(query)
    if address != own and served.leases.leased_to(address, query.now) not in (None, query.identity):
        return Finding.TAKEN, served
    if address in reserved and address != own:
        return Finding.TAKEN, served
    if _is_its(query, stage, address, served, own):
        return Finding.RIGHT, served
    known = own is not None or _offered(query) or _has_record(query, address, served)
    if stage is Stage.SELECTING and not known and address in served.pool:
        return Finding.RIGHT, served  # offered before we were started again, or the offer was forgotten in a flood
    return (Finding.WRONG if known else Finding.UNKNOWN), served


def _is_its(query: Query, stage: Stage, address: int, served: ServedSubnet, own: int | None) -> bool:
    """Whether the address is the client's: reserved for it, offered to it, leased to it now or (and still to be had) before."""
    if address == own or (stage is Stage.SELECTING and served.leases.offered(query.identity) == address):
        return True
    if own is not None and stage is Stage.INIT_REBOOT:
        return False  # its reservation is newer than its lease; one that is in use (a renewal) is not taken from it
    record = served.leases.record(query.identity, query.client.mac)
    if record is None or record.address != address:
        return False
    return address in served.pool or served.leases.leased_to(address, query.now) == query.identity


def _has_record(query: Query, address: int, served: ServedSubnet) -> bool:
    """A lease that has ended tells nothing about an address that we do not give out: another server may have given that since."""
    records = (one.leases.record(query.identity, query.client.mac) for one in query.link)
    return any(record is not None and (address in served.pool or record.expires_at > query.now) for record in records)


def _offered(query: Query) -> bool:
    return any(served.leases.offered(query.identity) is not None for served in query.link)


def reservation(query: Query) -> int | None:
    """The address that the configuration gives this host on this network, unless somebody else has it now."""
    reserved = _reserved(query)
    if reserved is None:
        return None
    served, address = reserved
    held = served.leases.leased_to(address, query.now)
    return address if held in (None, query.identity) or _left_behind(query, served, address) else None


def held_reservation(query: Query) -> Lease | None:
    """The record by which somebody else has the address that is reserved for this host; None when nobody has."""
    reserved = _reserved(query)
    if reserved is None:
        return None
    served, address = reserved
    held = served.leases.leased_to(address, query.now)
    if held is None or held == query.identity:
        return None
    lease = served.leases.pending(held) or served.leases.lease_at(address)
    return None if lease is None or _is_sibling(query, lease) else lease


def _left_behind(query: Query, served: ServedSubnet, address: int) -> bool:
    """Whether the address is leased to another network card of the same machine, which is in its firmware again: the system or the
    loader that had that lease runs no more. A system that brings up all its cards gets one address for each."""
    lease = served.leases.live_at(address, query.now)
    pending = served.leases.pending(served.leases.leased_to(address, query.now) or b"")
    return (
        lease is not None
        and pending is None
        and query.client.kind is not ClientKind.OTHER
        and _is_sibling(query, lease)
    )


def _is_sibling(query: Query, lease: Lease) -> bool:
    return lease.state is LeaseState.BOUND and query.host is not None and lease.mac in query.host.macs


def _reserved(query: Query) -> tuple[ServedSubnet, int] | None:
    """The address that the configuration gives this host on this network, whoever has it."""
    address = query.host.address if query.host is not None else None
    if address is None:
        return None
    return next(((served, address) for served in query.link if address in served.subnet), None)


class Why(enum.Enum):
    """What makes one think of an address for a client. The values are for people."""

    RESERVED = "its [[host]] reserves it"
    REMEMBERED = "it has or had that address, or was offered it"
    REQUESTED = "it asks for that address"
    POOL = "the pool has it free"


class Candidate(NamedTuple):
    """An address that a client could be offered."""

    served: ServedSubnet
    address: int
    why: Why
    refused: str = ""
    """Why not, in words."""


_TAKEN = "somebody else has it"
_NOT_POOLED = "it is not in the pool"


def candidates(query: Query) -> Iterator[Candidate]:
    """The addresses that one may think of, in order, until one that is not refused is reached: reserved, current or offered already,
    previous, asked for, any."""
    reserved = _reserved(query)
    if reserved is not None:
        served, address = reserved
        yield Candidate(served, address, Why.RESERVED, _TAKEN if reservation(query) is None else "")
    for served in query.link:
        for known in _remembered(query, served):
            if known not in served.pool:
                yield Candidate(served, known, Why.REMEMBERED, _NOT_POOLED)
            else:
                free = served.leases.holder(known, query.now) in (None, query.identity)
                yield Candidate(served, known, Why.REMEMBERED, "" if free else _TAKEN)
    if query.requested:
        for served in query.link:
            refused = "" if served.pool.is_free(query.requested) else "it is not free in the pool"
            yield Candidate(served, query.requested, Why.REQUESTED, refused)
    seed = crc32(query.identity)
    for served in query.link:
        picked = served.leases.pick(seed)
        refused = "" if picked is not None else "no address is free" if len(served.pool) else "it has no pool"
        yield Candidate(served, picked or 0, Why.POOL, refused)


def choose(query: Query, tried: list[Candidate]) -> Candidate | None:
    """The address to offer: the first of the candidates that is not refused. Each that was thought of is added to ``tried``."""
    for one in candidates(query):
        tried.append(one)
        if not one.refused:
            return one
    return None


def _remembered(query: Query, served: ServedSubnet) -> list[int]:
    """Addresses the client has had or been offered in this subnet, the most binding first."""
    record = served.leases.record(query.identity, query.client.mac)
    offered = served.leases.offered(query.identity)
    if record is None:
        return [] if offered is None else [offered]
    if offered is None or served.leases.leased_to(record.address, query.now) == query.identity:
        return [record.address]
    return [offered, record.address]
