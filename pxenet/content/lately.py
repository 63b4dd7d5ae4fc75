"""What was used lately, in bounded number and for a bounded time: a cache that keeps no clock and no order."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lately(Generic[K, V]):
    """Two generations: what is used moves into the young one; the old one goes as a whole.

    It goes when the young one is full (``limit`` entries), and at each ``age()`` of the owner: what was not used between two of those
    is forgotten, and with it whatever the value kept open.
    """

    __slots__ = ("_limit", "_old", "_young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        """Entries remembered; twice the limit at most."""
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """The value that was put under this key; None when it is forgotten."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember a value, in place of any other under this key."""
        if len(self._young) >= self._limit and key not in self._young:
            self.age()
        self._young[key] = value
        self._old.pop(key, None)

    def drop(self, key: K) -> None:
        """Forget one."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def age(self) -> None:
        """Forget what was not used since this was called last."""
        self._old, self._young = self._young, {}
