"""What reads and writes share on the server: taking a session in, speaking to its client, telling people, ending it.

Knows sessions, ports and packets to send. Must not know how a transfer proceeds.
"""

from __future__ import annotations

from pxenet.engine.surface import Output
from pxenet.engine.tftp.peers import Peers
from pxenet.engine.tftp.session import Session
from pxenet.engine.tftp.settings import Counters, TftpSettings
from pxenet.engine.tftp.turns import Turns
from pxenet.engine.timers import Timers
from pxenet.events import Event
from pxenet.model import Absent, Missing
from pxenet.net.datagram import Datagram, Send, peer_address
from pxenet.wire.tftp import Error, ErrorCode, Request, serialize

_REFUSALS = {
    Missing.NOT_FOUND: (ErrorCode.FILE_NOT_FOUND, "tftp.missing"),
    Missing.BAD_NAME: (ErrorCode.FILE_NOT_FOUND, "tftp.missing"),
    Missing.DENIED: (ErrorCode.ACCESS_VIOLATION, "tftp.denied"),
    Missing.DAMAGED: (ErrorCode.FILE_NOT_FOUND, "content.damaged"),
    Missing.TOO_LARGE: (ErrorCode.ILLEGAL_OPERATION, "tftp.denied"),
    Missing.UNAVAILABLE: (ErrorCode.UNDEFINED, "content.unavailable"),
    Missing.FAULT: (ErrorCode.FILE_NOT_FOUND, "content.fault"),
    Missing.FULL: (ErrorCode.DISK_FULL, "tftp.denied"),
}
"""How an Absent is told to the client and to people. Searches for configuration files go on after code 1; 2 is final to U-Boot."""

_ASKED_ANOTHER = "the client asked for something else"

_TEXT_LIMIT = 200
"""Characters of an ERROR's text: firmware prints it on one or two lines."""


class Common:
    """All sessions of a server, and the ways to speak for them."""

    __slots__ = (
        "_next_id",
        "counters",
        "limits",
        "patience",
        "peers",
        "reading",
        "settings",
        "timers",
        "turns",
        "writing",
    )

    def __init__(self, settings: TftpSettings) -> None:
        self.reconfigure(settings)
        self.patience = settings.patience
        self.peers = Peers(settings.ports)
        self.timers: Timers[Session] = Timers()
        self.turns = Turns()
        self.counters = Counters()
        self.reading: dict[int, Session] = {}
        """Reads by the id of their want."""
        self.writing: dict[int, Session] = {}
        """Writes by the id of their upload."""
        self._next_id = 1

    def reconfigure(self, settings: TftpSettings) -> None:
        """What holds for sessions that begin now; patience and ports stay."""
        self.settings = settings
        self.limits = settings.limits

    def next_id(self) -> int:
        """An id for a want or an upload, never given before."""
        self._next_id += 1
        return self._next_id - 1

    # Life of a session

    def admit(self, session: Session, among: dict[int, Session], out: Output) -> None:
        """Take in a new session, ``among`` its like."""
        among[session.id] = session
        self._replaced(self.peers.admit(session), out)

    def confirm(self, session: Session, out: Output) -> None:
        """The client spoke on this session for the first time: the one before it is over, whatever it looked like."""
        session.fresh = False
        session.apart = session.late
        self._replaced(self.peers.confirm(session), out)

    def given_up(self, session: Session, now: float, limit_s: float) -> bool:
        """It was tried often enough and for long enough."""
        return session.tries >= self.patience.tries and now - session.progress_at >= limit_s

    def give_up(self, session: Session, block: int, out: Output, asked_another: bool = False) -> None:
        """Silently towards the client, for nobody is there; people are told, more mildly when it merely asked for something else."""
        self.counters.gave_up += 1
        if asked_another or self.peers.superseded(session):
            self.tell("tftp.aborted", session, out, why=_ASKED_ANOTHER)
        else:
            self.tell("tftp.gave_up", session, out, block=block)
        self.end(session)

    def end(self, session: Session) -> None:
        """It is over, for whatever reason."""
        self.peers.end(session)
        self._forget(session)

    def _replaced(self, session: Session | None, out: Output) -> None:
        if session is not None:
            self.counters.aborted += 1
            if not session.fresh:
                self.tell("tftp.aborted", session, out, why=_ASKED_ANOTHER)
            self._forget(session)

    def _forget(self, session: Session) -> None:
        self.timers.disarm(session)
        self.counters.retransmits += session.retransmits
        self.reading.pop(session.id, None)
        self.writing.pop(session.id, None)
        if session.late:
            self.turns.forget(session)
        session.release()

    # Speaking

    def say(self, session: Session, payload: bytes, out: Output) -> None:
        """Send a packet other than DATA to the session's client."""
        out.sends.append(Send(session.peer, (payload,), session.source, session.port, session.interface))

    def tell(self, kind: str, session: Session, out: Output, **detail: object) -> None:
        """An event about the session."""
        detail["path"] = session.path
        out.events.append(Event(kind, address=peer_address(session.peer), detail=detail))

    def refuse(self, session: Session, code: ErrorCode, text: str, out: Output) -> None:
        """End the session with an ERROR."""
        self.say(session, _error(code, text), out)
        self.end(session)

    def absent(self, session: Session, absent: Absent, out: Output) -> None:
        """End the session because there is no content, or no place for it. The client learns what, people also why."""
        code, kind = _REFUSALS[absent.missing]
        self.counters.refused += 1
        self.tell(kind, session, out, why=absent.detail or absent.missing.value)
        self.refuse(session, code, f"{absent.missing.value}: {session.path}", out)

    def reply(self, datagram: Datagram, code: ErrorCode, text: str, out: Output) -> None:
        """An ERROR to a packet that belongs to no session, from where it came to."""
        send = Send(datagram.peer, (_error(code, text),), datagram.local, datagram.port, datagram.interface)
        out.sends.append(send)

    def refuse_request(self, datagram: Datagram, request: Request, text: str, out: Output) -> None:
        """A request that is not served at all."""
        self.counters.refused += 1
        detail = {"path": request.filename, "why": text}
        out.events.append(Event("tftp.denied", address=peer_address(datagram.peer), detail=detail))
        self.reply(datagram, ErrorCode.ILLEGAL_OPERATION, text, out)


class Side:
    """Reads, or writes: one half of a server, with what it needs of the whole at hand."""

    __slots__ = ("_common", "_counters", "_patience", "_timers")

    def __init__(self, common: Common) -> None:
        self._common = common
        self._counters = common.counters
        self._patience = common.patience
        self._timers = common.timers


def _error(code: ErrorCode, text: str) -> bytes:
    return serialize(Error(code, text.replace("\0", "")[:_TEXT_LIMIT]))
