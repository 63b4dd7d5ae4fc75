"""Requests out of bytes: the end of a head found, what firmware spells wrongly mended, heads and bodies parsed within limits.

Knows httptools, RFC 9112 §2 to §7 and who bends it. Must not know sockets; everything here is fed by the network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import httptools

from pxenet.engine.http import Request, parse_target


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """How large a request may be. Precedents: nginx' large_client_header_buffers (8 KiB a line), Apache's LimitRequestFields (100)."""

    line_bytes: int = 8 << 10
    head_bytes: int = 16 << 10
    """librepo names up to 256 ranges in one Range field: about 6 KiB."""
    fields: int = 100
    body_bytes: int = 64 << 10
    """Bodies are callbacks and their few form fields."""


class BadRequestError(Exception):
    """A request that is refused before anybody is asked about it; the connection ends with it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(slots=True)
class Head:
    """A request whose body has not been read yet."""

    request: Request
    length: int
    """Content-Length; 0 when there is no body."""
    chunks: Chunks | None
    """Set when the body is chunked: what takes it apart."""
    expects_continue: bool
    raw: bytes = b""
    """As it arrived, its empty line included."""

    @property
    def plain(self) -> bool:
        """It asks for a name and says nothing else: no body, no query that may tell something of the machine."""
        asks = self.request.method != "POST" and not self.request.query
        return asks and not self.length and self.chunks is None and not self.expects_continue


METHODS = frozenset({"GET", "HEAD", "POST"})

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) +(.*[^ ]) +HTTP/(\d)\.(\d) *", re.DOTALL)
_UNPRINTABLE = re.compile(rb"[^\x21-\x7e]")
_END = b"\r\n\r\n"


def find_head_untrusted(buffer: bytearray, limits: SizeLimits) -> int:
    """Length of the head at the start of ``buffer``, its empty line included; 0 when more must arrive.

    Raises BadRequestError as soon as it is certain that no acceptable head can come of it.
    """
    while buffer.startswith(b"\r\n"):  # RFC 9112 §2.2: empty lines before a request are to be ignored
        del buffer[:2]
    if not buffer or buffer == b"\r":
        return 0
    if buffer[0] == 0x16:  # the record type of a TLS handshake
        raise BadRequestError(400, "this port speaks HTTP, not HTTPS")
    if buffer[0] <= 0x20 or buffer[0] >= 0x7F:
        raise BadRequestError(400, "this is not HTTP")
    line = buffer.find(b"\n", 0, limits.line_bytes)
    if line < 0:
        if len(buffer) >= limits.line_bytes:
            raise BadRequestError(414, "the request line is too long")
        return 0
    if not buffer.startswith(b"\r\n", line - 1):
        raise BadRequestError(400, "lines end with CR LF")
    end = buffer.find(_END, line - 1, limits.head_bytes)
    if end >= 0:
        return end + len(_END)
    if len(buffer) >= limits.head_bytes:
        raise BadRequestError(431, "the request's head is too large")
    return 0


def parse_head_untrusted(head: bytes, limits: SizeLimits, local: int = 0) -> Head:
    """A whole head. Raises BadRequestError.

    The target is mended before the strict parser sees it: GRUB sends names as they are, so spaces and bytes beyond ASCII arrive raw.
    """
    line, _, rest = head.partition(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequestError(400, "the first line is no request line")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise BadRequestError(505, "HTTP/1.1 is spoken here")
    if method.decode() not in METHODS:
        raise BadRequestError(405, "GET, HEAD and POST are understood")
    target = _UNPRINTABLE.sub(lambda byte: b"%%%02X" % byte[0][0], target)
    parsed = parse_target(target)
    if parsed is None:
        raise BadRequestError(400, "the request's target names nothing")
    version = b"1.0" if minor == b"0" else b"1.1"
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(b"%s %s HTTP/%s\r\n%s" % (method, target, version, rest))
    except httptools.HttpParserUpgrade:
        pass  # an offer (h2c, by curl --http2) that is declined by taking no notice of it (RFC 9110 §7.8)
    except httptools.HttpParserError as error:
        raise BadRequestError(400, f"the head cannot be parsed: {error}") from error
    if len(collector.fields) > limits.fields:
        raise BadRequestError(431, "too many header fields")
    headers = _joined(collector.fields)
    request = Request(method.decode(), *parsed, headers, version.decode(), local=local)
    return _framed(request, parser, collector, limits)


def _framed(request: Request, parser: httptools.HttpRequestParser, collector: _Collector, limits: SizeLimits) -> Head:
    """Where the body ends. httptools has refused contradictory, repeated and malformed lengths already."""
    length = int(request.headers.get("content-length", "0"))
    if length > limits.body_bytes:
        raise BadRequestError(413, f"a body may have {limits.body_bytes} bytes")
    chunks = None
    if "transfer-encoding" in request.headers:
        if "upgrade" in request.headers:
            raise BadRequestError(400, "a chunked body and an upgrade at once")
        chunks = Chunks(parser, collector, limits)
    expects_continue = request.version == "1.1" and request.headers.get("expect", "").lower() == "100-continue"
    return Head(request, length, chunks, expects_continue)


class Chunks:
    """A chunked body (RFC 9112 §7.1) on its way. What follows it is not kept: the connection ends after such a request."""

    def __init__(self, parser: httptools.HttpRequestParser, collector: _Collector, limits: SizeLimits) -> None:
        self._parser = parser
        self._collector = collector
        self._left = limits.body_bytes + limits.head_bytes
        """Bytes that may still arrive: the body and what chunk sizes, extensions and trailers add to it."""
        self._limit = limits.body_bytes

    def feed(self, data: bytes) -> bytes | None:
        """The body once its last chunk is here. Raises BadRequestError."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._collector.complete:
                raise BadRequestError(400, f"the body cannot be parsed: {error}") from error
        self._left -= len(data)
        body = bytes(self._collector.body)
        if len(body) > self._limit or (self._left < 0 and not self._collector.complete):
            raise BadRequestError(413, f"a body may have {self._limit} bytes")
        return body if self._collector.complete else None


def with_body(request: Request, body: bytes) -> Request:
    """The same request, complete."""
    return replace(request, body=body)


def _joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Repeated fields become one, joined by commas (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for name, value in fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


class _Collector:
    """What httptools reports, until the end of the first message."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.body = bytearray()
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.fields.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self.body += data

    def on_message_complete(self) -> None:
        self.complete = True
