"""``python -m pxenet.server`` as a program, on the loopback: readiness, signals, privileges it lacks, and hostile packets."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import needs
import pytest
from programlab import PATIENCE_S, Reader, free_ports, loopback_config, program

from pxenet.store.sqlite import open_sqlite

BLOB = bytes(range(256)) * 40
"""Twenty blocks of 512 octets, and an empty one at the end."""
BIG = os.urandom(1 << 16) * 192
"""12 MiB: more than the buffers on the way hold."""


class Place:
    """A directory with a configuration for the loopback, and files to serve."""

    def __init__(self, directory: Path, closing: ExitStack, workers: int = 1) -> None:
        self.directory = directory
        self.closing = closing
        self.ports = free_ports()
        files = directory / "files"
        files.mkdir()
        (files / "blob").write_bytes(BLOB)
        (files / "big").write_bytes(BIG)
        self.config = directory / "rack.toml"
        self.config.write_text(loopback_config(self.ports, f'root = "files"\nworkers = {workers}'))

    def asker(self) -> Reader:
        """A TFTP client that has asked."""
        return self.closing.enter_context(closing(Reader("127.0.0.1", self.ports["tftp"], "blob")))

    def reader(self) -> Reader:
        """A TFTP client that has its first block."""
        reader = self.asker()
        reader.take()
        return reader

    def get(self, path: str) -> socket.socket:
        """A connection that has asked for a file."""
        sock = socket.create_connection(("127.0.0.1", self.ports["http"]), PATIENCE_S)
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        return sock

    def turned_away(self) -> bool:
        """HTTP clients are refused, as soon as the server has done what it said; who came in that instant may still be served."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                with self.get("blob") as sock:
                    sock.recv(1)
            except ConnectionRefusedError:
                return True
            except ConnectionError:
                pass
        return False

    def serves(self) -> None:
        """Both protocols give the file whole."""
        assert BLOB == self.reader().rest()
        with self.get("blob") as sock:
            assert BLOB == body(sock)


def body(sock: socket.socket, head: bytes = b"") -> bytes:
    """What follows the head of a reply, until the server closes."""
    data = bytearray(head)
    while piece := sock.recv(1 << 20):
        data += piece
    return bytes(data).partition(b"\r\n\r\n")[2]


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as opened:
        yield Place(tmp_path, opened, getattr(request, "param", 1))


alone_or_not = pytest.mark.parametrize("place", [1, 2], ids=["one process", "workers"], indirect=True)


@alone_or_not
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_transfers_under_way_finish(place: Place, number: signal.Signals) -> None:
    """READY=1 once every port answers, STOPPING=1 at the signal; then nothing begins, what is under way ends, and the status is 0."""
    script = f"from pxenet.server import app\napp.GRACE_S = {PATIENCE_S}"  # for slow machines
    with program(place.directory, "--config", "rack.toml", script=script) as server:
        place.serves()
        reader = place.reader()
        with place.get("big") as download:
            begun = download.recv(1000)
            server.signal(number)
            server.expect("STOPPING=1")
            assert place.turned_away()
            late = place.asker()
            assert BLOB == reader.rest()
            assert body(download, begun) == BIG
        assert 0 == server.ended()
        late.socket.setblocking(False)
        with pytest.raises((BlockingIOError, ConnectionRefusedError)):
            late.socket.recv(1)
    lines = server.said().splitlines()
    assert lines[-1] == "stopped"
    assert "Traceback" not in server.said()


@alone_or_not
def test_a_second_signal_stops_at_once(place: Place) -> None:
    """Who insists does not wait for transfers, and it is still an orderly end."""
    with program(place.directory, "--config", "rack.toml") as server, place.get("big") as download:
        download.recv(1)
        server.signal(signal.SIGINT)
        server.expect("STOPPING=1")
        began_at = time.monotonic()
        assert 0 == server.stopped(signal.SIGINT)
        assert time.monotonic() - began_at < 4
    assert server.said().endswith("stopped\n")
    assert "Traceback" not in server.said()


@alone_or_not
def test_the_grace_ends(place: Place) -> None:
    """A client that went away in the middle does not keep the server from stopping."""
    script = "from pxenet.server import app\napp.GRACE_S = 0.3"
    with program(place.directory, "--config", "rack.toml", script=script) as server:
        place.reader()
        with place.get("big"):
            assert 0 == server.stopped()
    assert server.said().endswith("stopped\n")


def test_a_broken_invariant_stops_the_server_loudly(place: Place) -> None:
    """What we did wrong ourselves is not served on: traceback, status 1, and the store is closed in order."""
    script = "from pxenet.engine.tftp import TftpServer\nTftpServer.receive = lambda self, batch, now: {}[1]"
    with program(place.directory, "--config", "rack.toml", script=script) as server:
        place.asker()
        assert 1 == server.ended()
    assert "KeyError: 1" in server.said()
    open_sqlite(place.directory / "state").close()
    assert not (place.directory / "state/pxenet.db-wal").exists()


@alone_or_not
def test_words_for_programs(place: Place) -> None:
    """With --json every line is an object of its kind, the summary and the end included."""
    with program(place.directory, "--config", "rack.toml", "--json") as server:
        place.serves()
        assert 0 == server.stopped()
    records = [json.loads(line) for line in server.said().splitlines()]
    assert {"server", "tftp.start", "tftp.done", "http.done"} == {record["kind"] for record in records}
    assert [] == [record for record in records if not (record["at"] > 0 and record["text"])]


def test_nobody_reads_its_words(place: Place) -> None:
    """A disk that is full, or a reader that went away, costs the log and not the service."""
    full = Path("/dev/full")
    with program(place.directory, "--config", "rack.toml", prefix=("sh", "-c", f'exec "$@" > {full}', "sh")) as server:
        place.serves()
        assert 0 == server.stopped()
    assert "" == server.said()


def unprivileged() -> tuple[str, ...]:
    """A command that runs another as an ordinary user without any rights."""
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--") if os.geteuid() == 0 else ()


@pytest.fixture
def open_place(tmp_path: Path) -> Iterator[Place]:
    """The place, where any user can work; pytest's own directories are closed to others."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory.stat().st_mode & 0o005 != 0o005:
            if directory != tmp_path and not directory.name.startswith("pytest-"):
                pytest.fail(f"{directory} is closed to other users")
            directory.chmod(directory.stat().st_mode | 0o005)
    tmp_path.chmod(0o777)
    with ExitStack() as opened:
        yield Place(tmp_path, opened)


@needs.tool("setpriv")
def test_an_ordinary_user_serves_high_ports(open_place: Place) -> None:
    """No privileges are needed for ports above 1023."""
    with program(open_place.directory, "--config", "rack.toml", prefix=unprivileged()) as server:
        open_place.serves()
        assert 0 == server.stopped()


@needs.tool("setpriv")
def test_an_ordinary_user_is_told_about_low_ports(open_place: Place) -> None:
    """Which port needs root, and what to do instead."""
    open_place.config.write_text(loopback_config(open_place.ports | {"tftp": 69}, 'root = "files"'))
    with program(open_place.directory, "--config", "rack.toml", prefix=unprivileged(), ready=False) as server:
        assert 2 == server.ended()
    assert server.said() == (
        "rack.toml:5: tftp.port: port 69/UDP needs root; "
        "start as root (server.user drops it), or set tftp.port above 1023\n"
    )
    assert not (open_place.directory / "state").exists()


def garbage() -> list[bytes]:
    """Packets that nobody should send: random ones, real ones cut short or changed, the longest that fit."""
    chance = random.Random(11)
    discover = bytes.fromhex("01010600 00001234 00000000") + bytes(16) + bytes.fromhex("020000000001")
    discover = discover.ljust(236, b"\0") + bytes.fromhex("63825363 350101 3c09505845436c69656e74 ff")
    request = b"\0\1blob\0octet\0blksize\x001468\0windowsize\x0064\0"
    found = [b"", b"\0", b"\0" * 65507, b"\xff" * 65507, b"\0\1" + b"a" * 65000, b"\0\1" + b"../" * 9000 + b"\0octet\0"]
    found += [chance.randbytes(chance.randrange(1, 700)) for _ in range(100)]
    for packet in (discover, request):
        found += [packet[:length] for length in range(0, len(packet), 5)]
        for _ in range(60):
            changed = bytearray(packet)
            changed[chance.randrange(len(changed))] = chance.randrange(256)
            found.append(bytes(changed))
    found += [bytes((0, op)) + chance.randbytes(size) for op in range(8) for size in (0, 1, 2, 3, 600)]
    # Options whose length goes beyond the packet, and a 52 that overloads into garbage.
    found += [discover[:-1] + bytes((code, 255)) for code in range(256)]
    found.append(discover[:-1] + b"\x34\1\3\xff")
    return found


HTTP_GARBAGE: tuple[Callable[[random.Random], bytes], ...] = (
    lambda chance: chance.randbytes(2000),
    lambda chance: b"GET " + b"/a" * 40000 + b" HTTP/1.1\r\n\r\n",
    lambda chance: b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    lambda chance: b"GET /%2e%2e/%00 HTTP/9.9\r\n\r\n",
    lambda chance: b"POST /installed/x HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    lambda chance: b"POST /installed/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    lambda chance: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500),
    lambda chance: b"",
)


@alone_or_not
def test_hostile_packets(place: Place) -> None:
    """Garbage to every port, then a real client is served as if nothing had been; no traceback, no event of it per packet."""
    with program(place.directory, "--config", "rack.toml") as server:
        tids = [udp for udp in listening(server.process.pid) if udp not in place.ports.values()]
        assert len(tids) >= 4
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number, packet in enumerate(garbage()):
                for port in (place.ports["dhcp"], place.ports["proxy"], place.ports["tftp"], *tids):
                    sock.sendto(packet, ("127.0.0.1", port))
                if number % 50 == 0:
                    place.serves()  # and it keeps up with us
        chance = random.Random(12)
        for make in HTTP_GARBAGE:
            with socket.create_connection(("127.0.0.1", place.ports["http"]), PATIENCE_S) as sock:
                try:
                    sock.sendall(make(chance))
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except ConnectionError:
                    pass  # it may refuse to hear more
        place.serves()
        assert 0 == server.stopped()
    assert "Traceback" not in server.said()
    assert all(line.isprintable() for line in server.said().splitlines())


def listening(pid: int) -> list[int]:
    """The UDP ports of a process, out of /proc."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = (line.split() for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:])
    return [int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes]
