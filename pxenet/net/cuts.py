"""DATA blocks cut out of mapped files, sent without being assembled: iovecs of a header out of a table and a slice of the map.

The iovecs of a file are laid out once (``net.mapped``) and shared by all who read it: a block, or a window that the kernel cuts
(UDP_SEGMENT, udp(7)), is then an address and a count. Those for many peers leave by one ``sendmmsg``. Fast path beside
``UdpSocket.send_run``, which it must equal: tests/net/test_net_cuts.py. Layouts as in ``batched``.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pxenet.net.datagram import BATCH
from pxenet.net.mapped import HEADER_BYTES, MASK, PAIR_SHIFT, RUN_SHIFT, Layout
from pxenet.net.udp import MAX_PAYLOAD, UdpSocket

MAX_SEGMENTS = 64
"""UDP_MAX_SEGMENTS of kernels before 6.9."""

NO_SEGMENTS = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""The device cannot make checksums, a datagram is larger than the path's MTU, or the kernel knows no segments."""

REMEMBERED = 4096

# struct mmsghdr: name, its length, iovecs, their number, control, its length, flags; and the length of what went.
_MESSAGE = struct.Struct("=QI4xQQQQi4xI4x")
# Of it: the number of iovecs, control, its length.
_SHAPE = struct.Struct("=QQQ")
_SHAPE_AT = 24
_WORDS, _IOVECS_WORD = 8, 2
# struct cmsghdr and struct in_pktinfo; struct cmsghdr and the size of a segment.
_PKTINFO = struct.Struct("=Qiii4s4s4x")
_SEGMENT = struct.Struct("=QiiH6x")
_PKTINFO_BYTES, _SEGMENT_BYTES = 28, 18  # CMSG_LEN, without the padding
_CONTROL_BYTES = _PKTINFO.size + _SEGMENT.size
_IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)
_UDP_SEGMENT = 103  # linux/udp.h
_NO_ADDRESS = b"\0\0\0\0"

_NAME_BYTES = 16

_libc = ctypes.CDLL(None, use_errno=True)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


class Stream(Protocol):
    """Of one transfer, for one peer; never a broadcast."""

    @property
    def to(self) -> bytes: ...

    @property
    def source(self) -> int: ...


class Flight(Protocol):
    """Windows of blocks, in columns: ``counts`` blocks from number ``firsts`` (from 1) of each of ``streams``."""

    @property
    def streams(self) -> Sequence[Stream]: ...

    @property
    def firsts(self) -> Sequence[int]: ...

    @property
    def counts(self) -> Sequence[int]: ...


Run = tuple[Layout, Flight]
"""Windows that are cut alike."""


@dataclass(slots=True)
class Piece:
    """One message: blocks of one window."""

    layout: Layout
    stream: Stream
    first: int
    count: int


class BlockSender:
    """The blocks' way out of one socket. ``unsegmented``: addresses on whose route the kernel refused to cut."""

    __slots__ = (
        "_address",
        "_blksizes",
        "_controls",
        "_counts",
        "_memory",
        "_names",
        "_pieces",
        "_sources",
        "_udp",
        "_view",
        "left",
        "unsegmented",
    )

    def __init__(self, udp: UdpSocket, unsegmented: dict[bytes, None]) -> None:
        self._udp = udp
        self.unsegmented = unsegmented
        self.left: list[Piece] = []
        """What the kernel has no room for, in order, until somebody takes it."""
        names = BATCH * _MESSAGE.size
        controls = names + BATCH * _NAME_BYTES
        self._memory = mmap.mmap(-1, controls + BATCH * _CONTROL_BYTES)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._view = memoryview(self._memory)
        for index in range(BATCH):
            name, control = names + index * _NAME_BYTES, controls + index * _CONTROL_BYTES
            _MESSAGE.pack_into(
                self._view,
                index * _MESSAGE.size,
                self._address + name,
                _NAME_BYTES,
                0,
                2,
                self._address + control,
                0,
                0,
                0,
            )
        self._names = names
        self._pieces = self._view[:names].cast("Q")[_IOVECS_WORD::_WORDS]
        """Where each message's iovecs begin."""
        self._counts = [1] * BATCH
        self._sources = [0] * BATCH
        self._blksizes = [0] * BATCH
        """What the message in each place was shaped for: blocks, address of ours, and for windows the size of their segments."""
        self._controls: dict[tuple[int, int], bytes] = {}

    def send(self, runs: Sequence[Run]) -> list[Stream]:
        """Hand blocks to the kernel; the streams of what could not be read. What there is no room for is in ``left`` then, what is
        refused otherwise is counted as lost. Those of one peer leave in order as long as they are in one run.
        """
        unread: list[Stream] = []
        if self._fit(runs):
            self._send_batch(runs, unread)
        else:
            self._send_pieces([piece for whole in _flat(runs) for piece in self._pieces_of(whole)], unread)
        return unread

    def _fit(self, runs: Sequence[Run]) -> bool:
        """One batch takes them as they are."""
        for layout, flight in runs:
            if flight.counts and max(flight.counts) > (1 if self.unsegmented else _most(layout)):
                return False
        return sum([len(flight.counts) for _, flight in runs]) <= BATCH

    def _pieces_of(self, whole: Piece) -> list[Piece]:
        """What one message each may carry: a window in as few as the limits allow, block by block where a route takes no segments."""
        most = 1 if whole.stream.to[4:8] in self.unsegmented else _most(whole.layout)
        end = whole.first + whole.count
        return [
            Piece(whole.layout, whole.stream, first, min(most, end - first)) for first in range(whole.first, end, most)
        ]

    def _send_pieces(self, pieces: Sequence[Piece], unread: list[Stream]) -> None:
        for at in range(0, len(pieces), BATCH):
            if self.left:
                self.left += pieces[at:]
                return
            self._send_batch([(piece.layout, _Single(piece)) for piece in pieces[at : at + BATCH]], unread)

    def _send_batch(self, runs: Sequence[Run], unread: list[Stream]) -> None:
        # By columns: a loop that writes the fields of each message takes twice as long.
        at, streams, counts, blksizes = array("Q"), list[Stream](), list[int](), list[int]()
        for layout, flight in runs:
            at.fromlist([layout[first >> RUN_SHIFT] + ((first & MASK) << PAIR_SHIFT) for first in flight.firsts])
            streams += flight.streams
            counts += flight.counts
            blksizes += [layout.blksize] * len(flight.counts)
        count, names = len(counts), self._names
        self._pieces[:count] = memoryview(at)
        self._view[names : names + count * _NAME_BYTES] = b"".join([stream.to for stream in streams])
        sources = [stream.source for stream in streams]
        alike = counts == self._counts[:count] and sources == self._sources[:count]
        windows = counts.count(1) != count
        if not alike or (windows and blksizes != self._blksizes[:count]):
            self._shape(list(zip(counts, sources, blksizes, strict=True)))
        self._flush(runs, counts, unread)

    def _shape(self, shapes: Sequence[tuple[int, int, int]]) -> None:
        """The rest of each message, where it is not what it was: how many iovecs, and how it leaves.

        Those of one kind stand side by side, so in most places nothing changes from one batch to the next.
        """
        controls = self._names + BATCH * _NAME_BYTES
        were = zip(self._counts, self._sources, self._blksizes, strict=True)
        changed = [index for index, (shape, was) in enumerate(zip(shapes, were, strict=False)) if shape != was]
        for index in changed:
            count, source, blksize = shapes[index]
            told = self._controls.get((source, blksize if count > 1 else 0)) or self._control(source, count, blksize)
            control = controls + index * _CONTROL_BYTES
            self._view[control : control + len(told)] = told
            at = index * _MESSAGE.size + _SHAPE_AT
            _SHAPE.pack_into(self._view, at, 2 * count, self._address + control, len(told))
            self._counts[index], self._sources[index], self._blksizes[index] = count, source, blksize

    def _control(self, source: int, count: int, blksize: int) -> bytes:
        """The control data: from which address of ours, and the size of segments. Remembered, for there are few."""
        told = _pktinfo(source) if source not in (0, self._udp.local) else b""
        if count > 1:
            told += _SEGMENT.pack(_SEGMENT_BYTES, socket.IPPROTO_UDP, _UDP_SEGMENT, blksize + HEADER_BYTES)
        if len(self._controls) >= REMEMBERED:
            self._controls.clear()
        self._controls[source, blksize if count > 1 else 0] = told
        return told

    def _flush(self, runs: Sequence[Run], counts: list[int], unread: list[Stream]) -> None:
        """Send what stands in the places. A refused one is passed over, as its peer would see it: lost."""
        udp, done, count = self._udp, 0, len(counts)
        while done < count:
            sent = _sendmmsg(
                udp.socket.fileno(), self._address + done * _MESSAGE.size, count - done, socket.MSG_DONTWAIT
            )
            if sent > 0:
                udp.statistics.sent += sum(counts[done : done + sent])
                done += sent
                continue
            number = ctypes.get_errno()
            if number == errno.EINTR:
                continue
            pieces = _flat(runs)
            if number == errno.EAGAIN:
                self.left += pieces[done:]
                return
            piece = pieces[done]
            if number == errno.EFAULT:
                unread.append(piece.stream)
            elif number in NO_SEGMENTS and piece.count > 1:
                self._refused(piece.stream.to[4:8])
                self._send_pieces([*self._pieces_of(piece), *pieces[done + 1 :]], unread)
                return
            else:
                udp.statistics.unsent += piece.count
            done += 1

    def _refused(self, address: bytes) -> None:
        """This route takes no segments; the oldest are forgotten, and tried again."""
        self.unsegmented[address] = None
        if len(self.unsegmented) > REMEMBERED:
            del self.unsegmented[next(iter(self.unsegmented))]


def _most(layout: Layout) -> int:
    """How many blocks one message may carry."""
    return min(MAX_SEGMENTS, MAX_PAYLOAD // (layout.blksize + HEADER_BYTES))


def _flat(runs: Sequence[Run]) -> list[Piece]:
    """The windows one by one, in the order in which they leave."""
    return [
        Piece(layout, stream, first, count)
        for layout, flight in runs
        for stream, first, count in zip(flight.streams, flight.firsts, flight.counts, strict=True)
    ]


def _pktinfo(source: int) -> bytes:
    return _PKTINFO.pack(_PKTINFO_BYTES, socket.IPPROTO_IP, _IP_PKTINFO, 0, source.to_bytes(4, "big"), _NO_ADDRESS)


class _Single:
    """A flight of one."""

    __slots__ = ("counts", "firsts", "streams")

    def __init__(self, piece: Piece) -> None:
        self.streams, self.firsts, self.counts = (piece.stream,), (piece.first,), (piece.count,)
