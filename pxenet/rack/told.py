"""Which faults people have been told of lately: firmware tries one name after the other, and each meets the same fault.

Knows kinds of events and no clock. Bounded: what was told longest ago is forgotten first.
"""

from __future__ import annotations

from pxenet.events import KINDS, Event


class Told:
    """Remembers, by machine, kind and reason, what was told of the kinds that have an ``again_s``."""

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._told: dict[tuple[bytes | int, str, object], float] = {}

    def is_news(self, event: Event, now: float) -> bool:
        """Whether to tell it now; if so, that is remembered."""
        again_s = KINDS[event.kind].again_s
        if not again_s:
            return True
        key = (event.mac or event.address, event.kind, event.detail.get("why"))
        told_at = self._told.get(key)
        if told_at is not None and 0 <= now - told_at < again_s:
            return False
        self._told.pop(key, None)
        self._told[key] = now
        if len(self._told) > self._limit:
            del self._told[next(iter(self._told))]
        return True
