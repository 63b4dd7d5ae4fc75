"""How often one thing may be told: a burst, then so many a second, and a count of what was held back.

Anybody on the wire can make a server talk (a flood of invented hardware addresses brings an event for each). Knows kinds by their
name, and no clock: ``now`` is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BURST = 1000
"""Of one kind at once: a hall of machines that are switched on in one instant is told whole."""

PER_SECOND = 50.0
"""Of one kind, in the long run: more than anybody reads, less than hurts a disk or a terminal."""

_TOLD_AFTER_S = 1.0
"""What was held back is told once a second, as a number."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    held: int = 0
    held_at: float = 0.0
    """When the first was held back that has not been told yet."""


@dataclass(slots=True)
class Pace:
    """A token bucket for each kind."""

    burst: int = BURST
    per_second: float = PER_SECOND
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _holding: set[str] = field(default_factory=set)

    def admits(self, kind: str, now: float) -> bool:
        """Whether one more of this kind is to be told; if not, it is counted."""
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = _Bucket(self.burst, now)
        # A clock that is set back must not stop the flow for as long.
        bucket.tokens = min(self.burst, bucket.tokens + max(0.0, now - bucket.at) * self.per_second)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return True
        if not bucket.held:
            bucket.held_at = now
            self._holding.add(kind)
        bucket.held += 1
        return False

    def held(self, now: float, *, all_of_it: bool = False) -> list[tuple[str, int]]:
        """(kind, how many) of what was held back for long enough to be told as a number; it is forgotten here by that."""
        told: list[tuple[str, int]] = []
        for kind in sorted(self._holding):
            bucket = self._buckets[kind]
            if all_of_it or abs(now - bucket.held_at) >= _TOLD_AFTER_S:
                told.append((kind, bucket.held))
                bucket.held = 0
                self._holding.discard(kind)
        return told
