"""DHCP by the book, as systems and small firmware do it: the first offer is taken (RFC 2131 §4.4)."""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.sim.body import Body, BootError, Steps, pause
from pxenet.sim.dhcp import Exchange, Reply, begin, hear, say, take_lease
from pxenet.sim.voices import Voice
from pxenet.wire.iana import MessageType, OptionCode

TRIES, WAIT_S, PAUSE_S, ROUNDS = 3, 3.0, 20.0, 5
"""udhcpc's defaults: -t 3 -T 3 -A 20; dracut and d-i try as long. After the rounds an installer gives up."""


@dataclass(frozen=True, slots=True)
class Timers:
    """How long an answer is waited for, try by try; then the pause before it all begins again."""

    waits_s: tuple[float, ...] = (WAIT_S,) * TRIES
    pause_s: float = PAUSE_S
    rounds: int = ROUNDS


SYSTEM = Timers()


def acquire(body: Body, voice: Voice, timers: Timers = SYSTEM) -> Steps[Reply]:
    """DISCOVER to ACK. BootError when nobody gives an address; NAK begins anew."""
    began_at = body.now
    body.address = 0
    for number in range(timers.rounds):
        if number:
            body.retries += 1
            yield from pause(body, timers.pause_s)
        exchange = begin(body, voice)
        offer = yield from _ask(body, exchange, MessageType.DISCOVER, timers, began_at)
        if offer is None:
            continue
        exchange.server, exchange.requested = offer.server_id, offer.message.yiaddr
        ack = yield from _ask(body, exchange, MessageType.REQUEST, timers, began_at)
        if ack is not None:
            take_lease(body, ack)
            return ack
    raise BootError(f"{voice.name}: no DHCP lease")


def _ask(body: Body, exchange: Exchange, kind: MessageType, timers: Timers, began_at: float) -> Steps[Reply | None]:
    """Say it and wait for the answer that belongs to it; None: silence, or a NAK."""
    words = exchange.voice.discover if kind is MessageType.DISCOVER else exchange.voice.request
    for attempt, wait in enumerate(timers.waits_s):
        body.retries += bool(attempt)
        say(body, exchange, kind, words, int(body.now - began_at))
        until = body.now + wait
        while body.now < until:
            reply = hear(body, exchange, (yield until))
            if reply is None:
                continue
            if (
                kind is MessageType.DISCOVER
                and reply.type == MessageType.OFFER
                and reply.message.yiaddr
                and reply.server_id
            ):
                return reply
            if kind is MessageType.REQUEST and reply.server_id in (0, exchange.server):
                if reply.type == MessageType.ACK and reply.raw(OptionCode.SUBNET_MASK):
                    return reply
                if reply.type == MessageType.NAK:
                    body.note("DHCPNAK")
                    return None
    return None
