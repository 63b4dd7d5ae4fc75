"""Files mapped into memory for the kernel alone to read, the headers of all TFTP DATA packets, and the iovecs of both.

The addresses go into iovecs; nobody here reads what is behind them: a file that is cut under its map makes a reader in this process
die of SIGBUS, and the kernel's copy fail with EFAULT. mmap(2).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from array import array
from functools import cache
from weakref import ReferenceType

_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _munmap = _libc.mmap, _libc.munmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong]
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value

HEADER_BYTES = 4
"""Of a DATA packet (RFC 1350 §5)."""

PAIR_SHIFT = 5
"""A block's two struct iovec, header and payload, take 32 octets."""

RUN_SHIFT = 10
MASK = (1 << RUN_SHIFT) - 1
"""Iovecs are laid out in runs of so many blocks."""

SPARE = 64
"""Blocks at the end of a run that begin the next one too, so that a window is always within one; and so many headers beyond number
65 535, for the same reason."""

_DATA = 3


class FileMap:
    """The first ``size`` bytes of a file, at ``address`` as long as this object lives. OSError: they cannot be mapped."""

    __slots__ = ("__weakref__", "address", "size")

    def __init__(self, fd: int, size: int) -> None:
        self.size = 0
        address = _mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        if address is None or address == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.address: int = address
        self.size = size

    def __del__(self) -> None:
        if self.size:
            _munmap(self.address, self.size)


class _Headers:
    def __init__(self) -> None:
        numbers = [number & 0xFFFF for number in range(0x10000 + SPARE + 1)]
        self.memory = mmap.mmap(-1, 4 * len(numbers))
        self.memory[:] = b"".join(map(struct.Struct("!HH").pack, [_DATA] * len(numbers), numbers))
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))


@cache
def _headers() -> _Headers:
    return _Headers()


def data_headers() -> int:
    """Where the four-byte header of DATA 0 stands in memory; that of the next block follows (RFC 1350 §5)."""
    return _headers().address


class Shelf:
    """Bounds the memory of runs: when there are too many octets of them, those that were made before are let go of.

    Not at once, for a batch may be in the making that has their addresses: one generation later. ``limit`` must be several times
    what one batch can ask for.
    """

    __slots__ = ("_holders", "_limit", "_old", "_used", "_young")

    def __init__(self, limit: int = 32 << 20) -> None:
        self._limit = limit
        self._used = 0
        self._young: list[array[int]] = []
        self._old: list[array[int]] = []
        self._holders: list[ReferenceType[Layout]] = []

    def keep(self, layout: Layout, run: array[int]) -> None:
        """A run was made, for this layout."""
        size = len(run) * run.itemsize
        if self._used + size > self._limit:
            for reference in self._holders:
                holder = reference()
                if holder is not None:
                    holder.clear()
            self._old, self._young, self._holders, self._used = self._young, [], [], 0
        if not layout:
            self._holders.append(ReferenceType(layout))
        self._young.append(run)
        self._used += size


class Layout(dict[int, int]):
    """Where in memory the iovecs of a file's blocks stand: those of block ``n`` (from 1) begin
    ``(n & MASK) << PAIR_SHIFT`` octets behind ``self[n >> RUN_SHIFT]``. Made when they are first asked for.

    ``size`` octets from ``offset`` of the file are cut into blocks of ``blksize``; the last one is shorter, or empty.
    """

    __slots__ = ("__weakref__", "_base", "_file", "_shelf", "_size", "blksize")

    def __init__(self, shelf: Shelf, file: FileMap, offset: int, size: int, blksize: int) -> None:
        super().__init__()
        self._shelf, self._file = shelf, file
        self._base, self._size = file.address + offset, size
        self.blksize = blksize

    def __missing__(self, run: int) -> int:
        first, blksize = run << RUN_SHIFT, self.blksize
        last = self._size // blksize + 1
        count = min((1 << RUN_SHIFT) + SPARE, last + 1 - first)
        header = data_headers() + (first & 0xFFFF) * HEADER_BYTES
        payload = self._base + (first - 1) * blksize
        iovecs = array("Q", bytes(count << PAIR_SHIFT))
        iovecs[0::4] = array("Q", range(header, header + count * HEADER_BYTES, HEADER_BYTES))
        iovecs[1::4] = array("Q", (HEADER_BYTES,)) * count
        iovecs[2::4] = array("Q", range(payload, payload + count * blksize, blksize))
        iovecs[3::4] = array("Q", (blksize,)) * count
        if first + count > last:
            iovecs[-1] = self._size % blksize
        self._shelf.keep(self, iovecs)
        address = self[run] = iovecs.buffer_info()[0]
        return address
