"""No token leaves by the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rack_machine import ADDRESS, MAC, MACHINE, read, start_installer, token
from rack_scene import RackScene, site

from pxenet.events import Event, describe
from pxenet.rack.discreet import discreet

TOKEN = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (f"answer/{TOKEN}/alma9/ks.cfg", "answer/01234567…/alma9/ks.cfg"),
        (f"//answer//{TOKEN}", "//answer//01234567…"),
        (f"\\answer\\{TOKEN}", "\\answer\\01234567…"),
        (f"installed/{TOKEN}", "installed/01234567…"),
        (f"/failed/{TOKEN}?reason=disk", "/failed/01234567…?reason=disk"),
        (f"/discovered/{TOKEN}", "/discovered/01234567…"),
        (f"profile/debian/by-hash/MD5Sum/{TOKEN}", f"profile/debian/by-hash/MD5Sum/{TOKEN}"),
        (f"answer/{TOKEN}0", f"answer/{TOKEN}0"),
        ("answer/0123", "answer/0123"),
    ],
)
def test_what_is_told_of_a_token(told: str, shown: str) -> None:
    """Eight digits, wherever a detail has one; names that only look like it stay whole."""
    event = Event("tftp.missing", MAC, ADDRESS, {"path": told, "size": 7})
    assert Event("tftp.missing", MAC, ADDRESS, {"path": shown, "size": 7}) == discreet(event)
    assert (discreet(event) is event) is (told == shown)


def test_a_whole_installation_without_a_token_in_the_log(base: Path) -> None:
    """Boot, answer file by TFTP, callbacks right, wrong and stale: every event as JSON and in words."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    secret = token(scene)
    for path in (f"answer/{secret}/alma9/ks.cfg", f"answer/{secret}/alma9/none", f"installed/{secret}"):
        read(scene, path, ADDRESS)
    for path in (f"/failed/{secret}", f"/installed/{secret}", f"/failed/{secret}"):
        scene.get(path, ADDRESS)
    read(scene, f"answer/{secret}/alma9/ks.cfg", ADDRESS)
    told = [json.dumps([event.detail, describe(event)], ensure_ascii=False, default=str) for event in scene.events]
    assert any(f"answer/{secret[:8]}…/alma9/ks.cfg" in line for line in told)
    assert any(f"installed/{secret[:8]}…" in line for line in told)
    assert not [line for line in told if secret in line]
