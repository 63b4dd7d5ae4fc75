"""One request, with everything that deciding about it needs: who asks, on which network, and what for.

Knows RFC 2131 §4.3.2's ways to tell the kinds of REQUEST apart; must not know leases. What it computes does not change afterwards.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pxenet.engine.dhcp.client import lenient
from pxenet.engine.dhcp.lease import CLIENT_ID_FORM
from pxenet.engine.dhcp.subnet import DhcpMode, Link
from pxenet.model import BootClient, Host
from pxenet.net.datagram import Datagram
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import OptionCode
from pxenet.wire.options import Options
from pxenet.wire.pxe import PXE, BootItem, PxeCode
from pxenet.wire.reader import WireError
from pxenet.wire.relay import FLAG_UNICAST, RELAY, RelayCode


class Stage(enum.Enum):
    """In which state of RFC 2131 figure 5 a client sends its REQUEST. The values are for people."""

    SELECTING = "selecting"
    INIT_REBOOT = "init-reboot"
    RENEWING = "renewing"
    REBINDING = "rebinding"


@dataclass(frozen=True, slots=True)
class Relayed:
    """What a relay agent says that changes our answer (option 82)."""

    link: int | None = None
    """The client's network, where giaddr is not on it (RFC 3527)."""
    server_id: int | None = None
    """What the client shall take for our address (RFC 5107)."""
    source_port: bool = False
    """The relay wants the reply at the port it asked from (RFC 8357)."""
    unicast: bool = False
    """The client had sent to a unicast address (RFC 5010)."""


_NOT_RELAYED = Relayed()


@dataclass(slots=True)
class Query:
    """A request and its surroundings."""

    message: Message
    kind: int | None
    """Option 53; None: BOOTP."""
    datagram: Datagram
    relayed: Relayed
    client: BootClient
    identity: bytes
    """Its key among the leases: htype + chaddr, or 0xff + option 61."""
    link: Link
    """The subnets of its network, all of the same mode; empty when none is configured."""
    beside: Link
    """What else is on that wire, in other modes: those addresses are neither ours to give nor to refuse."""
    mode: DhcpMode
    """What we are to that network."""
    server: int
    """The address of ours that it can reach."""
    via: int
    """By which address its network was chosen, for people: a relay, or ours."""
    host: Host | None
    requested: int | None
    """Option 50."""
    chosen: int | None
    """Option 54."""
    now: float

    @property
    def server_id(self) -> int:
        """Option 54 of our answers."""
        return self.relayed.server_id or self.server

    @property
    def authoritative(self) -> bool:
        """Whether we are said to be the only server of this network."""
        return bool(self.link) and self.link[0].subnet.authoritative


def relayed_of(options: Options) -> Relayed:
    """Option 82's content, as far as it is not damaged; it is echoed as it came in any case."""
    if OptionCode.RELAY_AGENT not in options:
        return _NOT_RELAYED
    inside, _ = Options.parse_damaged(options.raw(OptionCode.RELAY_AGENT) or b"", RELAY)
    return Relayed(
        link=lenient(inside.address, RelayCode.LINK_SELECTION),
        server_id=lenient(inside.address, RelayCode.SERVER_ID_OVERRIDE),
        source_port=RelayCode.SOURCE_PORT in inside,
        unicast=bool((lenient(inside.number, RelayCode.FLAGS) or 0) & FLAG_UNICAST),
    )


def identity_of(message: Message, *, match_client_id: bool) -> bytes:
    """A client's key; empty when it shows neither a hardware address nor an identifier.

    Firmware, boot loader and system of one machine send different option 61s but the same chaddr: by default that is the key.
    """
    client_id = message.options.raw(OptionCode.CLIENT_ID) or b""
    if len(client_id) >= 2 and (match_client_id or not message.hardware):
        return CLIENT_ID_FORM + client_id
    return bytes((message.htype,)) + message.hardware if message.hardware else b""


def network_of(message: Message, relayed: Relayed) -> int:
    """The address that says on which network a client is, 0 for the wire the packet came in by."""
    selection = relayed.link or lenient(message.options.address, OptionCode.SUBNET_SELECTION)
    return selection or message.giaddr


def request_of(message: Message, *, broadcast: bool) -> tuple[Stage, int] | None:
    """The stage of a REQUEST and the address it wants; None when it wants none.

    Tolerated: 54 beside ciaddr, 50 in a renewal (some clients fill in everything they know).
    """
    options = message.options
    requested = lenient(options.address, OptionCode.REQUESTED_ADDRESS)
    if lenient(options.address, OptionCode.SERVER_ID) is not None:
        wanted = requested or message.ciaddr
        return (Stage.SELECTING, wanted) if wanted else None
    if message.ciaddr:
        return (Stage.REBINDING if broadcast else Stage.RENEWING), message.ciaddr
    return (Stage.INIT_REBOOT, requested) if requested else None


def boot_item(message: Message) -> BootItem | None:
    """The boot server type that a PXE client has chosen (43.71), or None."""
    try:
        inside = message.options.encapsulated(OptionCode.VENDOR_SPECIFIC, PXE)
        return None if inside is None else inside.record(PxeCode.BOOT_ITEM, BootItem)
    except WireError:
        return None
