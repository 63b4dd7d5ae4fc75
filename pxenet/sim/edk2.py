"""EDK2's network boot over IPv4: PXE (``UefiPxeBcDxe``) and HTTP boot (``HttpBootDxe``) above its DHCP driver (``Dhcp4Dxe``).

Facts: pxe.md §3 and §6, dhcp.md §2. Offers are collected during a whole time-out of 4 s (then 8, 16, 32 s); then the best one is
chosen by class. Replies are judged as strictly as the driver does: one option of a wrong length, and the packet does not exist.
"""

from __future__ import annotations

from dataclasses import replace

from pxenet.sim import http, tftp
from pxenet.sim.body import Body, BootError, Stage, Steps, pause
from pxenet.sim.dhcp import BINL_PORT, Exchange, Loads, Reply, begin, compose, hear, say, say_to, take_lease
from pxenet.sim.url import split
from pxenet.sim.voices import Voice
from pxenet.wire.dhcp import LARGEST_BYTES
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.options import END, Options
from pxenet.wire.pxe import PXE, BootServer, Discovery, PxeCode

WAITS_S = (4.0, 8.0, 16.0, 32.0)
MAX_OFFERS = 16
BINL_WAITS_S = (1.0, 2.0, 3.0, 4.0)
"""Port 4011: the first try always lasts its whole second."""
HTTP_TYPES = ("application/efi", "application/vnd.efi-iso", "application/vnd.efi-img")

Found = tuple[Loads, Reply, "Reply | None"]
"""What to load, the ACK, and the proxy's answer if one matters."""

_ADDRESSES = frozenset({3, 4, 5, 6, 7, 8, 9, 10, 11, 41, 42, 44, 45, 48, 49, 65, 68, 69, 70, 71, 72, 73, 74, 75, 76})
_SIZES = {
    1: 4,
    2: 4,
    13: 2,
    16: 4,
    22: 2,
    23: 1,
    24: 4,
    26: 2,
    28: 4,
    32: 4,
    35: 4,
    37: 1,
    38: 4,
    46: 1,
    50: 4,
    51: 4,
    54: 4,
    57: 2,
    58: 4,
    59: 4,
}
_SWITCHES = frozenset({19, 20, 27, 29, 30, 31, 34, 36, 39})
_RANGES = {52: range(1, 4), 53: range(1, 10)}
_AT_LEAST = {43: 1, 60: 1, 61: 2, 66: 1, 67: 1, 121: 5}


def valid(reply: Reply) -> bool:
    """The driver sees it at all."""
    return not fault(reply)


def fault(reply: Reply) -> str:
    """Why the driver drops a reply; empty: it does not.

    ``DhcpValidateOptions``: every used field ends in 255, and every known option has a legal length.
    """
    for defect in reply.message.defects:
        return defect.reason if defect.code == END else f"option {defect.code}: {defect.reason}"
    if len(reply.payload) > LARGEST_BYTES:
        return f"{len(reply.payload)} bytes, more than {LARGEST_BYTES}"
    for code, raw in reply.message.options:
        size = len(raw)
        wrong = code in _ADDRESSES and code != 68 and (not size or size % 4)
        wrong = wrong or size != _SIZES.get(code, size) or size < _AT_LEAST.get(code, 0)
        if wrong or (code in _RANGES and size != 1):
            return f"option {code} is {size} bytes long"
        if (code in _SWITCHES and raw not in (b"\0", b"\1")) or (code in _RANGES and raw[0] not in _RANGES[code]):
            return f"option {code} has the value {raw.hex()}"
    return ""


# -- DHCP -----------------------------------------------------------------------------------------------------------------------------


def _offers(body: Body, exchange: Exchange) -> Steps[list[Reply]]:
    """All that is offered during one time-out."""
    for number, wait in enumerate(WAITS_S):
        body.retries += bool(number)
        say(body, exchange, MessageType.DISCOVER, exchange.voice.discover)
        until = body.now + wait
        found: list[Reply] = []
        while body.now < until and len(found) < MAX_OFFERS:
            reply = hear(body, exchange, (yield until))
            if reply is None or not valid(reply):
                continue
            offers = reply.type == MessageType.OFFER and (reply.server_id or not reply.message.yiaddr)
            bootp = reply.type == 0 and file_of(reply)
            if offers or bootp:
                found.append(reply)
        if any(offer.message.yiaddr for offer in found):
            return found
    raise BootError("PXE-E18: Server response timeout: no DHCP offer")


def _request(body: Body, exchange: Exchange, offer: Reply) -> Steps[Reply | None]:
    """The ACK to the REQUEST for this offer; None: NAK."""
    exchange.server, exchange.requested = offer.server_id, offer.message.yiaddr
    for number, wait in enumerate(WAITS_S):
        body.retries += bool(number)
        say(body, exchange, MessageType.REQUEST, exchange.voice.request)
        until = body.now + wait
        while body.now < until:
            reply = hear(body, exchange, (yield until))
            if reply is None or not valid(reply) or reply.server_id != exchange.server:
                continue
            if reply.type == MessageType.NAK:
                return None
            if reply.type == MessageType.ACK:
                if reply.message.yiaddr != exchange.requested or not reply.raw(OptionCode.SUBNET_MASK):
                    say(body, exchange, MessageType.DECLINE, _decline(exchange))
                    raise BootError("PXE-E18: the ACK has another address than the offer, or no subnet mask: declined")
                return reply
    raise BootError("PXE-E18: Server response timeout: no DHCP ACK")


def _decline(exchange: Exchange) -> tuple[tuple[int, bytes], ...]:
    return (
        (OptionCode.MESSAGE_TYPE, bytes((MessageType.DECLINE,))),
        (OptionCode.SERVER_ID, exchange.server.to_bytes(4, "big")),
        (OptionCode.REQUESTED_ADDRESS, exchange.requested.to_bytes(4, "big")),
    )


def file_of(reply: Reply) -> str:
    """67, else ``file`` unless it is overloaded."""
    return reply.text(OptionCode.BOOT_FILE) or reply.file


def _inside(reply: Reply) -> Options | None:
    raw = reply.message.options.raw(OptionCode.VENDOR_SPECIFIC)
    return Options.parse_damaged(raw, PXE)[0] if raw else None


def _lease(body: Body, voice: Voice) -> Steps[tuple[list[Reply], Reply, Exchange]]:
    """Offers, the ACK to the chosen one, and the conversation."""
    for _ in range(len(WAITS_S)):
        exchange = begin(body, voice)
        offers = yield from _offers(body, exchange)
        given = [offer for offer in offers if offer.message.yiaddr]
        ack = yield from _request(body, exchange, _preferred(given))
        if ack is not None:
            take_lease(body, ack)
            body.enter(Stage.LEASE)
            return offers, ack, exchange
        body.retries += 1
        body.note("DHCPNAK: begins again")
    raise BootError("PXE-E16: No valid offer received: refused again and again (NAK)")


def _preferred(offers: list[Reply]) -> Reply:
    """Of those that give an address, the class that EDK2 likes best, first come first."""
    order = {"Pxe10": 0, "Http": 0, "Binl": 1, "DhcpOnly": 2}
    return min(offers, key=lambda offer: order[kind_of_offer(offer)])


def kind_of_offer(reply: Reply) -> str:
    """``PxeBcParseDhcp4Packet``."""
    if reply.raw(OptionCode.VENDOR_CLASS).startswith(b"HTTPClient"):
        return "Http"
    if not reply.is_pxe:
        return "DhcpOnly"
    inside = _inside(reply)
    return "Pxe10" if inside is not None and any(code in inside for code in range(6, 11)) else "Binl"


# -- PXE ------------------------------------------------------------------------------------------------------------------------------


def pxe(body: Body, voice: Voice, settles_s: float) -> Steps[Found]:
    """From DISCOVER to the boot program in memory."""
    offers, ack, exchange = yield from _lease(body, voice)
    yield from pause(body, settles_s)
    loads, proxy = yield from _what_to_load(body, exchange, offers, ack)
    body.enter(Stage.LOADER)
    try:
        yield from tftp.size_of(body, tftp.EDK2_SIZE, loads.server, loads.name)
        yield from tftp.read(body, tftp.EDK2, loads.server, loads.name)
    except tftp.TftpError as error:
        raise BootError(f"PXE-E23: Client received TFTP error from server: {error}") from error
    return loads, ack, proxy


def _what_to_load(body: Body, exchange: Exchange, offers: list[Reply], ack: Reply) -> Steps[tuple[Loads, Reply | None]]:
    """``PxeBcSelectDhcp4Offer``, in its order."""
    chosen = kind_of_offer(ack)
    proxies = [offer for offer in offers if not offer.message.yiaddr]
    proxy10 = next((offer for offer in proxies if offer.is_pxe and kind_of_offer(offer) == "Pxe10"), None)
    binl = next((offer for offer in proxies if offer.is_pxe and kind_of_offer(offer) == "Binl"), None)
    if chosen == "Pxe10":
        return (yield from _by_menu(body, exchange, ack)), None
    if chosen == "DhcpOnly" and proxy10 is not None:
        return (yield from _by_menu(body, exchange, proxy10)), proxy10
    if chosen == "Binl" or (chosen == "DhcpOnly" and binl is not None):
        asked = ack if chosen == "Binl" else binl
        assert asked is not None
        answer = yield from _ask_binl(body, exchange, asked.message.siaddr or asked.server_id, b"")
        if kind_of_offer(answer) == "Pxe10":
            return (yield from _by_menu(body, exchange, answer)), answer
        return _loads(answer), answer
    if any(not offer.is_pxe for offer in proxies):
        # Dropped, but it still marks "proxy seen", which breaks the plain path (facts: pxe.md §3, DhcpOnly).
        raise BootError("PXE-E16: No valid offer received: an offer without address and class spoils the others")
    return _loads(ack), None


def _loads(reply: Reply) -> Loads:
    name = file_of(reply)
    if not name:
        raise BootError("PXE-E53: No boot filename received")
    if "://" in name:
        raise BootError(f"PXE-E23: Client received TFTP error: it asks for {name!r} by TFTP, as a name")
    inside = _inside(reply)
    control = (inside.number(PxeCode.DISCOVERY_CONTROL) or 0) if inside is not None and reply.is_pxe else 0
    servers = (
        inside.records(PxeCode.BOOT_SERVERS, BootServer)
        if inside is not None and control & Discovery.DIRECT_BOOT
        else None
    )
    if servers and servers[0].addresses:
        return Loads(servers[0].addresses[0], name)
    return Loads(reply.message.siaddr or reply.server_id, name)


def _by_menu(body: Body, exchange: Exchange, reply: Reply) -> Steps[Loads]:
    """Straight to the file, or the menu's first item and its boot server."""
    inside = _inside(reply)
    assert inside is not None
    control = inside.number(PxeCode.DISCOVERY_CONTROL) or 0
    if control & Discovery.DIRECT_BOOT and file_of(reply):
        return _loads(reply)
    prompt = inside.raw(PxeCode.MENU_PROMPT)
    if prompt and prompt[0] == 255:
        raise BootError("the PXE boot menu waits for somebody who presses a key")
    yield from pause(body, prompt[0] if prompt else 0)
    menu = inside.raw(PxeCode.BOOT_MENU)
    kind = int.from_bytes(menu[:2], "big") if menu else 0
    if not kind:
        raise BootError("PXE-E21: Remote boot cancelled: the first menu item is the local boot")
    servers = inside.records(PxeCode.BOOT_SERVERS, BootServer) or ()
    listed = [address for entry in servers if entry.type == kind for address in entry.addresses]
    if not listed:
        raise BootError(f"PXE-E16: No valid offer received: no boot server of type {kind} is listed")
    item = bytes((PxeCode.BOOT_ITEM, 4)) + kind.to_bytes(2, "big") + bytes(2) + b"\xff"
    return _loads((yield from _ask_binl(body, exchange, listed[0], item)))


def _ask_binl(body: Body, exchange: Exchange, server: int, item: bytes) -> Steps[Reply]:
    """A REQUEST from port 4011 to port 4011, with a new xid, without 50 and 54."""
    asked = replace(exchange, xid=body.random.getrandbits(32), ciaddr=body.address, server=0, requested=0)
    words = tuple(
        word for word in exchange.voice.request if word[0] not in (OptionCode.REQUESTED_ADDRESS, OptionCode.SERVER_ID)
    )
    if item:
        words = (*words, (OptionCode.VENDOR_SPECIFIC, item))
    for number, wait in enumerate(BINL_WAITS_S):
        body.retries += bool(number)
        say_to(body, asked, server, BINL_PORT, BINL_PORT, compose(body, asked, MessageType.REQUEST, words, 0))
        until, found = body.now + wait, None
        while body.now < until:
            reply = hear(body, asked, (yield until))
            if reply is not None and found is None and valid(reply) and file_of(reply):
                found = reply
        if found is not None:
            return found
    raise BootError("PXE-E16: No valid offer received: the boot server on port 4011 does not answer, or names no file")


# -- HTTP boot ------------------------------------------------------------------------------------------------------------------------


def http_boot(body: Body, voice: Voice, settles_s: float) -> Steps[Found]:
    """From DISCOVER to the boot program in memory: HEAD for the size, then GET."""
    offers, ack, _ = yield from _lease(body, voice)
    yield from pause(body, settles_s)
    named = [offer for offer in [ack, *offers] if kind_of_offer(offer) == "Http"]
    if not named:
        raise BootError("no offer of class HTTPClient: nothing to boot by HTTP")
    url = file_of(named[0])
    parts = split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BootError(f"the boot file of the HTTPClient offer is no URL: {url!r}")
    if not parts.hostname.replace(".", "").isdigit() and not ack.raw(OptionCode.DNS):
        raise BootError(f"{url} has a name, and no name server was given")
    body.enter(Stage.LOADER)
    head = yield from http.get(body, http.EDK2, url, method="HEAD")
    if not head.failed and head.status == 200:
        http.whole(http.EDK2, url, head)
    reply = http.whole(http.EDK2, url, (yield from http.get(body, http.EDK2, url)))
    kind = reply.header("Content-Type").lower()
    if kind not in HTTP_TYPES and not parts.path.lower().endswith((".efi", ".iso", ".img")):
        raise BootError(f"{url}: neither its type ({kind or 'none'}) nor its name says what image it is")
    return Loads(0, url), ack, None if named[0] is ack else named[0]
