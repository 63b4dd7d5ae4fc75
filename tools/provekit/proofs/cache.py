"""The cache before a mirror: one fetch however many machines ask at once, gone on with after kill -9, never anything damaged.

The mirror counts what it is asked for. Machines read over HTTP and compare every byte with the file.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from provekit.launch import PATIENCE_S, Server, free_ports, placed
from provekit.registry import CannotRunError, Options, Result

_MIB = 1 << 20
_FULL_BYTES, _SHORT_BYTES = 100 * _MIB, 12 * _MIB
_CHUNK_BYTES = 256 * 1024
_MOST_RESIDENT_KIB = 200 * 1024
"""Of the server, whatever it fetches and for however many."""

_TREEINFO = """\
[general]
family = AlmaLinux
version = 9.4
arch = x86_64
[checksums]
images/pxeboot/vmlinuz = sha256:{kernel}
images/install.img = sha256:{damaged}
[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
"""
_CONFIG = """\
[server]
interface = "lo"
address = "127.0.0.1"
state = "state"
[dhcp]
port = {dhcp}
proxy_port = {proxy}
[tftp]
port = {tftp}
[http]
port = {http}
[[profile]]
name = "alma9"
source = "{url}"
"""


class _Mirror(http.server.ThreadingHTTPServer):
    """Serves ``files``, ranges included, and writes down each GET: path and range."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = files
        self.asked: list[tuple[str, str]] = []
        self.sent_bytes = 0
        self.breaks_at = 0
        """Bytes of an answer after which the connection is cut, once; 0: never."""
        self.gate = threading.Event()
        """Answers stop in the middle until it is set."""
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/mirror"

    def ranges(self, name: str) -> list[str]:
        """Of each GET of this file; empty for all of it."""
        return [wanted for path, wanted in self.asked if path == f"/mirror/{name}"]


class _Answer(http.server.BaseHTTPRequestHandler):
    server: _Mirror

    def log_message(self, format: str, *args: object) -> None:
        """The proof tells what matters."""

    def do_HEAD(self) -> None:
        """Is it there?"""
        self._answer(body=False)

    def do_GET(self) -> None:
        """One file, or its end."""
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        mirror = self.server
        data = mirror.files.get(self.path.removeprefix("/mirror/"))
        if data is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        start = 0
        if "Range" in self.headers and self.headers.get("If-Range") == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if body:
            with suppress(OSError):
                self._send(data, start)

    def _send(self, data: bytes, start: int) -> None:
        mirror, view = self.server, memoryview(data)
        for at in range(start, len(data), _CHUNK_BYTES):
            if at - start >= mirror.breaks_at > 0:
                mirror.breaks_at = 0
                self.close_connection = True
                return
            if at >= len(data) // 2:
                mirror.gate.wait(PATIENCE_S)
            piece = view[at : at + _CHUNK_BYTES]
            self.wfile.write(piece)
            mirror.sent_bytes += len(piece)


@dataclass(slots=True)
class _Read:
    """What a machine has got."""

    status: int = 0
    right: int = 0
    """Bytes in a row that are the file's."""
    whole: bool = False


def read(port: int, name: str, expected: bytes, first: int = 0, half_way: threading.Barrier | None = None) -> _Read:
    """Read a file as one machine; ``first``: from this byte on. ``half_way``: waited for once some of it is here."""
    found = _Read()
    headers = {"Range": f"bytes={first}-"} if first else {}
    view = memoryview(expected)[first:]
    buffer = bytearray(_CHUNK_BYTES)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
        try:
            connection.request("GET", f"/profile/alma9/{name}", headers=headers)
            reply = connection.getresponse()
            found.status = reply.status
            while reply.status in (200, 206) and (count := reply.readinto(buffer)):
                if view[found.right : found.right + count] != memoryview(buffer)[:count]:
                    return found
                found.right += count
                if half_way is not None:
                    half_way.wait(PATIENCE_S)
                    half_way = None
        except (OSError, http.client.HTTPException, threading.BrokenBarrierError):
            return found
        found.whole = found.right == len(view) and reply.status in (200, 206)
    return found


@dataclass(slots=True)
class _Scene:
    """What all parts of the proof have in common."""

    options: Options
    result: Result
    mirror: _Mirror
    port: int
    script: str
    """What is wrong with the server; nothing as a rule."""
    server: Server = field(init=False)
    figures: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """The server, again after it was killed."""
        self.server = Server(placed(self.options.directory, {}), script=self.script)
        if not self.server.ready():
            self.server.kill()
            raise RuntimeError(f"the server did not start: {self.server.said()[-500:]}")

    def fault(self, text: str) -> None:
        self.result.faults.append(text)

    def crowd(self, name: str, barrier: threading.Barrier | None = None) -> list[_Read]:
        """All machines read this file at the same instant, each fourth of them from its middle on."""
        data = self.mirror.files[name]
        with concurrent.futures.ThreadPoolExecutor(self.options.count) as pool:
            each = [
                pool.submit(read, self.port, name, data, len(data) // 2 if index % 4 == 3 else 0, barrier)
                for index in range(self.options.count)
            ]
            return [future.result() for future in each]

    def all_whole(self, what: str, reads: list[_Read]) -> None:
        bad = [one for one in reads if not one.whole]
        if bad:
            self.fault(f"{what}: {len(bad)} of {len(reads)} machines did not get the file, the first had {bad[0]}")

    def asked(self, what: str, name: str, wanted: list[str]) -> None:
        """``wanted``: the beginnings of the ranges that should have been asked for."""
        got = self.mirror.ranges(name)
        if len(got) != len(wanted) or not all(one.startswith(start) for one, start in zip(got, wanted, strict=True)):
            self.fault(f"{what}: the mirror was asked for {got}, not for {wanted}")


WEAK = {
    "takes what comes": "from pxenet.content.upstream import Cache\nCache.promised = lambda self, url: ''",
    "begins anew": "from pxenet.content.upstream import Cache\nCache.resumable = lambda self, fetch: None",
}
"""Servers that break their word, as in ``provekit.weaken``: each must be found out."""


def run(options: Options) -> Result:
    """See the module's text. ``count`` machines."""
    if shutil.disk_usage(options.directory).free < 8 * _FULL_BYTES:
        raise CannotRunError(f"{options.directory} has not the room for a cache")
    result = _played(options, _SHORT_BYTES if options.short else _FULL_BYTES)
    for name, script in WEAK.items():
        directory = options.directory / name.replace(" ", "-")
        directory.mkdir()
        weak = _played(replace(options, count=8, directory=directory), _SHORT_BYTES // 4, script)
        result.figure(f"a server that {name}", "found out" if weak.faults else "not found out")
        if not weak.faults:
            result.faults.append(f"a server that {name} is not found out")
    return result


def _played(options: Options, size: int, script: str = "") -> Result:
    """All parts, with files of ``size`` bytes."""
    result = Result()
    mirror = _Mirror(_files(options, size))
    threading.Thread(target=mirror.serve_forever, daemon=True).start()
    ports = free_ports(options.chance("ports", script))
    (options.directory / "rack.toml").write_text(_CONFIG.format(url=mirror.url, **ports))
    scene = _Scene(options, result, mirror, ports["http"], script)
    scene.start()
    try:
        for part in (_one_fetch, _damaged, _cut, _killed, _without_mirror):
            options.say(f"{part.__name__.strip('_').replace('_', ' ')}: {options.count} machines")
            part(scene)
    finally:
        scene.server.kill()
        mirror.shutdown()
    result.figure("file, MiB", size // _MIB)
    for name, value in scene.figures.items():
        result.figure(name, value)
    if "Traceback" in scene.server.said():
        result.faults.append("the server has failed: see its log")
    return result


def _files(options: Options, size: int) -> dict[str, bytes]:
    """What the mirror has: three large files, and one that is not what ``.treeinfo`` says."""
    chance = options.chance("files")
    files = {name: chance.randbytes(_MIB) * (size // _MIB) for name in ("crowd", "killed", "cut")}
    kernel, damaged = "images/pxeboot/vmlinuz", "images/install.img"
    files |= {name: chance.randbytes(_MIB) for name in (kernel, damaged, "images/pxeboot/initrd.img")}
    digests = {key: hashlib.sha256(files[name]).hexdigest() for key, name in (("kernel", kernel), ("damaged", damaged))}
    files[".treeinfo"] = _TREEINFO.format(**digests).encode()
    files[damaged] = files[damaged][:-1] + bytes([files[damaged][-1] ^ 1])
    return files


def _one_fetch(scene: _Scene) -> None:
    """All at once, a file that is not there yet: one request, as many bytes as it has, and no memory for it."""
    before = scene.mirror.sent_bytes
    scene.all_whole("a crowd", scene.crowd("crowd"))
    scene.asked("a crowd", "crowd", [""])
    scene.figures["fetched for a crowd, bytes"] = scene.mirror.sent_bytes - before
    if scene.mirror.sent_bytes - before != len(scene.mirror.files["crowd"]):
        scene.fault(f"the mirror sent {scene.mirror.sent_bytes - before} bytes for one file")
    resident = _most_resident_kib(scene.server.pid())
    scene.figures["server's memory at most, MiB"] = resident >> 10
    if resident > _MOST_RESIDENT_KIB:
        scene.fault(f"the server took {resident} KiB of memory")


def _damaged(scene: _Scene) -> None:
    """One bit is wrong, and a checksum tells: nobody gets the end of it."""
    reads = scene.crowd("images/install.img")
    if any(one.whole for one in reads):
        scene.fault("a damaged file was given out whole")
    if "images/install.img" not in scene.server.said():
        scene.fault("nobody is told that a file of the mirror is damaged")


def _cut(scene: _Scene) -> None:
    """The mirror's connection breaks in the middle: the rest is asked for, and nobody notices."""
    scene.mirror.breaks_at = len(scene.mirror.files["cut"]) // 3
    scene.all_whole("a connection that broke", scene.crowd("cut"))
    scene.asked("a connection that broke", "cut", ["", "bytes="])


def _killed(scene: _Scene) -> None:
    """kill -9 in the middle: the next server asks for the rest, once, and the file is right."""
    mirror, count = scene.mirror, scene.options.count
    mirror.gate.clear()
    half_way = threading.Barrier(count - count // 4 + 1)  # those from the middle on have nothing yet
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        crowd = pool.submit(scene.crowd, "killed", half_way)
        half_way.wait(PATIENCE_S)
        scene.server.kill()
        half_way.abort()
        if any(one.whole for one in crowd.result()):
            scene.fault("a machine was given all of a file that had not come")
    mirror.gate.set()
    scene.start()
    scene.all_whole("after kill -9", scene.crowd("killed"))
    scene.asked("after kill -9", "killed", ["", "bytes="])
    ranges = mirror.ranges("killed")
    if len(ranges) == 2 and ranges[1].startswith("bytes="):
        scene.figures["gone on with after kill -9 at byte"] = int(ranges[1].removeprefix("bytes=").removesuffix("-"))


def _without_mirror(scene: _Scene) -> None:
    """The mirror is gone: what is kept is served, also by a server that starts then."""
    scene.mirror.shutdown()
    scene.mirror.server_close()
    for name in ("crowd", "cut", "killed"):
        scene.all_whole(f"without the mirror, {name}", scene.crowd(name))
    scene.server.kill()
    scene.start()
    scene.all_whole("without the mirror, started anew", scene.crowd("crowd"))


def _most_resident_kib(pid: int) -> int:
    """The most memory that a process has had (proc(5), VmHWM)."""
    return next(_numbers(pid, "VmHWM:"))


def _numbers(pid: int, name: str) -> Iterator[int]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            yield int(line.split()[1])
