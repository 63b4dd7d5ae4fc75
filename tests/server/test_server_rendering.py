"""Templates of a running server: who waits for one that does not end waits alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from pxenet.answer.engines import Job, NotYetError
from pxenet.answer.templates import TemplateProblem
from pxenet.model import Absent, Content, Later, Missing
from pxenet.server.rendering import Rendering

LOOP = "{% for a in range(10000) %}" * 3 + "{% if a == 'x' %}x{% endif %}" + "{% endfor %}" * 3


@asynccontextmanager
async def running(cpu_s: float = 0.3) -> AsyncIterator[Rendering]:
    rendering = Rendering(cpu_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rendering.run)
        yield rendering
        nursery.cancel_scope.cancel()


def job(text: str, name: str, host: str = "node1") -> Job:
    return Job("", text, f"profile.{name}.args", {"host": {"name": host}})


async def outcome(rendering: Rendering, wanted: Job) -> str:
    """What comes of it, for one who asks again when told to."""
    try:
        return rendering.render(wanted)
    except NotYetError as not_yet:
        later = not_yet.later
    made: list[str] = []
    there = trio.Event()

    def ask_again(answer: Content | Absent | None) -> None:
        try:
            made.append(rendering.render(wanted) if answer is None else "told")
        except TemplateProblem as problem:
            made.append(str(problem))
        there.set()

    later.then(ask_again)
    with trio.fail_after(60):
        await there.wait()
    return made[0]


async def test_a_text_comes_later() -> None:
    """Whoever asks is told to ask again, and then has it; nothing of it is kept."""
    async with running() as rendering:
        assert "node1" == await outcome(rendering, job("{{ host.name }}", "a"))
        assert "profile.a.args:2: undefined: 'gone' is undefined" == await outcome(rendering, job("\n{{ gone }}", "a"))
        assert "node1" == await outcome(rendering, job("{{ host.name }}", "a"))


async def test_two_who_want_the_same() -> None:
    """One job serves both."""
    async with running() as rendering:
        laters: list[Later] = []
        for _ in range(2):
            try:
                rendering.render(job("{{ host.name }}", "a"))
            except NotYetError as not_yet:
                laters.append(not_yet.later)
        assert (2, True) == (len(laters), laters[0] is laters[1])
        assert "node1" == await outcome(rendering, job("{{ host.name }}", "a"))


async def test_nobody_waits_for_what_does_not_end() -> None:
    """Once it is known, a template that does not end is refused while others are rendered, before and behind it."""
    async with running() as rendering:
        told: list[str] = []

        async def ask(text: str, name: str, host: str) -> None:
            told.append(f"{host}: {await outcome(rendering, job(text, name, host))}")

        await ask(LOOP, "bad", "first")
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(ask, LOOP, "bad", f"bad{number}")
                nursery.start_soon(ask, "{{ host.name }}", "good", f"good{number}")
    fault = "profile.bad.args:1: takes too long: does it come to an end?"
    assert f"first: {fault}" == told[0]
    expected = [f"bad{number}: {fault}" for number in range(5)] + [f"good{number}: good{number}" for number in range(5)]
    assert sorted(expected) == sorted(told[1:])


async def test_more_than_can_wait() -> None:
    """They are told to ask later; those who wait are served."""
    rendering = Rendering()
    answers: list[Content | Absent | None] = []
    for number in range(5000):
        try:
            rendering.render(job("{{ host.name }}", "a", f"host{number}"))
        except NotYetError as not_yet:
            not_yet.later.then(answers.append)
    assert 5000 - 4096 == len(answers)
    assert {Missing.UNAVAILABLE} == {answer.missing for answer in answers if isinstance(answer, Absent)}
