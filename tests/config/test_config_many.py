"""Ten thousand hosts in one file: the work grows as the file does, also where every one of them has a fault."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from pxenet.config import ConfigError, from_text

HEAD = '[[dhcp.subnet]]\nnetwork = "10.0.0.0/8"\npool = "10.200.0.1-10.200.255.254"\n'
FAULTS: dict[str, tuple[Callable[[int], str], str]] = {
    "none": (lambda number: "", ""),
    "mac": (lambda number: 'mac = "52:54:00:00:00:01"', "host[2] (h1).mac: is that of host[1] (h0) in line 5 too"),
    "name": (lambda number: 'name = "same"', "host[2] (same).name: is that of host[1] (same) in line 5 too"),
    "address": (lambda number: 'address = "10.1.0.1"', "host[2] (h1).address: is that of host[1] (h0) in line 5 too"),
    "uuid": (
        lambda number: 'uuid = "4c4c4544-0042-3510-8058-c7c04f4a4e32"',
        "host[2] (h1).uuid: is that of host[1] (h0) in line 5 too",
    ),
    "serial": (lambda number: 'serial = "CN1"', "host[2] (h1).serial: is that of host[1] (h0) in line 5 too"),
    "no address": (lambda number: 'address = "10.1.0"', 'host[1] (h0).address: "10.1.0" is not an IPv4 address'),
    "elsewhere": (
        lambda number: 'address = "172.16.0.1"',
        "host[1] (h0).address: 172.16.0.1 is in no configured subnet",
    ),
    "no profile": (lambda number: 'profile = "p"', 'host[1] (h0).profile: there is no profile "p"'),
    "no key": (lambda number: 'macs = "52"', "host[1] (h0).macs: no such key; did you mean mac?"),
}


def hosts(count: int, fault: Callable[[int], str] = lambda number: "") -> str:
    """A configuration with so many hosts, each with keys of its own but for the fault."""
    lines = [HEAD]
    for number in range(count):
        keys = {
            "name": f'"h{number}"',
            "mac": f'"52:54:01:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"',
        }
        name, _, value = fault(number).partition(" = ")
        keys |= {name: value} if name else {}
        lines += ["[[host]]", *(f"{key} = {value}" for key, value in keys.items())]
    return "\n".join(lines)


def calls(count: int, fault: Callable[[int], str]) -> tuple[int, tuple[str, ...]]:
    """How many functions are called to read it, and what is said."""
    counted = 0

    def count_one(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    text = hosts(count, fault)
    said: tuple[str, ...] = ()
    sys.setprofile(count_one)
    try:
        from_text(text, Path("/"))
    except ConfigError as error:
        sys.setprofile(None)
        said = tuple(str(problem) for problem in error.problems)
    finally:
        sys.setprofile(None)
    return counted, said


@pytest.mark.parametrize(("fault", "first"), FAULTS.values(), ids=FAULTS)
def test_the_work_grows_with_the_file(fault: Callable[[int], str], first: str) -> None:
    """Four times the hosts need four times the calls; every host that has the fault is named, by key and line."""
    calls(50, fault)  # what is found out once
    few, _ = calls(250, fault)
    many, said = calls(1000, fault)
    assert many < 4.4 * few
    assert not first or any(first in each for each in said)
    assert (1000 if "is that of" not in first else 999) * bool(first) <= len(said)


def test_ten_thousand(tmp_path: Path) -> None:
    """So many are read, each as itself."""
    settings = from_text(hosts(10_000), tmp_path)
    assert 10_000 == len({host.key for host in settings.hosts}) == len({host.name for host in settings.hosts})
