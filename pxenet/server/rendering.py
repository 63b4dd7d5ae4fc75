"""Templates of a running server: rendered by child processes while everybody else is served.

There are two children. A template that took too much time or memory goes to the second one from then on, so that the others have waited
for it once. Knows trio and who waits; limits are ``answer.confined``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import trio

from pxenet.answer.confined import CPU_S, Confined
from pxenet.answer.engines import Job, NotYetError, key_of
from pxenet.answer.templates import ExceededError, TemplateProblem
from pxenet.model import Absent, Later, Missing

_MOST_WAITING = 4096
"""Texts that wait at once; more is an attack, for each machine waits for one or two."""

_AT_ONCE = 32
"""Texts for one visit to the thread."""

_AGAIN_S = 10.0
"""A template that exceeded its limits is tried again after so long; an installer asks several times."""


@dataclass(slots=True)
class _Lane:
    """A child, and the jobs that wait for it."""

    send: trio.MemorySendChannel[tuple[bytes, Job]] = field(init=False)
    wanted: trio.MemoryReceiveChannel[tuple[bytes, Job]] = field(init=False)

    def __post_init__(self) -> None:
        self.send, self.wanted = trio.open_memory_channel[tuple[bytes, Job]](_MOST_WAITING)


class Rendering:
    """An engine (see ``answer.engines.Engine``) whose texts come later. For the task that owns the rack; ``cpu_s`` as in Confined."""

    def __init__(self, cpu_s: float = CPU_S) -> None:
        self._cpu_s = cpu_s
        self._waiting: dict[bytes, Later] = {}
        self._outcomes: dict[bytes, str | TemplateProblem] = {}
        """Kept only while those who waited ask again: an edited template counts from then on."""
        self._heavy: set[str] = set()
        """What exceeded its limits once; templates of the configuration, so there are not many."""
        self._lanes = (_Lane(), _Lane())

    def render(self, job: Job) -> str:
        """The text, if somebody has just waited for it. Raises NotYetError, and TemplateProblem for what came of it."""
        key = key_of(job.packed())
        outcome = self._outcomes.get(key)
        if isinstance(outcome, TemplateProblem):
            raise outcome
        if outcome is not None:
            return outcome
        later = self._waiting.get(key)
        if later is None:
            later = self._asked(key, job)
        raise NotYetError(later)

    def _asked(self, key: bytes, job: Job) -> Later:
        later = Later()
        if len(self._waiting) >= _MOST_WAITING:
            later.resolve(Absent(Missing.UNAVAILABLE, f"{len(self._waiting)} texts wait to be rendered"))
            return later
        self._waiting[key] = later
        self._lanes[job.called in self._heavy].send.send_nowait((key, job))  # there is room for all that wait
        return later

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            for lane in self._lanes:
                nursery.start_soon(self._work, lane)

    async def _work(self, lane: _Lane) -> None:
        with Confined(cpu_s=self._cpu_s, again_s=_AGAIN_S) as child:
            async for first in lane.wanted:
                jobs = [first, *_waiting(lane)]  # a visit to a thread costs more than a text
                outcomes = await trio.to_thread.run_sync(
                    _outcomes, child, [job for _, job in jobs], abandon_on_cancel=True
                )
                for (key, job), outcome in zip(jobs, outcomes, strict=True):
                    self._settle(key, job, outcome)

    def _settle(self, key: bytes, job: Job, outcome: str | TemplateProblem) -> None:
        if isinstance(outcome, ExceededError):
            self._heavy.add(job.called)
        self._outcomes[key] = outcome
        try:
            self._waiting.pop(key).resolve(None)
        finally:
            del self._outcomes[key]


def _waiting(lane: _Lane) -> Iterator[tuple[bytes, Job]]:
    """What else waits by now, so much that nobody waits long for it to come back."""
    for _ in range(_AT_ONCE - 1):
        try:
            yield lane.wanted.receive_nowait()
        except trio.WouldBlock:
            return


def _outcomes(child: Confined, jobs: Sequence[Job]) -> list[str | TemplateProblem]:
    found: list[str | TemplateProblem] = []
    for job in jobs:
        try:
            found.append(child.render(job))
        except TemplateProblem as problem:
            found.append(problem)
    return found
