"""TFTP transfers as they go by: which block is next, what is missing, what comes again, and who waits for whom.

One ``OpenTransfer`` per request. ``data`` and ``ack`` are all that a transfer mostly sees, and take plain numbers, so that ``skim``
need not make a value of each packet. Block numbers count on without rollover (facts: after 65 535 comes 0). Where numbers jump, the
stretch is open until it is known: a block that still comes was *lost* at first, one that the reader acknowledges (or that never
comes though the transfer goes on) was *not recorded*. RFC 1350, 2347, 2348, 7440. Must not know frames or files.
"""

from __future__ import annotations

from pxenet.capture.boots import Gap, Missing, Outcome, PacketRef, Transfer, Waits
from pxenet.capture.frames import Packet
from pxenet.wire import tftp
from pxenet.wire.reader import WireError

MAX_CONTENT_BYTES = 65536
"""Larger files are not kept."""
MAX_GAPS = 1000
"""More stretches than that are not told apart: the last one grows."""

_NEAR_BLOCKS = 64
"""A number this little behind is a repetition; farther, it is ahead, and the recorder left out half a round of numbers or more."""


class OpenTransfer:
    """A request, and what has come of it so far."""

    __slots__ = (
        "_acked",
        "_asked_ns",
        "_blksize",
        "_content",
        "_end_ns",
        "_end_number",
        "_holes",
        "_last_block",
        "_near",
        "_next",
        "_options",
        "_sent_ns",
        "abort",
        "answer",
        "answer_ref",
        "client",
        "failure",
        "gaps",
        "packet",
        "reading",
        "recorded_bytes",
        "ref",
        "repeated_acks",
        "repeated_requests",
        "request",
        "retransmissions",
        "server",
        "stalled_ns",
        "tid",
        "windowsize",
    )  # fmt: skip

    def __init__(self, ref: PacketRef, packet: Packet, request: tftp.Request) -> None:
        self.ref, self.packet, self.request = ref, packet, request
        self.reading = request.op == tftp.OpCode.RRQ
        self.answer: tftp.Packet | None = None
        self.answer_ref: PacketRef | None = None
        self.abort: tftp.Error | None = None
        self.failure: tftp.Error | None = None
        self.tid = 0
        self.gaps: list[Gap] = []
        self.recorded_bytes = self.retransmissions = self.repeated_acks = self.repeated_requests = 0
        self.stalled_ns = 0
        self.client, self.server = _Clock(), _Clock()
        self.windowsize = 1
        self._end_number, self._end_ns = ref.number, ref.at_ns
        self._blksize = 512
        self._near = _NEAR_BLOCKS
        self._options: tftp.Options = ()
        self._next = 1  # the block that comes next
        self._acked = -1  # ACK 0 comes first: to an OACK, or to a WRQ
        self._last_block: int | None = None
        self._holes: list[list[int]] = []  # [first, one behind the last, number of the packet in front, its time]
        # Since when the writer of blocks, and the reader, is waited for; 0: it is not.
        self._asked_ns, self._sent_ns = (ref.at_ns, 0) if self.reading else (0, ref.at_ns)
        self._content: list[bytes] | None = []

    @property
    def end_ns(self) -> int:
        """Time of its last packet."""
        return self._end_ns

    # -- what comes ---------------------------------------------------------------------------------------------------------

    @property
    def collecting(self) -> bool:
        """The blocks' bytes are wanted."""
        return self._content is not None

    @property
    def agreed(self) -> bool:
        """Something came back."""
        return self.answer is not None

    @property
    def begun(self) -> bool:
        """Blocks or acknowledgements went by, or it is over: the same request again is another one."""
        return self._acked >= 0 or self._next > 2 or self.over

    @property
    def over(self) -> bool:
        """It has ended, and only repetitions can follow."""
        done = self._last_block is not None and self._acked >= self._last_block
        return done or self.abort is not None or self.failure is not None or isinstance(self.answer, tftp.Error)

    def begin(self, ref: PacketRef, said: tftp.Packet, tid: int) -> None:
        """The first answer."""
        self.answer, self.answer_ref, self.tid = said, ref, tid
        self._end_number, self._end_ns = ref.number, ref.at_ns
        if isinstance(said, tftp.Oack):
            self._options = said.options
            self._blksize = _option(said.options, "blksize") or 512
            self.windowsize = _option(said.options, "windowsize") or 1
            self._near = max(_NEAR_BLOCKS, 2 * self.windowsize)
        if isinstance(said, tftp.Oack | tftp.Error):
            self._answered(ref.at_ns)

    def again(self, ref: PacketRef) -> None:
        """The request was sent once more."""
        self.repeated_requests += 1
        self._silent(ref.number, ref.at_ns)

    def other(self, ref: PacketRef, said: tftp.Packet, from_client: bool) -> None:
        """Anything but DATA and ACK, once it has begun."""
        self._end_number, self._end_ns = ref.number, ref.at_ns
        if isinstance(said, tftp.Oack):
            self.retransmissions += 1
        elif isinstance(said, tftp.Error) and not self.over:
            if self._sent_ns and from_client:
                self.client.took(ref.at_ns - self._sent_ns)
            if from_client:
                self.abort = said
            else:
                self.failure = said

    def data(self, number: int, at_ns: int, block: int, size: int, payload: bytes | None) -> None:
        """A block of ``size`` bytes on the wire; ``payload`` when it was recorded whole and is wanted."""
        ahead = (block - self._next) & 0xFFFF
        if 0x10000 - ahead <= self._near:
            self.stalled_ns += at_ns - self._end_ns
            self._end_number, self._end_ns = number, at_ns
            self._repeated(self._next + ahead - 0x10000, size, payload)
            return
        if ahead:
            self._jump(ahead)
        elif self._asked_ns:
            (self.server if self.reading else self.client).took(at_ns - self._asked_ns)
        self._end_number, self._end_ns = number, at_ns
        self._asked_ns, self._sent_ns = 0, at_ns
        if size < self._blksize:
            self._last_block = self._next
        self._next += 1
        self._take(size, payload)

    def ack(self, number: int, at_ns: int, block: int) -> None:
        """The reader says that it has everything up to this block."""
        newest = self._next - 1
        behind = (newest - block) & 0xFFFF
        if behind > max(newest - self._acked, self._near):  # of blocks that were not recorded
            self._jump((block - newest) & 0xFFFF)
            self._sent_ns = 0
            newest, behind = self._next - 1, 0
        acked = newest - behind
        if acked <= self._acked:
            self.repeated_acks += 1
            self._silent(number, at_ns)
            return
        self._end_number, self._end_ns = number, at_ns
        if self._sent_ns:
            (self.client if self.reading else self.server).took(at_ns - self._sent_ns)
        self._acked, self._asked_ns, self._sent_ns = acked, at_ns, 0
        if self._holes:
            self._settle(acked)

    def forgo(self) -> None:
        """Its contents are not kept."""
        self._content = None

    # -- what is missing ----------------------------------------------------------------------------------------------------

    def _silent(self, number: int, at_ns: int) -> None:
        """The client says something again: until now nobody was heard, and who is asked is asked from now on."""
        self.stalled_ns += at_ns - self._end_ns
        self._end_number, self._end_ns = number, at_ns
        if self._asked_ns:
            self._asked_ns = at_ns
        elif self._sent_ns:
            self._sent_ns = at_ns

    def _take(self, size: int, payload: bytes | None) -> None:
        self.recorded_bytes += size
        if self._content is not None:
            if payload is None or self._holes or self.recorded_bytes > MAX_CONTENT_BYTES:
                self._content = None
            else:
                self._content.append(payload)

    def _jump(self, count: int) -> None:
        self._holes.append([self._next, self._next + count, self._end_number, self._end_ns])
        if len(self._holes) > self._near:
            self._gap(Missing.NOT_RECORDED, self._holes.pop(0))
        self._next += count
        self._asked_ns = 0

    def _repeated(self, block: int, size: int, payload: bytes | None) -> None:
        # Waiting for what was lost on the way is nobody's slowness.
        self._asked_ns = self._sent_ns = 0
        for place, hole in enumerate(self._holes):
            if hole[0] <= block < hole[1]:
                rest = [[hole[0], block, *hole[2:]], [block + 1, hole[1], *hole[2:]]]
                self._holes[place : place + 1] = [part for part in rest if part[0] < part[1]]
                self._gap(Missing.LOST, [block, block + 1, *hole[2:]])
                self._content = None
                self._take(size, payload)
                return
        self.retransmissions += 1

    def _settle(self, acked: int) -> None:
        """The reader has these blocks: what of them is missing here was not recorded."""
        while self._holes and self._holes[0][0] <= acked:
            hole = self._holes.pop(0)
            self._gap(Missing.NOT_RECORDED, [hole[0], min(hole[1], acked + 1), *hole[2:]])
            if hole[1] > acked + 1:
                self._holes.insert(0, [acked + 1, *hole[1:]])
                return

    def _gap(self, kind: Missing, hole: list[int]) -> None:
        first, behind, number, at_ns = hole
        before = self.gaps[-1] if self.gaps else None
        if before and before.kind is kind and (before.first + before.count == first or len(self.gaps) >= MAX_GAPS):
            self.gaps[-1] = Gap(kind, before.first, before.count + behind - first, before.after)
        elif len(self.gaps) < MAX_GAPS:
            self.gaps.append(Gap(kind, first, behind - first, PacketRef(number, at_ns, self.ref.interface)))
        self._content = None

    def _answered(self, at_ns: int) -> None:
        self.server.took(at_ns - (self._asked_ns or self._sent_ns))
        self._asked_ns, self._sent_ns = (0, at_ns) if self.reading else (at_ns, 0)

    # -- what it was ----------------------------------------------------------------------------------------------------------

    def freeze(self) -> Transfer:
        """The value of it."""
        for hole in self._holes:
            self._gap(Missing.NOT_RECORDED, hole)
        self._holes.clear()
        size, blocks = self._size(), self._next - 1
        rounds = (size // self._blksize + 1 - blocks if size is not None and self._last_block else 0) & ~0xFFFF
        if rounds > 0 and self.gaps:  # whole rounds of 65 536 numbers were not recorded
            blocks += rounds
            longest = max(range(len(self.gaps)), key=lambda place: self.gaps[place].count)
            gap = self.gaps[longest]
            self.gaps[longest] = Gap(gap.kind, gap.first, gap.count + rounds, gap.after)
        content = None
        if self._content is not None and self._last_block is not None:
            content = b"".join(self._content)
        return Transfer(
            self.ref, self.packet, self.request, self.answer, self.answer_ref, self.abort, self.failure, self._outcome(),
            self.tid, self._blksize, self.windowsize, blocks, self.recorded_bytes, size, self.retransmissions,
            self.repeated_acks, self.repeated_requests, self.stalled_ns, tuple(self.gaps), self.client.waits(), self.server.waits(),
            PacketRef(self._end_number, self._end_ns, self.ref.interface), content,
        )  # fmt: skip

    def _size(self) -> int | None:
        told = _option(self._options if self.reading else self.request.options, "tsize")
        whole = all(gap.kind is Missing.LOST for gap in self.gaps)  # what was lost came after all
        if told is None and self._last_block is not None and whole:
            return self.recorded_bytes
        return told

    def _outcome(self) -> Outcome:
        if self.answer is None:
            return Outcome.UNANSWERED
        if isinstance(self.answer, tftp.Error):
            return Outcome.REFUSED
        if self._last_block is not None and (self._acked >= self._last_block or not (self.abort or self.failure)):
            return Outcome.COMPLETE
        if self.abort:
            return Outcome.ABORTED
        return Outcome.FAILED if self.failure else Outcome.UNFINISHED


class _Clock:
    __slots__ = ("count", "longest_ns", "total_ns")

    def __init__(self) -> None:
        self.count = self.total_ns = self.longest_ns = 0

    def took(self, wait_ns: int) -> None:
        self.count += 1
        self.total_ns += wait_ns
        if wait_ns > self.longest_ns:
            self.longest_ns = wait_ns

    def waits(self) -> Waits:
        return Waits(self.count, self.total_ns, self.longest_ns)


def _option(options: tftp.Options, name: str) -> int | None:
    try:
        return tftp.find_option(options, name)
    except WireError:
        return None
