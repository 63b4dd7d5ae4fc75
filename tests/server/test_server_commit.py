"""Group commit: nothing is told durable before its flush, everything waiting shares one flush."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
import trio

from pxenet.model import Change, InstallRecord, InstallState, Verdict
from pxenet.server.commit import MAX_WAITING, Committer, worst


class SlowStore:
    """A store whose flush lasts until the test allows it; remembers each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Semaphore(0)
        self.verdict = Verdict.DURABLE

    def commit(self, batch: Sequence[Change]) -> list[Verdict]:
        self.gate.acquire()
        self.batches.append([c.key for c in batch if isinstance(c, InstallRecord)])
        return [self.verdict for _ in batch]


def change(key: str) -> InstallRecord:
    return InstallRecord(key, InstallState.NEW)


async def test_what_arrives_during_a_flush_shares_the_next_one() -> None:
    """One change is on its way; ten more arrive: two flushes in all, and nobody is told before his own."""
    store = SlowStore()
    committer = Committer(store)  # type: ignore[arg-type]
    told: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        committer.submit([change("first")], lambda verdict: told.append(f"first {verdict.value}"))
        await trio.testing.wait_all_tasks_blocked()
        for number in range(10):
            committer.submit([change(str(number))], lambda verdict, n=number: told.append(f"{n} {verdict.value}"))
        assert told == []
        store.gate.release(2)
        committer.close()
    assert store.batches == [["first"], [str(n) for n in range(10)]]
    assert told == ["first durable"] + [f"{n} durable" for n in range(10)]


async def test_what_shares_a_flush_may_be_answered_together() -> None:
    """Each is told its own verdict first; then whoever wants to know that all were told hears it once for each flush."""
    store = SlowStore()
    committer = Committer(store)  # type: ignore[arg-type]
    told: list[str] = []

    def after() -> None:
        told.append("all")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        committer.submit([change("first")], lambda verdict: told.append("first"), after)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(3):
            committer.submit([change(str(number))], lambda verdict, n=number: told.append(str(n)), after)
        committer.submit([change("quiet")], lambda verdict: told.append("quiet"))
        store.gate.release(2)
        committer.close()
    assert ["first", "all", "0", "1", "2", "quiet", "all"] == told


async def test_a_failed_flush_is_told() -> None:
    """Whoever waits for a change that could not be written learns it; the committer goes on."""
    store = SlowStore()
    store.verdict = Verdict.FAILED
    committer = Committer(store)  # type: ignore[arg-type]
    store.gate.release(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        assert await committer.commit([change("a"), change("b")]) is Verdict.FAILED
        store.verdict = Verdict.DURABLE
        assert await committer.commit([change("a")]) is Verdict.DURABLE
        committer.close()


async def test_a_disk_that_hangs_does_not_fill_the_memory() -> None:
    """What cannot wait any more has failed at once; when the disk goes on, so does everything that waited, and what comes then."""
    store = SlowStore()
    committer = Committer(store)  # type: ignore[arg-type]
    verdicts: list[Verdict] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(committer.run)
        for number in range(MAX_WAITING // 16 - 1):
            committer.submit([change(str(number))] * 16, verdicts.append)
        through = trio.Event()
        committer.submit([change("the last")] * 16, lambda verdict: through.set())
        assert [] == verdicts
        committer.submit([change("one too many")], verdicts.append)
        assert [Verdict.FAILED] == verdicts
        store.gate.release(1000)
        await through.wait()
        assert await committer.commit([change("later")]) is Verdict.DURABLE
        committer.close()
    assert {Verdict.DURABLE} == set(verdicts[1:])


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], Verdict.DURABLE),
        ([Verdict.DURABLE, Verdict.TAKEN], Verdict.TAKEN),
        ([Verdict.FAILED, Verdict.TAKEN], Verdict.FAILED),
    ],
)
def test_a_group_is_as_good_as_its_worst(verdicts: list[Verdict], expected: Verdict) -> None:
    """A group is durable only when all of it is."""
    assert worst(verdicts) is expected
