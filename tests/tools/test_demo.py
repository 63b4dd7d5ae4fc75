"""The demo: eight machines install themselves from the real server and then boot their disks, and it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "demokit", *arguments]
    env = os.environ | {"PYTHONPATH": str(TOOLS)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)


def test_a_rack_installs_itself() -> None:
    """Without a terminal: plain lines, all eight on their own disks, exit status 0, and how to go on."""
    done = demo("--pace", "0.1")
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    said = " ".join(done.stdout.split())  # it is wrapped to the width of the terminal
    assert "All 8 machines installed themselves from the network and then booted their own disks" in said
    assert 8 == sum(line.endswith("disk boots") for line in done.stdout.splitlines())
    assert "\033" not in done.stdout
    assert "pxenet serve --config rack.toml --interface eth1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--console"], "say --qemu as well"), (["--pace", "11"], "a number from 0")]
)
def test_what_makes_no_sense_is_said(arguments: list[str], said: str) -> None:
    """Exit status 2 and what would be right."""
    done = demo(*arguments)
    assert 2 == done.returncode
    assert said in done.stderr
