"""IP datagrams put together from their fragments, in bounded memory. RFC 791 §3.2, RFC 8200 §4.5, RFC 5722 (overlaps).

Knows fragments; must not know what is in them. What cannot be put together is counted: pieces that overlap with other contents, that
are too many, or whose others do not come.
"""

from __future__ import annotations

from pxenet.capture.frames import Fragment, Packet, transport
from pxenet.wire.reader import Reader

MAX_DATAGRAMS = 256
MAX_PIECES = 128
"""Of one datagram. A MTU of 576 makes 119 of the largest one."""
MAX_DATAGRAM_BYTES = 65535
TIMEOUT_NS = 30 * 10**9
"""RFC 1122 §3.3.2 wants 60 to 120 s of a host; what boots has long sent it again."""

_Key = tuple[int, int, int, int, int]


class Fragments:
    """What waits for the rest of it."""

    def __init__(self) -> None:
        self.dropped = 0
        """Fragments that came to nothing."""
        self._open: dict[_Key, _Datagram] = {}  # the oldest first

    def take(self, piece: Fragment, at_ns: int) -> Packet | None:
        """One more piece; the packet, when it is whole now. WireError: it is whole, and no datagram or segment."""
        key = (piece.version, piece.source, piece.destination, piece.protocol, piece.identification)
        waiting = self._open.get(key)
        if waiting is None or at_ns - waiting.began_ns > TIMEOUT_NS:
            if waiting is not None:
                self._drop(key)
            while len(self._open) >= MAX_DATAGRAMS:
                self._drop(next(iter(self._open)))
            waiting = self._open[key] = _Datagram(at_ns)
        if not waiting.add(piece):
            self.dropped += 1
            self._drop(key)
            return None
        payload = waiting.whole()
        if payload is None:
            return None
        del self._open[key]
        return transport(
            piece.version, piece.protocol, piece.source, piece.destination, Reader(payload), 0,
            piece.source_hardware, piece.destination_hardware,
        )  # fmt: skip

    def finish(self) -> None:
        """Nothing more comes."""
        for key in list(self._open):
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        self.dropped += len(self._open.pop(key).pieces)


class _Datagram:
    __slots__ = ("began_ns", "pieces", "size")

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns
        self.pieces: dict[int, bytes] = {}
        self.size: int | None = None

    def add(self, piece: Fragment) -> bool:
        """False: it contradicts the others, or is beyond the bounds."""
        end = piece.offset + len(piece.payload)
        same = self.pieces.get(piece.offset)
        if same is not None:
            return same == piece.payload  # the network doubles packets
        if end > MAX_DATAGRAM_BYTES or len(self.pieces) >= MAX_PIECES or (piece.more and end % 8):
            return False
        if not piece.more:
            if self.size not in (None, end):
                return False
            self.size = end
        if any(piece.offset < at + len(data) and at < end for at, data in self.pieces.items()):
            return False
        self.pieces[piece.offset] = piece.payload
        return self.size is None or all(at + len(data) <= self.size for at, data in self.pieces.items())

    def whole(self) -> bytes | None:
        """The payload, when nothing is missing."""
        if self.size is None or sum(map(len, self.pieces.values())) != self.size:
            return None
        return b"".join(self.pieces[at] for at in sorted(self.pieces))
