"""The lease table of one subnet: pending, leased, offered, remembered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pxenet.engine.dhcp.lease import SET_ASIDE, LeaseTable
from pxenet.engine.dhcp.pool import Pool
from pxenet.model import Lease, LeaseState

ANN, BOB, CAT = (b"\x01" + name * 6 for name in (b"a", b"b", b"c"))


def lease(address: int, who: bytes = ANN, until: float = 100.0, state: LeaseState = LeaseState.BOUND) -> Lease:
    """A lease of one of the three."""
    return Lease(address, who, who[1:], until, state)


def table(*leases: Lease, max_offers: int = 10) -> LeaseTable:
    """A table over the addresses 10 to 13."""
    made = LeaseTable(Pool([(10, 13)]), max_offers)
    made.load(leases, 0.0)
    return made


def test_pending_then_bound() -> None:
    """While it is written nobody else has the address, but its client neither."""
    leases = table()
    leases.begin(lease(10))
    assert (leases.leased_to(10, 1), leases.live_at(10, 1)) == (ANN, None)
    assert leases.bind(ANN, 1) is None
    assert leases.live_at(10, 1) == lease(10)
    assert leases.live_at(10, 100) is None


def test_dropped() -> None:
    """All is as before: the address free, or the earlier lease."""
    leases = table(lease(11, BOB, 50))
    leases.begin(lease(10))
    leases.begin(lease(11, BOB, 500))
    assert [leases.drop(who) is not None for who in (ANN, BOB, CAT)] == [True, True, False]
    assert leases.holder(10, 1) is None
    assert leases.live_at(11, 1) == lease(11, BOB, 50)


def test_a_second_address_ends_the_first() -> None:
    """One client, one address; the ended lease is given back to be stored."""
    leases = table(lease(10))
    leases.begin(lease(11))
    assert leases.bind(ANN, 5) == lease(10, until=5, state=LeaseState.RELEASED)
    assert leases.record(ANN, b"") == lease(11)


def test_offers_are_bounded_and_the_oldest_goes() -> None:
    """Also when the pool has nothing else left."""
    leases = table(max_offers=3)
    for at, who in enumerate((ANN, BOB, CAT)):
        leases.offer(who, 10 + at, 60)
    leases.offer(ANN, 10, 61)  # said again: the youngest now
    leases.offer(b"\x01dddddd", 13, 62)
    assert [leases.offered(who) for who in (ANN, BOB, CAT)] == [10, None, 12]
    leases.offer(b"\x01eeeeee", 11, 62)
    assert leases.pick(0) == 12
    assert leases.offered(CAT) is None


def test_offers_end() -> None:
    """Refreshed ones later, and the address is free again."""
    leases = table()
    leases.offer(ANN, 10, 60)
    leases.offer(ANN, 10, 90)
    leases.expire(61)
    assert leases.holder(10, 61) == ANN
    leases.expire(90)
    assert (leases.holder(10, 90), leases.offered(ANN)) == (None, None)


def test_what_ended_first_is_given_first() -> None:
    """And its client is forgotten only then."""
    leases = table(lease(10, ANN, 20), lease(11, BOB, 10), lease(12, CAT, 30), lease(13, b"\x01dddddd", 99))
    leases.expire(40)
    assert leases.pick(0) == 11
    leases.begin(lease(11, b"\x01eeeeee"))
    leases.bind(b"\x01eeeeee", 40)
    assert leases.record(BOB, BOB[1:]) is None
    assert leases.record(ANN, b"") == lease(10, ANN, 20)
    assert leases.pick(0) == 10


def test_set_aside() -> None:
    """Until its time; then free and forgotten."""
    leases = table(lease(10))
    leases.set_aside(10, ANN[1:], 50, 1)
    assert (leases.leased_to(10, 2), leases.record(ANN, ANN[1:])) == (SET_ASIDE, None)
    leases.expire(50)
    assert (leases.leased_to(10, 50), leases.lease_at(10)) == (None, None)


def test_a_lease_that_gets_shorter_ends_in_time() -> None:
    """Its first end stands in the queue, the second one counts."""
    leases = table(lease(10, until=1000))
    leases.begin(lease(10, until=50))
    leases.bind(ANN, 1)
    leases.expire(50)
    assert [leases.pick(seed) for seed in range(4)] != [10] * 4
    for address in (11, 12, 13):
        leases.offer(bytes((1, address)), address, 999)
    assert leases.pick(0) == 10


def test_the_same_machine_by_another_name() -> None:
    """A lease by hardware address is taken over by the client identifier of the same hardware address, and not by a second one."""
    leases = table(lease(10))
    named = b"\xff\0one"
    record = leases.record(named, ANN[1:])
    assert record is not None
    assert (record.address, record.identity) == (10, named)
    assert leases.record(b"\xff\0two", ANN[1:]) is None


def test_an_unlimited_lease_never_ends() -> None:
    """``inf`` is later than everything."""
    leases = table(lease(10, until=float("inf")))
    leases.expire(1e12)
    assert leases.live_at(10, 1e12) is not None


WHO = st.sampled_from([ANN, BOB, CAT])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["offer", "begin", "bind", "drop", "release", "aside", "wait"]), WHO, st.integers(10, 13)
    ),
    max_size=40,
)


@given(STEPS)
def test_nobody_loses_what_he_holds(steps: list[tuple[str, bytes, int]]) -> None:
    """Whatever happens in whatever order: an address has one holder, and ``pick`` never gives one that is leased or pending."""
    now = 0.0
    leases = table(max_offers=2)
    for what, who, address in steps:
        now += 7.0
        leases.expire(now)
        held = leases.leased_to(address, now)
        if what == "offer" and held is None:
            leases.offer(who, address, now + 20)
        elif what == "begin" and held in (None, who) and leases.pending(who) is None:
            leases.begin(lease(address, who, now + 30))
        elif what == "bind" and leases.pending(who) is not None:
            leases.bind(who, now)
        elif what == "drop":
            leases.drop(who)
        elif what == "release":
            leases.release(who, address, now)
        elif what == "aside" and held == who:
            leases.set_aside(address, who[1:], now + 15, now)
        picked = leases.pick(len(what))
        assert picked is None or leases.leased_to(picked, now) is None
        for one in (ANN, BOB, CAT):
            found = leases.record(one, b"")
            assert found is None or found.identity == one
    leases.expire(now + 1000)
    pending = leases.counts[2]
    assert leases.counts[1] == 0
    assert sum(leases.leased_to(address, now + 1000) is not None for address in range(10, 14)) == pending
