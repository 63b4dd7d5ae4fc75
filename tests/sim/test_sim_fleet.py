"""A whole rack of simulated machines in virtual time: installed, fast enough, reproducible, and counted right."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet_scene import Scene, make_files

from pxenet.sim.fleet import Plan


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the rack. Nobody writes into them."""
    directory = tmp_path_factory.mktemp("fleet")
    make_files(directory)
    return directory


def test_eight_bios_machines_are_installed(base: Path) -> None:
    """Machines know it, and so does the store."""
    scene = Scene(base, Plan({"bios": 8}))
    result = scene.run()
    assert {"installed": 8} == result.ends, result.failures
    assert 8 == scene.installed()
    assert 0 == result.given_twice
