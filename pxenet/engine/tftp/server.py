"""The TFTP server: which datagram belongs to which transfer, who may begin one, and what is told when it ends.

RFC 1350 (transfer identifiers §4, errors §7), 1123 §4.2.3 (duplicates, broadcast), 2347 (options). What becomes of a request is in
``reads`` and ``writes``, the rules of one transfer in ``transfer`` and ``reception``, who waits when it is too much in
``admission``. Knows packets, ports and settings. Must not know sockets, files, clocks, or who may read what.

Transfer identifiers: the client's address and port tell transfers apart, so many share one of our ports. pxelinux sends all requests
of a boot from one port: there, each further request takes the next of our ports in turn, so that late packets of the one before
cannot touch it. Until the client speaks on the new one the old one stays, without repeating anything by the clock: the request may
have been a copy that arrived late.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import islice

from pxenet.engine.surface import Flight, Output, Progress
from pxenet.engine.tftp.admission import Admission, Rank
from pxenet.engine.tftp.common import Common
from pxenet.engine.tftp.reads import Reads
from pxenet.engine.tftp.reception import Reception, Stage
from pxenet.engine.tftp.session import Session
from pxenet.engine.tftp.settings import TftpSettings, TftpStatistics
from pxenet.engine.tftp.takeover import Orphan, Orphans, Resumption
from pxenet.engine.tftp.transfer import Transfer
from pxenet.engine.tftp.turns import MANY
from pxenet.engine.tftp.writes import Writes
from pxenet.events import Event
from pxenet.model import Absent, Content, Verdict
from pxenet.net.datagram import BATCH, Datagram, Quads, peer_address
from pxenet.wire.reader import WireError
from pxenet.wire.tftp import Ack, Data, Error, ErrorCode, OpCode, Packet, Request, parse

_MODES = ("octet", "netascii")
_ACK = int(OpCode.ACK)
_RRQ = OpCode.RRQ.to_bytes(2, "big")

_REQUESTS = 256
"""How many read requests are remembered as what they mean. Each has at most 512 octets (RFC 2347), or does not parse."""


class TftpServer:
    """Serves reads, and writes where they are allowed. Implements ``engine.surface.Engine``."""

    def __init__(self, settings: TftpSettings) -> None:
        self._settings = settings
        self._common = Common(settings)
        self._counters = self._common.counters
        self._reads = Reads(self._common)
        self._writes = Writes(self._common)
        self._orphans = Orphans()
        self._admission = Admission(settings.max_waiting, settings.lag_limit_s)
        self._load = self._admission.load
        self._strained, self._waiting = self._load.full, self._admission.by_peer
        self._turns = self._common.turns
        self._late = self._turns.late
        self._retired = False
        # Machines of one kind ask with the very same octets: of 100 that boot at once, 99 requests are known.
        self._known = lru_cache(_REQUESTS)(parse)

    def take_over(self, orphans: Sequence[Orphan], now: float) -> None:
        """Reads of a server that is gone, whose ports are ours now: each goes on when its client repeats its last ACK."""
        self._orphans.add(orphans, now)
        for orphan in orphans:
            self._common.peers.used(orphan.peer, orphan.port)

    def statistics(self) -> TftpStatistics:
        """What was counted since the start, and how many transfers there are now."""
        return self._counters.freeze(len(self._common.reading), len(self._common.writing), len(self._waiting))

    def progress(self, limit: int) -> list[Progress]:
        """How far the reads under way have come, of ``limit`` of them at most: the latest."""
        return [
            Progress(
                transfer.id,
                peer_address(transfer.peer),
                transfer.path,
                min(max(transfer.acked, 0) * transfer.blksize, transfer.content.size),
                transfer.content.size,
                transfer.retransmits,
            )
            for transfer in islice(reversed(self._common.reading.values()), limit)
            if isinstance(transfer, Transfer) and not transfer.waiting
        ]

    def receive(self, batch: Sequence[Datagram], now: float) -> Output:
        """Take what arrived. Bad packets are counted and dropped, never raised."""
        out = Output()
        late = self._turns.heard
        if isinstance(batch, Quads):
            count = len(batch.peers)
            self._quads(batch, now, out)
        else:
            count = len(batch)
            for datagram in batch:
                self._parsed(datagram, now, out)
        if self._late:
            self._turns.others(count - (self._turns.heard - late), now)
        if count >= BATCH or self._strained or self._waiting:
            if count:
                self._load.heard(batch[0].port, count, now)
            self._begin_waiting(now, out)
        return out

    def provide(self, want: int, answer: Content | Absent, now: float) -> Output:
        """The answer to a want, by its id; one that is no longer of interest is ignored."""
        out = Output()
        transfer = self._common.reading.get(want)
        resumption = self._orphans.resumed.pop(want, None)
        if isinstance(transfer, Transfer) and transfer.waiting:
            if resumption is None:
                self._reads.provide(transfer, answer, now, out)
            else:
                self._reads.resume(transfer, answer, resumption, now, out)
        return out

    def unreadable(self, want: int, detail: str, now: float) -> Output:
        """The content of this want could not be read when its Blocks were to leave: it shrank, or the disk failed."""
        out = Output()
        transfer = self._common.reading.get(want)
        if isinstance(transfer, Transfer):
            self._reads.unreadable(transfer, detail, out)
        return out

    def committed(self, commit: int, verdict: Verdict, now: float) -> Output:
        """TFTP asks for no commits."""
        return Output()

    def uploaded(self, upload: int, refused: Absent | None, now: float) -> Output:
        """The fate of an upload: stored, or refused with the reason."""
        out = Output()
        reception = self._common.writing.get(upload)
        if isinstance(reception, Reception) and reception.stage is Stage.STORING:
            self._writes.uploaded(reception, refused, now, out)
        return out

    def tick(self, now: float) -> Output:
        """Send again what nobody acknowledged; give up where that went on for too long."""
        out = Output()
        for session in self._common.timers.due(now):
            if isinstance(session, Transfer):
                self._reads.due(session, now, out)
            elif isinstance(session, Reception):
                self._writes.due(session, now, out)
        self._reads.serve_late(now, out)
        self._begin_waiting(now, out)
        return out

    def deadline(self) -> float:
        """When ``tick`` is next needed; it may be a little early, never late."""
        at = self._common.timers.next_at()
        if self._waiting or self._late:
            at = min(at, self._admission.due_at(), self._turns.since_at)
        return at

    def behind(self, lag_s: float, now: float) -> None:
        """Windows had to wait for so long until the network took them."""
        self._load.behind(lag_s, len(self._common.reading) - len(self._late), now)

    def reading(self) -> Collection[int]:
        """The ids of the wants of all reads under way; not to be kept."""
        return self._common.reading.keys()

    def reconfigure(self, settings: TftpSettings) -> None:
        """From now on other settings hold, for transfers that begin now. The ports must be the same."""
        if (settings.port, settings.ports) != (self._settings.port, self._settings.ports):
            raise ValueError("the ports of a server that runs do not change")
        self._settings = settings
        self._common.reconfigure(settings)

    def retire(self) -> None:
        """Begin no transfer any more: a client repeats its request, and whoever serves then can answer it."""
        self._retired = True
        self._counters.overload += self._admission.clear()

    def busy(self) -> bool:
        """There are transfers."""
        return bool(self._common.reading or self._common.writing)

    # Too much at once

    def _full(self, now: float) -> bool:
        """No read more can be answered in time. Late ones do not count: they get what others leave."""
        reading = len(self._common.reading)
        return reading >= self._settings.max_transfers or reading - len(self._late) >= self._load.most(now)

    def _wait(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        """An RRQ that cannot be served now."""
        peers, address = self._common.peers, peer_address(datagram.peer)
        rank = Rank.LATE if peers.sessions_of(address) >= MANY else Rank.EARLY if peers.served(address) else Rank.NEW
        if not self._waiting:
            out.events.append(Event("tftp.saturated", detail={"reading": len(self._common.reading)}))
        refused = self._admission.wait(datagram, request, rank, now)
        if refused:
            self._counters.overload += 1
            out.events.append(Event("tftp.dropped", address=address, detail={"path": request.filename, "why": refused}))

    def _begin_waiting(self, now: float, out: Output) -> None:
        """Those who wait, as far as it is their turn."""
        if not self._waiting:
            return
        late = len(self._late)
        reading = len(self._common.reading) - late
        begin = self._admission.next(reading, self._settings.max_transfers - late, now)
        self._counters.waited += len(begin)
        for waiting in begin:
            self._reads.request(waiting.datagram, waiting.request, now, out)
        if not self._waiting:
            out.events.append(Event("tftp.caught_up", detail={"waited": self._counters.waited}))

    # Packets

    def _quads(self, batch: Quads, now: float, out: Output) -> None:
        """The fast path, of ACKs; a test proves it equal to the plain one. The calls that it saves cost as much as what they do."""
        timers, reads, flight = self._common.timers, self._reads, Flight()
        streams, firsts, counts = flight.streams, flight.firsts, flight.counts
        sessions = map(self._common.peers.on_port(batch.port).get, batch.peers)
        for session, word, peer in zip(sessions, batch.words, batch.peers, strict=True):
            if session.__class__ is not Transfer or word >> 16 != _ACK:
                self._parsed(batch.datagram(peer, word), now, out)
            elif session.apart:
                reads.apart(session, word & 0xFFFF, now, out)
            elif first := session.acknowledge(word, now):
                streams.append(session.stream)
                firsts.append(first)
                counts.append(session.sent - first + 1)
                due_at = now + session.rto_s
                if due_at < session.armed_at:
                    timers.arm(session, due_at)
                else:
                    session.due_at = due_at
            else:
                reads.rests(session, now, out)
        out.flight = flight

    def _parsed(self, datagram: Datagram, now: float, out: Output) -> None:
        """The plain path: any packet, by its value."""
        try:
            packet = (self._known if datagram.data.startswith(_RRQ) else parse)(datagram.data)
        except WireError as error:
            self._malformed(datagram, error, out)
            return
        if isinstance(packet, Request):
            self._requested(datagram, packet, now, out)
            return
        session = self._common.peers.find(datagram.port, datagram.peer)
        if session is None:
            if not self._taken_over(datagram, packet, now, out):
                self._stray(datagram, packet, out)
        elif isinstance(packet, Error):
            self._aborted(session, packet, out)
        elif isinstance(packet, Ack) and isinstance(session, Transfer):
            (self._reads.apart if session.apart else self._reads.acknowledged)(session, packet.block, now, out)
        elif isinstance(packet, Data) and isinstance(session, Reception):
            self._writes.received(session, packet, now, out)
        else:
            self._counters.unexpected += 1

    def _aborted(self, session: Session, error: Error, out: Output) -> None:
        if isinstance(session, Transfer):
            self._reads.aborted(session, error, out)
        elif isinstance(session, Reception):
            self._writes.aborted(session, error, out)

    def _taken_over(self, datagram: Datagram, packet: Packet, now: float, out: Output) -> bool:
        """It belongs to a read that another server has begun."""
        orphan = self._orphans.take(datagram.port, datagram.peer, now)
        if orphan is None or not isinstance(packet, Ack) or self._common.peers.current(orphan.peer) is not None:
            return False
        request = parse(orphan.request)
        assert isinstance(request, Request)
        begun = Datagram(orphan.request, orphan.peer, orphan.local, orphan.port, orphan.interface)
        want = self._reads.take_over(begun, request, now, out)
        self._orphans.resumed[want] = Resumption(packet.block, orphan.etag)
        return True

    def _stray(self, datagram: Datagram, packet: Packet, out: Output) -> None:
        """A packet of no transfer. RFC 1350 §4 has ERROR 5 sent to whoever it comes from; an ERROR is never answered.

        Nor is a peer that we know: it may wait for the answer to its next request on the very port that the late packet came from, and
        take the ERROR for that answer.
        """
        self._counters.strays += 1
        if not isinstance(packet, Error) and not datagram.broadcast and not self._common.peers.knows(datagram.peer):
            self._common.reply(datagram, ErrorCode.UNKNOWN_TRANSFER_ID, "unknown transfer id", out)

    def _malformed(self, datagram: Datagram, error: WireError, out: Output) -> None:
        """Counted and dropped; only a damaged request is told so, for its sender would wait for the answer."""
        self._counters.malformed += 1
        request = datagram.data[:2] in (b"\0\1", b"\0\2")
        if request and datagram.port == self._settings.port and not datagram.broadcast:
            self._common.reply(datagram, ErrorCode.ILLEGAL_OPERATION, str(error), out)

    # Requests

    def _requested(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        if datagram.broadcast or datagram.port != self._settings.port:
            self._counters.unexpected += 1  # RFC 1123 §4.2.3.4: requests sent to a broadcast address are ignored
            return
        before = self._common.peers.current(datagram.peer)
        if before is not None:
            same = before.request_bytes == datagram.data
            if same and self._repeated(before, now, out):
                return
            if isinstance(before, Transfer):
                self._reads.leave(before, same, now, out)
        if self._retired:
            self._counters.overload += 1
        elif self._admission.repeated(datagram):
            self._counters.repeats += 1
        else:
            self._begin(datagram, request, now, out)

    def _repeated(self, session: Session, now: float, out: Output) -> bool:
        """The same request again. True: it is the copy of one that is being answered, and nothing new begins."""
        if session.fresh:  # the first answer was lost, or is on its way
            if isinstance(session, Transfer):
                self._reads.again(session, now, out)
            elif isinstance(session, Reception):
                self._writes.again(session, out)
        elif now - session.progress_at >= self._settings.patience.first_s or not (
            self._settings.single_port or self._strained or self._waiting
        ):
            return False
        # What is in full flow is not begun anew where there is no second port to answer from, or requests come late because all
        # has to wait.
        self._counters.repeats += 1
        return True

    def _begin(self, datagram: Datagram, request: Request, now: float, out: Output) -> None:
        settings = self._settings
        if request.mode not in _MODES:
            text = f"mode {request.mode!r} is not served, use octet"
            self._common.refuse_request(datagram, request, text, out)
        elif request.op is OpCode.RRQ:
            if self._waiting or self._full(now):
                self._wait(datagram, request, now, out)
            else:
                self._reads.request(datagram, request, now, out)
        elif not settings.allow_write:
            self._common.refuse_request(datagram, request, "writing is switched off on this server", out)
        elif len(self._common.writing) < settings.max_uploads:
            self._writes.request(datagram, request, now, out)
        else:
            self._counters.overload += 1
