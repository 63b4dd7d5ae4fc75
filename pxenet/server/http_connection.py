"""One HTTP connection: requests read within limits, answers fetched from a Site and sent, strictly in turn.

Knows how long to wait for what, and when a content counts as delivered. Must not know what is served, nor how replies are
worded (``engine.http``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio

from pxenet.engine.http import CONTINUE, Reply, Request, Response, message, respond
from pxenet.engine.http.conditions import serialize_date
from pxenet.events import Event
from pxenet.model import Absent, Arriving, Content, Missing, Region, Role
from pxenet.server.arrivals import beyond
from pxenet.server.http_lane import Lane, Seat, Unfinished
from pxenet.server.http_request import (
    BadRequestError,
    Head,
    SizeLimits,
    find_head_untrusted,
    parse_head_untrusted,
    with_body,
)
from pxenet.server.http_socket import FileFaultError, GoneError, Pace, TcpWire, TooSlowError, Wire, ipv4_of
from pxenet.server.http_tls import HANDSHAKE_S

_PROOFS = frozenset({Role.LOADER, Role.KERNEL, Role.ANSWER})
"""Roles whose delivery moves a machine's state: it must have arrived, not merely left."""

_TOLD_AGAIN_S = 1.0

_MAX_DETAIL = 300
"""Characters of the reason that are told: it may name what was asked for."""


_KINDS = {
    Missing.DENIED: "http.denied",
    Missing.UNAVAILABLE: "content.unavailable",
    Missing.FAULT: "content.fault",
    Missing.DAMAGED: "content.damaged",
}
"""The kind of event that tells people of an Absent, where it is not just a name that nobody has."""


class Site(Protocol):
    """What is served. All peers are raw ``sockaddr`` bytes."""

    async def answer(self, request: Request, peer: bytes) -> Content | Absent | Reply:
        """What to answer to GET, HEAD or POST. May wait: a callback's reply for its state to be durable."""
        ...

    def delivered(self, content: Content, peer: bytes, duration_s: float, whole: bool) -> None:
        """A content was sent, and for contents that prove something also received; not ``whole`` when only ranges of it were."""
        ...

    def event(self, event: Event) -> None:
        """Something happened that people may want to know."""
        ...


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a client may cost. Times in seconds."""

    connections: int = 2000
    per_client: int = 128
    """librepo opens up to 20 connections, and several machines may share an address behind a router."""
    idle_s: float = 60.0
    """Between requests; boot clients and librepo want at least 30."""
    head_s: float = 15.0
    """From the first byte of a head to its last."""
    body_s: float = 30.0
    handshake_s: float = HANDSHAKE_S
    linger_s: float = 2.0
    sizes: SizeLimits = field(default_factory=SizeLimits)
    pace: Pace = field(default_factory=Pace)


@dataclass(slots=True)
class Counters:
    """See HttpStatistics."""

    accepted: int = 0
    refused: int = 0
    evicted: int = 0
    requests: int = 0
    repeated: int = 0
    bad_requests: int = 0
    timed_out: int = 0
    too_slow: int = 0
    broken: int = 0
    handshakes_failed: int = 0
    file_faults: int = 0
    bytes_sent: int = 0


def client_of(peer: bytes) -> bytes:
    """The address within a raw ``sockaddr``, whatever the port."""
    return peer[4:8] if ipv4_of(peer) else peer[8:24]


class Front:
    """What the connections of one server share: the site, the limits, the counters, and who waits."""

    def __init__(self, site: Site, limits: HttpLimits, clock: Callable[[], float], *, plain: bool = False) -> None:
        self.site = site
        self.limits = limits
        self.count = Counters()
        self.draining = False
        self.waiting: dict[Connection, trio.CancelScope] = {}
        """Connections without a request under way, the longest waiting first."""
        self._clock = clock
        self._date = (-1, "")
        self.lane = Lane(self.date, clock)
        self.plain = plain
        """Nothing is answered by the lane."""

    def date(self) -> str:
        """The Date field's text, made once a second."""
        now = int(self._clock())
        if now != self._date[0]:
            self._date = (now, serialize_date(now))
        return self._date[1]

    def waits(self, connection: Connection, scope: trio.CancelScope) -> None:
        """No request is under way on this connection: it may be ended to make room, the longest waiting first."""
        self.waiting[connection] = scope
        if self.draining:
            scope.cancel()

    def waits_again(self, connection: Connection) -> None:
        """It has been answered while it waited: of those who wait it is the latest now."""
        scope = self.waiting.pop(connection, None)
        if scope is not None:
            self.waiting[connection] = scope

    def awaits(self, connection: Connection) -> bool:
        """It waits, and nobody has asked it to end."""
        return connection in self.waiting and not self.draining

    def works(self, connection: Connection) -> bool:
        """The opposite of ``waits``; False when the connection has been ended to make room."""
        return self.waiting.pop(connection, None) is not None and not self.draining

    def evict(self, client: bytes | None) -> bool:
        """End the connection that waits longest (of one client, or of all); False when none waits."""
        for connection, scope in self.waiting.items():
            if client is None or connection.client == client:
                del self.waiting[connection]
                self.count.evicted += 1
                scope.cancel()
                return True
        return False


class Connection:
    """One client's connection: requests answered strictly in turn, so pipelining needs nothing but the buffer."""

    def __init__(self, front: Front, wire: Wire, peer: bytes, local: int) -> None:
        self.wire = wire
        self.peer = peer
        self.client = client_of(peer)
        self.serving: Content | None = None
        """What is being sent now."""
        self.sent_before = 0
        """What the wire had sent when that began."""
        self._local = local
        self._front = front
        self._limits = front.limits
        self._buffer = bytearray()
        self._seat = Seat(wire, self) if isinstance(wire, TcpWire) and not front.plain else None
        self._unfinished: Unfinished | None = None
        """What the lane could not send whole."""
        self._rested_at = 0.0
        """When the last reply had left."""
        self._told = ("", "", 0.0)
        """The file that was told of last (its name and version), and when."""

    async def run(self) -> None:
        """Until one side has had enough."""
        count = self._front.count
        try:
            while await self._exchange():
                pass
        except GoneError:
            pass
        except TooSlowError:
            count.too_slow += 1

    async def _exchange(self) -> bool:
        """One request and its reply; False when the connection ends with it."""
        try:
            head = await self._read_head()
            if self._unfinished is not None:
                return await self._finish_reply()
            if head is None:
                return False
            request = await self._read_body(head)
        except BadRequestError as bad:
            await self._refuse(bad)
            return False
        self._front.count.requests += 1
        started_at = trio.current_time()
        answer = await self._front.site.answer(request, self.peer)
        self._tell_absent(request, answer)
        close = self._front.draining or head.chunks is not None
        response = respond(request, answer, date=self._front.date(), close=close)
        if isinstance(answer, Content):
            await self._send_content(response, answer, started_at)
            if not response.close and head.plain and answer.role not in _PROOFS:
                self._front.lane.learn(head.raw, request, answer)
        else:
            await self._send(response)
        if response.close and self._buffer:  # a pipelined request that will not be answered must not reset this reply
            await self.wire.linger(self._limits.linger_s, self._limits.sizes.body_bytes)
        return not response.close

    async def _read_head(self) -> Head | None:
        """The next request's head; None when the client leaves, is idle too long, or must make room. Raises BadRequestError."""
        sizes = self._limits.sizes
        end = find_head_untrusted(self._buffer, sizes)
        if end:  # a pipelined request: those must not keep others from their turn
            await trio.lowlevel.checkpoint()
        else:
            end = await self._wait_for_request()
            if not end:
                return None
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        head = parse_head_untrusted(raw, sizes, self._local)
        head.raw = raw
        return head

    async def _wait_for_request(self) -> int:
        """Length of the next head; 0 when there is none. Raises BadRequestError."""
        self._rested_at = trio.current_time()
        try:
            while True:
                with trio.CancelScope(deadline=self._rested_at + self._limits.idle_s) as scope:
                    self._front.waits(self, scope)
                    end = await self._wait_for_head(scope)
                if not scope.cancelled_caught:
                    return end
                served_since = self._rested_at + self._limits.idle_s > trio.current_time()
                if self._buffer or not served_since or not self._front.awaits(self):
                    break
        finally:
            welcome = self._front.works(self)
        if welcome:
            self._front.count.timed_out += 1
            if self._buffer:
                raise BadRequestError(408, "the request did not arrive in time")
        return 0

    async def _wait_for_head(self, scope: trio.CancelScope) -> int:
        """Length of the head, once it is here; 0 when the client leaves first, or has its reply begun already.

        Its time counts from its first byte.
        """
        while True:
            begun = bool(self._buffer)
            if begun or self._seat is None:
                data = await self.wire.receive()
            else:
                given = await self._front.lane.rest(self._seat)
                data, self._unfinished = given.data, given.unfinished
            if not data:
                return 0
            self._buffer += data
            end = find_head_untrusted(self._buffer, self._limits.sizes)
            if end:
                return end
            if not begun:
                scope.deadline = trio.current_time() + self._limits.head_s

    async def _read_body(self, head: Head) -> Request:
        """The whole request. Raises BadRequestError; GoneError when the client leaves before it is complete."""
        if not head.length and head.chunks is None:
            return head.request
        with trio.move_on_after(self._limits.body_s):
            if head.expects_continue and not self._buffer:
                self.wire.begin()
                await self.wire.send(CONTINUE)
            if head.chunks is None:
                while len(self._buffer) < head.length:
                    await self._receive_more()
                body = bytes(self._buffer[: head.length])
                del self._buffer[: head.length]
                return with_body(head.request, body)
            while True:
                data = bytes(self._buffer)
                self._buffer.clear()
                if data and (complete := head.chunks.feed(data)) is not None:
                    return with_body(head.request, complete)
                await self._receive_more()
        self._front.count.timed_out += 1
        raise BadRequestError(408, "the request's body did not arrive in time")

    async def _receive_more(self) -> None:
        data = await self.wire.receive()
        if not data:
            raise GoneError
        self._buffer += data

    async def _refuse(self, bad: BadRequestError) -> None:
        self._front.count.bad_requests += 1
        extra = (("Allow", "GET, HEAD, POST"),) if bad.status == 405 else ()
        text = f"{bad.reason}\n"
        await self._send(message(bad.status, text, date=self._front.date(), close=True, extra=extra))
        await self.wire.linger(self._limits.linger_s, self._limits.sizes.body_bytes)

    def _tell_absent(self, request: Request, answer: Content | Absent | Reply) -> None:
        if not isinstance(answer, Absent):
            return
        # Whatever was asked reaches terminals and logs: neither long nor with control characters.
        path = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in request.path[:200].lstrip("/"))
        why = (answer.detail or answer.missing.value)[:_MAX_DETAIL]
        self._tell(_KINDS.get(answer.missing, "http.missing"), {"path": path, "why": why})

    def _tell(self, kind: str, detail: dict[str, object]) -> None:
        self._front.site.event(Event(kind, address=ipv4_of(self.peer), detail=detail))

    def repeated(self, content: Content, response: Response, now: float) -> None:
        """The lane has answered a request, and rests on."""
        front = self._front
        front.count.requests += 1
        front.count.repeated += 1
        self._rested_at = now
        front.waits_again(self)
        self.served(content, response, now, now)

    def served(self, content: Content, response: Response, started_at: float, now: float) -> None:
        """A reply with a content has left whole, and has arrived where that proves something."""
        if not response.whole and response.status != 206:
            return  # a HEAD, or a refusal
        self._front.site.delivered(content, self.peer, now - started_at, response.whole)
        if not response.whole or content.role is Role.SOURCE:
            return
        # Who reads one file over and over on one connection measures something: a line for each would drown all others.
        name, etag, told_at = self._told
        if name == content.name and etag == content.etag and now - told_at < _TOLD_AGAIN_S:
            return
        self._told = content.name, content.etag, now
        self._tell("http.done", {"path": content.name or "/", "size": content.size, "seconds": now - started_at})

    async def _finish_reply(self) -> bool:
        """What the lane has begun, and the kernel did not take at once."""
        unfinished, self._unfinished = self._unfinished, None
        assert unfinished is not None
        self._front.count.requests += 1
        self._front.count.repeated += 1
        await self._send_content(
            unfinished.rest, unfinished.content, unfinished.started_at, sent_before=unfinished.sent_before
        )
        return True

    async def _send_content(
        self, response: Response, content: Content, started_at: float, *, sent_before: int | None = None
    ) -> None:
        """Send it and say so. A client that goes away in the middle has read nothing."""
        self.serving, self.sent_before = content, self.wire.sent if sent_before is None else sent_before
        if isinstance(self.wire, TcpWire):
            self.wire.ends.secret = content.secret
        try:
            await self._send(response, content.arriving)
        except FileFaultError as fault:
            # The length is promised already. Closing is the only way left to say that it will not be kept.
            self._front.count.file_faults += 1
            self._tell("http.changed", {"path": content.name, "why": str(fault)})
            raise GoneError from fault
        except (GoneError, TooSlowError):
            self._front.count.broken += 1
            self._tell("http.broken", {"path": content.name})
            raise
        finally:
            self.serving = None
        if response.whole and content.role in _PROOFS:
            if response.close:
                self.wire.finish()
            if not await self.wire.acknowledged():
                self._front.count.broken += 1
                self._tell("http.broken", {"path": content.name})
                raise GoneError
        self.served(content, response, started_at, trio.current_time())

    async def _send(self, response: Response, arriving: Arriving | None = None) -> None:
        self.wire.begin()
        pieces = _gathered([response.head, *response.body])
        for number, piece in enumerate(pieces, 1):
            if isinstance(piece, bytes):
                await self.wire.send(piece, more=number < len(pieces))
            elif arriving is None:
                await self.wire.send_file(piece)
            else:
                await self._send_arriving(piece, arriving)

    async def _send_arriving(self, region: Region, arriving: Arriving) -> None:
        """A part of a file of which only the beginning is here: each piece as it comes."""
        offset, end = region.offset, region.offset + region.length
        while offset < end:
            if arriving.available <= offset:
                await beyond(arriving, offset)
                self.wire.begin()  # that nothing was sent meanwhile is not the reader's fault
            here = min(end, arriving.available)
            await self.wire.send_file(Region(region.file, offset, here - offset))
            offset = here


def _gathered(pieces: Sequence[bytes | Region]) -> list[bytes | Region]:
    """Neighbouring bytes as one piece: a small reply leaves by one system call."""
    gathered: list[bytes | Region] = []
    for piece in pieces:
        previous = gathered[-1] if gathered else None
        if isinstance(piece, bytes) and isinstance(previous, bytes):
            gathered[-1] = previous + piece
        else:
            gathered.append(piece)
    return gathered
