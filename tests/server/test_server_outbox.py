"""Windows for which the network has no room at once: they wait, leave in order, and the engine hears for how long."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from test_server_shell import LOOPBACK, FakeEngine, FakeRack, OpenFile, memory

from pxenet.engine.surface import Blocks, Flight, Output, Stream
from pxenet.model import Content, Region
from pxenet.net import cuts
from pxenet.net.batched import BatchedUdpSocket
from pxenet.net.datagram import pack_peer
from pxenet.server.datagrams import Shell
from pxenet.server.outbox import Outbox
from pxenet.wire.tftp import data_header

BLKSIZE = 512
WINDOW = 4
CLIENTS = 5

TEXT = memory("text", b"")


def stream(n: int) -> Stream:
    return Stream(pack_peer(LOOPBACK, n), TEXT, BLKSIZE)


# The queue


def test_order() -> None:
    """First come, first served; a newer window of a transfer stands where the older one stood; what finds no room is next again."""
    outbox, (one, two, three) = Outbox(), map(stream, range(3))
    for at, each in enumerate((one, two, three)):
        outbox.add(Blocks(each, 1, WINDOW), float(at))
    outbox.add(Blocks(one, 3, WINDOW), 9.0)
    taken = outbox.take(2)
    assert [(Blocks(one, 3, WINDOW), 0.0), (Blocks(two, 1, WINDOW), 1.0)] == [
        (each.blocks, each.since_at) for each in taken
    ]
    outbox.put_back([Blocks(one, 5, 2), Blocks(two, 1, WINDOW)], taken)
    assert 3 == len(outbox)
    assert [(one, 5, 0.0), (two, 1, 1.0), (three, 1, 2.0)] == [
        (each.blocks.stream, each.blocks.first, each.since_at) for each in outbox.take(9)
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3))))
def test_nothing_is_lost_and_nothing_overtakes(acts: list[tuple[int, int]]) -> None:
    """Whatever is put in and back, each transfer's newest window comes out once, in the order in which the transfers came."""
    outbox, streams = Outbox(), [stream(n) for n in range(10)]
    order: list[int] = []
    for now, (n, room) in enumerate(acts):
        if n not in order:
            order.append(n)
        outbox.add(Blocks(streams[n], now, 1), float(now))
        if room:
            taken = outbox.take(room + 1)
            outbox.put_back([each.blocks for each in taken[room:]], taken)
            assert [streams[each] for each in order[:room]] == [each.blocks.stream for each in taken[:room]]
            del order[:room]
        assert len(order) == len(outbox)


# In the shell


@dataclass
class Narrow:
    """``sendmmsg`` of a kernel that has room for so many messages, then none, and then for as many again."""

    most: int
    room: int = 0
    refused: int = 0

    def __call__(self, fd: int, address: int, count: int, flags: int) -> int:
        if not self.room:
            self.room = self.most
            self.refused += 1
            ctypes.set_errno(errno.EAGAIN)
            return -1
        sent: int = _sendmmsg(fd, address, min(count, self.room), flags)
        self.room -= max(sent, 0)
        return sent


_sendmmsg = cuts._sendmmsg


@dataclass
class Scene:
    """A shell on a real socket, a file, and clients."""

    base: Path
    lags: list[float] = field(default_factory=list)

    def __enter__(self) -> Scene:
        self._closing = ExitStack()
        self.udp = BatchedUdpSocket(0, "127.0.0.1")
        self._closing.callback(self.udp.close)
        self.body = os.urandom(40 * BLKSIZE)
        (self.base / "file").write_bytes(self.body)
        file = self._closing.enter_context((self.base / "file").open("rb"))
        content = Content("file", (Region(OpenFile(file.fileno()), 0, len(self.body)),), len(self.body), 0, '"1"')
        self.clients = [
            self._closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(CLIENTS)
        ]
        self.streams = []
        for client in self.clients:
            client.bind(("127.0.0.1", 0))
            client.setblocking(False)
            to = pack_peer(LOOPBACK, client.getsockname()[1])
            self.streams.append(Stream(to, content, BLKSIZE, LOOPBACK, self.udp.port))
        self.engine = FakeEngine()
        self.shell = Shell(
            self.engine,
            [self.udp],
            FakeRack(),  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            trio.current_time,
            behind=lambda lag_s, now: self.lags.append(lag_s),
        )
        return self

    def __exit__(self, *raised: object) -> None:
        self._closing.close()

    def leave(self, first: int) -> None:
        """A window for each client."""
        flight = Flight()
        for each in self.streams:
            flight.add(Blocks(each, first, WINDOW))
        self.shell.obey(Output(flight=flight))

    def wanted(self, *firsts: int) -> list[bytes]:
        """What a client hears of these windows."""
        return [
            data_header(block) + self.body[(block - 1) * BLKSIZE : block * BLKSIZE]
            for first in firsts
            for block in range(first, first + WINDOW)
        ]

    async def heard(self, count: int) -> list[list[bytes]]:
        """So many datagrams of each client."""
        found: list[list[bytes]] = []
        with trio.fail_after(10):
            for client in self.clients:
                found.append([])
                while len(found[-1]) < count:
                    await trio.lowlevel.wait_readable(client)
                    found[-1].append(client.recv(2000))
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Scene(tmp_path) as made:
        yield made


@pytest.mark.parametrize("segmented", [True, False], ids=["cut by the kernel", "block by block"])
@pytest.mark.parametrize("most", [1, 3])
async def test_what_finds_no_room_leaves_later(
    most: int, segmented: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every client hears every block once and in order, however little leaves at a time, and nothing counts as lost."""
    narrow = Narrow(most)
    monkeypatch.setattr(cuts, "_sendmmsg", narrow)
    if not segmented:
        for each in scene.streams:
            scene.udp.blocks.unsegmented[each.to[4:8]] = None
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.shell.run)
        for first in (1, 1 + WINDOW):
            scene.leave(first)
            assert [scene.wanted(first)] * CLIENTS == await scene.heard(WINDOW)
        nursery.cancel_scope.cancel()
    counted = scene.shell.statistics
    assert narrow.refused > 2
    assert (0, 0) == (counted.unsent, scene.udp.statistics.unsent)
    assert counted.delayed >= CLIENTS
    assert scene.lags
    assert min(scene.lags) >= 0


async def test_a_newer_window_leaves_instead(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine sends again, or beyond, while the window before has not left: of each transfer the newest leaves alone."""
    monkeypatch.setattr(cuts, "_sendmmsg", Narrow(1))
    scene.leave(1)
    scene.leave(3)
    scene.leave(3)
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.shell.run)
        assert [scene.wanted(3)] * CLIENTS == await scene.heard(WINDOW)
        scene.leave(3 + WINDOW)
        assert [scene.wanted(3 + WINDOW)] * CLIENTS == await scene.heard(WINDOW)
        nursery.cancel_scope.cancel()


async def test_a_file_that_was_cut_meanwhile(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine learns of it, as of any that cannot be read."""
    monkeypatch.setattr(cuts, "_sendmmsg", Narrow(1))
    scene.leave(1 + 8 * WINDOW)
    os.truncate(scene.base / "file", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.shell.run)
        with trio.fail_after(10):
            while len([asked for asked in scene.engine.asked if asked[0] == "unreadable"]) < CLIENTS:
                await trio.sleep(0)
        nursery.cancel_scope.cancel()
