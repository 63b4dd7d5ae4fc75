"""Counts of several processes as those of one. Knows which of them end with their process; must not know what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Counted = Mapping[str, Any]
"""By the name of the part, numbers or again such."""

_NOW = frozenset({"reading", "writing", "open", "waiting"})
"""What is counted of a moment: it ends with the process."""


def without_now(counted: Counted) -> Counted:
    """What is left of somebody's counts when its process has ended."""
    return {
        name: without_now(part) if isinstance(part, Mapping) else 0 if name in _NOW else part
        for name, part in counted.items()
    }


def added(one: Counted, other: Counted) -> Counted:
    """Counts of two, part by part."""
    total = dict(one)
    for name, part in other.items():
        before = total.get(name)
        if isinstance(part, Mapping):
            total[name] = added(before or {}, part)
        else:
            total[name] = (before or 0) + part
    return total
