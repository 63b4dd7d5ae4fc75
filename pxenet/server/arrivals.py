"""Answers and bytes that are not there yet, for those who can wait: what the rest of the house tells by calling back, awaited."""

from __future__ import annotations

import trio

from pxenet.model import Absent, Arriving, Content, Later, Missing
from pxenet.server.http_socket import FileFaultError

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


async def beyond(arriving: Arriving, offset: int) -> int:
    """How much of a content is here, once that is more than ``offset``. Raises FileFaultError when it never will be."""
    while arriving.available <= offset and not arriving.over:
        more = trio.Event()
        arriving.then(more.set)
        await more.wait()
    if arriving.available <= offset:
        raise FileFaultError(arriving.fault or "the rest of it did not come")
    return arriving.available
