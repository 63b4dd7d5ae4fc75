"""The fast lane: a request that was answered before is answered again without waking its connection's task.

Connections rest here between requests, all in one epoll set. What arrives on one is looked up by its bytes; when it is the whole
head of a request for a content that still stands (``model.Standing``), the reply leaves at once. All else is for the connection's own
task, the plain path (``http_connection``), which this one must equal: a first request, one with a body, one that is not whole or not
alone, a content that is large, cold, made for its asker, or proves something by being read, a socket that takes no more.

Exactness: nothing is served that was not looked at in the same turn, that is, the same handful of requests that were waiting at
once. It sees what inotify does not: network file systems, hard links, mounts.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import trio

from pxenet.content.lately import Lately
from pxenet.content.plain import read
from pxenet.engine.http import Request, Response, respond
from pxenet.model import Content, Region
from pxenet.server.http_socket import RECEIVE_BYTES, TcpWire, is_cold

LARGEST_BYTES = 1 << 20
"""A reply that leaves from here; larger ones wait for their reader anyway, and everybody must get a turn."""

SMALL_BYTES = 16 << 10
"""A body that is kept in memory and leaves with its head in one system call. Larger ones are cheaper by sendfile(2)."""

_HEAD_BYTES = 1024
"""A head that is remembered; boot firmware and installers send two to four hundred bytes."""

_REMEMBERED = 512

_SETTLED_S = 2.0
"""A file that changed sooner ago may change again without its times telling (their grain is a timer tick; that of FAT two seconds)."""

_TURN = 64
"""Connections served before others (TFTP, tasks) get theirs."""


class Owner(Protocol):
    """A connection as the lane sees it."""

    def repeated(self, content: Content, response: Response, now: float) -> None:
        """A reply has left whole; the connection rests on."""
        ...


@dataclass(slots=True)
class Unfinished:
    """A reply of which the kernel took a part only."""

    content: Content
    rest: Response
    started_at: float
    sent_before: int
    """What the wire had sent when it began."""


@dataclass(slots=True)
class Given:
    """What the lane has for a connection's task: bytes that arrived (b"": the other side has ended), or a reply to finish."""

    data: bytes = b""
    unfinished: Unfinished | None = None


class Seat:
    """Where one connection rests, with what is needed to serve it."""

    __slots__ = ("fd", "given", "owner", "receive", "send", "task", "wire")

    def __init__(self, wire: TcpWire, owner: Owner) -> None:
        self.wire = wire
        self.owner = owner
        self.fd = wire.socket.fileno()
        self.receive = wire.socket.recv
        self.send = wire.socket.send
        self.task: trio.lowlevel.Task | None = None
        self.given = Given()


class _Prepared:
    """A request's head and what answers it."""

    __slots__ = ("body", "content", "date", "payload", "region", "request", "response", "turn")

    def __init__(self, request: Request, content: Content) -> None:
        self.request = request
        self.content = content
        self.turn = -1
        """In which the content was last looked at."""
        self.date = ""
        """For which ``response`` was made."""
        self.response: Response | None = None
        self.payload = b""
        """What leaves first: the head, and the body with it when that is in memory."""
        self.region: Region | None = None
        """What follows it."""
        self.body: bytes | None = None
        """A small file's bytes, of this very content."""


class Lane:
    """``date()`` is the text of the Date field, ``clock()`` seconds since the epoch."""

    def __init__(self, date: Callable[[], str], clock: Callable[[], float]) -> None:
        self._date = date
        self._clock = clock
        self._epoll = select.epoll()
        self._seats: dict[int, Seat] = {}
        self._prepared: Lately[bytes, _Prepared] = Lately(_REMEMBERED)
        self._turn = 0

    def close(self) -> None:
        """Release what the kernel holds for us."""
        self._epoll.close()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            ready = self._epoll.poll(0, _TURN)
            if ready:
                self._take_turn(ready)
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())

    def age(self) -> None:
        """To be called now and then: files that nobody asks for any more are closed."""
        self._prepared.age()

    def learn(self, head: bytes, request: Request, content: Content) -> None:
        """``content`` answered this request, and as long as it stands it will answer whoever sends the very same bytes."""
        if len(head) <= _HEAD_BYTES and content.standing is not None:
            self._prepared.put(head, _Prepared(request, content))

    async def rest(self, seat: Seat) -> Given:
        """Until there is something for the connection's task to do."""
        seat.task = trio.lowlevel.current_task()
        self._seats[seat.fd] = seat
        self._epoll.register(seat.fd, select.EPOLLIN)

        def leave(_: object) -> trio.lowlevel.Abort:
            self._clear(seat)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
        return seat.given

    def _clear(self, seat: Seat) -> None:
        del self._seats[seat.fd]
        self._epoll.unregister(seat.fd)

    def _give(self, seat: Seat, given: Given) -> None:
        self._clear(seat)
        seat.given = given
        assert seat.task is not None
        trio.lowlevel.reschedule(seat.task)

    def _take_turn(self, ready: Iterable[tuple[int, int]]) -> None:
        """Serve those who are ready, each one request at most: a pipeline must not keep others from their turn.

        Who wants to hear everything hears it on the plain path; others are not told of what is answered here.
        """
        self._turn += 1
        now = trio.current_time()
        for fd, _ in ready:
            seat = self._seats.get(fd)
            if seat is None:
                continue
            try:
                data = seat.receive(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            prepared = self._prepared.get(data)
            tap = seat.wire.tap
            if prepared is None or tap.full or (prepared.turn != self._turn and not self._renew(data, prepared)):
                if tap.listener is not None:
                    tap.listener.heard(seat.wire.ends, data)
                self._give(seat, Given(data))
            else:
                self._answer(seat, prepared, now)

    def _renew(self, head: bytes, prepared: _Prepared) -> bool:
        """Look at the content again, in this turn; False when the reply must be made, or sent, the plain way."""
        content = prepared.content
        assert content.standing is not None
        if not content.standing.holds():
            self._prepared.drop(head)
            return False
        date = self._date()
        if prepared.date != date:
            response = respond(prepared.request, content, date=date)
            if not self._fits(prepared, response):
                self._prepared.drop(head)
                return False
            prepared.response, prepared.date = response, date
        region = prepared.region
        if region is not None and (
            is_cold(region.file.fd, region.offset) or is_cold(region.file.fd, region.offset + region.length - 1)
        ):
            return False
        prepared.turn = self._turn
        return True

    def _fits(self, prepared: _Prepared, response: Response) -> bool:
        """Make of the response what leaves; False for those that are not for this lane."""
        regions = [piece for piece in response.body if isinstance(piece, Region)]
        region = regions[0] if regions else None
        if response.close or len(response.body) > 1 or (region is not None and region.length > LARGEST_BYTES):
            return False
        if region is not None and response.whole and region.length <= SMALL_BYTES:
            prepared.body = prepared.body or self._read(prepared.content)
            if prepared.body is not None:
                prepared.payload, prepared.region = response.head + prepared.body, None
                return True
        prepared.payload = response.head + b"".join(piece for piece in response.body if isinstance(piece, bytes))
        prepared.region = region
        if region is not None and self._is_settled(prepared.content):
            self._align(prepared, region)
        return True

    def _align(self, prepared: _Prepared, region: Region) -> None:
        """Have sendfile(2) begin at a page: what comes before leaves with the head.

        Files in images begin in the middle of one, and their replies would fall into segments that wake the reader several times.
        """
        lead = -region.offset % mmap.PAGESIZE
        if 0 < lead < region.length:
            try:
                first = os.pread(region.file.fd, lead, region.offset)
            except OSError:
                return
            if len(first) == lead:
                prepared.payload += first
                prepared.region = Region(region.file, region.offset + lead, region.length - lead)

    def _is_settled(self, content: Content) -> bool:
        """Bytes of it that are read now are this version's, for sure."""
        assert content.standing is not None
        return abs(self._clock() - content.standing.changed_at) >= _SETTLED_S

    def _read(self, content: Content) -> bytes | None:
        """All of a small content; None as long as nobody can be sure that it is this version's, or when it cannot be read."""
        if not self._is_settled(content):
            return None
        try:
            return read(content)
        except OSError:
            return None

    def _answer(self, seat: Seat, prepared: _Prepared, now: float) -> None:
        wire, response = seat.wire, prepared.response
        assert response is not None
        before = wire.sent
        payload, region = prepared.payload, prepared.region
        try:
            sent = seat.send(payload, _MORE if region is not None else socket.MSG_NOSIGNAL)
            wire.sent += sent
            if region is not None and sent == len(payload):
                while sent < len(payload) + region.length:
                    done = sent - len(payload)
                    count = os.sendfile(seat.fd, region.file.fd, region.offset + done, region.length - done)
                    if not count:
                        break
                    sent += count
                    wire.sent += count
        except OSError:
            # The socket takes no more, the client has left, or the file cannot be read: the plain path finds out, and says so.
            sent = wire.sent - before
        if sent == len(payload) + (region.length if region is not None else 0):
            seat.owner.repeated(prepared.content, response, now)
        else:
            rest = _after(response, payload, region, sent)
            self._give(seat, Given(unfinished=Unfinished(prepared.content, rest, now, before)))


_MORE = socket.MSG_NOSIGNAL | socket.MSG_MORE


def _after(response: Response, payload: bytes, region: Region | None, sent: int) -> Response:
    """What of a response is left after ``sent`` bytes."""
    done = sent - len(payload)
    body: list[bytes | Region] = []
    if region is not None:
        body = [region if done <= 0 else Region(region.file, region.offset + done, region.length - done)]
    return Response(response.status, payload[sent:], body, response.close, response.whole)
