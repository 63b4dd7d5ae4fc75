"""Saying and hearing DHCP as a client: messages out of a voice, through a relay where there is one, and replies that are for us.

Knows the layout of a client's messages and which replies belong to an exchange (RFC 2131 §4.4). Which offer is taken is each
client's own way: ``edk2``, ``ipxe``, ``lease``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pxenet.net.datagram import BROADCAST
from pxenet.sim.body import MAX_REPLIES, Body, Heard, SimDatagram
from pxenet.sim.voices import Fill, Voice, Words
from pxenet.wire.dhcp import LARGEST_BYTES, Message, parse, serialize
from pxenet.wire.iana import BOOTREPLY, BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.reader import WireError
from pxenet.wire.relay import RelayCode

SERVER_PORT, CLIENT_PORT, BINL_PORT = 67, 68, 4011


@dataclass(frozen=True, slots=True)
class Loads:
    """What is to be fetched: a name by TFTP from a server, or (server 0) a URL."""

    server: int
    name: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A DHCP reply, with the bytes it came in and who sent it."""

    message: Message
    payload: bytes
    from_address: int
    from_port: int

    @property
    def type(self) -> int:
        """Option 53; 0: BOOTP, or damaged."""
        return self.message.message_type or 0

    def raw(self, code: int) -> bytes:
        """An option's bytes; empty when absent."""
        return self.message.options.raw(code) or b""

    def text(self, code: int) -> str:
        """An option as text up to the first NUL; empty when absent."""
        return self.raw(code).partition(b"\0")[0].decode("utf-8", "replace")

    def address(self, code: int) -> int:
        """An option's first four octets as an address; 0 when absent."""
        return int.from_bytes(self.raw(code)[:4], "big")

    @property
    def server_id(self) -> int:
        return self.address(OptionCode.SERVER_ID)

    @property
    def file(self) -> str:
        """``file`` as a client that knows overload reads it."""
        return self.message.boot_file

    @property
    def header_file(self) -> str:
        """``file`` as a client that does not know overload reads it."""
        return self.payload[108:236].partition(b"\0")[0].decode("latin-1")

    @property
    def is_pxe(self) -> bool:
        return self.raw(OptionCode.VENDOR_CLASS).startswith(b"PXEClient")


@dataclass(slots=True)
class Exchange:
    """One conversation: what stays the same in all its messages."""

    voice: Voice
    xid: int
    server: int = 0
    requested: int = 0
    ciaddr: int = 0


def begin(body: Body, voice: Voice) -> Exchange:
    """A new conversation with a random xid."""
    return Exchange(voice, body.random.getrandbits(32))


def compose(
    body: Body, exchange: Exchange, kind: MessageType, words: Words, secs: int, flags: int | None = None
) -> Message:
    """A client's message."""
    fills: dict[Fill, bytes] = {
        Fill.TYPE: bytes((kind,)),
        Fill.CLIENT_ID: b"\1" + body.mac,
        Fill.MACHINE_ID: b"\0" + body.uuid,
        Fill.SERVER_ID: exchange.server.to_bytes(4, "big"),
        Fill.RASPBERRY_ID: b"\0RPi4\x00\xc0\x31\x12" + body.mac[-4:] + body.mac[-4:],
        Fill.REQUESTED: exchange.requested.to_bytes(4, "big"),
    }
    return Message(
        op=BOOTREQUEST,
        xid=exchange.xid,
        secs=secs & 0xFFFF,
        flags=exchange.voice.flags if flags is None else flags,
        ciaddr=exchange.ciaddr,
        chaddr=body.mac.ljust(16, b"\0"),
        options=Options((code, fills[value] if isinstance(value, Fill) else value) for code, value in words),
    )


def say(body: Body, exchange: Exchange, kind: MessageType, words: Words, secs: int = 0) -> None:
    """Broadcast a DISCOVER or REQUEST, or hand it to the relay."""
    message = compose(body, exchange, kind, words, secs)
    min_bytes = exchange.voice.min_bytes
    relay = body.relay
    if relay is None:
        payload = serialize(message, max_size=LARGEST_BYTES, min_size=min_bytes)
        body.send(payload, BROADCAST, SERVER_PORT, CLIENT_PORT)
        return
    inside: dict[int, bytes] = {RelayCode.CIRCUIT_ID: relay.circuit_id} if relay.circuit_id else {}
    if relay.port:
        inside[RelayCode.SOURCE_PORT] = b""
    options = message.options
    if relay.agent_information:
        options = options.with_({OptionCode.RELAY_AGENT: relay.agent_information})
    elif inside:
        value = b"".join(bytes((code, len(raw))) + raw for code, raw in inside.items())
        options = options.with_({OptionCode.RELAY_AGENT: value})
    relayed = replace(message, hops=1, giaddr=relay.address, options=options)
    payload = serialize(relayed, max_size=LARGEST_BYTES, min_size=min_bytes)
    body.send(payload, relay.server, relay.server_port, relay.port or SERVER_PORT)


def say_to(body: Body, exchange: Exchange, server: int, port: int, from_port: int, message: Message) -> None:
    """Unicast a message to a server: boot servers on port 4011, renewals."""
    payload = serialize(message, max_size=LARGEST_BYTES, min_size=exchange.voice.min_bytes)
    body.send(payload, server, port, from_port)


def hear(body: Body, exchange: Exchange, heard: Heard) -> Reply | None:
    """The reply in what was heard, if it is one to this conversation: op, xid and chaddr agree."""
    if not isinstance(heard, SimDatagram):
        return None
    try:
        message = parse(heard.payload)
        kind = message.message_type
    except WireError:
        return None
    if (
        message.op != BOOTREPLY
        or message.xid != exchange.xid
        or message.hardware != body.mac
        or kind == MessageType.DISCOVER
    ):
        return None
    reply = Reply(message, heard.payload, heard.from_address, heard.from_port)
    if len(body.replies) < MAX_REPLIES:
        body.replies.append((body.now, exchange.voice.name, reply))
    return reply


def take_lease(body: Body, ack: Reply) -> None:
    """The machine has an address now."""
    body.address = ack.message.yiaddr
    body.netmask = ack.address(OptionCode.SUBNET_MASK)
    body.router = ack.address(OptionCode.ROUTERS)
