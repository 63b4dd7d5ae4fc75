"""Who is who: hosts by hardware address, machine id in either byte order, serial number; and what is remembered of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pxenet.model import BootClient, ClientKind, Host, Platform, SeenHost
from pxenet.rack.hosts import LEARNED, SEEN_AGAIN_S, Hosts

MAC = bytes.fromhex("525400000001")
OTHER = bytes.fromhex("525400000002")
UUID = "00112233-4455-6677-8899-aabbccddeeff"
BY_MAC = Host("by-mac", mac=MAC)
BY_UUID = Host("by-uuid", uuid=UUID)
BY_SERIAL = Host("by-serial", serial="ABC123")
CLIENT = BootClient(OTHER, ClientKind.PXE, 7, Platform.X64)


def hosts(*seen: SeenHost, unknown: str | None = None) -> Hosts:
    return Hosts((BY_MAC, BY_UUID, BY_SERIAL), seen, unknown)


def test_by_hardware_address() -> None:
    """The configured host, whatever else the packet says."""
    assert hosts().of_client(replace(CLIENT, mac=MAC)) is BY_MAC
    assert hosts().of_key("52:54:00:00:00:01") is BY_MAC


@pytest.mark.parametrize(
    "wire", ["33221100554477668899aabbccddeeff", "00112233445566778899aabbccddeeff"], ids=["PC firmware", "U-Boot"]
)
def test_by_machine_id(wire: str) -> None:
    """Either byte order of option 97; from then on the hardware address alone is enough."""
    who = hosts()
    assert not who.of_mac(OTHER).configured
    assert who.of_client(replace(CLIENT, uuid=bytes.fromhex(wire))) is BY_UUID
    assert who.of_mac(OTHER) is BY_UUID
    assert who.of_client(CLIENT) is BY_UUID


def test_by_serial_number() -> None:
    """Only an unconfigured machine becomes the host; a wrong number changes nothing."""
    who = hosts()
    assert who.learn_serial(OTHER, "nobody's") is None
    assert who.learn_serial(MAC, "ABC123") is None
    assert who.of_mac(MAC) is BY_MAC
    assert who.learn_serial(OTHER, "ABC123") is BY_SERIAL
    assert who.of_mac(OTHER) is BY_SERIAL


@pytest.mark.parametrize("host", [BY_UUID, BY_SERIAL], ids=lambda host: host.name)
def test_what_was_learned_survives_a_restart(host: Host) -> None:
    """The store's record of the machine brings it back."""
    assert hosts(SeenHost(host.key, OTHER, "", 7, 0.0, 1.0)).of_mac(OTHER) is host


def test_a_stored_machine_id_is_enough() -> None:
    """The configuration named the machine id only after the machine was seen."""
    seen = SeenHost(OTHER.hex(":"), OTHER, UUID, 7, 0.0, 1.0)
    assert hosts(seen).of_mac(OTHER) is BY_UUID


def test_a_machine_that_nobody_named() -> None:
    """It is called by its hardware address, and gets what unknown machines get."""
    host = hosts(unknown="rescue").of_mac(OTHER)
    assert (host.name, host.configured, host.profile) == ("52:54:00:00:00:02", False, "rescue")
    assert hosts().of_key("uuid:unknown") is None


def test_a_machine_is_written_once_in_a_while() -> None:
    """Each new fact at once, its presence once a minute; an operating system does not hide the firmware."""
    who = hosts()
    first = who.met(CLIENT, 100.0)
    assert first is not None
    assert (first.first_seen_at, first.arch) == (100.0, 7)
    assert who.met(CLIENT, 101.0) is None
    system = replace(CLIENT, kind=ClientKind.OTHER, arch=0, platform=None)
    assert who.met(system, 102.0) is None
    later = who.met(system, 100.0 + SEEN_AGAIN_S)
    assert later is not None
    assert (later.first_seen_at, later.last_seen_at, later.arch) == (100.0, 100.0 + SEEN_AGAIN_S, 7)
    assert who.client_of(OTHER) == system


def test_memory_is_bounded() -> None:
    """A flood of invented machines pushes out those that were silent longest, and no more."""
    who = hosts()
    for number in range(LEARNED + 1):
        who.met(replace(CLIENT, mac=number.to_bytes(6, "big")), 0.0)
    assert who.client_of((0).to_bytes(6, "big")) is None
    assert who.client_of(LEARNED.to_bytes(6, "big")) is not None
