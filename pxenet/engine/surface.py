"""The surface that all engines share: batches in, an :class:`Output` out.

In: datagrams, answers to wants, verdicts on changes; and ``now``. Out: what to send, what content is wanted, what must become durable
before more may be said, what happened. The shells in ``server`` obey and never look at a protocol; ``replay`` and ``sim`` obey
the same values in virtual time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Protocol, TypeVar, overload

from pxenet.events import Event
from pxenet.model import Absent, BootClient, BootFile, Change, Content, Verdict
from pxenet.net.datagram import Datagram, Send

NEVER = float("inf")
"""The deadline of an engine that waits for nothing."""


@dataclass(slots=True)
class Stream:
    """Where the blocks of one transfer go, and what they are cut out of: the same for all of them. Not to be changed."""

    to: bytes
    content: Content
    blksize: int
    source: int = 0
    port: int = 0
    interface: int = 0
    want: int = 0
    """Id of the want that brought the content: named when a read fails (``unreadable``)."""
    way: object = field(default=None, compare=False, repr=False)
    """Belongs to the shell: what it found out about the way there."""


@dataclass(slots=True)
class Blocks:
    """A window of TFTP DATA that shall leave: blocks ``first`` to ``first + count - 1`` of ``content``, counted from 1.

    Nobody assembles them: the fast path makes iovecs of the description, the plain path bytes. The block number on the wire is
    the count modulo 65 536. The last block may be shorter than ``blksize``, or empty.
    """

    stream: Stream
    first: int
    count: int

    @property
    def to(self) -> bytes:
        """For whom."""
        return self.stream.to

    @property
    def source(self) -> int:
        """From which address of ours."""
        return self.stream.source

    @property
    def port(self) -> int:
        """By which port of ours."""
        return self.stream.port

    @property
    def interface(self) -> int:
        """Index of the interface that it should leave by."""
        return self.stream.interface


K = TypeVar("K")


class Flight(Sequence[Blocks]):
    """Windows that leave together: ``counts`` blocks from number ``firsts`` of each of ``streams``.

    For those in a hurry in columns, of which nothing is made per window; for all others a sequence like any other.
    """

    __slots__ = ("counts", "firsts", "streams")

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.firsts: list[int] = []
        self.counts: list[int] = []

    def add(self, blocks: Blocks) -> None:
        """One more."""
        self.streams.append(blocks.stream)
        self.firsts.append(blocks.first)
        self.counts.append(blocks.count)

    def parted(self, keys: Sequence[K]) -> dict[K, Flight]:
        """Its windows by a key of each, in their order; all of it is itself."""
        parts = {key: Flight() for key in keys}
        if len(parts) == 1:
            return {keys[0]: self}
        for key, part in parts.items():
            own = [each is key for each in keys]
            part.streams = list(compress(self.streams, own))
            part.firsts = list(compress(self.firsts, own))
            part.counts = list(compress(self.counts, own))
        return parts

    def __len__(self) -> int:
        return len(self.streams)

    @overload
    def __getitem__(self, index: int) -> Blocks: ...

    @overload
    def __getitem__(self, index: slice) -> list[Blocks]: ...

    def __getitem__(self, index: int | slice) -> Blocks | list[Blocks]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return Blocks(self.streams[index], self.firsts[index], self.counts[index])


@dataclass(slots=True)
class Want:
    """A question for content: answered with a Content or an Absent, now or later."""

    id: int
    path: str
    """As the client spelled it, decoded; not yet normalised."""
    peer: bytes
    netascii: bool = False
    """Line ends shall be CR LF (RFC 764): the answer is converted content."""
    local: int = 0
    """The address of ours that the client asked: what rendered texts call the server; 0 when not known."""
    request: bytes = b""
    """The request as it came, and between what it is answered: who keeps these can have the answer gone on with by another server."""
    port: int = 0
    interface: int = 0


@dataclass(slots=True)
class Commit:
    """Changes that must be durable before the engine says more; it is told by ``committed(commit, verdict, now)``."""

    changes: tuple[Change, ...]
    id: int = 0
    """The engine's own reference; 0: it does not want to hear of it."""


@dataclass(slots=True)
class Delivered:
    """A content was read to its end by a peer: evidence of how far a machine has come."""

    content: Content
    peer: bytes
    duration_s: float
    retransmits: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer under way has come, for people; asked a few times a second, never told per packet."""

    id: int
    """Of this transfer, among those of its server."""
    address: int
    """The client's IPv4 address."""
    path: str
    done_bytes: int
    size: int
    retransmits: int = 0
    """Datagrams sent again so far."""


@dataclass(slots=True)
class Sighting:
    """A machine showed itself in DHCP: evidence of who it is, and (with ``boot``) that it was told what to load."""

    client: BootClient
    address: int
    """The address it has or is about to have; 0 when not known."""
    evidence: str
    """"discover", "offer", "lease", "proxy offer", "proxy request" (a broadcast REQUEST to another server), "proxy 4011"."""
    boot: BootFile | None = None
    """What it was told to load in the answer to this packet, if anything."""


@dataclass(slots=True)
class Upload:
    """A file that a client wrote (WRQ), complete; the last ACK waits for ``uploaded(id, refused, now)``."""

    id: int
    path: str
    data: bytes
    peer: bytes


@dataclass(slots=True)
class Output:
    """What an engine wants of the world, in order."""

    sends: list[Send | Blocks] = field(default_factory=list)
    flight: Flight | None = None
    """What leaves after ``sends``. Of ``receive`` alone, and only where it was given Quads."""
    wants: list[Want] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def leaving(self) -> list[Send | Blocks]:
        """All that leaves, in order."""
        return [*self.sends, *(self.flight or ())]


def joined(outputs: Sequence[Output]) -> Output:
    """What several calls have said, in their order, as if it were one."""
    if len(outputs) == 1:
        return outputs[0]
    whole = Output()
    for one in outputs:
        whole.sends += one.leaving()
        whole.wants += one.wants
        whole.commits += one.commits
        whole.delivered += one.delivered
        whole.sightings += one.sightings
        whole.uploads += one.uploads
        whole.events += one.events
    return whole


class Engine(Protocol):
    """What a datagram shell drives. Times are seconds on one clock of the caller's choice."""

    def receive(self, batch: Sequence[Datagram], now: float) -> Output:
        """Take what arrived. Bad packets are counted and dropped, never raised."""
        ...

    def provide(self, want: int, answer: Content | Absent, now: float) -> Output:
        """The answer to a want, by its id; one that is no longer of interest is ignored."""
        ...

    def unreadable(self, want: int, detail: str, now: float) -> Output:
        """The content of this want could not be read when its Blocks were to leave: it shrank, or the disk failed."""
        ...

    def committed(self, commit: int, verdict: Verdict, now: float) -> Output:
        """The fate of a commit, by its id."""
        ...

    def uploaded(self, upload: int, refused: Absent | None, now: float) -> Output:
        """The fate of an upload: stored, or refused with the reason."""
        ...

    def tick(self, now: float) -> Output:
        """Do what is due."""
        ...

    def deadline(self) -> float:
        """When ``tick`` is next needed; ``NEVER`` when nothing is pending."""
        ...

    def retire(self) -> None:
        """The server is about to stop: begin nothing new from now on, and let what is under way come to its end."""
        ...

    def busy(self) -> bool:
        """Something is under way that a client waits for."""
        ...
