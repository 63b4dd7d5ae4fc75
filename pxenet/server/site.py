"""What stands behind the HTTP server: the rack, and the disk for what must be durable before a machine hears 200."""

from __future__ import annotations

from pxenet.engine.http import Reply, Request
from pxenet.events import Event
from pxenet.model import Absent, Content, Later, Verdict
from pxenet.net.datagram import peer_address
from pxenet.rack import Rack
from pxenet.server.arrivals import arrival
from pxenet.server.commit import Committer


class RackSite:
    """Answers requests out of a rack; see ``server.http.Site``."""

    def __init__(self, rack: Rack, committer: Committer) -> None:
        self._rack = rack
        self._committer = committer

    async def answer(self, request: Request, peer: bytes) -> Content | Absent | Reply:
        """A content for a name, or what became of a callback: 200 only when it can never be forgotten."""
        report = self._rack.report(request, peer_address(peer))
        if report is None:
            found = self._rack.fetch(request, peer_address(peer))
            return await arrival(found) if isinstance(found, Later) else found
        if report.changes:
            verdict = await self._committer.commit(report.changes)
            self._rack.committed(report.changes, verdict)
            if verdict is not Verdict.DURABLE:
                return Reply(503, "not written yet, ask again\n")
        return report.reply

    def delivered(self, content: Content, peer: bytes, duration_s: float, whole: bool) -> None:
        """A reply with a content has left; ``whole``: all of it."""
        changes = self._rack.delivered(content, peer_address(peer), whole=whole)
        if changes:
            self._committer.submit(changes, lambda verdict: self._rack.committed(changes, verdict))

    def event(self, event: Event) -> None:
        """Something worth telling happened on a connection."""
        self._rack.say(event)
