"""The cursor that all codecs read through, and the one error they raise.

Knows bytes and positions, no protocol. Nested lengths are read through a cursor restricted to that length, which has to be
consumed whole: so a length that lies is noticed where it stands.
"""

from __future__ import annotations


class WireError(ValueError):
    """Bytes that cannot be what they claim to be. The only exception a codec raises for what came from the network."""

    def __init__(self, offset: int, field: str, reason: str) -> None:
        super().__init__(f"{field} at byte {offset}: {reason}")
        self.offset = offset
        """Where, counted from the first byte of what was being read: the datagram, or the value of one option."""
        self.field = field
        """The RFC's name of what stands there."""
        self.reason = reason
        """What is wrong with it, in a few words."""


class Reader:
    """A cursor over ``data[start:end]``. Every read names its field, so that an error can tell what was missing."""

    __slots__ = ("_data", "_end", "offset")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._end = len(data) if end is None else end
        self.offset = start
        """Position of the next byte, in ``data``."""

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return self._end - self.offset

    def take(self, count: int, field: str) -> bytes:
        """The next ``count`` bytes; WireError when there are fewer."""
        at = self.offset
        if count > self._end - at:
            raise WireError(at, field, f"needs {count} bytes, {self._end - at} are left")
        self.offset = at + count
        return self._data[at : at + count]

    def u8(self, field: str) -> int:
        """One octet, unsigned."""
        return self.take(1, field)[0]

    def u16(self, field: str) -> int:
        """Two octets, unsigned, big-endian."""
        return int.from_bytes(self.take(2, field), "big")

    def u32(self, field: str) -> int:
        """Four octets, unsigned, big-endian."""
        return int.from_bytes(self.take(4, field), "big")

    def rest(self) -> bytes:
        """All that is left; may be empty."""
        return self.take(self.left, "rest")

    def text(self, field: str) -> bytes:
        """The bytes up to the next NUL, which is consumed but not part of them; WireError when there is no NUL."""
        nul = self._data.find(0, self.offset, self._end)
        if nul < 0:
            raise WireError(self.offset, field, "no NUL ends it")
        found = self._data[self.offset : nul]
        self.offset = nul + 1
        return found

    def within(self, count: int, field: str) -> Reader:
        """A cursor restricted to the next ``count`` bytes; this one moves past them."""
        start = self.offset
        self.take(count, field)
        return Reader(self._data, start, start + count)

    def done(self, field: str) -> None:
        """Nothing may be left; WireError otherwise."""
        if self.left:
            raise WireError(self.offset, field, f"{self.left} bytes too many")
