"""Events as people and machines read them."""

from __future__ import annotations

import io
import json

import pytest

from pxenet.events import KINDS, Event, describe
from pxenet.server.events import MACHINES, EventLog, printable

MAC = bytes.fromhex("525400770001")


def log(*, as_json: bool = False) -> tuple[io.StringIO, EventLog]:
    stream = io.StringIO()
    return stream, EventLog(stream, as_json=as_json, name_of=lambda mac: "web01", clock=lambda: 1000.0)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_told_without_details(kind: str) -> None:
    """A forgotten detail must not break a boot: it reads as a question mark."""
    sentence, advice = describe(Event(kind))
    assert sentence
    assert "{" not in sentence + advice


def test_a_line_for_people() -> None:
    """Time, name, hardware address, address, sentence; advice on its own line."""
    stream, tell = log()
    tell(Event("tftp.gave_up", MAC, 0x0A4D0064, {"block": 7, "path": "bios/pxelinux.0"}))
    first, second = stream.getvalue().splitlines()
    assert first.endswith("! web01 52:54:00:77:00:01 10.77.0.100 stopped answering at block 7 of bios/pxelinux.0")
    assert second.strip().startswith("what to do: ")


def test_a_line_for_machines() -> None:
    """One JSON object per line with the same content."""
    stream, tell = log(as_json=True)
    tell(Event("dhcp.release", MAC, 0, {"given": "10.77.0.100"}))
    assert json.loads(stream.getvalue()) == {
        "at": 1000.0,
        "kind": "dhcp.release",
        "level": "info",
        "host": "web01",
        "mac": "52:54:00:77:00:01",
        "address": "",
        "text": "gave back 10.77.0.100",
        "detail": {"given": "10.77.0.100"},
    }


def test_names_from_the_network_cannot_steer_the_terminal() -> None:
    """Escape sequences in a file name are shown, not obeyed, and a line break cannot begin a line of ours."""
    assert printable("\x1b[2Jx\ny") == "\N{REPLACEMENT CHARACTER}[2Jx\N{REPLACEMENT CHARACTER}y"
    stream, tell = log()
    tell(Event("install.failed", MAC, 0, {"why": "no disk\n12:00:00 web02 reports: installed"}))
    assert 2 == len(stream.getvalue().splitlines())  # the sentence, and what to do


def test_rings_are_bounded() -> None:
    """A flood of machines costs a bounded number of rings, and the latest are kept."""
    _, tell = log()
    for number in range(MACHINES + 10):
        tell(Event("dhcp.release", number.to_bytes(6, "big")))
    assert tell.of((0).to_bytes(6, "big")) == []
    assert len(tell.of((MACHINES + 9).to_bytes(6, "big"))) == 1


def test_the_rule_that_decided_is_told_in_words() -> None:
    """People read why a boot file was chosen; programs get the rule's id."""
    stream, tell = log(as_json=True)
    tell(Event("dhcp.offer", MAC, 0, {"offered": "10.0.0.9", "file": "bios/pxelinux.0", "reason": "ipxe-loader"}))
    said = json.loads(stream.getvalue())
    assert "ipxe-loader" == said["detail"]["reason"]
    assert said["text"].endswith("(it is iPXE already, and loads the boot loader chosen for its platform)")
