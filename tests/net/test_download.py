"""Downloads from servers of every kind: framed by length, by chunks, by the end of the connection; redirected, cut, silent, no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
import trio
import trio.testing

from pxenet.net.download import Download, validator
from pxenet.net.http_client import HttpError

REPLIES: Mapping[str, bytes] = {
    "/length": b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "v"\r\n\r\nhello',
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "/end": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "/interim": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: /length\r\nContent-Length: 0\r\n\r\n",
    "/round": b"HTTP/1.1 302 Found\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n",
    "/file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    "/cut-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhe",
    "/no-http": b"220 ftp ready\r\n\r\n",
    "/nothing": b"",
    "/endless": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20),
}


async def answer(stream: trio.SocketStream) -> None:
    async with stream:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        reply = REPLIES.get(head.split(b" ")[1].decode(), b"")
        try:
            for at in range(0, len(reply), 1 << 16):
                await stream.send_all(reply[at : at + (1 << 16)])
        except trio.BrokenResourceError:
            pass


async def got(path: str) -> tuple[int, bytes, str]:
    """Status, body and the path it came from."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        base = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        try:
            async with await Download.open(base + path) as reply:
                data = b""
                while piece := await reply.piece():
                    data += piece
                return reply.status, data, reply.url.removeprefix(base)
        finally:
            nursery.cancel_scope.cancel()
    raise AssertionError("not reached")


@pytest.mark.parametrize("path", ["/length", "/chunked", "/end", "/interim"])
async def test_framings(path: str) -> None:
    """The body is whole however its end is told."""
    assert (200, b"hello", path) == await got(path)


async def test_a_redirect_is_followed() -> None:
    """And it is known where the reply came from."""
    assert (200, b"hello", "/length") == await got("/moved")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/round", "without end"),
        ("/file", "is not followed"),
        ("/cut", "ended before the reply did"),
        ("/cut-chunk", "ended before the reply did"),
        ("/no-http", "http://127.0.0.1"),
        ("/nothing", "ended before the reply did"),
        ("/endless", "head does not end"),
    ],
)
async def test_what_is_no_reply(path: str, words: str) -> None:
    """One kind of error, with the reason; nothing is given for whole that is not."""
    with pytest.RaisesGroup(pytest.RaisesExc(HttpError, match=words), flatten_subgroups=True, allow_unwrapped=True):
        await got(path)


async def test_a_server_that_falls_silent(autojump_clock: trio.testing.MockClock) -> None:
    """Is given up after a while, in virtual time."""
    ours, theirs = trio.testing.memory_stream_pair()
    reply = Download("http://m/x", ours)
    await theirs.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe")
    assert b"he" == await reply.piece()
    with pytest.raises(HttpError, match="fell silent"):
        await reply.piece()


async def test_nobody_there() -> None:
    """The URL and the reason are named."""
    with pytest.raises(HttpError, match=r"http://127\.0\.0\.1:1/x"):
        await Download.open("http://127.0.0.1:1/x")


def test_validators() -> None:
    """A weak tag proves nothing for a range; a date is better than nothing (RFC 9110 §13.1.5)."""
    date = {"last-modified": "Thu, 26 Nov 2026 00:00:00 GMT"}
    assert ['"v"', date["last-modified"], ""] == [
        validator({"etag": '"v"'} | date), validator({"etag": 'W/"v"'} | date), validator({}),
    ]  # fmt: skip
