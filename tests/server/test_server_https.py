"""The same server over TLS: real clients, every version and cipher that boot firmware has, and those who only pretend to be clients."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import needs
import pytest
import trio
import trio.testing
from httplab import BIG, CLOSE, FakeSite, get, make_site, read_all, read_reply, serving

from pxenet.config import ConfigError, Settings
from pxenet.config.certificate import tls_context
from pxenet.config.settings import Http
from pxenet.server.http import HttpLimits, HttpServer, Tls

pytestmark = needs.tool("openssl")

KEYS = {
    "p256": ("ec", "ec_paramgen_curve:P-256"),
    "rsa": ("rsa", "rsa_keygen_bits:2048"),
    "other": ("rsa", "rsa_keygen_bits:2048"),
    "weak": ("rsa", "rsa_keygen_bits:1024"),
}
"""Name of a pair → algorithm and size."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with NAME.pem and NAME.key for each of KEYS."""
    directory = tmp_path_factory.mktemp("pairs")
    for name, (algorithm, option) in KEYS.items():
        command = ["openssl", "req", "-x509", "-newkey", algorithm, "-pkeyopt", option, "-nodes", "-days", "2"]
        command += ["-subj", "/CN=pxenet", "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=30)
    return directory


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    (tmp_path / "site").mkdir()
    return make_site(tmp_path / "site")


def context_of(pairs: Path, name: str = "p256") -> ssl.SSLContext:
    context = tls_context(Settings(http=Http(tls_cert=pairs / f"{name}.pem", tls_key=pairs / f"{name}.key")))
    assert context is not None
    return context


class Secure:
    """A running server, and TLS connections to it."""

    def __init__(self, server: HttpServer, port: int, client: ssl.SSLContext) -> None:
        self.server = server
        self.port = port
        self.client = client

    async def connect(self) -> trio.SSLStream[trio.SocketStream]:
        plain = await trio.open_tcp_stream("127.0.0.1", self.port)
        return trio.SSLStream(plain, self.client, server_hostname="127.0.0.1")

    async def exchange(self, data: bytes) -> bytes:
        """Send, then read until the server says that it has no more (not merely closes: that could be anybody's doing)."""
        async with await self.connect() as stream:
            await stream.send_all(data)
            return await read_all(stream)


@asynccontextmanager
async def secure(
    site: FakeSite, pairs: Path, limits: HttpLimits | None = None, name: str = "p256"
) -> AsyncIterator[Secure]:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        async with serving(site, limits, tls=Tls((listener,), context_of(pairs, name))) as http:
            client = ssl.create_default_context(cafile=str(pairs / f"{name}.pem"))
            yield Secure(http.server, listener.getsockname()[1], client)


async def test_a_file_and_an_orderly_end(site: FakeSite, pairs: Path) -> None:
    """The same bytes as over TCP, delivery and event; the end is announced, so that nobody can cut a reply short unnoticed."""
    async with secure(site, pairs) as https:
        reply = await https.exchange(get("/x64/shimx64.efi", CLOSE))
        assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
        assert reply.endswith(b"\r\n\r\nMZ" + bytes(1000))
    assert [("x64/shimx64.efi", True)] == site.delivered_names
    assert ["http.done"] == site.kinds()
    assert 0 == https.server.statistics().handshakes_failed


async def test_keep_alive_ranges_and_large_files(site: FakeSite, pairs: Path) -> None:
    """Many requests on one connection: whole, in part, refused, with a body."""
    async with secure(site, pairs) as https, await https.connect() as stream:
        await stream.send_all(get("/big"))
        assert BIG == (await read_reply(stream))[1]
        await stream.send_all(get("/big", "Range: bytes=5-9\r\n"))
        assert BIG[5:10] == (await read_reply(stream))[1]
        await stream.send_all(get("/nothing"))
        head, body = await read_reply(stream)
        assert (b"HTTP/1.1 404 Not Found", b"file not found\n") == (head.split(b"\r\n")[0], body)
        await stream.send_all(get("/installed/t", "Content-Length: 70000\r\n", method="POST")[:30])
        await stream.send_all(get("/installed/t", "Content-Length: 60000\r\n", method="POST")[30:] + bytes(60000))
        assert b"POST 60000\n" == (await read_reply(stream))[1]
        await stream.send_all(get("/empty") + get("/a b.txt"))
        await read_reply(stream)
        assert b"spaced\n" == (await read_reply(stream))[1]
        assert 1 == https.server.statistics().accepted


CIPHERS = {
    "TLS 1.3": ("p256", ssl.TLSVersion.TLSv1_3, None),
    "current iPXE, elliptic certificate": ("p256", ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    "current iPXE": ("rsa", ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384"),
    "iPXE with CBC": ("rsa", ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA256"),
    "older iPXE": ("rsa", ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
    "iPXE of 2019": ("rsa", ssl.TLSVersion.TLSv1_2, "AES256-SHA256"),
    "oldest iPXE": ("rsa", ssl.TLSVersion.TLSv1_2, "AES128-SHA"),
}


@pytest.mark.parametrize(("name", "version", "cipher"), CIPHERS.values(), ids=CIPHERS.keys())
async def test_what_clients_can_speak(
    site: FakeSite, pairs: Path, name: str, version: ssl.TLSVersion, cipher: str | None
) -> None:
    """Every client gets the file by the one cipher that it has."""
    async with secure(site, pairs, name=name) as https:
        https.client.minimum_version = https.client.maximum_version = version
        if cipher is not None:
            https.client.set_ciphers(cipher)
        async with await https.connect() as stream:
            await stream.send_all(get("/a b.txt", CLOSE))
            assert (await read_all(stream)).endswith(b"spaced\n")
            assert cipher in (None, stream.cipher()[0])


def hello() -> bytes:
    """The first bytes of a client that means it."""
    leaving = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), leaving, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return leaving.read()


HOSTILE = {
    "plain HTTP": get("/a b.txt"),
    "zeros": bytes(5000),
    "another record first": b"\x17\x03\x03\x00\x10" + bytes(16),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "a hello cut short": hello()[:100],
    "a hello and nothing more": hello(),
    "a hello and garbage": hello() + b"\x16\x03\x03\xff\xff" + os.urandom(70000),
    "a hello damaged": hello()[:60] + os.urandom(60) + hello()[120:],
    "nothing": b"",
    "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
async def test_garbage_instead_of_a_handshake(site: FakeSite, pairs: Path, data: bytes) -> None:
    """Each is counted and told, nothing of the site is asked, and the next client is served."""
    async with secure(site, pairs) as https:
        async with await trio.open_tcp_stream("127.0.0.1", https.port) as stream:
            try:
                await stream.send_all(data)
                await stream.send_eof()
            except trio.BrokenResourceError:
                pass
            try:
                assert b"HTTP/1.1" not in await read_all(stream)
            except trio.BrokenResourceError:
                pass
        assert (await https.exchange(get("/a b.txt", CLOSE))).endswith(b"spaced\n")
        assert 1 == https.server.statistics().handshakes_failed
    assert ["http.tls_refused", "http.done"] == site.kinds()
    assert 1 == len(site.requests)


async def test_garbage_after_the_handshake(site: FakeSite, pairs: Path) -> None:
    """Somebody on the way who puts bytes into the stream ends that connection, and nothing else."""
    async with secure(site, pairs) as https:
        async with await https.connect() as stream:
            await stream.send_all(get("/empty"))
            await read_reply(stream)
            await stream.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + os.urandom(32))
            while https.server.statistics().open:
                await trio.lowlevel.checkpoint()
        assert (await https.exchange(get("/a b.txt", CLOSE))).endswith(b"spaced\n")
    assert 2 == len(site.requests)


async def test_cancellation_closes_everything(site: FakeSite, pairs: Path) -> None:
    """Stopped in the middle of a reply and of a handshake, the server leaves nothing open, and says nothing torn."""
    before = len(os.listdir("/proc/self/fd"))
    with trio.CancelScope() as scope:
        async with secure(site, pairs) as https:
            reading, waiting = await https.connect(), await trio.open_tcp_stream("127.0.0.1", https.port)
            await reading.send_all(get("/big"))
            await waiting.send_all(hello()[:50])
            await reading.receive_some(1000)
            scope.cancel()
    await trio.aclose_forcefully(reading)
    await trio.aclose_forcefully(waiting)
    assert before == len(os.listdir("/proc/self/fd"))


async def test_too_old_a_client(site: FakeSite, pairs: Path) -> None:
    """TLS 1.1 is refused, with an alert that the client can show."""
    async with secure(site, pairs) as https:
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            https.client.minimum_version = https.client.maximum_version = ssl.TLSVersion.TLSv1_1
        https.client.set_ciphers("ALL:@SECLEVEL=0")
        async with await https.connect() as stream:
            with pytest.raises(trio.BrokenResourceError) as refused:
                await stream.do_handshake()
            assert "PROTOCOL_VERSION" in str(refused.value.__cause__)
        assert 1 == https.server.statistics().handshakes_failed


async def test_silence_costs_a_bounded_time(
    site: FakeSite, pairs: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Who does not finish the handshake is dropped after the time for it."""
    async with secure(site, pairs) as https:
        for data in (b"", hello()[:50], hello()):
            async with await trio.open_tcp_stream("127.0.0.1", https.port) as stream:
                await stream.send_all(data)
                start = trio.current_time()
                await read_all(stream)
                assert pytest.approx(15, abs=2) == trio.current_time() - start
        assert 3 == https.server.statistics().handshakes_failed


async def test_unfinished_handshakes_make_room(site: FakeSite, pairs: Path) -> None:
    """However many of them there are, the next client is served."""
    async with secure(site, pairs, HttpLimits(connections=5)) as https:
        streams = [await trio.open_tcp_stream("127.0.0.1", https.port) for _ in range(20)]
        for stream in streams[10:]:
            await stream.send_all(hello()[:50])
        assert (await https.exchange(get("/a b.txt", CLOSE))).endswith(b"spaced\n")
        assert https.server.statistics().open <= 5
        for stream in streams:
            await stream.aclose()


async def test_one_client_has_one_limit(site: FakeSite, pairs: Path) -> None:
    """Connections of both ports count together; over TLS there is no text to refuse one with."""
    async with secure(site, pairs, HttpLimits(per_client=2)) as https:
        site.hold = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(https.exchange, get("/a b.txt", CLOSE))
            while len(site.requests) < 2:
                await trio.lowlevel.checkpoint()
            async with await trio.open_tcp_stream("127.0.0.1", https.port) as third:
                assert b"" == await read_all(third)
            site.hold.set()
        assert 1 == https.server.statistics().refused


async def test_a_reader_that_stops(site: FakeSite, pairs: Path, autojump_clock: trio.testing.MockClock) -> None:
    """The least pace holds here too, and nothing counts as delivered."""
    async with secure(site, pairs) as https, await https.connect() as stream:
        await stream.send_all(get("/big"))
        await trio.sleep(200)
        assert (1, 0) == (https.server.statistics().too_slow, https.server.statistics().open)
    assert [] == site.delivered_names


async def test_a_file_that_shrinks_meanwhile(site: FakeSite, pairs: Path, tmp_path: Path) -> None:
    """The reply stays short, and people are told."""
    async with secure(site, pairs) as https, await https.connect() as stream:
        await stream.send_all(get("/big"))
        data = bytearray(await stream.receive_some(1000))
        os.truncate(tmp_path / "site/big", 1 << 20)
        data += await read_all(stream)
        assert len(data) < len(BIG)
    assert ["http.changed"] == site.kinds()


async def test_a_bad_request_is_told_why(site: FakeSite, pairs: Path) -> None:
    """The refusal arrives although bytes of the request are left unread."""
    async with secure(site, pairs) as https:
        reply = await https.exchange(b"GET /" + b"a" * 20000)
        assert reply.startswith(b"HTTP/1.1 414 ")


@needs.tool("curl")
async def test_curl(site: FakeSite, pairs: Path, tmp_path: Path) -> None:
    """With our certificate as its authority: TLS 1.2 and 1.3, ranges, a body, two files on one connection. Without it, people learn
    from us what that client's console says."""
    async with secure(site, pairs) as https:
        base = f"https://127.0.0.1:{https.port}"

        async def curl(*options: str) -> subprocess.CompletedProcess[bytes]:
            command = ["curl", "-s", "-S", "--max-time", "20", *options]
            return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)

        trusting = ("--cacert", str(pairs / "p256.pem"))
        for version in (("--tls-max", "1.2"), ("--tlsv1.3",)):
            done = await curl(*trusting, *version, f"{base}/big", f"{base}/a%20b.txt")
            assert (0, BIG + b"spaced\n") == (done.returncode, done.stdout)
        done = await curl(*trusting, "-r", "100-199", f"{base}/big")
        assert BIG[100:200] == done.stdout
        done = await curl(*trusting, "-d", "reason=x", f"{base}/installed/t")
        assert b"POST 8\n" == done.stdout
        assert 4 == https.server.statistics().accepted
        done = await curl(f"{base}/big")
        assert (60, b"") == (done.returncode, done.stdout)
    assert "tlsv1 alert unknown ca" == site.events[-1].detail["why"]


BAD_PAIRS = {
    "no certificate": ("rsa.key", "rsa.key", "http.tls_cert", "contains no certificate"),
    "another key": ("p256.pem", "rsa.key", "http.tls_key", "is not the key of the certificate"),
    "a key of the same kind": ("other.pem", "rsa.key", "http.tls_key", "is not the key of the certificate"),
    "no key": ("rsa.pem", "rsa.pem", "http.tls_key", "contains no private key"),
    "empty": ("empty", "rsa.key", "http.tls_cert", "contains no certificate"),
    "binary": ("rsa.pem", "binary", "http.tls_key", "contains no private key"),
    "encrypted": ("rsa.pem", "encrypted.key", "http.tls_key", "is encrypted"),
    "weak": ("weak.pem", "weak.key", "http.tls_cert", "too small"),
    "gone": ("gone.pem", "rsa.key", "http.tls_cert", "cannot be read: No such file"),
}


@pytest.mark.parametrize(("cert", "key", "name", "wrong"), BAD_PAIRS.values(), ids=BAD_PAIRS.keys())
def test_a_pair_that_cannot_be_used(pairs: Path, cert: str, key: str, name: str, wrong: str) -> None:
    """A message names the configuration's key and the file; nobody is asked for a password."""
    (pairs / "empty").write_bytes(b"")
    (pairs / "binary").write_bytes(bytes(range(256)))
    encrypt = ["openssl", "pkey", "-aes256", "-passout", "pass:secret", "-in", "rsa.key", "-out", "encrypted.key"]
    subprocess.run(encrypt, cwd=pairs, check=True, capture_output=True, timeout=30)
    with pytest.raises(ConfigError) as refused:
        tls_context(Settings(http=Http(tls_cert=pairs / cert, tls_key=pairs / key)))
    (problem,) = refused.value.problems
    assert name == problem.key
    assert wrong in problem.wrong
    assert str(pairs) in problem.wrong
    assert problem.right


def test_without_a_certificate() -> None:
    """No certificate, no HTTPS."""
    assert tls_context(Settings()) is None
