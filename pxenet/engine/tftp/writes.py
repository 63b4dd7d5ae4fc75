"""The server's side of writes: what becomes of a WRQ, from the request to the last acknowledgment.

RFC 1350, 2347. The rules of one write are in ``reception``. Off unless configured; memory is bounded by number and by size.
"""

from __future__ import annotations

from pxenet.engine.surface import Output, Upload
from pxenet.engine.tftp.common import Side
from pxenet.engine.tftp.options import negotiate
from pxenet.engine.tftp.reception import Reception, Stage
from pxenet.model import Absent
from pxenet.net.datagram import Datagram
from pxenet.wire.tftp import Data, Error, ErrorCode, Request


class Writes(Side):
    """All writes of a server."""

    __slots__ = ()

    def request(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        """A WRQ: accepted at once; whether the file may be stored turns out when it is whole."""
        common = self._common
        port = common.peers.next_port(datagram.peer)
        terms = negotiate(request, common.limits, 0)
        reception = Reception(common.next_id(), datagram, request, port, self._patience, terms, now)
        common.admit(reception, common.writing, out)
        if terms.tsize is not None and terms.tsize > common.settings.max_upload_bytes:
            self._too_large(reception, terms.tsize, out)
            return
        self._counters.started += 1
        self.again(reception, out)
        self._timers.arm(reception, now + reception.rto_s)

    def received(self, reception: Reception, data: Data, now: float, out: Output) -> None:
        """A DATA."""
        before = reception.received
        answer = reception.take(data, now)
        if reception.received > before and reception.fresh:
            self._common.confirm(reception, out)
        if reception.size > self._common.settings.max_upload_bytes:
            self._too_large(reception, reception.size, out)
            return
        if answer is not None:
            self._common.say(reception, answer, out)
        if reception.received == before:
            return  # nothing new: its timer goes on, or a chatty client would never be given up
        if reception.stage is Stage.RECEIVING:
            self._timers.arm(reception, now + reception.rto_s)
        else:
            out.uploads.append(Upload(reception.id, reception.path, reception.whole(), reception.peer))
            self._timers.arm(reception, now + self._patience.answer_s)

    def uploaded(self, reception: Reception, refused: Absent | None, now: float, out: Output) -> None:
        """The file is stored, or refused: now the client may know."""
        if refused is not None:
            self._common.absent(reception, refused, out)
            return
        reception.stage = Stage.DALLYING
        self._counters.completed += 1
        self._common.tell("tftp.written", reception, out, size=reception.size)
        self._common.say(reception, reception.ack(), out)
        self._timers.arm(reception, now + self._patience.dally_s)

    def again(self, reception: Reception, out: Output) -> None:
        """What the client has to hear before it sends more. A fresh one may not have heard the first answer."""
        self._common.say(reception, reception.first_answer if reception.fresh else reception.ack(), out)

    def aborted(self, reception: Reception, error: Error, out: Output) -> None:
        """The client sent an ERROR."""
        if reception.stage is not Stage.DALLYING:
            self._counters.aborted += 1
            self._common.tell("tftp.aborted", reception, out, why=error.text or f"error {error.code}")
        self._common.end(reception)

    def due(self, reception: Reception, now: float, out: Output) -> None:
        """Nothing came for a while."""
        if reception.stage is Stage.DALLYING:
            self._common.end(reception)
        elif reception.stage is Stage.STORING:
            self._counters.unanswered += 1
            self._common.refuse(reception, ErrorCode.UNDEFINED, "the file could not be stored in time", out)
        elif self._common.given_up(reception, now, self._patience.give_up_s):
            self._common.give_up(reception, reception.received + 1, out)
        else:
            reception.back_off()
            reception.gap = False
            reception.retransmits += 1
            self.again(reception, out)
            self._timers.arm(reception, now + reception.rto_s)

    def _too_large(self, reception: Reception, size: int, out: Output) -> None:
        why = f"{size} bytes, at most {self._common.settings.max_upload_bytes} are taken"
        self._counters.refused += 1
        self._common.tell("tftp.denied", reception, out, why=why)
        self._common.refuse(reception, ErrorCode.DISK_FULL, why, out)
