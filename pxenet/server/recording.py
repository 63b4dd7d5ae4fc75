"""What the server hears and says, recorded: for those who follow it, and in a ring of the last minutes that is kept when a boot fails.

Listens at the tap. On the way of packets it only notes what went by; frames are made of it when somebody wants them. Secrets (the
tokens in names and texts, answer files) are masked in them, byte for byte, unless asked for. Must not know control or files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import trio

from pxenet.capture.made import BROADCAST, Conversation, End, Frame, hardware_of, udp_frame
from pxenet.engine.surface import Blocks
from pxenet.engine.tftp.blocks import datagrams
from pxenet.model import Content, Region, Role
from pxenet.net.datagram import BROADCAST as EVERYBODY
from pxenet.net.datagram import Datagram, Interface, Quads, Send, peer_address, peer_port
from pxenet.rack import Rack
from pxenet.rack.discreet import masked
from pxenet.server.tap import Tap, TcpEnds
from pxenet.wire.tftp import data_header

_ENTRY_BYTES = 300
"""What an entry costs beside its data."""

_ACK_BYTES = 4
"""A TFTP ACK: in the ring there is no room for one per block, nor for the block."""
_FIRST_BLOCKS = 16
"""Of each transfer these are in the ring; boot texts are seldom longer."""

_HEAD_BYTES = 4096
"""Of what is said and heard on a connection at once, so much is in the ring: heads and texts, not files."""

_CHADDR = slice(28, 44)
_GIADDR = slice(24, 28)


@dataclass(slots=True)
class Entry:
    """One datagram that went by, or the blocks of one text."""

    at_ns: int
    said: bool
    """By us; else heard."""
    peer: bytes
    local: int
    """Address of ours; 0 when the kernel chose it."""
    port: int
    interface: int
    data: bytes
    size: int
    """Of the payload; ``data`` is only its beginning when that is longer."""
    broadcast: bool = False
    hardware: bytes | None = None
    text: Blocks | None = None
    """Blocks of a content that is held in memory: its bytes are made when they are wanted."""
    ends: TcpEnds | None = None
    """It belongs to this connection; without data and size its end."""
    secret: bool = False
    """An answer file."""


class Recorder:
    """See the module's text. ``clock_ns``: nanoseconds since the epoch."""

    def __init__(
        self, tap: Tap, rack: Rack, interfaces: Sequence[Interface], clock_ns: Callable[[], int], ring_bytes: int = 0
    ) -> None:
        """``ring_bytes``: how much is remembered while nobody follows; 0: nothing, and the tap stays closed."""
        self._tap = tap
        self._rack = rack
        self._clock_ns = clock_ns
        self._own = {interface.index: interface for interface in interfaces}
        self._dhcp_ports = frozenset((rack.settings.dhcp.port, rack.settings.dhcp.proxy_port))
        self._followers: set[Follower] = set()
        self._ring: deque[Entry] = deque()
        self._ring_limit = ring_bytes
        self._ring_bytes = 0
        self._listen()

    # -- at the tap --------------------------------------------------------------------------------------------------------

    def received(self, batch: Sequence[Datagram]) -> None:
        """See ``tap.Listener``."""
        now = self._clock_ns()
        if self._followers:
            entries = [_heard(one, now) for one in batch]
            for follower in self._followers:
                follower.take(entries)
        if self._ring_limit and not isinstance(batch, Quads):
            for one in [one for one in batch if len(one.data) != _ACK_BYTES]:
                self._remember(_heard(one, now))

    def sent(self, sends: Sequence[Send | Blocks]) -> None:
        """See ``tap.Listener``. Of files only the headers of their blocks are noted."""
        now = self._clock_ns()
        if self._followers:
            entries = [entry for one in sends for entry in _said(one, now)]
            for follower in self._followers:
                follower.take(entries)
        if self._ring_limit:
            for one in [one for one in sends if one.__class__ is Send or one.first <= _FIRST_BLOCKS]:  # type: ignore[union-attr]
                for entry in _said(one, now):
                    self._remember(entry)

    def heard(self, ends: TcpEnds, data: bytes) -> None:
        """See ``tap.Listener``."""
        self._of_connection(ends, data, len(data), said=False)

    def said(self, ends: TcpEnds, data: bytes, size: int) -> None:
        """See ``tap.Listener``."""
        self._of_connection(ends, data, size, said=True)

    def closed(self, ends: TcpEnds) -> None:
        """See ``tap.Listener``."""
        self._of_connection(ends, b"", 0, said=True)

    def _of_connection(self, ends: TcpEnds, data: bytes, size: int, *, said: bool) -> None:
        now = self._clock_ns()
        entry = Entry(
            now, said, ends.peer, ends.local, ends.port, 0, data, size, ends=ends, secret=ends.secret and said
        )
        for follower in self._followers:
            follower.take([entry])
        if self._ring_limit:
            self._remember(replace(entry, data=data[:_HEAD_BYTES]))

    def _remember(self, entry: Entry) -> None:
        self._ring.append(entry)
        self._ring_bytes += _cost(entry)
        while self._ring_bytes > self._ring_limit:
            self._ring_bytes -= _cost(self._ring.popleft())

    def _listen(self) -> None:
        self._tap.full = bool(self._followers)
        self._tap.listener = self if self._followers or self._ring_limit else None

    # -- for those who want it -----------------------------------------------------------------------------------------------

    def follow(self, mac: bytes | None, *, secrets: bool) -> Follower:
        """Somebody listens from now on, to one machine or to all; ``with`` it. Secrets are masked unless ``secrets``."""
        return Follower(self, mac, secrets=secrets)

    def join(self, follower: Follower) -> None:
        """For Follower alone."""
        self._followers.add(follower)
        self._listen()

    def leave(self, follower: Follower) -> None:
        """For Follower alone."""
        self._followers.discard(follower)
        self._listen()

    def remembered(self, mac: bytes) -> list[Frame]:
        """What the ring has of one machine, masked."""
        return list(self.frames(list(self._ring), mac, {}, secrets=False))

    def frames(
        self, entries: Iterable[Entry], mac: bytes | None, open_ones: dict[TcpEnds, Conversation], *, secrets: bool
    ) -> Iterator[Frame]:
        """The frames of some entries: of one machine, or of all. ``open_ones`` remembers connections from one call to the next."""
        for entry in entries:
            hardware = self._hardware(entry)
            if mac is None or mac in (hardware, self._machine(entry)):
                if entry.ends is None:
                    yield from self._framed(entry, hardware, secrets=secrets)
                else:
                    yield from self._segments(entry, entry.ends, hardware, open_ones, secrets=secrets)

    # -- frames --------------------------------------------------------------------------------------------------------------

    def _framed(self, entry: Entry, hardware: bytes, *, secrets: bool) -> Iterator[Frame]:
        address, port = peer_address(entry.peer), peer_port(entry.peer)
        theirs = End(address, port, hardware)
        own = self._own.get(entry.interface)
        ours = entry.local or (own.addresses[0][0] if own is not None and own.addresses else self._any_of_ours())
        us = End(ours, entry.port, self._own_hardware(ours))
        if not entry.said:
            data = entry.data if secrets else masked(entry.data)
            to = End(EVERYBODY, entry.port, BROADCAST) if entry.broadcast else us
            yield udp_frame(entry.at_ns, theirs, to, data, entry.size)
            return
        if address == EVERYBODY:
            theirs = End(address, port, BROADCAST)
        if entry.text is None:
            yield udp_frame(entry.at_ns, us, theirs, entry.data if secrets else masked(entry.data), entry.size)
            return
        blocks = entry.text if secrets else _discreet(entry.text)
        for header, payload in datagrams(blocks, _never_read):
            yield udp_frame(entry.at_ns, us, theirs, header + bytes(payload))

    def _segments(
        self, entry: Entry, ends: TcpEnds, hardware: bytes, open_ones: dict[TcpEnds, Conversation], *, secrets: bool
    ) -> Iterator[Frame]:
        """What one side of a connection says; its beginning and its end are made up where they belong."""
        talk = open_ones.get(ends)
        if talk is None:
            ours = entry.local or self._any_of_ours()
            us = End(ours, entry.port, self._own_hardware(ours))
            talk = open_ones[ends] = Conversation(End(peer_address(entry.peer), peer_port(entry.peer), hardware), us)
            yield from talk.opened(entry.at_ns)
        if not entry.size:
            if entry.said:
                yield from talk.closed(entry.at_ns)
                del open_ones[ends]
            return
        data = entry.data if secrets else masked(entry.data)
        if entry.secret and not secrets:
            head, blank, body = data.partition(b"\r\n\r\n")
            data = head + blank + b"x" * len(body) if blank else b"x" * len(data)
        yield from talk.said(entry.at_ns, data, entry.size) if entry.said else talk.heard(entry.at_ns, data, entry.size)

    def _own_hardware(self, address: int) -> bytes:
        for own in self._own.values():
            if own.hardware and address in [one for one, _ in own.addresses]:
                return own.hardware
        return hardware_of(address)

    def _hardware(self, entry: Entry) -> bytes:
        """The hardware address that a frame of it has at the other end."""
        if entry.hardware is not None:
            return entry.hardware
        if entry.port in self._dhcp_ports and len(entry.data) >= 44 and not any(entry.data[_GIADDR]):
            return self._chaddr(entry)
        address = peer_address(entry.peer)
        return self._rack.access.identify(address, "", self._rack.clock()).mac or hardware_of(address)

    def _machine(self, entry: Entry) -> bytes:
        """The machine that it is about: behind a relay another one than the frame is from."""
        return self._chaddr(entry) if entry.port in self._dhcp_ports and len(entry.data) >= 44 else b""

    def _chaddr(self, entry: Entry) -> bytes:
        return entry.data[_CHADDR][: min(entry.data[2], 6)] or hardware_of(peer_address(entry.peer))

    def _any_of_ours(self) -> int:
        return next((own.addresses[0][0] for own in self._own.values() if own.addresses), 0)


def _heard(one: Datagram, now: int) -> Entry:
    return Entry(now, False, one.peer, one.local, one.port, one.interface, one.data, len(one.data), one.broadcast)


def _said(one: Send | Blocks, now: int) -> Iterator[Entry]:
    """A datagram; a window of a text; of a window of a file the header of each block."""
    if isinstance(one, Send):
        data = b"".join(one.parts)
        yield Entry(now, True, one.to, one.source, one.port, one.interface, data, len(data), hardware=one.hardware)
        return
    to = one.stream
    if all(isinstance(segment, bytes) for segment in to.content.segments):
        size = min(one.count * to.blksize, to.content.size)
        yield Entry(now, True, to.to, to.source, to.port, to.interface, b"", size, text=one)
    else:
        for number in range(one.first, one.first + one.count):
            size = 4 + max(0, min(to.blksize, to.content.size - (number - 1) * to.blksize))
            yield Entry(now, True, to.to, to.source, to.port, to.interface, data_header(number), size)


def _cost(entry: Entry) -> int:
    return _ENTRY_BYTES + len(entry.data) + (entry.size if entry.text is not None else 0)


def _never_read(region: Region, offset: int, length: int) -> bytes:
    raise AssertionError("a text has no regions")


def _discreet(blocks: Blocks) -> Blocks:
    stream = blocks.stream
    return Blocks(replace(stream, content=discreet_content(stream.content)), blocks.first, blocks.count)


def discreet_content(content: Content) -> Content:
    """A text with its secrets masked: of an answer file everything, else the tokens. Its length stays."""
    data = b"".join(segment for segment in content.segments if isinstance(segment, bytes))
    shown = b"x" * len(data) if content.role is Role.ANSWER else masked(data)
    return replace(content, segments=(shown,))


@dataclass(slots=True, eq=False)
class Follower:
    """Collects what goes by for somebody who takes it; what comes faster than it is taken is counted, not kept."""

    recorder: Recorder
    mac: bytes | None
    secrets: bool = field(kw_only=True)
    limit: int = 20_000
    """Entries that wait."""
    missed: int = 0
    _waiting: list[Entry] = field(default_factory=list)
    _arrived: trio.Event = field(default_factory=trio.Event)
    _open: dict[TcpEnds, Conversation] = field(default_factory=dict)

    def __enter__(self) -> Follower:
        self.recorder.join(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self.recorder.leave(self)

    def take(self, entries: Sequence[Entry]) -> None:
        """For Recorder alone."""
        room = self.limit - len(self._waiting)
        self._waiting += entries[:room]
        self.missed += max(0, len(entries) - room)
        self._arrived.set()

    async def next(self) -> tuple[Iterator[Frame], int]:
        """Wait for frames; they come with the number of datagrams that were missed before them."""
        await self._arrived.wait()
        self._arrived = trio.Event()
        waiting, self._waiting = self._waiting, []
        missed, self.missed = self.missed, 0
        return self.recorder.frames(waiting, self.mac, self._open, secrets=self.secrets), missed
