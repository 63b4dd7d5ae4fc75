"""Letters between the server and a worker, over a pair of sockets: plain values, and open files beside them.

A letter is a tuple of numbers, texts, bytes, and lists or dicts of such; those of one turn leave in one packet. Knows what ends the
correspondence. Must not know what is written.
"""

from __future__ import annotations

import array
import errno
import marshal
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

import trio

from pxenet.content.directory import OpenFile
from pxenet.model import Readable

Letter = tuple[object, ...]

LARGE_BYTES = 32 << 10
"""What is larger goes as a file of its own: a packet must fit into the kernel's buffer (net.core.wmem_default, 208 KiB)."""

_PACKET_BYTES = 64 << 10
_PACKET_FILES = 60  # SCM_MAX_FD is 253
_RECEIVE_BYTES = 256 << 10
_GATHERED = 500
"""Entries in one letter."""
_LISTS = 256
"""Letters of gathered entries that wait for a reader who does not read: 8 MiB of them."""

_WAITING = 50_000
"""Letters that wait for a reader who does not read; those that may be lost are, beyond it."""

_LATER_S = 0.02
"""What need not come at once is gathered for so long: each packet wakes a process."""

_MSG_CMSG_CLOEXEC = 0x40000000  # sys/socket.h; the socket module has no name for it
_INTS = array.array("i").itemsize


class EndedError(Exception):
    """The other side is not there any more."""


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a correspondence."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    return ends[0], ends[1]


class Post:
    """One end. ``run`` must be running for anything to leave. Who writes and reads is a single task of its own each."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._waiting: deque[tuple[bytes | Letter, Sequence[Readable]]] = deque()
        self._gathering: list[object] | None = None
        """What stands in a letter that has not left yet."""
        self._gathered_bytes = 0
        self._lists = 0
        """Letters in ``waiting`` that are lists which were gathered."""
        self._busy = False
        self._urgent = False
        self._hurry = trio.lowlevel.ParkingLot()
        self._idle = trio.lowlevel.ParkingLot()
        self._sent = trio.lowlevel.ParkingLot()
        self._buffer = bytearray(_RECEIVE_BYTES)
        self.lost = 0
        """Letters that were not written because the other side does not read."""

    def close(self) -> None:
        """Nobody writes or reads any more."""
        self._socket.close()

    def write(self, *letter: object, files: Sequence[Readable] = ()) -> None:
        """Send a letter soon; ``files`` stay open until then."""
        self._waiting.append((_packed(letter), files))
        self._urgent = True
        self._hurry.unpark_all()
        self._idle.unpark_all()

    def mention(self, *letter: object) -> None:
        """Send a letter that may come a little later, and be lost when very many wait; never after one that is written later."""
        if len(self._waiting) >= _WAITING:
            self.lost += 1
            return
        self._waiting.append((_packed(letter), ()))
        self._idle.unpark_all()

    def gathering(self, kind: str, size: int) -> list[object] | None:
        """A list that leaves as the letter (kind, list) a little later: to be added to until then. None: very many wait.

        ``kind``: always the same. ``size``: bytes that will be added.
        """
        if self._gathering is None or self._gathered_bytes + size > LARGE_BYTES or len(self._gathering) >= _GATHERED:
            if self._lists >= _LISTS:
                return None
            self._lists += 1
            self._gathering, self._gathered_bytes = [], 0
            self._waiting.append(((kind, self._gathering), ()))
            self._idle.unpark_all()
        self._gathered_bytes += size
        return self._gathering

    def has_left(self, gathering: list[object]) -> bool:
        """Nothing can be added to it any more."""
        return gathering is not self._gathering

    async def run(self) -> None:
        """Send what is written, until cancelled or the other side is gone."""
        while True:
            if self._waiting and not self._urgent:
                with trio.move_on_after(_LATER_S):
                    await self._hurry.park()
            self._urgent = False
            while self._waiting:
                self._busy = True
                await self._send(*self._packet())
            self._busy = False
            self._sent.unpark_all()
            await self._idle.park()

    async def settle(self) -> None:
        """Wait until all that is written has left."""
        while self._waiting or self._busy:
            await self._sent.park()

    def _packet(self) -> tuple[bytes, list[Readable]]:
        letters: list[bytes] = []
        files: list[Readable] = []
        size = 0
        while self._waiting:
            letter, beside = self._waiting[0]
            if not isinstance(letter, bytes):
                if letter[1] is self._gathering:
                    self._gathering = None
                self._lists -= 1
                letter = _packed(letter)
                self._waiting[0] = letter, beside
            if letters and (size + len(letter) > _PACKET_BYTES or len(files) + len(beside) > _PACKET_FILES):
                break
            self._waiting.popleft()
            letters.append(letter)
            files += beside
            size += len(letter)
        return marshal.dumps(letters), files

    async def _send(self, packet: bytes, files: Sequence[Readable]) -> None:
        beside = []
        if files:
            numbers = array.array("i", [file.fd for file in files])
            beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
        while True:
            try:
                self._socket.sendmsg([packet], beside, socket.MSG_NOSIGNAL)
                return
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                if error.errno in (errno.EPIPE, errno.ECONNRESET):
                    return  # whoever reads here is told
                if error.errno not in (errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM):
                    raise
                await trio.sleep(0.01)  # too many files are on their way already, or memory is short

    async def read(self) -> tuple[list[Letter], list[OpenFile]]:
        """The letters of the next packet and the files beside them, in order; fewer files than were sent when too many are open.

        Raises EndedError.
        """
        while True:
            try:
                size, beside, _, _ = self._socket.recvmsg_into(
                    [self._buffer], socket.CMSG_SPACE(_PACKET_FILES * _INTS), _MSG_CMSG_CLOEXEC
                )
                break
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
            except ConnectionResetError:
                pass  # it ended without having read everything; what it wrote is there all the same
        if not size:
            raise EndedError
        files: list[OpenFile] = []
        for level, kind, data in beside:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(data[: len(data) - len(data) % _INTS])
                files += map(OpenFile, numbers)
        letters = marshal.loads(memoryview(self._buffer)[:size])
        return [marshal.loads(letter) for letter in letters], files


def _packed(letter: Any) -> bytes:
    return marshal.dumps(letter)


def file_of(data: bytes) -> OpenFile:
    """A file in memory with these bytes. Raises OSError."""
    file = OpenFile(os.memfd_create("pxenet", os.MFD_CLOEXEC))
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file.fd, rest) :]
    return file
