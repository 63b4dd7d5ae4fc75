"""ARP probes: what is a reply, and who answers."""

from __future__ import annotations

import select
from contextlib import closing

import needs
import netlab
import pytest
from hypothesis import given
from hypothesis import strategies as st
from netlab import CLIENT_MAC, inside

from pxenet.net.arp import Arp, said_untrusted
from pxenet.wire.text import parse_address, parse_mac

REPLY = bytes.fromhex("0001 0800 06 04 0002 020000780001 0a4e0001 020000780002 00000000")


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(REPLY, (0x0A4E0001, bytes.fromhex("020000780001")), id="a reply"),
        pytest.param(REPLY + bytes(18), (0x0A4E0001, bytes.fromhex("020000780001")), id="padded"),
        pytest.param(REPLY[:-1], None, id="cut off"),
        pytest.param(REPLY[:7] + b"\1" + REPLY[8:], None, id="a request"),
        pytest.param(b"\0\6" + REPLY[2:], None, id="not Ethernet"),
    ],
)
def test_replies(packet: bytes, expected: tuple[int, bytes] | None) -> None:
    """Address and hardware address of a reply; nothing of anything else."""
    assert expected == said_untrusted(packet)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Nothing is raised."""
    assert said_untrusted(data) is None or len(data) >= len(REPLY)


@needs.root()
@needs.namespace()
@needs.tool("ip")
def test_on_a_wire() -> None:
    """The owner of an address answers, without having learned of an address of ours; nobody answers for another."""
    with netlab.wire() as wire, closing(inside(wire.server, lambda: Arp("v0", bytes.fromhex("020000780001")))) as arp:
        netlab.run("ip", "-n", wire.server, "link", "set", "v0", "address", "02:00:00:78:00:01")
        netlab.run("ip", "-n", wire.client, "address", "add", "10.78.0.2/24", "dev", "v1")
        assert arp.probe(parse_address("10.78.0.3"))
        assert arp.probe(parse_address("10.78.0.2"))
        select.select([arp.socket], [], [], 2.0)
        assert [(parse_address("10.78.0.2"), parse_mac(CLIENT_MAC))] == arp.receive()
        assert "10.78.0.1" not in netlab.run("ip", "-n", wire.client, "neigh").stdout
