"""The fast lane: the same bytes as by the plain path, never those of a file that is not there any more."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio
import trio.testing

from pxenet.engine.http import Reply, Request
from pxenet.model import Absent, Content, Role, Standing
from pxenet.server.http import HttpLimits, HttpStatistics
from pxenet.server.http_socket import Pace
from tests.server.httplab import FakeSite, Running, get, make_site, read_reply, serving

NOW = 2_000_000_000.4
"""Long after the files of a test were made: their bytes may be kept."""

MIDDLE = os.urandom(100_000)
LARGE = os.urandom((1 << 20) + 1)


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    site = make_site(tmp_path, Role.FILE)
    (tmp_path / "middle").write_bytes(MIDDLE)
    (tmp_path / "large").write_bytes(LARGE)
    return site


ETAG = "If-None-Match: {etag}\r\n"
DATE = "Tue, 01 Jan 2030 00:00:00 GMT"
REQUESTS: dict[str, tuple[bytes, int]] = {
    # (request, how many of three are answered by the lane)
    "small": (get("/x64/shimx64.efi"), 2),
    "small, by HEAD": (get("/x64/shimx64.efi", method="HEAD"), 2),
    "sent from the file": (get("/middle"), 2),
    "too large for it": (get("/large"), 0),
    "empty": (get("/empty"), 2),
    "a name with a blank": (get("/a b.txt"), 2),
    "absolute target": (get("http://h/middle"), 2),
    "a range": (get("/middle", "Range: bytes=100-199\r\n"), 2),
    "a range of a large file": (get("/large", "Range: bytes=100-70000\r\n"), 2),
    "a range from the last byte of a page": (get("/middle", "Range: bytes=4095-9999\r\n"), 2),
    "a range from a page on": (get("/middle", "Range: bytes=4096-9999\r\n"), 2),
    "a range up to a page": (get("/middle", "Range: bytes=100-4095\r\n"), 2),
    "the end": (get("/middle", "Range: bytes=-10\r\n"), 2),
    "no such range": (get("/middle", "Range: bytes=100000-\r\n"), 2),
    "many ranges": (get("/middle", "Range: bytes=0-0,5-9\r\n"), 0),
    "a range of a small file": (get("/x64/shimx64.efi", "Range: bytes=1-2\r\n"), 2),
    "if none match": (get("/middle", 'If-None-Match: "other"\r\n'), 2),
    "not modified": (get("/middle", f"If-Modified-Since: {DATE}\r\n"), 2),
    "modified": (get("/middle", 'If-Match: "other"\r\n'), 2),
    "if range": (get("/middle", f"Range: bytes=0-0\r\nIf-Range: {DATE}\r\n"), 2),
    "keep-alive said": (get("/middle", "Connection: keep-alive\r\n"), 2),
    "absent": (get("/nothing"), 0),
    "a listing": (get("/"), 0),
    "a report": (get("/installed/x"), 0),
    "by POST": (get("/middle", method="POST", extra="Content-Length: 0\r\n"), 0),
    "a query": (get("/middle?serial=1"), 0),
    "a body": (get("/middle", "Content-Length: 2\r\n") + b"xx", 0),
    "after an empty line": (b"\r\n" + get("/middle"), 0),
}


async def send_thrice(running: Running, request: bytes, *, body: bool) -> list[tuple[bytes, bytes]]:
    async with await running.connect() as stream:
        replies = []
        for _ in range(3):
            await stream.send_all(request)
            replies.append(await read_reply(stream, body=body))
        return replies


@pytest.mark.parametrize(("request_", "repeated"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_both_ways_are_equal(site: FakeSite, request_: bytes, repeated: int) -> None:
    """Byte for byte, the first time and each other; and so is what is told of it."""
    seen: list[list[object]] = []
    counts: list[HttpStatistics] = []
    for plain in (True, False):
        site.delivered_names.clear()
        site.events.clear()
        async with serving(site, clock=lambda: NOW, plain=plain) as running:
            body = not request_.startswith(b"HEAD") and b"If-Modified" not in request_
            replies = await send_thrice(running, request_, body=body)
        counts.append(running.server.statistics())
        events = [(event.kind, event.address, {**event.detail, "seconds": 0}) for event in site.events]
        seen.append([replies, list(site.delivered_names), events])
    assert seen[1] == seen[0]
    assert [count.repeated for count in counts] == [0, repeated]
    assert counts[0].requests == counts[1].requests == 3
    assert counts[0].bytes_sent == counts[1].bytes_sent


async def test_pipelines_and_ends_are_equal(site: FakeSite) -> None:
    """Several requests in one packet, heads in pieces, HTTP/1.0, a client that asks for the end."""
    once = get("/x64/shimx64.efi")
    sent = {
        "pipeline": [once + once + once + get("/middle", "Connection: close\r\n")],
        "pieces": [once, once[:20], once[20:], once + once[:1], once[1:] + get("/middle", "Connection: close\r\n")],
        "version": [once, get("/middle", version="1.0")],
        "nonsense": [once, once, b"\x00\x01\r\n\r\n"],
    }
    for pieces in sent.values():
        got = []
        for plain in (True, False):
            async with serving(site, clock=lambda: NOW, plain=plain) as running:
                async with await running.connect() as stream:
                    data = bytearray()
                    for piece in pieces:
                        await stream.send_all(piece)
                        await trio.testing.wait_all_tasks_blocked(0.005)
                    async for part in stream:
                        data += part
                got.append(bytes(data))
        assert got[1] == got[0]


def rename_over(root: Path, name: str) -> None:
    (root / "new").write_bytes(b"another file")
    os.replace(root / "new", root / name)


def write_in_place(root: Path, name: str) -> None:
    times = os.stat(root / name)
    with open(root / name, "r+b") as file:
        file.write(b"OTHER")
    os.utime(root / name, ns=(times.st_atime_ns, times.st_mtime_ns))


def move_out(root: Path, name: str) -> None:
    directory = Path(name).parent.as_posix()
    (root / directory).rename(root.parent / "outside")
    (root / directory).symlink_to(root.parent / "outside")


CHANGES: dict[str, Callable[[Path, str], None]] = {
    "renamed over": rename_over,
    "written in place": write_in_place,
    "truncated": lambda root, name: os.truncate(root / name, 3),
    "deleted": lambda root, name: os.unlink(root / name),
    "moved out of the root": move_out,
}


@pytest.mark.parametrize("size", [1000, 100_000])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_what_changed_is_never_served(tmp_path: Path, change: Callable[[Path, str], None], size: int) -> None:
    """The next reply after a change is the one that a server without memory gives."""
    root = tmp_path / "root"
    root.mkdir()
    site = make_site(root, Role.FILE)
    name = "x64/file"
    (root / name).write_bytes(os.urandom(size))
    async with (
        serving(site, clock=lambda: NOW) as running,
        serving(site, clock=lambda: NOW, plain=True) as plain,
        await running.connect() as stream,
        await plain.connect() as beside,
    ):
        for _ in range(3):
            await stream.send_all(get(f"/{name}"))
            before = await read_reply(stream)
        assert running.server.statistics().repeated == 2
        change(root, name)
        await stream.send_all(get(f"/{name}"))
        await beside.send_all(get(f"/{name}"))
        after = await read_reply(stream)
        assert after == await read_reply(beside)
        assert after[1] != before[1]


@dataclass(frozen=True, slots=True)
class Unmoved:
    """A file system whose times do not tell of a change."""

    changed_at: float

    def holds(self) -> bool:
        return True


@dataclass
class BlindSite(FakeSite):
    standing: Standing | None = None

    async def answer(self, request: Request, peer: bytes) -> Content | Absent | Reply:
        found = await super().answer(request, peer)
        return replace(found, standing=self.standing) if isinstance(found, Content) else found


@pytest.mark.parametrize(("age_s", "kept"), [(0.5, False), (100.0, True)])
async def test_a_file_that_changed_just_now_is_not_kept(tmp_path: Path, age_s: float, kept: bool) -> None:
    """Times have a grain: within it a file may change again unseen, so its bytes are read each time until it has settled."""
    site = BlindSite(make_site(tmp_path, Role.FILE).tree, standing=Unmoved(NOW - age_s))
    async with serving(site, clock=lambda: NOW) as running, await running.connect() as stream:
        for _ in range(3):
            await stream.send_all(get("/a b.txt"))
            assert (await read_reply(stream))[1] == b"spaced\n"
        assert running.server.statistics().repeated == 2
        (tmp_path / "a b.txt").write_bytes(b"SPACED\n")
        await stream.send_all(get("/a b.txt"))
        assert (await read_reply(stream))[1] == (b"spaced\n" if kept else b"SPACED\n")


async def test_a_new_second_has_a_new_date(site: FakeSite) -> None:
    """And nothing else in the reply differs."""
    now = NOW
    async with serving(site, clock=lambda: now) as running, await running.connect() as stream:
        heads = []
        for _ in range(4):
            await stream.send_all(get("/middle"))
            heads.append((await read_reply(stream))[0])
            now += 1
        assert running.server.statistics().repeated == 3
    assert len(set(heads)) == 4
    assert len({head.partition(b"Server:")[2] for head in heads}) == 1


async def test_a_reader_that_takes_its_time(tmp_path: Path) -> None:
    """What the kernel does not take at once is sent by the connection's own task, whole and once."""
    site = make_site(tmp_path, Role.FILE)
    data = os.urandom(1 << 20)
    (tmp_path / "file").write_bytes(data)
    async with serving(site) as running:
        running.let_wait()
        async with await running.connect() as stream:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
            for _ in range(5):
                await stream.send_all(get("/file"))
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert len(running.server.progress(1)) == 1  # the rest waits
                assert (await read_reply(stream))[1] == data
            count = running.server.statistics()
    assert (count.requests, count.repeated, count.broken) == (5, 4, 0)
    assert site.delivered_names == [("file", True)] * 5


@pytest.mark.parametrize("harm", ["leaves", "stops", "shrinks"])
async def test_what_goes_wrong_in_the_middle(tmp_path: Path, harm: str, autojump_clock: trio.testing.MockClock) -> None:
    """A client that leaves or stops, a file that shrinks: noticed, told, and the connection is over."""
    site = make_site(tmp_path, Role.FILE)
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    async with serving(site, HttpLimits(pace=Pace(window_s=10)), drain=False) as running:
        async with await running.connect() as other:
            await other.send_all(get("/file"))
            await read_reply(other)
        # Small buffers from the beginning: else the kernel takes all of it at once.
        running.let_wait()
        client = trio.socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await client.connect(("127.0.0.1", running.port))
        await client.send(get("/file"))
        while not running.server.progress(1):
            await trio.sleep(0.001)
        if harm == "leaves":
            client.close()
        elif harm == "shrinks":
            os.truncate(tmp_path / "file", 1000)
            while await client.recv(65536):
                pass
        while running.server.statistics().open:
            await trio.sleep(1)
        count = running.server.statistics()
        client.close()
    assert {"leaves": count.broken, "stops": count.too_slow, "shrinks": count.file_faults}[harm] == 1
    assert ("http.changed" if harm == "shrinks" else "http.broken") in site.kinds()


async def test_idle_time_counts_from_the_last_reply(site: FakeSite, autojump_clock: trio.testing.MockClock) -> None:
    """A connection that is used is not idle, whoever answers on it; then it is."""
    async with serving(site, HttpLimits(idle_s=6), clock=lambda: NOW) as running, await running.connect() as stream:
        for _ in range(5):
            await stream.send_all(get("/middle"))
            await read_reply(stream)
            await trio.sleep(5)
        assert running.server.statistics().repeated == 4
        begun = trio.current_time()
        assert await stream.receive_some(1) == b""
        assert trio.current_time() - begun == pytest.approx(1, abs=0.1)
        assert running.server.statistics().timed_out == 1


async def test_who_was_answered_last_is_ended_last(site: FakeSite) -> None:
    """Room is made by those who have waited longest since their last reply."""
    async with serving(site, HttpLimits(connections=2), clock=lambda: NOW) as running:
        first, second = await running.connect(), await running.connect()
        for stream in (first, second, first):
            await stream.send_all(get("/middle"))
            await read_reply(stream)
        async with await running.connect() as third:
            await third.send_all(get("/middle"))
            await read_reply(third)
            assert await second.receive_some(1) == b""
            await first.send_all(get("/middle"))
            await read_reply(first)
        assert running.server.statistics().evicted == 1
        await first.aclose()
        await second.aclose()


async def test_many_clients_and_one_file(site: FakeSite) -> None:
    """All get it, again and again, and their connections can be told from one another."""
    async with serving(site, clock=lambda: NOW) as running:

        async def read(number: int) -> None:
            async with await running.connect() as stream:
                for index in range(20):
                    await stream.send_all(get("/middle" if (number + index) % 2 else "/x64/shimx64.efi"))
                    assert (await read_reply(stream))[1] == (MIDDLE if (number + index) % 2 else b"MZ" + bytes(1000))

        async with trio.open_nursery() as clients:
            for number in range(30):
                clients.start_soon(read, number)
        count = running.server.statistics()
    assert count.requests == 600
    assert count.repeated >= 500


async def test_what_proves_something_goes_the_plain_way(tmp_path: Path) -> None:
    """A boot loader must have arrived before it counts as read; that is waited for."""
    site = make_site(tmp_path, Role.LOADER)
    async with serving(site) as running:
        await send_thrice(running, get("/x64/shimx64.efi"), body=True)
        assert running.server.statistics().repeated == 0
    assert site.delivered_names == [("x64/shimx64.efi", True)] * 3


async def test_files_that_nobody_asks_for_are_closed(site: FakeSite, autojump_clock: trio.testing.MockClock) -> None:
    """Within half a minute: their room on the disk is free when they are deleted."""
    async with serving(site, clock=lambda: NOW) as running:
        before = len(os.listdir("/proc/self/fd"))
        async with await running.connect() as stream:
            await stream.send_all(get("/middle"))
            await read_reply(stream)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(os.listdir("/proc/self/fd")) == before + 1
        await trio.sleep(30)
        assert len(os.listdir("/proc/self/fd")) == before
