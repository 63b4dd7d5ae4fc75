"""``[server] workers``: several processes serve TFTP and HTTP as one would, and one that dies is replaced."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import needs
import pytest
from programlab import (
    PATIENCE_S,
    Reader,
    children,
    free_ports,
    loopback_config,
    program,
    wait_until,
    workers_of,
)

BLOB = os.urandom(1 << 16) * 4
LARGE = os.urandom(1 << 20) * 32
"""More than the buffers on the way hold."""
CLIENTS = 24
"""By their ports they meet one worker or the other: that all of them meet the same happens once in millions of runs."""


class Rack:
    """A configuration with workers on the loopback, and files to serve."""

    def __init__(self, directory: Path, workers: int = 2, more: str = "") -> None:
        self.directory = directory
        self.ports = free_ports()
        (directory / "files").mkdir()
        (directory / "files/blob").write_bytes(BLOB)
        self.config = directory / "rack.toml"
        self.config.write_text(loopback_config(self.ports, f'root = "files"\nworkers = {workers}') + more)

    def read(self, path: str = "blob") -> bytes:
        """A file by TFTP."""
        with closing(Reader("127.0.0.1", self.ports["tftp"], path)) as reader:
            return reader.rest()

    def get(self, path: str = "blob", head: str = "") -> bytes:
        """The body of a reply, by a connection of its own."""
        return self.request("GET", path, head).partition(b"\r\n\r\n")[2]

    def asking(self, path: str, head: str = "") -> socket.socket:
        """A connection that has asked for a file."""
        sock = socket.create_connection(("127.0.0.1", self.ports["http"]), PATIENCE_S)
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{head}\r\n".encode())
        return sock

    def request(self, method: str, path: str, head: str = "", body: bytes = b"") -> bytes:
        """The whole reply."""
        with socket.create_connection(("127.0.0.1", self.ports["http"]), PATIENCE_S) as sock:
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            sock.sendall(f"{method} /{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{head}{length}\r\n".encode())
            sock.sendall(body)
            return b"".join(iter(lambda: sock.recv(1 << 20), b""))

    def status(self) -> dict[str, Any]:
        """What ``pxenet status --json`` says."""
        command = [sys.executable, "-m", "pxenet", "status", "--json", "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        row: dict[str, Any] = json.loads(done.stdout)
        return row


@pytest.fixture
def rack(tmp_path: Path) -> Rack:
    return Rack(tmp_path)


def test_all_of_them_serve(rack: Rack) -> None:
    """Clients of both protocols get their file whole, whichever worker they meet; both are met, and counted together."""
    with program(rack.directory, "--config", "rack.toml") as server:
        assert 2 == len(workers_of(server))
        for _ in range(CLIENTS):
            assert BLOB == rack.read()
            assert BLOB == rack.get()
        row = rack.status()
        assert CLIENTS == row["tftp"]["completed"]
        assert CLIENTS == row["http"]["requests"]
        each = [(one["tftp"]["completed"], one["http"]["requests"]) for one in row["workers"]]
        assert 0 < min(min(both) for both in each)
        assert (CLIENTS, CLIENTS) == tuple(map(sum, zip(*each, strict=True)))
        assert 0 == server.stopped()
    assert CLIENTS * 2 == server.said().count("has read blob")


def test_a_file_that_is_replaced(rack: Rack) -> None:
    """No worker serves what the name led to before."""
    with program(rack.directory, "--config", "rack.toml") as server:
        for number in range(3):
            data = b"%d" % number * 3000
            (rack.directory / "files/new").write_bytes(data)
            (rack.directory / "files/new").replace(rack.directory / "files/blob")
            for _ in range(CLIENTS // 2):
                assert data == rack.read()
                assert data == rack.get()
        assert 0 == server.stopped()


def test_one_that_is_killed_is_replaced(rack: Rack) -> None:
    """kill -9 of each worker in turn: told, counted, and both ports go on; nothing that was counted a second ago is forgotten."""
    with program(rack.directory, "--config", "rack.toml") as server:
        for _ in range(CLIENTS):
            rack.get()
        assert CLIENTS == rack.status()["http"]["requests"]
        first = workers_of(server)
        for worker in first:
            os.kill(worker, signal.SIGKILL)
        for _ in range(CLIENTS):  # what comes while nobody is there waits
            assert BLOB == rack.get()
            assert BLOB == rack.read()
        row = rack.status()
        now = workers_of(server)
        assert 2 == len(now)
        assert not set(first) & set(now)
        assert sorted(now) == sorted(one["process"] for one in row["workers"])
        assert [1, 1] == [one["ended"] for one in row["workers"]]
        assert CLIENTS * 2 == row["http"]["requests"]
        assert 0 == server.stopped()
    for worker in first:
        assert f"(process {worker}), killed by SIGKILL; another one takes its place" in server.said()
    assert "Traceback" not in server.said()


@pytest.mark.parametrize("stopped", [False, True], ids=["at once", "stopped"])
def test_they_end_with_the_server(rack: Rack, stopped: bool) -> None:
    """kill -9 of the server takes all of its processes along, one that cannot run included; another server can have the ports then."""
    with program(rack.directory, "--config", "rack.toml") as server:
        spawned = children(server.process.pid) + workers_of(server)
        assert 3 == len(spawned)
        if stopped:
            os.kill(spawned[-1], signal.SIGSTOP)
        server.signal(signal.SIGKILL)
        server.ended()
        wait_until(lambda: not any(Path(f"/proc/{each}/fd/0").exists() for each in spawned), "they live on")
    with program(rack.directory, "--config", "rack.toml") as server:
        assert BLOB == rack.get()
        assert 0 == server.stopped()


def test_nothing_is_left_when_it_stops(rack: Rack) -> None:
    """When the server has ended, so have all of its processes, and nobody has its ports."""
    with program(rack.directory, "--config", "rack.toml") as server:
        spawned = children(server.process.pid) + workers_of(server)
        assert BLOB == rack.read()
        assert 0 == server.stopped()
        assert [] == [each for each in spawned if Path(f"/proc/{each}").exists()]
    assert "lost worker" not in server.said()


def test_a_second_server_is_refused(rack: Rack) -> None:
    """That ports are shared among workers must not let another server of the same user share them too."""
    with program(rack.directory, "--config", "rack.toml") as server:
        other = rack.directory / "other"
        other.mkdir()
        config = other / "other.toml"
        config.write_text(loopback_config(free_ports() | {"http": rack.ports["http"]}, "workers = 2"))
        with program(other, "--config", "other.toml", ready=False) as second:
            assert 2 == second.ended()
        assert f"other.toml:7: http.port: port {rack.ports['http']}/TCP is taken" in second.said()
        assert 0 == server.stopped()


def test_one_that_cannot_begin_stops_the_start(rack: Rack) -> None:
    """A server none of whose workers can serve does not say that it is ready."""
    script = "from pxenet.server import worker\nworker.Way = None"
    with program(rack.directory, "--config", "rack.toml", script=script, ready=False) as server:
        assert 1 == server.ended()
    assert "ended before it could serve (exit status 1)" in server.said()


def test_one_that_fails_again_and_again(rack: Rack) -> None:
    """A fault of ours in a worker is told with its traceback, and does not become a busy loop; the others serve on."""
    script = "from pxenet.engine.tftp import TftpServer\nTftpServer.receive = lambda self, batch, now: {}[1]"
    with program(rack.directory, "--config", "rack.toml", script=script) as server:
        with closing(Reader("127.0.0.1", rack.ports["tftp"], "blob")):
            wait_until(lambda: "lost worker" in server.said(), "nobody said that a worker was lost")
        for _ in range(CLIENTS):
            assert BLOB == rack.get()
        assert 0 == server.stopped()
    assert "KeyError: 1" in server.said()
    assert "exit status 1; another one takes its place in 0.1 s" in server.said()


def test_reads_go_on_in_the_next_worker(rack: Rack) -> None:
    """Clients that are in the middle of a file when their worker is killed get its rest, by repeating their last ACK."""
    with program(rack.directory, "--config", "rack.toml") as server, ExitStack() as opened:
        readers = [
            opened.enter_context(closing(Reader("127.0.0.1", rack.ports["tftp"], "blob"))) for _ in range(CLIENTS)
        ]
        for worker in workers_of(server):
            for reader in readers:
                for _ in range(20):
                    reader.take()
            os.kill(worker, signal.SIGKILL)
        assert {BLOB} == {reader.rest() for reader in readers}
        assert CLIENTS == rack.status()["tftp"]["completed"]
        assert 0 == server.stopped()
    assert CLIENTS == server.said().count("has read blob")


def test_downloads_are_asked_for_again(rack: Rack) -> None:
    """An HTTP client whose worker is killed sees its connection end, and gets the rest by asking for it."""
    with program(rack.directory, "--config", "rack.toml") as server:
        (rack.directory / "files/large").write_bytes(LARGE)
        with rack.asking("large") as sock:
            got = sock.recv(1 << 16).partition(b"\r\n\r\n")[2]
            for worker in workers_of(server):
                os.kill(worker, signal.SIGKILL)
            with suppress(ConnectionResetError):
                while piece := sock.recv(1 << 16):
                    got += piece
        assert len(got) < len(LARGE)
        got += rack.get("large", f"Range: bytes={len(got)}-\r\n")
        assert got == LARGE
        assert 0 == server.stopped()


@needs.tool("openssl")
def test_https(tmp_path: Path) -> None:
    """Every worker has the certificate that was read before privileges were dropped, and so has the next one."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=pxenet", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key", "-out", "cert"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)
    port = free_ports()["http"]
    rack = Rack(tmp_path)
    text = rack.config.read_text()
    rack.config.write_text(text.replace("[http]\n", f'[http]\ntls_port = {port}\ntls_cert = "cert"\ntls_key = "key"\n'))
    context = ssl.create_default_context(cafile=str(tmp_path / "cert"))

    def secretly() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
        ):
            sock.sendall(b"GET /blob HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: sock.recv(1 << 16), b"")).partition(b"\r\n\r\n")[2]

    with program(rack.directory, "--config", "rack.toml") as server:
        for _ in range(2):
            assert {BLOB} == {secretly() for _ in range(CLIENTS)}
            for worker in workers_of(server):
                os.kill(worker, signal.SIGKILL)
        assert BLOB == secretly()
        assert 0 == server.stopped()
    assert "Traceback" not in server.said()


def test_a_port_for_everything(tmp_path: Path) -> None:
    """With tftp.single_port a worker answers from the shared port itself, and the one after it goes on there."""
    rack = Rack(tmp_path)
    rack.config.write_text(rack.config.read_text().replace("[tftp]\n", "[tftp]\nsingle_port = true\n"))
    with program(rack.directory, "--config", "rack.toml") as server, ExitStack() as opened:
        readers = [
            opened.enter_context(closing(Reader("127.0.0.1", rack.ports["tftp"], "blob"))) for _ in range(CLIENTS)
        ]
        for reader in readers:
            reader.take()
        for worker in workers_of(server):
            os.kill(worker, signal.SIGKILL)
        assert {BLOB} == {reader.rest() for reader in readers}
        assert 0 == server.stopped()


def test_a_worker_that_the_system_refuses(rack: Rack) -> None:
    """No process to be had now: it is told, and tried again later."""
    script = (
        "import os\nfrom pxenet.server import spawner\nfork, count = os.fork, [0]\n"
        "def refuse():\n    count[0] += 1\n    if count[0] == 4:\n        raise OSError(11, 'too many processes')\n    return fork()\n"
        "spawner.os.fork = refuse"
    )
    with program(rack.directory, "--config", "rack.toml", script=script) as server:
        os.kill(workers_of(server)[0], signal.SIGKILL)
        wait_until(lambda: "too many processes; another one takes its place" in server.said(), "nobody said it")
        wait_until(lambda: len(workers_of(server)) == 2, "nobody tried again")
        assert {BLOB} == {rack.get() for _ in range(CLIENTS)}
        assert 0 == server.stopped()


def test_the_maker_of_workers_is_gone(rack: Rack) -> None:
    """Without it none can be replaced: the server stops, loudly, and whoever supervises it starts another."""
    with program(rack.directory, "--config", "rack.toml") as server:
        everybody = workers_of(server)
        os.kill(children(server.process.pid)[0], signal.SIGKILL)
        assert 1 == server.ended()
        wait_until(lambda: not any(Path(f"/proc/{each}/fd/0").exists() for each in everybody), "workers live on")
    assert "the process that makes workers is gone" in server.said()
