"""What a transfer and a block cost, in numbers that do not depend on the machine: octets held, objects made, functions called."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from array import array
from collections.abc import Iterator
from types import FrameType

import pytest
from tftp_harness import PORTS, SERVER

from pxenet.engine.surface import Blocks, Output, Send
from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.model import Content
from pxenet.net.datagram import Datagram, Quads, pack_peer
from pxenet.wire.tftp import Ack, OpCode, Options, Request, serialize

BLKSIZE = 1428
LOCK_STEP: Options = (("blksize", str(BLKSIZE)), ("tsize", "0"))
WINDOW: Options = (("blksize", str(BLKSIZE)), ("windowsize", "16"))
RTT_S = 0.001

TRANSFER_BYTES = 1280
"""Held for each transfer, with its request and its address; it was 1110."""


class Crowd:
    """A server with many clients that read one content, in step."""

    def __init__(self, count: int, options: Options, blocks: int) -> None:
        self.server = TftpServer(TftpSettings(tid_ports=PORTS))
        self.content = Content("file", (b"",), (blocks - 1) * BLKSIZE, 0, '"1"')
        self.now = 0.0
        self.ports: dict[int, list[bytes]] = {port: [] for port in PORTS}
        request = serialize(Request(OpCode.RRQ, "file", "octet", options))
        for first in range(0, count, 100):
            peers = [pack_peer(0x0A000100 + first + n, 2070) for n in range(min(100, count - first))]
            for send in self._begun([Datagram(bytes(bytearray(request)), peer, SERVER, 69, 2) for peer in peers]):
                self.ports[send.port].append(bytes(bytearray(send.to)))

    def _begun(self, asked: list[Datagram]) -> Iterator[Send | Blocks]:
        out = self.server.receive(asked, self.now)
        for want in out.wants:
            yield from self.server.provide(want.id, self.content, self.now).sends

    def acknowledge(self, number: int) -> list[Output]:
        """All clients, by the batch; ``number`` is that of a block."""
        self.now += RTT_S
        return [self.server.receive(batch, self.now) for batch in self.batches(number)]

    def batches(self, number: int) -> list[Quads]:
        """Their acknowledgments as they come, each peer in octets of its own."""
        word = int.from_bytes(serialize(Ack(number & 0xFFFF)), "big")
        return [
            Quads([bytes(bytearray(peer)) for peer in part], array("I", [word] * len(part)), SERVER, port, 2, False)
            for port, peers in self.ports.items()
            for part in (peers[at : at + 100] for at in range(0, len(peers), 100))
        ]


def test_ten_thousand_at_once() -> None:
    """Each of the transfers under way holds little more than a kilobyte, all come to their end, and then nothing of them is left but
    the memory of who was there.
    """
    Crowd(10, LOCK_STEP, 4)  # what is made once
    tracemalloc.start(1)
    try:
        before, _ = tracemalloc.get_traced_memory()
        crowd = Crowd(10_000, LOCK_STEP, 4)
        for number in range(4):
            crowd.acknowledge(number)
        assert 10_000 == crowd.server.statistics().reading
        held, _ = tracemalloc.get_traced_memory()
        crowd.acknowledge(4)
        crowd.ports.clear()
        crowd.server.tick(crowd.now + 10)
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (0, 10_000) == (crowd.server.statistics().reading, crowd.server.statistics().completed)
    assert (held - before) / 10_000 < TRANSFER_BYTES
    assert (left - before) / 10_000 < 512


@pytest.fixture(params=[(LOCK_STEP, 1), (WINDOW, 16)], ids=["lock-step", "windows"])
def flowing(request: pytest.FixtureRequest) -> tuple[Crowd, list[Quads]]:
    """A hundred transfers in full flow, and the acknowledgments that they have next."""
    options, step = request.param
    crowd = Crowd(100, options, 70_000)
    for turn in range(10):
        crowd.acknowledge(turn * step)
    crowd.now += RTT_S
    return crowd, crowd.batches(10 * step)


def leave(outs: list[Output]) -> int:
    """How many windows that are; each is as much work for the engine as a block in lock-step."""
    return sum(len(out.leaving()) for out in outs)


def test_objects_for_each_window(flowing: tuple[Crowd, list[Quads]]) -> None:
    """What is held from an acknowledgment until the window has left is a place in three lists, and nothing of its own."""
    crowd, batches = flowing
    gc.collect()
    gc.disable()
    tracemalloc.start(1)
    try:
        outs = [crowd.server.receive(batch, crowd.now) for batch in batches]
        made = tracemalloc.take_snapshot().statistics("filename")
    finally:
        tracemalloc.stop()
        gc.enable()
    assert 100 == leave(outs)
    assert sum(each.count for each in made) / 100 < 0.5  # it was 0.24
    assert sum(each.size for each in made) / 100 < 64  # it was 39


def test_calls_for_each_window(flowing: tuple[Crowd, list[Quads]]) -> None:
    """One function takes an acknowledgment; the others put the window into lists."""
    crowd, batches = flowing
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    outs = []
    sys.setprofile(count)
    try:
        for batch in batches:
            outs.append(crowd.server.receive(batch, crowd.now))
    finally:
        sys.setprofile(None)
    assert 100 == leave(outs)
    assert calls / 100 < 4.5  # it was 4.1
