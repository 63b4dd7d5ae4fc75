"""Downloads of whatever size: a reply's head first, then its body piece by piece; redirects followed, HTTPS too.

Knows RFC 9110 redirects and RFC 9112 framing (httptools). Must not know where the bytes go.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from urllib.parse import urljoin, urlsplit

import httptools
import trio

from pxenet.net.http_client import MAX_HEAD_BYTES, HttpError

_CONNECT_S = 10.0
_IDLE_S = 30.0
"""No byte for so long: no more will come."""
_PIECE_BYTES = 256 << 10
_REDIRECTS = 5


class Download:
    """A reply under way. ``piece`` gives what comes; leaving the context ends the connection."""

    def __init__(self, url: str, stream: trio.abc.Stream) -> None:
        self.url = url
        """Where it comes from, after redirects."""
        self.status = 0
        self.headers: dict[str, str] = {}
        """Names in lower case; of a repeated field the first."""
        self._stream = stream
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._head = False
        self._complete = False

    @classmethod
    async def open(cls, url: str, headers: Sequence[tuple[str, str]] = ()) -> Download:
        """The reply to a GET, with its head. Raises HttpError."""
        for _ in range(_REDIRECTS + 1):
            reply = await cls._open(url, headers)
            target = reply.headers.get("location", "")
            if reply.status not in (301, 302, 303, 307, 308) or not target:
                return reply
            await reply.close()
            onward = urljoin(url, target)
            if not onward.startswith(("http://", "https://")) or (
                url.startswith("https:") and onward.startswith("http:")
            ):
                raise HttpError(f"{url} leads to {onward[:200]}, which is not followed")
            url = onward
        raise HttpError(f"{url} leads from one place to another without end")

    @classmethod
    async def _open(cls, url: str, headers: Sequence[tuple[str, str]]) -> Download:
        stream: trio.abc.Stream | None = None
        try:
            parts = urlsplit(url)
            secure = parts.scheme == "https"
            host, port = parts.hostname or "", parts.port or (443 if secure else 80)
            with trio.fail_after(_CONNECT_S):
                stream = await trio.open_tcp_stream(host, port)
                if secure:
                    stream = trio.SSLStream(
                        stream, ssl.create_default_context(), server_hostname=host, https_compatible=True
                    )
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", "User-Agent: pxenet"]
                lines += ["Accept-Encoding: identity", *(f"{name}: {value}" for name, value in headers)]
                await stream.send_all(("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("utf-8"))
            reply = cls(url, stream)
            await reply._read_head()
        except BaseException as error:
            if stream is not None:
                await trio.aclose_forcefully(stream)
            if isinstance(error, HttpError) or not isinstance(error, _FAULTS):
                raise
            raise HttpError(f"{url}: {_words(error)}") from error
        return reply

    async def __aenter__(self) -> Download:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection."""
        await trio.aclose_forcefully(self._stream)

    async def piece(self) -> bytes:
        """What comes next; b"" when the body is complete. Raises HttpError when it will not be."""
        try:
            while not self._pieces and not self._complete:
                await self._more()
        except _FAULTS as error:
            raise HttpError(f"{self.url}: {_words(error)}") from error
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    async def _read_head(self) -> None:
        size = 0
        while not self._head:
            size += await self._more()
            if size > MAX_HEAD_BYTES and not self._head:
                raise HttpError(f"{self.url}: the reply's head does not end")
        self.status = self._parser.get_status_code()

    async def _more(self) -> int:
        with trio.fail_after(_IDLE_S):
            data = await self._stream.receive_some(_PIECE_BYTES)
        if data:
            self._parser.feed_data(data)
            return len(data)
        framed = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        if not self._head or framed:
            raise HttpError(f"{self.url}: the connection ended before the reply did")
        self._complete = True
        return 0

    # -- what httptools reports

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1").strip())

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._head = True
        else:
            self.headers.clear()

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        self._complete = self._complete or self._head


_FAULTS = (OSError, trio.BrokenResourceError, trio.TooSlowError, httptools.HttpParserError, ssl.SSLError, ValueError)


def _words(error: BaseException) -> str:
    if isinstance(error, trio.TooSlowError):
        return "the server fell silent"
    if isinstance(error, trio.BrokenResourceError):
        return f"the connection broke ({error.__cause__ or 'reset'})"
    return str(error) or type(error).__name__


def validator(headers: Mapping[str, str]) -> str:
    """What tells this version of a file from others, for If-Range (RFC 9110 §13.1.5): a strong tag, or a date; else ""."""
    tag = headers.get("etag", "")
    return tag if tag.startswith('"') else headers.get("last-modified", "")
