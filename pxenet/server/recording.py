"""What the server hears and says, recorded: for those who follow it, and in a ring of the last minutes that is kept when a boot fails.

Listens at the tap. On the way of packets it only notes what went by; frames are made of it when somebody wants them. Secrets (the
tokens in names and texts, answer files, boot texts with a secret in them) are masked in them, byte for byte, unless asked for. Must
not know control or files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import trio

from pxenet.capture.made import BROADCAST, Conversation, End, Frame, hardware_of, udp_frame
from pxenet.engine.surface import Blocks
from pxenet.net.datagram import BROADCAST as EVERYBODY
from pxenet.net.datagram import Datagram, Interface, Send, peer_address, peer_port
from pxenet.rack import Rack
from pxenet.server.overheard import (
    HEAD_BYTES,
    Entry,
    Hide,
    beginning,
    cost,
    discreet_blocks,
    heard,
    of_connection,
    said,
    text_datagrams,
    worth_keeping,
    worth_saying,
)
from pxenet.server.tap import Tap, TcpEnds

_CHADDR = slice(28, 44)
_GIADDR = slice(24, 28)


class Recorder:
    """See the module's text. ``clock_ns``: nanoseconds since the epoch."""

    def __init__(
        self,
        tap: Tap,
        rack: Rack,
        interfaces: Sequence[Interface],
        clock_ns: Callable[[], int],
        ring_bytes: int = 0,
        late_s: float = 0.0,
    ) -> None:
        """``ring_bytes``: how much is remembered while nobody follows; 0: nothing, and the tap stays closed.

        ``late_s``: so late what is overheard elsewhere may come; what followers get is in order of time all the same.
        """
        self._tap = tap
        self._rack = rack
        self.clock_ns = clock_ns
        self._own = {interface.index: interface for interface in interfaces}
        self._dhcp_ports = frozenset((rack.settings.dhcp.port, rack.settings.dhcp.proxy_port))
        self._followers: set[Follower] = set()
        self._ring: deque[Entry] = deque()
        self._ring_limit = ring_bytes
        self._ring_bytes = 0
        self.late_s = late_s
        self._listen()

    # -- at the tap --------------------------------------------------------------------------------------------------------

    def received(self, batch: Sequence[Datagram]) -> None:
        """See ``tap.Listener``."""
        now = self.clock_ns()
        if self._followers:
            entries = [heard(one, now) for one in batch]
            for follower in self._followers:
                follower.take(entries)
        if self._ring_limit:
            for one in worth_keeping(batch):
                self._remember(heard(one, now))

    def sent(self, sends: Sequence[Send | Blocks]) -> None:
        """See ``tap.Listener``. Of files only the headers of their blocks are noted."""
        now = self.clock_ns()
        if self._followers:
            entries = [entry for one in sends for entry in said(one, now)]
            for follower in self._followers:
                follower.take(entries)
        if self._ring_limit:
            for one in worth_saying(sends):
                for entry in said(one, now):
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
        self.overheard([(True, of_connection(ends, data, size, self.clock_ns(), said=said))])

    def overheard(self, entries: Sequence[tuple[bool, Entry]]) -> None:
        """What went by elsewhere, each with whether it is for the ring."""
        for follower in self._followers:
            follower.take([entry for _, entry in entries])
        if self._ring_limit:
            for kept, entry in entries:
                if kept:
                    self._remember(entry if entry.ends is None else beginning(entry, HEAD_BYTES))

    def missed(self, count: int) -> None:
        """So many went by elsewhere of which nobody told."""
        for follower in self._followers:
            follower.miss(count)

    def _remember(self, entry: Entry) -> None:
        self._ring.append(entry)
        self._ring_bytes += cost(entry)
        while self._ring_bytes > self._ring_limit:
            self._ring_bytes -= cost(self._ring.popleft())

    def _listen(self) -> None:
        self._tap.listen(self if self._followers or self._ring_limit else None, full=bool(self._followers))

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
        return list(self.frames(sorted(self._ring, key=_at), mac, {}, secrets=False))

    def frames(
        self, entries: Iterable[Entry], mac: bytes | None, open_ones: dict[TcpEnds, Conversation], *, secrets: bool
    ) -> Iterator[Frame]:
        """The frames of some entries: of one machine, or of all. ``open_ones`` remembers connections from one call to the next."""
        hide = None if secrets else self._rack.veil
        for entry in entries:
            hardware, machine = self._hardware(entry), self._machine(entry)
            if mac is None or mac in (hardware, machine):
                if entry.ends is None:
                    made = self._framed(entry, hardware, hide)
                else:
                    made = self._segments(entry, entry.ends, hardware, open_ones, hide)
                for frame in made:
                    yield replace(frame, about=machine or hardware)

    # -- frames --------------------------------------------------------------------------------------------------------------

    def _framed(self, entry: Entry, hardware: bytes, hide: Hide | None) -> Iterator[Frame]:
        address, port = peer_address(entry.peer), peer_port(entry.peer)
        theirs = End(address, port, hardware)
        own = self._own.get(entry.interface)
        ours = entry.local or (own.addresses[0][0] if own is not None and own.addresses else self._any_of_ours())
        us = End(ours, entry.port, self._own_hardware(ours))
        if not entry.said:
            to = End(EVERYBODY, entry.port, BROADCAST) if entry.broadcast else us
            yield udp_frame(entry.at_ns, theirs, to, entry.shown(hide), entry.size)
            return
        if address == EVERYBODY:
            theirs = End(address, port, BROADCAST)
        if entry.text is None:
            yield udp_frame(entry.at_ns, us, theirs, entry.shown(hide), entry.size)
            return
        for data in text_datagrams(entry.text if hide is None else discreet_blocks(entry.text, hide)):
            yield udp_frame(entry.at_ns, us, theirs, data)

    def _segments(
        self, entry: Entry, ends: TcpEnds, hardware: bytes, open_ones: dict[TcpEnds, Conversation], hide: Hide | None
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
        data = entry.shown(hide)
        if entry.secret and hide is not None:
            # What follows the head leaves in several pieces, and may have empty lines of its own.
            head, blank, _ = data.partition(b"\r\n\r\n")
            known = len(head + blank) if blank and head.startswith(b"HTTP/1.") else 0
            data = data[:known].ljust(len(data), b"x")
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


def _at(entry: Entry) -> int:
    return entry.at_ns


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
        self.miss(max(0, len(entries) - room))

    def miss(self, count: int) -> None:
        """For Recorder alone."""
        self.missed += count
        self._arrived.set()

    async def next(self) -> tuple[Iterator[Frame], int]:
        """Wait for frames; they come with the number of datagrams that were missed before them."""
        await self._arrived.wait()
        waiting = await self._in_order() if self.recorder.late_s else self._waiting
        self._waiting = self._waiting[len(waiting) :]
        if not self._waiting:
            self._arrived = trio.Event()
        missed, self.missed = self.missed, 0
        return self.recorder.frames(waiting, self.mac, self._open, secrets=self.secrets), missed

    async def _in_order(self) -> list[Entry]:
        """Of those that wait, the old ones before which nothing will come any more."""
        await trio.sleep(self.recorder.late_s)
        until = self.recorder.clock_ns() - int(self.recorder.late_s * 1e9)
        self._waiting.sort(key=_at)
        return self._waiting[: bisect_right(self._waiting, until, key=_at)]
