"""What the lab concludes from the replay of a recording."""

from __future__ import annotations

import json

import pytest
from labkit.replayed import Boot, faults, parse

MAC, ADDRESS = "52:54:00:77:00:01", "10.77.0.170"
FIRST = Boot(MAC, "installed", ADDRESS, "")
SECOND = Boot(MAC, "local disk", ADDRESS, "")
OTHER = Boot("52:54:00:77:00:02", "failed", "", "stops before it had an address")


def test_what_the_command_prints() -> None:
    """Ends, addresses, and of the differences those that the firmware cares about."""
    told = {"where": "OFFER to the firmware", "what": "67 boot file", "recorded": "a", "now": "b"}
    boot = {"mac": MAC, "end": "installed", "address": ADDRESS, "stops": ""}
    boot["differences"] = [told | {"cares": True}, told | {"cares": False}]
    assert [Boot(MAC, "installed", ADDRESS, "", ("OFFER to the firmware: 67 boot file: 'a' -> 'b'",))] == parse(
        json.dumps({"boots": [boot]})
    )


def test_the_same_ends() -> None:
    """Nothing is wrong; other machines are not its business."""
    assert [] == faults([FIRST, OTHER, SECOND, SECOND], MAC, ADDRESS)


@pytest.mark.parametrize(
    ("boots", "words"),
    [
        ([FIRST], "1 boots of it were found"),
        ([FIRST, Boot(MAC, "installed", ADDRESS, "")], "boot 2 ends otherwise (installed, not local disk)"),
        ([Boot(MAC, "failed", "", "stops at its kernel"), SECOND], "ends otherwise (failed, not installed): stops at its kernel"),
        ([FIRST, Boot(MAC, "local disk", "10.77.0.9", "")], "the address 10.77.0.9 in its boot 2, and had 10.77.0.170"),
        ([FIRST, Boot(MAC, "local disk", ADDRESS, "", ("x: y",))], "told something else in its boot 2: x: y"),
    ],
    ids=["too few", "installs again", "stops", "another address", "another answer"],
)  # fmt: skip
def test_what_is_wrong(boots: list[Boot], words: str) -> None:
    """Each in a sentence."""
    (fault,) = faults(boots, MAC, ADDRESS)
    assert words in fault
