"""Deadlines of many things: each is due once, at its latest deadline, in order, and never late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pxenet.engine.surface import NEVER
from pxenet.engine.timers import Timers


class Thing:
    """Something with a deadline."""

    def __init__(self, name: int) -> None:
        self.name = name
        self.due_at = NEVER
        self.armed_at = NEVER

    def __repr__(self) -> str:
        return f"thing {self.name}"


def test_nothing_is_due_at_first() -> None:
    """Without a deadline there is nothing to wait for."""
    timers: Timers[Thing] = Timers()
    assert timers.next_at() == NEVER
    assert timers.due(1e9) == []


def test_due_at_its_time() -> None:
    """Not before, and once."""
    timers: Timers[Thing] = Timers()
    thing = Thing(1)
    timers.arm(thing, 5.0)
    assert [5.0, [], [thing], []] == [timers.next_at(), timers.due(4.9), timers.due(5.0), timers.due(6.0)]
    assert thing.due_at == NEVER


def test_later_costs_no_entry() -> None:
    """A deadline that moves later a thousand times leaves one entry, and the old time wakes nobody."""
    timers: Timers[Thing] = Timers()
    thing = Thing(1)
    for n in range(1000):
        timers.arm(thing, 1.0 + n)
    assert len(timers) == 1
    assert [] == timers.due(999.0)
    assert [thing] == timers.due(1000.0)


def test_earlier() -> None:
    """A deadline may move earlier; the later entry does not wake it a second time."""
    timers: Timers[Thing] = Timers()
    thing = Thing(1)
    timers.arm(thing, 10.0)
    timers.arm(thing, 2.0)
    assert [2.0, [thing], []] == [timers.next_at(), timers.due(2.0), timers.due(10.0)]
    assert len(timers) == 0


def test_disarmed() -> None:
    """What is not due any more keeps nobody awake, and can be armed again."""
    timers: Timers[Thing] = Timers()
    thing = Thing(1)
    timers.arm(thing, 1.0)
    timers.disarm(thing)
    assert timers.next_at() == NEVER
    timers.arm(thing, 2.0)
    assert [thing] == timers.due(3.0)


def test_what_is_over_does_not_stay() -> None:
    """A flood of things that end at once leaves few entries behind, and what still waits is due in order."""
    timers: Timers[Thing] = Timers()
    waiting = [Thing(n) for n in range(1500)]
    for thing in waiting:
        timers.arm(thing, 40.0 + thing.name)
    for n in range(20_000):
        over = Thing(n)
        timers.arm(over, 30.0)
        timers.disarm(over)
    assert len(timers) <= 2 * len(waiting)
    assert over.armed_at in (30.0, NEVER)
    assert waiting == [thing for at in range(40, 1600) for thing in timers.due(at)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, 4), st.integers(0, 20)),
        st.tuples(st.just("disarm"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("pass"), st.just(0), st.integers(0, 8)),
        st.tuples(st.just("ask"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_equals_a_table(script: list[tuple[str, int, int]]) -> None:
    """Whatever is armed, moved and disarmed: the same are due as in a plain table, and next_at is never late."""
    timers: Timers[Thing] = Timers()
    things = [Thing(n) for n in range(5)]
    table: dict[Thing, float] = {}
    now = 0.0
    for what, which, amount in script:
        thing = things[which]
        if what == "arm":
            timers.arm(thing, now + amount)
            table[thing] = now + amount
        elif what == "disarm":
            timers.disarm(thing)
            table.pop(thing, None)
        elif what == "ask":
            assert timers.next_at() <= min(table.values(), default=NEVER)
        else:
            now += amount
            expected = {thing for thing, at in table.items() if at <= now}
            assert expected == set(timers.due(now))
            for thing in expected:
                del table[thing]
    assert (timers.next_at() == NEVER) == (not table)
