"""What the lab reads on a console, and how it judges a power-on by it."""

import pytest
from labkit import marks
from labkit.machine import Outcome, PowerOn
from labkit.run import first_fault, second_fault

LINES = [
    pytest.param("@lab kernel 6.1.0-50-amd64", marks.Mark("kernel", "6.1.0-50-amd64"), id="plain"),
    pytest.param("Booting from ROM..@lab kernel 6.1\r", marks.Mark("kernel", "6.1"), id="behind firmware's line"),
    pytest.param("\x1b[2J\x1b[01;01H\x1b[=3h@lab disk efi-program\r", marks.Mark("disk", "efi-program"), id="coloured"),
    pytest.param("@lab installed", marks.Mark("installed"), id="no detail"),
    pytest.param("@lab failed cannot fetch http://x/a b", marks.Mark("failed", "cannot fetch http://x/a b"), id="words"),
    pytest.param("udhcpc: started", None, id="none"),
    pytest.param("mail@lab.example", None, id="an address"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_mark_is_found_anywhere_in_a_line(line: str, expected: marks.Mark | None) -> None:
    """Firmware interleaves and colours; the mark is found, and nothing else is taken for one."""
    assert marks.parse(line) == expected


@pytest.mark.parametrize(("stage", "detail"), [("installed", ""), ("disk", "boot-sector")])
def test_marks_are_read_as_they_are_written(stage: str, detail: str) -> None:
    """The text that the lab's programs print is the text that it looks for."""
    assert marks.parse(marks.mark(stage, detail)) == marks.Mark(stage, detail)


def _power(*stages: str, outcome: Outcome = Outcome.OFF, disk: str = "") -> PowerOn:
    found = [(float(at), marks.Mark(stage)) for at, stage in enumerate(stages)]
    if disk:
        found.append((9.0, marks.Mark("disk", disk)))
    return PowerOn(at=0.0, marks=found, outcome=outcome, lasted_s=30.0)


FIRST = [
    pytest.param(_power("kernel", "address", "answer", "installed"), "", id="installed"),
    pytest.param(_power("kernel", "address"), "switched off after stage 'address' (30 s)", id="no answer"),
    pytest.param(_power(outcome=Outcome.TIMEOUT), "took too long before its kernel started (30 s)", id="nothing"),
    pytest.param(
        _power("kernel", "address", "answer", "installed", outcome=Outcome.TIMEOUT),
        "took too long after stage 'installed' (30 s)",
        id="not off",
    ),
]


@pytest.mark.parametrize(("power", "expected"), FIRST)
def test_a_first_power_on_must_install_and_end(power: PowerOn, expected: str) -> None:
    """Every stage reported and off by itself, or words that say how far it came."""
    assert first_fault(power) == expected


SECOND = [
    pytest.param(_power(disk="boot-sector"), "", id="its disk"),
    pytest.param(_power(disk="efi-program"), "the disk's efi-program spoke, not its boot-sector", id="wrong firmware"),
    pytest.param(_power("kernel"), "it started the installer's kernel again", id="installs again"),
    pytest.param(_power(), "switched off after 30 s and the disk never spoke", id="silent"),
]


@pytest.mark.parametrize(("power", "expected"), SECOND)
def test_a_second_power_on_must_boot_the_disk(power: PowerOn, expected: str) -> None:
    """Only the program that belongs to the firmware proves it."""
    assert second_fault(power, "boot-sector") == expected
