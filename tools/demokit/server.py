"""The real server, ``python -m pxenet.server``, as a process of its own: started, listened to line by line, ended.

Knows its command line, its readiness message (sd_notify(3)) and its lines of JSON. Whatever ends the demo ends the server.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

REPOSITORY = Path(__file__).resolve().parents[2]
_READY_S = 30.0
_END_S = 10.0

Line = dict[str, object]
"""An event, as ``pxenet.server.events.record`` makes it."""


class ServerError(Exception):
    """The server did not start, or has ended; the message has its last words."""


class Server:
    """A running server. ``tail``: the last of what it said."""

    def __init__(self, process: subprocess.Popen[bytes], hear: Callable[[Line], None]) -> None:
        self.process = process
        self.ended = trio.Event()
        self.tail: list[str] = []
        self._hear = hear

    async def listen(self) -> None:
        """Take its lines until it ends."""
        rest = b""
        assert self.process.stdout is not None
        async with trio.lowlevel.FdStream(os.dup(self.process.stdout.fileno())) as said:
            async for chunk in said:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line.decode(errors="replace"))
        self.ended.set()

    def _take(self, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            said = {"kind": "server", "text": text}
        self.tail = [*self.tail[-9:], str(said.get("text"))]
        self._hear(said)

    async def wait_ended(self) -> None:
        """Raises ServerError when it ends by itself."""
        await self.ended.wait()
        status = await _status(self.process)
        raise ServerError("\n  ".join([f"the server has ended with status {status}:", *self.tail]))


@asynccontextmanager
async def running(config: Path, hear: Callable[[Line], None], prefix: Sequence[str] = ()) -> AsyncIterator[Server]:
    """A server that is ready. Raises ServerError. ``prefix``: a command that runs it, somewhere else."""
    place = config.parent / "notify"
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM) as notify:
        await notify.bind(str(place))
        # It ends with us also when nobody gives us time for that: with this thread, hence no worker thread may start it.
        leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        process = subprocess.Popen(
            [*leash, *prefix, sys.executable, "-m", "pxenet.server", "--config", str(config), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=config.parent,
            env={**os.environ, "NOTIFY_SOCKET": str(place), "PYTHONPATH": str(REPOSITORY)},
            start_new_session=True,  # Ctrl-C is for us: the server ends when the picture is done with it
        )
        server = Server(process, hear)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.listen)
                with trio.move_on_after(_READY_S) as patience:
                    await _ready(notify, server)
                if patience.cancelled_caught:
                    raise ServerError("\n  ".join([f"the server was not ready after {_READY_S:.0f} s:", *server.tail]))
                yield server
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await _end(process)


async def _ready(notify: trio.socket.SocketType, server: Server) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.wait_ended)
        while b"READY=1" not in (await notify.recv(4096)).split(b"\n"):
            pass
        nursery.cancel_scope.cancel()


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with trio.move_on_after(_END_S):
        await _status(process)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


async def _status(process: subprocess.Popen[bytes]) -> int:
    """Its exit status, once it has one."""
    while (status := process.poll()) is None:
        await trio.sleep(0.02)
    return status
