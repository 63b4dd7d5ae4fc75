"""What people have been told already: an event marks a stage of a boot, and firmware says everything several times.

Bounded: the client heard of longest ago is forgotten first.
"""

from __future__ import annotations

_AGAIN_S = 60.0
"""After this long the same thing is news again: some clients never change their xid."""


class Told:
    """Which kinds of events were emitted for a client's current exchange, told by its ``xid``."""

    __slots__ = ("_clients", "_limit")

    def __init__(self, limit: int = 8192) -> None:
        self._limit = limit
        self._clients: dict[bytes, tuple[int, float, set[str]]] = {}

    def first(self, key: bytes, xid: int, kind: str, now: float) -> bool:
        """Whether this is to be told, and if so, remember that it was."""
        known = self._clients.pop(key, None)
        if known is None or known[0] != xid or not 0 <= now - known[1] < _AGAIN_S:
            known = (xid, now, set())
        self._clients[key] = known
        if len(self._clients) > self._limit:
            del self._clients[next(iter(self._clients))]
        if kind in known[2]:
            return False
        known[2].add(kind)
        return True
