"""A profile whose source is an URL, served by the program through its cache: one fetch for all, gone on with after a crash, checked."""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import http.server
import json
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from programlab import Reader, free_ports, loopback_config, program

BIG = os.urandom(1 << 20) * 8
KERNEL = os.urandom(50_000)
DIGEST = hashlib.sha256(KERNEL).hexdigest()
TREEINFO = f"""[general]
family = AlmaLinux
version = 9.4
arch = x86_64
[checksums]
images/pxeboot/vmlinuz = sha256:{DIGEST}
[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
"""


class Mirror(http.server.ThreadingHTTPServer):
    """Serves ``files``, ranges included; writes down what was asked for; stops within ``held`` while the gate is shut."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {
            ".treeinfo": TREEINFO.encode(),
            "images/pxeboot/vmlinuz": KERNEL,
            "images/pxeboot/initrd.img": b"initrd",
            "big": BIG,
            "empty": b"",
        }
        self.asked: list[tuple[str, str]] = []
        """(path, Range) of each GET."""
        self.statuses: dict[str, int] = {}
        """Of files that are refused by something else than 404."""
        self.gate = threading.Event()
        self.gate.set()
        self.held = "big"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alma"

    def gets(self, name: str) -> list[str]:
        return [wanted for path, wanted in self.asked if path == f"/alma/{name}"]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        data = self.server.files.get(self.path.removeprefix("/alma/"))
        if data is None:
            self.send_error(self.server.statuses.get(self.path.removeprefix("/alma/"), 404))
            return
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        start = 0
        if "Range" in self.headers and self.headers["If-Range"] == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        if body:
            half = max(start, len(data) // 2)
            self.wfile.write(data[start:half])
            if self.path == f"/alma/{self.server.held}":
                self.server.gate.wait(20)
            self.wfile.write(data[half:])


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


class Place:
    def __init__(self, directory: Path, mirror: Mirror, workers: int) -> None:
        self.ports = free_ports()
        self.config = directory / "rack.toml"
        profile = f'[[profile]]\nname = "p"\nsource = "{mirror.url}/"\n'
        self.config.write_text(loopback_config(self.ports, f"workers = {workers}") + profile)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports['http']}/profile/p/{name}"

    def get(self, name: str, **headers: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url(name), headers=headers), timeout=30) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, b""


@pytest.fixture(params=[1, 2], ids=["one process", "workers"])
def place(tmp_path: Path, mirror: Mirror, request: pytest.FixtureRequest) -> Place:
    return Place(tmp_path, mirror, request.param)


def test_many_machines_are_one_fetch(tmp_path: Path, mirror: Mirror, place: Place) -> None:
    """A hundred at once, of which none can be served before the first bytes came: the upstream is asked once, and all get all."""
    mirror.gate.clear()
    with (
        program(tmp_path, "--config", str(place.config)),
        concurrent.futures.ThreadPoolExecutor(100) as machines,
    ):
        asked = [machines.submit(place.get, "big") for _ in range(99)]
        part = machines.submit(place.get, "big", Range=f"bytes={len(BIG) - 10}-")
        mirror.gate.set()
        assert [(200, True)] * 99 == [(status, data == BIG) for status, data in (each.result() for each in asked)]
        assert (206, BIG[-10:]) == part.result()
        assert [""] == mirror.gets("big")
        assert (404, b"") == place.get("nothing")
        assert (200, b"") == place.get("empty")
        with closing(Reader("127.0.0.1", place.ports["tftp"], "profile/p/images/pxeboot/vmlinuz")) as reader:
            assert KERNEL == reader.rest()


def test_it_is_served_while_it_arrives(tmp_path: Path, mirror: Mirror, place: Place) -> None:
    """The first half is there while the upstream has not sent the second."""
    mirror.gate.clear()
    with program(tmp_path, "--config", str(place.config)):
        assert (206, BIG[100:200]) == place.get("big", Range="bytes=100-199")
        mirror.gate.set()
        assert (200, BIG) == place.get("big")
    assert [""] == mirror.gets("big")


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, mirror: Mirror, place: Place) -> None:
    """One ranged request for the rest, and the right bytes; then all of it without the upstream."""
    mirror.gate.clear()
    with program(tmp_path, "--config", str(place.config)) as server:
        assert (206, BIG[:9]) == place.get("big", Range="bytes=0-8")
        server.stopped(signal.SIGKILL)
    mirror.gate.set()
    with program(tmp_path, "--config", str(place.config)):
        assert (200, BIG) == place.get("big")
    first, rest = mirror.gets("big")
    assert ("", "bytes=") == (first, rest[:6])
    assert 0 < int(rest.removeprefix("bytes=").removesuffix("-")) <= len(BIG) // 2


def test_without_the_upstream(tmp_path: Path, mirror: Mirror, place: Place) -> None:
    """What is kept is served, after a restart too; what is not is "not now"."""
    with program(tmp_path, "--config", str(place.config)):
        assert (200, BIG) == place.get("big")
    mirror.server_close()
    with program(tmp_path, "--config", str(place.config)):
        assert (200, BIG) == place.get("big")
        assert (503, b"") == place.get("images/pxeboot/initrd.img")


@pytest.mark.parametrize("status", [404, 410, 403, 500, 429])
def test_only_the_upstream_says_that_there_is_none(tmp_path: Path, mirror: Mirror, status: int) -> None:
    """What it has not, or does not give, is not there for a client either; any other trouble is "not now"."""
    mirror.statuses["x"] = status
    place = Place(tmp_path, mirror, 1)
    with program(tmp_path, "--config", str(place.config)):
        assert (404 if status in (404, 410, 403) else 503, b"") == place.get("x")


def test_a_damaged_file_is_never_whole(tmp_path: Path, mirror: Mirror, place: Place) -> None:
    """Its checksum was promised: the end of what came does not leave, it is told, asked for again soon, and nothing of it stays."""
    name = mirror.held = "images/pxeboot/vmlinuz"
    mirror.files[name] = KERNEL[:-1] + bytes([KERNEL[-1] ^ 1])
    mirror.gate.clear()
    with program(tmp_path, "--config", str(place.config)) as server:
        with urllib.request.urlopen(place.url(name), timeout=30) as reply:
            assert KERNEL[:10] == reply.read(10)
            mirror.gate.set()
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                reply.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(place.url(name), timeout=30)
        with refused.value as error:
            assert (503, "5") == (error.code, error.headers["Retry-After"])
        assert DIGEST in server.said()
    kept = [json.loads(path.read_text())["url"] for path in (tmp_path / "state/cache").glob("*.json")]
    assert [] == kept
