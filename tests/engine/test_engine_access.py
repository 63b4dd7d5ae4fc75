"""Who asks, and who may read an answer file: never another machine's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.engine.access import (
    BY_DHCP,
    BY_LEASE,
    BY_NAME,
    BY_NEIGHBOUR,
    BY_TOKEN,
    EXPIRES_S,
    RECENT_S,
    Access,
    Identity,
)
from pxenet.engine.install import Installs
from pxenet.model import Lease, LeaseState, Verdict

A, B = bytes.fromhex("5254000000aa"), bytes.fromhex("5254000000bb")
KEY_A, KEY_B = A.hex(":"), B.hex(":")
HERE, THERE = 0x0A000005, 0x0A000006


class World:
    """Access with a lease table and a neighbour table that a test fills."""

    def __init__(
        self, *, max_entries: int = 100, keys: dict[bytes, str] | None = None, names_suffice: bool = False
    ) -> None:
        self.installs = Installs([], bytes(32))
        self.leases: dict[int, Lease] = {}
        self.neighbours: dict[int, bytes] = {}
        self.access = Access(
            self.installs,
            lease_of=lambda address, now: self.leases.get(address),
            neighbour=self.neighbours.get,
            key_of_mac=lambda mac: (keys or {}).get(mac, mac.hex(":")),
            names_suffice=names_suffice,
            max_entries=max_entries,
        )
        self.token = self.installs.token(KEY_A)

    def lease(self, mac: bytes, expires_at: float = math.inf, state: LeaseState = LeaseState.BOUND) -> None:
        self.leases[HERE] = Lease(HERE, b"\x01" + mac, mac, expires_at, state)

    def who(self, path: str = "grub.cfg", now: float = 0.0) -> Identity:
        return self.access.identify(HERE, path, now)

    def may(self, now: float = 0.0) -> tuple[bool, str]:
        permission = self.access.may_read_answer(self.token, HERE, now)
        return permission.allowed, permission.reason


@pytest.mark.parametrize(
    "path",
    [
        "pxelinux.cfg/01-52-54-00-00-00-aa",
        "bios/pxelinux.cfg/01-52-54-00-00-00-AA",
        "pxelinux.cfg/20-52-54-00-00-00-aa",
        "x64/grub.cfg-01-52-54-00-00-00-aa",
        "ipxe/52:54:00:00:00:aa/boot.ipxe",
        "52-54-00-00-00-aa",
    ],
)
def test_a_hardware_address_in_the_path_names_the_machine(path: str) -> None:
    """As each loader spells it; it comes before what is known of the address."""
    world = World()
    world.lease(B)
    assert world.who(path) == Identity(KEY_A, A, BY_NAME)


@pytest.mark.parametrize(
    "path",
    [
        "pxelinux.cfg/b8945908-d6a6-41a9-611d-74a6ab80b83d",
        "pxelinux.cfg/C0A80101",
        "00-01-52-54-00-00-00-aa",
        "grub.cfg-" + "-".join(["aa"] * 20),
        "52-54-00-00-00",
        "x52-54-00-00-00-aa",
        "52-54-00-00-00-aax",
        "profile/x/0123456789abcdef0123456789abcdef.rpm",
        "",
    ],
)
def test_other_names_name_nobody(path: str) -> None:
    assert World().who(path) == Identity()


def test_a_token_in_the_path_comes_first() -> None:
    """A valid one; a stale one falls back to what is known of the address."""
    world = World()
    world.lease(B)
    path = f"answer/{world.token}/ks.cfg"
    assert world.who(path) == Identity(KEY_A, A, BY_TOKEN)
    world.installs.rearm(KEY_A, 0.0)
    assert world.who(path) == Identity(KEY_B, B, BY_LEASE)


def test_the_order_of_evidence() -> None:
    """Lease before DHCP seen, DHCP seen before the neighbour table."""
    world = World()
    assert world.who() == Identity()
    world.neighbours[HERE] = A
    assert world.who() == Identity(KEY_A, A, BY_NEIGHBOUR)
    world.access.observe(HERE, B, "proxy request", 0.0)
    assert world.who() == Identity(KEY_B, B, BY_DHCP)
    world.lease(A)
    assert world.who() == Identity(KEY_A, A, BY_LEASE)


@pytest.mark.parametrize(
    ("expires_at", "state"),
    [(10.0, LeaseState.BOUND), (math.inf, LeaseState.RELEASED), (math.inf, LeaseState.DECLINED)],
    ids=["expired", "released", "declined"],
)
def test_a_lease_that_is_over_says_nothing(expires_at: float, state: LeaseState) -> None:
    world = World()
    world.lease(A, expires_at, state)
    assert world.who(now=10.0) == Identity()


def test_an_observation_expires() -> None:
    world = World()
    world.access.observe(HERE, A, "proxy request", 0.0)
    assert world.who(now=EXPIRES_S - 1).key == KEY_A
    assert world.who(now=EXPIRES_S) == Identity()


def test_two_machines_on_one_address_are_nobody() -> None:
    """Not even the neighbour table decides then; the doubt is said."""
    world = World()
    world.neighbours[HERE] = A
    world.access.observe(HERE, A, "proxy request", 0.0)
    world.access.observe(HERE, B, "proxy request", RECENT_S - 1)
    who = world.who(now=RECENT_S)
    assert (who.key, who.mac, who.evidence) == ("", None, "")
    assert "2 machines" in who.doubt


def test_an_address_given_to_another_machine_later_is_that_machines() -> None:
    world = World()
    world.access.observe(HERE, A, "proxy request", 0.0)
    world.access.observe(HERE, B, "proxy request", RECENT_S)
    assert world.who(now=RECENT_S).key == KEY_B


def test_a_machine_that_moved_leaves_its_old_address() -> None:
    """So that the next one to get it is known at once."""
    world = World()
    world.access.observe(HERE, A, "proxy request", 0.0)
    world.access.observe(THERE, A, "proxy request", 1.0)
    assert world.who() == Identity()
    world.access.observe(HERE, B, "proxy request", 2.0)
    assert world.who(now=2.0).key == KEY_B


def test_several_interfaces_of_one_machine_are_not_ambiguous() -> None:
    """Hosts known by UUID: both hardware addresses lead to one key."""
    world = World(keys={A: "uuid:x", B: "uuid:x"})
    world.access.observe(HERE, A, "proxy request", 0.0)
    world.access.observe(HERE, B, "proxy request", 1.0)
    assert world.who(now=1.0) == Identity("uuid:x", B, BY_DHCP)


def test_nothing_is_learnt_from_nothing() -> None:
    """A DISCOVER carries no address; a client without hardware address names nobody."""
    world = World()
    world.access.observe(0, A, "discover", 0.0)
    world.access.observe(HERE, b"", "offer", 0.0)
    assert len(world.access) == 0


def test_a_flood_pushes_out_the_unused_only() -> None:
    """Memory is bounded; a machine that is being served stays known."""
    world = World(max_entries=10)
    world.access.observe(HERE, A, "proxy request", 0.0)
    for number in range(100):
        world.access.observe(0x0B000000 + number, number.to_bytes(6, "big"), "proxy request", 1.0)
        assert world.who(now=1.0).key == KEY_A
    assert len(world.access) == 10
    assert len(world.access._address_of) <= 20


# Answer files


def test_an_answer_file_goes_to_its_machine() -> None:
    """By lease, by DHCP seen, and also where nothing is known of the address: the token is what counts."""
    world = World()
    assert world.may() == (True, "")
    world.access.observe(HERE, A, "proxy request", 0.0)
    assert world.may() == (True, "")
    world.lease(A)
    assert world.may() == (True, "")


def test_never_to_another_machines_address() -> None:
    """Known by lease or by DHCP seen; the reason names both machines."""
    world = World()
    world.access.observe(HERE, B, "proxy request", 0.0)
    expected = (False, f"it is for {KEY_A}, but this address belongs to {KEY_B}")
    assert world.may() == expected
    world.access.observe(HERE, A, "proxy request", EXPIRES_S)
    assert world.may(EXPIRES_S) == (True, "")
    world.lease(B)
    assert world.may(EXPIRES_S) == expected


def test_a_second_claim_does_not_lock_the_machine_out() -> None:
    """Somebody else claims its address: it stays among those that may be there, and its token is its own."""
    world = World()
    world.access.observe(HERE, A, "proxy request", 0.0)
    world.access.observe(HERE, B, "proxy request", 1.0)
    assert world.may(1.0) == (True, "")


def test_a_name_needs_evidence() -> None:
    """A machine never seen, from an address that nobody knows: no. Lease, DHCP seen and the neighbour table each suffice."""
    assert "nothing tells" in World().access.may_be(KEY_A, A, HERE, 0.0).reason
    leased, seen, near = World(), World(), World()
    for mac, allowed in ((B, False), (A, True)):
        leased.lease(mac)
        seen.access.observe(HERE, mac, "offer", RECENT_S * mac[-1])
        near.neighbours[HERE] = mac
        for world in (leased, seen, near):
            assert allowed is world.access.may_be(KEY_A, A, HERE, RECENT_S * mac[-1]).allowed
    uuid = World(keys={A: "uuid:x"})
    uuid.access.observe(HERE, A, "offer", 0.0)
    assert uuid.access.may_be("uuid:x", None, HERE, 0.0).allowed
    assert not uuid.access.may_be("uuid:x", None, THERE, 0.0).allowed


def test_without_dhcp_a_name_counts_until_something_speaks_against_it() -> None:
    """Nothing known: yes. Over IPv6, from an address that others claim, or while the machine is seen elsewhere: no."""
    world = World(names_suffice=True)
    assert world.access.may_be(KEY_A, A, HERE, 0.0).allowed
    assert "IPv6" in world.access.may_be(KEY_A, A, 0, 0.0).reason
    world.access.observe(THERE, A, "offer", 0.0)
    assert "another address" in world.access.may_be(KEY_A, A, HERE, 1.0).reason
    assert world.access.may_be(KEY_A, A, THERE, 1.0).allowed
    assert world.access.may_be(KEY_A, A, HERE, EXPIRES_S).allowed  # that was long ago
    assert world.access.may_be(KEY_A, None, HERE, 1.0).allowed
    for other in (B, b"\2" * 6):
        world.access.observe(HERE, other, "proxy request", 2.0)
    assert "belongs to" in world.access.may_be(KEY_A, None, HERE, 2.0).reason
    world.access.observe(HERE, A, "proxy request", 3.0)
    assert world.access.may_be(KEY_A, A, HERE, 3.0).allowed


def test_not_without_a_valid_token() -> None:
    world = World()
    for token in ("", "0" * 32, KEY_A):
        permission = world.access.may_read_answer(token, HERE, 0.0)
        assert (permission.allowed, permission.key) == (False, "")
        assert "not valid" in permission.reason
    world.installs.rearm(KEY_A, 0.0)
    assert not world.may()[0]
    world.token = world.installs.token(KEY_A)
    assert world.may()[0]


@pytest.mark.parametrize("outcome", ["installed", "failed"])
def test_not_when_the_install_is_over(outcome: str) -> None:
    """The password hashes are no longer needed by anybody."""
    world = World()
    result = world.installs.callback(world.token, outcome, "", 0.0)
    assert world.may()[0], "until the report is durable"
    world.installs.committed(result.changes[0], Verdict.DURABLE, 0.0)
    permission = world.access.may_read_answer(world.token, HERE, 0.0)
    assert (permission.allowed, permission.ended) == (False, True)
    assert outcome in permission.reason
    world.lease(B)
    permission = world.access.may_read_answer(world.token, HERE, 0.0)
    assert (permission.allowed, permission.ended) == (False, False), "another machine asks"


MACS = [A, B, bytes.fromhex("5254000000cc")]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([HERE, THERE, 1, 2, 3]), st.sampled_from(MACS), st.floats(0, 2000)), max_size=30)
)
def test_observations_stay_consistent(seen: list[tuple[int, bytes, float]]) -> None:
    """However machines wander: bounded, each machine at one address at most, and only machines seen there are ever named."""
    world = World(max_entries=3)
    now = 0.0
    last: dict[bytes, int] = {}
    for address, mac, later in seen:
        now += later
        world.access.observe(address, mac, "proxy request", now)
        last[mac] = address
        who = world.access.identify(address, "grub.cfg", now)
        assert who.mac in (mac, None)
        assert len(world.access) <= 3
        for known, claims in world.access._claims.items():
            assert 1 <= len(claims) <= 2
            assert all(last[claim.mac] == known for claim in claims)
