"""A small HTTP client: a request's head as its caller spelled it, the reply's head, and a body that is counted rather than kept.

Knows RFC 9112 framing (length, chunks, end of the connection). Must not know what is fetched, or why. Redirects are the caller's.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import httptools
import trio

MAX_HEAD_BYTES = 64 << 10
_IDLE_S = 30.0
"""No byte for so long: the reply will not come."""
_IP_BIND_ADDRESS_NO_PORT = 24
"""<linux/in.h>: the port is chosen at connect, so that thousands of connections from one address do not run out of them."""

# Bodies are read into this and forgotten. All connections share it: nobody looks at what stands in it.
_drain = bytearray(256 << 10)


class HttpError(Exception):
    """There is no reply, or not all of it; the message says why."""


class ClosedEarlyError(HttpError):
    """The connection ended before the first byte of a reply."""


@dataclass(slots=True)
class HttpResult:
    """A reply."""

    status: int
    headers: tuple[tuple[str, str], ...]
    size: int
    """Bytes of body that came."""
    body: bytes
    """When it was to be kept."""
    reusable: bool
    """The connection may carry another request."""


@dataclass(slots=True)
class _Head:
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    http_1_0: bool = False

    def get(self, name: str) -> str:
        return next((value for known, value in self.headers if known.lower() == name), "")


class Connection:
    """One connection to a server. Requests one after the other; HttpError for whatever goes wrong, and it is closed then."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._socket = sock
        self._buffer = bytearray()

    @classmethod
    async def open(cls, host: str, port: int, source: int = 0) -> Connection:
        """Connect, from this address of ours if one is named. Raises HttpError."""
        sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                await sock.bind((socket.inet_ntoa(source.to_bytes(4, "big")), 0))
            with trio.fail_after(_IDLE_S):
                await sock.connect((host, port))
        except (OSError, trio.TooSlowError) as error:
            sock.close()
            raise HttpError(f"cannot connect to {host}:{port}: {error or 'timed out'}") from error
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def close(self) -> None:
        """End it."""
        self._socket.close()

    async def fetch(
        self,
        method: str,
        target: str,
        version: str,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        *,
        keep: bool,
    ) -> HttpResult:
        """One request and its whole reply; ``keep``: with the body. Raises HttpError."""
        lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in headers)]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body
        try:
            with trio.fail_after(_IDLE_S):
                await self._send(request)
            head = await self._head()
            return await self._body(head, method, keep)
        except ConnectionError as error:
            self.close()
            raise ClosedEarlyError(str(error)) from error
        except (OSError, trio.TooSlowError, httptools.HttpParserError, ValueError) as error:
            self.close()
            raise HttpError(str(error) or "the server fell silent") from error
        except BaseException:
            self.close()
            raise

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[await self._socket.send(rest) :]

    async def _more(self) -> bool:
        """Another piece into the buffer; False at the end of the connection."""
        with trio.fail_after(_IDLE_S):
            data = await self._socket.recv(64 << 10)
        self._buffer += data
        return bool(data)

    async def _head(self) -> _Head:
        while True:
            while (end := self._buffer.find(b"\r\n\r\n")) < 0:
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise HttpError("the reply's head does not end")
                if not await self._more():
                    raise (
                        HttpError("the connection ended within a head")
                        if self._buffer
                        else ClosedEarlyError("the server closed the connection")
                    )
            first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
            del self._buffer[: end + 4]
            version, _, rest = first.partition(" ")
            if not version.startswith("HTTP/") or not rest[:3].isdecimal():
                raise HttpError(f"this is no HTTP reply: {first[:40]!r}")
            if int(rest[:3]) >= 200:  # 100 Continue announces the reply proper
                fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
                return _Head(int(rest[:3]), fields, version == "HTTP/1.0")

    async def _body(self, head: _Head, method: str, keep: bool) -> HttpResult:
        kept: list[bytes] = []
        length = head.get("content-length")
        ends = head.get("connection").lower() == "close" or (
            head.http_1_0 and head.get("connection").lower() != "keep-alive"
        )
        if method == "HEAD" or head.status in (204, 304):
            size = 0
        elif "chunked" in head.get("transfer-encoding").lower():
            size, ends = await self._chunks(kept if keep else None), True
        elif length:
            size = await self._counted(int(length), kept if keep else None)
        else:
            size, ends = await self._counted(None, kept if keep else None), True
        return HttpResult(head.status, tuple(head.headers), size, b"".join(kept), not ends)

    async def _counted(self, length: int | None, kept: list[bytes] | None) -> int:
        """So many bytes, or (None) all until the connection ends."""
        first = bytes(self._buffer if length is None else self._buffer[:length])
        del self._buffer[: len(first)]
        if kept is not None:
            kept.append(first)
        size = len(first)
        while length is None or size < length:
            room = memoryview(_drain)[: len(_drain) if length is None else length - size]
            with trio.fail_after(_IDLE_S):
                if kept is None:
                    got = await self._socket.recv_into(room)
                else:
                    data = await self._socket.recv(len(room))
                    kept.append(data)
                    got = len(data)
            if not got:
                if length is None:
                    break
                raise HttpError(f"the connection ended after {size} of {length} bytes")
            size += got
        return size

    async def _chunks(self, kept: list[bytes] | None) -> int:
        """Chunked (RFC 9112 §7.1). What follows the last chunk is not kept: the connection ends after such a reply."""
        counter = _Counter(kept)
        parser = httptools.HttpResponseParser(counter)
        parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            parser.feed_data(bytes(self._buffer))
            self._buffer.clear()
            if counter.complete:
                return counter.size
            if not await self._more():
                raise HttpError(f"the connection ended after {counter.size} bytes, in the middle of a chunk")


class _Counter:
    """What httptools reports of a body."""

    def __init__(self, kept: list[bytes] | None) -> None:
        self.size = 0
        self.complete = False
        self._kept = kept

    def on_body(self, data: bytes) -> None:
        self.size += len(data)
        if self._kept is not None:
            self._kept.append(data)

    def on_message_complete(self) -> None:
        self.complete = True
