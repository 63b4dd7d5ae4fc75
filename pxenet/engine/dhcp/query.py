"""One request, with everything that deciding about it needs: who asks, on which network, and what for.

Knows RFC 2131 §4.3.2's ways to tell the kinds of REQUEST apart; must not know leases. What it computes does not change afterwards.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from pxenet.engine.dhcp.client import lenient
from pxenet.engine.dhcp.lease import CLIENT_ID_FORM
from pxenet.engine.dhcp.subnet import DhcpMode, Link, ServedSubnet
from pxenet.model import BootClient, BootFile, Host
from pxenet.net.datagram import Datagram
from pxenet.wire.dhcp import Message, parse
from pxenet.wire.iana import OptionCode
from pxenet.wire.options import Options
from pxenet.wire.pxe import PXE, BootItem, PxeCode
from pxenet.wire.reader import WireError
from pxenet.wire.relay import FLAG_UNICAST, RELAY, RelayCode
from pxenet.wire.shapes import text_in


class Stage(enum.Enum):
    """In which state of RFC 2131 figure 5 a client sends its REQUEST. The values are for people."""

    SELECTING = "selecting"
    INIT_REBOOT = "init-reboot"
    RENEWING = "renewing"
    REBINDING = "rebinding"


class By(enum.Enum):
    """What tells on which network a client is. The values are for people."""

    LINK_SELECTION = "its relay names that link"  # RFC 3527
    SUBNET_SELECTION = "it names that subnet itself"  # RFC 3011
    RELAY = "its relay has that address"  # RFC 2131 §4.3.1
    CLIENT = "it asks from its own address"
    INTERFACE = "it is on the wire of this interface"


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
class Pieces:
    """An answer without what is each machine's own."""

    siaddr: int
    behind_head: bytes
    """``sname``, ``file`` and the cookie, then options 53 and 54."""
    settings: bytes
    """What follows the lease times: settings and boot file."""


PiecesKey = tuple[int, ServedSubnet, str | None, bool, BootFile | None]
"""Kind of the answer, subnet, name of the configured host, whether a Raspberry Pi asks, and what it boots."""


@dataclass(slots=True, eq=False)
class Form:
    """What requests alike have in common: all but the machine's own. Two packets of one form are told apart by who sends them."""

    kind: int | None
    """Option 53; None: BOOTP."""
    name: str
    """The same, for people: "DISCOVER"."""
    relayed: Relayed
    giaddr: int
    client: BootClient
    """The machine, as far as its form tells: without hardware address and machine id."""
    asks_43: bool
    """It wants option 43: with that, the hardware address alone tells a Raspberry Pi."""
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
    by: By
    """What told its network."""
    chosen: int | None
    """Option 54."""
    item: BootItem | None
    """The boot server type that it has chosen (43.71)."""
    lease_s: int | None
    """Option 51."""
    selection: bytes
    """Option 118 whole, with code and length, to be confirmed; empty when it is absent or malformed."""
    payload_bytes: int
    """How long an answer may be."""
    relay: bytes = b""
    """The relay as a peer, once somebody was answered through it."""
    prepared: dict[PiecesKey, Pieces] = field(default_factory=dict)
    """Pieces of answers, kept here by ``prepared``."""

    @property
    def server_id(self) -> int:
        """Option 54 of our answers."""
        return self.relayed.server_id or self.server

    @property
    def authoritative(self) -> bool:
        """Whether we are said to be the only server of this network."""
        return bool(self.link) and self.link[0].subnet.authoritative


@dataclass(slots=True)
class Query:
    """A request and its surroundings."""

    form: Form
    datagram: Datagram
    client: BootClient
    identity: bytes
    """Its key among the leases: htype + chaddr, or 0xff + option 61."""
    link: Link
    """As in its form."""
    host: Host | None
    xid: int
    ciaddr: int
    """0 also where a client leaves an address there that it does not have."""
    requested: int | None
    """Option 50."""
    host_name: bytes | None
    """Option 12, as it came."""
    client_id: bytes | None
    """Option 61, as it came."""
    machine_id: bytes | None
    """Option 97, as it came."""
    relay_agent: bytes | None
    """Option 82, as it came."""
    now: float
    parsed: Message | None = None

    @property
    def message(self) -> Message:
        """The whole request, parsed when somebody first asks."""
        if self.parsed is None:
            self.parsed = parse(self.datagram.data)
        return self.parsed


def relayed_of(raw: bytes | None) -> Relayed:
    """Option 82's content, as far as it is not damaged; it is echoed as it came in any case."""
    if raw is None:
        return _NOT_RELAYED
    inside, _ = Options.parse_damaged(raw, RELAY)
    return Relayed(
        link=lenient(inside.address, RelayCode.LINK_SELECTION),
        server_id=lenient(inside.address, RelayCode.SERVER_ID_OVERRIDE),
        source_port=RelayCode.SOURCE_PORT in inside,
        unicast=bool((lenient(inside.number, RelayCode.FLAGS) or 0) & FLAG_UNICAST),
    )


def identity_of(htype: int, hardware: bytes, client_id: bytes | None, *, match_client_id: bool) -> bytes:
    """A client's key; empty when it shows neither a hardware address nor an identifier.

    Firmware, boot loader and system of one machine send different option 61s but the same chaddr: by default that is the key.
    """
    if client_id is not None and len(client_id) >= 2 and (match_client_id or not hardware):
        return CLIENT_ID_FORM + client_id
    return bytes((htype,)) + hardware if hardware else b""


def network_of(message: Message, relayed: Relayed) -> tuple[int, By]:
    """The address that says on which network a client is, and who says so; 0 for the wire the packet came in by."""
    if relayed.link:
        return relayed.link, By.LINK_SELECTION
    if selection := lenient(message.options.address, OptionCode.SUBNET_SELECTION):
        return selection, By.SUBNET_SELECTION
    return (message.giaddr, By.RELAY) if message.giaddr else (0, By.INTERFACE)


def text_of(raw: bytes | None) -> str:
    """A text option as people read it; empty when it is absent or malformed."""
    try:
        return "" if raw is None else text_in(raw)
    except WireError:
        return ""


def request_of(query: Query, *, broadcast: bool) -> tuple[Stage, int] | None:
    """The stage of a REQUEST and the address it wants; None when it wants none.

    Tolerated: 54 beside ciaddr, 50 in a renewal (some clients fill in everything they know).
    """
    if query.form.chosen is not None:
        wanted = query.requested or query.ciaddr
        return (Stage.SELECTING, wanted) if wanted else None
    if query.ciaddr:
        return (Stage.REBINDING if broadcast else Stage.RENEWING), query.ciaddr
    return (Stage.INIT_REBOOT, query.requested) if query.requested else None


def boot_item(message: Message) -> BootItem | None:
    """The boot server type that a PXE client has chosen (43.71), or None."""
    try:
        inside = message.options.encapsulated(OptionCode.VENDOR_SPECIFIC, PXE)
        return None if inside is None else inside.record(PxeCode.BOOT_ITEM, BootItem)
    except WireError:
        return None
