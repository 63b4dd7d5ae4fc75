"""Blocks cut out of mapped files: the same datagrams as by the plain path, whoever they are for, and nothing of a file that was cut."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pxenet.net.batched import BatchedUdpSocket
from pxenet.net.cuts import Run
from pxenet.net.datagram import pack_peer
from pxenet.net.mapped import PAIR_SHIFT, RUN_SHIFT, SPARE, FileMap, Layout, Shelf, data_headers
from pxenet.net.udp import BATCH, EVERYWHERE

LOCALHOST = 0x7F000001
BODY = os.urandom(200_000)


@dataclass
class Stream:
    """See ``cuts.Stream``."""

    to: bytes
    source: int = LOCALHOST


@dataclass
class Flight:
    """See ``cuts.Flight``."""

    streams: list[Stream]
    firsts: list[int]
    counts: list[int]


@dataclass
class Cut:
    """A window that leaves."""

    stream: Stream
    blksize: int
    first: int
    count: int = 1


def layout(file: FileMap, cut: Cut, size: int, shelf: Shelf | None = None) -> Layout:
    return Layout(shelf or Shelf(), file, 0, size, cut.blksize)


def run(layout: Layout, *cuts: Cut) -> Run:
    return layout, Flight([cut.stream for cut in cuts], [cut.first for cut in cuts], [cut.count for cut in cuts])


def plain(cut: Cut, body: bytes) -> list[bytes]:
    """What must arrive."""
    found = []
    for number in range(cut.first, cut.first + cut.count):
        start = (number - 1) * cut.blksize
        found.append(b"\0\3" + (number & 0xFFFF).to_bytes(2, "big") + body[start : start + cut.blksize])
    return found


@pytest.fixture(params=["127.0.0.1", EVERYWHERE])
def udp(request: pytest.FixtureRequest) -> Iterator[BatchedUdpSocket]:
    one = BatchedUdpSocket(0, request.param)
    yield one
    one.close()


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(5)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        yield one


def mapped(base: Path, body: bytes) -> FileMap:
    (base / "file").write_bytes(body)
    with (base / "file").open("rb") as file:
        return FileMap(file.fileno(), len(body))


def peer(client: socket.socket) -> bytes:
    return pack_peer(LOCALHOST, client.getsockname()[1])


@pytest.mark.parametrize(
    ("blksize", "first", "count", "size"),
    [
        (512, 1, 1, 100_000),
        (1428, 71, 1, 100_000),  # the last, short
        (500, 201, 1, 100_000),  # the last, empty
        (1428, 1, 16, 100_000),
        (1428, 60, 11, 100_000),  # to the short end
        (500, 190, 12, 100_000),  # to the empty end
        (512, 1, 150, 100_000),  # more than one call may carry
        (8192, 1, 12, 100_000),
        (65464, 1, 2, 100_000),
        (1, 65_530, 20, 100_000),  # the number on the wire rolls over
        (1, 131_071, 3, 200_000),
        (16, 1023, 40, 200_000),  # from one run of iovecs into the next
        (1, 65_535, 64, 200_000),  # the same, where the number rolls over
    ],
)
@pytest.mark.parametrize("segmented", [True, False], ids=["cut by the kernel", "one by one"])
def test_blocks_are_those_of_the_plain_path(
    tmp_path: Path,
    udp: BatchedUdpSocket,
    client: socket.socket,
    blksize: int,
    first: int,
    count: int,
    size: int,
    segmented: bool,
) -> None:
    """Header and octets of each, in order; also where a route takes no segments."""
    body = BODY[:size]
    file = mapped(tmp_path, body)
    cut = Cut(Stream(peer(client)), blksize, first, count)
    if not segmented:
        udp.blocks.unsegmented[cut.stream.to[4:8]] = None
    assert [] == udp.blocks.send([run(layout(file, cut, size), cut)])
    expected = plain(cut, body)
    assert expected == [client.recv(65536) for _ in expected]
    assert (count, 0) == (udp.statistics.sent, udp.statistics.unsent)


def test_many_peers_in_order(tmp_path: Path, udp: BatchedUdpSocket, client: socket.socket) -> None:
    """More than fit into a batch, windows among single blocks, with a source and without: each peer gets its own, in order."""
    file = mapped(tmp_path, BODY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(5)
        cuts = []
        for number in range(1, 2 * BATCH + 9):
            to = peer(client) if number % 3 else peer(other)
            cuts.append(Cut(Stream(to, LOCALHOST * (number % 2)), 512, number, 4 if number % 20 == 0 else 1))
        assert [] == udp.blocks.send([run(layout(file, cut, len(BODY)), cut) for cut in cuts])
        for one, sock in ((peer(client), client), (peer(other), other)):
            expected = [data for cut in cuts if cut.stream.to == one for data in plain(cut, BODY)]
            assert expected == [sock.recv(1000) for _ in expected]


def test_runs_of_many(tmp_path: Path, udp: BatchedUdpSocket, client: socket.socket) -> None:
    """What is cut alike goes together: as many as make one batch, one more, and none."""
    file = mapped(tmp_path, BODY)
    assert [] == udp.blocks.send([])
    for most in (BATCH, BATCH + 1):
        cuts = [Cut(Stream(peer(client)), 512 >> (number & 1), number) for number in range(1, most + 1)]
        alike = cuts[0::2], cuts[1::2]
        assert [] == udp.blocks.send([run(layout(file, few[0], len(BODY)), *few) for few in alike])
        expected = [data for few in alike for cut in few for data in plain(cut, BODY)]
        assert expected == [client.recv(1000) for _ in expected]


def test_a_file_that_was_cut(tmp_path: Path, udp: BatchedUdpSocket, client: socket.socket) -> None:
    """What is not there any more is told, block or window; the others leave."""
    file = mapped(tmp_path, BODY)
    good = mapped(tmp_path / "..", BODY[:1000])
    os.truncate(tmp_path / "file", 0)
    gone, window = Cut(Stream(peer(client)), 512, 9), Cut(Stream(peer(client)), 512, 20, 8)
    here = Cut(Stream(peer(client)), 512, 1)
    unread = udp.blocks.send(
        [
            run(layout(file, gone, len(BODY)), gone),
            run(layout(good, here, 1000), here),
            run(layout(file, window, len(BODY)), window),
        ]
    )
    assert [gone.stream, window.stream] == unread
    assert plain(here, BODY[:1000]) == [client.recv(1000)]
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1000)


def test_a_refused_block_keeps_none_of_the_others(tmp_path: Path, udp: BatchedUdpSocket, client: socket.socket) -> None:
    """It is counted as lost: here to port 0, and a window from an address that is not ours."""
    file = mapped(tmp_path, BODY)
    here = Cut(Stream(peer(client)), 512, 3)
    cuts = [Cut(Stream(pack_peer(LOCALHOST, 0)), 512, 1), Cut(Stream(peer(client), 0xC633644D), 512, 1, 4), here]
    assert [] == udp.blocks.send([run(layout(file, cut, len(BODY)), cut) for cut in cuts])
    assert plain(here, BODY) == [client.recv(1000)]
    assert 1 == udp.statistics.sent
    assert udp.statistics.unsent >= 2


def test_a_map_is_refused() -> None:
    """What cannot be mapped is an error, and nothing is taken away at the end."""
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="No such device"):
            FileMap(read, 4096)
    finally:
        os.close(read)
        os.close(write)


def test_headers_stand_in_a_row() -> None:
    """One table for all, made once."""
    assert data_headers() == data_headers()


def test_iovecs_are_laid_out_once_and_bounded(tmp_path: Path, udp: BatchedUdpSocket, client: socket.socket) -> None:
    """All readers of a file share its runs. When there are too many the older ones go, and are made again when they are asked for."""
    file = mapped(tmp_path, BODY)
    shelf = Shelf(limit=2 * ((1 << RUN_SHIFT) + SPARE << PAIR_SHIFT))
    one, other = (Layout(shelf, file, 0, len(BODY), blksize) for blksize in (8, 16))
    places = one[0], one[1]
    assert places == (one[0], one[1])
    assert other[0] not in places  # those still stand: whoever has just asked for them may use them
    assert ([], [0]) == (sorted(one), sorted(other))
    cuts = [Cut(Stream(peer(client)), 8, 1020, 9), Cut(Stream(peer(client)), 16, 7)]
    assert [] == udp.blocks.send([run(one, cuts[0]), run(other, cuts[1])])
    expected = [data for cut in cuts for data in plain(cut, BODY)]
    assert expected == [client.recv(1000) for _ in expected]
    assert ([0], [0]) == (sorted(one), sorted(other))
