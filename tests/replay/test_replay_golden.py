"""Every capture of the repository before the common configuration: the answers are those beside it, reviewed.

After a deliberate change, for each capture:
``pxenet replay captures/NAME.pcap --config captures/rack/rack.toml --expect captures/NAME.replay.json --update``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from replay_scene import ALL, MADE, RACK

from pxenet.replay import golden
from pxenet.replay.run import replay


@pytest.mark.parametrize("path", [*ALL.values(), *MADE.values()], ids=lambda path: path.stem)
def test_the_answers_are_the_expected_ones(path: Path) -> None:
    """Nothing that a captured machine is told changes unseen."""
    found = list(replay([path], RACK / "rack.toml"))
    assert found
    assert {} == golden.surprises(found, path.with_suffix(".replay.json"))


def test_two_processes_say_the_same() -> None:
    """Captures are replayed in whichever process, and come back in order."""
    paths = list(ALL.values())
    one, two = (golden.text(list(replay(paths, RACK / "rack.toml", jobs=jobs))) for jobs in (1, 2))
    assert one == two


def test_a_change_is_seen(tmp_path: Path) -> None:
    """A line of the golden file that is not so is told as removed and added; a boot that it lacks, too."""
    results = list(replay([ALL["uefi-pxe-grub"]], RACK / "rack.toml"))
    path = tmp_path / "golden.json"
    path.write_text(golden.text(results).replace("10.77.0.1'", "10.77.0.2'"))
    (departs,) = golden.surprises(results, path).values()
    assert any(line.startswith("+ ") and "66 TFTP server: '10.77.0.1'" in line for line in departs)
    path.write_text("[]")
    assert [
        "does not know this boot" in line for lines in golden.surprises(results, path).values() for line in lines
    ] == [True]
    path.write_text("{}")
    with pytest.raises(golden.GoldenError, match="no list of boots"):
        golden.surprises(results, path)
