"""The table that moves: what events and transfers make of a machine, and how it fits into a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pxenet.cli.board import MACHINES, Board, BoardRow
from pxenet.cli.picture import Picture, elapsed_text, rate_text
from pxenet.engine.surface import Progress
from pxenet.events import KINDS, Event

MAC = bytes.fromhex("525400000001")
ADDRESS = 0x0A000064


def board() -> Board:
    return Board(lambda mac: "x64 UEFI", lambda address: (MAC, "web01") if address == ADDRESS else (b"", ""))


def state(name: str) -> Event:
    return Event("install.state", MAC, 0, {"state": name})


def progress(done: int, *, id: int = 1, address: int = ADDRESS, retransmits: int = 0) -> Progress:
    return Progress(id, address, "profile/alma9/vmlinuz", done, 1000, retransmits)


BOOT = [
    (Event("dhcp.discover", MAC), "asks"),
    (Event("dhcp.offer", MAC), "offered"),
    (Event("dhcp.ack", MAC, ADDRESS), "address"),
    (state("offered"), "address"),
    (Event("tftp.start", MAC, ADDRESS, {"path": "x64/grubx64.efi"}), "loading"),
    (state("booted"), "booted"),
    (Event("dhcp.ack", MAC, ADDRESS), "booted"),
    (Event("http.done", MAC, ADDRESS, {"path": "initrd.img", "size": 10, "seconds": 0.1}), "booted"),
    (state("answered"), "answered"),
    (state("installing"), "installing"),
    (Event("install.installed", MAC), "installed"),
    (Event("dhcp.ack", MAC, ADDRESS), "installed"),
    (state("new"), "new"),
    (Event("dhcp.ack", MAC, ADDRESS), "address"),
    (Event("install.stopped", MAC), "stopped"),
]


def test_stages_of_a_boot() -> None:
    """They go forward; addresses asked for in the middle take nothing back; arming it again begins anew."""
    shown = board()
    stages = []
    for at, (event, _) in enumerate(BOOT):
        shown.told(event, "web01", at)
        (row,) = shown.rows(at, 10)
        stages.append(row.stage)
    assert [stage for _, stage in BOOT] == stages


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_any_event_can_be_told(kind: str) -> None:
    """Without details, and of nobody."""
    shown = board()
    shown.told(Event(kind), "", 0.0)
    assert 0 == len(shown)
    shown.told(Event(kind, MAC), "", 0.0)
    assert ["52:54:00:00:00:01"] == [row.machine for row in shown.rows(0.0, 10)]


def test_time_stands_still_at_the_end() -> None:
    """Elapsed counts from the first packet of this boot to its end."""
    shown = board()
    shown.told(Event("dhcp.discover", MAC), "web01", 100.0)
    assert [30.0] == [row.elapsed_s for row in shown.rows(130.0, 10)]
    shown.told(Event("install.installed", MAC), "web01", 160.0)
    assert [60.0] == [row.elapsed_s for row in shown.rows(900.0, 10)]
    shown.told(Event("dhcp.discover", MAC), "web01", 900.0)
    assert [("asks", 1.0)] == [(row.stage, row.elapsed_s) for row in shown.rows(901.0, 10)]


def test_rate_and_percent() -> None:
    """Of what has moved between two looks, by machine and in all; gone some seconds after the end."""
    shown = board()
    shown.under_way([progress(0)], 10.0)
    shown.under_way([progress(500, retransmits=2), progress(300, id=2)], 10.5)
    (row,) = shown.rows(10.5, 10)
    assert ("web01", "loading", "profile/alma9/vmlinuz", 30, 1600.0, 2) == (
        row.machine, row.stage, row.file, row.percent, row.rate, row.retries
    )  # fmt: skip
    assert 1600.0 == shown.rate
    done = Event("tftp.done", MAC, ADDRESS, {"path": "vmlinuz", "size": 1_000_000, "seconds": 0.5, "retransmits": 2})
    shown.told(done, "web01", 11.0)
    shown.under_way([], 11.0)
    (row,) = shown.rows(11.0, 10)
    assert (None, 2_000_000.0, 2, 0.0) == (row.percent, row.rate, row.retries, shown.rate)
    assert [None] == [row.rate for row in shown.rows(20.0, 10)]


def test_only_the_latest_have_room_and_stay_in_place() -> None:
    """A machine keeps its line as long as it is shown."""
    shown = board()
    for number in range(5):
        shown.told(Event("dhcp.discover", bytes([number])), f"m{number}", number)
    assert ["m2", "m3", "m4"] == [row.machine for row in shown.rows(9.0, 3)]
    shown.told(Event("dhcp.ack", bytes([2])), "m2", 10.0)
    shown.told(Event("dhcp.ack", bytes([0])), "m0", 11.0)
    assert ["m2", "m4", "m0"] == [row.machine for row in shown.rows(12.0, 3)]


def test_memory_is_bounded() -> None:
    """A flood of invented machines pushes out the silent ones."""
    shown = board()
    for number in range(MACHINES + 100):
        shown.told(Event("dhcp.discover", number.to_bytes(6, "big")), "", number)
    assert MACHINES == len(shown)


def draw(picture: Picture, width: int, height: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, height=height, color_system=None, force_terminal=False).print(picture)
    return stream.getvalue().splitlines()


ROWS = [
    BoardRow("web01", "x64 UEFI", "loading", "profile/alma9/images/pxeboot/vmlinuz", 43, 12_300_000.0, 65.0, 0),
    BoardRow("52:54:00:12:34:57", "x86 BIOS", "installed", "answer/8f/ks.cfg", 100, None, 3665.0, 17),
    BoardRow("db\x1b[2J", "", "failed", "a/" + "x" * 200, 100, None, 1.0, 0),
]
LINES = [
    "12:00:01 ! web01 " + "has a long story to tell " * 5,
    "         what to do: " + "read it to its very end " * 5,
]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("height", [6, 24, 50])
def test_it_fits(width: int, height: int) -> None:
    """Never wider or higher than the terminal, whatever is in it, and without control characters."""
    shown = draw(Picture(ROWS * 10, "30 machines", LINES * 10), width, height)
    assert len(shown) < height
    assert [] == [line for line in shown if len(line) > width or "\x1b" in line]


def test_at_80_columns() -> None:
    """Everything that matters is there: the last part of the file's name, how much of it, rate, time, retries."""
    shown = draw(Picture(ROWS, "3 machines", LINES[-1:]), 80, 24)
    assert ["machine", "firmware", "stage", "file", "rate", "elapsed", "retries"] == shown[0].split()
    assert ["web01", "x64", "UEFI", "loading", "43", "%", "vmlinuz", "12.3", "MB/s", "1:05"] == shown[1].split()
    assert ["52:54:00:12:34:57", "x86", "BIOS", "installed", "ks.cfg", "1:01:05", "17"] == shown[2].split()
    assert "3 machines" == shown[4].strip()
    assert "read it to its very end" == " ".join(" ".join(shown[5:]).split())[-23:]


def test_at_120_columns() -> None:
    """There is room for directories."""
    assert "43 % images/pxeboot/vmlinuz" in draw(Picture(ROWS, "", []), 120, 24)[1]


def test_what_has_no_room_is_counted() -> None:
    """In the line that sums up."""
    assert any("25 not shown" in line for line in draw(Picture(ROWS * 10, "30 machines", []), 80, 9))


@pytest.mark.parametrize(
    ("rate", "text"),
    [(None, ""), (0.0, "0 B/s"), (999.0, "999 B/s"), (1500.0, "1.5 kB/s"), (2.5e6, "2.5 MB/s"), (1e9, "1.0 GB/s")],
)
def test_rates(rate: float | None, text: str) -> None:
    """In decimal units, as networks are sold."""
    assert text == rate_text(rate)


@pytest.mark.parametrize(("seconds", "text"), [(-1.0, "0:00"), (5.0, "0:05"), (65.9, "1:05"), (3665.0, "1:01:05")])
def test_times(seconds: float, text: str) -> None:
    """Minutes and seconds, hours where there are any."""
    assert text == elapsed_text(seconds)
