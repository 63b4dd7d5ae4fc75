"""The HTTP file server: connections accepted, counted, and ended to make room for others.

Knows how many connections to have, and whom to turn away. Must not know what is asked on them (``http_connection``). A client that
is slow or hostile costs a bounded number of connections and nothing else.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import trio

from pxenet.engine.http import message
from pxenet.engine.surface import Progress
from pxenet.events import Event
from pxenet.server.http_connection import Connection, Front, HttpLimits, Site, client_of
from pxenet.server.http_lane import Lane
from pxenet.server.http_socket import TcpWire, Wire, ipv4_of, sockaddr
from pxenet.server.http_tls import TlsWire
from pxenet.server.tap import Tap, TcpEnds

__all__ = ["HttpLimits", "HttpServer", "HttpStatistics", "Site", "Tls"]


@dataclass(frozen=True, slots=True)
class Tls:
    """Where HTTPS is served, and with which certificate."""

    listeners: tuple[socket.socket, ...]
    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class HttpStatistics:
    """Counts since the start; ``open`` and ``waiting`` are of this moment."""

    open: int
    waiting: int
    """Open connections without a request under way."""
    accepted: int
    refused: int
    """Turned away because there were too many."""
    evicted: int
    """Closed while waiting, to make room."""
    requests: int
    repeated: int
    """Of those: answered as the very same request was answered before, without being read again."""
    bad_requests: int
    timed_out: int
    too_slow: int
    broken: int
    """The client went away in the middle of a reply."""
    handshakes_failed: int
    """TLS: the client was none, left, was too slow, or did not like our certificate."""
    file_faults: int
    bytes_sent: int


_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_STILLBORN = frozenset(
    {
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTO,
    }
)
"""A connection that failed before it was accepted; accept(2) wants them treated as "try again"."""

_FORGOTTEN_S = 10.0
"""A file that nobody has asked for in this time and as long again is closed: its room on the disk, its medium, are free then."""

_THREADS = 4
"""Threads that read cold files ahead: about as many requests as one disk orders well."""


class HttpServer:
    """Serves ``site`` on listening sockets, and on those of ``tls`` over TLS; they stay the caller's to close.

    ``clock`` gives seconds since the epoch, for the Date field; all waiting is done by trio's own clock.
    ``plain``: without the fast lane.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        site: Site,
        limits: HttpLimits | None = None,
        clock: Callable[[], float] = time.time,
        tls: Tls | None = None,
        *,
        plain: bool = False,
        tap: Tap | None = None,
    ) -> None:
        self._listeners: list[tuple[socket.socket, ssl.SSLContext | None]] = [(each, None) for each in listeners]
        if tls is not None:
            self._listeners += [(each, tls.context) for each in tls.listeners]
        self._front = Front(site, limits or HttpLimits(), clock, plain=plain)
        self._threads = trio.CapacityLimiter(_THREADS)
        self._tap = tap
        self._open: set[Connection] = set()
        self._per_client: dict[bytes, int] = {}
        self._accepting = trio.CancelScope()
        self._ended = trio.lowlevel.ParkingLot()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, or until ``drain`` was called and the last connection has ended."""
        lane = self._front.lane
        try:
            async with trio.open_nursery() as service:
                service.start_soon(lane.run)
                service.start_soon(_age, lane)
                async with trio.open_nursery() as connections:
                    with self._accepting:
                        async with trio.open_nursery() as accepting:
                            for listener, context in self._listeners:
                                listener.setblocking(False)
                                accepting.start_soon(self._accept, listener, context, connections)
                            task_status.started()
                    # Clients are refused at once, instead of waiting in the kernel's queue for somebody who will not come.
                    for listener, _ in self._listeners:
                        listener.shutdown(socket.SHUT_RDWR)
                service.cancel_scope.cancel()
        finally:
            lane.close()

    async def drain(self) -> None:
        """Take no new connections, end those that wait, let replies finish; returns when none is left."""
        self._front.draining = True
        self._accepting.cancel()
        for scope in list(self._front.waiting.values()):
            scope.cancel()
        while self._open:
            await self._ended.park()

    def statistics(self) -> HttpStatistics:
        """A snapshot."""
        count = self._front.count
        return HttpStatistics(
            open=len(self._open),
            waiting=len(self._front.waiting),
            accepted=count.accepted,
            refused=count.refused,
            evicted=count.evicted,
            requests=count.requests,
            repeated=count.repeated,
            bad_requests=count.bad_requests,
            timed_out=count.timed_out,
            too_slow=count.too_slow,
            broken=count.broken,
            handshakes_failed=count.handshakes_failed,
            file_faults=count.file_faults,
            bytes_sent=count.bytes_sent + sum(connection.wire.sent for connection in self._open),
        )

    def progress(self, limit: int) -> list[Progress]:
        """How far the contents being sent have come, of ``limit`` connections at most."""
        return [
            Progress(
                id(connection),
                ipv4_of(connection.peer),
                connection.serving.name,
                connection.wire.sent - connection.sent_before,
                connection.serving.size,
            )
            for connection in islice(self._open, limit)
            if connection.serving is not None
        ]

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext | None, nursery: trio.Nursery) -> None:
        while True:
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                await trio.lowlevel.wait_readable(listener)
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._front.evict(None)
                    await trio.sleep(0.1)
                elif error.errno not in _STILLBORN:
                    raise
            else:
                self._admit(sock, address, context, nursery)
                await trio.lowlevel.checkpoint()

    def _admit(
        self, sock: socket.socket, address: tuple[str, int], context: ssl.SSLContext | None, nursery: trio.Nursery
    ) -> None:
        peer = sockaddr(address)
        client = client_of(peer)
        full = len(self._open) >= self._front.limits.connections
        greedy = self._per_client.get(client, 0) >= self._front.limits.per_client
        if (full or greedy) and not self._front.evict(client if greedy else None):
            self._front.count.refused += 1
            if context is None:  # who waits for a handshake could not read it
                _say_full(sock, self._front.date())
            sock.close()
            return
        try:
            wire = self._wire(sock, peer, context)
            local = ipv4_of(sockaddr(sock.getsockname()))
        except OSError:  # it was reset already
            sock.close()
            return
        self._front.count.accepted += 1
        connection = Connection(self._front, wire, peer, local)
        self._open.add(connection)
        self._per_client[client] = self._per_client.get(client, 0) + 1
        nursery.start_soon(self._serve, connection, client)

    def _wire(self, sock: socket.socket, peer: bytes, context: ssl.SSLContext | None) -> Wire:
        local = sockaddr(sock.getsockname())
        ends = TcpEnds(peer, ipv4_of(local), int.from_bytes(local[2:4], "big")) if ipv4_of(peer) else None
        plain = TcpWire(sock, self._front.limits.pace, self._threads, self._tap, ends)
        if context is None:
            return plain

        def failed(why: str) -> None:
            self._front.count.handshakes_failed += 1
            self._front.site.event(Event("http.tls_refused", address=ipv4_of(peer), detail={"why": why}))

        return TlsWire(plain, context, failed, self._front.limits.handshake_s)

    async def _serve(self, connection: Connection, client: bytes) -> None:
        try:
            await connection.run()
        finally:
            connection.wire.close()
            self._front.count.bytes_sent += connection.wire.sent
            self._front.works(connection)
            self._open.discard(connection)
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]
            self._ended.unpark_all()


async def _age(lane: Lane) -> None:
    while True:
        await trio.sleep(_FORGOTTEN_S)
        lane.age()


def _say_full(sock: socket.socket, date: str) -> None:
    """503 without waiting for anything; iPXE tries again after the time that Retry-After names."""
    reply = message(503, "too many connections\n", date=date, close=True, extra=(("Retry-After", "2"),))
    try:
        sock.setblocking(False)
        sock.send(reply.head + b"".join(piece for piece in reply.body if isinstance(piece, bytes)), socket.MSG_NOSIGNAL)
    except OSError:
        pass
