"""The socket by which commands ask the running server: who may connect, how much one may cost, and lines of JSON.

One request a connection, one line; then lines back: ``{"row": ...}`` any number of times, and at last ``{"done": true}`` or
``{"error": ..., "right": ...}``. Only the user the server runs as (and root) can connect: the socket has mode 0600. Should such a
client be slow, silent or wrong all the same, it costs a bounded number of bytes and seconds.

Knows no question: ``Answer`` does (``answers``).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

SOCKET = "pxenet.sock"
"""In the state directory; named like the other files of the store, so that they can be told from what is not ours."""

MAX_REQUEST = 16 << 20
"""Bytes of a request: 65 536 hosts in one fit."""

_PIECE_BYTES = 64 << 10

_BACKLOG = 16
_LONGEST_PATH = 100
"""sockaddr_un has room for 107 bytes; longer ways lead over /proc."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost. Seconds and numbers."""

    clients: int = 16
    ask_s: float = 5.0
    """Until its request is here."""
    take_s: float = 10.0
    """Until it has taken a chunk of the answer."""
    rows: int = 200
    """Rows made at once, before other tasks have their turn."""


class RefusedError(Exception):
    """A request that is not answered: why, and what would be right."""

    def __init__(self, wrong: str, right: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.right = right


class Reply:
    """Where the answer to one request goes."""

    def __init__(self, stream: trio.SocketStream, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits

    async def rows(self, rows: Iterable[object]) -> None:
        """Send each as ``{"row": ...}``; they are made a few at a time. trio.TooSlowError for a client that does not take them."""
        lines: list[str] = []
        for row in rows:
            lines.append(json.dumps({"row": row}, default=str))
            if len(lines) >= self._limits.rows:
                await self.lines(lines)
                lines = []
        await self.lines(lines)

    async def lines(self, lines: Iterable[str]) -> None:
        """Send lines."""
        data = "".join(f"{line}\n" for line in lines).encode()
        with trio.fail_after(self._limits.take_s):
            await self._stream.send_all(data)

    async def gone(self) -> None:
        """Wait until the client has left, whatever it says until then."""
        try:
            while await self._stream.receive_some(_PIECE_BYTES):
                pass
        except trio.BrokenResourceError:
            pass


Answer = Callable[[Mapping[str, object], Reply], Awaitable[None]]
"""Answers a request through a Reply. RefusedError when it cannot."""


class Control:
    """Serves a listening socket (see ``listening``)."""

    def __init__(self, listener: socket.socket, answer: Answer, limits: Limits | None = None) -> None:
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        self._answer = answer
        self._limits = limits or Limits()
        self._clients = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._serve, [self._listener])
            task_status.started()

    async def _serve(self, stream: trio.SocketStream) -> None:
        if self._clients >= self._limits.clients:
            await stream.aclose()
            return
        self._clients += 1
        try:
            async with stream:
                await self._exchange(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass
        finally:
            self._clients -= 1

    async def _exchange(self, stream: trio.SocketStream) -> None:
        reply = Reply(stream, self._limits)
        try:
            with trio.fail_after(self._limits.ask_s):
                request = await _request(stream)
            await self._answer(request, reply)
        except RefusedError as refused:
            await reply.lines([json.dumps({"error": refused.wrong, "right": refused.right})])
        else:
            await reply.lines([json.dumps({"done": True})])


async def _request(stream: trio.SocketStream) -> Mapping[str, object]:
    data, more = bytearray(), b""
    while b"\n" not in more:
        more = await stream.receive_some(_PIECE_BYTES)
        data += more
        if not more or len(data) > MAX_REQUEST:
            raise RefusedError("a request is one line of JSON", f"of {MAX_REQUEST} bytes at most")
    try:
        request = json.loads(data.partition(b"\n")[0])
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise RefusedError("the request is no JSON object")
    return request


@contextlib.contextmanager
def listening(directory: Path) -> Iterator[socket.socket]:
    """The control socket in a state directory whose lock we hold, so that one which is there is stale; removed at the end.

    Raises OSError, also when something else has its name.
    """
    path = directory / SOCKET
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    with contextlib.ExitStack() as closing:
        closing.callback(sock.close)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise FileExistsError(f"{path} is no socket")
            path.unlink()
        os.fchmod(
            sock.fileno(), 0o600
        )  # what is bound gets the mode of the socket: never open to others, not for an instant
        sock.bind(closing.enter_context(reachable(path)))
        ours = path.lstat().st_ino
        sock.listen(_BACKLOG)
        sock.setblocking(False)
        try:
            yield sock
        finally:
            with contextlib.suppress(OSError):
                if path.lstat().st_ino == ours:
                    path.unlink()


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of ``path`` that is short enough for a socket address. Raises OSError when its directory cannot be opened."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
