"""A configuration tried in virtual time: its own hosts first, each in its network, and what it cannot do said at once."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rack_scene import host_text, make_files, site

from pxenet.config import from_text
from pxenet.model import InstallState
from pxenet.rack.simulated import simulation
from pxenet.sim.fleet import Plan, PlanError
from pxenet.wire.text import parse_address, parse_mac

ELSEWHERE = """\
[[dhcp.subnet]]
network = "10.78.0.0/24"
pool = "10.78.0.50-10.78.0.60"
router = "10.78.0.1"
"""
MAC, ADDRESS = parse_mac("52:54:00:77:00:01"), parse_address("10.78.0.11")


def test_machines_of_every_network_are_installed(base: Path) -> None:
    """Configured hosts come first, with their hardware addresses and reserved addresses; those elsewhere come by a relay."""
    settings = from_text(site(unknown="alma9", more=ELSEWHERE + host_text("far", MAC, "alma9", ADDRESS)), base)
    known = tuple(host.mac for host in settings.hosts if host.mac is not None)
    run = simulation(settings, Plan({"bios": 4, "uefi": 2}, known=known))
    run.link.run(3600)
    result = run.result()
    assert {"installed": 6} == result.ends, result.failures
    assert [InstallState.INSTALLED] * 6 == [record.state for record in run.store.installs()]
    addresses = [machine.address for machine in run.fleet.machines]
    assert [parse_address("10.77.0.42"), ADDRESS] == addresses[:2]
    assert {10 << 8 | 77, 10 << 8 | 78} == {address >> 16 for address in addresses}
    assert 6 == len(set(addresses))


def test_a_machine_is_armed_again(base: Path) -> None:
    """Its next boot installs it; without that it boots its disk."""
    settings = from_text(site(unknown="alma9"), base)
    run = simulation(
        settings, Plan({"bios": 2}), again=lambda index, machine, now: now + 60 if machine.boots < 2 else None
    )
    run.link.call(run.link.now + 40, lambda: run.rearm(run.fleet.machines[1]))
    run.link.run(3600)
    assert ["local disk", "installed"] == [machine.stage.value for machine in run.fleet.machines]


def test_nothing_to_be_had(base: Path) -> None:
    """A configuration that leaves addresses to another server cannot be tried alone."""
    settings = from_text(site(mode="proxy"), base)
    with pytest.raises(PlanError, match="gives out no addresses"):
        simulation(replace(settings), Plan({"bios": 1}))


def test_the_command(tmp_path: Path) -> None:
    """``pxenet simulate --config``: figures as JSON, and faults that the seed decides."""
    make_files(tmp_path)
    (tmp_path / "rack.toml").write_text(site(unknown="alma9"))
    command = [sys.executable, "-m", "pxenet", "simulate", "--config", str(tmp_path / "rack.toml"), "--mix", "bios"]
    runs = [
        subprocess.run(
            [*command, "--machines", "4", "--faults", "loss=0.05", "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        for _ in range(2)
    ]
    first, second = (json.loads(ran.stdout) for ran in runs)
    assert first == second
    assert {"installed": 4} == first["ends"]
    assert first["traffic"]["lost"] > 0 == first["given_twice"]
    hosts = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert hosts.stdout.startswith("1 machine (bios 1)"), "the one that the configuration names"
    both = subprocess.run([*command, "127.0.0.1"], capture_output=True, text=True, timeout=60, check=False)
    assert (2, True) == (both.returncode, "name a server, or a configuration" in both.stderr)
