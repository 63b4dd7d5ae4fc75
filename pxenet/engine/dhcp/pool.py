"""Which addresses of a subnet are to be given out, and which of them nobody has.

Knows numbers; must not know clients, leases or time. A pool never walks its addresses: it costs the same with ten addresses
as with a hundred thousand, and its memory grows with those in use, not with those it could give.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable

_PROBES = 8
"""How many neighbours of the preferred address are tried: enough for a pool that is mostly free, bounded for one that is not."""


class Pool:
    """Ranges of addresses, some of them taken.

    An address is in one of four places: excluded for good, taken, given back (behind the cursor), or not yet reached by the cursor.
    """

    __slots__ = ("_cursor", "_excluded", "_firsts", "_given_back", "_offsets", "_ranges", "_taken", "size")

    def __init__(self, ranges: Iterable[tuple[int, int]], excluded: Collection[int] = ()) -> None:
        """``ranges`` are pairs (first, last), both belonging to the pool; ``excluded`` are never given out."""
        self._ranges = _merged(ranges)
        self._firsts = [first for first, _ in self._ranges]
        self._offsets: list[int] = []
        size = 0
        for first, last in self._ranges:
            self._offsets.append(size)
            size += last - first + 1
        self.size = size
        """How many addresses, those excluded among them."""
        self._excluded = frozenset(address for address in excluded if self._in_ranges(address))
        self._taken: set[int] = set()
        self._given_back: dict[int, None] = {}
        self._cursor = 0

    def __contains__(self, address: int) -> bool:
        """Whether the pool may give out this address at all, taken or not."""
        return self._in_ranges(address) and address not in self._excluded

    def __len__(self) -> int:
        """How many addresses the pool may give out, taken or not."""
        return self.size - len(self._excluded)

    @property
    def excluded(self) -> frozenset[int]:
        """Addresses of its ranges that it never gives out."""
        return self._excluded

    @property
    def taken(self) -> int:
        """How many are taken."""
        return len(self._taken)

    def is_free(self, address: int) -> bool:
        """Whether it belongs to the pool and nobody has it."""
        return address in self and address not in self._taken

    def take(self, address: int) -> None:
        """Mark an address as taken; one that is not the pool's is ignored."""
        if address in self:
            self._taken.add(address)
            self._given_back.pop(address, None)

    def give_back(self, address: int) -> None:
        """Mark an address as free again; one that is not the pool's is ignored."""
        if address in self._taken:
            self._taken.discard(address)
            if self._offset(address) < self._cursor:
                self._given_back[address] = None

    def pick(self, seed: int) -> int | None:
        """A free address, or None; it is not taken by this.

        The same seed prefers the same address, so that a machine without a lease meets its earlier address again: a Raspberry Pi's boot
        ROM never confirms an offer, and a server that lost its state gives few machines a new address.
        """
        if not self.size:
            return None
        for probe in range(_PROBES):
            address = self._at((seed + probe) % self.size)
            if self.is_free(address):
                return address
        while self._cursor < self.size:
            address = self._at(self._cursor)
            if self.is_free(address):
                return address
            self._cursor += 1
        return next(iter(self._given_back), None)

    def _at(self, offset: int) -> int:
        place = bisect_right(self._offsets, offset) - 1
        return self._ranges[place][0] + offset - self._offsets[place]

    def _offset(self, address: int) -> int:
        place = bisect_right(self._firsts, address) - 1
        return self._offsets[place] + address - self._firsts[place]

    def _in_ranges(self, address: int) -> bool:
        place = bisect_right(self._firsts, address) - 1
        return place >= 0 and address <= self._ranges[place][1]


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in order, those that overlap or touch made one: no address is counted twice."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if first > last:
            raise ValueError(f"a range of addresses ends ({last}) before it begins ({first})")
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
