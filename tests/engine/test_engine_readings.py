"""How often and how long an answer file may be read."""

from __future__ import annotations

import pytest

from pxenet.engine import readings
from pxenet.engine.readings import Readings

KEY, OTHER = "52:54:00:00:00:01", "52:54:00:00:00:02"


def test_so_many_reads_of_each_boot() -> None:
    """Counted for each machine; a boot begins anew."""
    watched = Readings(2, 3600.0, 0.0)
    watched.handed(KEY, 10.0)
    assert [1, 2] == [watched.read(KEY) for _ in range(2)]
    assert "it was read 2 times" in watched.refusal(KEY, 11.0)
    assert "boot.answer_reads" in watched.refusal(KEY, 11.0)
    assert "" == watched.refusal(OTHER, 11.0)
    watched.handed(KEY, 20.0)
    assert "" == watched.refusal(KEY, 21.0)


@pytest.mark.parametrize(("at", "open_"), [(10.0, True), (3609.0, True), (3610.0, False), (9e9, False)])
def test_a_window(at: float, open_: bool) -> None:
    """From the boot text on, whatever was read meanwhile."""
    watched = Readings(20, 3600.0, 0.0)
    watched.handed(KEY, 10.0)
    watched.read(KEY)
    assert open_ == (not watched.refusal(KEY, at))
    assert open_ or "boot.answer_window is 60 min" in watched.refusal(KEY, at)


def test_what_was_handed_out_before_the_start() -> None:
    """An installation that a restart meets may go on; its reads count from there."""
    watched = Readings(2, 3600.0, 1000.0)
    assert "" == watched.refusal(KEY, 1001.0)
    assert [1, 2] == [watched.read(KEY) for _ in range(2)]
    assert watched.refusal(KEY, 1002.0)
    assert watched.refusal(OTHER, 1000.0 + 3600.0)


def test_other_limits() -> None:
    """They hold from now on, for what was counted before too."""
    watched = Readings(2, 3600.0, 0.0)
    watched.handed(KEY, 0.0)
    watched.read(KEY)
    watched.reconfigure(1, 3600.0)
    assert "as often as boot.answer_reads" in watched.refusal(KEY, 1.0)
    watched.reconfigure(5, 10.0)
    assert ("", True) == (watched.refusal(KEY, 9.0), bool(watched.refusal(KEY, 10.0)))


def test_a_clock_that_is_set() -> None:
    """Neither closes a window nor opens one."""
    watched = Readings(2, 100.0, 0.0)
    watched.handed(KEY, 0.0)
    watched.clock_moved(1e6)
    assert ("", True) == (watched.refusal(KEY, 1e6 + 50), bool(watched.refusal(KEY, 1e6 + 100)))
    assert "" == watched.refusal(OTHER, 1e6 + 50)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was handed a text longest ago is forgotten, and judged by the start."""
    monkeypatch.setattr(readings, "MAX_ENTRIES", 2)
    watched = Readings(1, 100.0, 0.0)
    for number in range(4):
        watched.handed(str(number), 50.0)
    assert [True, True, False, False] == [bool(watched.refusal(str(number), 120.0)) for number in range(4)]
