"""One structure for the deadlines of thousands of things, made for deadlines that mostly move later.

A heap with lazy deletion: an item stands in it at a time not later than its deadline. Moving the deadline later is one attribute
written, and the item is put back when its old time comes up; only moving it earlier touches the heap. So a transfer that makes
progress with every packet costs the heap nothing per packet. Entries of things that are over are cleared away when they outnumber the
others, so that a flood of short-lived things does not stay until its deadlines. Knows no clock: times are numbers of the caller's.
"""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

from pxenet.engine.surface import NEVER


class Timed(Protocol):
    """Something with a deadline. Both start as ``NEVER``."""

    due_at: float
    """When it is due; ``NEVER`` when it waits for nothing."""
    armed_at: float
    """Where its entry stands in the heap; belongs to :class:`Timers`."""


T = TypeVar("T", bound=Timed)

_SMALL = 1024
"""Entries that are never worth clearing away."""


class Timers(Generic[T]):
    """The deadlines of items of one kind."""

    __slots__ = ("_clear_at", "_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._count = 0
        self._clear_at = _SMALL

    def __len__(self) -> int:
        """How many entries are kept, outdated ones included."""
        return len(self._heap)

    def arm(self, item: T, at: float) -> None:
        """The item is due at ``at``, instead of whatever was before.

        A caller in a hurry may write ``item.due_at`` itself as long as it is not less than ``item.armed_at``.
        """
        item.due_at = at
        if at < item.armed_at:
            item.armed_at = at
            self._push(at, item)

    def disarm(self, item: T) -> None:
        """The item is not due any more. Its entry goes when its time comes up, or when such entries have become too many."""
        item.due_at = NEVER

    def due(self, now: float) -> list[T]:
        """The items whose deadline is not later than ``now``, the earliest entry first; each is disarmed."""
        found: list[T] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, item = heapq.heappop(heap)
            if at != item.armed_at:
                continue  # an earlier entry replaced this one
            item.armed_at = NEVER
            if item.due_at <= now:
                item.due_at = NEVER
                found.append(item)
            elif item.due_at < NEVER:
                item.armed_at = item.due_at
                self._push(item.due_at, item)
        return found

    def next_at(self) -> float:
        """A time at or before the earliest deadline: ``due`` has nothing to give before it. ``NEVER`` when there is none."""
        heap = self._heap
        while heap and (heap[0][2].due_at == NEVER or heap[0][0] != heap[0][2].armed_at):
            at, _, item = heapq.heappop(heap)
            if at == item.armed_at:
                item.armed_at = NEVER
        return heap[0][0] if heap else NEVER

    def _push(self, at: float, item: T) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, item))
        if len(self._heap) >= self._clear_at:
            self._clear()

    def _clear(self) -> None:
        """Forget the entries that would wake nobody; next when there are twice as many as are left, so that this costs little."""
        kept: list[tuple[float, int, T]] = []
        for entry in self._heap:
            at, _, item = entry
            if at == item.armed_at:
                if item.due_at < NEVER:
                    kept.append(entry)
                else:
                    item.armed_at = NEVER
        heapq.heapify(kept)
        self._heap[:] = kept  # in place: due() holds on to the list
        self._clear_at = max(_SMALL, 2 * len(kept))
