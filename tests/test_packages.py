"""``tools/packages.txt`` is complete: what a test or the lab may ask for is in it."""

from __future__ import annotations

import sys
from pathlib import Path

import needs

TOOLS = Path(__file__).parent.parent / "tools"


def listed() -> set[str]:
    lines = (TOOLS / "packages.txt").read_text().splitlines()
    return {line.split("#")[0].strip() for line in lines} - {""}


def test_each_has_its_reason() -> None:
    """A package without a reason would never leave the list again."""
    lines = [line for line in (TOOLS / "packages.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [] == [line for line in lines if not line.partition("#")[2].strip()]


def test_the_tests_find_what_they_need() -> None:
    """The package of every program that a test may need."""
    assert set() == set(needs.PACKAGES.values()) - listed()


def test_the_lab_finds_what_it_needs() -> None:
    """The package of every program and file of the lab."""
    sys.path.insert(0, str(TOOLS))
    try:
        from labkit import packages
    finally:
        sys.path.remove(str(TOOLS))
    tables = [packages._ALWAYS, packages._DNSMASQ, *packages._FIRMWARE.values(), *packages._LOADER.values()]
    assert set() == {package for table in tables for package in table.values()} - listed()
