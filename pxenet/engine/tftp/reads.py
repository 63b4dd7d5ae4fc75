"""The server's side of reads: what becomes of a request for a file, from the want to the last acknowledgment.

RFC 1350, 2347. The rules of one transfer are in ``transfer``. Knows contents by their description only.
"""

from __future__ import annotations

from pxenet.engine.surface import NEVER, Delivered, Output, Want
from pxenet.engine.tftp.common import Side
from pxenet.engine.tftp.options import negotiate
from pxenet.engine.tftp.takeover import MAX_BLOCKS, Resumption
from pxenet.engine.tftp.transfer import Transfer
from pxenet.engine.tftp.turns import LARGE_BYTES, MANY
from pxenet.model import Absent, Content
from pxenet.net.datagram import Datagram, peer_address
from pxenet.wire.tftp import Error, ErrorCode, Request


class Reads(Side):
    """All reads of a server."""

    __slots__ = ()

    def request(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        """An RRQ: asks for its content."""
        self._want(datagram, request, self._common.peers.next_port(datagram.peer), now, out)

    def take_over(self, datagram: Datagram, request: Request, now: float, out: Output) -> int:
        """A read that another server has begun on this port (see ``takeover``): asks for its content; the id of that want."""
        return self._want(datagram, request, datagram.port, now, out)

    def _want(self, datagram: Datagram, request: Request, port: int, now: float, out: Output) -> int:
        common = self._common
        transfer = Transfer(common.next_id(), datagram, request, port, self._patience, now)
        if common.peers.sessions_of(peer_address(datagram.peer)) >= MANY:
            common.turns.add(transfer)
        common.admit(transfer, common.reading, out)
        self._timers.arm(transfer, now + self._patience.answer_s)
        netascii = request.mode == "netascii"
        place = datagram.data, port, datagram.interface
        out.wants.append(Want(transfer.id, request.filename, datagram.peer, netascii, datagram.local, *place))
        return transfer.id

    def provide(self, transfer: Transfer, answer: Content | Absent, now: float, out: Output) -> None:
        """The content is there, or known not to be: the first answer goes out."""
        if isinstance(answer, Absent):
            self._common.absent(transfer, answer, out)
            return
        terms = negotiate(transfer.request, self._common.limits, answer.size)
        transfer.begin(answer, terms, terms.packet, now)
        if terms.blksize * terms.windowsize > LARGE_BYTES:
            self._common.turns.add(transfer)
        self._counters.started += 1
        if not terms.oack:
            self._tell_start(transfer, out)
        self._send_outstanding(transfer, now, out)

    def resume(
        self, transfer: Transfer, answer: Content | Absent, resumption: Resumption, now: float, out: Output
    ) -> None:
        """The content of a read that was taken over: what follows the block that its client has goes out."""
        if isinstance(answer, Absent):
            self._common.absent(transfer, answer, out)
            return
        if answer.etag != resumption.etag:
            self.unreadable(transfer, "it was replaced while it was being sent", out)
            return
        terms = negotiate(transfer.request, self._common.limits, answer.size)
        transfer.begin(answer, terms, b"", now)
        if resumption.block > transfer.last or transfer.last > MAX_BLOCKS:
            self._common.refuse(transfer, ErrorCode.UNKNOWN_TRANSFER_ID, "this file has to be read anew", out)
            return
        transfer.go_on_after(resumption.block)
        self._common.confirm(transfer, out)
        if transfer.done:
            self._complete(transfer, now, out)
        else:
            self._send_outstanding(transfer, now, out)

    def unreadable(self, transfer: Transfer, detail: str, out: Output) -> None:
        """Its content could not be read."""
        self._counters.changed += 1
        self._common.tell("tftp.changed", transfer, out, why=detail)
        self._common.refuse(transfer, ErrorCode.UNDEFINED, "the file changed while it was being sent", out)

    def apart(self, transfer: Transfer, block: int, now: float, out: Output) -> None:
        """An ACK of a transfer that is fresh, or late: a late one waits for its turn, and nothing of it is sent again meanwhile."""
        if not transfer.fresh and self._common.turns.waits(transfer, block, now):
            self._timers.disarm(transfer)
        else:
            self.acknowledged(transfer, block, now, out)

    def acknowledged(self, transfer: Transfer, block: int, now: float, out: Output) -> None:
        """An ACK. ``TftpServer`` does the same in its own words for those in full flow."""
        acked = transfer.acked
        first = transfer.acknowledge(block, now)
        if not first:
            self.rests(transfer, now, out)
            return
        if transfer.fresh and transfer.acked > acked:
            self._common.confirm(transfer, out)
            if transfer.acked == 0:
                self._tell_start(transfer, out)
        out.sends.append(transfer.blocks_from(first))
        due_at = now + transfer.rto_s
        if due_at < transfer.armed_at:
            self._timers.arm(transfer, due_at)
        else:
            transfer.due_at = due_at

    def serve_late(self, now: float, out: Output) -> None:
        """The acknowledgments of late ones whose turn it is."""
        for transfer, number, heard_at in self._common.turns.next(now):
            transfer.since_at += now - heard_at  # the round trip ended when it came
            self.acknowledged(transfer, number, now, out)
            if transfer.due_at == NEVER and transfer.id in self._common.reading:
                self._timers.arm(transfer, now + transfer.rto_s)

    def rests(self, transfer: Transfer, now: float, out: Output) -> None:
        """An ACK has come on which nothing leaves: it was the last, or says nothing new."""
        if transfer.acked == transfer.last:
            self._complete(transfer, now, out)
        else:
            self._counters.duplicates += 1

    def again(self, transfer: Transfer, now: float, out: Output) -> None:
        """Send what is outstanding once more; nothing is, while the content is not there."""
        if not transfer.waiting:
            transfer.again(now)
            self._send_outstanding(transfer, now, out)

    def leave(self, transfer: Transfer, same: bool, now: float, out: Output) -> None:
        """The client asks for something (``same``: for this again) while a transfer is not over. What it waits for now is the answer
        to that: a repetition of ours could be taken for it. It has read to the end when only the last ACK is missing.
        """
        if transfer.fresh:
            self._common.end(transfer)
        elif same:
            return  # most likely a copy of the request that was late: the transfer goes on until the client takes up the new one
        elif transfer.at_end:
            self._complete(transfer, now, out)
        else:
            transfer.paused_at = now
            self._timers.arm(transfer, now + self._patience.give_up_s)

    def aborted(self, transfer: Transfer, error: Error, out: Output) -> None:
        """The client sent an ERROR."""
        self._counters.aborted += 1
        self._common.tell("tftp.aborted", transfer, out, why=_abort_reason(transfer, error))
        self._common.end(transfer)

    def due(self, transfer: Transfer, now: float, out: Output) -> None:
        """Nothing came for a while."""
        if transfer.waiting:
            self._counters.unanswered += 1
            self._common.end(transfer)
        elif transfer.paused:
            self._common.give_up(transfer, transfer.acked + 1, out, asked_another=True)
        elif transfer.at_end and self._common.given_up(transfer, now, self._patience.last_s):
            self._complete(transfer, now, out)  # the last ACK may be lost: RFC 1350 §6
        elif self._common.given_up(transfer, now, self._patience.give_up_s):
            self._common.give_up(transfer, transfer.acked + 1, out)
        else:
            transfer.back_off()
            transfer.restarted = False
            self.again(transfer, now, out)

    def _complete(self, transfer: Transfer, now: float, out: Output) -> None:
        if transfer.fresh:
            self._common.confirm(transfer, out)
        self._counters.completed += 1
        duration_s = now - transfer.started_at
        content, again = transfer.content, transfer.retransmits
        out.delivered.append(Delivered(content, transfer.peer, duration_s, again))
        self._common.tell("tftp.done", transfer, out, size=content.size, seconds=duration_s, retransmits=again)
        self._common.end(transfer)

    def _send_outstanding(self, transfer: Transfer, now: float, out: Output) -> None:
        if transfer.acked < 0:
            self._common.say(transfer, transfer.oack, out)
        else:
            out.sends.append(transfer.outstanding())
        self._timers.arm(transfer, now + transfer.rto_s)

    def _tell_start(self, transfer: Transfer, out: Output) -> None:
        """Once DATA flows: a mere question for the size is no start."""
        size, blksize, windowsize = transfer.content.size, transfer.blksize, transfer.windowsize
        self._common.tell("tftp.start", transfer, out, size=size, blksize=blksize, windowsize=windowsize)


def _abort_reason(transfer: Transfer, error: Error) -> str:
    """Why a client stops. EDK2 asks for the size and aborts on purpose, with ERROR 8 in place of ACK 0; GRUB and iPXE close with 0."""
    said = error.text or f"error {error.code}"
    if transfer.acked < 0 and error.code in (ErrorCode.UNDEFINED, ErrorCode.OPTION_REFUSED):
        return f"asked for the size only ({said})"
    return said
