"""What the HTTP server's tests share: a site made of a directory, a server on the loopback, and a plain client."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from pxenet.content.directory import Directory
from pxenet.content.tree import Tree
from pxenet.engine.http import Reply, Request
from pxenet.events import Event
from pxenet.model import Absent, Asker, Content, Role
from pxenet.server.http import HttpLimits, HttpServer, Tls
from pxenet.server.http_socket import ipv4_of
from pxenet.server.tap import Tap

LOOPBACK = 0x7F000001
BIG = os.urandom(1 << 20) * 12
"""More than any socket buffer takes at once."""


@dataclass
class FakeSite:
    """A directory, and a callback that answers with what it was sent."""

    tree: Tree
    requests: list[Request] = field(default_factory=list)
    peers: list[bytes] = field(default_factory=list)
    delivered_names: list[tuple[str, bool]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    hold: trio.Event | None = None

    async def answer(self, request: Request, peer: bytes) -> Content | Absent | Reply:
        self.requests.append(request)
        self.peers.append(peer)
        if self.hold is not None:
            await self.hold.wait()
        if request.path.startswith("/installed/"):
            return Reply(200, f"{request.method} {len(request.body)}\n")
        return self.tree.find(request.path, Asker(ipv4_of(peer)), listing=True)

    def delivered(self, content: Content, peer: bytes, duration_s: float, whole: bool) -> None:
        assert duration_s >= 0
        self.delivered_names.append((content.name, whole))

    def event(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def make_site(tmp_path: Path, role: Role = Role.LOADER) -> FakeSite:
    """A few files in a directory."""
    (tmp_path / "x64").mkdir()
    (tmp_path / "x64/shimx64.efi").write_bytes(b"MZ" + bytes(1000))
    (tmp_path / "a b.txt").write_bytes(b"spaced\n")
    (tmp_path / "big").write_bytes(BIG)
    (tmp_path / "empty").write_bytes(b"")
    return FakeSite(Tree([Directory(tmp_path, role=role)]))


@dataclass
class Running:
    server: HttpServer
    port: int
    listener: socket.socket

    def let_wait(self, send_buffer: int = 32 << 10) -> None:
        """From now on the kernel takes so little of a connection at once that the rest waits, instead of what it thinks fit."""
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def exchange(self, data: bytes) -> bytes:
        """Send, then read until the server ends the connection."""
        async with await self.connect() as stream:
            await stream.send_all(data)
            return await read_all(stream)


@asynccontextmanager
async def serving(
    site: FakeSite,
    limits: HttpLimits | None = None,
    host: str = "127.0.0.1",
    drain: bool = True,
    tls: Tls | None = None,
    clock: Callable[[], float] = time.time,
    plain: bool = False,
    tap: Tap | None = None,
) -> AsyncIterator[Running]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=200, dualstack_ipv6=host == "::") as listener:
        server = HttpServer([listener], site, limits, clock, tls, plain=plain, tap=tap)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            yield Running(server, listener.getsockname()[1], listener)
            if drain:  # so that all deliveries are told
                with trio.move_on_after(1):
                    await server.drain()
            nursery.cancel_scope.cancel()


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    data = bytearray()
    async for piece in stream:
        data += piece
    return bytes(data)


async def receive_more(stream: trio.abc.ReceiveStream) -> bytes:
    data = await stream.receive_some(1 << 20)
    assert data, "the connection ended within a reply"
    return bytes(data)


async def read_reply(stream: trio.abc.ReceiveStream, *, body: bool = True) -> tuple[bytes, bytes]:
    """(head, body) of one reply on a connection that stays open; nothing beyond it may have arrived."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        data += await receive_more(stream)
    head = bytes(data).partition(b"\r\n\r\n")[0]
    del data[: len(head) + 4]
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) if body else 0
    while len(data) < length:
        data += await receive_more(stream)
    assert len(data) == length
    return head, bytes(data)


def get(path: str, extra: str = "", version: str = "1.1", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nHost: h\r\n{extra}\r\n".encode()


CLOSE = "Connection: close\r\n"
