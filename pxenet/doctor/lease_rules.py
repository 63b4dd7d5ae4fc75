"""Rules about leases that were really taken, where that was allowed: the table ``RULES``. Facts: dhcp.md §2 and §7, pxe.md §3."""

from __future__ import annotations

from collections.abc import Iterator

from pxenet.doctor.findings import Level, Rule, Seen
from pxenet.doctor.observed import Leased, Observed
from pxenet.doctor.servers import server_of
from pxenet.sim.dhcp import Reply
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.text import address_text

SAME = (
    (OptionCode.BOOT_FILE, "option 67"),
    (OptionCode.VENDOR_CLASS, "option 60"),
    (OptionCode.VENDOR_SPECIFIC, "option 43"),
    (OptionCode.SUBNET_MASK, "option 1"),
)
"""What firmware reads again in the ACK, beside ``file`` and ``siaddr`` (pxe.md §3)."""


def _replies(leased: Leased, kind: MessageType) -> list[Reply]:
    found = [reply for heard in leased.heard if (reply := heard.reply()) is not None]
    return [reply for reply in found if reply.type == kind]


def _each(observed: Observed) -> Iterator[tuple[Leased, Reply]]:
    for leased in observed.leased:
        offer = leased.offer.reply()
        if offer is not None:
            yield leased, offer


def _silent(observed: Observed) -> Iterator[Seen]:
    for leased, offer in _each(observed):
        if not leased.heard:
            address = address_text(offer.message.yiaddr)
            yield Seen(
                f"{address_text(server_of(offer))} offers {leased.by} {address}, and does not answer when it is asked for",
                (f"a REQUEST for {address} from {leased.by}, sent again and again",),
            )


def _refused(observed: Observed) -> Iterator[Seen]:
    for leased, offer in _each(observed):
        for nak in _replies(leased, MessageType.NAK):
            by, address = address_text(server_of(nak)), address_text(offer.message.yiaddr)
            said = nak.text(OptionCode.MESSAGE)
            evidence = (f"NAK from {by}" + (f': "{said}"' if said else ""),)
            if server_of(nak) == server_of(offer):
                yield Seen(f"{by} offers {leased.by} {address}, and refuses it when it is asked for (NAK)", evidence)
            else:
                yield Seen(
                    f"{by} refuses {leased.by} {address}, which {address_text(server_of(offer))} offers (NAK)",
                    evidence,
                    f"make {by} not authoritative on this network, or switch it off",
                )


def _other_address(observed: Observed) -> Iterator[Seen]:
    for leased, offer in _each(observed):
        for ack in _replies(leased, MessageType.ACK):
            if ack.message.yiaddr != offer.message.yiaddr:
                gives, offered = address_text(ack.message.yiaddr), address_text(offer.message.yiaddr)
                yield Seen(
                    f"{address_text(server_of(ack))} gives {leased.by} {gives} after it has offered {offered}: EDK2 declines that",
                    (f"the ACK came from {address_text(ack.from_address)}",),
                )


def _changed(observed: Observed) -> Iterator[Seen]:
    for leased, offer in _each(observed):
        for ack in _replies(leased, MessageType.ACK):
            changes = list(_differences(offer, ack))
            if changes:
                yield Seen(
                    f"{address_text(server_of(ack))} tells {leased.by} other things in the ACK than in the OFFER; the ACK counts",
                    tuple(changes),
                )


def _differences(offer: Reply, ack: Reply) -> Iterator[str]:
    pairs = [(name, offer.raw(code), ack.raw(code)) for code, name in SAME]
    pairs.append(("file", offer.file.encode(), ack.file.encode()))
    for name, before, after in pairs:
        if before != after:
            yield f"{name}: {_shown(before)} in the OFFER, {_shown(after)} in the ACK"
    if offer.message.siaddr != ack.message.siaddr:
        before_, after_ = address_text(offer.message.siaddr), address_text(ack.message.siaddr)
        yield f"next server: {before_} in the OFFER, {after_} in the ACK"


def _shown(raw: bytes) -> str:
    if not raw:
        return "nothing"
    text = raw.decode("latin-1")
    return f'"{text}"' if text.isprintable() and text.isascii() else raw.hex(" ")


RULES = (
    Rule(
        "lease.silence", Level.ERROR,
        "see the server's log: it cannot write its leases, or a firewall or DHCP snooping drops the answer", _silent,
    ),
    Rule("lease.refused", Level.ERROR, "see the server's log; two servers with one pool refuse each other's addresses", _refused),
    Rule(
        "lease.other-address", Level.ERROR, "look for a second server with the same address, or a relay that alters answers",
        _other_address,
    ),
    Rule("lease.changed", Level.ERROR, "say the same in both: file, next server, options 43, 60 and 67", _changed),
)  # fmt: skip
"""In the order in which they are told within a level."""
