"""The common configuration of the captures, changed in one place at a time, and captures replayed before it."""

from __future__ import annotations

import shutil
from pathlib import Path

from pxenet.config import from_text
from pxenet.replay.play import Play, parts_of, play
from pxenet.replay.recorded import Recorded, read
from pxenet.replay.result import BootResult, results

CAPTURES = Path(__file__).parents[2] / "captures"
RACK = CAPTURES / "rack"
ALL = {path.stem: path for path in sorted(CAPTURES.glob("*.pcap"))}
MADE = {path.stem: path for path in sorted(CAPTURES.glob("made/*.pcap"))}


def rack_text() -> str:
    """The common configuration."""
    return (RACK / "rack.toml").read_text()


def changed(text: str, *pairs: tuple[str, str]) -> str:
    """The text with each first string of a pair replaced by the second."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def copy_rack(base: Path) -> Path:
    """The common configuration's files, to be broken."""
    shutil.copytree(RACK, base / "rack")
    return base / "rack"


def played(rack: Path, *boots: Recorded, text: str | None = None) -> Play:
    """The boots of one capture before a configuration."""
    return play(from_text((rack / "rack.toml").read_text() if text is None else text, rack), parts_of(boots))


def replayed(rack: Path, *boots: Recorded, text: str | None = None) -> list[BootResult]:
    """Their results."""
    return results(played(rack, *boots, text=text))


def captured(name: str) -> Recorded:
    """The boot of a capture of this repository."""
    (boot,) = read(ALL[name])
    return boot
