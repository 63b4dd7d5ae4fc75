"""The TFTP server: which datagram belongs to which transfer, who may begin one, and what is told when it ends.

RFC 1350 (transfer identifiers §4, errors §7), 1123 §4.2.3 (duplicates, broadcast), 2347 (options). The rules of one transfer are
in ``tftp_transfer`` and ``tftp_reception``. Knows requests, ports and settings. Must not know sockets, files, clocks, or who may
read what.

Transfer identifiers: the client's address and port tell transfers apart, so many share one of our ports. pxelinux sends all requests
of a boot from one port: there, each further request takes the next of our ports in turn, so that late packets of the one before
cannot touch it. Until the client speaks on the new one the old one stays, without repeating anything by the clock: the request may
have been a copy that arrived late.
"""

from __future__ import annotations

from collections.abc import Sequence

from pxenet.engine.surface import Delivered, Output, Upload, Want
from pxenet.engine.tftp_options import negotiate
from pxenet.engine.tftp_peers import Peers
from pxenet.engine.tftp_reception import Reception, Stage
from pxenet.engine.tftp_session import Session
from pxenet.engine.tftp_settings import Counters, TftpSettings, TftpStatistics
from pxenet.engine.tftp_transfer import Transfer
from pxenet.engine.timers import Timers
from pxenet.events import Event
from pxenet.model import Absent, Content, Missing, Verdict
from pxenet.net.datagram import Datagram, Send, peer_address
from pxenet.wire.reader import WireError
from pxenet.wire.tftp import (
    Ack,
    Data,
    Error,
    ErrorCode,
    Oack,
    OpCode,
    Packet,
    Request,
    ack_block,
    parse,
    serialize,
)

__all__ = ["TftpServer", "TftpSettings", "TftpStatistics"]

_REFUSALS = {
    Missing.NOT_FOUND: (ErrorCode.FILE_NOT_FOUND, "tftp.missing"),
    Missing.BAD_NAME: (ErrorCode.FILE_NOT_FOUND, "tftp.missing"),
    Missing.DENIED: (ErrorCode.ACCESS_VIOLATION, "tftp.denied"),
    Missing.TOO_LARGE: (ErrorCode.ILLEGAL_OPERATION, "tftp.denied"),
}
"""How an Absent is told to the client and to people. Searches for configuration files go on after code 1; 2 is final to U-Boot."""

_MODES = ("octet", "netascii")

_ASKED_AGAIN = "the client asked for something else"

_TEXT_LIMIT = 200
"""Characters of an ERROR's text: firmware prints it on one or two lines."""


class TftpServer:
    """Serves reads, and writes where they are allowed. Implements ``engine.surface.Engine``."""

    def __init__(self, settings: TftpSettings) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._patience = settings.patience
        self._peers = Peers(settings.ports)
        self._timers: Timers[Session] = Timers()
        self._by_want: dict[int, Transfer] = {}
        self._by_upload: dict[int, Reception] = {}
        self._next_id = 1
        self._counters = Counters()

    def statistics(self) -> TftpStatistics:
        """What was counted since the start, and how many transfers there are now."""
        return self._counters.freeze(reading=len(self._by_want), writing=len(self._by_upload))

    # What comes in

    def receive(self, batch: Sequence[Datagram], now: float) -> Output:
        """Take what arrived. Bad packets are counted and dropped, never raised."""
        out = Output()
        find = self._peers.find
        for datagram in batch:
            block = ack_block(datagram.data)
            if block >= 0:  # fast path; a test proves it equal to what _parsed does with an Ack
                session = find(datagram.port, datagram.peer)
                if session.__class__ is Transfer:
                    self._acknowledged(session, block, now, out)
                    continue
            self._parsed(datagram, now, out)
        return out

    def provide(self, want: int, answer: Content | Absent, now: float) -> Output:
        """The answer to a want, by its id; one that is no longer of interest is ignored."""
        out = Output()
        transfer = self._by_want.get(want)
        if transfer is None or not transfer.waiting:
            return out
        if isinstance(answer, Absent):
            self._absent(transfer, answer, out)
            return out
        terms = negotiate(transfer.request, self._limits, answer.size)
        transfer.begin(answer, terms, serialize(Oack(terms.oack)) if terms.oack else b"", now)
        self._counters.started += 1
        if not terms.oack:
            self._tell_start(transfer, out)
        self._send_outstanding(transfer, out)
        self._timers.arm(transfer, now + transfer.rto_s)
        return out

    def unreadable(self, want: int, detail: str, now: float) -> Output:
        """The content of this want could not be read when its Blocks were to leave: it shrank, or the disk failed."""
        out = Output()
        transfer = self._by_want.get(want)
        if transfer is not None:
            self._counters.changed += 1
            self._tell("tftp.changed", transfer, out, why=detail)
            self._refuse(transfer, ErrorCode.UNDEFINED, "the file changed while it was being sent", out)
        return out

    def committed(self, commit: int, verdict: Verdict, now: float) -> Output:
        """TFTP asks for no commits."""
        return Output()

    def uploaded(self, upload: int, refused: Absent | None, now: float) -> Output:
        """The fate of an upload: stored, or refused with the reason."""
        out = Output()
        reception = self._by_upload.get(upload)
        if reception is None or reception.stage is not Stage.STORING:
            return out
        if refused is not None:
            code, _ = _REFUSALS[refused.missing]
            self._counters.refused += 1
            self._tell("tftp.denied", reception, out, why=refused.detail or refused.missing.value)
            self._refuse(reception, code, refused.missing.value, out)
            return out
        reception.stage = Stage.DALLYING
        self._counters.completed += 1
        self._tell("tftp.written", reception, out, size=reception.size)
        self._say(reception, reception.ack(), out)
        self._timers.arm(reception, now + self._patience.dally_s)
        return out

    def tick(self, now: float) -> Output:
        """Send again what nobody acknowledged; give up where that went on for too long."""
        out = Output()
        for session in self._timers.due(now):
            if isinstance(session, Transfer):
                self._transfer_due(session, now, out)
            elif isinstance(session, Reception):
                self._reception_due(session, now, out)
        return out

    def deadline(self) -> float:
        """When ``tick`` is next needed; it may be a little early, never late."""
        return self._timers.next_at()

    # Packets of a transfer

    def _acknowledged(self, transfer: Transfer, block: int, now: float, out: Output) -> None:
        acked = transfer.acked
        window = transfer.acknowledge(block, now)
        if window is None:
            if transfer.acked == transfer.last:
                self._complete(transfer, now, out)
            else:
                self._counters.duplicates += 1
            return
        if transfer.fresh and transfer.acked > acked:
            self._confirmed(transfer, out)
            if transfer.acked == 0:
                self._tell_start(transfer, out)
        out.sends.append(window)
        due_at = now + transfer.rto_s
        if due_at < transfer.armed_at:
            self._timers.arm(transfer, due_at)
        else:
            transfer.due_at = due_at

    def _parsed(self, datagram: Datagram, now: float, out: Output) -> None:
        """The plain path: any packet, by its value."""
        try:
            packet = parse(datagram.data)
        except WireError as error:
            self._malformed(datagram, error, out)
            return
        if isinstance(packet, Request):
            self._requested(datagram, packet, now, out)
            return
        session = self._peers.find(datagram.port, datagram.peer)
        if session is None:
            self._stray(datagram, packet, out)
        elif isinstance(packet, Error):
            self._aborted(session, packet, out)
        elif isinstance(packet, Ack) and isinstance(session, Transfer):
            self._acknowledged(session, packet.block, now, out)
        elif isinstance(packet, Data) and isinstance(session, Reception):
            self._received(session, packet, now, out)
        else:
            self._counters.unexpected += 1

    def _received(self, reception: Reception, data: Data, now: float, out: Output) -> None:
        before = reception.received
        answer = reception.take(data, now)
        if reception.received > before and reception.fresh:
            self._confirmed(reception, out)
        if reception.size > self._settings.max_upload_bytes:
            self._too_large(reception, reception.size, out)
            return
        if answer is not None:
            self._say(reception, answer, out)
        if reception.received == before:
            return  # nothing new: its timer goes on, or a chatty client would never be given up
        if reception.stage is Stage.RECEIVING:
            self._timers.arm(reception, now + reception.rto_s)
        else:
            out.uploads.append(Upload(reception.id, reception.path, reception.whole(), reception.peer))
            self._timers.arm(reception, now + self._patience.answer_s)

    def _aborted(self, session: Session, error: Error, out: Output) -> None:
        if isinstance(session, Transfer):
            self._counters.aborted += 1
            self._tell("tftp.aborted", session, out, why=_abort_reason(session, error))
        elif isinstance(session, Reception) and session.stage is not Stage.DALLYING:
            self._counters.aborted += 1
            self._tell("tftp.aborted", session, out, why=error.text or f"error {error.code}")
        self._end(session)

    def _stray(self, datagram: Datagram, packet: Packet, out: Output) -> None:
        """A packet of no transfer. RFC 1350 §4 has ERROR 5 sent to whoever it comes from; an ERROR is never answered.

        Nor is a peer that we know: it may wait for the answer to its next request on the very port that the late packet came from, and
        take the ERROR for that answer.
        """
        self._counters.strays += 1
        if not isinstance(packet, Error) and not datagram.broadcast and not self._peers.knows(datagram.peer):
            error = Error(ErrorCode.UNKNOWN_TRANSFER_ID, "unknown transfer id")
            out.sends.append(_reply(datagram, datagram.port, error))

    def _malformed(self, datagram: Datagram, error: WireError, out: Output) -> None:
        """Counted and dropped; only a damaged request is told so, for its sender would wait for the answer."""
        self._counters.malformed += 1
        request = datagram.data[:2] in (b"\0\1", b"\0\2")
        if request and datagram.port == self._settings.port and not datagram.broadcast:
            out.sends.append(_reply(datagram, datagram.port, Error(ErrorCode.ILLEGAL_OPERATION, _cut(str(error)))))

    # Requests

    def _requested(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        if datagram.broadcast or datagram.port != self._settings.port:
            self._counters.unexpected += 1  # RFC 1123 §4.2.3.4: requests sent to a broadcast address are ignored
            return
        before = self._peers.current(datagram.peer)
        if before is not None:
            same = before.request_bytes == datagram.data
            if same and self._repeated(before, now, out):
                return
            if isinstance(before, Transfer):
                self._leave(before, same, now, out)
        if request.mode not in _MODES:
            error = Error(ErrorCode.ILLEGAL_OPERATION, _cut(f"mode {request.mode!r} is not served, use octet"))
            self._refuse_request(datagram, request, error, out)
        elif request.op is OpCode.RRQ:
            self._read(datagram, request, now, out)
        else:
            self._write(datagram, request, now, out)

    def _repeated(self, session: Session, now: float, out: Output) -> bool:
        """The same request again. True: it is the copy of one that is being answered, and nothing new begins."""
        if session.fresh:  # the first answer was lost, or is on its way
            if isinstance(session, Transfer) and not session.waiting:
                self._send_again(session, now, out)
            elif isinstance(session, Reception):
                self._say_again(session, out)
        elif not self._settings.single_port or now - session.progress_at >= self._patience.first_s:
            return False
        # With a single port there is no second one to answer from: what is in full flow is not begun anew.
        self._counters.repeats += 1
        return True

    def _leave(self, transfer: Transfer, same: bool, now: float, out: Output) -> None:
        """The client asks for something (``same``: for this again) while a transfer is not over. What it waits for now is the answer to
        that: a repetition of ours could be taken for it. It has read to the end when only the last ACK is missing.
        """
        if transfer.fresh:
            self._end(transfer)
        elif same:
            return  # most likely a copy of the request that was late: the transfer goes on until the client takes up the new one
        elif transfer.at_end:
            self._complete(transfer, now, out)
        else:
            transfer.paused_at = now
            self._timers.arm(transfer, now + self._patience.give_up_s)

    def _read(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        if len(self._by_want) >= self._settings.max_transfers:
            self._counters.overload += 1
            return
        transfer = Transfer(self._take_id(), datagram, request, self._port_for(datagram), self._patience, now)
        self._by_want[transfer.id] = transfer
        self._admit(transfer, out)
        self._timers.arm(transfer, now + self._patience.answer_s)
        netascii = request.mode == "netascii"
        out.wants.append(Want(transfer.id, request.filename, datagram.peer, netascii, datagram.local))

    def _write(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        if not self._settings.allow_write:
            error = Error(ErrorCode.ILLEGAL_OPERATION, "writing is switched off on this server")
            self._refuse_request(datagram, request, error, out)
            return
        if len(self._by_upload) >= self._settings.max_uploads:
            self._counters.overload += 1
            return
        terms = negotiate(request, self._limits, 0)
        reception = Reception(self._take_id(), datagram, request, self._port_for(datagram), self._patience, terms, now)
        self._by_upload[reception.id] = reception
        self._admit(reception, out)
        if terms.tsize is not None and terms.tsize > self._settings.max_upload_bytes:
            self._too_large(reception, terms.tsize, out)
            return
        self._counters.started += 1
        self._say(reception, reception.first_answer(terms), out)
        self._timers.arm(reception, now + reception.rto_s)

    def _refuse_request(self, datagram: Datagram, request: Request, error: Error, out: Output) -> None:
        self._counters.refused += 1
        detail = {"path": request.filename, "why": error.text}
        out.events.append(Event("tftp.denied", address=peer_address(datagram.peer), detail=detail))
        out.sends.append(_reply(datagram, datagram.port, error))

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _port_for(self, datagram: Datagram) -> int:
        return self._peers.next_port(datagram.peer)

    def _admit(self, session: Session, out: Output) -> None:
        self._replaced(self._peers.admit(session), out)

    def _confirmed(self, session: Session, out: Output) -> None:
        """The client spoke on this transfer for the first time: the one before it is over, whatever it looked like."""
        session.fresh = False
        self._replaced(self._peers.confirm(session), out)

    def _replaced(self, session: Session | None, out: Output) -> None:
        if session is not None:
            self._counters.aborted += 1
            if not session.fresh:
                self._tell("tftp.aborted", session, out, why=_ASKED_AGAIN)
            self._forget(session)

    # Time

    def _transfer_due(self, transfer: Transfer, now: float, out: Output) -> None:
        patience = self._patience
        if transfer.waiting:
            self._counters.unanswered += 1
            self._end(transfer)
            return
        if transfer.paused:
            self._give_up(transfer, transfer.acked + 1, out)
            return
        limit_s = patience.last_s if transfer.at_end else patience.give_up_s
        if transfer.tries >= patience.tries and now - transfer.progress_at >= limit_s:
            if transfer.at_end:  # the last ACK may be lost: RFC 1350 §6
                self._complete(transfer, now, out)
            else:
                self._give_up(transfer, max(transfer.acked + 1, 0), out)
            return
        transfer.back_off()
        transfer.restarted = False
        self._send_again(transfer, now, out)

    def _reception_due(self, reception: Reception, now: float, out: Output) -> None:
        if reception.stage is Stage.DALLYING:
            self._end(reception)
            return
        patience = self._patience
        if reception.stage is Stage.STORING:
            self._counters.unanswered += 1
            self._refuse(reception, ErrorCode.UNDEFINED, "the file could not be stored in time", out)
            return
        if reception.tries >= patience.tries and now - reception.progress_at >= patience.give_up_s:
            self._give_up(reception, reception.received + 1, out)
            return
        reception.back_off()
        reception.gap = False
        self._counters.retransmits += 1
        self._say_again(reception, out)
        self._timers.arm(reception, now + reception.rto_s)

    def _give_up(self, session: Session, block: int, out: Output) -> None:
        """Silently towards the client (nobody is there), but not towards people, unless the client merely asked for something else."""
        self._counters.gave_up += 1
        if self._peers.superseded(session) or (isinstance(session, Transfer) and session.paused):
            self._tell("tftp.aborted", session, out, why=_ASKED_AGAIN)
        else:
            self._tell("tftp.gave_up", session, out, block=block)
        self._end(session)

    # Ways to end, and to speak

    def _complete(self, transfer: Transfer, now: float, out: Output) -> None:
        if transfer.fresh:
            self._confirmed(transfer, out)
        self._counters.completed += 1
        duration_s = now - transfer.started_at
        size = transfer.content.size
        out.delivered.append(Delivered(transfer.content, transfer.peer, duration_s, transfer.retransmits))
        self._tell("tftp.done", transfer, out, size=size, seconds=duration_s, retransmits=transfer.retransmits)
        self._end(transfer)

    def _absent(self, transfer: Transfer, absent: Absent, out: Output) -> None:
        code, kind = _REFUSALS[absent.missing]
        self._counters.refused += 1
        self._tell(kind, transfer, out, why=absent.detail or absent.missing.value)
        self._refuse(transfer, code, f"{absent.missing.value}: {transfer.path}", out)

    def _too_large(self, reception: Reception, size: int, out: Output) -> None:
        limit = self._settings.max_upload_bytes
        why = f"{size} bytes, at most {limit} are taken"
        self._counters.refused += 1
        self._tell("tftp.denied", reception, out, why=why)
        self._refuse(reception, ErrorCode.DISK_FULL, why, out)

    def _refuse(self, session: Session, code: ErrorCode, text: str, out: Output) -> None:
        self._say(session, serialize(Error(code, _cut(text))), out)
        self._end(session)

    def _end(self, session: Session) -> None:
        self._peers.end(session)
        self._forget(session)

    def _forget(self, session: Session) -> None:
        self._timers.disarm(session)
        if isinstance(session, Transfer):
            self._counters.retransmits += session.retransmits
            self._by_want.pop(session.id, None)
            session.release()
        elif isinstance(session, Reception):
            self._by_upload.pop(session.id, None)
            session.chunks = []

    def _send_again(self, transfer: Transfer, now: float, out: Output) -> None:
        transfer.again(now)
        self._send_outstanding(transfer, out)
        self._timers.arm(transfer, now + transfer.rto_s)

    def _send_outstanding(self, transfer: Transfer, out: Output) -> None:
        if transfer.acked < 0:
            self._say(transfer, transfer.oack, out)
        else:
            out.sends.append(transfer.outstanding())

    def _say_again(self, reception: Reception, out: Output) -> None:
        """What the client has to hear before it sends more. A fresh one may not have heard the first answer."""
        first = reception.fresh
        answer = reception.first_answer(negotiate(reception.request, self._limits, 0)) if first else reception.ack()
        self._say(reception, answer, out)

    def _say(self, session: Session, payload: bytes, out: Output) -> None:
        out.sends.append(Send(session.peer, (payload,), session.source, session.port, session.interface))

    def _tell_start(self, transfer: Transfer, out: Output) -> None:
        size, blksize, windowsize = transfer.content.size, transfer.blksize, transfer.windowsize
        self._tell("tftp.start", transfer, out, size=size, blksize=blksize, windowsize=windowsize)

    def _tell(self, kind: str, session: Session, out: Output, **detail: object) -> None:
        detail["path"] = session.path
        out.events.append(Event(kind, address=peer_address(session.peer), detail=detail))


def _reply(datagram: Datagram, port: int, packet: Packet) -> Send:
    return Send(datagram.peer, (serialize(packet),), datagram.local, port, datagram.interface)


def _abort_reason(transfer: Transfer, error: Error) -> str:
    """Why a client stops. EDK2 asks for the size and aborts on purpose, with ERROR 8 in place of ACK 0; GRUB and iPXE close with 0."""
    if transfer.acked < 0 and error.code in (ErrorCode.UNDEFINED, ErrorCode.OPTION_REFUSED):
        return f"asked for the size only ({error.text})" if error.text else "asked for the size only"
    return error.text or f"error {error.code}"


def _cut(text: str) -> str:
    return text.replace("\0", "")[:_TEXT_LIMIT]
