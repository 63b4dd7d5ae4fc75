"""ProxyDHCP: boot files beside another server's addresses.

Answers only what a boot client says to everybody (DISCOVER) or to us as a boot server (port 4011, or a REQUEST with a chosen item
43.71); a REQUEST for another server's address is none of our business. Intel PXE 2.1 as EDK2, iPXE and dnsmasq agree on it; UEFI
HTTP boot. Must not know leases.
"""

from __future__ import annotations

from dataclasses import replace

from pxenet.engine.dhcp.boot import BootFields, boot_server_fields, proxy_fields
from pxenet.engine.dhcp.desk import BOOT_KINDS, Desk, file_detail
from pxenet.engine.dhcp.query import Query
from pxenet.engine.dhcp.reply import Items, echoes, reply
from pxenet.engine.surface import Output, Sighting
from pxenet.model import BootFile
from pxenet.wire.dhcp import FLAG_BROADCAST, Message, serialize
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.options import Options, encode
from pxenet.wire.pxe import DIRECT_BOOT_43, HTTP_CLIENT, PXE, PXE_CLIENT, PxeCode

_CREDENTIALS_WANTED = 0x8000


class ProxyDhcp:
    """The answers of a boot server. Keeps nothing of its clients."""

    __slots__ = ("_desk",)

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def beside(self, query: Query, out: Output) -> None:
        """A message to everybody, on a network where another server gives the addresses."""
        desk = self._desk
        if query.form.kind == MessageType.REQUEST:
            desk.observe(query, out)
        if query.form.kind != MessageType.DISCOVER or not concerns_proxy(query):
            desk.drop("not for a proxy")
            return
        boot = desk.boot_file(query, out, "proxy.silent")
        if boot is None:
            desk.drop("nothing to boot")
            out.sightings.append(Sighting(query.client, 0, "discover"))
            return
        message = offer(query, boot, _tftp_server(query))
        desk.post(
            out, desk.envelope(query, _payload(query, message), routed_as=broadcast(query.message)), "proxy OFFER"
        )
        out.sightings.append(Sighting(query.client, 0, "proxy offer", boot))
        desk.tell(out, query, "proxy.offer", file_detail(boot))

    def boot_server(self, query: Query, out: Output) -> None:
        """A question that :func:`asks_boot_server`, in whatever mode."""
        desk = self._desk
        # UEFI HTTP boot has no boot servers, and an answer of another class than its own would only confuse it.
        if not query.client.vendor_class.startswith(PXE_CLIENT) or wants_credentials(query):
            desk.drop("not for a boot server")
            return
        boot = desk.boot_file(query, out, "proxy.silent")
        if boot is None:
            desk.drop("nothing to boot")
            return
        address = query.ciaddr
        message = answer(query, boot, _tftp_server(query))
        desk.post(out, desk.envelope(query, _payload(query, message), message.yiaddr), "proxy ACK")
        out.sightings.append(Sighting(query.client, address, "proxy 4011", boot))
        detail = {"port": query.datagram.port, **file_detail(boot)}
        desk.tell(out, query, "proxy.answer", detail, address)


def concerns_proxy(query: Query) -> bool:
    """Whether a client says that it understands ProxyDHCP: its class is PXEClient or HTTPClient (iPXE's too)."""
    return query.client.kind in BOOT_KINDS and query.client.vendor_class.startswith((PXE_CLIENT, HTTP_CLIENT))


def asks_boot_server(query: Query, proxy_port: int) -> bool:
    """Whether this is a question to a boot server: not about addresses, whatever mode its network has.

    The broadcast form has a chosen item; without looking at it, it would pass for a REQUEST of a client that rebinds.
    """
    if query.form.kind not in (MessageType.REQUEST, MessageType.INFORM):
        return False
    if query.datagram.port == proxy_port:
        return True
    return query.form.item is not None and query.form.chosen is None and concerns_proxy(query)


def wants_credentials(query: Query) -> bool:
    """Whether the client insists on Boot Integrity Services, which nobody implements: it gets no answer."""
    item = query.form.item
    return item is not None and bool(item.layer & _CREDENTIALS_WANTED)


def offer(query: Query, boot: BootFile, tftp_server: int) -> Message:
    """The answer to DISCOVER: an OFFER without address. Always broadcast, because its receiver has none either."""
    fields = proxy_fields(query.client, boot, tftp_server, query.form.server)
    return reply(
        query.message,
        _items(query, MessageType.OFFER, fields),
        boot=fields,
        flags=query.message.flags | FLAG_BROADCAST,
    )


def answer(query: Query, boot: BootFile, tftp_server: int) -> Message:
    """The answer of a boot server: an ACK with the file, and the chosen item if there was one."""
    chosen = query.message.options.raw(OptionCode.VENDOR_SPECIFIC) if query.form.item is not None else None
    fields = boot_server_fields(boot, tftp_server, DIRECT_BOOT_43 if chosen is None else _chosen_43(query))
    request = query.message
    # As dnsmasq does, with which both EDK2 and iPXE were seen to boot: the address comes back only to a chosen item.
    addresses = (0, request.ciaddr) if chosen is None else (request.ciaddr, 0)
    return reply(request, _items(query, MessageType.ACK, fields), yiaddr=addresses[0], ciaddr=addresses[1], boot=fields)


def _chosen_43(query: Query) -> bytes:
    item = query.form.item
    if item is None:
        return DIRECT_BOOT_43
    return Options.build({PxeCode.BOOT_ITEM: item}, PXE).serialize()


def broadcast(request: Message) -> Message:
    """The request as if it had set the broadcast flag: how a proxy's offer is routed."""
    return replace(request, flags=request.flags | FLAG_BROADCAST)


def _items(query: Query, kind: MessageType, fields: BootFields) -> Items:
    return [
        (OptionCode.MESSAGE_TYPE, encode(OptionCode.MESSAGE_TYPE, kind)),
        (OptionCode.SERVER_ID, encode(OptionCode.SERVER_ID, query.form.server_id)),
        *fields.options,
        *echoes(query, echo_client_id=False),
    ]


def _payload(query: Query, message: Message) -> bytes:
    return serialize(message, max_size=query.form.payload_bytes)


def _tftp_server(query: Query) -> int:
    configured = query.link[0].subnet.next_server if query.link else None
    return configured or query.form.server
