"""The page of what was measured: all of it is there, nothing is fetched, and a browser draws it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import needs
from test_bench import load

from bench.page import page
from bench.row import Figure, Row, Sample, Target
from bench.rows import ROWS
from bench.run import Measured
from bench.servers import NGINX, PXENET

SERVERS = (PXENET, replace(NGINX, name="<nobody>", program="no-such-program", package="<none>"))


def measured() -> list[Measured]:
    """A row that reaches its goal, one that misses, one that is only told, and one by itself; with times, and with a doubt."""
    figures = (
        Figure(
            "MB/s",
            lambda sample: sample.mb_per_s,
            (Target("nginx", 1.0, goal=1.5), Target("<peer>", 4.0), Target("", 2.0)),
        ),
        Figure("wall s", lambda sample: sample.load.wall_s, (Target("nginx"), Target("<peer>", most=0.6))),
    )
    ours, theirs = Sample(load(1.0), 0.5, {}, (0.5, 1.5, 1.0)), Sample(load(2.0), 0.5, {}, (3.0,))
    samples = {"pxenet": [ours], "nginx": [theirs], "<peer>": [theirs]}
    return [Measured(Row("<work> & more", ROWS[0].work, figures), samples, ["<doubt>"])]


def test_all_of_it_is_there() -> None:
    """A bar for each ratio with its target and goal, a curve for each server, the table, who took part and what is doubtful."""
    text = page(measured(), SERVERS)
    assert 4 == text.count('<g class="bar">')
    assert (3, 1) == (text.count('class="target"'), text.count('class="aim"'))
    verdicts = re.findall(r'<rect class="(\w+)"', text)
    assert ["goal", "miss", "told", "pass"] == verdicts
    assert "&lt;work&gt; &amp; more: MB/s, 2.00 × nginx, at least 1, goal 1.5" in text
    assert 3 == text.count("<polyline")
    assert "p50 1.00 s, p99 1.50 s" in text
    assert 5 + 1 == text.count("<tr>")
    assert "&lt;work&gt; &amp; more: &lt;doubt&gt;" in text
    assert "not installed: apt-get install &lt;none&gt;" in text


def test_nothing_is_fetched_and_nothing_acts() -> None:
    """No script, no address, no markup out of names."""
    text = page(measured(), SERVERS)
    assert not re.search(r"<script|https?://|src=|href=|url\(|<work|<peer|<doubt|<none|\son\w+=", text)


def test_without_ratios_and_without_times() -> None:
    """A run in which no peer took part has a table, and no chart."""
    alone = Measured(replace(measured()[0].row), {"pxenet": [Sample(load(), 0.5)]})
    text = page([alone], SERVERS)
    assert "<svg" not in text
    assert "What is doubtful" not in text


@needs.tool("chromium")
def test_a_browser_draws_it(tmp_path: Path) -> None:
    """Bars begin at one and end at their ratios: twice as much is as far to the right as half is to the left."""
    path = tmp_path / "page.html"
    path.write_text(page(measured(), SERVERS), "utf-8")
    done = subprocess.run(
        [
            str(needs.find("chromium")), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900",
            f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    bars = [
        (float(x), float(width))
        for x, width in re.findall(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', done.stdout)
    ]
    assert [(355.0, 31.6), (355.0, 31.6), (323.4, 31.6), (323.4, 31.6)] == bars
    assert 2 == done.stdout.count("<svg")
