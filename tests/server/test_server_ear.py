"""What workers hear is recorded as if the server had heard it itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing

from pxenet.capture.frames import Packet
from pxenet.capture.made import SEGMENT_BYTES, Frame
from pxenet.model import Content, Region
from pxenet.net.datagram import Datagram, Quads, Send, pack_peer
from pxenet.rack import Rack
from pxenet.server.attendant import Attendant, Told
from pxenet.server.commit import Committer
from pxenet.server.ear import Ear
from pxenet.server.overheard import HEAD_BYTES
from pxenet.server.post import Post, pair
from pxenet.server.recording import Follower, Recorder
from pxenet.server.tap import Listener, Tap, TcpEnds
from pxenet.store.memory import MemoryStore
from tests.server import test_server_recording as recording
from tests.server.httplab import get
from tests.server.test_server_recording import (
    CLIENT,
    SERVER,
    TEXT,
    TOKEN,
    WEB01,
    NoFile,
    asked,
    blocks,
    packets,
    recorder,
)

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
SECRET = b"rootpw secret\r\n\r\nuser --password=x"
LINK = f"/answer/{TOKEN}/".encode()
LARGE = b"#" * (HEAD_BYTES - len(HEAD) - 20) + LINK
LARGE += b"#" * (SEGMENT_BYTES - len(HEAD) - 20 - len(LARGE)) + LINK + b"#" * SEGMENT_BYTES


@dataclass
class Worker:
    """Who hears, and who records."""

    recorder: Recorder
    follower: Follower | None
    ear: Ear
    tap: Tap
    end: Post
    attendant: Attendant

    @property
    def listener(self) -> Listener:
        """Who is told at the worker's tap."""
        assert self.tap.listener is not None
        return self.tap.listener

    async def settle(self) -> None:
        """All that was told until now has come."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.end.run)
            nursery.start_soon(self.attendant.serve)
            await self.end.settle()
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()


@pytest.fixture
def rack(tmp_path: Path) -> Rack:
    return recording.made_rack(tmp_path)


def traffic(listener: Listener) -> None:
    """Of each kind something: requests, files, texts, an answer file, connections, one that is not closed."""
    file = Content("x", (Region(NoFile(), 0, 700_000),), 700_000, 0, '""')
    text = Content("grub.cfg", (b"#" * (512 - 60), TEXT, b"x" * 2000), 452 + len(TEXT) + 2000, 0, '""')
    answer = Content("ks.cfg", (TEXT,), len(TEXT), 0, '""', secret=True)
    peer = pack_peer(CLIENT, 2000)
    listener.received([asked(WEB01), Datagram(b"\0\1grub.cfg\0octet\0", peer, SERVER, 69, 1)])
    listener.received(Quads([peer, peer], [0x00040001, 0x00040002], SERVER, 30000, 1, False))
    listener.received(
        [Datagram(b"\0\4\0\3", peer, SERVER, 30000, 1), Datagram(b"\0\5\0\0stop\0", peer, SERVER, 30000, 1)]
    )
    listener.sent([Send(peer, [b"\0\6blksize\0", b"512\0"], SERVER, 30000, 1), blocks(text, 1, 2), blocks(text, 5)])
    listener.sent([blocks(file, 1, 16), blocks(file, 17, 16), blocks(answer)])
    first, second = TcpEnds(pack_peer(CLIENT, 3000), SERVER, 80), TcpEnds(pack_peer(CLIENT, 3001), SERVER, 80)
    for ends in (first, second):
        listener.heard(ends, get(f"/answer/{TOKEN}/ks.cfg"))
        # A token where the ring ends, and one where a segment does.
        listener.said(ends, HEAD + LARGE, len(HEAD + LARGE))
        for _ in range(5):
            listener.said(ends, b"", 100_000)
    second.secret = True
    listener.said(second, HEAD + TEXT, len(HEAD + TEXT))
    listener.said(second, SECRET, len(SECRET))
    listener.heard(first, b"")
    listener.closed(first)
    listener.closed(second)


async def alone(rack: Rack, *, full: bool, secrets: bool) -> tuple[list[Frame], list[Frame]]:
    """The traffic as this process hears it: what is remembered of it, and what a follower gets."""
    tap = Tap()
    one = recorder(tap, rack, 1 << 20)
    followed: list[Frame] = []
    with ExitStack() as closing:
        follower = closing.enter_context(one.follow(None, secrets=secrets)) if full else None
        assert tap.listener is not None
        traffic(tap.listener)
        if follower is not None:
            followed = list((await follower.next())[0])
    return one.remembered(WEB01), followed


@asynccontextmanager
async def hearing(rack: Rack, *, full: bool, secrets: bool = False) -> AsyncIterator[Worker]:
    """Somebody hears for a recorder; all that was told has come at the end."""
    tap, theirs = Tap(), Tap()
    one = recorder(tap, rack, 1 << 20)
    ours, end = map(Post, pair())
    ear = Ear(end, theirs, one.clock_ns)
    attendant = Attendant(Told(), ours, rack, Committer(MemoryStore()), one, None, lambda: None)  # type: ignore[arg-type]
    with ExitStack() as closing:
        follower = closing.enter_context(one.follow(None, secrets=secrets)) if full else None
        ear.listen(True, tap.full)
        yield Worker(one, follower, ear, theirs, end, attendant)
        async with trio.open_nursery() as nursery:

            async def attend() -> None:
                await attendant.serve()
                nursery.cancel_scope.cancel()

            nursery.start_soon(end.run)
            nursery.start_soon(attend)
            await end.settle()
            end.close()
        attendant.left()
    ours.close()


async def overheard(rack: Rack, *, full: bool, secrets: bool) -> tuple[list[Frame], list[Frame]]:
    """The traffic as a worker hears it: what is remembered of it, and what a follower gets."""
    async with hearing(rack, full=full, secrets=secrets) as worker:
        traffic(worker.listener)
    followed = list((await worker.follower.next())[0]) if worker.follower is not None else []
    return worker.recorder.remembered(WEB01), followed


def streams(frames: Sequence[Frame]) -> dict[tuple[int, int], tuple[int, bytes]]:
    """By sender and receiver: how much was said, and what is known of it. Pieces of files may be told as one."""
    found: dict[tuple[int, int], tuple[int, bytes]] = {}
    for packet in packets(frames):
        key = packet.source_port, packet.destination_port
        size, data = found.get(key, (0, b""))
        found[key] = size + len(packet.payload), data + packet.payload.rstrip(b"\0")
    return found


def flags(frames: Sequence[Packet]) -> list[int]:
    """Of TCP."""
    return [packet.flags for packet in frames]


def told(frames: Sequence[Frame]) -> list[tuple[int, bytes]]:
    """All but the times."""
    return [(frame.length, frame.data) for frame in frames]


@pytest.mark.parametrize("secrets", [False, True], ids=["discreet", "secrets"])
async def test_what_is_followed(rack: Rack, secrets: bool) -> None:
    """Every frame is as if this process had heard it."""
    mine, theirs = [await hear(rack, full=True, secrets=secrets) for hear in (alone, overheard)]
    assert told(mine[1]) == told(theirs[1])
    told_all = b"".join(frame.data for frame in theirs[1])
    assert [secrets] * 2 == [word in told_all for word in (TOKEN.encode(), SECRET)]


@pytest.mark.parametrize("full", [False, True], ids=["nobody follows", "followed"])
async def test_what_is_remembered(rack: Rack, full: bool) -> None:
    """The same of every conversation, whether somebody follows or not; no secret, not even the most of one."""
    mine, theirs = [await hear(rack, full=full, secrets=True) for hear in (alone, overheard)]
    assert {key: size for key, (size, _) in streams(mine[0]).items()} == {
        key: size for key, (size, _) in streams(theirs[0]).items()
    }
    if not full:
        assert streams(mine[0]) == streams(theirs[0])
    for frames in (mine[0], theirs[0]):
        assert TOKEN[:12].encode() not in b"".join(frame.data for frame in frames)


async def test_a_worker_that_ends(rack: Rack) -> None:
    """Its connections have ended with it."""
    async with hearing(rack, full=True) as worker:
        worker.listener.heard(TcpEnds(pack_peer(CLIENT, 3000), SERVER, 80), get("/x"))
    assert worker.follower is not None
    frames = packets(list((await worker.follower.next())[0]))
    assert ([0x02, 0x12, 0x10, 0x18], [0x11, 0x11, 0x10]) == (flags(frames)[:4], flags(frames)[4:])


async def test_more_than_can_be_told(rack: Rack) -> None:
    """It is counted for those who follow."""
    async with hearing(rack, full=True) as worker:
        assert worker.follower is not None
        worker.follower.limit = 1_000_000
        worker.listener.received([asked(WEB01)] * 30_000)
        await worker.settle()
        worker.listener.received([asked(WEB01)])
    frames, missed = await worker.follower.next()
    count = len(list(frames))
    assert 30_001 == count + missed
    assert 1 < count < 30_000


async def test_nobody_listens_any_more(rack: Rack) -> None:
    """Nothing is told, and what is told when somebody listens again belongs to other connections."""
    ends = TcpEnds(pack_peer(CLIENT, 3000), SERVER, 80)
    async with hearing(rack, full=True) as worker:
        worker.listener.heard(ends, get("/x"))
        worker.ear.listen(False, False)
        assert worker.tap.listener is None
        worker.ear.listen(True, True)
        worker.listener.heard(ends, get("/x"))
        worker.listener.closed(ends)
    assert worker.follower is not None
    frames = packets(list((await worker.follower.next())[0]))
    assert 2 == flags(frames).count(0x02)
    assert 2 == flags(frames).count(0x11)
