"""Answers from prepared pieces against those that are serialized from a message: they are equal byte for byte."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dhcp_packets import ITEMS, MESSAGES, PI, datagram, packet_of, reception, requests
from dhcp_scene import MAC1, MAC2, RELAY, A, boots, discover, nothing
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.engine.dhcp.desk import BootChooser, Desk
from pxenet.engine.dhcp.prepared import KEPT, boot_fields, write
from pxenet.engine.dhcp.query import Query
from pxenet.engine.dhcp.reply import give
from pxenet.engine.dhcp.route import Ports, route, send_by
from pxenet.engine.dhcp.subnet import ServedSubnet
from pxenet.model import BootFile, Host
from pxenet.net.datagram import pack_peer
from pxenet.wire.dhcp import serialize
from pxenet.wire.glance import OWN
from pxenet.wire.iana import INFINITE, MessageType, OptionCode

SENT = (MessageType.OFFER, 3600.0), (MessageType.ACK, 43199.7), (MessageType.ACK, None), (MessageType.ACK, INFINITE)
URL = BootFile(url="http://10.0.0.1/" + "long/" * 30, reason="too long for the header")


def both(query: Query, served: ServedSubnet, boot: BootFile | None) -> None:
    """Every kind of answer to one request is the same both ways, when its pieces are made and when they are found."""
    for kind, lease_s in SENT:
        for echo in (True, False):
            fields = boot_fields(query, served, boot)
            message = give(query, kind, served.subnet, A("10.0.0.100"), lease_s, fields, echo_client_id=echo)
            plain = serialize(message, max_size=query.form.payload_bytes)
            for _ in range(2):
                assert write(query, kind, served, A("10.0.0.100"), lease_s, boot, echo_client_id=echo) == plain


def each(query: Query | str, choosers: tuple[BootChooser, ...] = (boots, nothing)) -> None:
    """The same for what several choosers have it boot, on each subnet of its network."""
    if isinstance(query, str):
        return
    for served in query.link:
        for boot in (None, URL, *(choose(query.client, query.form.server, False) for choose in choosers)):
            both(query, served, boot)


def test_every_captured_packet() -> None:
    """What captured clients asked is answered with the same bytes, whoever asked in that form before."""
    met = reception()
    queries = [met.query(datagram(data), 5.0) for data in requests()]
    assert sum(not isinstance(query, str) and bool(query.link) for query in queries) > 20
    for query in queries:
        each(query)


@settings(max_examples=150)
@given(st.sampled_from(sorted(MESSAGES)), ITEMS, ITEMS, st.sampled_from([MAC1, MAC2, PI]))
def test_any_packet(which: str, alike: list[tuple[int, bytes]], own: list[tuple[int, bytes]], mac: bytes) -> None:
    """Whatever machines of one form add of their own, each gets the answer that its whole message gets."""
    met = reception()
    base = MESSAGES[which]
    first = packet_of(base, alike)
    second = packet_of(base, [*alike, *((code, raw) for code, raw in own if code in OWN)])
    second = (
        second[:4] + b"\7\6\5\4" + second[8:28] + (mac.ljust(16, b"\0") if second[2] == 6 else bytes(16)) + second[44:]
    )
    for data in (first, second, first):
        each(met.query(datagram(data), 5.0))


@pytest.mark.parametrize("length", [0, 1, 2, 100, 189, 190, 191, 220, 255, 256, 300])
@pytest.mark.parametrize("code", [OptionCode.CLIENT_ID, OptionCode.RELAY_AGENT, OptionCode.MACHINE_ID])
def test_what_hardly_fits(code: OptionCode, length: int) -> None:
    """Long options of its own are split or left out as the plain path does it."""
    met = reception()
    for room in (576, 600, 1500):
        options = {OptionCode.MAX_SIZE: room, OptionCode.PARAMETER_LIST: (1, 3, 6, 12, 15, 28)}
        data = serialize(discover(MAC1, options), min_size=0, max_size=1472)[:-1]
        parts = [bytes(length)[at : at + 255] for at in range(0, max(length, 1), 255)]
        data += b"".join(bytes((code, len(part))) + part for part in parts) + b"\xff"
        each(met.query(datagram(data), 5.0))


def test_hosts_of_one_form_are_told_their_own_names() -> None:
    """Pieces are kept apart by what they depend on, and a bounded number of them is kept."""
    met = reception()
    query = met.query(datagram(serialize(discover())), 5.0)
    assert not isinstance(query, str)
    for number in range(KEPT + 5):
        query.host = Host(f"node{number}", MAC1, configured=True)
        both(query, query.link[0], None)
        assert 0 < len(query.form.prepared) <= KEPT
    query.host = None
    both(query, query.link[0], None)


RELAYED = {"": [], "82": [(82, b"\x01\x04port")], "82, its port": [(82, b"\x13\x00")]}


@pytest.mark.parametrize("port", [67, 4011])
@pytest.mark.parametrize("options", RELAYED.values(), ids=RELAYED)
def test_the_way_through_a_relay(options: list[tuple[int, bytes]], port: int) -> None:
    """The way that is remembered for a relay is the one that the rules give, also where its source port or ours counts."""
    met, desk, ports = reception(), Desk(Ports(), boots), Ports()
    for mac in (MAC1, MAC2):
        data = packet_of(discover(mac, giaddr=RELAY), options)
        packet = replace(datagram(data, port=port), peer=pack_peer(RELAY, 6767))
        query = met.query(packet, 5.0)
        assert not isinstance(query, str)
        source_port = query.form.relayed.source_port
        way = route(query.message, packet, ports, 7, nak=False, relay_source_port=source_port)
        assert desk.envelope(query, b"answer", 7) == send_by(way, packet, query.form.server, b"answer")
