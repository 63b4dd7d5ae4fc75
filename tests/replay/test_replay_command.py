"""``pxenet replay`` as it is typed: its options, what it writes, and what its exit status means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from replay_scene import ALL, RACK, changed, copy_rack, rack_text
from typer.testing import CliRunner, Result

from pxenet.cli.main import app

GRUB = ALL["uefi-pxe-grub"]
HOST = """
[[host]]
name = "web01"
mac = "52:54:00:aa:aa:01"
address = "10.77.0.60"
profile = "tiny"
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, words)])


def ignoring(base: Path) -> Path:
    """A configuration by which no captured machine boots."""
    rack = copy_rack(base)
    (rack / "rack.toml").write_text(changed(rack_text(), ('unknown = "tiny"', 'unknown = "ignore"')))
    return rack / "rack.toml"


def test_all_is_well() -> None:
    """Status 0, a line for each boot, and the sum."""
    done = run(GRUB, ALL["bios-ipxe-script"], "--config", RACK / "rack.toml")
    assert 0 == done.exit_code
    assert "uefi-pxe-grub.pcap boot 1 (52:54:00:77:03:01): installs itself" in done.stdout
    assert done.stdout.endswith("2 of 2 boots come to a good end\n")


def test_a_boot_that_stops(tmp_path: Path) -> None:
    """Status 1, and the sentence that a person needs; as JSON too."""
    config = ignoring(tmp_path)
    done = run(GRUB, "--config", config)
    assert 1 == done.exit_code
    assert "does not boot: stops after its address, before any file" in done.stdout
    (boot,) = json.loads(run(GRUB, "--config", config, "--json").stdout)["boots"]
    assert (False, "after its address, before any file") == (boot["good"], boot["stop"]["place"])


def test_standing_for_a_host(tmp_path: Path) -> None:
    """A capture from elsewhere gets what the host would get: its address, its profile, under its name."""
    rack = copy_rack(tmp_path)
    (rack / "rack.toml").write_text(rack_text() + HOST)
    done = run(GRUB, "--config", rack / "rack.toml", "--map", "52:54:00:77:03:01=web01")
    assert 0 == done.exit_code
    assert "(52:54:00:77:03:01 as web01): installs itself" in done.stdout
    assert "\n  address      10.77.0.60\n" in done.stdout


def test_junit_says_the_same(tmp_path: Path) -> None:
    """A case for each boot, and the failure with the whole story."""
    report = tmp_path / "junit.xml"
    assert 1 == run(GRUB, ALL["bios-ipxe-script"], "--config", ignoring(tmp_path), "--junit", report).exit_code
    suite = ElementTree.parse(report).getroot()
    assert ("2", "2") == (suite.get("tests"), suite.get("failures"))
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "does not boot" in (failure.get("message") or "")
    assert "firmware     EDK2 PXE, x64" in "".join(failure.itertext())


def test_pinning_answers(tmp_path: Path) -> None:
    """``--update`` writes what ``--expect`` then finds; what departs from it is a line, also where every boot is well."""
    pinned = tmp_path / "golden.json"
    assert 0 == run(GRUB, "--config", RACK / "rack.toml", "--expect", pinned, "--update").exit_code
    same = run(GRUB, "--config", RACK / "rack.toml", "--expect", pinned)
    assert (0, True) == (same.exit_code, same.stdout.endswith(", all as expected\n"))
    rack = copy_rack(tmp_path)
    (rack / "rack.toml").write_text(changed(rack_text(), ("10.77.0.100-10.77.0.199", "10.77.0.140-10.77.0.149")))
    moved = run(GRUB, "--config", rack / "rack.toml", "--expect", pinned)
    assert 1 == moved.exit_code
    assert "uefi-pxe-grub.pcap boot 1 (52:54:00:77:03:01) is not as expected:" in moved.stdout
    assert any(line.startswith('  + "address": "10.77.0.14') for line in moved.stdout.splitlines())


def test_a_failure_that_is_expected(tmp_path: Path) -> None:
    """What is pinned may be that a machine must not boot."""
    config, pinned = ignoring(tmp_path), tmp_path / "golden.json"
    run(GRUB, "--config", config, "--expect", pinned, "--update")
    assert 0 == run(GRUB, "--config", config, "--expect", pinned).exit_code


def test_one_boot_of_a_capture() -> None:
    """``--boot`` takes that one alone."""
    done = run(GRUB, "--config", RACK / "rack.toml", "--boot", 1, "--json")
    assert [1] == [boot["boot"] for boot in json.loads(done.stdout)["boots"]]


def test_the_order_does_not_depend_on_processes() -> None:
    """With two processes the boots come in the order of the command line."""
    paths = [ALL["uefi-pxe-grub"], ALL["bios-ipxe-script"], ALL["di-preseed"]]
    one, two = (run(*paths, "--config", RACK / "rack.toml", "--jobs", jobs).stdout for jobs in (1, 2))
    assert one == two


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("{empty}",), "shows no boot"),
        (("{text}",), "cannot be read"),
        (("{gone}",), "cannot be read"),
        (("{grub}", "--boot", "9"), "has no boot 9"),
        (("{grub}", "--map", "52:54=web01"), "write 52:54:00:12:34:56=web01"),
        (("{grub}", "--map", "52:54:00:77:03:01"), "names no host"),
        (("{grub}", "--map", "52:54:00:77:03:01=web99"), 'there is no host "web99"'),
        (("{grub}", "--update"), "name one"),
        (("{grub}", "--expect", "{text}"), "is no file of expected answers"),
    ],
)
def test_what_cannot_be_replayed(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """Status 2 and what would be right; never a traceback."""
    (tmp_path / "text").write_text("no capture\n")
    (tmp_path / "empty").write_bytes(GRUB.read_bytes()[:24])
    places = {"grub": GRUB, "empty": tmp_path / "empty", "text": tmp_path / "text", "gone": tmp_path / "gone"}
    done = run(*(word.format(**places) for word in words), "--config", RACK / "rack.toml")
    assert 2 == done.exit_code
    assert says in done.stderr
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit)


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """Status 2, with file and key."""
    shutil.copytree(RACK, tmp_path / "rack")
    (tmp_path / "rack/rack.toml").write_text("[dhpc]\n")
    done = run(GRUB, "--config", tmp_path / "rack/rack.toml")
    assert 2 == done.exit_code
    assert "dhpc" in done.stderr
