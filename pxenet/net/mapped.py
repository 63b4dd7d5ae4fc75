"""Files mapped into memory for the kernel alone to read, and the headers of all TFTP DATA packets.

The addresses go into iovecs; nobody here reads what is behind them: a file that is cut under its map makes a reader in this process
die of SIGBUS, and the kernel's copy fail with EFAULT. mmap(2).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from functools import cache

_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _munmap = _libc.mmap, _libc.munmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong]
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value

SPARE = 64
"""Headers beyond number 65 535 in the table: a window that rolls over is still one run of it."""

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
        numbers = [number & 0xFFFF for number in range(0x10000 + SPARE)]
        self.memory = mmap.mmap(-1, 4 * len(numbers))
        self.memory[:] = b"".join(map(struct.Struct("!HH").pack, [_DATA] * len(numbers), numbers))
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))


@cache
def _headers() -> _Headers:
    return _Headers()


def data_headers() -> int:
    """Where the four-byte header of DATA 0 stands in memory; that of the next block follows (RFC 1350 §5)."""
    return _headers().address
