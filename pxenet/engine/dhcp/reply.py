"""The answers as messages: which fields and options each kind carries, and in which order.

RFC 2131 table 3, RFC 2132 §9.8 (the client's order), RFC 3046 §2.2, RFC 4578 §2.3, RFC 6842. Must not know why an answer is given.
"""

from __future__ import annotations

from pxenet.engine.dhcp.boot import NOTHING, BootFields
from pxenet.engine.dhcp.client import lenient
from pxenet.engine.dhcp.query import Query
from pxenet.engine.dhcp.subnet import Subnet
from pxenet.wire.dhcp import FLAG_BROADCAST, Message
from pxenet.wire.iana import BOOTREPLY, INFINITE, MessageType, OptionCode
from pxenet.wire.options import Options, encode

_MASK = OptionCode.SUBNET_MASK

Items = list[tuple[int, bytes]]


def give(
    query: Query,
    kind: MessageType,
    subnet: Subnet,
    yiaddr: int,
    lease_s: float | None,
    boot: BootFields,
    *,
    echo_client_id: bool = True,
) -> Message:
    """OFFER or ACK; without a lease time the ACK of an INFORM, with ``yiaddr`` 0."""
    items: Items = [_option(OptionCode.MESSAGE_TYPE, kind), _option(OptionCode.SERVER_ID, query.form.server_id)]
    if lease_s is not None:
        items += lease_options(lease_s)
    items += settings_items(query, subnet)
    items += boot.options
    items += echoes(query, echo_client_id=echo_client_id)
    ciaddr = query.ciaddr if kind is MessageType.ACK else 0
    return reply(query.message, items, yiaddr=yiaddr, ciaddr=ciaddr, boot=boot)


def refuse(query: Query, why: str, *, echo_client_id: bool = True) -> Message:
    """NAK. Through a relay it has to be broadcast to a client whose address is wrong (RFC 2131 §4.3.2)."""
    items: Items = [
        _option(OptionCode.MESSAGE_TYPE, MessageType.NAK),
        _option(OptionCode.SERVER_ID, query.form.server_id),
        _option(OptionCode.MESSAGE, why),
    ]
    if echo_client_id:
        items += _echo(query, OptionCode.CLIENT_ID)
    items += _relay_agent(query)
    flags = FLAG_BROADCAST if query.message.giaddr else query.message.flags
    return reply(query.message, items, flags=flags)


def give_bootp(query: Query, subnet: Subnet, yiaddr: int, boot: BootFields) -> Message:
    """To a client without DHCP (RFC 1534 §2): its boot file is in the header, its 64 bytes of options hold the rest."""
    items: Items = [*settings_items(query, subnet), *_relay_agent(query)]
    return reply(query.message, items, yiaddr=yiaddr, boot=BootFields(boot.siaddr, boot.file))


def reply(
    request: Message,
    items: Items,
    *,
    yiaddr: int = 0,
    ciaddr: int = 0,
    boot: BootFields = NOTHING,
    flags: int | None = None,
) -> Message:
    """The header that answers this request: what identifies the client and its relay is copied, secs and hops are 0."""
    return Message(
        op=BOOTREPLY,
        htype=request.htype,
        hlen=request.hlen,
        hops=0,
        xid=request.xid,
        secs=0,
        flags=request.flags if flags is None else flags,
        ciaddr=ciaddr,
        yiaddr=yiaddr,
        siaddr=boot.siaddr,
        giaddr=request.giaddr,
        chaddr=request.chaddr,
        sname=b"",
        file=boot.file,
        options=Options(items),
    )


def lease_options(lease_s: float) -> Items:
    """Options 51, 58 and 59; T1 and T2 are half and seven eighths of the lease (RFC 2131 §4.4.5)."""
    if lease_s >= INFINITE:
        return [_option(OptionCode.LEASE_TIME, INFINITE)]
    whole = max(int(lease_s), 1)
    return [
        _option(OptionCode.LEASE_TIME, whole),
        _option(OptionCode.T1, whole // 2),
        _option(OptionCode.T2, whole * 7 // 8),
    ]


def echoes(query: Query, *, echo_client_id: bool) -> Items:
    """What a client, or its relay, gets back as it came: GRUB names its configuration by 97, RFC 3011 wants 118 confirmed."""
    codes = (OptionCode.MACHINE_ID, OptionCode.SUBNET_SELECTION)
    return _echo(query, *codes, *((OptionCode.CLIENT_ID,) if echo_client_id else ())) + _relay_agent(query)


def _echo(query: Query, *codes: OptionCode) -> Items:
    """Those of the options that are there and whole: one of a wrong length would make EDK2 throw the answer away."""
    options = query.message.options
    return [(code, options.raw(code) or b"") for code in codes if lenient(options.get, code) is not None]


def _relay_agent(query: Query) -> Items:
    raw = query.message.options.raw(OptionCode.RELAY_AGENT)
    return [] if raw is None else [(OptionCode.RELAY_AGENT, raw)]


def _option(code: OptionCode, value: object) -> tuple[int, bytes]:
    return code, encode(code, value)


def settings_items(query: Query, subnet: Subnet) -> Items:
    """What the client asked for, in its order; all there is when it did not say. The mask always, and before the routers
    (RFC 2132 §3.3): EDK2 declines a lease without it."""
    known: dict[int, object] = {
        OptionCode.ROUTERS: subnet.routers,
        OptionCode.DNS: subnet.dns,
        OptionCode.HOST_NAME: query.host.name if query.host is not None and query.host.configured else "",
        OptionCode.DOMAIN_NAME: subnet.domain,
        OptionCode.BROADCAST: subnet.broadcast if subnet.prefix < 31 else None,
    }
    asked = lenient(query.message.options.numbers, OptionCode.PARAMETER_LIST)
    wanted = known if asked is None else dict.fromkeys(asked)
    return [_option(_MASK, subnet.mask)] + [
        (code, encode(code, value)) for code in wanted if (value := known.get(code)) not in (None, "", ())
    ]
