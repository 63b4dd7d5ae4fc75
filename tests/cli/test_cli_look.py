"""``pxenet look``: what it prints, its JSON twin, its page, and its exit status."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pxenet.cli.main import app

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
CAPTURE = CAPTURES / "uefi-pxe-grub.pcap"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["look", *map(str, arguments)])


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_every_capture(path: Path) -> None:
    """Each capture has its timeline, and the document holds the same stages."""
    said, record = run(path), run(path, "--json")
    assert (said.exit_code, record.exit_code) == (0, 0)
    boots = json.loads(record.stdout)["boots"]
    for boot in boots:
        assert f"boot {boot['number']}: {boot['title']}" in said.stdout
        for stage in boot["stages"]:
            assert stage["what"] in said.stdout
        assert {packet for stage in boot["stages"] for packet in stage["packets"]} <= {
            step["packet"] for step in boot["steps"]
        }


def test_a_timeline() -> None:
    """A boot as people read it."""
    lines = run(CAPTURE).stdout.splitlines()
    assert lines[0].startswith("== boot 1: 52:54:00:77:03:01, ")
    assert "firmware EDK2 PXE (x64 UEFI); loader GRUB; system busybox udhcpc; system wget; address 10.77.0." in lines[1]
    assert any("% client: " in line and "ACKs" in line for line in lines)
    assert lines[-2].startswith("1 boot of 1 machine in ") or lines[-1].startswith("1 boot of 1 machine in ")


def test_packets_and_a_page(tmp_path: Path) -> None:
    """Steps with their details on demand; a page beside."""
    page = tmp_path / "boot.html"
    said = run(CAPTURE, "--packets", "--html", page)
    assert said.exit_code == 0
    assert "60 vendor class: 'PXEClient:Arch:00007:UNDI:003000'" in said.stdout
    assert page.read_text().startswith("<!DOCTYPE html>")
    wrong = run(CAPTURE, "--html", tmp_path / "no" / "boot.html")
    assert (wrong.exit_code, "cannot be written" in wrong.stderr) == (2, True)


def test_from_a_pipe(tmp_path: Path) -> None:
    """A recorder's output, packed or not, and a file that is still growing: what is there is shown, and where it breaks."""
    command = [sys.executable, "-m", "pxenet", "look", "-"]
    for data in (CAPTURE.read_bytes(), gzip.compress(CAPTURE.read_bytes())):
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
        assert (done.returncode, b"EDK2 PXE" in done.stdout) == (0, True)
    done = subprocess.run(command, input=CAPTURE.read_bytes()[:-7], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert b"the file ends inside a packet" in done.stdout


def test_what_cannot_be_looked_at(tmp_path: Path) -> None:
    """No capture, no such file, no such boot; a capture without a boot is exit status 1."""
    path = tmp_path / "x.pcap"
    path.write_bytes(b"nonsense" * 10)
    assert (run(path).exit_code, "not a pcap or pcapng file" in run(path).stderr) == (2, True)
    assert run(tmp_path / "missing.pcap").exit_code == 2
    assert "this capture has 1" in run(CAPTURE, "--boot", "2").stderr
    path.write_bytes(CAPTURE.read_bytes()[:24])
    assert run(path).exit_code == 1
    assert json.loads(run(path, "--json").stdout)["boots"] == []


def test_one_boot() -> None:
    """Of several only those that are named."""
    assert run(CAPTURE, "--boot", "1").exit_code == 0
    assert len(json.loads(run(CAPTURE, "--boot", "1", "--json").stdout)["boots"]) == 1
