"""Another configuration for a server that runs: taken in one instant, with every transfer going on, or refused whole."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from signal import SIGHUP
from typing import Any

import needs
import pytest
from programlab import PATIENCE_S, Reader, free_ports, loopback_config, program

from pxenet.cli.asking import ask, settings_of
from pxenet.config import Problem

OLD, NEW = os.urandom(300_000), os.urandom(200_000)
LARGE = os.urandom(1 << 20) * 24
"""More than the buffers of two sockets hold."""
SUBNET = '[[dhcp.subnet]]\nnetwork = "10.9.0.0/24"\npool = "10.9.0.10-10.9.0.20"\n'
HOST = '[[host]]\nname = "{name}"\nmac = "52:54:00:00:00:0{number}"\n'


class Place:
    """A configuration on the loopback, with two directories that have other files under the same names."""

    def __init__(self, directory: Path, workers: int = 1) -> None:
        self.directory = directory
        self.ports = free_ports()
        self.workers = workers
        for name, small in (("old", OLD), ("new", NEW)):
            (directory / name).mkdir()
            (directory / name / "small").write_bytes(small[:700])
            (directory / name / "file").write_bytes(small)
        (directory / "old/large").write_bytes(LARGE)
        self.config = directory / "rack.toml"
        self.write("old")

    def write(self, root: str, more: str = "", server: str = "") -> None:
        """The configuration that serves this directory."""
        text = loopback_config(self.ports, f'root = "{root}"\nworkers = {self.workers}\n{server}')
        self.config.write_text(text + SUBNET + more)

    def pxenet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of this configuration's server."""
        command = [sys.executable, "-m", "pxenet", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=self.directory)

    def reload(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``pxenet reload``."""
        return self.pxenet("reload", "--config", "rack.toml", *arguments)

    def ask(self, what: str) -> list[Any]:
        """What its server answers to this question."""
        settings = settings_of(None, self.directory / "state")
        return list(ask(settings, ask=what))

    def connect(self) -> socket.socket:
        """A connection to the HTTP server."""
        return socket.create_connection(("127.0.0.1", self.ports["http"]), PATIENCE_S)

    def get(self, name: str) -> bytes:
        """A body, by a connection of its own."""
        with self.connect() as sock:
            return get_on(sock, name)


@pytest.fixture(params=[1, 2], ids=["alone", "two workers"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return Place(tmp_path, request.param)


def ask_for(sock: socket.socket, name: str) -> None:
    """A request on a connection that is kept."""
    sock.sendall(f"GET /{name} HTTP/1.1\r\nHost: h\r\n\r\n".encode())


def body(sock: socket.socket, before: bytes = b"") -> bytes:
    """The body of the next reply, of which ``before`` was read already."""
    data = before
    while b"\r\n\r\n" not in data:
        data += sock.recv(1 << 16)
    head, _, data = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    pieces, left = [data], int(fields[b"content-length"]) - len(data)
    while left:
        piece = sock.recv(min(left, 1 << 20))
        assert piece, "it ended in the middle"
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def get_on(sock: socket.socket, name: str) -> bytes:
    """A body, on a connection that is kept."""
    ask_for(sock, name)
    return body(sock)


def serving(place: Place) -> Any:
    """The server."""
    return program(place.directory, "--config", "rack.toml", "--json")


def test_transfers_go_on(place: Place) -> None:
    """Who is in the middle of a file gets the rest of the same file; who asks afterwards, also on a kept connection, gets the new."""
    with (
        serving(place) as server,
        closing(Reader("127.0.0.1", place.ports["tftp"], "file")) as reader,
        place.connect() as slow,
        place.connect() as kept,
    ):
        for _ in range(20):
            reader.take()
        ask_for(slow, "large")
        begun = slow.recv(1000)
        assert [OLD[:700]] * 3 == [get_on(kept, "small") for _ in range(3)]
        place.write("new", HOST.format(name="web01", number=1))
        server.signal(SIGHUP)
        server.reloaded()
        assert [NEW[:700]] * 3 == [get_on(kept, "small") for _ in range(3)]
        assert NEW == place.get("file")
        with closing(Reader("127.0.0.1", place.ports["tftp"], "file")) as after:
            assert NEW == after.rest()
        assert OLD == reader.rest()
        assert LARGE == body(slow, begun)
        assert ["web01"] == [row["host"] for row in place.ask("hosts")]
        assert 0 == server.stopped()


def test_workers_that_begin_later(tmp_path: Path) -> None:
    """A worker that takes the place of one that died serves by the configuration that holds, not by the first one."""
    place = Place(tmp_path, 2)
    with serving(place) as server:
        place.write("new")
        done = place.reload()
        assert (0, "rack.toml is taken: hosts 0, profiles 0\n") == (done.returncode, done.stdout), done.stderr
        (status,) = place.ask("status")
        for worker in status["workers"]:
            os.kill(worker["process"], 9)
        assert [NEW] * 8 == [place.get("file") for _ in range(8)]
        assert 0 == server.stopped()


REFUSED = {
    "no TOML": ("", "[server\n", ["not valid TOML"]),
    "unknown key": ("", "[tftp2]\nx = 1\n", ["rack.toml:17: tftp2: no such table; did you mean [tftp]?"]),
    "several": (
        "",
        HOST.format(name="a", number=1) + HOST.format(name="a", number=1),
        ["host[2] (a).mac: is that of host[1] (a) in line 17 too", "host[2] (a).name"],
    ),
    "state": (
        'state = "elsewhere"',
        "",
        [
            "server.state",
            "cannot become",
            "elsewhere while the server runs: it is",
            "restart the server, or put it back",
        ],
    ),
}


@pytest.mark.parametrize(("server_keys", "more", "reasons"), REFUSED.values(), ids=REFUSED)
def test_refused_whole(tmp_path: Path, server_keys: str, more: str, reasons: list[str]) -> None:
    """A configuration with any fault changes nothing at all: what is served, who is known, what ``status`` says."""
    place = Place(tmp_path)

    def known() -> tuple[bytes, list[Any], Any]:
        (status,) = place.ask("status")
        same = {key: status[key] for key in ("process", "config", "state", "machines", "url")}
        return place.get("small"), place.ask("hosts"), same

    with serving(place) as server:
        before = known()
        place.write("new", more)
        if server_keys:
            place.config.write_text(place.config.read_text().replace('state = "state"', server_keys))
        server.signal(SIGHUP)
        server.reloaded()
        done = place.pxenet("reload", "--state", "state", "--json")
        said = [str(Problem(**problem)) for problem in json.loads(done.stdout)["problems"]]
        assert 2 == done.returncode
        for reason in reasons:
            assert reason in "\n".join(said)
        assert before == known()
        assert 2 * len(said) == server.said().count("config.refused"), server.said()
        place.write("new")
        assert 0 == place.reload().returncode
        assert NEW[:700] == place.get("small")


def test_what_needs_a_restart_is_named(tmp_path: Path) -> None:
    """Each of them, with what it was, and what would be right."""
    place = Place(tmp_path)
    with serving(place):
        text = place.config.read_text()
        other = free_ports()
        for name, port in place.ports.items():
            text = text.replace(f"port = {port}", f"port = {other[name]}")
        place.config.write_text(
            text.replace("workers = 1", "workers = 2").replace("[tftp]", "[tftp]\nsingle_port = true")
        )
        done = place.reload()
        assert 2 == done.returncode
        keys = [line.split(": ")[1] for line in done.stderr.splitlines()]
        assert [
            "server.workers",
            "dhcp.port",
            "dhcp.proxy_port",
            "tftp.port",
            "tftp.single_port",
            "http.port",
        ] == keys
        assert f"cannot become {other['tftp']} while the server runs: it is {place.ports['tftp']}" in done.stderr


def test_nobody_to_ask(tmp_path: Path) -> None:
    """Without a server it fails and says so; a server that runs by another file is not made to read its own."""
    place = Place(tmp_path)
    done = place.reload()
    assert (1, True) == (done.returncode, "no server runs on" in done.stderr)
    with serving(place):
        (tmp_path / "other.toml").write_text(place.config.read_text())
        done = place.pxenet("reload", "--config", "other.toml")
        assert (1, True) == (done.returncode, "this server runs by rack.toml, not by" in done.stderr)


def test_a_reload_by_the_command_is_told(tmp_path: Path) -> None:
    """As JSON: the configuration, and what it has; the log says it too."""
    place = Place(tmp_path)
    with serving(place) as server:
        place.write("new", HOST.format(name="web01", number=1))
        row = json.loads(place.reload("--json").stdout)
        assert (True, "rack.toml", 1, 0, []) == tuple(
            row[key] for key in ("reloaded", "config", "hosts", "profiles", "problems")
        )
        assert 1 == server.said().count("config.taken")


def certificate(directory: Path, name: str) -> bytes:
    """A new pair server.pem and server.key; the certificate as it is shown to clients."""
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
    command += ["-subj", f"/CN={name}", "-keyout", "server.key", "-out", "server.pem"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=30)
    return ssl.PEM_cert_to_DER_cert((directory / "server.pem").read_text())


@needs.tool("openssl")
def test_a_renewed_certificate(place: Place) -> None:
    """A certificate that was renewed under the same names is shown from the reload on, by every worker; a damaged one refuses it."""
    port = free_ports()["http"]
    keys = f'tls_port = {port}\ntls_cert = "server.pem"\ntls_key = "server.key"\n'
    place.config.write_text(place.config.read_text().replace("[http]\n", f"[http]\n{keys}"))

    def shown() -> set[bytes]:
        return {ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port))) for _ in range(8)}

    before = certificate(place.directory, "before")
    with serving(place):
        assert {before} == shown()
        after = certificate(place.directory, "after")
        assert 0 == place.reload().returncode
        assert {after} == shown()
        (place.directory / "server.pem").write_text("no certificate\n")
        done = place.reload()
        assert (2, True) == (done.returncode, "http.tls_cert" in done.stderr), done.stderr
        assert {after} == shown()


@needs.tool("openssl")
@needs.root()
def test_a_key_that_only_root_may_read(tmp_path: Path) -> None:
    """A server that has become another user goes on with the certificate it has, and says so; all else is taken."""
    place = Place(tmp_path)
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    port = free_ports()["http"]
    keys = f'tls_port = {port}\ntls_cert = "server.pem"\ntls_key = "server.key"\n'
    place.write("old", server='user = "nobody"')
    place.config.write_text(place.config.read_text().replace("[http]\n", f"[http]\n{keys}"))
    before = certificate(tmp_path, "before")
    (tmp_path / "server.key").chmod(0o600)
    with serving(place):
        place.config.write_text(place.config.read_text().replace('"old"', '"new"'))
        done = place.reload()
        assert (0, True) == (done.returncode, "http.tls_key: may be read by root alone" in done.stdout), done.stderr
        assert NEW == place.get("file")
        assert before == ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
