"""Simulated machines against reality: what they say to captured answers is what the captured machines said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from capture_player import Player, Recording

from pxenet.sim.firmware import PERSONALITIES, Personality
from pxenet.sim.installer import DEBIAN_SYSTEM, PAYLOAD
from pxenet.sim.machine import Machine, Stage
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import MessageType, OptionCode

BIOS, UEFI, HTTP = (replace(PERSONALITIES[name], system=PAYLOAD) for name in ("bios", "uefi", "http"))

CASES: dict[str, Personality] = {
    "bios-e1000-pxelinux": replace(PERSONALITIES["bios-e1000"], system=PAYLOAD),
    "bios-ipxe-script": BIOS,
    "bios-lpxelinux-v6": BIOS,
    "bios-pxelinux-localboot": BIOS,
    "di-preseed": replace(BIOS, system=DEBIAN_SYSTEM),
    "proxy-bios-kea": BIOS,
    "uefi-http-ipxe": HTTP,
    "uefi-pxe-grub": UEFI,
    "uefi-pxe-ipxe": UEFI,
    "uefi-pxe6-ipxe": replace(PERSONALITIES["ipxe"], system=PAYLOAD),
}
"""Each capture, and who is to say the same. Nobody here speaks DHCPv6: of the last one it is iPXE's part, which asked over IPv4."""


def player(name: str) -> Player:
    recording = Recording(name)
    return Player(recording, Machine(CASES[name], recording.boot.hardware, seed=3))


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_the_captured_machine_said(name: str) -> None:
    """Every DHCP message, request, acknowledgment and HTTP head, in order, from the first to the capture's last."""
    play = player(name)
    play.play()
    assert ([], "") == (play._order, play.machine.failure), play.machine.trail


def test_the_local_disk_is_recognised() -> None:
    """LOCALBOOT ends a boot without any further request."""
    play = player("bios-pxelinux-localboot")
    play.play(to_the_end=True)
    assert (Stage.LOCAL_DISK, "") == (play.machine.stage, play.machine.failure)
    assert "tftp pxelinux.cfg/default" == play.said[-1]


def test_another_file_name_is_what_it_asks_for() -> None:
    """Behaviour, not a recording: with another boot file in the answers another name is asked for, and other names after it."""
    play = player("bios-e1000-pxelinux")
    play.compare = False

    def other_file(message: Message) -> Message:
        if OptionCode.BOOT_FILE not in message.options:
            return message
        return replace(message, options=message.options.with_({OptionCode.BOOT_FILE: "deep/down/pxelinux.0"}))

    play.change = other_file
    play.play()
    assert "tftp deep/down/pxelinux.0" in play.said
    assert "tftp deep/down/ldlinux.c32" in play.said
    assert "tftp pxelinux.cfg/default" not in play.said


def test_another_boot_text_leads_elsewhere() -> None:
    """The kernel's name comes out of the text that was read."""
    play = player("bios-e1000-pxelinux")
    play.compare = False
    play.text = lambda text: text.replace(b"KERNEL vmlinuz", b"KERNEL other-kernel")
    play.play()
    assert "tftp other-kernel" in play.said
    assert "tftp vmlinuz" not in play.said


def test_a_refusal_begins_anew() -> None:
    """NAK instead of the ACK: DISCOVER again, with a new xid."""
    play = player("uefi-pxe-grub")
    play.compare = False

    def refuse(message: Message) -> Message:
        if message.message_type != MessageType.ACK:
            return message
        return replace(message, yiaddr=0, options=message.options.with_({OptionCode.MESSAGE_TYPE: MessageType.NAK}))

    play.change = refuse
    play.play()
    assert ["dhcp 1", "dhcp 3", "dhcp 1"] == play.said[:3]
