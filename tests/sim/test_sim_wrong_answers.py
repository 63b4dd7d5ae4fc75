"""Wrong answers: a machine fails as its firmware would, and says why; what its firmware tolerates it tolerates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from capture_player import Player, Recording

from pxenet.sim.firmware import PERSONALITIES
from pxenet.sim.machine import Machine, Stage
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import OptionCode
from pxenet.wire.shapes import Value

CAPTURES = {"bios": "bios-ipxe-script", "uefi": "uefi-pxe-grub", "http": "uefi-http-ipxe"}

Change = Callable[[Message], Message]


def options(values: Mapping[int, Value]) -> Change:
    """Options set, or (None) taken away."""
    return lambda message: replace(message, options=message.options.with_(values))


def header(**fields: int) -> Change:
    return lambda message: replace(message, **fields)  # type: ignore[arg-type]


def played(personality: str, change: Change) -> Player:
    """The captured server says something else in all its DHCP replies."""
    recording = Recording(CAPTURES[personality])
    play = Player(recording, Machine(PERSONALITIES[personality], recording.boot.hardware, seed=3), change)
    play.compare = False
    play.play()
    return play


def pxe(inside: bytes) -> Change:
    return options({OptionCode.VENDOR_CLASS: "PXEClient", OptionCode.VENDOR_SPECIFIC: inside})


FAILURES: dict[str, tuple[str, Change, str]] = {
    "EDK2: no file": ("uefi", options({OptionCode.BOOT_FILE: None}), "PXE-E53"),
    "EDK2: no offer counts without 54": ("uefi", options({OptionCode.SERVER_ID: None}), "PXE-E18"),
    "EDK2: a length that is not right": ("uefi", options({OptionCode.ROUTERS: b"\1\2\3"}), "PXE-E18"),
    "EDK2: no mask": ("uefi", options({OptionCode.SUBNET_MASK: None}), "declined"),
    "EDK2: class without 43": ("uefi", options({OptionCode.VENDOR_CLASS: "PXEClient"}), "port 4011 does not answer"),
    "EDK2: a menu that waits": ("uefi", pxe(bytes.fromhex("0a03ff5058ff")), "presses a key"),
    "EDK2: a menu without items": ("uefi", pxe(bytes.fromhex("060100ff")), "PXE-E21"),
    "EDK2: a URL": ("uefi", options({OptionCode.BOOT_FILE: "http://10.77.0.1/x.efi"}), "PXE-E23"),
    "HTTP: no class": ("http", options({OptionCode.VENDOR_CLASS: None}), "no offer of class HTTPClient"),
    "HTTP: no URL": ("http", options({OptionCode.BOOT_FILE: "ipxe.efi"}), "is no URL"),
    "HTTP: a name without DNS": ("http", options({OptionCode.BOOT_FILE: "http://boot.lan/ipxe.efi"}), "no name server"),
    "iPXE: no file": ("bios", options({OptionCode.BOOT_FILE: None}), "Nothing to boot"),
    "iPXE: no server": ("bios", header(siaddr=0), "no server"),
    "iPXE: no address": ("bios", header(yiaddr=0), "no DHCP offer"),
}


@pytest.mark.parametrize(("personality", "change", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_it_fails_in_words(personality: str, change: Change, words: str) -> None:
    """The stage is FAILED, and the failure says what was wrong."""
    play = played(personality, change)
    # The capture may be played out before patience is: then only the machine's own clock goes on.
    while not play.machine.over:
        play.now = play.machine.deadline()
        play.machine.tick(play.now)
    assert Stage.FAILED is play.machine.stage
    assert words in play.machine.failure


TOLERATED: dict[str, tuple[str, Change, str]] = {
    "EDK2 takes 54 for an empty siaddr": ("uefi", header(siaddr=0), "tftp grubx64.efi"),
    "EDK2 takes 67 before file": ("uefi", lambda message: replace(message, file=b"other"), "tftp grubx64.efi"),
    "iPXE takes file before 67": ("bios", lambda message: replace(message, file=b"other"), "tftp other"),
    "EDK2 goes straight to the file": ("uefi", pxe(bytes.fromhex("060108ff")), "tftp grubx64.efi"),
}


@pytest.mark.parametrize(("personality", "change", "asked"), TOLERATED.values(), ids=TOLERATED.keys())
def test_what_firmware_tolerates(personality: str, change: Change, asked: str) -> None:
    """Each reads the fields that its kind reads (facts: dhcp.md §6)."""
    assert asked in played(personality, change).said


def test_an_error_from_tftp_is_told() -> None:
    """ERROR 1 for the boot program: the firmware's own code, and the server's words."""
    recording = Recording("uefi-pxe-grub")
    for transfer in recording.transfers[:2]:
        transfer.answer = b"\0\5\0\1no such thing\0"
    play = Player(recording, Machine(PERSONALITIES["uefi"], recording.boot.hardware, seed=3))
    play.play()
    assert "PXE-E23" in play.machine.failure
    assert "no such thing" in play.machine.failure
