"""Asks for files by HTTP as firmware does, and keeps the replies as they came: what servers do wrong shows in the very bytes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio

from pxenet.doctor.observed import HttpRead, HttpTry
from pxenet.sim import http
from pxenet.sim.body import HttpFetch
from pxenet.wire.text import address_text

PATIENCE_S = 5.0
"""EDK2's own."""
STRAY_S = 0.2
"""For bytes that should not come after the reply to a HEAD."""
MAX_HEAD_BYTES = 64 << 10
ENOUGH_BYTES = 64 << 10
"""Of a body; longer ones are broken off."""
PART_BYTES = 100
_LAST_CHUNK = b"0\r\n\r\n"

Stream = trio.abc.Stream


@dataclass(slots=True)
class _Line:
    """A connection, and what has arrived on it beyond the last reply."""

    stream: Stream
    rest: bytes = b""

    async def more(self) -> bool:
        data = await self.stream.receive_some(64 << 10)
        self.rest += data
        return bool(data)


async def examine(url: str, by: Sequence[str], agent: http.Agent, source: int) -> HttpRead:
    """Try a file: EDK2 asks for the size by HEAD first and goes on with GET on the same connection."""
    size = part = None
    line: _Line | None = None
    if agent in (http.EDK2, http.SHIM):
        size, line = await _asked(http.request(agent, url, "HEAD"), source, None)
    get, line = await _asked(http.request(agent, url), source, line)
    await _hang_up(line)
    if get.status == 200:
        more = (("Range", f"bytes=0-{PART_BYTES - 1}"),)
        part, line = await _asked(http.request(agent, url, more=more), source, None)
        await _hang_up(line)
    return HttpRead(url, tuple(by), agent.name, get, size, part)


async def _asked(fetch: HttpFetch, source: int, line: _Line | None) -> tuple[HttpTry, _Line | None]:
    """One request, on this connection if it still can be used; and the connection, if another may follow."""
    reused = line is not None
    try:
        with trio.fail_after(PATIENCE_S):
            line = line or await _connect(fetch.url, source)
            found = await _exchange(fetch, line)
    except (OSError, ssl.SSLError, trio.BrokenResourceError, trio.TooSlowError, ValueError) as error:
        await _hang_up(line)
        if reused:  # it had been closed meanwhile, as servers may do
            return await _asked(fetch, source, None)
        return HttpTry(fetch.method, _why(error)), None
    if found.ended or "close" in found.field("Connection").lower() or found.lines[0].startswith("HTTP/1.0"):
        await _hang_up(line)
        line = None
    if not found.head and reused:
        return await _asked(fetch, source, None)
    return found, line


def _why(error: Exception) -> str:
    if isinstance(error, trio.TooSlowError):
        return f"no reply within {PATIENCE_S:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    cause = error.__cause__
    return str(getattr(error, "strerror", None) or error or cause)


async def _hang_up(line: _Line | None) -> None:
    if line is not None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + STRAY_S):
            await trio.aclose_forcefully(line.stream)


async def _connect(url: str, source: int) -> _Line:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is no http URL")
    sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if source:
            await sock.bind((address_text(source), 0))
        await sock.connect((parts.hostname, parts.port or (443 if tls else 80)))
    except BaseException:
        sock.close()
        raise
    stream: Stream = trio.SocketStream(sock)
    if tls:
        # Firmware trusts what was enrolled in it, which nobody here knows: any certificate will do.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        stream = trio.SSLStream(stream, context, server_hostname=parts.hostname, https_compatible=True)
    return _Line(stream)


async def _exchange(fetch: HttpFetch, line: _Line) -> HttpTry:
    url = urlsplit(fetch.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [
        f"{fetch.method} {target} HTTP/{fetch.version}",
        *(f"{name}: {value}" for name, value in fetch.headers),
    ]
    await line.stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))
    alive = True
    while (end := _end_of_head(line.rest)) < 0 and len(line.rest) < MAX_HEAD_BYTES and alive:
        alive = await line.more()
    if end < 0:
        said = f"this is no HTTP reply: {line.rest[:40]!r}" if line.rest else "the connection ended without a reply"
        return HttpTry(fetch.method, said, ended=True)
    found = HttpTry(fetch.method, head=line.rest[:end])
    line.rest = line.rest[end:]
    if fetch.method == "HEAD":
        with trio.move_on_after(STRAY_S):
            alive = await line.more() if alive else False
    else:
        wanted = min(found.length if found.length is not None and not found.chunked else ENOUGH_BYTES, ENOUGH_BYTES)
        while alive and len(line.rest) < wanted and not (found.chunked and line.rest.endswith(_LAST_CHUNK)):
            alive = await line.more()
    body, line.rest = line.rest[:ENOUGH_BYTES], b""
    return HttpTry(fetch.method, "", found.head, body, not alive)


def _end_of_head(data: bytes) -> int:
    """Behind the empty line, whether lines end with CR LF, as they should, or LF; -1: not there yet."""
    ends = [(at + len(mark)) for mark in (b"\r\n\r\n", b"\n\n") if (at := data.find(mark)) >= 0]
    return min(ends, default=-1)
