"""Reads that another process has begun and cannot go on with: taken over where their client says that it is.

A client that is not answered repeats its last ACK, and that tells all that is needed: how far it has come. It tells so by 16 bits, so
files of more blocks than that cannot be gone on with. RFC 1350 §2, §4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_BLOCKS = 0xFFFF
"""Beyond that a number stands for several blocks."""

_PATIENCE_S = 60.0
"""Longer than clients repeat themselves."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """What is known of a read whose server is gone."""

    peer: bytes
    port: int
    """Our TID."""
    interface: int
    local: int
    request: bytes
    """The RRQ as it came."""
    etag: str
    """Of the content that was being sent."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where a read goes on, once its content is there."""

    block: int
    """The newest that the client has."""
    etag: str


class Orphans:
    """Reads that wait for a word of their client."""

    __slots__ = ("_by_place", "_until_at", "resumed")

    def __init__(self) -> None:
        self._by_place: dict[tuple[int, bytes], Orphan] = {}
        self._until_at = 0.0
        self.resumed: dict[int, Resumption] = {}
        """By want, of those whose content is asked for."""

    def add(self, orphans: Iterable[Orphan], now: float) -> None:
        """From now on, for a while."""
        self._by_place |= {(orphan.port, orphan.peer): orphan for orphan in orphans}
        self._until_at = now + _PATIENCE_S

    def take(self, port: int, peer: bytes, now: float) -> Orphan | None:
        """The read that a packet from this peer to this port of ours belongs to, once."""
        if now >= self._until_at:
            self._by_place.clear()
        return self._by_place.pop((port, peer), None)
