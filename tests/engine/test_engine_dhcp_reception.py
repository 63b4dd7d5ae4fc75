"""The first look at a request against the whole parser: they make the same query of every packet."""

from __future__ import annotations

from dataclasses import fields

import pytest
from dhcp_packets import ITEMS, MESSAGES, PI, datagram, packet_of, reception, requests
from dhcp_scene import MAC1, MAC2, A, discover, select
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.engine.dhcp.query import Form, Query
from pxenet.engine.dhcp.reception import FORMS, Reception
from pxenet.net.datagram import Datagram
from pxenet.wire.dhcp import serialize
from pxenet.wire.glance import OWN, glance_untrusted
from pxenet.wire.iana import OptionCode


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


@pytest.mark.parametrize("match_client_id", [False, True])
def test_every_captured_packet(match_client_id: bool) -> None:
    """One reception that meets all captures makes of each packet the query that its whole message makes."""
    met = reception(match_client_id=match_client_id)
    packets = requests()
    assert len(packets) > 50
    for data in packets:
        same(met, datagram(data))
    assert sum(glance_untrusted(data) is not None for data in packets) > len(packets) // 4


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
