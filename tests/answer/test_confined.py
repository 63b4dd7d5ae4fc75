"""Templates with limits: what never ends or eats memory is told by file and line, and the next one is rendered all the same."""

from __future__ import annotations

import datetime
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.answer.confined import Confined
from pxenet.answer.engines import HERE, Job, rendered_text
from pxenet.answer.templates import ExceededError, TemplateProblem

LOOP = "{% for a in range(10000) %}" * 3 + "{% if a == 'x' %}x{% endif %}" + "{% endfor %}" * 3
NAMES = {"host": {"name": "node1"}, "vars": {"n": 5, "day": datetime.date(2026, 1, 2), "list": [1, 2.5, True]}}


@pytest.fixture(name="engine", scope="module")
def made_engine() -> Iterator[Confined]:
    with Confined(cpu_s=0.3, wall_s=60.0, memory_bytes=64 << 20) as engine:
        yield engine


def text_job(text: str) -> Job:
    return Job("", text, "profile.a.args", NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "h={{ host.name }} {{ vars.day }} {{ vars.list }}\n",
        "${#x}\r\n{% raw %}{{{% endraw %}",
        "{{ '\\u20ac' }}",
        "{# #}",
    ],
)
def test_both_engines_are_equal(text: str, engine: Confined) -> None:
    """A child renders what this process would."""
    assert HERE.render(text_job(text)) == engine.render(text_job(text))


@given(text=st.text(st.sampled_from("{}%# \nhost.name|'\"[]$x"), max_size=40))
def test_both_engines_are_equal_for_any_text(engine: Confined, text: str) -> None:
    """Faults included."""

    def outcome(render: HERE.__class__ | Confined) -> str:
        try:
            return render.render(text_job(text))
        except TemplateProblem as problem:
            return f"problem: {problem}"

    assert outcome(HERE) == outcome(engine)


def test_a_file_and_what_it_includes(engine: Confined, tmp_path: Path) -> None:
    """Files are read by the child; their faults are told where they are; an edited one counts at once."""
    (tmp_path / "ks.cfg").write_text("a\n{% include 'b' %}")
    (tmp_path / "b").write_text("\n{{ gone }}")
    job = Job(str(tmp_path / "ks.cfg"), "", "", NAMES)
    with pytest.raises(TemplateProblem) as caught:
        engine.render(job)
    assert f"{tmp_path}/b:2: undefined: 'gone' is undefined" == str(caught.value)
    (tmp_path / "b").write_text("longer than it was\n")
    assert "a\nlonger than it was\n" == engine.render(job)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param("\n\n" + LOOP, 3, "takes too long: does it come to an end?", id="endless"),
        pytest.param(
            "{% macro m(n) %}\n{{ m(n + 1) }}{% endmacro %}{{ m(1) }}", 2, "includes itself without end", id="recursion"
        ),
        pytest.param("\n{{ 'a' | center(999999999) }}", 2, "needs too much memory", id="one large text"),
        pytest.param(
            "{% set all %}\n" + LOOP.replace("{% if a == 'x' %}x{% endif %}", "12345678\n{{ a }}") + "{% endset %}",
            2,
            "needs too much memory",
            id="many small texts",
        ),
        pytest.param(
            "\n{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
            2,
            "renders to more than 1048576 bytes, which are the limit",
            id="output",
        ),
    ],
)
def test_what_would_not_end(text: str, line: int, message: str) -> None:
    """It is stopped, and told with its line; the next template is rendered."""
    with Confined(cpu_s=0.8, wall_s=60.0, memory_bytes=32 << 20) as engine:
        with pytest.raises(TemplateProblem) as caught:
            engine.render(text_job(text))
        assert ("profile.a.args", line, message) == (caught.value.file, caught.value.line, caught.value.message)
        assert "node1" == engine.render(text_job("{{ host.name }}"))


def test_what_no_timer_stops() -> None:
    """A child that does not answer is ended by the clock, and another takes its place."""
    with Confined(cpu_s=60.0, wall_s=0.5) as engine:
        with pytest.raises(ExceededError, match=r"profile\.a\.args: came to no end within 0\.5 s, and was stopped"):
            engine.render(text_job(LOOP))
        assert "node1" == engine.render(text_job("{{ host.name }}"))


def test_a_child_that_was_killed() -> None:
    """By whomever: the job is given to another one."""
    with Confined() as engine:
        engine.render(text_job("{{ host.name }}"))
        assert engine.child is not None
        os.kill(engine.child, signal.SIGKILL)
        assert "node1" == engine.render(text_job("{{ host.name }}"))
        child = engine.child
    assert (None, False) == (engine.child, Path(f"/proc/{child}").exists())


def test_no_child_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as what it is, and tried again for the next text."""
    with Confined() as engine:
        with monkeypatch.context() as patch:
            patch.setattr("sys.executable", "/nowhere/python")
            with pytest.raises(TemplateProblem, match=r"profile\.a\.args: no process can be started .*: No such file"):
                engine.render(text_job("{{ host.name }}"))
        assert "node1" == engine.render(text_job("{{ host.name }}"))


def test_a_thousand_hosts_have_it() -> None:
    """A template that exceeded its limits is not tried for each host."""
    with Confined(cpu_s=0.2, again_s=1000.0) as engine:
        told = []
        for _ in range(1000):
            with pytest.raises(ExceededError) as caught:
                engine.render(text_job(LOOP))
            told.append(str(caught.value))
    assert {"profile.a.args:1: takes too long: does it come to an end?"} == set(told)


def test_plain_texts_need_no_child() -> None:
    """Arguments without a template, which are the rule, are theirs without a question."""
    with Confined() as engine:
        assert "quiet ip=dhcp" == rendered_text(engine, "quiet ip=dhcp", NAMES, "profile.a.args")
        assert engine.child is None
