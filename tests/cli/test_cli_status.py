"""What ``pxenet status`` says of a server that has more to do than it can."""

from __future__ import annotations

from pxenet.cli.status import _running

TFTP = {
    "completed": 5120,
    "reading": 1830,
    "retransmits": 12,
    "gave_up": 0,
    "overload": 0,
    "waiting": 0,
    "waited": 0,
}
STATUS = {"version": "1", "uptime_s": 60, "process": 7, "config": "", "state": "state", "dhcp": {}, "http": {}}


def said(sockets: dict[str, object] | None = None, **tftp: int) -> list[str]:
    """Its lines about TFTP, and its complaints."""
    lines = list(_running({**STATUS, "tftp": TFTP | tftp, "sockets": sockets or {}}))
    first = next(index for index, line in enumerate(lines) if "TFTP" in line)
    return [line.strip() for line in lines[first + 1 :]]


def test_who_failed_is_told_with_the_reason() -> None:
    """The latest three; how many more there are."""
    failed = [{"host": f"web{number}", "reason": "disk full.", "since_at": 1.0} for number in range(5)]
    lines = list(_running({**STATUS, "failed": failed}))
    told = [f"! web{number} failed: disk full. pxenet hosts show web{number} tells more" for number in range(3)]
    assert [*told, "! 2 more failed: pxenet hosts --sort state says why"] == lines[-4:]
    assert told[:1] == [line for line in _running({**STATUS, "failed": failed[:1]}) if line.startswith("!")]


def test_nothing_is_said_while_it_keeps_up() -> None:
    """No line that tells nothing."""
    assert [] == said({"69": {"received": 9, "overflowed": 0}})


def test_who_waits_is_told() -> None:
    """Now, and those who did."""
    assert ["640 requests wait for their turn, 2210 have waited and were served then"] == said(waiting=640, waited=2210)


def test_what_was_dropped_is_told() -> None:
    """By the server, and by the kernel before it."""
    dropped, lost = said({"69": {"overflowed": 3}, "30001": {"overflowed": 4}}, overload=5)
    assert dropped.startswith("! 5 TFTP requests were dropped")
    assert lost.startswith("! 7 datagrams were lost, for the queue of their port was full")
