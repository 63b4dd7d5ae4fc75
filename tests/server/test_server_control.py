"""The socket for commands: who may connect, what a client may cost, and what is answered."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trio
import trio.testing

from pxenet.config import Settings, from_text
from pxenet.engine.life import Evidence
from pxenet.events import Event
from pxenet.model import Change, InstallRecord, InstallState, Lease, SeenHost, Verdict
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.rack import Rack
from pxenet.rack.census import Census
from pxenet.server import control
from pxenet.server.answers import FOLLOWED, Answers, Desk
from pxenet.server.commit import Committer
from pxenet.server.control import SOCKET, Answer, Control, Limits, RefusedError, Reply, listening
from pxenet.server.events import EventLog
from pxenet.server.recording import Recorder
from pxenet.server.reload import Reloading
from pxenet.server.tap import Tap
from pxenet.store.memory import MemoryStore

WEB01 = bytes.fromhex("525400000001")
STRANGER = bytes.fromhex("525400000099")
NOW = 1_000_000.0

CONFIG = """
[[dhcp.subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.199"
[[profile]]
name = "alma9"
kernel = "vmlinuz"
answer = "kickstart"
[[host]]
mac = "52:54:00:00:00:01"
name = "web01"
profile = "alma9"
[[host]]
mac = "52:54:00:00:00:02"
name = "db01"
"""


class Failing(MemoryStore):
    """A store on a disk that is full."""

    last_failure = "disk is full"
    failing = False

    def commit(self, batch: list[Change]) -> list[Verdict]:  # type: ignore[override]
        return [Verdict.FAILED] * len(batch) if self.failing else super().commit(batch)


@dataclass
class Scene:
    """A rack with a store and a log, and answers made of them."""

    settings: Settings
    store: Failing = field(default_factory=lambda: Failing(bytes(32)))

    def __post_init__(self) -> None:
        self.store.commit(
            [
                Lease(0x0A000064, b"\1" + WEB01, WEB01, NOW + 600, hostname="web01", since_at=NOW - 60),
                Lease(0x0A000065, b"\1" + STRANGER, STRANGER, NOW - 1),
                SeenHost("52:54:00:00:00:01", WEB01, "", 7, NOW - 60, NOW - 5),
                SeenHost("52:54:00:00:00:99", STRANGER, "", 0, NOW - 900, NOW - 800),
                InstallRecord("52:54:00:00:00:01", InstallState.INSTALLED, "alma9", 1, since_at=NOW - 10),
            ]
        )
        self.log = EventLog(io.StringIO(), as_json=True, name_of=lambda mac: self.rack.name_of(mac), clock=lambda: NOW)
        self.rack = Rack(self.settings, self.store, interfaces=(), tell=self.log, clock=lambda: NOW)
        self.committer = Committer(self.store)
        self.tap = Tap()
        self.recorder = Recorder(self.tap, self.rack, (), lambda: 10**18)
        reloading = Reloading(self.rack, self.committer, (), None, None)
        desk = Desk(
            (), self.rack, self.store, self.committer, self.log, self.recorder, reloading,
            lambda: {"tftp": self.rack.tftp.statistics()}, NOW - 5,
        )  # fmt: skip
        self.answers = Answers(desk)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "vmlinuz").touch()
    return Scene(from_text(CONFIG, tmp_path))


@asynccontextmanager
async def serving(directory: Path, answer: Answer, limits: Limits | None = None) -> AsyncIterator[None]:
    with ExitStack() as closing:
        listener = closing.enter_context(listening(directory))
        async with trio.open_nursery() as nursery:
            await nursery.start(Control(listener, answer, limits).run)
            yield
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def asking(scene: Scene, directory: Path) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.committer.run)
        async with serving(directory, scene.answers):
            yield
        nursery.cancel_scope.cancel()


async def connect(directory: Path) -> trio.SocketStream:
    return await trio.open_unix_socket(directory / SOCKET)


class Lines:
    """The lines that come on a stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def next(self) -> dict[str, object] | None:
        """The next one; None at the end."""
        while b"\n" not in self._buffer:
            data = await self._stream.receive_some()
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        said = json.loads(line)
        assert isinstance(said, dict)
        return said

    async def rest(self) -> list[dict[str, object]]:
        """All of them."""
        found = []
        while (line := await self.next()) is not None:
            found.append(line)
        return found


async def ask(directory: Path, **request: object) -> list[dict[str, object]]:
    """Every line of the answer."""
    async with await connect(directory) as stream:
        await stream.send_all(json.dumps(request).encode() + b"\n")
        return await Lines(stream).rest()


async def rows(directory: Path, **request: object) -> list[dict[str, object]]:
    """The rows of an answer that is complete."""
    *found, last = await ask(directory, **request)
    assert {"done": True} == last
    return [line["row"] for line in found]  # type: ignore[misc]


# -- the socket --------------------------------------------------------------------------------------------------------------


def test_only_the_owner_may_connect(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; removed at the end."""
    before = os.umask(0)
    try:
        with listening(tmp_path):
            assert 0o600 == stat.S_IMODE((tmp_path / SOCKET).stat().st_mode)
    finally:
        os.umask(before)
    assert [] == list(tmp_path.iterdir())


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """One that a killed server left is no obstacle; anything else with its name is not touched."""
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / SOCKET))
    stale.close()
    with listening(tmp_path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / SOCKET))
    (tmp_path / SOCKET).write_text("mine")
    with pytest.raises(OSError, match="is no socket"), listening(tmp_path):
        pass
    assert "mine" == (tmp_path / SOCKET).read_text()


def test_the_socket_of_another_is_left(tmp_path: Path) -> None:
    """Who stops removes its own socket only."""
    with listening(tmp_path):
        (tmp_path / SOCKET).rename(tmp_path / "first")
        other = socket.socket(socket.AF_UNIX)
        other.bind(str(tmp_path / SOCKET))
    assert (tmp_path / SOCKET).exists()
    other.close()


async def test_a_long_path(tmp_path: Path) -> None:
    """A state directory may be deeper than a socket address is long."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    async def answer(request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows([request])

    async with serving(deep, answer):
        with control.reachable(deep / SOCKET) as name:
            stream = await trio.open_unix_socket(name)
        async with stream:
            await stream.send_all(b'{"ask": 1}\n')
            assert [{"row": {"ask": 1}}, {"done": True}] == await Lines(stream).rest()


# -- what a client may cost ----------------------------------------------------------------------------------------------------

GARBAGE = {
    "no json": b"hosts\n",
    "no object": b"[1]\n",
    "not utf-8": b"\xff\xfe\n",
    "deep": b"[" * 4000 + b"\n",
    "too long": b" " * (control.MAX_REQUEST + 1),
    "unfinished": b'{"ask":',
    "nothing": b"",
    "unknown": b'{"ask": "reboot"}\n',
    "unhashable": b'{"ask": []}\n',
    "strange host": b'{"ask": "reinstall", "host": "\\ud800"}\n',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=list(GARBAGE))
async def test_garbage_is_refused(scene: Scene, tmp_path: Path, garbage: bytes) -> None:
    """In words; and the next client is served."""
    async with asking(scene, tmp_path):
        async with await connect(tmp_path) as stream:
            await stream.send_all(garbage)
            await stream.send_eof()
            (said,) = await Lines(stream).rest()
        assert said["error"]
        assert 3 == len(await rows(tmp_path, ask="hosts"))


async def test_slow_clients_are_left(tmp_path: Path) -> None:
    """Who asks nothing, and who takes nothing, is disconnected in time; what waits for them is bounded."""
    made = 0

    def endless() -> Iterator[str]:
        nonlocal made
        while True:
            made += 1
            yield "x" * 1000

    async def answer(request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows(endless())

    async with serving(tmp_path, answer, Limits(ask_s=0.05, take_s=0.05)):
        async with await connect(tmp_path) as silent:
            assert b"" == await silent.receive_some(1)
        async with await connect(tmp_path) as greedy:
            await greedy.send_all(b"{}\n")
            while not made:
                await trio.testing.wait_all_tasks_blocked(0.01)
            before = -1
            while before != made:
                before = made
                await trio.testing.wait_all_tasks_blocked(0.1)
            assert made < 10_000


async def test_too_many_clients(tmp_path: Path) -> None:
    """One more than allowed is turned away; when one leaves there is room."""

    async def patient(request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows(["here"])
        await reply.gone()

    async def enter() -> trio.SocketStream:
        stream = await connect(tmp_path)
        await stream.send_all(b"{}\n")
        return stream

    async with serving(tmp_path, patient, Limits(clients=2)), await enter() as first, await enter() as second:
        for stream in (first, second):
            assert b'{"row": "here"}\n' == await stream.receive_some(100)
        async with await connect(tmp_path) as turned_away:
            assert b"" == await turned_away.receive_some(1)
        await first.send_eof()
        assert b'{"done": true}\n' == await first.receive_some(100)
        assert b"" == await first.receive_some(100)
        async with await enter() as welcome:
            assert b'{"row": "here"}\n' == await welcome.receive_some(100)


async def test_long_answers_are_made_as_they_are_taken(tmp_path: Path) -> None:
    """Not all at once: others have their turn."""
    made = 0

    def numbers() -> Iterator[int]:
        nonlocal made
        while made < 100_000:
            made += 1
            yield made

    async def long(request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows(numbers())

    async with serving(tmp_path, long), await connect(tmp_path) as stream:
        await stream.send_all(b"{}\n")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert 0 < made < 100_000
        assert 100_001 == len(await Lines(stream).rest())


async def test_refused_in_words(tmp_path: Path) -> None:
    """What is wrong and what would be right, after rows that were sent already."""

    async def answer(request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows([1])
        raise RefusedError("wrong", "right")

    async with serving(tmp_path, answer):
        assert [{"row": 1}, {"error": "wrong", "right": "right"}] == await ask(tmp_path)


# -- answers -------------------------------------------------------------------------------------------------------------------


async def test_hosts(scene: Scene, tmp_path: Path) -> None:
    """Configured machines in their order, then the others; with address, state and what happens at the next boot."""
    async with asking(scene, tmp_path):
        web01, db01, other = await rows(tmp_path, ask="hosts")
    assert ("web01", "52:54:00:00:00:01", "10.0.0.100", "installed", "local", "x64 UEFI", NOW - 5) == tuple(
        web01[name] for name in ("host", "mac", "address", "state", "next", "firmware", "last_seen_at")
    )
    assert ("db01", None, None, None) == tuple(db01[name] for name in ("host", "address", "state", "last_seen_at"))
    assert ("52:54:00:00:00:99", False, None) == tuple(other[name] for name in ("host", "configured", "address"))


async def test_leases(scene: Scene, tmp_path: Path) -> None:
    """Every address that was given, ended ones as such."""
    async with asking(scene, tmp_path):
        first, second = await rows(tmp_path, ask="leases")
    assert ("10.0.0.100", "web01", "bound", NOW + 600) == tuple(
        first[k] for k in ("address", "host", "state", "expires_at")
    )
    assert ("10.0.0.101", None, "expired") == tuple(second[k] for k in ("address", "host", "state"))


async def test_status(scene: Scene, tmp_path: Path) -> None:
    """Process, time, machines by state, and the counters of every part."""
    async with asking(scene, tmp_path):
        (status,) = await rows(tmp_path, ask="status")
    assert (os.getpid(), 5.0) == (status["process"], status["uptime_s"])
    assert {"configured": 2, "seen": 2, "installed": 1} == status["machines"]
    assert isinstance(status["tftp"], dict)
    assert 0 == status["tftp"]["malformed"]


def test_who_failed(scene: Scene) -> None:
    """By name, with the reason, the latest first, also who is in no configuration."""
    failed = InstallRecord("52:54:00:00:00:01", InstallState.FAILED, "alma9", 1, since_at=NOW - 10, reason="disk full")
    scene.store.commit([failed, replace(failed, key="52:54:00:00:00:99", since_at=NOW - 5, reason="no mirror")])
    rack = Rack(scene.settings, scene.store, interfaces=(), tell=scene.log, clock=lambda: NOW)
    assert [("52:54:00:00:00:99", "no mirror"), ("web01", "disk full")] == [
        (row["host"], row["reason"]) for row in Census(rack, tuple).failed()
    ]


@pytest.mark.parametrize("word", ["web01", "52:54:00:00:00:01", "52-54-00-00-00-01", "525400000001"])
async def test_reinstall(scene: Scene, tmp_path: Path, word: str) -> None:
    """By name or hardware address in any spelling: durable before it is confirmed, and told."""
    async with asking(scene, tmp_path):
        (row,) = await rows(tmp_path, ask="reinstall", host=word)
    assert ("web01", "new", 2, "installs alma9 at its next network boot") == tuple(
        row[k] for k in ("host", "state", "armings", "next")
    )
    assert [(InstallState.NEW, 2)] == [(record.state, record.generation) for record in scene.store.installs()]
    assert ["install.state"] == [told.event.kind for told in scene.log.of(WEB01)]


async def test_reinstall_without_a_profile(scene: Scene, tmp_path: Path) -> None:
    """It is armed, and the person learns at once that this alone installs nothing."""
    async with asking(scene, tmp_path):
        (row,) = await rows(tmp_path, ask="reinstall", host="db01")
    assert "is not installed at its next network boot: its [[host]] names no profile" in str(row["next"])


ORDERS = {
    "reinstall": ("web01", "new", "installs alma9 at its next network boot", "install.state"),
    "cancel": (
        "web01",
        "cancelled",
        "is not installed at its next network boot: an order took back",
        "install.cancelled",
    ),
    "retire": (
        "web01",
        "retired",
        "is not installed at its next network boot: pxenet reinstall takes it",
        "install.retired",
    ),
}


@pytest.mark.parametrize(("order", "expected"), ORDERS.items(), ids=list(ORDERS))
async def test_orders(scene: Scene, tmp_path: Path, order: str, expected: tuple[str, ...]) -> None:
    """Each is durable before it is confirmed, and told; a machine whose installer runs is told of. Ordered twice, it is as before."""
    name, state, after, kind = expected
    scene.rack.installs.rearm(WEB01.hex(":"), NOW)
    scene.rack.installs.observe(WEB01.hex(":"), Evidence.INSTALLING, "alma9", NOW)
    scene.rack.installs.observe(WEB01.hex(":"), Evidence.ANSWERED, "alma9", NOW)
    async with asking(scene, tmp_path):
        (row,) = await rows(tmp_path, ask=order, host="web01")
        stored = [record.state.value for record in scene.store.installs()]
        (again,) = await rows(tmp_path, ask=order, host="web01")
    assert (name, state, True, [state]) == (row["host"], row["state"], row["running"], stored)
    assert str(row["next"]).startswith(after)
    assert (state, False) == (again["state"], again["running"])
    assert kind == scene.log.of(WEB01)[0].event.kind


async def test_one_machine(scene: Scene, tmp_path: Path) -> None:
    """All that is known of it, the log that it sent among it."""
    key = WEB01.hex(":")
    scene.rack.installs.rearm(key, NOW)
    report = scene.rack.installs.callback(scene.rack.installs.token(key), "failed", "no disk", NOW, "a log\nno disk")
    scene.rack.committed(report.changes, Verdict.DURABLE)
    async with asking(scene, tmp_path):
        (row,) = await rows(tmp_path, ask="host", host="web01")
        listed = await rows(tmp_path, ask="hosts")
    assert row == next(one for one in listed if one["host"] == "web01") | {"log": "a log\nno disk", "hardware": None}
    assert ("failed", "no disk") == (row["state"], row["reason"])


NOBODY = {
    "web02": "did you mean web01",
    "52:54:00:00:00:77": "did you mean 52:54:00:00:00:99",
    "zzz": '"pxenet hosts" lists',
}


@pytest.mark.parametrize(("word", "hint"), NOBODY.items(), ids=list(NOBODY))
async def test_reinstall_of_nobody(scene: Scene, tmp_path: Path, word: str, hint: str) -> None:
    """A name or an address that nobody has changes nothing."""
    async with asking(scene, tmp_path):
        (said,) = await ask(tmp_path, ask="reinstall", host=word)
    assert f'no machine is called "{word}"' == said["error"]
    assert hint in str(said["right"])
    assert 1 == len(list(scene.store.installs()))


async def test_reinstall_on_a_full_disk(scene: Scene, tmp_path: Path) -> None:
    """What is not written is not confirmed."""
    scene.store.failing = True
    async with asking(scene, tmp_path):
        (said,) = await ask(tmp_path, ask="reinstall", host="web01")
    assert "could not be written (disk is full)" in str(said["error"])


def happen(scene: Scene, mac: bytes, number: int) -> None:
    scene.log(
        Event("tftp.done", mac, 0x0A000064, {"path": f"file{number}", "size": 1, "seconds": 0.1, "retransmits": 0})
    )


def paths(found: list[dict[str, object]]) -> list[str]:
    return [row["detail"]["path"] for row in found]  # type: ignore[index]


async def test_events(scene: Scene, tmp_path: Path) -> None:
    """The latest of all machines in order, of one machine alone, and only so many."""
    for number, mac in enumerate([WEB01, STRANGER, WEB01, STRANGER]):
        happen(scene, mac, number)
    async with asking(scene, tmp_path):
        assert ["file0", "file1", "file2", "file3"] == paths(await rows(tmp_path, ask="events"))
        assert ["file2", "file3"] == paths(await rows(tmp_path, ask="events", last=2))
        assert ["file0", "file2"] == paths(await rows(tmp_path, ask="events", host="web01"))
        assert ["file1", "file3"] == paths(await rows(tmp_path, ask="events", host="52:54:00:00:00:99"))


async def test_follow(scene: Scene, tmp_path: Path) -> None:
    """History and what follows join without a gap; nobody watches any more when the client has left."""
    happen(scene, WEB01, 1)
    async with asking(scene, tmp_path):
        async with await connect(tmp_path) as stream:
            await stream.send_all(b'{"ask": "events", "follow": true, "host": "web01"}\n')
            lines = Lines(stream)
            seen = [await lines.next()]
            happen(scene, STRANGER, 2)
            happen(scene, WEB01, 3)
            seen.append(await lines.next())
            assert ["file1", "file3"] == [line["row"]["detail"]["path"] for line in seen]  # type: ignore[index]
            assert 1 == len(scene.log.watchers)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert 0 == len(scene.log.watchers)


async def test_a_slow_follower_misses(scene: Scene, tmp_path: Path) -> None:
    """More events than are kept for it become a number."""
    async with asking(scene, tmp_path), await connect(tmp_path) as stream:
        await stream.send_all(b'{"ask": "events", "follow": true}\n')
        await trio.testing.wait_all_tasks_blocked(0.01)
        for number in range(FOLLOWED + 7):
            happen(scene, WEB01, number)
        lines = Lines(stream)
        seen = [await lines.next() for _ in range(FOLLOWED + 1)]
    assert {"row": {"missed": 7}} == seen[-1]


# -- captures ------------------------------------------------------------------------------------------------------------------------


async def test_capture_sends_frames_until_its_time_is_over(scene: Scene, tmp_path: Path) -> None:
    """Frames come as they were taken, of the machine that was asked for; then the tap is closed again."""
    request = bytes((1, 1, 6, 0)) + bytes(24) + WEB01 + bytes(202)
    heard = [Datagram(request, pack_peer(0, 68), 0x0A000001, 67, 1, broadcast=True)]
    heard.append(Datagram(request.replace(WEB01, STRANGER), pack_peer(0, 68), 0x0A000001, 67, 1, broadcast=True))
    async with asking(scene, tmp_path), await connect(tmp_path) as stream:
        await stream.send_all(json.dumps({"ask": "capture", "host": "web01", "seconds": 0.2}).encode() + b"\n")
        lines = Lines(stream)
        assert {"row": {"frames": []}} == await lines.next()
        assert scene.tap.listener is not None
        scene.tap.listener.received(heard)
        *found, last = await lines.rest()
    frames = [frame for line in found for frame in line["row"]["frames"]]  # type: ignore[index]
    assert [(10**18, 14 + 20 + 8 + len(request))] == [(at, length) for at, length, _ in frames]
    assert base64.b64decode(frames[0][2]).endswith(request)
    assert ({"done": True}, None) == (last, scene.tap.listener)


async def test_a_capture_ends_with_its_client(scene: Scene, tmp_path: Path) -> None:
    """Who leaves is not followed for."""
    async with asking(scene, tmp_path):
        async with await connect(tmp_path) as stream:
            await stream.send_all(b'{"ask": "capture"}\n')
            await Lines(stream).next()
        with trio.fail_after(5):
            while scene.tap.listener is not None:
                await trio.sleep(0)
