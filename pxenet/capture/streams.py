"""One direction of a TCP connection, put together: bytes in order, each once, and the stretches that are missing.

Segments that come early wait, within bounds, until the ones in front of them come, or until the other side acknowledges the missing
bytes: then the recorder left them out, and the stream goes on behind them. RFC 9293. Knows sequence numbers; must not know what the
bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable

from pxenet.capture.boots import PacketRef
from pxenet.capture.frames import Packet

MAX_WAITING_SEGMENTS = 256
MAX_WAITING_BYTES = 1 << 18
"""Of one direction. More are no reordering: what is missing in front of them will not come."""

MAX_HELD_BYTES = 1 << 26
"""Of all streams of a capture together."""

_FARTHEST_BACK = 1 << 24
"""Nothing this old is sent again."""
_HALF = 1 << 31
_MASK = 0xFFFFFFFF


class Segment:
    """What one packet carries of a stream. ``cut_bytes`` more were on the wire, but not recorded (snap length)."""

    __slots__ = ("cut_bytes", "packet", "payload", "ref", "sequence")

    def __init__(self, ref: PacketRef, packet: Packet, payload: bytes, cut_bytes: int) -> None:
        self.ref, self.packet, self.payload, self.cut_bytes = ref, packet, payload, cut_bytes
        self.sequence = packet.sequence

    @property
    def size(self) -> int:
        """On the wire."""
        return len(self.payload) + self.cut_bytes


class Room:
    """How much waits in all streams that share it."""

    __slots__ = ("held_bytes",)

    def __init__(self) -> None:
        self.held_bytes = 0


class Stream:
    """Feeds a reader of the bytes. ``take(segment)`` gets each stretch in order; ``skip(count, ref)`` is told what is
    missing in front of a packet, 0 when that is not known."""

    __slots__ = ("_room", "_skip", "_take", "_waiting", "_waiting_bytes", "next", "retransmissions", "started")

    def __init__(self, take: Callable[[Segment], None], skip: Callable[[int, PacketRef], None], room: Room) -> None:
        self._take, self._skip, self._room = take, skip, room
        self.started = False
        """The number of the first byte is known."""
        self.next = 0
        """Sequence number of the byte that comes next."""
        self.retransmissions = 0
        """Segments that said nothing new."""
        self._waiting: list[Segment] = []  # by sequence number, without overlaps taken care of yet
        self._waiting_bytes = 0

    @property
    def calm(self) -> bool:
        """Nothing waits for anything."""
        return not self._waiting

    def start(self, sequence: int) -> None:
        """The stream begins (anew) with this byte."""
        self.started, self.next = True, sequence & _MASK
        self.forget()

    def forget(self) -> None:
        """What waits is not wanted."""
        self._waiting.clear()
        self._holds(-self._waiting_bytes)

    def feed(self, segment: Segment) -> None:
        """A segment with bytes in it came."""
        if not self.started:
            self.start(segment.sequence)
        ahead = (segment.sequence - self.next) & _MASK
        if _HALF <= ahead <= _MASK - _FARTHEST_BACK:  # another connection's: its beginning was not recorded
            self.finish()
            self._skip(0, segment.ref)
            self.start(segment.sequence)
        elif 0 < ahead < _HALF:
            self._wait(segment, ahead)
            return
        self._deliver(segment)
        self._catch_up()

    def acknowledged(self, number: int) -> None:
        """The other side has everything in front of this byte."""
        while self._waiting and 0 < (number - self.next) & _MASK < _HALF:
            missing = (self._waiting[0].sequence - self.next) & _MASK
            if (number - self.next) & _MASK < missing:
                return  # its tail may still come
            self._give_up()

    def finish(self) -> None:
        """Nothing more comes: what waits is all there is."""
        while self._waiting:
            self._give_up()

    def _wait(self, segment: Segment, ahead: int) -> None:
        place = len(self._waiting)
        while place and (self._waiting[place - 1].sequence - self.next) & _MASK > ahead:
            place -= 1
        if place and self._waiting[place - 1].sequence == segment.sequence:
            self.retransmissions += 1
            return
        self._waiting.insert(place, segment)
        self._holds(len(segment.payload))
        while len(self._waiting) > MAX_WAITING_SEGMENTS or self._waiting_bytes > MAX_WAITING_BYTES:
            self._give_up()
        if self._room.held_bytes > MAX_HELD_BYTES:
            self.finish()

    def _holds(self, more: int) -> None:
        self._waiting_bytes += more
        self._room.held_bytes += more

    def _give_up(self) -> None:
        """What is missing in front of the first segment that waits was not recorded."""
        first = self._waiting[0]
        self._skip((first.sequence - self.next) & _MASK, first.ref)
        self.next = first.sequence
        self._catch_up()

    def _catch_up(self) -> None:
        while self._waiting and not 0 < (self._waiting[0].sequence - self.next) & _MASK < _HALF:
            segment = self._waiting.pop(0)
            self._holds(-len(segment.payload))
            self._deliver(segment)

    def _deliver(self, segment: Segment) -> None:
        """The part of a segment that is new; it begins at the next byte or before it."""
        old = (self.next - segment.sequence) & _MASK
        if old >= segment.size:
            self.retransmissions += 1
            return
        self.next = (segment.sequence + segment.size) & _MASK
        if old:
            payload, cut = segment.payload[old:], segment.cut_bytes - max(old - len(segment.payload), 0)
            segment = Segment(segment.ref, segment.packet, payload, cut)
        self._take(segment)
