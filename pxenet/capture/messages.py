"""HTTP messages in one direction of a connection: heads, and bodies by their length. RFC 9112 §6.

Bodies are counted, and kept when they are small. Behind a stretch that is missing the next head is found where a segment begins with
one. Knows framing; must not know connections (``web``) or what a request is for.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from pxenet.capture.boots import Gap, Missing, PacketRef, header
from pxenet.capture.streams import Segment

MAX_HEAD_BYTES = 32768
MAX_CONTENT_BYTES = 65536
"""Of a body; larger ones are not kept."""
MAX_GAPS = 1000

METHODS = tuple(
    f"{name} ".encode() for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "CONNECT")
)
VERSIONS = (b"HTTP/1.",)
_HEAD_END = b"\r\n\r\n"
_MAX_LINE_BYTES = 4096


class Body:
    """What is known of a message's body."""

    __slots__ = ("_content", "end_ns", "end_number", "gaps", "interface", "recorded_bytes", "sent_bytes", "size")

    def __init__(self, size: int | None) -> None:
        self.size = size
        """As the head says; None: it does not."""
        self.sent_bytes = self.recorded_bytes = 0
        self.gaps: list[Gap] = []
        self.end_number = self.end_ns = self.interface = 0
        self._content: list[bytes] | None = [] if (size or 0) <= MAX_CONTENT_BYTES else None

    @property
    def end(self) -> PacketRef | None:
        """The last packet with a byte of it."""
        return PacketRef(self.end_number, self.end_ns, self.interface) if self.end_number else None

    @property
    def collecting(self) -> bool:
        """Its bytes are wanted."""
        return self._content is not None

    @property
    def content(self) -> bytes | None:
        """The whole body; None when it was not recorded whole, or is large."""
        whole = self._content is not None and (self.size is None or self.size == self.sent_bytes)
        return b"".join(self._content) if whole and self._content is not None else None

    def forgo(self) -> None:
        """Its bytes are not kept."""
        self._content = None

    def add(self, data: bytes, ref: PacketRef) -> None:
        """The next bytes."""
        self.sent_bytes += len(data)
        self.recorded_bytes += len(data)
        self.end_number, self.end_ns, self.interface = ref.number, ref.at_ns, ref.interface
        if self._content is not None:
            self._content.append(data)
            if self.recorded_bytes > MAX_CONTENT_BYTES:
                self._content = None

    def miss(self, count: int, ref: PacketRef, *, cut: bool = False) -> None:
        """The next bytes are missing: not recorded, or ``cut`` off by the snap length."""
        self._content = None
        if not cut and len(self.gaps) < MAX_GAPS:
            self.gaps.append(Gap(Missing.NOT_RECORDED, self.sent_bytes, count, self.end or ref))
        self.sent_bytes += count


class Framing(enum.Enum):
    """How the end of a body is known."""

    NONE = "there is none"
    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    CLOSE = "the connection closes"


Took = Callable[[bytes, Segment], tuple[Framing, Body | None]]
"""A head is whole, with this segment: how its body ends, and where to count it."""
Framed = Callable[[Segment, int, int], None]
"""A stretch of a segment's payload, from here to there, is no body: a head or a part of one, the line of a chunk, a trailer."""


class _State(enum.Enum):
    HEAD = 0
    LENGTH = 1
    CHUNK_LINE = 2
    CHUNK = 3
    TRAILER = 4
    LOOSE = 5
    """What is in a body, and where it ends, is not known; the next head is where a segment begins with one."""


class Messages:
    """Reads one direction."""

    __slots__ = ("_buffer", "_may_miss", "_starts", "_state", "_took", "body", "framed", "remaining")

    def __init__(self, took: Took, may_miss: Callable[[], None], starts: tuple[bytes, ...]) -> None:
        self._took, self._starts = took, starts
        self._may_miss = may_miss
        """Called where messages may be missing."""
        self._state = _State.HEAD
        self._buffer = b""
        self.body: Body | None = None
        self.remaining = 0
        """Bytes of the body, or of the chunk, that are to come."""
        self.framed: Framed | None = None
        """Whoever wants to know what is no body."""

    @property
    def skimming(self) -> bool:
        """Nothing but the number of bytes matters, for the ``remaining`` ones."""
        return self._state is _State.LENGTH and self.body is not None and not self.body.collecting

    @property
    def lost(self) -> bool:
        """What came last is no message, or a part of one whose beginning is not known."""
        return self._state is _State.LOOSE

    def take(self, segment: Segment) -> None:
        """The next bytes of the stream."""
        data = segment.payload
        if self._state is _State.LOOSE and self._begins(data):
            self._may_miss()
            self._state, self._buffer = _State.HEAD, b""
        while data:
            state, left = self._state, len(data)
            data = _STEPS[state](self, data, segment)
            if self.framed is not None and state in _FRAMING and len(data) < left:
                self.framed(segment, len(segment.payload) - left, len(segment.payload) - len(data))
        if segment.cut_bytes:
            self._cut_head(segment)
            self._miss(segment.cut_bytes, segment.ref, cut=True)

    def skip(self, count: int, ref: PacketRef) -> None:
        """These bytes were not recorded; 0: nobody knows how many."""
        if count:
            self._miss(count, ref, cut=False)
        else:
            self._state, self.body = _State.LOOSE, None

    def _miss(self, count: int, ref: PacketRef, *, cut: bool) -> None:
        inside = self._state in (_State.LENGTH, _State.CHUNK) and count <= self.remaining
        if self.body is not None:
            known = self.remaining if self._state is _State.LENGTH else count
            self.body.miss(min(count, known), ref, cut=cut)
        if not inside:
            self._state, self._buffer = _State.LOOSE, b""
            return
        self.remaining -= count
        if not self.remaining:
            self._ended()

    def _cut_head(self, segment: Segment) -> None:
        """What was recorded of a head is better than none: its first line, and the headers that are whole."""
        if self._state is _State.HEAD and b"\n" in self._buffer:
            head = self._buffer[: self._buffer.rfind(b"\n") + 1]
            _, self.body = self._took(head, segment)
            self._state, self._buffer = _State.LOOSE, b""

    def _begins(self, data: bytes) -> bool:
        return data.startswith(self._starts) or any(start.startswith(data) for start in self._starts)

    def _head(self, data: bytes, segment: Segment) -> bytes:
        before = len(self._buffer)
        if not before and not self._begins(data):
            self._state, self.body = _State.LOOSE, None
            return data
        self._buffer += data
        end = self._buffer.find(_HEAD_END, max(before - 3, 0))
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                self._state, self._buffer, self.body = _State.LOOSE, b"", None
            return b""
        head = self._buffer[: end + len(_HEAD_END)]
        self._buffer = b""
        framing, self.body = self._took(head, segment)
        self.remaining = (self.body.size if self.body else None) or 0
        if framing is Framing.LENGTH and self.remaining:
            self._state = _State.LENGTH
        elif framing is Framing.CHUNKED:
            self._state = _State.CHUNK_LINE
        elif framing is Framing.CLOSE:
            self._state = _State.LOOSE
        else:
            self._ended()
        return data[len(head) - before :]

    def _length(self, data: bytes, segment: Segment) -> bytes:
        part = data[: self.remaining]
        if self.body is not None:
            self.body.add(part, segment.ref)
        self.remaining -= len(part)
        if not self.remaining:
            self._ended()
        return data[len(part) :]

    def _ended(self) -> None:
        if self._state is _State.CHUNK:
            self._state = _State.CHUNK_LINE
        else:
            self._state, self.body = _State.HEAD, None

    def _loose(self, data: bytes, segment: Segment) -> bytes:
        if self.body is not None:
            self.body.add(data, segment.ref)
        return b""

    def _line(self, data: bytes) -> tuple[bytes | None, bytes]:
        """The next line, when it is whole, and what follows it."""
        before = len(self._buffer)
        self._buffer += data
        end = self._buffer.find(b"\n", before)
        if end < 0:
            if len(self._buffer) > _MAX_LINE_BYTES:
                self._state, self._buffer = _State.LOOSE, b""
            return None, b""
        line, self._buffer = self._buffer[: end + 1], b""
        return line.strip(), data[end + 1 - before :]

    def _chunk_line(self, data: bytes, segment: Segment) -> bytes:
        line, rest = self._line(data)
        if not line:
            return rest  # the end of the chunk before
        digits = line.partition(b";")[0].strip()
        if not 0 < len(digits) <= 15 or digits.strip(b"0123456789abcdefABCDEF"):
            self._state = _State.LOOSE
            return rest
        self.remaining = int(digits, 16)
        self._state = _State.CHUNK if self.remaining else _State.TRAILER
        return rest

    def _trailer(self, data: bytes, segment: Segment) -> bytes:
        line, rest = self._line(data)
        if line == b"":
            self._ended()
        return rest


_STEPS = {
    _State.HEAD: Messages._head,
    _State.LENGTH: Messages._length,
    _State.CHUNK: Messages._length,
    _State.CHUNK_LINE: Messages._chunk_line,
    _State.TRAILER: Messages._trailer,
    _State.LOOSE: Messages._loose,
}
_FRAMING = frozenset({_State.HEAD, _State.CHUNK_LINE, _State.TRAILER})


def framing_of(head: bytes) -> tuple[Framing, int | None]:
    """How the body behind this head ends, as far as the head itself says, and its size. RFC 9112 §6.3."""
    if "chunked" in (header(head, "transfer-encoding") or "").lower():
        return Framing.CHUNKED, None
    length = (header(head, "content-length") or "").strip()
    if length.isascii() and length.isdigit() and len(length) <= 18:
        return Framing.LENGTH, int(length)
    return Framing.CLOSE, None
