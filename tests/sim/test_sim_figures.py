"""What a run is summed up by: quantiles, who holds which address, and faults that happen as often as they are asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.sim.faults import HEADERS_BYTES, Faults, Weather, parse_faults
from pxenet.sim.figures import Figures, Histogram
from pxenet.sim.ledger import Ledger
from pxenet.wire.dhcp import Message, serialize
from pxenet.wire.iana import BOOTREPLY, MessageType, OptionCode
from pxenet.wire.options import Options

# -- histogram ----------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-5, 1e4), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_is_at_most_2_percent_too_long(durations: list[float], share: float) -> None:
    """And never shorter than what that share of the durations needs."""
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    within = sum(duration <= histogram.quantile(share) * (1 + 1e-9) for duration in durations)
    assert within >= share * len(durations) - 1e-6
    shorter = histogram.quantile(share) / 1.0201
    assert sum(duration < shorter for duration in durations) < max(share * len(durations), 1)


def test_figures_of_nothing() -> None:
    """No machine got so far."""
    assert Figures() == Histogram().figures()


# -- ledger -------------------------------------------------------------------------------------------------------------------------


def reply(mac: int, address: int, kind: MessageType = MessageType.ACK, lease_s: int | None = 60) -> bytes:
    options: dict[int, object] = {OptionCode.MESSAGE_TYPE: kind, OptionCode.SERVER_ID: 1}
    if lease_s is not None:
        options[OptionCode.LEASE_TIME] = lease_s
    chaddr = bytes((2, 0, 0, 0, 0, mac)).ljust(16, b"\0")
    return serialize(Message(op=BOOTREPLY, yiaddr=address, chaddr=chaddr, options=Options.build(options)))


A, B, X, Y = 1, 2, 0x0A000001, 0x0A000002


@pytest.mark.parametrize(
    ("replies", "twice", "moved"),
    [
        ([(0, reply(A, X)), (1, reply(B, Y))], 0, 0),
        ([(0, reply(A, X)), (1, reply(A, X))], 0, 0),
        ([(0, reply(A, X)), (59, reply(B, X))], 1, 0),
        ([(0, reply(A, X)), (61, reply(B, X))], 0, 0),
        ([(0, reply(A, X, lease_s=0xFFFFFFFF)), (1e9, reply(B, X))], 1, 0),
        ([(0, reply(A, X)), (1, reply(A, Y)), (2, reply(B, X))], 0, 1),
        ([(0, reply(A, X)), (1, reply(B, X, MessageType.OFFER))], 0, 0),
        ([(0, reply(A, X)), (1, reply(B, X, lease_s=None))], 0, 0),
        ([(0, reply(A, X)), (1, reply(B, X)[:60]), (1, b"")], 0, 0),
    ],
    ids=["two", "renewed", "twice", "expired", "for ever", "left", "offered only", "boot server", "damaged"],
)
def test_who_holds_an_address(replies: list[tuple[float, bytes]], twice: int, moved: int) -> None:
    """Given twice is what another machine holds at that instant; a machine that takes a new address leaves its old one."""
    ledger = Ledger()
    for now, payload in replies:
        ledger.heard(payload, now)
    assert (twice, moved) == (ledger.given_twice, ledger.moved)
    assert twice == len(ledger.words)


# -- faults -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "counter"),
    [
        (Faults(loss=0.1), "lost"),
        (Faults(duplication=0.1), "duplicated"),
        (Faults(reordering=0.1), "reordered"),
        (Faults(corruption=0.1), "corrupted"),
    ],
)
def test_faults_happen_as_often_as_asked(faults: Faults, counter: str) -> None:
    """Over 4000 datagrams, within what chance allows."""
    weather = Weather(1)
    arrived = [copy for _ in range(4000) for copy in weather.carry(b"payload", faults)]
    happened = getattr(weather.traffic, counter)
    assert 300 < happened < 500
    gone = happened if counter in ("lost", "corrupted") else -happened if counter == "duplicated" else 0
    assert 4000 - gone == len(arrived)
    assert {b"payload"} == {payload for _, payload in arrived}


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", Faults()),
        ("loss=0.05", Faults(loss=0.05)),
        ("loss=.05, duplication=1,reordering=0.5,corruption=0,mtu=1400", Faults(0.05, 1, 0.5, 0, mtu=1400)),
    ],
)
def test_faults_as_they_are_written(text: str, faults: Faults) -> None:
    """What is not named does not happen."""
    assert faults == parse_faults(text)


@pytest.mark.parametrize("text", ["loss", "loss=", "loss=2", "loss=-1", "loss=nan", "gain=0.1", "mtu=x", "mtu=1e3"])
def test_no_faults(text: str) -> None:
    """The message says what would be right."""
    with pytest.raises(ValueError, match=r"write loss=0\.05, .* or mtu=1400"):
        parse_faults(text)


def test_damage_is_delivered_where_asked() -> None:
    """All arrive, and not as they were sent; they may have become shorter, never longer."""
    weather = Weather(1)
    faults = Faults(corruption=1.0, delivers_corrupted=True)
    arrived = [payload for _ in range(200) for _, payload in weather.carry(b"payload", faults)]
    assert 200 == len(arrived)
    assert sum(payload != b"payload" for payload in arrived) > 190
    assert max(map(len, arrived)) == len(b"payload")


def test_the_mtu_counts_headers() -> None:
    """What fits exactly arrives."""
    weather = Weather(1)
    fits = bytes(1500 - HEADERS_BYTES)
    assert [fits] == [payload for _, payload in weather.carry(fits, Faults())]
    assert [] == list(weather.carry(fits + b"\0", Faults()))
    assert 1 == weather.traffic.too_large
