"""A file's bytes, unpacked when they are gzip's: as a stream, so that no file however packed is ever held in memory.

RFC 1952. Several members one after the other are one stream; what is broken behind good bytes does not take those away.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO

_GZIP = b"\x1f\x8b"
_PACKED_BYTES = 1 << 16


class Unpacked:
    """Reads from a file or a pipe."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._raw = b""
        while len(self._raw) < len(_GZIP) and (more := file.read(len(_GZIP) - len(self._raw))):
            self._raw += more
        self.read_bytes = len(self._raw)
        """Of the file as it is packed."""
        self.broken = ""
        """Why nothing more can be unpacked; empty: nothing is wrong."""
        self._inflate = _member() if self._raw == _GZIP else None

    def read(self, size: int) -> bytes:
        """At most this many bytes; none at the end, or where the packing is ``broken``."""
        if self._inflate is None:
            kept, self._raw = self._raw, b""
            found = self._file.read(size - len(kept))
            self.read_bytes += len(found)
            return kept + found
        while not self.broken:
            if self._inflate.eof:
                if not self._next_member():
                    return b""
                continue
            packed = self._inflate.unconsumed_tail or self._raw or self._take()
            self._raw = b""
            try:
                found = self._inflate.decompress(packed, size)
            except zlib.error as error:
                self.broken = f"not gzip from here on: {error}"
                return b""
            if found:
                return found
            if not packed:
                self.broken = "the gzip data end before their end"
        return b""

    def _take(self) -> bytes:
        found = self._file.read(_PACKED_BYTES)
        self.read_bytes += len(found)
        return found

    def _next_member(self) -> bool:
        assert self._inflate is not None
        rest = (self._inflate.unused_data or self._take()).lstrip(b"\0")  # tape blocks are padded
        if len(rest) == 1:
            rest += self._take()
        if not rest:
            return False
        if not rest.startswith(_GZIP):
            self.broken = "bytes behind the gzip data"
            return False
        self._inflate, self._raw = _member(), rest
        return True


def _member() -> zlib._Decompress:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
