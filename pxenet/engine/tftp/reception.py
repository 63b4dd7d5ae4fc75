"""One TFTP write: blocks in, acknowledgments out. RFC 1350, 2347, 7440 from the receiver's side.

What came is held in memory, within a bound, until it is whole; the last ACK waits until it is stored, for after it the client believes
that its file is safe. Knows which block is next. Must not know ports, other transfers, or where a file is stored.
"""

from __future__ import annotations

import enum

from pxenet.engine.tftp.options import Terms
from pxenet.engine.tftp.session import Patience, Session
from pxenet.net.datagram import Datagram
from pxenet.wire.tftp import Ack, Data, Oack, Request, serialize


class Stage(enum.Enum):
    """How far a write is."""

    RECEIVING = "receiving"
    STORING = "storing"  # whole; nobody is answered before it is stored
    DALLYING = "dallying"  # stored and acknowledged; the last ACK is repeated on demand (RFC 1350 §6)


class Reception(Session):
    """The receiving side of one write."""

    __slots__ = (
        "blksize",
        "data",
        "first_answer",
        "first_s",
        "gap",
        "received",
        "size",
        "stage",
        "unacked",
        "windowsize",
    )

    def __init__(
        self, id: int, datagram: Datagram, request: Request, port: int, patience: Patience, terms: Terms, now: float
    ) -> None:
        super().__init__(id, datagram, request, port, patience, now)
        self.stage = Stage.RECEIVING
        self.blksize = terms.blksize
        self.windowsize = terms.windowsize
        self.bound(terms.timeout_s)
        self.first_s = self.rto_s
        """What to wait after progress: a receiver measures nothing, the sender's timer is the one that matters."""
        self.data = bytearray()
        """What came, in one piece: with a blksize of 8 a list of blocks would take six times the memory."""
        self.size = 0
        self.received = 0
        """The newest block that came in order, counted from 1 without end."""
        self.unacked = 0
        """Blocks received since the last ACK."""
        self.gap = False
        """The gap before the block we wait for has been reported."""
        self.first_answer = serialize(Oack(terms.oack)) if terms.oack else serialize(Ack(0))
        """What accepts the request: the OACK, else ACK 0 (RFC 2347)."""

    def ack(self) -> bytes:
        """The acknowledgment of everything that came in order."""
        self.unacked = 0
        return serialize(Ack(self.received & 0xFFFF))

    def take(self, data: Data, now: float) -> bytes | None:
        """A block came. Gives the ACK to send now, if any; when it was the last one ``stage`` is STORING and there is none."""
        ahead = (data.block - self.received) & 0xFFFF
        if self.stage is not Stage.RECEIVING or ahead != 1:
            return self._out_of_order(ahead)
        self.received += 1
        self.unacked += 1
        self.gap = False
        self.tries = 0
        self.rto_s = self.first_s
        self.progress_at = self.since_at = now
        self.size += len(data.payload)
        self.data += data.payload
        if len(data.payload) < self.blksize:
            self.stage = Stage.STORING
            return None
        return self.ack() if self.unacked >= self.windowsize else None

    def whole(self) -> bytes:
        """The file, line ends as ours when it came as netascii (RFC 764: CR LF is a line end, CR NUL a CR). Forgets the blocks."""
        data = bytes(self.data)
        self.release()
        if self.request.mode == "netascii":
            return data.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r")
        return data

    def release(self) -> None:
        """It is over: let go of what came."""
        self.data = bytearray()

    def _out_of_order(self, ahead: int) -> bytes | None:
        if self.stage is Stage.STORING:
            return None
        if ahead == 0 or self.stage is Stage.DALLYING or ahead > 0x8000:
            # The newest block again, or an older one: our ACK was lost. It must be said again, or the sender waits for ever.
            return self.ack()
        if self.gap:
            return None
        self.gap = True  # RFC 7440 §4: report a gap at once, but once
        return self.ack()
