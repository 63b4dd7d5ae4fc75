"""Faults are told once in a while for each machine and reason; everything else always."""

from __future__ import annotations

from pathlib import Path

from rack_machine import ADDRESS, BIOS, MAC, MACHINE, read
from rack_scene import RackScene, site

from pxenet.events import Event, describe
from pxenet.rack.told import Told

ONE, TWO = bytes.fromhex("525400770001"), bytes.fromhex("525400770002")


def fault(mac: bytes, path: str, why: str = "ks.j2:7: undefined: 'rootpw'") -> Event:
    return Event("content.fault", mac, 0x0A4D0064, {"path": path, "why": why})


def test_one_fault_under_many_names() -> None:
    """pxelinux tries ten names and meets one fault; another machine, another fault and a later boot are news."""
    told = Told()
    assert [True, False, False] == [told.is_news(fault(ONE, f"pxelinux.cfg/{n}"), n) for n in range(3)]
    assert told.is_news(fault(TWO, "pxelinux.cfg/default"), 3.0)
    assert told.is_news(fault(ONE, "pxelinux.cfg/default", "ks.j2:8: syntax"), 4.0)
    assert not told.is_news(fault(ONE, "grub.cfg"), 599.0)
    assert told.is_news(fault(ONE, "grub.cfg"), 600.0)
    assert not told.is_news(fault(ONE, "grub.cfg"), 700.0)


def test_a_clock_set_back() -> None:
    """Silence must not last until the old time is reached again."""
    told = Told()
    assert told.is_news(fault(ONE, "f"), 1e9)
    assert told.is_news(fault(ONE, "f"), 1000.0)


def test_stages_are_always_told() -> None:
    """A stage that comes twice happened twice."""
    told = Told()
    assert [True, True] == [told.is_news(Event("tftp.done", ONE, 0, {"path": "f"}), 1.0) for _ in range(2)]


def test_a_flood_is_forgotten() -> None:
    """Machines that are invented cost a bounded memory: the fault told longest ago goes first."""
    told = Told(limit=10)
    assert all(told.is_news(fault(number.to_bytes(6, "big"), "f"), 1.0) for number in range(20))
    assert told.is_news(fault((9).to_bytes(6, "big"), "f"), 2.0)
    assert not told.is_news(fault((19).to_bytes(6, "big"), "f"), 2.0)


def test_a_template_that_fails_at_boot_time(base: Path) -> None:
    """A configuration that was right may meet a machine for which it is not: firmware goes on, people are told once, with the place."""
    scene = RackScene(base, site(more=MACHINE).replace("inst.text", "a={{ vars.gone }}"))
    scene.exchange(MAC, BIOS)
    for name in (f"pxelinux.cfg/01-{MAC.hex('-')}", "pxelinux.cfg/default"):
        error = read(scene, name, ADDRESS).error
        assert error is not None
        assert 1 == error.code
    assert 404 == scene.get("/boot.ipxe", ADDRESS).status
    (told,) = [event for event in scene.events if event.kind == "content.fault"]
    sentence, advice = describe(told)
    assert MAC == told.mac
    assert "profile.alma9.args:1: undefined" in sentence
    assert "pxenet check" in advice
