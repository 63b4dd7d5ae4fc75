"""The fast path: whatever a capture holds, skimming it comes to the same boots as making a value of each packet."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pxenet.capture.boots import Boot, Counts, Damage
from pxenet.capture.dissect import Dissection
from pxenet.capture.reading import Record, open_capture

FOLDER = Path(__file__).resolve().parents[2] / "captures"
CAPTURES = sorted([*FOLDER.glob("*.pcap"), *FOLDER.glob("made/*.pcap")])


def records(path: Path) -> list[Record]:
    """All packets, each with a buffer of its own."""
    with open_capture(path) as reader:
        return [
            (at_ns, interface, link, bytes(buffer[start:end]), 0, end - start, wire)
            for at_ns, interface, link, buffer, start, end, wire in reader
        ]


def come_to(packets: list[Record], *, skimming: bool) -> tuple[list[Boot], list[Damage], Counts]:
    """What is found."""
    work = Dissection(packets, skimming=skimming)
    return list(work.boots()), work.damage, work.counts()


def equal(packets: list[Record]) -> None:
    """Both ways, part by part so that a difference can be read."""
    fast, plain = come_to(packets, skimming=True), come_to(packets, skimming=False)
    for ours, theirs in zip(fast[0], plain[0], strict=True):
        for step, other in zip(ours.steps, theirs.steps, strict=True):
            assert step == other
        assert ours == theirs
    assert fast[1] == plain[1]
    assert fast[2] == plain[2]


@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_as_recorded(path: Path) -> None:
    """Every capture, whole and with a snap length."""
    packets = records(path)
    equal(packets)
    for snap in (60, 96, 200):
        equal([(*one[:3], one[3][:snap], 0, min(snap, one[5]), one[6]) for one in packets])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_lost_doubled_out_of_order_and_broken(path: Path, seed: int) -> None:
    """Packets that are missing, come twice, late, or with bytes changed."""
    random_ = random.Random(seed)
    packets = records(path)
    changed: list[Record] = []
    for packet in packets:
        fate = random_.random()
        if fate < 0.03:
            continue
        if fate < 0.06:
            changed.append(packet)
        if fate < 0.09 and changed:
            changed.insert(-random_.randrange(1, 5), packet)
            continue
        if fate < 0.13 and packet[5]:
            data = bytearray(packet[3])
            for _ in range(random_.randrange(1, 4)):
                data[random_.randrange(min(len(data), 80))] ^= 1 << random_.randrange(8)
            packet = (*packet[:3], bytes(data), *packet[4:])
        changed.append(packet)
    equal(changed)
