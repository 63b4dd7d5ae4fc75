"""Captures made by simulated firmware: the same each time, and each shows what it is for."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import made_captures
import pytest
import tshark
from made_captures import SCENES, Scene, made

from pxenet.capture import dissect
from pxenet.capture.boots import Boot, Capture, Outcome, Transfer, server_of
from pxenet.capture.reading import CaptureReader

BY_NAME = {scene.name: scene for scene in SCENES}


def capture(name: str) -> Capture:
    return dissect.dissect(CaptureReader(io.BytesIO(made(BY_NAME[name])), name))


def transfers(boot: Boot) -> list[Transfer]:
    return [step for step in boot.steps if isinstance(step, Transfer)]


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_made_twice(scene: Scene) -> None:
    """The same bytes; nothing in it is malformed or cut, and every machine is a boot."""
    data = made(scene)
    assert data == made(scene)
    found = dissect.dissect(CaptureReader(io.BytesIO(data), scene.name))
    assert (0, 0, ()) == (found.counts.malformed, found.counts.truncated, found.damage)
    assert sum(scene.mix.values()) == len({boot.hardware for boot in found.boots})


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_made_in_any_checkout(scene: Scene) -> None:
    """Those that are kept are those that are made now, whatever the files' times are here."""
    assert made(scene) == (made_captures.FOLDER / f"{scene.name}.pcap").read_bytes()


def test_those_of_the_repository() -> None:
    """There is one for each scene, small, and none that no scene makes; each is told of."""
    there = {path.stem for path in made_captures.FOLDER.glob("*.pcap")}
    assert there == set(BY_NAME)
    said = (made_captures.FOLDER.parent / "README.md").read_text()
    assert [] == [name for name in there if f"`made/{name}.pcap`" not in said]
    assert max(path.stat().st_size for path in made_captures.FOLDER.glob("*.pcap")) < 100_000


@tshark.installed
@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_tshark_finds_no_fault(scene: Scene, tmp_path: Path) -> None:
    """But for the errors that TFTP servers send."""
    path = tmp_path / "made.pcap"
    path.write_bytes(made(scene))
    assert [] == [
        note for each in tshark.read(path) for note in each.notes_of("error", "warn") if "TFTP ERROR" not in note
    ]
    assert not any(each.malformed for each in tshark.read(path))


def relayed(found: Capture) -> bool:
    return all(step.message.giaddr == made_captures.ROUTER for boot in found.boots for step in boot.dhcp[:2])


def by_proxy(found: Capture) -> bool:
    return any(step.packet.source_port == 4011 for step in found.boots[0].dhcp)


def of_two(found: Capture) -> bool:
    servers = {server_of(step) for step in found.boots[0].dhcp if not step.from_client}
    return servers == {made_captures.SERVER, made_captures.OTHER}


def lost(found: Capture) -> bool:
    again = [
        one.retransmissions + one.repeated_acks + one.repeated_requests
        for boot in found.boots
        for one in transfers(boot)
    ]
    return sum(again) > 3


def shared(found: Capture) -> bool:
    first, second = found.boots
    return first.leases[0].address == second.leases[0].address and first.hardware != second.hardware


def in_pieces(found: Capture) -> bool:
    long = [one for boot in found.boots for one in transfers(boot) if one.recorded_bytes > 576]
    return len(long) >= 2 and all(one.outcome is Outcome.COMPLETE for one in long)


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("relayed", relayed),
        ("proxy-4011", by_proxy),
        ("two-servers", of_two),
        ("lossy", lost),
        ("shared-address", shared),
        ("fragments", in_pieces),
        ("installed-again", lambda found: [1, 2] == [boot.power_on for boot in found.boots]),
    ],
)
def test_what_it_is_for(name: str, shows: Callable[[Capture], bool]) -> None:
    """Each can be seen in its boots."""
    assert shows(capture(name))


def test_packets_that_are_tagged_and_cooked() -> None:
    """In the file itself."""
    assert bytes.fromhex("88a80064 81000007 0800") == made(BY_NAME["vlan"])[24 + 16 + 12 :][:10]
    assert (276,) == struct.unpack_from("<I", made(BY_NAME["cooked-v2"]), 20)
