"""What a simulated machine promises to whoever drives it, whatever its firmware."""

from __future__ import annotations

import pytest

from pxenet.sim.body import Relay
from pxenet.sim.machine import NEVER, PERSONALITIES, HttpReply, Machine, SimDatagram, Stage
from pxenet.wire.dhcp import parse
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.relay import RelayCode
from pxenet.wire.text import parse_address

MAC = bytes.fromhex("0200000000a1")
NAMES = sorted(PERSONALITIES)


def woken(machine: Machine) -> bytes:
    """Its first packet."""
    said = machine.power_on(0.0)
    while not said.sends:
        said = machine.tick(machine.deadline())
    return said.sends[0].payload


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_with_a_discover(name: str) -> None:
    """After its self-test, and not before."""
    machine = Machine(PERSONALITIES[name], MAC, seed=1)
    assert (NEVER, Stage.OFF) == (machine.deadline(), machine.stage)
    message = parse(woken(machine))
    assert (MessageType.DISCOVER, MAC) == (message.message_type, message.hardware)
    assert Stage.DISCOVER is machine.stage
    assert machine.reached[Stage.DISCOVER] > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_network_without_a_server_ends_in_words(name: str) -> None:
    """It asks again, less and less often, and then says what its firmware would say."""
    machine = Machine(PERSONALITIES[name], MAC, seed=1)
    woken(machine)
    for _ in range(100):
        if not machine.over:
            machine.tick(machine.deadline())
    assert (Stage.FAILED, NEVER) == (machine.stage, machine.deadline())
    assert " " in machine.failure
    assert machine.retries >= 3


def test_without_power_it_hears_nothing() -> None:
    """Before the button is pressed, after the plug was pulled."""
    machine = Machine(PERSONALITIES["uefi"], MAC, seed=1)
    for _ in range(2):
        said = [
            machine.receive(SimDatagram(b"x", 1, 67), 1.0),
            machine.fetched(1, HttpReply(200), 1.0),
            machine.tick(1.0),
        ]
        assert [] == [send for one in said for send in one.sends]
        machine.power_on(2.0)
        machine.power_off()


def test_an_early_tick_does_nothing() -> None:
    """Whoever drives it may ask too often."""
    machine = Machine(PERSONALITIES["uefi"], MAC, seed=1)
    machine.power_on(0.0)
    at = machine.deadline()
    assert [] == machine.tick(at / 2).sends
    assert at == machine.deadline()


def test_pace_stretches_only_its_own_work() -> None:
    """Self-test and kernel start; the timers of protocols are what they are."""
    machine = Machine(PERSONALITIES["uefi"], MAC, seed=1, pace=0)
    (send,) = machine.power_on(5.0).sends
    assert MessageType.DISCOVER == parse(send.payload).message_type
    assert 9.0 == machine.deadline()


def test_through_a_relay() -> None:
    """Broadcasts become unicast to the server, with giaddr and the port to which the answer shall come (RFC 8357)."""
    relay = Relay(
        parse_address("127.1.0.1"), parse_address("127.0.0.1"), port=6700, server_port=1067, circuit_id=b"port 4"
    )
    machine = Machine(PERSONALITIES["bios"], MAC, seed=1, relay=relay, pace=0)
    (send,) = machine.power_on(0.0).sends
    assert (relay.server, 1067, 6700) == (send.to_address, send.to_port, send.from_port)
    message = parse(send.payload)
    assert (relay.address, 1) == (message.giaddr, message.hops)
    inside = message.options.relay()
    assert isinstance(inside, Options)
    assert b"port 4" == inside.raw(RelayCode.CIRCUIT_ID)
    assert b"" == inside.raw(RelayCode.SOURCE_PORT)
    assert OptionCode.RELAY_AGENT == list(message.options)[-1][0]
