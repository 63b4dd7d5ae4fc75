"""The pool: which addresses are free, found without walking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.engine.dhcp.pool import Pool


def test_ranges_overlap_and_exclude() -> None:
    """No address counts twice; the excluded ones are never given."""
    pool = Pool([(10, 14), (13, 20), (30, 30)], excluded={12, 30, 99})
    assert (pool.size, len(pool)) == (12, 10)
    assert [address for address in range(40) if address in pool] == [10, 11, 13, 14, 15, 16, 17, 18, 19, 20]


def test_a_range_that_ends_before_it_begins() -> None:
    """Is an error that names it."""
    with pytest.raises(ValueError, match="9"):
        Pool([(10, 9)])


def test_the_same_seed_meets_the_same_address() -> None:
    """As long as nobody else has it."""
    pool = Pool([(100, 199)])
    assert {pool.pick(4242) for _ in range(5)} == {142}
    pool.take(142)
    assert pool.pick(4242) == 143
    pool.give_back(142)
    assert pool.pick(4242) == 142


def test_an_empty_pool() -> None:
    """Has no address, and does not mind being asked."""
    pool = Pool([])
    pool.take(5)
    pool.give_back(5)
    assert (pool.pick(1), len(pool), 5 in pool) == (None, 0, False)


def test_a_full_pool_of_many() -> None:
    """100 000 addresses are given one after the other, each once; what comes back is given again."""
    pool = Pool([(1, 60_000), (70_001, 110_000)])
    given_out = set()
    while (address := pool.pick(0)) is not None:
        pool.take(address)
        given_out.add(address)
    assert len(given_out) == pool.taken == 100_000
    pool.give_back(70_001)
    assert pool.pick(12) == 70_001


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=60), st.integers(0, 1000))
def test_pick_finds_an_address_exactly_when_there_is_one(steps: list[tuple[bool, int]], seed: int) -> None:
    """After any sequence of taking and giving back; and what it finds is free."""
    pool = Pool([(5, 11), (20, 24)], excluded={7})
    free = {address for address in range(31) if address in pool}
    everything = set(free)
    for take, address in steps:
        picked = pool.pick(seed)
        assert (picked in free) if free else picked is None
        if take:
            pool.take(address)
            free.discard(address)
        else:
            pool.give_back(address)
            free |= {address} & everything
    assert {address for address in range(31) if pool.is_free(address)} == free
