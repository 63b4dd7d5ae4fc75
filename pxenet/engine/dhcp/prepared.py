"""Answers from prepared pieces: what depends on the form of a request and on the decision is written once, not for each machine.

Fast path beside ``reply.give`` and ``wire.dhcp.serialize``, to which it must be equal byte for byte. Pieces are kept in the form of the
request, a bounded number of them, under all that they depend on. Must not know why an answer is given.
"""

from __future__ import annotations

import struct

from pxenet.engine.dhcp.boot import NOTHING, BootFields, server_fields
from pxenet.engine.dhcp.query import Pieces, Query
from pxenet.engine.dhcp.reply import Items, give, settings_items
from pxenet.engine.dhcp.subnet import ServedSubnet
from pxenet.model import BootFile
from pxenet.wire.dhcp import COOKIE, MIN_BYTES, serialize
from pxenet.wire.iana import BOOTREPLY, INFINITE, MessageType, OptionCode
from pxenet.wire.options import END, Options, split

# op, htype and hlen, hops 0, xid, secs 0, flags, ciaddr, yiaddr, siaddr, giaddr and chaddr
_HEAD = struct.Struct("!B 2s x 4s 2x 2s III 20s")
_OPTIONS_AT = 240

# Options 51, 58 and 59: code, length, seconds.
_TIMES = struct.Struct("!BBI BBI BBI")
_LEASE_TIME, _T1, _T2 = int(OptionCode.LEASE_TIME), int(OptionCode.T1), int(OptionCode.T2)
_FOR_EVER = bytes((_LEASE_TIME, 4)) + INFINITE.to_bytes(4, "big")

_FRONT_BYTES = 9  # options 53 and 54
_MACHINE_ID_BYTES = 17
_MACHINE_ID = bytes((OptionCode.MACHINE_ID, _MACHINE_ID_BYTES))
_LONGEST = 255
_END = bytes((END,))

KEPT = 64
"""Pieces in one form: a few decisions at a time, each with the names of reserved hosts at most."""


def write(
    query: Query,
    kind: MessageType,
    served: ServedSubnet,
    yiaddr: int,
    lease_s: float | None,
    boot: BootFile | None,
    *,
    echo_client_id: bool,
) -> bytes:
    """The UDP payload of an OFFER or ACK as ``reply.give`` describes it; ``boot`` None: nothing is said about booting."""
    form, data = query.form, query.datagram.data
    host = query.host
    name = host.name if host is not None and host.configured else None
    key = kind, served, name, query.client.raspberry, boot
    pieces = form.prepared.get(key)
    if pieces is None:
        if len(form.prepared) >= KEPT:
            form.prepared.clear()
        pieces = form.prepared[key] = _pieces(query, kind, served, boot)
    own = _own(query, echo_client_id=echo_client_id)
    times = b"" if lease_s is None else _times(lease_s)
    size = _OPTIONS_AT + _FRONT_BYTES + len(times) + len(pieces.settings) + len(own)
    if not own or size > form.payload_bytes:  # what is split or left out, the plain path knows
        fields = boot_fields(query, served, boot)
        message = give(query, kind, served.subnet, yiaddr, lease_s, fields, echo_client_id=echo_client_id)
        return serialize(message, max_size=form.payload_bytes)
    ciaddr = query.ciaddr if kind is MessageType.ACK else 0
    head = _HEAD.pack(BOOTREPLY, data[1:3], data[4:8], data[10:12], ciaddr, yiaddr, pieces.siaddr, data[24:44])
    return b"".join((head, pieces.behind_head, times, pieces.settings, own, bytes(max(MIN_BYTES - size, 0))))


def boot_fields(query: Query, served: ServedSubnet, boot: BootFile | None) -> BootFields:
    """How an answer says what the client boots; no fields when nothing."""
    if boot is None:
        return NOTHING
    return server_fields(query.client, boot, served.subnet.next_server or query.form.server)


def _pieces(query: Query, kind: MessageType, served: ServedSubnet, boot: BootFile | None) -> Pieces:
    fields = boot_fields(query, served, boot)
    front = _written(
        [(OptionCode.MESSAGE_TYPE, bytes((kind,))), (OptionCode.SERVER_ID, _address(query.form.server_id))]
    )
    return Pieces(
        fields.siaddr,
        bytes(64) + fields.file.ljust(128, b"\0") + COOKIE + front,
        _written([*settings_items(query, served.subnet), *fields.options]),
    )


def _written(items: Items) -> bytes:
    return b"".join(tlv for code, raw in Options(items) for tlv in split(code, raw))


def _address(address: int) -> bytes:
    return address.to_bytes(4, "big")


def _times(lease_s: float) -> bytes:
    """Options 51, 58 and 59, as ``reply.lease_options`` has them."""
    if lease_s >= INFINITE:
        return _FOR_EVER
    whole = max(int(lease_s), 1)
    return _TIMES.pack(_LEASE_TIME, 4, whole, _T1, 4, whole // 2, _T2, 4, whole * 7 // 8)


def _own(query: Query, *, echo_client_id: bool) -> bytes:
    """What a machine or its relay gets back as it came (``reply.echoes``), and the end. Empty: an option is too long for one piece."""
    form, own = query.form, b""
    if (raw := query.machine_id) is not None and len(raw) == _MACHINE_ID_BYTES and raw[0] == 0:
        own = _MACHINE_ID + raw
    own += form.selection
    if echo_client_id and (raw := query.client_id) is not None and len(raw) >= 2:
        if len(raw) > _LONGEST:
            return b""
        own += bytes((OptionCode.CLIENT_ID, len(raw))) + raw
    if (raw := query.relay_agent) is not None:
        if len(raw) > _LONGEST:
            return b""
        own += bytes((OptionCode.RELAY_AGENT, len(raw))) + raw
    return own + _END
