"""What a capture shows, as values: boots, and in each the steps by which a machine came up. The data model that others build on.

    Capture        began_at_ns, boots, damage, counts              what ``dissect.read`` gives
    Boot           hardware, steps, fingerprints, leases …         one machine from one power-on to the next
    Step           DhcpStep | ArpStep | Transfer | HttpRequest     in order of time, each with ``ref``, ``at_ns`` and ``packet``
    PacketRef      number, at_ns, interface                        where in the capture: "packet 12"
    Gap            kind, first, count                              what is missing, and why we think so
    Waits          count, total_ns, longest_ns                     how long one side let the other wait
    Fingerprint    family, name, role, evidence                    what program spoke, and how that is known
    Lease          address, server, lasts_s, ref, who              an address that the machine was given
    Damage         packet, offset, reason                          a packet, or the rest of a file, that could not be read

Times are integer nanoseconds since the epoch, as the recorder wrote them. All values are frozen; tuples are in order of time.
Knows no files and no codec but the values of ``wire``; must not know how they are found (``dissect``) or printed (``text``).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pxenet.capture.frames import Packet
from pxenet.wire import dhcp, tftp

_S = TypeVar("_S", bound="DhcpStep | ArpStep | Transfer | HttpRequest")


@dataclass(frozen=True, slots=True)
class PacketRef:
    """A packet's place in the capture."""

    number: int
    """From 1, over the whole file: as tcpdump and Wireshark count."""
    at_ns: int
    """Since the epoch."""
    interface: int = 0
    """Which of the capture's interfaces (pcapng has several), from 0."""

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.at_ns / 1e9


class Missing(enum.Enum):
    """Why something is not in the capture."""

    NOT_RECORDED = "not recorded"
    """The recorder left it out: both sides go on as if it had arrived (trimmed captures, a recorder that was too slow)."""
    LOST = "lost"
    """It was sent again: the first copy did not arrive."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch that is missing: of TFTP blocks, or of the bytes of an HTTP message."""

    kind: Missing
    first: int
    """The first missing block (counted from 1, without rollover), or byte (from 0, of head and body together)."""
    count: int
    """How many blocks or bytes."""
    after: PacketRef
    """The last packet in front of it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long one side took to answer, over a transfer; stretches with a gap in them do not count."""

    count: int = 0
    total_ns: int = 0
    longest_ns: int = 0


@dataclass(frozen=True, slots=True)
class DhcpStep:
    """One DHCP message, from the machine (``message.op`` 1) or to it (2)."""

    ref: PacketRef
    packet: Packet
    message: dhcp.Message

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.ref.at

    @property
    def from_client(self) -> bool:
        """The machine said it, or a relay for it."""
        return self.message.op == 1


@dataclass(frozen=True, slots=True)
class DhcpExchange:
    """All messages of one xid: what a client asked and what each server answered. RFC 2131 §4.4."""

    xid: int
    steps: tuple[DhcpStep, ...]

    @property
    def servers(self) -> tuple[int, ...]:
        """Addresses of those who answered, in order: option 54, else where the packet came from."""
        found: dict[int, None] = {}
        for step in self.steps:
            if not step.from_client:
                found.setdefault(server_of(step))
        return tuple(found)

    @property
    def relayed(self) -> bool:
        """It went through a relay agent (giaddr is set)."""
        return any(step.message.giaddr for step in self.steps)


@dataclass(frozen=True, slots=True)
class ArpStep:
    """One ARP packet in which the machine took part. RFC 826, 5227."""

    ref: PacketRef
    packet: Packet
    """Without ports and payload; its addresses are ARP's own."""
    request: bool
    """Who has ``packet.destination``? Otherwise a reply."""
    count: int = 1
    """How often it was said, with nothing else between."""

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.ref.at

    @property
    def announces(self) -> bool:
        """It tells others of the sender's own address (RFC 5227 §3)."""
        return self.packet.source == self.packet.destination

    @property
    def probes(self) -> bool:
        """It asks whether somebody has the address that the sender was given (RFC 5227 §2.1.1)."""
        return self.request and self.packet.source == 0


class Outcome(enum.Enum):
    """How a transfer ended."""

    COMPLETE = "complete"
    """The last block was acknowledged; or, where that was not recorded, both sides went on as if it had been."""
    REFUSED = "refused"
    """The server answered with ERROR."""
    ABORTED = "aborted by the client"
    """The client sent ERROR: size and existence probes end so."""
    FAILED = "ended by the server"
    """The server sent ERROR after it had begun."""
    UNANSWERED = "unanswered"
    UNFINISHED = "unfinished"
    """It stops before its end: given up, cut off by a reboot, or the capture ends there."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One TFTP request and all that came of it. RFC 1350, 2347, 2348, 2349, 7440."""

    ref: PacketRef
    packet: Packet
    """The datagram of the request."""
    request: tftp.Request
    answer: tftp.Packet | None = None
    """The first packet that came back: OACK, ERROR, the first DATA (or ACK 0 of a WRQ); None: nothing did."""
    answer_ref: PacketRef | None = None
    abort: tftp.Error | None = None
    """The client ended it by itself (EDK2 asks the size in this way)."""
    failure: tftp.Error | None = None
    """The server ended it after it had begun."""
    outcome: Outcome = Outcome.UNANSWERED
    tid: int = 0
    """The server's port for this transfer; 0 when nothing came back."""
    blksize: int = 512
    """As agreed on."""
    windowsize: int = 1
    """As agreed on."""
    blocks: int = 0
    """The highest block sent, without rollover: whether each was recorded or not."""
    recorded_bytes: int = 0
    """Payload of the blocks in the capture, each counted once, by their length on the wire."""
    size: int | None = None
    """Of the file in octets: tsize, or what the last block says."""
    retransmissions: int = 0
    """Blocks seen again."""
    repeated_acks: int = 0
    """ACKs that say nothing new."""
    repeated_requests: int = 0
    """The same request from the same port before anything was acknowledged."""
    stalled_ns: int = 0
    """Silence in front of what was sent again: time that losses, or somebody's impatience, cost."""
    gaps: tuple[Gap, ...] = ()
    client_waits: Waits = Waits()
    """From a block (the last of a window) to its ACK; from an OACK to what the client says to it."""
    server_waits: Waits = Waits()
    """From the request or an ACK to the next block."""
    ended: PacketRef | None = None
    """Its last packet."""
    content: bytes | None = None
    """The file, when it is small (64 KiB) and wholly recorded."""

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.ref.at

    @property
    def lasted_ns(self) -> int:
        """From the request to its last packet."""
        return self.ended.at_ns - self.ref.at_ns if self.ended else 0

    @property
    def complete(self) -> bool:
        """Its end was reached."""
        return self.outcome is Outcome.COMPLETE

    @property
    def lost(self) -> int:
        """Blocks whose first copy is missing though a later one came."""
        return sum(gap.count for gap in self.gaps if gap.kind is Missing.LOST)

    @property
    def not_recorded(self) -> int:
        """Blocks that the recorder left out."""
        return sum(gap.count for gap in self.gaps if gap.kind is Missing.NOT_RECORDED)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request and its response. RFC 9112."""

    ref: PacketRef
    packet: Packet
    """The segment in which the head ended."""
    head: bytes
    """Request line and headers, with the empty line behind them; without it when the recorder cut them short."""
    response: bytes = b""
    """Status line and headers, with the empty line; empty when none was captured, without its end (which then counts as
    body) when the recorder cut it short."""
    response_ref: PacketRef | None = None
    """Where the response began."""
    size: int | None = None
    """Of the response's body, as its head says; None: it does not (chunked, or until the connection closes)."""
    sent_bytes: int = 0
    """Of the response's body, as far as the server went: recorded or not, each byte once."""
    recorded_bytes: int = 0
    """Of the response's body, what is in the capture."""
    request_size: int = 0
    """Of the request's body."""
    retransmissions: int = 0
    """Segments of the response that say nothing new."""
    gaps: tuple[Gap, ...] = ()
    """In the response."""
    ended: PacketRef | None = None
    """The last packet with a byte of the response."""
    content: bytes | None = None
    """The response's body, when it is small (64 KiB) and wholly recorded; chunks taken apart."""
    upload: bytes | None = None
    """The request's body, likewise."""

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.ref.at

    @property
    def request_line(self) -> str:
        """``GET /ks.cfg HTTP/1.1``."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self) -> str:
        """``GET``."""
        return self.request_line.partition(" ")[0]

    @property
    def target(self) -> str:
        """``/ks.cfg``; a whole URL where a proxy is asked."""
        return self.request_line.partition(" ")[2].rpartition(" ")[0]

    @property
    def status(self) -> bytes:
        """``HTTP/1.1 200 OK``; empty when no response was captured."""
        return self.response.partition(b"\r\n")[0]

    @property
    def status_code(self) -> int | None:
        """200; None without a response, or when its first line has no number."""
        words = self.status.split()
        return int(words[1]) if len(words) > 1 and len(words[1]) == 3 and words[1].isdigit() else None

    @property
    def complete(self) -> bool:
        """The whole response was sent, recorded or not."""
        if self.method == "HEAD" or self.status_code in (204, 304):
            return bool(self.response)
        return bool(self.response) and (self.size is None or self.sent_bytes >= self.size)

    @property
    def lasted_ns(self) -> int:
        """From the end of the request's head to the last packet of the response."""
        return self.ended.at_ns - self.ref.at_ns if self.ended else 0

    def header(self, name: str) -> str | None:
        """The first header of the request by this name, whatever its case."""
        return header(self.head, name)

    def response_header(self, name: str) -> str | None:
        """The first header of the response by this name, whatever its case."""
        return header(self.response, name)


Step = DhcpStep | ArpStep | Transfer | HttpRequest


class Role(enum.Enum):
    """What a program is in the life of a machine; ordered by ``rank``."""

    FIRMWARE = "firmware"
    LOADER = "loader"
    SYSTEM = "system"

    @property
    def rank(self) -> int:
        """0 firmware, 1 loader, 2 system: a step down is a power-on."""
        return _RANKS[self]


_RANKS = {Role.FIRMWARE: 0, Role.LOADER: 1, Role.SYSTEM: 2}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing seen that says which program speaks."""

    packet: int
    """Number of the packet."""
    text: str
    """``option 60 'PXEClient:Arch:00007:UNDI:003000'``."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A program that took part in the boot."""

    family: str
    """Short and stable: ``edk2-pxe``, ``edk2-http``, ``ipxe``, ``pxelinux``, ``grub`` … (``fingerprints.FAMILIES``)."""
    name: str
    """For people: ``EDK2 PXE``."""
    role: Role
    evidence: tuple[Evidence, ...]
    architecture: int | None = None
    """Option 93, where it was sent."""


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a server acknowledged. The first is the firmware's, later ones the loader's and the system's."""

    address: int
    server: int
    lasts_s: int | None
    """Option 51; None: BOOTP, or not said."""
    ref: PacketRef
    """The ACK."""
    who: str
    """Family of the client that asked; empty when it gave no hint."""


@dataclass(frozen=True, slots=True)
class Boot:
    """All that one machine did from one power-on to the next."""

    hardware: bytes
    """Its hardware address; empty when only an address behind a router is known of it."""
    steps: tuple[Step, ...]
    uuid: bytes | None = None
    """Option 97, as on the wire; None when not sent, or a filler that names no machine."""
    addresses: tuple[int, ...] = ()
    """IPv4 addresses that it was given or used, in order."""
    fingerprints: tuple[Fingerprint, ...] = ()
    """In order of their first evidence."""
    leases: tuple[Lease, ...] = ()
    other_hardware: tuple[bytes, ...] = ()
    """Network cards of the same machine (by UUID) that it tried as well."""
    power_on: int = 1
    """Which boot of this machine in the capture this is, from 1."""
    dropped_steps: int = 0
    """Steps beyond the bound of what is kept of one boot."""

    @property
    def began_at_ns(self) -> int:
        """Time of its first step."""
        return self.steps[0].ref.at_ns

    @property
    def dhcp(self) -> tuple[DhcpStep, ...]:
        """Its DHCP messages, both ways."""
        return tuple(self._of(DhcpStep))

    @property
    def tftp(self) -> tuple[Transfer, ...]:
        """Its TFTP requests."""
        return tuple(self._of(Transfer))

    @property
    def http(self) -> tuple[HttpRequest, ...]:
        """Its HTTP requests."""
        return tuple(self._of(HttpRequest))

    @property
    def arp(self) -> tuple[ArpStep, ...]:
        """Its ARP packets."""
        return tuple(self._of(ArpStep))

    @property
    def exchanges(self) -> tuple[DhcpExchange, ...]:
        """Its DHCP messages by xid, in order of the first one."""
        found: dict[int, list[DhcpStep]] = {}
        for step in self.dhcp:
            found.setdefault(step.message.xid, []).append(step)
        return tuple(DhcpExchange(xid, tuple(steps)) for xid, steps in found.items())

    @property
    def firmware(self) -> Fingerprint | None:
        """What the machine started with, as far as it can be told."""
        return next((found for found in self.fingerprints if found.role is Role.FIRMWARE), None)

    @property
    def architecture(self) -> int | None:
        """The first option 93 that it sent."""
        return next((found.architecture for found in self.fingerprints if found.architecture is not None), None)

    def _of(self, kind: type[_S]) -> Iterator[_S]:
        return (step for step in self.steps if isinstance(step, kind))


@dataclass(frozen=True, slots=True)
class Damage:
    """A packet that could not be understood, or the place from which on a file cannot be read."""

    packet: int
    """Its number, from 1; for a file the number that the next packet would have had."""
    at_ns: int
    """Its time; of a file the last one read."""
    offset: int
    """In the file, unpacked, in bytes: where the packet's bytes begin, or where the file breaks."""
    reason: str
    truncated: bool = False
    """The recorder kept less of the packet than would be needed to read it (snap length): nothing is wrong with the network."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was read."""

    packets: int = 0
    bytes: int = 0
    """As recorded, without the file's own headers."""
    malformed: int = 0
    truncated: int = 0
    other: int = 0
    """Packets that are no part of a boot."""
    fragments_dropped: int = 0
    """IP fragments whose others did not come, or that contradict them."""
    boots_closed_early: int = 0
    """Boots that ended only because too many were open."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What a capture shows."""

    began_at_ns: int
    """Time of the first packet; 0 when there is none."""
    boots: tuple[Boot, ...]
    """In order of their first step."""
    damage: tuple[Damage, ...] = ()
    """In the order of the file; at most ``dissect.MAX_DAMAGE`` are named, all are counted."""
    counts: Counts = Counts()
    ended_at_ns: int = 0
    """Time of the last packet that was looked at; 0 when there is none."""

    @property
    def began_at(self) -> float:
        """Seconds since the epoch."""
        return self.began_at_ns / 1e9


def server_of(step: DhcpStep) -> int:
    """Who answered: option 54, else where the packet came from."""
    raw = step.message.options.raw(54)
    return int.from_bytes(raw, "big") if raw is not None and len(raw) == 4 else step.packet.source


def header(head: bytes, name: str) -> str | None:
    """The value of the first header by this name in a head of HTTP, whatever its case."""
    wanted = name.lower().encode()
    for line in head.split(b"\r\n")[1:]:
        key, colon, value = line.partition(b":")
        if colon and key.strip().lower() == wanted:
            return value.strip().decode("latin-1")
    return None
