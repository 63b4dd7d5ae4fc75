"""TFTP and HTTP as one process serves them: on its share of the ports, out of whatever stands behind.

The server itself does it, or each of its workers. Must not know which.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import trio

from pxenet.engine.surface import Progress
from pxenet.engine.tftp import TftpServer
from pxenet.net.udp import UdpSocket, counted
from pxenet.server.datagrams import Commits, House, Shell
from pxenet.server.http import HttpServer, Site, Tls
from pxenet.server.ports import Share
from pxenet.server.tap import Tap


class Service:
    """Serves ``share``; its sockets stay the caller's. ``tls``: with which certificate on its HTTPS ports."""

    def __init__(
        self,
        share: Share,
        udp: type[UdpSocket],
        engine: TftpServer,
        house: House,
        commits: Commits,
        site: Site,
        *,
        tls: Tls | None = None,
        tap: Tap | None = None,
    ) -> None:
        self._engine = engine
        self._udp = [udp(0, bound=each) for each in (*share.tftp, *share.tids)]
        self._tftp = Shell(engine, self._udp, house, commits, time.monotonic, tap=tap, behind=engine.behind, alone=True)
        self._http = HttpServer(share.http, site, tls=tls, tap=tap)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._tftp.run)
            await nursery.start(self._http.run)
            task_status.started()

    async def drain(self) -> None:
        """Begin nothing new; returns when nothing is under way any more."""
        async with trio.open_nursery() as draining:
            draining.start_soon(self._tftp.drain)
            draining.start_soon(self._http.drain)

    def statistics(self) -> Mapping[str, object]:
        """What was counted, by the part that counted it."""
        return {
            "tftp": self._engine.statistics(),
            "http": self._http.statistics(),
            "shells": {"tftp": self._tftp.statistics},
            "sockets": counted(self._udp),
        }

    async def recount(self) -> None:
        """``statistics`` are of this moment always."""

    def rows(self) -> list[dict[str, object]]:
        """Of workers: there are none."""
        return []

    def progress(self, limit: int) -> list[Progress]:
        """How far what is under way has come, of ``limit`` transfers by each protocol."""
        return self._engine.progress(limit) + self._http.progress(limit)
