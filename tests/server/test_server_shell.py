"""The datagram shell does what an engine says, all of it and nothing else. The engine is a fake that says what the test wants."""

from __future__ import annotations

import socket
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from pxenet.engine.surface import NEVER, Blocks, Commit, Delivered, Flight, Output, Stream, Upload, Want
from pxenet.events import Event
from pxenet.model import Absent, Change, Content, InstallRecord, InstallState, Missing, Region, Verdict
from pxenet.net.batched import BatchedUdpSocket
from pxenet.net.datagram import BATCH, BROADCAST, Datagram, Send, pack_peer, peer_address, peer_port
from pxenet.net.udp import UdpSocket
from pxenet.server.commit import Committer
from pxenet.server.datagrams import Shell

LOOPBACK = 0x7F000001
CHANGE = InstallRecord("m", InstallState.NEW)


@dataclass
class FakeEngine:
    """Says in turn what is in ``script``; writes down what it is asked."""

    script: deque[Output] = field(default_factory=deque)
    asked: list[tuple[object, ...]] = field(default_factory=list)
    due_at: float = NEVER
    under_way: int = 0
    heard: trio.Event = field(default_factory=trio.Event)

    def _say(self, *asked: object) -> Output:
        self.asked.append(asked)
        self.heard.set()
        return self.script.popleft() if self.script else Output()

    def receive(self, batch: Sequence[Datagram], now: float) -> Output:
        return self._say("receive", *(datagram.data for datagram in batch))

    def provide(self, want: int, answer: Content | Absent, now: float) -> Output:
        return self._say("provide", want, answer.name if isinstance(answer, Content) else answer.missing)

    def unreadable(self, want: int, detail: str, now: float) -> Output:
        return self._say("unreadable", want)

    def committed(self, commit: int, verdict: Verdict, now: float) -> Output:
        return self._say("committed", commit, verdict)

    def uploaded(self, upload: int, refused: Absent | None, now: float) -> Output:
        return self._say("uploaded", upload, refused)

    def tick(self, now: float) -> Output:
        self.due_at = NEVER
        return self._say("tick", now)

    def deadline(self) -> float:
        return self.due_at

    def retire(self) -> None:
        self.asked.append(("retire",))

    def busy(self) -> bool:
        return self.under_way > 0


@dataclass
class FakeRack:
    """A tree of a few contents; what it absorbs may want to become durable."""

    contents: dict[str, Content] = field(default_factory=dict)
    absorbed: list[Output] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    fates: list[tuple[Change, Verdict]] = field(default_factory=list)

    def find(self, want: Want) -> Content | Absent:
        return self.contents.get(want.path) or Absent(Missing.NOT_FOUND)

    def accept(self, upload: Upload) -> Absent | None:
        return None if upload.data else Absent(Missing.DENIED)

    def absorb(self, output: Output) -> list[Change]:
        self.absorbed.append(output)
        return self.changes if output.delivered else []

    def committed(self, changes: Sequence[Change], verdict: Verdict) -> None:
        self.fates += [(change, verdict) for change in changes]


@dataclass
class FakeStore:
    verdict: Verdict = Verdict.DURABLE
    batches: list[list[Change]] = field(default_factory=list)

    def commit(self, batch: Sequence[Change]) -> list[Verdict]:
        self.batches.append(list(batch))
        return [self.verdict] * len(batch)


@dataclass
class FakeLink:
    """Raw frames, or their refusal."""

    works: bool
    frames: list[bytes | None] = field(default_factory=list)

    def send(self, send: Send) -> bool:
        self.frames.append(send.hardware)
        return self.works


@dataclass(eq=False)
class FakeSocket:
    """A port that writes down what leaves by it."""

    port: int
    interface: int = 0
    sent: list[tuple[int, int, bytes]] = field(default_factory=list)
    works: bool = True
    batches: int = 0

    def send(self, send: Send) -> bool:
        return self.send_parts(send.parts, send.to, send.source, send.interface)

    def send_parts(self, parts: Sequence[bytes | memoryview], to: bytes, source: int, interface: int) -> bool:
        self.sent.append((peer_address(to), peer_port(to), b"".join(parts)))
        return self.works

    def send_many(self, sends: Sequence[Send]) -> int:
        self.batches += 1
        return sum(not self.send(send) for send in sends)

    def send_run(self, run: Sequence[Sequence[bytes | memoryview]], to: bytes, source: int, interface: int) -> int:
        return sum(not self.send_parts(parts, to, source, interface) for parts in run)


class Stage:
    """A shell with fakes all around."""

    def __init__(self, *sockets: FakeSocket, link: FakeLink | None = None, store: FakeStore | None = None) -> None:
        self.engine, self.rack, self.store = FakeEngine(), FakeRack(), store or FakeStore()
        self.committer = Committer(self.store)  # type: ignore[arg-type]
        self.now = 100.0
        self.shell = Shell(
            self.engine,
            sockets,  # type: ignore[arg-type]
            self.rack,  # type: ignore[arg-type]
            self.committer,
            lambda: self.now,
            link,  # type: ignore[arg-type]
        )


def to_client(hardware: bytes | None = None, port: int = 67, interface: int = 3) -> Send:
    return Send(pack_peer(0x0A000005, 68), (b"off", b"er"), LOOPBACK, port, interface, hardware)


@pytest.mark.parametrize(
    ("link", "frames", "sent"),
    [
        pytest.param(FakeLink(works=True), 1, [], id="frame"),
        pytest.param(FakeLink(works=False), 0, [(BROADCAST, 68, b"offer")], id="frame refused"),
        pytest.param(None, 0, [(BROADCAST, 68, b"offer")], id="no frames"),
    ],
)
def test_a_client_without_address(link: FakeLink | None, frames: int, sent: list[tuple[int, int, bytes]]) -> None:
    """A raw frame where that is possible, else a broadcast to the same port, which RFC 2131 §4.1 allows."""
    port = FakeSocket(67)
    stage = Stage(port, link=link)
    stage.shell.obey(Output(sends=[to_client(b"\2\0\0\0\0\1")]))
    assert (frames, sent) == (stage.shell.statistics.frames, port.sent)


def test_a_reply_leaves_by_its_port_and_interface() -> None:
    """Each interface has its own socket for port 67; an interface without one (a relay's way back) takes the first of that port."""
    ports = [FakeSocket(67, 2), FakeSocket(67, 3), FakeSocket(4011, 2), FakeSocket(4011, 3)]
    stage = Stage(*ports)
    stage.shell.obey(Output(sends=[to_client(interface=3), to_client(port=4011, interface=2), to_client(interface=9)]))
    assert [1, 1, 1, 0] == [len(port.sent) for port in ports]


def test_a_datagram_that_the_kernel_refuses_is_counted() -> None:
    """To the peer it is a lost packet; the server goes on."""
    stage = Stage(FakeSocket(67, works=False))
    stage.shell.obey(Output(sends=[to_client()]))
    assert 1 == stage.shell.statistics.unsent


def memory(name: str, data: bytes) -> Content:
    return Content(name, (data,), len(data), 0, '"1"')


def test_wants_are_answered_until_nothing_is_wanted() -> None:
    """The answer to a want may lead to the next one: all are asked of the rack, in one go."""
    stage = Stage(FakeSocket(69))
    stage.rack.contents["a"] = memory("a", b"x")
    peer = pack_peer(LOOPBACK, 2070)
    stage.engine.script.extend([Output(wants=[Want(2, "b", peer)]), Output(uploads=[Upload(3, "c", b"data", peer)])])
    stage.shell.obey(Output(wants=[Want(1, "a", peer)]))
    assert [("provide", 1, "a"), ("provide", 2, Missing.NOT_FOUND), ("uploaded", 3, None)] == stage.engine.asked


def test_blocks_leave_as_datagrams() -> None:
    """A window of three blocks, the last one short, with their numbers in front."""
    port = FakeSocket(4000)
    blocks = Blocks(Stream(pack_peer(LOOPBACK, 2070), memory("f", b"abcdefg"), 3, port=4000), 1, 3)
    Stage(port).shell.obey(Output(sends=[blocks]))
    assert [b"\0\3\0\1abc", b"\0\3\0\2def", b"\0\3\0\3g"] == [data for _, _, data in port.sent]


def everything_sent(make: type[UdpSocket], base: Path) -> list[list[bytes]]:
    """What three clients hear of one output: single blocks and windows of a file, of a text and of pieces, and other packets."""
    body = bytes(range(256)) * 40
    (base / "file").write_bytes(body)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    udp = make(0, "127.0.0.1")
    try:
        with (base / "file").open("rb") as file:
            region = Region(OpenFile(file.fileno()), 0, len(body))
            contents = [
                Content("file", (region,), len(body), 0, '"1"'),
                memory("text", body[:3000]),
                Content("two", (Region(region.file, 100, 900), b"tail" * 300), 2100, 0, '"2"'),
            ]
            sends: list[Send | Blocks] = []
            for number, client in enumerate(clients):
                client.bind(("127.0.0.1", 0))
                client.settimeout(5)
                to = pack_peer(LOOPBACK, client.getsockname()[1])
                for content in contents:
                    sends.append(Blocks(Stream(to, content, 512, LOOPBACK, udp.port), 1 + number, 1))
                    sends.append(Send(to, (b"\0\6", b"oack"), LOOPBACK, udp.port))
                    sends.append(Blocks(Stream(to, content, 500, LOOPBACK, udp.port), 2, 3))
            stage = Stage(udp)
            stage.shell.obey(Output(sends=sends))
            # In flights: of one file, which goes the shortest way the second time; of several; and of one that leaves as bytes.
            for some in (contents[:1], contents[:1], contents, contents[1:2]):
                flight = Flight()
                for stream in [
                    each.stream for each in sends if isinstance(each, Blocks) and each.stream.content in some
                ]:
                    flight.add(Blocks(stream, 1, 2))
                stage.shell.obey(Output(flight=flight))
            return [[client.recv(2000) for _ in range(3 * 5 + 2 * 2 * (1 + 1 + 3 + 1))] for client in clients]
    finally:
        udp.close()
        for client in clients:
            client.close()


def test_mapped_files_leave_as_read_ones_do(tmp_path: Path) -> None:
    """By both kinds of socket each client hears the same datagrams in the same order."""
    assert everything_sent(UdpSocket, tmp_path) == everything_sent(BatchedUdpSocket, tmp_path)


@dataclass(eq=False)
class OpenFile:
    fd: int


def test_content_that_shrank(tmp_path: Path) -> None:
    """The engine is told which want it was; what it says to that is obeyed too."""
    path = tmp_path / "f"
    path.write_bytes(b"ab")
    port = FakeSocket(4000)
    stage = Stage(port)
    stage.engine.script.append(Output(sends=[Send(pack_peer(LOOPBACK, 2070), (b"\0\5",), port=4000)]))
    with path.open("rb") as file:
        content = Content("f", (Region(OpenFile(file.fileno()), 0, 600),), 600, 0, '"1"')
        stage.shell.obey(
            Output(sends=[Blocks(Stream(pack_peer(LOOPBACK, 2070), content, 512, port=4000, want=7), 1, 2)])
        )
    assert [("unreadable", 7)] == stage.engine.asked
    assert b"\0\5" == port.sent[-1][2]


@pytest.mark.parametrize("verdict", [Verdict.DURABLE, Verdict.FAILED])
async def test_commits_are_told_with_their_verdict(verdict: Verdict) -> None:
    """An engine that asked hears it, and its answer leaves only then; what the rack wanted kept goes to the rack; id 0 to nobody."""
    port = FakeSocket(67)
    stage = Stage(port, store=FakeStore(verdict))
    stage.rack.changes = [CHANGE]
    peer = pack_peer(LOOPBACK, 2070)
    stage.engine.script.append(Output(sends=[to_client()]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.committer.run)
        stage.shell.obey(
            Output(
                commits=[Commit((CHANGE,), 5), Commit((CHANGE,))], delivered=[Delivered(memory("f", b""), peer, 0.1)]
            )
        )
        assert [] == port.sent
        stage.committer.close()
    assert [("committed", 5, verdict)] == stage.engine.asked
    assert [(CHANGE, verdict)] == stage.rack.fates
    assert 1 == len(port.sent)
    assert 3 == sum(map(len, stage.store.batches))


async def test_what_became_durable_together_leaves_together() -> None:
    """The answers to a hundred machines whose leases shared a flush are one batch for the socket."""
    port = FakeSocket(67)
    stage = Stage(port)
    stage.engine.script.extend(Output(sends=[to_client()]) for _ in range(100))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.committer.run)
        stage.shell.obey(Output(commits=[Commit((CHANGE,), number) for number in range(1, 101)]))
        stage.committer.close()
    assert [("committed", number, Verdict.DURABLE) for number in range(1, 101)] == stage.engine.asked
    assert (100, 1) == (len(port.sent), port.batches)


@pytest.fixture
def udp() -> Iterator[UdpSocket]:
    made = UdpSocket(0, "127.0.0.1")
    yield made
    made.close()


def timed(udp: UdpSocket) -> Stage:
    """A shell on a real socket and trio's clock, which the test may advance by itself."""
    stage = Stage()
    stage.shell = Shell(
        stage.engine,
        [udp],
        stage.rack,  # type: ignore[arg-type]
        stage.committer,
        trio.current_time,
    )
    return stage


async def test_deadlines(udp: UdpSocket, autojump_clock: trio.testing.MockClock) -> None:
    """The engine is woken at its deadline, at an earlier one that appears meanwhile, and not at all while there is none."""
    stage = timed(udp)
    stage.engine.due_at = start = trio.current_time() + 10
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.shell.run)
        await trio.sleep(5)
        assert [] == stage.engine.asked
        stage.engine.due_at = earlier = trio.current_time() + 1
        stage.shell.obey(Output())
        await trio.sleep(1000)
        ((_, at),) = stage.engine.asked
        assert earlier <= float(str(at)) < start
        stage.engine.due_at = trio.current_time()  # overdue already
        stage.shell.obey(Output())
        await trio.sleep(1000)
        assert 2 == len(stage.engine.asked)
        nursery.cancel_scope.cancel()


async def test_datagrams_reach_the_engine(udp: UdpSocket) -> None:
    """What arrives on the socket is handed over, and events go to the rack."""
    stage = timed(udp)
    event = Event("dhcp.inform")
    stage.engine.script.append(Output(events=[event]))
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.shell.run)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, trio.fail_after(5):
            client.sendto(b"hello", ("127.0.0.1", udp.port))
            await stage.engine.heard.wait()
        nursery.cancel_scope.cancel()
    assert [("receive", b"hello")] == stage.engine.asked
    assert [event] == stage.rack.absorbed[0].events


async def test_a_flood_leaves_others_their_turn(udp: UdpSocket) -> None:
    """While the queue never empties, other tasks run after every batch."""
    stage, turns, seen = timed(udp), 0, []

    def hear(batch: Sequence[Datagram], now: float) -> Output:
        seen.append((turns, len(batch)))
        return Output()

    stage.engine.receive = hear  # type: ignore[method-assign]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(5 * BATCH):
            client.sendto(b"x", ("127.0.0.1", udp.port))
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.shell.run)
        with trio.fail_after(5):
            while sum(size for _, size in seen) < 5 * BATCH:
                turns += 1
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    # Whose turn is first within a round is chance, so two batches may stand beside each other.
    assert max(Counter(turn for turn, _ in seen).values()) <= 2


async def test_an_exception_of_the_engine_stops_the_shell(udp: UdpSocket) -> None:
    """A broken invariant is ours: it must be seen, not served on."""
    stage = timed(udp)
    stage.engine.receive = lambda batch, now: 1 // 0  # type: ignore[method-assign,assignment,return-value]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("127.0.0.1", udp.port))
    with pytest.raises(ExceptionGroup) as raised, trio.fail_after(5):
        await stage.shell.run()
    assert raised.group_contains(ZeroDivisionError)


async def test_draining_waits_for_what_is_under_way() -> None:
    """The engine is retired at once; drained when it is not busy any more."""
    stage = Stage(FakeSocket(69))
    stage.engine.under_way = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.shell.drain)
        await trio.testing.wait_all_tasks_blocked()
        assert [("retire",)] == stage.engine.asked
        stage.shell.obey(Output())
        await trio.testing.wait_all_tasks_blocked()
        assert 1 == len(nursery.child_tasks)
        stage.engine.under_way = 0
        stage.shell.obey(Output())
