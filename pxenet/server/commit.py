"""Group commit: what must be durable is gathered while the disk is busy, and flushed in one go.

Nobody waits for a timer: an idle store takes a change at once, and the next batch is whatever came meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from pxenet.model import Change, Verdict
from pxenet.store.base import Store

MAX_BATCH = 4096
"""Changes in one flush: bounds the time an answer waits for those before it."""

MAX_WAITING = 65_536
"""Changes that wait for the disk. Anybody on the wire can cause some; beyond this a disk that hangs would fill the memory."""

Done = Callable[[Verdict], None]
After = Callable[[], None]
_Group = tuple[Sequence[Change], Done, After | None]


class Committer:
    """Takes changes, and tells each submitter when its own are on disk. ``run`` must be running."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Group] = []
        self._waiting_changes = 0
        self._arrived = trio.Event()
        self._closing = False

    def submit(self, changes: Sequence[Change], done: Done, after: After | None = None) -> None:
        """Queue ``changes``; ``done`` is called with the worst verdict among them, in the event loop.

        ``after`` is called once when all verdicts of the batch were told, however many name it. When too much waits already, they have
        failed: at once, before this returns.
        """
        if self._waiting_changes >= MAX_WAITING:
            done(Verdict.FAILED)
            if after is not None:
                after()
            return
        self._waiting_changes += len(changes)
        self._waiting.append((changes, done, after))
        self._arrived.set()

    async def commit(self, changes: Sequence[Change]) -> Verdict:
        """Wait until ``changes`` are durable, or refused."""
        if not changes:
            return Verdict.DURABLE
        finished = trio.Event()
        verdicts: list[Verdict] = []

        def done(verdict: Verdict) -> None:
            verdicts.append(verdict)
            finished.set()

        self.submit(changes, done)
        await finished.wait()
        return verdicts[0]

    async def run(self) -> None:
        """Flush batches until ``close`` was called and nothing waits any more."""
        while not (self._closing and not self._waiting):
            if not self._waiting:
                await self._arrived.wait()
            self._arrived = trio.Event()
            batch = self._take()
            if not batch:
                continue
            changes = [change for group, *_ in batch for change in group]
            self._waiting_changes -= len(changes)
            # One call, one release of the interpreter lock: see design §4 on why the store must not come back per row.
            verdicts = iter(await trio.to_thread.run_sync(self._store.commit, changes))
            for group, done, _ in batch:
                done(worst([next(verdicts) for _ in group]))
            for after in dict.fromkeys(after for *_, after in batch if after is not None):
                after()

    def close(self) -> None:
        """Let ``run`` end once everything submitted is settled."""
        self._closing = True
        self._arrived.set()

    def _take(self) -> list[_Group]:
        """The next batch: whole groups, about ``MAX_BATCH`` changes."""
        total = 0
        for index, (group, *_) in enumerate(self._waiting):
            total += len(group)
            if total >= MAX_BATCH:
                batch, self._waiting = self._waiting[: index + 1], self._waiting[index + 1 :]
                return batch
        batch, self._waiting = self._waiting, []
        return batch


_SEVERITY = (Verdict.DURABLE, Verdict.TAKEN, Verdict.FAILED)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a group: durable only when all of it is."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.DURABLE)
