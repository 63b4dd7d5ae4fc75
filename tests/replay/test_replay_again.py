"""One machine that was switched on again: its boots come one after the other, however long each takes before this configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from replay_scene import captured, copy_rack, replayed

from pxenet.replay import play
from pxenet.replay.recorded import Recorded


def twice(apart_s: float) -> tuple[Recorded, Recorded]:
    """A captured boot, and the same once more so much later."""
    boot = captured("bios-e1000-pxelinux")
    return boot, replace(boot, number=2, began_s=boot.began_s + apart_s)


def test_the_second_boot_finds_it_installed(tmp_path: Path) -> None:
    """The state of the first is that with which the second is answered."""
    first, second = replayed(copy_rack(tmp_path), *twice(600))
    assert ("installed", "local disk") == (first.end, second.end)
    assert not any("later than captured" in note for note in second.notes)


def test_a_boot_that_takes_longer_than_it_did(tmp_path: Path) -> None:
    """The button waits for its end, and the second boot says so."""
    first, second = replayed(copy_rack(tmp_path), *twice(3))
    assert ("installed", "local disk") == (first.end, second.end)
    assert any("later than captured: its boot before was still under way" in note for note in second.notes)


def test_a_boot_that_has_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The button does not wait for ever."""
    monkeypatch.setattr(play, "_GRACE_S", 2.0)
    first, second = replayed(copy_rack(tmp_path), *twice(3))
    assert first.stop is not None
    assert "it is switched off and on again" == first.stop.says
    assert "installed" == second.end
