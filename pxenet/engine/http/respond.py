"""HTTP as a file server speaks it: from a request's head and a content to the bytes of the reply's head and the pieces of its body.

Knows RFC 9110 and RFC 9112 as far as GET, HEAD and short dynamic replies go, and which exact spelling boot firmware depends on
(GRUB compares ``HTTP/1.1 `` and header names case-sensitively, PXELINUX never looks at the last header). Must not know
sockets, files or clocks: Date is an argument, files are passed through as regions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from pxenet.engine.http import ranges
from pxenet.engine.http.conditions import Outcome, evaluate, range_applies, serialize_date
from pxenet.model import Absent, Content, Missing, Region

REASONS: Mapping[int, str] = MappingProxyType(
    {
        200: "OK",
        202: "Accepted",
        204: "No Content",
        206: "Partial Content",
        304: "Not Modified",
        400: "Bad Request",
        403: "Forbidden",
        404: "Not Found",
        405: "Method Not Allowed",
        408: "Request Timeout",
        409: "Conflict",
        410: "Gone",
        412: "Precondition Failed",
        413: "Content Too Large",
        414: "URI Too Long",
        416: "Range Not Satisfiable",
        417: "Expectation Failed",
        431: "Request Header Fields Too Large",
        500: "Internal Server Error",
        501: "Not Implemented",
        503: "Service Unavailable",
        505: "HTTP Version Not Supported",
    }
)

# A name that cannot exist is not there: firmware goes on after 404, and some of it takes nothing else for an answer.
_MISSING_STATUS: Mapping[Missing, int] = MappingProxyType(
    {
        Missing.NOT_FOUND: 404,
        Missing.BAD_NAME: 404,
        Missing.DENIED: 403,
        Missing.DAMAGED: 404,
        Missing.TOO_LARGE: 404,
        Missing.UNAVAILABLE: 503,
        Missing.FAULT: 404,
        Missing.FULL: 503,
    }
)

_RETRY_AFTER = (("Retry-After", "5"),)
"""With 503: iPXE and curl try again after so many seconds instead of giving up (RFC 9110 §10.2.3)."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client with ``Expect: 100-continue`` waits for before it sends its body (RFC 9110 §10.1.1)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete."""

    method: str
    path: str
    """Percent-decoded once, not normalised: begins with a slash, may contain anything."""
    query: str = ""
    """What followed ``?``, as it was sent."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Names in lower case; repeated fields joined by ", "."""
    version: str = "1.1"
    body: bytes = b""
    local: int = 0
    """The IPv4 address of ours that the client spoke to; 0 over IPv6."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A small answer that is made for one request: what became of a callback."""

    status: int = 200
    text: str = ""
    mime: str = "text/plain"


@dataclass(slots=True)
class Response:
    """What leaves: ``head``, then ``body`` in order. ``close``: the connection ends after it."""

    status: int
    head: bytes
    body: list[bytes | Region]
    close: bool
    whole: bool = False
    """All of a content leaves by this reply: a GET answered by 200."""


# RFC 9112 §3.2: origin form, or (to proxies, but all servers must take it) absolute form.
_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)


def parse_target(target: bytes) -> tuple[str, str] | None:
    """(path, query) of a request target, the path percent-decoded exactly once; None when it names no file at all (``*``).

    ``+`` is an ordinary character; what only looks like an escape stays (GRUB sends names as they are). Bytes that are not
    UTF-8 become surrogates as in ``os.fsdecode``.
    """
    absolute = _ABSOLUTE.match(target)
    if absolute is not None:
        target = target[absolute.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    if not target.startswith(b"/"):
        return None
    path, _, query = target.partition(b"?")
    return unquote_to_bytes(path).decode("utf-8", "surrogateescape"), query.decode("latin-1")


def wants_close(request: Request) -> bool:
    """Will the client take this connection for ended after the reply (RFC 9112 §9.3)?

    HTTP/1.0 always ends: PXELINUX and U-Boot read to the end of the connection, and no boot client of that version keeps it.
    """
    tokens = [token.strip().lower() for token in request.headers.get("connection", "").split(",")]
    return request.version != "1.1" or "close" in tokens


def respond(request: Request, answer: Content | Absent | Reply, *, date: str, close: bool = False) -> Response:
    """The reply to a request for which ``answer`` was found.

    ``date`` is the text of the Date field; with ``close`` the server wants the connection to end.
    """
    close = close or wants_close(request)
    if isinstance(answer, Reply):
        return _short(request, answer, date, close)
    if isinstance(answer, Absent):
        reply = Reply(_MISSING_STATUS[answer.missing], f"{answer.missing.value}\n")
        return _short(request, reply, date, close)
    if request.method not in ("GET", "HEAD"):
        return message(405, "a file can only be read\n", date=date, close=close, extra=(("Allow", "GET, HEAD"),))
    return _file(request, answer, date, close)


def message(
    status: int,
    text: str,
    *,
    date: str,
    close: bool,
    mime: str = "text/plain",
    extra: tuple[tuple[str, str], ...] = (),
    head: bool = False,
) -> Response:
    """A reply with a short text of its own, never to be cached. ``head``: it answers a HEAD, so the text only counts."""
    body = text.encode()
    fields = [("Content-Type", mime), ("Content-Length", str(len(body))), *extra, ("Cache-Control", "no-store")]
    if status == 204:
        fields, body = [("Cache-Control", "no-store")], b""
    return Response(status, _head(status, fields, date, close), [] if head or not body else [body], close)


def _short(request: Request, reply: Reply, date: str, close: bool) -> Response:
    extra = _RETRY_AFTER if reply.status == 503 else ()
    is_head = request.method == "HEAD"
    return message(reply.status, reply.text, date=date, close=close, mime=reply.mime, extra=extra, head=is_head)


def _file(request: Request, content: Content, date: str, close: bool) -> Response:
    outcome = evaluate(request.headers, content.etag, content.modified_at)
    validators = [
        ("Last-Modified", serialize_date(content.modified_at)),
        ("ETag", content.etag),
        ("Accept-Ranges", "bytes"),
    ]
    if content.private:
        validators.append(("Cache-Control", "no-store"))
    is_head = request.method == "HEAD"
    if outcome is Outcome.NOT_MODIFIED:
        return Response(304, _head(304, validators, date, close), [], close)
    if outcome is Outcome.FAILED:
        return message(412, "it has changed\n", date=date, close=close, head=is_head)
    spans = None if is_head else _spans(request, content, date)
    if spans is None:
        fields = [("Content-Type", content.mime), ("Content-Length", str(content.size)), *validators]
        body = [] if is_head else list(content.segments)
        return Response(200, _head(200, fields, date, close), body, close, whole=not is_head)
    if not spans:
        extra = (("Content-Range", f"bytes */{content.size}"),)
        return message(416, "no such bytes\n", date=date, close=close, extra=extra)
    return _partial(content, spans, validators, date, close)


def _spans(request: Request, content: Content, date: str) -> list[ranges.Span] | None:
    """What Range asks of a GET, the only method for which it has a meaning (RFC 9110 §14.2); None: everything."""
    wanted = request.headers.get("range")
    if wanted is None or not range_applies(request.headers, content.etag, content.modified_at, date):
        return None
    return ranges.parse_ranges(wanted, content.size)


def _partial(
    content: Content, spans: list[ranges.Span], validators: list[tuple[str, str]], date: str, close: bool
) -> Response:
    if len(spans) == 1:
        first, length = spans[0]
        fields = [
            ("Content-Type", content.mime),
            ("Content-Length", str(length)),
            ("Content-Range", f"bytes {first}-{first + length - 1}/{content.size}"),
            *validators,
        ]
        return Response(206, _head(206, fields, date, close), ranges.cut(content.segments, first, length), close)
    # The delimiter must not occur in the content; nobody can put the digest of a file's own ETag into that file by accident.
    boundary = hashlib.blake2b(f"{content.etag} {spans}".encode(), digest_size=15).hexdigest()
    body = ranges.multipart(content.segments, spans, content.size, content.mime, boundary)
    fields = [
        ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
        ("Content-Length", str(ranges.total(body))),
        *validators,
    ]
    return Response(206, _head(206, fields, date, close), body, close)


def _head(status: int, fields: list[tuple[str, str]], date: str, close: bool) -> bytes:
    """Status line and fields. Connection stands last always, because PXELINUX loses the last field and may lose that one."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}", f"Date: {date}", "Server: pxenet"]
    lines += [f"{name}: {value}" for name, value in fields]
    lines.append(f"Connection: {'close' if close else 'keep-alive'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
