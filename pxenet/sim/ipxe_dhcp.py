"""iPXE's DHCP, as option ROM and as program: ``net/udp/dhcp.c``, ``usr/autoboot.c``.

One timer of 1 s that doubles; ProxyDHCP offers are waited for about two seconds unless 175.0xb0 says that none will come. Captured:
``secs`` is no time but counts timer runs (``count << 2``), with bit 1 for an offer and bit 0 for a proxy's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pxenet.net.datagram import BROADCAST
from pxenet.sim.body import Body, BootError, Steps
from pxenet.sim.dhcp import (
    BINL_PORT,
    CLIENT_PORT,
    SERVER_PORT,
    Exchange,
    Loads,
    Reply,
    begin,
    compose,
    hear,
    say,
    say_to,
    take_lease,
)
from pxenet.sim.voices import Voice
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.pxe import IPXE, PXE, BootServer, Discovery, IpxeCode, MenuItem, PxeCode
from pxenet.wire.reader import WireError

FIRST_S, LONGEST_S = 1.0, 10.0
"""Retransmission: from 1 s, doubling, to 10 s (facts: DHCP timers)."""
GIVES_UP_S = 60.0
"""No offer at all: the timer fails after its longest period has passed a few times."""
PROXY_WAIT_S = 2.0
"""How long after the beginning a ProxyDHCP offer is still waited for. Captured: the third run of the timer, at 3 s, goes on."""
PROXY_TRIES_S = (0.25, 0.5, 1.0, 0.25)
"""The question to port 4011: about two seconds in all."""
SERVER_TRIES_S = (1.0, 2.0)
"""A boot server of a menu: three seconds each."""


@dataclass(slots=True)
class _Session:
    """What has been learnt so far."""

    exchange: Exchange
    began_at: float
    count: int = 0
    offer: Reply | None = None
    priority: int = 0
    no_proxy: bool = False
    proxy: Reply | None = None
    proxy_priority: int = 0

    @property
    def secs(self) -> int:
        return self.count << 2 | bool(self.offer) << 1 | bool(self.proxy)


@dataclass(frozen=True, slots=True)
class Network:
    """What iPXE knows when its interface is configured."""

    ack: Reply
    proxy: Reply | None
    loads: Loads | None
    """None: nothing said what to boot."""


def configure(body: Body, voice: Voice) -> Steps[Network]:
    """From DISCOVER to a configured interface, ProxyDHCP and boot servers included. BootError: no address."""
    body.address = 0
    while True:
        session = _Session(begin(body, voice), body.now)
        yield from _discover(body, session)
        ack = yield from _request(body, session)
        if ack is None:
            body.retries += 1
            continue
        take_lease(body, ack)
        proxy = session.proxy if not _no_proxy(ack) else None
        if proxy is not None and not _complete(proxy):
            proxy = yield from _ask_proxy(body, session, proxy)
        return Network(ack, proxy, _loads(proxy, ack))


def boot_menu(body: Body, voice: Voice, network: Network) -> Steps[Loads]:
    """What autoboot does with the result: a PXE menu if the settings have one, else next-server and filename."""
    settings = network.proxy or network.ack
    inside = _pxe(settings)
    menu = inside.get(PxeCode.BOOT_MENU) if inside is not None else None
    if settings.is_pxe and inside is not None and isinstance(menu, tuple):
        control = inside.number(PxeCode.DISCOVERY_CONTROL) or 0
        if not (control & Discovery.DIRECT_BOOT and _name(settings)):
            return (yield from _choose(body, voice, inside, [item for item in menu if isinstance(item, MenuItem)]))
    if network.loads is None:
        raise BootError("Nothing to boot: No such file or directory (http://ipxe.org/2d03e13b)")
    return network.loads


def _discover(body: Body, session: _Session) -> Steps[None]:
    wait = FIRST_S
    while True:
        session.count += 1
        if session.offer is not None and body.now - session.began_at > PROXY_WAIT_S:
            return
        if session.count > 1:
            body.retries += session.offer is None
        if body.now - session.began_at > GIVES_UP_S:
            raise BootError("Configuring (net0) failed: Connection timed out (http://ipxe.org/4c106092): no DHCP offer")
        say(body, session.exchange, MessageType.DISCOVER, session.exchange.voice.discover, session.secs)
        until = body.now + wait
        wait = min(wait * 2, LONGEST_S)
        while body.now < until:
            reply = hear(body, session.exchange, (yield until))
            if reply is None:
                continue
            _note_offer(session, reply)
            elapsed = body.now - session.began_at
            if session.offer and (session.no_proxy or session.proxy or elapsed > PROXY_WAIT_S):
                return


def _note_offer(session: _Session, reply: Reply) -> None:
    priority = _ipxe(reply, IpxeCode.PRIORITY)
    offers = reply.type in (0, MessageType.OFFER)
    if reply.message.yiaddr and reply.from_port == SERVER_PORT and offers and priority >= session.priority:
        session.offer, session.priority = reply, priority
        session.no_proxy = _no_proxy(reply)
    if reply.is_pxe and priority >= session.proxy_priority:
        session.proxy, session.proxy_priority = reply, priority


def _request(body: Body, session: _Session) -> Steps[Reply | None]:
    """REQUEST until the ACK; None: NAK, begin again."""
    assert session.offer is not None
    exchange = session.exchange
    exchange.server, exchange.requested = session.offer.server_id, session.offer.message.yiaddr
    began_at, wait, tries = body.now, FIRST_S, 0
    while body.now - began_at <= GIVES_UP_S:
        session.count += 1
        tries += 1
        body.retries += tries > 1
        say(body, exchange, MessageType.REQUEST, exchange.voice.request, session.secs)
        until = body.now + wait
        wait = min(wait * 2, LONGEST_S)
        while body.now < until:
            reply = hear(body, exchange, (yield until))
            if reply is None or reply.from_port != SERVER_PORT:
                continue
            if reply.type == MessageType.NAK:
                body.note("DHCPNAK: begins again")
                return None
            same = reply.server_id == exchange.server and reply.message.yiaddr == exchange.requested
            if reply.type in (0, MessageType.ACK) and same:
                return reply
    raise BootError("Configuring (net0) failed: Connection timed out (http://ipxe.org/4c106092): no DHCP ACK")


def _ask_proxy(body: Body, session: _Session, offer: Reply) -> Steps[Reply]:
    """The ProxyDHCP server's port 4011; what the offer said remains when nobody answers."""
    server = offer.server_id or offer.message.siaddr or offer.from_address
    exchange = replace(session.exchange, server=server, ciaddr=body.address)
    for wait in PROXY_TRIES_S:
        session.count += 1
        words = tuple(item for item in exchange.voice.request if item[0] != OptionCode.REQUESTED_ADDRESS)
        message = compose(body, exchange, MessageType.REQUEST, words, session.secs)
        say_to(body, exchange, server, BINL_PORT, CLIENT_PORT, message)
        until = body.now + wait
        while body.now < until:
            reply = hear(body, exchange, (yield until))
            if reply is None or reply.from_port != BINL_PORT or reply.type not in (MessageType.OFFER, MessageType.ACK):
                continue
            if (reply.server_id or server) == server and _complete(reply):
                return reply
    body.note("ProxyDHCP server does not answer on port 4011")
    return offer


def _choose(body: Body, voice: Voice, inside: Options, menu: list[MenuItem]) -> Steps[Loads]:
    """Nobody presses a key: the first item. Its server is asked for the file (boot server discovery)."""
    if not menu or menu[0].type == 0:
        raise BootError("PXE boot menu: local boot")
    wanted = menu[0].type
    control = inside.number(PxeCode.DISCOVERY_CONTROL) or 0
    servers = inside.records(PxeCode.BOOT_SERVERS, BootServer) or ()
    listed = [address for entry in servers if entry.type == wanted for address in entry.addresses]
    # Captured: xid 0, the class without its tail, the broadcast flag, and the item in option 43.
    words = tuple((code, b"PXEClient" if code == OptionCode.VENDOR_CLASS else raw) for code, raw in voice.discover)
    item = bytes((PxeCode.BOOT_ITEM, 4)) + wanted.to_bytes(2, "big") + bytes(2) + b"\xff"
    exchange = Exchange(voice, 0, ciaddr=body.address)
    count = 0
    for server in [] if control & Discovery.NO_BROADCAST else [BROADCAST]:
        listed.insert(0, server)
    for server in listed:
        for wait in SERVER_TRIES_S:
            count += 1
            asked = (*words, (OptionCode.VENDOR_SPECIFIC, item))
            message = compose(body, exchange, MessageType.REQUEST, asked, count << 2, flags=0x8000)
            say_to(body, exchange, server, SERVER_PORT if server == BROADCAST else BINL_PORT, CLIENT_PORT, message)
            until = body.now + wait
            while body.now < until:
                reply = hear(body, exchange, (yield until))
                if reply is not None and reply.type == MessageType.ACK and _item_type(reply) == wanted:
                    found = _loads(reply, reply)
                    if found is not None:
                        return found
    raise BootError("PXE boot menu: no boot server answers (http://ipxe.org/4c10e0)")


def _item_type(reply: Reply) -> int:
    inside = _pxe(reply)
    raw = inside.raw(PxeCode.BOOT_ITEM) if inside is not None else None
    return int.from_bytes(raw[:2], "big") if raw else -1


def _pxe(reply: Reply) -> Options | None:
    raw = reply.message.options.raw(OptionCode.VENDOR_SPECIFIC)
    return Options.parse_damaged(raw, PXE)[0] if raw else None


def _ipxe(reply: Reply, code: int) -> int:
    raw = reply.message.options.raw(OptionCode.IPXE)
    try:
        return (Options.parse_damaged(raw, IPXE)[0].number(code) or 0) if raw else 0
    except WireError:
        return 0


def _no_proxy(reply: Reply) -> bool:
    return _ipxe(reply, IpxeCode.NO_PXE_DHCP) == 1


def _complete(reply: Reply) -> bool:
    """It needs no question on port 4011: next server and file, or a menu."""
    inside = _pxe(reply)
    return bool(reply.message.siaddr and reply.header_file) or (inside is not None and PxeCode.BOOT_MENU in inside)


def _name(reply: Reply) -> str:
    """``file`` if it holds anything, else 67. Overload is not known: options in ``file`` would be taken for a name."""
    return reply.header_file or reply.text(OptionCode.BOOT_FILE)


def _loads(proxy: Reply | None, ack: Reply) -> Loads | None:
    for reply in (proxy, ack):
        if reply is not None and (name := _name(reply)):
            return Loads(0 if "://" in name else reply.message.siaddr, name)
    return None
