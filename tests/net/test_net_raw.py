"""UDP beside the kernel's sockets: what is heard is exactly the datagrams for the ports listened to."""

from __future__ import annotations

import select
from contextlib import closing
from pathlib import Path

import needs
import netlab
import pytest
from hypothesis import given
from hypothesis import strategies as st
from netlab import CLIENT_MAC, inside

from pxenet.net.interfaces import link_of, udp_ports
from pxenet.net.link import ipv4_udp
from pxenet.net.raw import Overheard, RawUdp, overheard_untrusted
from pxenet.net.udp import UdpSocket
from pxenet.wire.text import parse_mac

PACKET = ipv4_udp(b"hello", 0x0A000001, 67, 0xFFFFFFFF, 68)


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1))
def test_a_packet_is_read_back(payload: bytes, address: int, port: int) -> None:
    """What ``ipv4_udp`` makes, with the padding of a short frame behind it."""
    packet = ipv4_udp(payload, address, port, address ^ 1, 68) + bytes(18)
    assert overheard_untrusted(packet, b"mac") == Overheard(payload, address, port, address ^ 1, 68, b"mac")


def changed(at: int, *values: int) -> bytes:
    return PACKET[:at] + bytes(values) + PACKET[at + len(values) :]


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(PACKET[:-1], id="cut off"),
        pytest.param(changed(0, 0x65), id="version 6"),
        pytest.param(changed(0, 0x44), id="a header that is too short"),
        pytest.param(changed(0, 0x4F), id="a header longer than the packet"),
        pytest.param(changed(9, 6), id="TCP"),
        pytest.param(changed(6, 0x20), id="a first fragment"),
        pytest.param(changed(6, 0, 7), id="another fragment"),
        pytest.param(changed(24, 0xFF), id="a UDP length that lies"),
        pytest.param(changed(24, 0, 7), id="a UDP length below its header"),
    ],
)
def test_what_is_no_whole_datagram(packet: bytes) -> None:
    """Is left out."""
    assert overheard_untrusted(packet) is None


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    """Nothing is raised, and nothing is longer than what came."""
    found = overheard_untrusted(data)
    assert found is None or len(found.payload) <= len(data) - 28


@needs.root()
@needs.namespace()
@needs.tool("ip")
def test_on_a_wire() -> None:
    """Only UDP to the named ports is heard, from whomever to whomever; broadcasts leave from 0.0.0.0 or from an address."""
    with (
        netlab.wire() as wire,
        closing(inside(wire.server, lambda: RawUdp("v0", (67, 68)))) as ours,
        closing(inside(wire.server, lambda: RawUdp("v0", (4011,)))) as other,
        closing(inside(wire.client, lambda: RawUdp("v1", (67, 68)))) as theirs,
    ):
        assert theirs.broadcast(b"nobody's", 68, 69)
        assert theirs.broadcast(b"one", 68, 67)
        assert [(b"one", 0, parse_mac(CLIENT_MAC))] == heard(ours, 0)
        assert ours.broadcast_here(b"two", 0x0A4E0001, 67, 68)
        assert [(b"two", 0x0A4E0001)] == [one[:2] for one in heard(theirs, 0)]
        assert [] == heard(other, 0)


@needs.root()
@needs.namespace()
@needs.tool("ip")
def test_the_loopback_is_heard_once() -> None:
    """What a program of this host sends to its own address comes by the loopback, where everything passes twice."""
    with netlab.wire() as wire, closing(inside(wire.server, lambda: RawUdp("v0", (4011,)))) as raw:
        assert inside(wire.server, lambda: raw.send(b"mine", 0x0A4E0001, 68, 0x0A4E0001, 4011))
        assert [(b"mine", 0x0A4E0001, b"")] == heard(raw, 1)


@needs.root()
@needs.namespace()
@needs.tool("ip")
def test_link_and_ports() -> None:
    """MTU, carrier, and the ports that programs hold, of the namespace that one is in."""
    with netlab.wire() as wire:
        assert (1500, True) == inside(wire.server, lambda: link_of("v0"))
        netlab.run("ip", "-n", wire.client, "link", "set", "v1", "mtu", "1400", "down")
        assert (1400, False) == inside(wire.client, lambda: link_of("v1"))
        with closing(inside(wire.client, lambda: UdpSocket(67))):
            assert frozenset({67}) == inside(wire.client, lambda: udp_ports(Path("/proc/thread-self/net/udp")))


def heard(raw: RawUdp, ear: int) -> list[tuple[bytes, int, bytes]]:
    """What came, in a second at most, and all that lies there with it: payload, source, hardware address."""
    select.select([raw.ears[ear]], [], [], 1.0)
    return [(one.payload, one.source, one.hardware) for one in raw.receive(raw.ears[ear])]
