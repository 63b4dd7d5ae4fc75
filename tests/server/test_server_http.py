"""The HTTP server over real sockets on the loopback: files, limits, slow and hostile clients, an orderly end.

Time-outs run on trio's virtual clock, so nothing here waits for real.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from pathlib import Path

import pytest
import trio
import trio.testing
from httplab import BIG, CLOSE, LOOPBACK, FakeSite, get, make_site, read_all, read_reply, serving

from pxenet.content.tree import Tree
from pxenet.model import Absent, Asker, Missing, Region
from pxenet.net.datagram import peer_address
from pxenet.server import http_socket
from pxenet.server.http import HttpLimits
from pxenet.server.http_request import SizeLimits
from pxenet.server.http_socket import Pace, ipv4_of, sockaddr


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    return make_site(tmp_path)


async def test_a_file_and_who_asked(site: FakeSite) -> None:
    """Bytes, address of the client and our own, delivery and event."""
    async with serving(site) as http:
        reply = await http.exchange(get("/x64/shimx64.efi?a=b", CLOSE))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b"\r\n\r\nMZ" + bytes(1000))
    (request,) = site.requests
    assert (request.path, request.query, request.local) == ("/x64/shimx64.efi", "a=b", LOOPBACK)
    assert peer_address(site.peers[0]) == LOOPBACK
    assert site.delivered_names == [("x64/shimx64.efi", True)]
    assert site.kinds() == ["http.done"]
    assert site.events[0].address == LOOPBACK


async def test_keep_alive_and_a_large_file(site: FakeSite) -> None:
    """Several replies on one connection, each exactly as long as it says, large ones by sendfile."""
    async with serving(site) as http, await http.connect() as stream:
        for _ in range(2):
            await stream.send_all(get("/big"))
            head, body = await read_reply(stream)
            assert body == BIG
        await stream.send_all(get("/nothing"))
        head, body = await read_reply(stream)
        assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 404 Not Found", b"file not found\n")
        await stream.send_all(get("/big", method="HEAD"))
        head, _ = await read_reply(stream, body=False)
        assert b"\r\nContent-Length: %d\r\n" % len(BIG) in head
        await stream.send_all(get("/big", "Range: bytes=5-9\r\n"))
        assert (await read_reply(stream))[1] == BIG[5:10]
        assert http.server.statistics().accepted == 1
    assert site.delivered_names == [("big", True), ("big", True), ("big", False)]


async def test_pipelined_requests_are_answered_in_order(site: FakeSite) -> None:
    """Requests that arrive together, even one byte at a time, are answered one after the other."""
    requests = get("/a%20b.txt") + get("/empty") + b"\r\n" + get("/nothing") + get("/a b.txt", CLOSE) + get("/never")
    async with serving(site) as http:
        at_once = await http.exchange(requests)
        async with await http.connect() as stream, trio.open_nursery() as nursery:

            async def drip() -> None:
                for n in range(len(requests)):
                    try:
                        await stream.send_all(requests[n : n + 1])
                    except trio.BrokenResourceError:  # it answered the last one that it will
                        return

            nursery.start_soon(drip)
            bytewise = await read_all(stream)
    for data in (at_once, bytewise):
        assert [line.split(b" ")[0] for line in data.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"404", b"200"]
        assert data.count(b"spaced\n") == 2
    assert "/never" not in [request.path for request in site.requests]


RAW_TARGETS = {
    "raw space": b"/a b.txt",
    "encoded": b"/a%20b.txt",
    "absolute form": b"http://10.0.0.1/a%20b.txt",
    "query": b"/a b.txt?x=y z",
    "slashes": b"//.//a b.txt",
    "raw non-ASCII query": b"/a b.txt?\xe9",
}


@pytest.mark.parametrize("target", RAW_TARGETS.values(), ids=RAW_TARGETS.keys())
async def test_targets_as_firmware_sends_them(site: FakeSite, target: bytes) -> None:
    """GRUB does not encode; others overdo it."""
    async with serving(site) as http:
        reply = await http.exchange(b"GET " + target + b" HTTP/1.0\r\n\r\n")
    assert reply.endswith(b"\r\n\r\nspaced\n")


HOSTILE = {
    "parent": (b"GET /../secret HTTP/1.1\r\n", 404),
    "encoded parent": (b"GET /%2e%2e/secret HTTP/1.1\r\n", 404),
    "encoded slash": (b"GET /..%2fsecret HTTP/1.1\r\n", 404),
    "encoded twice": (b"GET /%252e%252e/secret HTTP/1.1\r\n", 404),
    "backslash": (b"GET /..\\secret HTTP/1.1\r\n", 404),
    "encoded backslash": (b"GET /..%5csecret HTTP/1.1\r\n", 404),
    "NUL": (b"GET /big%00.txt HTTP/1.1\r\n", 404),
    "absolute path": (b"GET //etc/passwd HTTP/1.1\r\n", 404),
    "carriage return in the target": (b"GET /a\rb HTTP/1.1\r\n", 404),
    "unknown method": (b"BREW /big HTTP/1.1\r\n", 405),
    "other method": (b"DELETE /big HTTP/1.1\r\n", 405),
    "connect": (b"CONNECT h:80 HTTP/1.1\r\n", 405),
    "asterisk": (b"GET * HTTP/1.1\r\n", 400),
    "no version": (b"GET /big\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n", 505),
    "HTTP/0": (b"GET / HTTP/0.9\r\n", 505),
    "lower-case method": (b"get / HTTP/1.1\r\n", 405),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "binary": (b"\x00\xff\x00\xff", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: h\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\nHost : h\r\n", 400),
    "folded field": (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n", 400),
    "NUL in a field": (b"GET / HTTP/1.1\r\nA: \0\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
    "length and chunks": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
    "negative length": (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n", 400),
    "length of a galaxy": (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n", 400),
    "body too large": (b"POST / HTTP/1.1\r\nContent-Length: 65537\r\n", 413),
    "unknown coding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", 400),
    "long line": (b"GET /" + b"a" * 9000, 414),
    "large head": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000, 431),
    "large field": (b"GET / HTTP/1.1\r\nA: " + b"b" * 17000, 431),
    "many fields": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101, 431),
}


@pytest.mark.parametrize(("head", "status"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_heads(site: FakeSite, tmp_path: Path, head: bytes, status: int) -> None:
    """Each gets its refusal, readable although bytes of the request were left over; the next client is served."""
    (tmp_path.parent / "secret").write_bytes(b"secret")
    async with serving(site) as http:
        async with await http.connect() as stream:
            await stream.send_all(head + b"\r\n")
            await stream.send_eof()
            reply = await read_all(stream)
        assert reply.split(b" ")[1] == b"%d" % status
        assert b"secret" not in reply
        assert (await http.exchange(get("/a%20b.txt", CLOSE))).endswith(b"spaced\n")
    assert site.delivered_names == [("a b.txt", True)]


BODIES = {
    "length": (b"Content-Length: 5\r\n", b"hello", b"POST 5\n"),
    "chunks": (b"Transfer-Encoding: chunked\r\n", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: t\r\n\r\n", b"POST 5\n"),
    "none": (b"", b"", b"POST 0\n"),
    "largest": (b"Content-Length: 65536\r\n", b"x" * 65536, b"POST 65536\n"),
    "empty": (b"Content-Length: 0\r\n", b"", b"POST 0\n"),
}


@pytest.mark.parametrize(("field_line", "body", "answer"), BODIES.values(), ids=BODIES.keys())
async def test_bodies(site: FakeSite, field_line: bytes, body: bytes, answer: bytes) -> None:
    """A callback's body reaches the site whole, whichever way it is framed and cut."""
    head = b"POST /installed/token HTTP/1.1\r\n" + CLOSE.encode() + field_line + b"\r\n"
    async with serving(site) as http:
        assert (await http.exchange(head + body)).endswith(b"\r\n\r\n" + answer)
        async with await http.connect() as stream:
            await stream.send_all(head)
            for at in range(0, len(body), max(1, len(body) // 7)):
                await trio.testing.wait_all_tasks_blocked()
                await stream.send_all(body[at : at + max(1, len(body) // 7)])
            assert (await read_all(stream)).endswith(b"\r\n\r\n" + answer)
    assert [request.body for request in site.requests] == [site.requests[0].body] * 2


async def test_a_body_and_the_next_request(site: FakeSite) -> None:
    """What follows a body is the next request, also when the body belongs to a GET, where it means nothing."""
    data = get("/installed/t", "Content-Length: 3\r\n", method="POST") + b"abc"
    data += get("/installed/t", "Content-Length: 3\r\n") + b"abc" + get("/a%20b.txt", CLOSE)
    async with serving(site) as http:
        reply = await http.exchange(data)
    assert [request.method for request in site.requests] == ["POST", "GET", "GET"]
    assert reply.endswith(b"spaced\n")


async def test_a_client_that_asks_before_it_sends(site: FakeSite) -> None:
    """Expect: 100-continue is answered at once, so that curl does not wait its second."""
    async with serving(site) as http, await http.connect() as stream:
        await stream.send_all(
            get("/installed/t", "Expect: 100-continue\r\nContent-Length: 3\r\n" + CLOSE, method="POST")
        )
        assert await stream.receive_some(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send_all(b"abc")
        assert (await read_all(stream)).endswith(b"POST 3\n")


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n", b"1" * 90000, b"fffff\r\n" + b"x" * 90000], ids=["size", "endless size", "large"]
)
async def test_hostile_chunks(site: FakeSite, chunk: bytes) -> None:
    """A chunked body has its limits too."""
    head = b"POST /installed/t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(site) as http:
        assert (await http.exchange(head + chunk)).split(b" ")[1] in (b"400", b"413")
    assert site.requests == []


async def test_an_offer_to_upgrade_is_declined(site: FakeSite) -> None:
    """curl --http2 offers h2c; the answer is plain HTTP/1.1."""
    upgrade = "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with serving(site) as http:
        assert (await http.exchange(get("/a%20b.txt", upgrade))).endswith(b"spaced\n")


async def test_time_outs(site: FakeSite, autojump_clock: trio.testing.MockClock) -> None:
    """Idle 60 s: closed without a word. A head or body that does not come to its end: 408. Byte by byte does not help."""
    async with serving(site) as http:
        start = trio.current_time()
        assert await http.exchange(b"") == b""
        assert trio.current_time() - start == pytest.approx(60)
        async with await http.connect() as stream:
            await stream.send_all(get("/empty"))
            await read_reply(stream)
            start = trio.current_time()
            assert await read_all(stream) == b""
            assert trio.current_time() - start == pytest.approx(60)
        async with await http.connect() as stream:
            start = trio.current_time()
            for byte in b"GET / HTTP/1.1":
                await stream.send_all(bytes([byte]))
                await trio.sleep(1)
            assert (await read_all(stream)).split(b" ")[1] == b"408"
            assert trio.current_time() - start == pytest.approx(15, abs=3)
        async with await http.connect() as stream:
            start = trio.current_time()
            await stream.send_all(get("/installed/t", "Content-Length: 9\r\n", method="POST") + b"half")
            assert (await read_all(stream)).split(b" ")[1] == b"408"
            assert trio.current_time() - start == pytest.approx(30, abs=3)
        assert http.server.statistics().timed_out == 4
    assert len(site.requests) == 1


async def test_a_reader_that_stops(site: FakeSite, autojump_clock: trio.testing.MockClock) -> None:
    """Who takes less than the least in a minute is dropped; nothing was delivered; others are served meanwhile."""
    async with serving(site) as http, await http.connect() as stream:
        await stream.send_all(get("/big"))
        await trio.sleep(1)
        assert (await http.exchange(get("/a b.txt", CLOSE))).endswith(b"spaced\n")
        await trio.sleep(200)
        statistics = http.server.statistics()
        assert (statistics.too_slow, statistics.open) == (1, 0)
    assert site.delivered_names == [("a b.txt", True)]
    assert site.kinds() == ["http.done", "http.broken"]


async def test_a_slow_but_steady_reader(site: FakeSite, autojump_clock: trio.testing.MockClock) -> None:
    """Slower than librepo would ever accept, but above the least: served to the end."""
    async with (
        serving(site, HttpLimits(pace=Pace(bytes=16 << 10, window_s=60))) as http,
        await http.connect() as stream,
    ):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        await stream.send_all(get("/big", CLOSE))
        data = bytearray()
        while piece := await stream.receive_some(512 << 10):
            data += piece
            await trio.sleep(20)
        assert bytes(data[-len(BIG) :]) == BIG
    assert site.delivered_names == [("big", True)]


async def test_clients_that_leave_in_the_middle(site: FakeSite) -> None:
    """GRUB ends by RST at every seek: counted, told, and no delivery; nobody else notices."""
    async with serving(site) as http:
        for _ in range(3):
            async with await http.connect() as stream:
                await stream.send_all(get("/big"))
                await stream.receive_some(1000)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with await http.connect() as stream:  # and one in the middle of its body
            await stream.send_all(get("/installed/t", "Content-Length: 9\r\n", method="POST") + b"half")
        assert (await http.exchange(get("/a b.txt", CLOSE))).endswith(b"spaced\n")
        while http.server.statistics().open:
            await trio.lowlevel.checkpoint()
        assert http.server.statistics().broken == 3
    assert site.delivered_names == [("a b.txt", True)]


async def test_a_whole_reply_in_our_buffer_is_no_delivery(
    site: FakeSite, autojump_clock: trio.testing.MockClock
) -> None:
    """A loader that left us but was never acknowledged proves nothing, however small it is."""
    async with serving(site) as http:
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            silent.setblocking(False)
            with pytest.raises(BlockingIOError):
                silent.connect(("127.0.0.1", http.port))
            await trio.lowlevel.wait_writable(silent)
            silent.send(get("/big", "Range: bytes=0-100000\r\n"))
            silent.send(get("/x64/shimx64.efi"))
            await trio.sleep(100)
            assert ("x64/shimx64.efi", True) not in site.delivered_names


async def test_a_file_that_shrinks_meanwhile(site: FakeSite, tmp_path: Path) -> None:
    """The promised length cannot be kept, so the connection ends early and people are told; never other bytes in their place."""
    async with serving(site) as http, await http.connect() as stream:
        await stream.send_all(get("/big"))
        data = bytearray(await stream.receive_some(1000))
        os.truncate(tmp_path / "big", 1 << 20)
        data += await read_all(stream)
        assert len(data) < len(BIG)
        assert http.server.statistics().file_faults == 1
    assert site.kinds() == ["http.changed"]
    assert site.delivered_names == []


async def test_connections_are_limited_per_client(site: FakeSite) -> None:
    """One client over its limit loses its own idle connections first, then is asked to come back later; others are not touched."""
    async with serving(site, HttpLimits(per_client=3)) as http:
        site.hold = trio.Event()
        async with trio.open_nursery() as nursery:
            replies: list[bytes] = []

            async def one() -> None:
                replies.append(await http.exchange(get("/a b.txt", CLOSE)))

            for _ in range(3):
                nursery.start_soon(one)
            while len(site.requests) < 3:
                await trio.lowlevel.checkpoint()
            refused = await http.exchange(b"")
            other = socket.socket()
            other.bind(("127.0.0.2", 0))
            other.setblocking(True)
            other.connect(("127.0.0.1", http.port))
            other.sendall(get("/a b.txt", CLOSE))
            while len(site.requests) < 4:
                await trio.lowlevel.checkpoint()
            site.hold.set()
        assert refused.split(b"\r\n")[0] == b"HTTP/1.1 503 Service Unavailable"
        assert b"\r\nRetry-After: 2\r\n" in refused
        assert [reply.endswith(b"spaced\n") for reply in replies] == [True] * 3
        with other:
            await trio.lowlevel.wait_readable(other)
            assert other.recv(1000).endswith(b"spaced\n")
        assert http.server.statistics().refused == 1


async def test_slow_loris_makes_room(site: FakeSite) -> None:
    """Connections that say nothing, or half a head, never keep anybody out: the longest waiting ends when another comes."""
    async with serving(site, HttpLimits(connections=10)) as http:
        streams = [await http.connect() for _ in range(30)]
        for stream in streams[-5:]:
            await stream.send_all(b"GET / HT")
        assert (await http.exchange(get("/a b.txt", CLOSE))).endswith(b"spaced\n")
        statistics = http.server.statistics()
        assert statistics.open <= 10
        assert (statistics.evicted, statistics.refused) == (21, 0)
        for stream in streams:
            await stream.aclose()


async def test_twenty_connections_at_once(site: FakeSite) -> None:
    """librepo's maximum, each with a large file, all complete."""
    async with serving(site) as http:
        same: list[bool] = []

        async def one() -> None:
            same.append((await http.exchange(get("/big", CLOSE))).endswith(BIG))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one)
    assert same == [True] * 20


async def test_an_orderly_end(site: FakeSite) -> None:
    """Idle connections end at once, a reply under way is finished and says that it is the last, nobody new gets in."""
    async with serving(site) as http:
        idle = await http.connect()
        busy = await http.connect()
        site.hold = trio.Event()
        await busy.send_all(get("/a b.txt") + get("/never"))
        while not site.requests:
            await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(http.server.drain)
            assert await read_all(idle) == b""
            site.hold.set()
            reply = await read_all(busy)
            await busy.aclose()
            await idle.aclose()
        assert reply.endswith(b"Connection: close\r\n\r\nspaced\n")
        assert http.server.statistics().open == 0
        await http.server.drain()
    assert len(site.requests) == 1


async def test_cancellation_closes_everything(site: FakeSite) -> None:
    """Stopped in the middle of replies and heads, the server leaves no connection behind."""
    before = len(os.listdir("/proc/self/fd"))
    async with serving(site, drain=False) as http:
        streams = [await http.connect() for _ in range(4)]
        await streams[0].send_all(get("/big"))
        await streams[1].send_all(b"GET /")
        await streams[2].send_all(get("/empty"))
        await read_reply(streams[2])
    for stream in streams:
        await stream.aclose()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_ipv6_and_both_families_on_one_socket(site: FakeSite) -> None:
    """An IPv6 client is one without an IPv4 address; an IPv4 client of a socket for both is an ordinary one."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("needs IPv6 on the loopback")
    async with serving(site, host="::") as http:
        for host in ("::1", "127.0.0.1"):
            async with await trio.open_tcp_stream(host, http.port) as stream:
                await stream.send_all(get("/a b.txt", CLOSE))
                assert (await read_all(stream)).endswith(b"spaced\n")
    assert [ipv4_of(peer) for peer in site.peers] == [0, LOOPBACK]
    assert [request.local for request in site.requests] == [0, LOOPBACK]


def test_socket_addresses() -> None:
    """As the kernel lays them out."""
    assert sockaddr(("10.0.0.5", 80)) == bytes.fromhex("0200 0050 0a000005 0000000000000000")
    assert sockaddr(("::ffff:10.0.0.5", 80, 0, 0)) == sockaddr(("10.0.0.5", 80))
    assert sockaddr(("fe80::1%3", 80, 0, 3)) == bytes.fromhex(
        "0a00 0050 00000000 fe800000000000000000000000000001 03000000"
    )


async def test_a_small_limit_is_a_limit(site: FakeSite) -> None:
    """The sizes are settings, not constants."""
    async with serving(
        site, HttpLimits(sizes=SizeLimits(line_bytes=50, head_bytes=200, fields=2, body_bytes=3))
    ) as http:
        for data, status in (
            (b"GET /" + b"a" * 50, b"414"),
            (get("/", f"A: {'b' * 200}\r\n"), b"431"),
            (get("/", "A: b\r\nA: c\r\n"), b"431"),
            (get("/", "Content-Length: 4\r\n", method="POST"), b"413"),
        ):
            assert (await http.exchange(data)).split(b" ")[1] == status


async def test_what_is_asked_is_told_harmlessly(site: FakeSite) -> None:
    """Names reach logs and terminals: no control characters, no kilobytes."""
    async with serving(site) as http:
        await http.exchange(get("/%1b%5b2J" + "a" * 1000, CLOSE))
    path = site.events[0].detail["path"]
    assert isinstance(path, str)
    assert path.isprintable()
    assert len(path) <= 200


async def test_why_something_is_missing_is_told(site: FakeSite) -> None:
    """People read the reason (a template's fault with its line, say), the client only what it can do about it: nothing, or wait."""
    site.tree = Tree([_Faulty()])
    async with serving(site) as http:
        replies = [await http.exchange(get(f"/{missing.name}", CLOSE)) for missing in Missing]
    for missing, reply in zip(Missing, replies, strict=True):
        assert reply.endswith(f"\r\n\r\n{missing.value}\n".encode())
    assert ["ks.cfg.j2:7: undefined: 'rootpw'"] * len(Missing) == [event.detail["why"] for event in site.events]
    kinds = dict(zip(Missing, site.kinds(), strict=True))
    assert "http.missing" == kinds.pop(Missing.NOT_FOUND)
    assert "http.denied" == kinds.pop(Missing.DENIED)
    assert "content.damaged" == kinds.pop(Missing.DAMAGED)
    assert "content.fault" == kinds.pop(Missing.FAULT)
    assert "content.unavailable" == kinds.pop(Missing.UNAVAILABLE)
    assert {"http.missing"} == set(kinds.values())


class _Faulty:
    def find(self, path: str, asker: Asker, now: float) -> Absent:
        return Absent(Missing[path], "ks.cfg.j2:7: undefined: 'rootpw'")


async def test_cold_files_are_read_by_a_thread(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where reading would wait for the disk, a thread reads first, and the same bytes are sent."""
    threads: list[tuple[int, int]] = []
    read_ahead = http_socket._read_ahead

    def note(region: Region, offset: int, length: int) -> None:
        assert threading.current_thread() is not threading.main_thread()
        threads.append((offset, length))
        read_ahead(region, offset, length)

    monkeypatch.setattr(http_socket, "is_cold", lambda fd, offset: offset in (0, 6 << 20))
    monkeypatch.setattr(http_socket, "_read_ahead", note)
    async with serving(site) as http:
        assert (await http.exchange(get("/big", CLOSE))).endswith(BIG)
    assert threads == [(0, 4 << 20), (6 << 20, 4 << 20)]


async def test_a_file_system_without_sendfile(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain path sends the same bytes."""

    def refuse(out: int, file: int, offset: int, count: int) -> int:
        raise OSError(errno.EINVAL, "no sendfile here")

    monkeypatch.setattr(os, "sendfile", refuse)
    async with serving(site) as http:
        assert (await http.exchange(get("/big", CLOSE))).endswith(BIG)
        assert (await http.exchange(get("/empty", CLOSE))).endswith(b"\r\n\r\n")
    assert site.delivered_names == [("big", True), ("empty", True)]
