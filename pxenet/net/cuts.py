"""DATA blocks cut out of mapped files, sent without being assembled: iovecs of a header out of a table and a slice of the map.

Single blocks for many peers leave by one ``sendmmsg``, a window by one ``sendmsg`` that the kernel cuts (UDP_SEGMENT, udp(7)). Fast
path beside ``UdpSocket.send_run``, which it must equal: tests/net/test_net_cuts.py. Layouts as in ``batched``.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct
from array import array
from collections.abc import Iterable
from typing import Protocol

from pxenet.net.mapped import data_headers
from pxenet.net.udp import BATCH, MAX_PAYLOAD, UdpSocket

MAX_SEGMENTS = 64
"""UDP_MAX_SEGMENTS of kernels before 6.9."""

NO_SEGMENTS = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""The device cannot make checksums, a datagram is larger than the path's MTU, or the kernel knows no segments."""

REMEMBERED = 4096

# struct mmsghdr: name, its length, iovecs, their number, control, its length, flags; and the length of what went.
_MESSAGE = struct.Struct("=QI4xQQQQi4xI4x")
# Two struct iovec: address and length of the header, and of the payload.
_PAIR = struct.Struct("=QQQQ")
_LENGTH = struct.Struct("=Q")
# struct cmsghdr and struct in_pktinfo; struct cmsghdr and the size of a segment.
_PKTINFO = struct.Struct("=Qiii4s4s4x")
_SEGMENT = struct.Struct("=QiiH6x")
_PKTINFO_BYTES, _SEGMENT_BYTES = 28, 18  # CMSG_LEN, without the padding
_IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)
_UDP_SEGMENT = 103  # linux/udp.h
_NO_ADDRESS = b"\0\0\0\0"

_NAME_BYTES = 16
_HEADER_BYTES = 4
_COUNT_AT, _CONTROL_LENGTH_AT = 24, 40

_libc = ctypes.CDLL(None, use_errno=True)
_sendmmsg, _sendmsg = _libc.sendmmsg, _libc.sendmsg
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
_sendmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
_sendmsg.restype = ctypes.c_ssize_t


class Cut(Protocol):
    """``count`` blocks of ``blksize`` octets from number ``first`` (from 1), for one peer; never a broadcast."""

    @property
    def to(self) -> bytes: ...

    @property
    def source(self) -> int: ...

    @property
    def blksize(self) -> int: ...

    @property
    def first(self) -> int: ...

    @property
    def count(self) -> int: ...


class BlockSender:
    """The blocks' way out of one socket. ``unsegmented``: addresses on whose route the kernel refused to cut."""

    __slots__ = (
        "_address",
        "_controls",
        "_memory",
        "_sources",
        "_table",
        "_udp",
        "_view",
        "_waiting",
        "_window",
        "unsegmented",
    )

    def __init__(self, udp: UdpSocket, unsegmented: dict[bytes, None]) -> None:
        self._udp = udp
        self.unsegmented = unsegmented
        self._table = data_headers()
        names = BATCH * _MESSAGE.size
        pairs = names + BATCH * _NAME_BYTES
        controls = pairs + BATCH * _PAIR.size
        window = controls + BATCH * _PKTINFO.size
        iovecs = window + _MESSAGE.size + _NAME_BYTES + _PKTINFO.size + _SEGMENT.size + 8
        self._memory = mmap.mmap(-1, iovecs + MAX_SEGMENTS * _PAIR.size)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._view = memoryview(self._memory)
        for index in range(BATCH):
            name, pair = self._address + names + index * _NAME_BYTES, self._address + pairs + index * _PAIR.size
            control = self._address + controls + index * _PKTINFO.size
            _MESSAGE.pack_into(self._view, index * _MESSAGE.size, name, _NAME_BYTES, pair, 2, control, 0, 0, 0)
        self._sources = [0] * BATCH
        """Whose control data stands in each place; 0: none."""
        self._waiting: list[Cut] = []
        """What stands in the places, in order."""
        name = window + _MESSAGE.size
        control = name + _NAME_BYTES
        _MESSAGE.pack_into(
            self._view,
            window,
            self._address + name,
            _NAME_BYTES,
            self._address + iovecs,
            0,
            self._address + control,
            0,
            0,
            0,
        )
        self._window = window, name, control, self._view[iovecs:].cast("Q")
        self._controls: dict[tuple[int, int], bytes] = {}

    def send(self, cuts: Iterable[tuple[Cut, int, int]]) -> list[Cut]:
        """Hand blocks to the kernel in order; what could not be read.

        Each with where its content begins in memory, and its size in octets. What the kernel refuses otherwise is counted as lost.
        """
        view, table, sources, waiting = self._view, self._table, self._sources, self._waiting
        names = BATCH * _MESSAGE.size
        name, pair = names, names + BATCH * _NAME_BYTES
        unread: list[Cut] = []
        for cut, base, size in cuts:
            blksize, first = cut.blksize, cut.first
            start = (first - 1) * blksize
            if cut.count != 1:
                self._flush(unread)
                name, pair = names, names + BATCH * _NAME_BYTES
                self._window_of(cut, base, size, unread)
                continue
            length = size - start
            if length > blksize:
                length = blksize
            _PAIR.pack_into(view, pair, table + ((first & 0xFFFF) << 2), _HEADER_BYTES, base + start, length)
            view[name : name + _NAME_BYTES] = cut.to
            index = len(waiting)
            if sources[index] != cut.source:
                self._say_source(index, cut.source)
            waiting.append(cut)
            if index + 1 == BATCH:
                self._flush(unread)
                name, pair = names, names + BATCH * _NAME_BYTES
            else:
                name += _NAME_BYTES
                pair += _PAIR.size
        self._flush(unread)
        return unread

    def _say_source(self, index: int, source: int) -> None:
        """The control data of a place: by which address of ours it leaves."""
        at = BATCH * (_MESSAGE.size + _NAME_BYTES + _PAIR.size) + index * _PKTINFO.size
        self._view[at : at + _PKTINFO.size] = _pktinfo(source)
        used = _PKTINFO.size if source else 0
        _LENGTH.pack_into(self._view, index * _MESSAGE.size + _CONTROL_LENGTH_AT, used)
        self._sources[index] = source

    def _flush(self, unread: list[Cut]) -> None:
        """Send what waits. A refused one is passed over, as its peer would see it: lost."""
        waiting, statistics = self._waiting, self._udp.statistics
        done, count = 0, len(waiting)
        while done < count:
            sent = _sendmmsg(
                self._udp.socket.fileno(), self._address + done * _MESSAGE.size, count - done, socket.MSG_DONTWAIT
            )
            if sent > 0:
                done += sent
                statistics.sent += sent
                continue
            number = ctypes.get_errno()
            if number == errno.EINTR:
                continue
            if number == errno.EFAULT:
                unread.append(waiting[done])
            else:
                statistics.unsent += 1
            done += 1
        waiting.clear()

    def _window_of(self, cut: Cut, base: int, size: int, unread: list[Cut]) -> None:
        """A window: in as few calls as the limits allow, block by block where the route takes no segments."""
        blksize = cut.blksize
        most = min(MAX_SEGMENTS, MAX_PAYLOAD // (blksize + _HEADER_BYTES))
        first, left = cut.first, cut.count
        while left:
            count = min(left, most)
            if count == 1 or cut.to[4:8] in self.unsegmented or not self._cut(cut, first, count, base, size, unread):
                # An empty block at the end would be none at all within a run that is cut.
                pieces = ((_Block(cut, number), base, size) for number in range(first, first + count))
                unread += self.send(pieces)
            if unread:
                return
            first += count
            left -= count

    def _cut(self, cut: Cut, first: int, count: int, base: int, size: int, unread: list[Cut]) -> bool:
        """One call for ``count`` blocks; False: not on this route, and nothing has left."""
        blksize = cut.blksize
        start = (first - 1) * blksize
        window, name, control, iovecs = self._window
        header = self._table + ((first & 0xFFFF) << 2)
        words = 4 * count
        iovecs[0:words:4] = memoryview(array("Q", range(header, header + words, 4)))
        iovecs[1:words:4] = memoryview(array("Q", (_HEADER_BYTES,)) * count)
        iovecs[2:words:4] = memoryview(array("Q", range(base + start, base + start + count * blksize, blksize)))
        iovecs[3:words:4] = memoryview(array("Q", (blksize,)) * count)
        iovecs[words - 1] = min(blksize, size - start - (count - 1) * blksize)
        view = self._view
        view[name : name + _NAME_BYTES] = cut.to
        told = self._controls.get((cut.source, blksize)) or self._control(cut.source, blksize)
        view[control : control + len(told)] = told
        _LENGTH.pack_into(view, window + _COUNT_AT, 2 * count)
        _LENGTH.pack_into(view, window + _CONTROL_LENGTH_AT, len(told))
        statistics = self._udp.statistics
        while True:
            if _sendmsg(self._udp.socket.fileno(), self._address + window, socket.MSG_DONTWAIT) >= 0:
                statistics.sent += count
                return True
            number = ctypes.get_errno()
            if number == errno.EFAULT:
                unread.append(cut)
                return True
            if number in NO_SEGMENTS:
                self.unsegmented[cut.to[4:8]] = None
                if len(self.unsegmented) > REMEMBERED:
                    del self.unsegmented[next(iter(self.unsegmented))]
                return False
            if number != errno.EINTR:
                statistics.unsent += count
                return True

    def _control(self, source: int, blksize: int) -> bytes:
        segment = _SEGMENT.pack(_SEGMENT_BYTES, socket.IPPROTO_UDP, _UDP_SEGMENT, blksize + _HEADER_BYTES)
        if len(self._controls) >= REMEMBERED:
            self._controls.clear()
        told = self._controls[source, blksize] = (_pktinfo(source) if source else b"") + segment
        return told


def _pktinfo(source: int) -> bytes:
    return _PKTINFO.pack(_PKTINFO_BYTES, socket.IPPROTO_IP, _IP_PKTINFO, 0, source.to_bytes(4, "big"), _NO_ADDRESS)


class _Block:
    """One block of a cut."""

    __slots__ = ("blksize", "count", "first", "source", "to")

    def __init__(self, cut: Cut, number: int) -> None:
        self.to, self.source, self.blksize = cut.to, cut.source, cut.blksize
        self.first, self.count = number, 1
