"""A flood is told as a number: bounded lines a second, other kinds and the rings untouched. All in virtual time."""

from __future__ import annotations

import io
import json

from pxenet.events import Event
from pxenet.server.events import MACHINES, EventLog
from pxenet.server.pace import Pace


class Clock:
    """A clock that stands still unless told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def flooded(seconds: int, per_second: int, *, as_json: bool) -> tuple[list[str], EventLog, Clock]:
    """The lines of a log during a flood of DISCOVERs from invented machines, ten times a second one of ours reports."""
    stream, clock = io.StringIO(), Clock()
    log = EventLog(stream, as_json=as_json, name_of=lambda mac: "", clock=clock, pace=Pace(100, 20))
    for number in range(seconds * per_second):
        clock.now += 1 / per_second
        log(Event("dhcp.discover", number.to_bytes(6, "big"), 0, {"arch": "x64 UEFI", "vendor_class": "PXEClient"}))
        if number % (per_second // 10) == 0:
            log(Event("dhcp.release", b"\x52\x54\0\0\0\1", 0, {"given": "10.0.0.9"}))
    return stream.getvalue().splitlines(), log, clock


def test_a_flood_is_bounded() -> None:
    """20 000 DISCOVERs in ten seconds: the burst, 20 a second, and a number once a second; nothing is lost from the count."""
    lines, log, clock = flooded(10, 2000, as_json=True)
    records = [json.loads(line) for line in lines]
    shown = [record for record in records if record["kind"] == "dhcp.discover"]
    counted = [record for record in records if record.get("of") == "dhcp.discover"]
    assert abs(len(shown) - 300) <= 2
    assert 8 <= len(counted) <= 11
    before = len(lines)
    clock.now += 1
    log.settle()
    (last,) = [json.loads(line) for line in log_lines(log)[before:]]
    assert 20_000 == len(shown) + sum(record["count"] for record in counted) + last["count"]


def log_lines(log: EventLog) -> list[str]:
    stream = log._stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue().splitlines()


def test_what_is_not_flooding_is_told_whole() -> None:
    """A kind that keeps its measure is not held back because another floods, and its machine's ring is complete."""
    lines, log, _ = flooded(10, 2000, as_json=False)
    assert 100 == sum("gave back 10.0.0.9" in line for line in lines)
    assert 64 == len(log.of(b"\x52\x54\0\0\0\1"))
    assert any(line.startswith("and ") and "more of dhcp.discover" in line for line in lines)
    assert len(log._rings) <= MACHINES


def test_all_of_it_at_the_end() -> None:
    """What is held back when the server stops is told, however young."""
    lines, log, _ = flooded(1, 2000, as_json=False)
    log.settle(all_of_it=True)
    assert log_lines(log)[len(lines):] != []  # fmt: skip
    log.settle(all_of_it=True)
    assert 1 == len(log_lines(log)) - len(lines)


def test_a_rest_refills_the_burst() -> None:
    """After quiet times a hall may be switched on again."""
    pace = Pace(burst=10, per_second=1)
    assert [True] * 10 + [False] == [pace.admits("x", 0.0) for _ in range(11)]
    assert [True, False] == [pace.admits("x", 1.0) for _ in range(2)]
    assert [True] * 10 + [False] == [pace.admits("x", 100.0) for _ in range(11)]


def test_a_clock_that_is_set_back() -> None:
    """The wall clock may jump an hour back: the flow goes on at its rate from there, and the number is told."""
    pace = Pace(burst=1, per_second=1)
    assert [True, False, False] == [pace.admits("x", 5000.0), pace.admits("x", 5000.1), pace.admits("x", 1400.0)]
    assert [("x", 2)] == pace.held(1400.0)
    assert pace.admits("x", 1401.1)


def test_quiet_kinds_are_quiet_to_people_only() -> None:
    """The line that follows says the same to people; programs get every event."""
    for as_json, shown in ((True, 1), (False, 0)):
        stream = io.StringIO()
        quiet = frozenset({"tftp.start"})
        EventLog(stream, as_json=as_json, name_of=lambda mac: "", quiet=quiet)(Event("tftp.start"))
        assert shown == len(stream.getvalue().splitlines())


def test_records_of_who_read_an_answer_file_are_all_told() -> None:
    """However many there are in an instant."""
    stream = io.StringIO()
    log = EventLog(stream, as_json=True, name_of=lambda mac: "", clock=lambda: 0.0, pace=Pace(1, 0.0))
    detail = {"path": "answer/x", "count": 1, "most": 9, "evidence": "lease"}
    for kind in ("answer.read", "tftp.start"):
        for number in range(9):
            log(Event(kind, bytes([number]), 0, detail | {"size": 1, "blksize": 8, "windowsize": 1}))
    said = [json.loads(line)["kind"] for line in stream.getvalue().splitlines()]
    assert (9, 1) == (said.count("answer.read"), said.count("tftp.start"))
