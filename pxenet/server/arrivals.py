"""Answers and bytes that are not there yet, for those who can wait: what the rest of the house tells by calling back, awaited."""

from __future__ import annotations

import trio

from pxenet.model import Absent, Content, Later, Missing

PATIENCE_S = 25.0
"""Most clients give up a request after 30 s without an answer; a 503 with Retry-After before that lets them ask again."""


async def arrival(later: Later) -> Content | Absent:
    """The answer, once it is there; "not now" when that takes longer than clients wait."""
    answers: list[Content | Absent | None] = []
    there = trio.Event()

    def told(answer: Content | Absent | None) -> None:
        answers.append(answer)
        there.set()

    later.then(told)
    with trio.move_on_after(PATIENCE_S):
        await there.wait()
    return (answers[0] if answers else None) or Absent(Missing.UNAVAILABLE, "it is not here yet")
