"""One TCP connection: bytes and regions of files out of it and into it, with nobody able to make us wait for ever.

Knows sendfile(2), what the kernel says about unacknowledged bytes, and cold files. Must not know HTTP.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import termios
from dataclasses import dataclass
from typing import Protocol

import trio

from pxenet.model import Region
from pxenet.net.datagram import pack_peer
from pxenet.server.tap import Tap, TcpEnds

RECEIVE_BYTES = 64 << 10

_STEP_BYTES = 1 << 20
"""How much of a file is sent before others get their turn, and the unit in which cold files are read ahead."""

_READ_AHEAD_BYTES = 4 << 20

_UNSENT_BYTES = 1 << 20
"""What the kernel may hold of one connection beyond what is on its way. Of files it holds references to its own page cache; what
is less costs a turn of the loop more often."""

_TCP_NOTSENT_LOWAT = 25  # linux/tcp.h; the socket module has no name for it

_GONE = frozenset(
    {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH}
)
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})

_MAPPED = bytes(10) + b"\xff\xff"
"""First bytes of an IPv4 address in IPv6 form, as a socket for both families reports it."""


class GoneError(Exception):
    """The other side is not there any more."""


class TooSlowError(Exception):
    """The other side takes almost nothing."""


class FileFaultError(Exception):
    """A file became shorter, or cannot be read: what was promised cannot be sent."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The least that a reader must take: ``bytes`` in any ``window_s`` seconds."""

    bytes: int = 16 << 10
    window_s: float = 60.0
    """librepo itself gives up after 30 s below 1000 bytes a second; GRUB may pause longer while a person reads a menu."""


def sockaddr(address: tuple[str, int] | tuple[str, int, int, int]) -> bytes:
    """An address as ``accept`` gives it, as raw ``sockaddr``; IPv4 in IPv6 form becomes plain IPv4."""
    host, port = address[0], address[1]
    if ":" not in host:
        return pack_peer(int.from_bytes(socket.inet_aton(host), "big"), port)
    raw = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if raw.startswith(_MAPPED):
        return pack_peer(int.from_bytes(raw[12:], "big"), port)
    scope = address[3] if len(address) == 4 else 0
    # struct sockaddr_in6: family (host order), port, flow label, address, scope (host order).
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + raw + struct.pack("=I", scope)


def ipv4_of(peer: bytes) -> int:
    """The IPv4 address of a raw ``sockaddr`` as an int; 0 for IPv6."""
    return int.from_bytes(peer[4:8], "big") if peer[:2] == struct.pack("=H", socket.AF_INET) else 0


class Wire(Protocol):
    """What a connection is to those who speak HTTP on it. All methods raise GoneError when the other side is."""

    @property
    def sent(self) -> int:
        """Bytes handed to the kernel."""
        ...

    async def receive(self) -> bytes:
        """What has arrived, waiting for it; b"" when the other side will send no more."""
        ...

    def begin(self) -> None:
        """A new reply: the reader's time counts from now."""
        ...

    async def send(self, data: bytes, *, more: bool = False) -> None:
        """Send bytes; with ``more`` the kernel may keep the end of them until what follows fills the packet."""
        ...

    async def send_file(self, region: Region) -> None:
        """Send a part of a file. Raises FileFaultError when it turns out to be shorter."""
        ...

    async def acknowledged(self) -> bool:
        """Did the other side's kernel take everything? That the bytes left us proves nothing: they may wait in our own buffers."""
        ...

    def finish(self) -> None:
        """Tell the other side that no more will come."""
        ...

    async def linger(self, limit_s: float, limit_bytes: int) -> None:
        """Finish, and let the other side read our last words, as long and as much as the limits say."""
        ...

    def close(self) -> None:
        """Release the socket."""
        ...


class TcpWire:
    """A connected socket, not blocking: see Wire."""

    def __init__(
        self,
        sock: socket.socket,
        pace: Pace,
        threads: trio.CapacityLimiter,
        tap: Tap | None = None,
        ends: TcpEnds | None = None,
    ) -> None:
        """``ends``: who is told to the ``tap`` to be speaking; None: nobody is told."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self.socket = sock
        self.tap = tap if tap is not None and ends is not None else Tap()
        self.ends = ends or TcpEnds(b"", 0, 0)
        self._pace = pace
        self._threads = threads
        self._window_end = 0.0
        """When the reader is judged next; 0 until it has made us wait."""
        self._taken_before = 0
        """Bytes that the other side had acknowledged when the window began."""
        self.sent = 0
        """Bytes handed to the kernel."""

    def close(self) -> None:
        self.socket.close()
        if self.tap.listener is not None:
            self.tap.listener.closed(self.ends)

    async def receive(self) -> bytes:
        """What has arrived, waiting for it; b"" when the other side will send no more."""
        while True:
            try:
                data = self.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.socket)
            except OSError as error:
                raise GoneError from error
            else:
                if self.tap.listener is not None:
                    self.tap.listener.heard(self.ends, data)
                return data

    def begin(self) -> None:
        """A new reply: the reader's time counts from now."""
        self._window_end = 0.0

    async def send(self, data: bytes, *, more: bool = False) -> None:
        """Send bytes; with ``more`` the kernel may keep the end of them until what follows fills the packet."""
        view = memoryview(data)
        flags = socket.MSG_NOSIGNAL | (socket.MSG_MORE if more else 0)
        while view:
            try:
                count = self.socket.send(view, flags)
            except BlockingIOError:
                await self._writable()
                continue
            except OSError as error:
                raise GoneError from error
            self.sent += count
            if self.tap.listener is not None:
                self.tap.listener.said(self.ends, bytes(view[:count]), count)
            view = view[count:]

    async def send_file(self, region: Region) -> None:
        """Send a part of a file. Raises FileFaultError when it turns out to be shorter."""
        offset, end = region.offset, region.offset + region.length
        while offset < end:
            step_end = min(end, offset + _STEP_BYTES)
            await self.warm(region, offset, step_end)
            while offset < step_end:
                count = self._send_some(region.file.fd, offset, step_end - offset)
                if count:
                    self.sent += count
                    offset += count
                    if self.tap.listener is not None:
                        self.tap.listener.said(self.ends, b"", count)
                else:
                    await self._writable()
            await trio.lowlevel.checkpoint()

    async def warm(self, region: Region, offset: int, end: int) -> None:
        """Have a part of a region in memory before it is read: a thread waits for the disk, and reads further than asked."""
        if is_cold(region.file.fd, offset) or is_cold(region.file.fd, end - 1):
            ahead = min(region.offset + region.length, offset + _READ_AHEAD_BYTES) - offset
            await trio.to_thread.run_sync(_read_ahead, region, offset, ahead, limiter=self._threads)

    def send_at_once(self, data: bytes) -> None:
        """Send as much as the kernel takes now; whatever goes wrong, nobody learns it."""
        try:
            self.sent += self.socket.send(data, socket.MSG_NOSIGNAL)
        except OSError:
            pass

    def _send_some(self, fd: int, offset: int, length: int) -> int:
        """Bytes that the kernel took at once; 0 when it takes none now."""
        try:
            count = os.sendfile(self.socket.fileno(), fd, offset, length)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno in _GONE:
                raise GoneError from error
            if error.errno not in _NO_SENDFILE:
                raise FileFaultError(f"it cannot be read: {error.strerror}") from error
            return self._send_plain(fd, offset, length)
        if not count:
            raise FileFaultError("it became shorter while it was sent")
        return count

    def _send_plain(self, fd: int, offset: int, length: int) -> int:
        """For file systems without sendfile."""
        try:
            data = os.pread(fd, min(length, RECEIVE_BYTES), offset)
        except OSError as error:
            raise FileFaultError(f"it cannot be read: {error.strerror}") from error
        if not data:
            raise FileFaultError("it became shorter while it was sent")
        try:
            return self.socket.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise GoneError from error

    async def _writable(self) -> None:
        """Wait until the kernel takes more; TooSlowError when the other side took too little in a whole window."""
        if not self._window_end:
            self._next_window()
        while True:
            with trio.move_on_at(self._window_end):
                await trio.lowlevel.wait_writable(self.socket)
                return
            if not self._keeps_pace():
                raise TooSlowError

    def _keeps_pace(self) -> bool:
        """At the end of a window: did the other side take enough in it? Begins the next one."""
        before = self._taken_before
        self._next_window()
        return self._taken_before - before >= self._pace.bytes

    def _next_window(self) -> None:
        self._window_end = trio.current_time() + self._pace.window_s
        self._taken_before = self.sent - self._unacknowledged()

    def _unacknowledged(self) -> int:
        raw = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("=i", raw)[0])

    async def acknowledged(self) -> bool:
        """Did the other side's kernel take everything? That the bytes left us proves nothing: they may wait in our own buffers."""
        pause_s = 0.0005
        self._next_window()
        while self._unacknowledged():
            if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return False
            if trio.current_time() >= self._window_end and not self._keeps_pace():
                return False
            await trio.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.1)
        return True

    def finish(self) -> None:
        """Tell the other side that no more will come."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise GoneError from error

    async def linger(self, limit_s: float, limit_bytes: int) -> None:
        """Let the other side read our last words: the kernel resets a connection that is closed with bytes unread (RFC 9112 §9.6)."""
        self.finish()
        with trio.move_on_after(limit_s):
            while limit_bytes > 0:
                data = await self.receive()
                if not data:
                    return
                limit_bytes -= len(data)


def is_cold(fd: int, offset: int) -> bool:
    """Would reading this byte wait for the disk? Where the file system cannot tell, the answer is no."""
    try:
        os.preadv(fd, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _read_ahead(region: Region, offset: int, length: int) -> None:
    """In a thread: bring a part of a file into the page cache. Faults are left to the one who sends it."""
    try:
        os.posix_fadvise(region.file.fd, offset, length, os.POSIX_FADV_WILLNEED)
        end = offset + length
        while offset < end and (data := os.pread(region.file.fd, min(256 << 10, end - offset), offset)):
            offset += len(data)
    except OSError:
        pass
