"""``pxenet doctor`` before it sends anything: what it refuses, and what it asks."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pxenet.cli import doctor
from pxenet.cli.main import app
from pxenet.net.datagram import Interface

ETH1 = Interface(2, "eth1", bytes.fromhex("020000780002"), ((0x0A000002, 24),))
ETH2 = Interface(3, "eth2", bytes.fromhex("02000000abcd"), ())
LO = Interface(1, "lo", bytes(6), ((0x7F000001, 8),))


class Ears:
    """Stands for the raw sockets."""

    def __init__(self, *arguments: object) -> None:
        pass

    def close(self) -> None:
        pass


class NoEars(Ears):
    """Of an ordinary user."""

    def __init__(self, *arguments: object) -> None:
        raise PermissionError


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[Interface]:
    """The interfaces of a host; nothing can be sent."""
    there = [LO, ETH1]
    monkeypatch.setattr(doctor, "interfaces", lambda: there)
    monkeypatch.setattr(doctor, "link_of", lambda name: (1500, True))
    monkeypatch.setattr(doctor, "RawUdp", Ears)
    monkeypatch.delattr(doctor, "examine")
    return there


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "nothing was sent; say --yes when this is wanted"),
        ("-i eth7", "there is no Ethernet interface eth7; there are eth1"),
        ("--as uefi,toaster", "toaster is no kind of firmware; there are bios-rom, bios, uefi,"),
        ("--as ,", "nothing is no kind of firmware"),
        ("--mac 1:2", "not a hardware address: '1:2'"),
        ("--lease --mac 02:00:00:00:00:01", "would give back the address of the machine that --mac names"),
        ("--lease", "An address is taken 5 times, and given back each time"),
        ("--server boot", "not an IPv4 address: 'boot'"),
    ],
)
def test_refused(cards: list[Interface], options: str, words: str) -> None:
    """It sends nothing, says why, and ends with 2."""
    result = CliRunner().invoke(app, ["doctor", *options.split()])
    assert (2, True) == (result.exit_code, words in result.output), result.output


def test_several_interfaces(cards: list[Interface]) -> None:
    """One with an address is chosen before those without; of several one has to be named."""
    cards.append(ETH2)
    assert "go out on eth1 from" in CliRunner().invoke(app, ["doctor"]).output
    cards[1:] = [ETH2, Interface(4, "eth3", ETH2.hardware, ())]
    assert "name the interface with --interface: there are eth2, eth3" in CliRunner().invoke(app, ["doctor"]).output


def test_without_rights(cards: list[Interface], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that root is needed, and for what."""
    monkeypatch.setattr(doctor, "RawUdp", NoEars)
    result = CliRunner().invoke(app, ["doctor", "--yes"])
    assert (2, "run it as root: sudo pxenet doctor" in result.output) == (result.exit_code, True)
    assert "port 68" in result.output
