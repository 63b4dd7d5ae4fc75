"""HTTP without connections: a machine's request answered by a server's decisions, in one call.

Knows what ``server.http`` does between a head and a body; must not know sockets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from pxenet.engine.http import Reply, Request, Response, parse_target, respond
from pxenet.engine.http.conditions import serialize_date
from pxenet.model import Absent, Change, Content, Later, Region, Verdict, at_once
from pxenet.sim.body import HttpFetch, HttpReply
from pxenet.wire.text import parse_address


class Reported(Protocol):
    """What a callback leads to."""

    @property
    def reply(self) -> Reply: ...

    @property
    def changes(self) -> Sequence[Change]: ...


class Site(Protocol):
    """A server's answers to HTTP."""

    def fetch(self, request: Request, address: int) -> Content | Absent | Later:
        """What a client asks for."""
        ...

    def report(self, request: Request, address: int) -> Reported | None:
        """A machine's callback; None when the request is none."""
        ...

    def delivered(self, content: Content, address: int, *, whole: bool) -> Sequence[Change]:
        """A client has read a content."""
        ...

    def committed(self, changes: Sequence[Change], verdict: Verdict) -> None:
        """The fate of changes."""
        ...


def answer(
    site: Site, fetch: HttpFetch, address: int, local: int, write: Callable[[Sequence[Change]], Verdict], now: float
) -> tuple[HttpReply, tuple[Content, bool] | None]:
    """The reply to a machine at ``address`` from the server at ``local``, and what is delivered by it (content, all of it or not)."""
    url = urlsplit(fetch.url)
    try:
        known = parse_address(url.hostname or "") == local
    except ValueError:
        known = False
    target = url.path + (f"?{url.query}" if url.query else "")
    parsed = parse_target((target or "/").encode("utf-8", "surrogateescape"))
    if url.scheme != "http" or not known or parsed is None:
        return HttpReply(failed=f"nobody answers at {fetch.url}"), None
    headers = {name.lower(): value for name, value in fetch.headers}
    request = Request(fetch.method, *parsed, headers, fetch.version, fetch.body, local)
    found = _found(site, request, address, write)
    response = respond(request, found, date=serialize_date(int(now)))
    body = b"".join(_bytes(part) for part in response.body) if fetch.keep_body else b""
    size = sum(len(part) if isinstance(part, bytes) else part.length for part in response.body)
    served = (found, response.whole) if isinstance(found, Content) and response.body else None
    return HttpReply(response.status, _fields(response), size, body), served


def _found(
    site: Site, request: Request, address: int, write: Callable[[Sequence[Change]], Verdict]
) -> Content | Absent | Reply:
    report = site.report(request, address)
    if report is None:
        return at_once(site.fetch(request, address))
    if report.changes:
        verdict = write(report.changes)
        site.committed(report.changes, verdict)
        if verdict is not Verdict.DURABLE:
            return Reply(503, "not written yet, ask again\n")
    return report.reply


def _fields(response: Response) -> tuple[tuple[str, str], ...]:
    lines = response.head.decode("latin-1").split("\r\n")[1:-2]
    return tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))


def _bytes(part: bytes | Region) -> bytes:
    return part if isinstance(part, bytes) else os.pread(part.file.fd, part.length, part.offset)
