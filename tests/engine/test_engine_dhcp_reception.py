"""The first look at a request against the whole parser: they make the same query of every packet."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
from dhcp_scene import ETH0, FAR, HTTP_CLASS, LAN, MAC1, MAC2, RELAY, SERVER, A, discover, message, pxe, reboot, select
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.capture import frames, pcap
from pxenet.engine.dhcp import DhcpSettings, Subnet
from pxenet.engine.dhcp.query import Form, Query
from pxenet.engine.dhcp.reception import FORMS, Reception
from pxenet.engine.dhcp.subnet import Subnets
from pxenet.model import Host
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.wire.dhcp import Message, serialize
from pxenet.wire.glance import FORMING, OWN, glance_untrusted
from pxenet.wire.iana import MessageType, OptionCode

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))
CAPTURED = Subnet(network=A("10.77.0.0"), prefix=24, pools=((A("10.77.0.50"), A("10.77.0.60")),))
PI = bytes.fromhex("dca632000001")


def reception(*, match_client_id: bool = False) -> Reception:
    """A reception of two subnets, one behind a relay, and of what the captures were made in."""
    told = DhcpSettings(subnets=(LAN, FAR, CAPTURED), match_client_id=match_client_id)
    host = Host("node1", MAC1)
    return Reception(
        told, (ETH0,), Subnets(told, (ETH0,)), lambda client: host if client.mac == MAC1 else None, Counter()
    )


def datagram(data: bytes, *, interface: int = 2, port: int = 67, broadcast: bool = True) -> Datagram:
    return Datagram(data, pack_peer(0, 68), SERVER, port, interface, broadcast)


def said(query: Query | str) -> object:
    """All that a query says, its form too, so that two can be compared."""
    if isinstance(query, str):
        return query
    of_query = {one.name: getattr(query, one.name) for one in fields(Query) if one.name not in ("form", "parsed")}
    return of_query, {one.name: getattr(query.form, one.name) for one in fields(Form)}, query.message


def same(met: Reception, packet: Datagram) -> None:
    """The same query, at the first sight of the form and at the next."""
    plain = said(met.parsed(packet, 5.0))
    assert said(met.query(packet, 5.0)) == plain
    assert said(met.query(packet, 5.0)) == plain


def requests() -> list[bytes]:
    """What captured clients say to DHCP servers, and what servers say."""
    found = []
    for path in CAPTURES:
        for _, frame in pcap.read(path):
            packet = frames.parse(frame)
            if packet is not None and packet.protocol == frames.UDP and packet.destination_port in (67, 68, 4011):
                found.append(packet.payload)
    return found


@pytest.mark.parametrize("match_client_id", [False, True])
def test_every_captured_packet(match_client_id: bool) -> None:
    """One reception that meets all captures makes of each packet the query that its whole message makes."""
    met = reception(match_client_id=match_client_id)
    packets = requests()
    assert len(packets) > 50
    for data in packets:
        same(met, datagram(data))
    assert sum(glance_untrusted(data) is not None for data in packets) > len(packets) // 4


MESSAGES = {
    "discover": discover(),
    "relayed": discover(giaddr=RELAY),
    "nowhere": discover(giaddr=A("10.9.9.9")),
    "flagged": discover(broadcast=True),
    "select": select(A("10.0.0.100")),
    "reboot": reboot(A("10.0.0.100")),
    "renew": message(MessageType.REQUEST, ciaddr=A("10.0.0.100")),
    "BOOTP": message(None),
    "inform": message(MessageType.INFORM),
    "BIOS": pxe(),
    "HTTP": pxe(vendor_class=HTTP_CLASS, arch=16, options={OptionCode.PARAMETER_LIST: (1, 3, 43)}),
    "Pi": pxe(PI, options={OptionCode.PARAMETER_LIST: (1, 43)}),
    "iPXE": discover(MAC2, {OptionCode.IPXE: bytes.fromhex("130101"), OptionCode.CLIENT_ID: b"\x01" + MAC2}),
    "no hardware": message(MessageType.DISCOVER, b"", {OptionCode.CLIENT_ID: b"\x00disk"}, htype=32),
}
LINK_SELECTION = bytes.fromhex("0504") + A("10.5.0.0").to_bytes(4, "big")
VALUES = st.one_of(
    st.binary(max_size=18), st.sampled_from([b"", b"name", bytes(17), b"\0RPi4" + bytes(12), LINK_SELECTION])
)
ITEMS = st.lists(st.tuples(st.sampled_from(sorted({*OWN, *FORMING, 0, 1, 52, 81, 255})), VALUES), max_size=6)


def packet_of(base: Message, more: list[tuple[int, bytes]]) -> bytes:
    """The message with more options behind its own, pads and ends where they fall."""
    data = serialize(base, min_size=0)
    items = b"".join(bytes((code,)) if code in (0, 255) else bytes((code, len(raw))) + raw for code, raw in more)
    return data[:-1] + items + b"\xff"


@settings(max_examples=400)
@given(st.sampled_from(sorted(MESSAGES)), ITEMS, ITEMS, st.sampled_from([MAC1, MAC2, PI]), st.booleans(), st.booleans())
def test_any_packet(
    which: str, alike: list[tuple[int, bytes]], own: list[tuple[int, bytes]], mac: bytes, match: bool, broadcast: bool
) -> None:
    """Whatever options machines of one form add of their own: who was met second is understood as well as who was met first."""
    met = reception(match_client_id=match)
    base = MESSAGES[which]
    first = packet_of(base, alike)
    hardware = mac.ljust(16, b"\0")
    second = packet_of(base, [*alike, *((code, raw) for code, raw in own if code in OWN)])
    second = second[:4] + b"\7\6\5\4" + second[8:28] + (hardware if second[2] == 6 else bytes(16)) + second[44:]
    same(met, datagram(first, broadcast=broadcast))
    same(met, datagram(second, broadcast=broadcast))


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(MESSAGES)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 400),
)
def test_any_damage(which: str, flips: list[tuple[int, int]], length: int) -> None:
    """Bytes changed and cut off anywhere."""
    data = bytearray(serialize(MESSAGES[which]))
    for at, octet in flips:
        data[at % len(data)] = octet
    met = reception()
    same(met, datagram(serialize(MESSAGES[which])))
    same(met, datagram(bytes(data[:length]) if length > 200 else bytes(data)))


def test_the_way_it_came_by_belongs_to_the_form() -> None:
    """The same bytes by another interface, port or manner of sending are another question."""
    met = reception()
    data = serialize(select(A("10.0.0.100")))
    for one in (
        datagram(data),
        datagram(data, port=4011),
        datagram(data, broadcast=False),
        datagram(data, interface=9),
    ):
        same(met, one)


def test_forms_are_bounded() -> None:
    """A flood of invented forms costs a bounded amount of memory, and a known one is learned again."""
    met = reception()
    for number in range(FORMS + 10):
        met.query(datagram(serialize(discover(options={OptionCode.MAX_SIZE: number + 576}))), 0.0)
    assert len(met._forms) == FORMS
    same(met, datagram(serialize(discover(options={OptionCode.MAX_SIZE: 576}))))
