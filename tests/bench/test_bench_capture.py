"""The busy rack that captures are measured with: a capture like a recorded one, and both readers find all of it."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest
import tshark

from bench import busy
from bench.capture import LOOK, TSHARK, Reading
from bench.row import Place
from bench.servers import Server
from pxenet.capture.boots import HttpRequest, Outcome, Transfer
from pxenet.capture.dissect import Dissection, read
from pxenet.capture.reading import open_capture

MIB = 1 << 20


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, int]:
    """A file with whole boots in it; its packets and machines."""
    path = tmp_path_factory.mktemp("busy") / "busy.pcap"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(busy, "SLOTS", 3)
        return path, *busy.write(path, 40 * MIB)


def test_the_same_seed_makes_the_same_file(tmp_path: Path) -> None:
    """Another one makes another."""
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    assert busy.write(one, MIB) == busy.write(same, MIB)
    busy.write(other, MIB, seed=2)
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()


def test_every_boot_is_found(rack: tuple[Path, int, int]) -> None:
    """Each machine is one boot; files that went by whole are complete, and nothing is lost, again or broken."""
    path, packets, machines = rack
    found = read(path)
    assert (packets, machines) == (found.counts.packets, len(found.boots))
    assert (0, 0, 0, ()) == (
        found.counts.malformed, found.counts.truncated, found.counts.fragments_dropped, found.damage
    )  # fmt: skip
    steps = [step for boot in found.boots for step in boot.steps]
    transfers = [step for step in steps if isinstance(step, Transfer)]
    assert {"grubx64.efi", "vmlinuz"} == {one.request.filename for one in transfers}
    assert sum(one.outcome is Outcome.COMPLETE for one in transfers) >= 6
    assert [] == [gap for one in transfers for gap in one.gaps]
    assert sum(isinstance(step, HttpRequest) and step.recorded_bytes == 3000 for step in steps) >= 3


def test_skimmed_as_plain(rack: tuple[Path, int, int]) -> None:
    """What is measured is what the plain path finds."""
    with open_capture(rack[0]) as fast, open_capture(rack[0]) as plain:
        ours, theirs = Dissection(fast), Dissection(plain, skimming=False)
        assert list(ours.boots()) == list(theirs.boots())
        assert ours.counts() == theirs.counts()


@tshark.installed
def test_tshark_finds_no_fault(tmp_path: Path) -> None:
    """Neither in packets nor in streams."""
    path = tmp_path / "busy.pcap"
    busy.write(path, MIB // 4)
    assert [] == [each for each in tshark.read(path) if each.malformed or each.notes_of("error", "warn")]


@needs.tool("tshark", "taskset")
@pytest.mark.parametrize("server", [LOOK, TSHARK], ids=["look", "tshark"])
def test_the_row(tmp_path: Path, server: Server) -> None:
    """A small one from end to end: both find every packet or boot, or there is no sample."""
    work, root = tmp_path / "work", tmp_path / "root"
    work.mkdir()
    root.mkdir()
    reading, place = Reading(1), Place(root, tmp_path)
    reading.prepare(place)
    sample = reading.once(server, place, work)
    assert (MIB, reading.packets, 0) == (sample.load.bytes, sample.load.complete, sample.load.failed)
    assert sample.cpu_s > 0 < sample.more["peak MiB"]
