"""The network's other DHCP server, played from a capture: it gives the addresses where this configuration is a ProxyDHCP server.

It says what was recorded, to whoever asks now: the xid, the hardware address and the relay are those of the question. A recorded server
that gave both addresses and files has its boot fields taken away, for these are what the configuration shall give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pxenet.engine.dhcp.client import boot_client, lenient
from pxenet.model import ClientKind
from pxenet.net.datagram import BROADCAST
from pxenet.replay.recorded import DhcpSaid, Recorded
from pxenet.sim.body import ClientSend, SimDatagram
from pxenet.wire.dhcp import LARGEST_BYTES, Message, parse, serialize
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.reader import WireError

_ANSWERS: dict[int | None, MessageType] = {
    MessageType.DISCOVER: MessageType.OFFER,
    MessageType.REQUEST: MessageType.ACK,
}
_BOOT_OPTIONS = (
    OptionCode.VENDOR_SPECIFIC, OptionCode.VENDOR_CLASS, OptionCode.TFTP_SERVER, OptionCode.BOOT_FILE, OptionCode.IPXE, 150, 209, 210,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OtherServer:
    """One machine's other server."""

    address: int
    replies: tuple[tuple[ClientKind, DhcpSaid], ...]
    """With the kind of client that each was said to."""
    keeps_boot_fields: bool

    def answer(self, send: ClientSend) -> Sequence[SimDatagram]:
        """What it says to a packet of the machine's; nothing to what is none of its business."""
        if send.to_port != 67 or send.to_address not in (BROADCAST, self.address):
            return ()
        try:
            request = parse(send.payload)
            kind = request.message_type
        except WireError:
            return ()
        wanted = _ANSWERS.get(kind)
        chosen = lenient(request.options.address, OptionCode.SERVER_ID)
        if request.op != BOOTREQUEST or wanted is None or chosen not in (None, self.address):
            return ()
        client = boot_client(request).kind
        fitting = [said for to, said in self.replies if said.message.message_type == wanted and to is client]
        fitting += [said for _, said in self.replies if said.message.message_type == wanted]
        if not fitting:
            return ()
        payload = serialize(self._to(request, fitting[0].message), max_size=LARGEST_BYTES)
        return (SimDatagram(payload, self.address, 67, BROADCAST, 68),)

    def _to(self, request: Message, recorded: Message) -> Message:
        reply = replace(
            recorded, xid=request.xid, flags=request.flags, chaddr=request.chaddr, giaddr=request.giaddr, hops=0
        )
        if self.keeps_boot_fields:
            return reply
        return replace(reply, siaddr=0, file=b"", sname=b"", options=reply.options.without(*_BOOT_OPTIONS))


def other_server(recorded: Recorded) -> OtherServer | None:
    """The server that gave the machine its address in the capture; None: none was recorded."""
    kinds = {said.message.xid: boot_client(said.message).kind for said in recorded.requests}
    giving = [said for said in recorded.replies if said.message.yiaddr and said.destination_port != 4011]
    if not giving:
        return None
    servers = {_server(said) for said in recorded.replies}
    address = _server(giving[0])
    replies = tuple(
        (kinds.get(said.message.xid, ClientKind.OTHER), said) for said in giving if _server(said) == address
    )
    return OtherServer(address, replies, keeps_boot_fields=len(servers) > 1)


def _server(said: DhcpSaid) -> int:
    return lenient(said.message.options.address, OptionCode.SERVER_ID) or said.source
