"""Reads the beginning of files by TFTP, as firmware asks for them and in other ways, and sees what arrives.

Never a whole file: the transfer is broken off before its last block is acknowledged, so that no server takes it for a boot.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from pxenet.doctor.observed import TftpAnswer, TftpRead, TftpTry
from pxenet.sim.body import Pairs
from pxenet.sim.tftp import TFTP_PORT
from pxenet.wire.reader import WireError
from pxenet.wire.shapes import show
from pxenet.wire.text import address_text, parse_address
from pxenet.wire.tftp import Ack, Data, Error, Oack, OpCode, Packet, Request, parse, serialize

RETRY_S, TRIES = 0.5, 3
ENOUGH_BYTES = 4096
"""Of a file: several blocks, and the head of a program."""
SIZES = (1468, 1456, 1448, 1432, 1428, 1408, 1400, 1380, 1344, 1300, 1228, 1200, 1024, 768, 512)
"""Block sizes that firmware, tunnels and VPNs bring about, the largest first."""
LARGE = 8192
"""Some loaders ask for more than fits into a frame: their blocks come in fragments."""
_LARGEST_PACKET = 65536


async def examine(server: int, name: str, options: Pairs, by: Sequence[str], source: int) -> TftpRead:
    """Try a file: as it is asked for; when nothing arrives, with smaller blocks; when all is well, with large ones."""
    first = await attempt(server, name, options, source)
    sizes: tuple[tuple[int, bool], ...] = ()
    large = None
    if first.answer is TftpAnswer.OACK and not first.arrives:
        sizes = await _arriving(server, name, first.blksize, source)
    elif first.answer is TftpAnswer.OACK and not first.last:
        large = await attempt(server, name, (("blksize", str(LARGE)), ("tsize", "0")), source)
    return TftpRead(server, name, tuple(by), first, sizes, large)


async def _arriving(server: int, name: str, failing: int, source: int) -> tuple[tuple[int, bool], ...]:
    """The largest block size below that arrives, by halving; what was tried."""
    sizes = [size for size in SIZES if size < failing]
    tried: list[tuple[int, bool]] = []
    low, high = 0, len(sizes)
    while low < high:
        middle = (low + high) // 2
        found = await attempt(server, name, (("blksize", str(sizes[middle])),), source)
        tried.append((sizes[middle], found.arrives))
        low, high = (low, middle) if found.arrives else (middle + 1, high)
    return tuple(tried)


@dataclass(slots=True)
class _Transfer:
    """One under way."""

    sock: trio.socket.SocketType
    server: int
    last_said: bytes
    peer: tuple[str, int]
    answer: TftpAnswer = TftpAnswer.SILENCE
    granted: Pairs = ()
    code: int = 0
    text: str = ""
    address: int = 0
    kept: list[bytes] = field(default_factory=list)
    got_bytes: int = 0
    expected: int = 1
    since_ack: int = 0
    first_window: set[int] = field(default_factory=set)
    again: bool = False
    """Something had to be said twice: what comes now is no measure of the first window."""
    blksize: int = 512
    windowsize: int = 1
    last: bool = False
    over: bool = False


async def attempt(server: int, name: str, options: Pairs, source: int) -> TftpTry:
    """One read request and the first blocks that follow."""
    try:
        request = serialize(Request(OpCode.RRQ, name, "octet", options))
    except WireError as error:
        return TftpTry(TftpAnswer.ERROR, options, text=f"it cannot be asked for: {error}")
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        await sock.bind((address_text(source), 0))
        work = _Transfer(sock, server, request, (address_text(server), TFTP_PORT))
        try:
            await _run(work, 1)
            if work.answer is TftpAnswer.SILENCE and await _refused(server, request, source):
                work.answer = TftpAnswer.REFUSED
            else:
                await _run(work, TRIES - 1)
            if work.answer in (TftpAnswer.OACK, TftpAnswer.DATA):
                await sock.sendto(serialize(Error(0, "")), work.peer)
        except OSError as error:
            work.text = error.strerror or str(error)
    head = b"".join(work.kept)
    granted = tuple((_shown(name), _shown(value)) for name, value in work.granted)
    text, window = _shown(work.text), len(work.first_window)
    return TftpTry(work.answer, options, granted, work.code, text, work.address, head, window, work.last)


def _shown(text: str) -> str:
    """Without surrogates, in which bytes that are no UTF-8 come out of the codec: such text can be printed."""
    return show(text.encode("utf-8", "surrogateescape"))


async def _run(work: _Transfer, most: int) -> None:
    """Say the last thing, and go on as long as something comes of it; ``most``: so often in vain."""
    tries = 0
    while not work.over and tries < most:
        await work.sock.sendto(work.last_said, work.peer)
        before = work.expected
        with trio.move_on_after(RETRY_S):
            while not work.over:
                payload, sender = await work.sock.recvfrom(_LARGEST_PACKET)
                await _hear(work, payload, sender)
        tries = 0 if work.expected > before and not work.over else tries + 1
        work.again = work.again or work.answer is TftpAnswer.OACK


async def _hear(work: _Transfer, payload: bytes, sender: tuple[str, int]) -> None:
    try:
        packet = parse(payload)
    except WireError:
        return
    if work.answer is TftpAnswer.SILENCE:
        work.address = parse_address(sender[0])
        work.peer = sender
        await _begin(work, packet)
    elif sender == work.peer:
        if isinstance(packet, Data):
            await _data(work, packet)
        elif isinstance(packet, Error):
            work.code, work.text, work.over = packet.code, packet.text, True


async def _begin(work: _Transfer, packet: Packet) -> None:
    if isinstance(packet, Error):
        work.answer, work.code, work.text, work.over = TftpAnswer.ERROR, packet.code, packet.text, True
    elif isinstance(packet, Oack):
        work.answer, work.granted = TftpAnswer.OACK, packet.options
        granted = TftpTry(TftpAnswer.OACK, granted=packet.options)
        work.blksize, work.windowsize = granted.blksize, granted.option("windowsize") or 1
        await _say(work, Ack(0))
    elif isinstance(packet, Data):
        work.answer = TftpAnswer.DATA
        await _data(work, packet)


async def _data(work: _Transfer, packet: Data) -> None:
    if packet.block <= work.windowsize and not work.again:
        work.first_window.add(packet.block)
    if packet.block != work.expected:
        return
    work.kept.append(packet.payload)
    work.got_bytes += len(packet.payload)
    work.expected += 1
    work.since_ack += 1
    work.last = len(packet.payload) < work.blksize
    work.over = work.last or (work.got_bytes >= ENOUGH_BYTES and work.expected > work.windowsize)
    if work.since_ack >= work.windowsize and not work.over:
        await _say(work, Ack(packet.block))


async def _say(work: _Transfer, packet: Packet) -> None:
    work.since_ack = 0
    work.last_said = serialize(packet)
    await work.sock.sendto(work.last_said, work.peer)


async def _refused(server: int, request: bytes, source: int) -> bool:
    """Whether the server's kernel says that nobody listens: only a connected socket hears of that."""
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        await sock.bind((address_text(source), 0))
        with trio.move_on_after(RETRY_S):
            try:
                await sock.connect((address_text(server), TFTP_PORT))
                await sock.send(request)
                await sock.recv(_LARGEST_PACKET)
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
    return False
