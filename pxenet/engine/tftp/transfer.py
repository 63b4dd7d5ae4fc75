"""One TFTP read: windows of blocks out, acknowledgments in. RFC 1350, 7440; RFC 1123 §4.2.3.1 for duplicate acknowledgments.

Blocks are counted from 1 without end here; only their low 16 bits are on the wire, so numbers roll over to 0. The OACK is block 0 of
a transfer that has one: it is sent, repeated and acknowledged by the same rules, as a window of its own.

Echoes: EDK2 acknowledges every block that it cannot use, so each block that reaches it twice comes back as an ACK of its newest
one. Taken for reports of loss they would have the next blocks sent twice too, and so on to the end of the file (one duplicated
packet trebled the traffic of a transfer). After something was sent twice, two kinds are told apart: an ACK equal to the last one,
sooner after the window was sent than any round trip was measured, cannot speak of this window; and an ACK in mid-window of
exactly the newest block that was sent twice says that it arrived: the window moves on, and nothing behind that block is
repeated. Should it have been a loss after all, the next ACK or the time-out tells.

Knows which blocks are outstanding. Must not know ports, other transfers, or where octets come from.
"""

from __future__ import annotations

from pxenet.engine.surface import NEVER, Blocks, Stream
from pxenet.engine.tftp.options import Terms
from pxenet.engine.tftp.session import Patience, Session
from pxenet.model import Content
from pxenet.net.datagram import Datagram
from pxenet.wire.tftp import Request

NO_CONTENT = Content("", (), 0, 0, '""')
NO_STREAM = Stream(b"", NO_CONTENT, 1)
"""Stands where the content is not known yet, or let go: a finished transfer must not keep its file open."""


class Transfer(Session):
    """The sending side of one read. Waits for its content until ``begin``."""

    __slots__ = (
        "acked",
        "again_to",
        "blksize",
        "last",
        "oack",
        "paused_at",
        "restarted",
        "sent",
        "stream",
        "waiting",
        "windowsize",
    )

    def __init__(
        self, id: int, datagram: Datagram, request: Request, port: int, patience: Patience, now: float
    ) -> None:
        super().__init__(id, datagram, request, port, patience, now)
        self.waiting = True
        """For its content."""
        self.stream = NO_STREAM
        self.blksize = 0
        self.windowsize = 1
        self.oack = b""
        """The OACK as sent; empty when there is none."""
        self.acked = 0
        """The newest acknowledged block; -1 while the OACK is not."""
        self.sent = 0
        """The newest block ever sent. The outstanding window is ``acked + 1`` to ``sent``, empty before ``begin``."""
        self.again_to = 0
        """The newest block that was sent more than once."""
        self.last = 1
        """The last block, the one shorter than blksize."""
        self.paused_at = NEVER
        """When the client asked for something else, so that repeating this by the clock would only confuse it."""
        self.restarted = False
        """A repeated ACK has already caused this window to be sent again."""

    def begin(self, content: Content, terms: Terms, oack: bytes, now: float) -> None:
        """The content is there. ``outstanding`` is then what to send first."""
        self.waiting = False
        self.stream = Stream(self.peer, content, terms.blksize, self.source, self.port, self.interface, self.id)
        self.blksize = terms.blksize
        self.windowsize = terms.windowsize
        self.bound(terms.timeout_s)
        # Blocks that are full, and then one that is not: for a multiple of blksize it is empty (RFC 1350 §6).
        self.last = content.size // terms.blksize + 1
        self.oack = oack
        self.acked = -1 if oack else 0
        self.sent = 0 if oack else min(terms.windowsize, self.last)
        self.since_at = self.progress_at = now

    def go_on_after(self, block: int) -> None:
        """The client has all up to this block, and whoever sent those may have sent the next window too."""
        self.acked = block
        self.sent = self.again_to = min(block + self.windowsize, self.last)
        self.timing = False

    @property
    def done(self) -> bool:
        """The last block was acknowledged."""
        return self.acked == self.last

    @property
    def at_end(self) -> bool:
        """All blocks were sent to a client that has answered: of what it owes us, only the last ACK may be missing."""
        return self.sent == self.last and not self.fresh

    @property
    def paused(self) -> bool:
        """The client asked for something else, and has not come back to this since."""
        return self.progress_at < self.paused_at < NEVER

    def acknowledge(self, number: int, now: float) -> int:
        """An ACK came, of the block with these low 16 bits. From which block on to send, up to ``sent``; 0: nothing.

        Look at ``done`` then.
        """
        step = (number - self.acked) & 0xFFFF
        outstanding = self.sent - self.acked
        if step == 0 or step > outstanding:
            return self._repeated(step, outstanding, now)
        if self.timing:
            rtt_s = now - self.since_at
            # Round trips this short leave the time-out at its floor, whatever they are: nothing is to be computed.
            if rtt_s > self.calm_s or self.rto_s != self.floor_s:
                self.measured(rtt_s)
            elif rtt_s < self.fastest_s:
                self.fastest_s = rtt_s
        self.tries = 0
        self.restarted = False
        self.progress_at = now
        self.acked = acked = self.acked + step
        if acked == self.last:
            return 0
        # A new window begins behind the acknowledged block, also in the middle of the old one (RFC 7440 §4).
        before = self.sent
        sent = acked + self.windowsize
        if sent > self.last:
            sent = self.last
        self.sent = sent
        self.since_at = now
        if step == outstanding:
            self.timing = True
            return acked + 1
        self.timing = False
        if acked == self.again_to:
            return before + 1 if sent > before else 0
        self.retransmits += before - acked
        self.again_to = before
        return acked + 1

    def again(self, now: float) -> None:
        """What is outstanding is sent once more: the OACK where ``acked`` says so, else blocks."""
        self.timing = False
        self.since_at = now
        if self.acked < 0:
            self.retransmits += 1
        else:
            self.retransmits += self.sent - self.acked
            self.again_to = self.sent

    def outstanding(self) -> Blocks:
        """The window that waits for its acknowledgment."""
        return self.blocks_from(self.acked + 1)

    def blocks_from(self, first: int) -> Blocks:
        """Those from this one on to the end of the window."""
        return Blocks(self.stream, first, self.sent - first + 1)

    def release(self) -> None:
        """It is over: let go of the content, and of the file that it keeps open."""
        self.stream = NO_STREAM

    @property
    def content(self) -> Content:
        """What is read."""
        return self.stream.content

    def _repeated(self, step: int, outstanding: int, now: float) -> int:
        """An ACK that brings nothing new. Answering each would double the traffic for ever (RFC 1123 §4.2.3.1).

        With windows, though, an ACK equal to the last one says that the first block of the window was lost. So the window is sent
        again for the first of them, once until there is progress or a time-out.
        """
        if step or self.windowsize == 1 or self.restarted or not outstanding or self.acked < 0:
            return 0
        if self.acked <= self.again_to and now - self.since_at < self.fastest_s:
            return 0  # an echo: see the module's text
        self.restarted = True
        self.again(now)
        return self.acked + 1
