"""What clients were promised, against what a store holds: each way to break a promise is noticed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from provekit.promises import Promises

from pxenet.model import InstallRecord, InstallState, Lease, LeaseState

S = InstallState
ADDRESS, MAC, OTHER = 0x0A000005, b"\2\0\0\0\0\5", b"\2\0\0\0\0\6"
KEY = "02:00:00:00:00:05"


def lease(mac: bytes = MAC, expires_at: float = 100.0, state: LeaseState = LeaseState.BOUND) -> Lease:
    return Lease(ADDRESS, b"\1" + mac, mac, expires_at, state)


STORES: dict[str, tuple[list[Lease], str]] = {
    "kept": ([lease()], ""),
    "longer": ([lease(expires_at=500.0)], ""),
    "lost": ([], "is lost"),
    "another's": ([lease(OTHER)], "is stored as 02:00:00:00:00:06's"),
    "released": ([lease(state=LeaseState.RELEASED)], "is stored as released"),
    "shorter": ([lease(expires_at=90.0)], "10.0 s too early"),
}


@pytest.mark.parametrize(("stored", "words"), STORES.values(), ids=STORES)
def test_a_lease(stored: list[Lease], words: str) -> None:
    """An ACK binds until its end."""
    promises = Promises()
    promises.acknowledged(MAC, ADDRESS, 100.0)
    found = promises.broken_by(stored, [], "now")
    assert bool(words) == bool(found)
    assert words in "".join(found)


def test_a_lease_given_back_binds_nobody() -> None:
    """After the release the address may be anybody's."""
    promises = Promises()
    promises.acknowledged(MAC, ADDRESS, 100.0)
    promises.forget(MAC)
    promises.acknowledged(OTHER, ADDRESS, 100.0)
    assert [] == promises.broken_by([lease(OTHER)], [], "now") == promises.faults


def test_an_address_given_twice() -> None:
    """Noticed when the second ACK comes."""
    promises = Promises()
    promises.acknowledged(MAC, ADDRESS, 100.0)
    promises.acknowledged(OTHER, ADDRESS, 100.0)
    assert promises.faults == ["10.0.0.5 was given to 02:00:00:00:00:06 while 02:00:00:00:00:05 has it"]


def record(state: InstallState, generation: int = 1) -> InstallRecord:
    return InstallRecord(KEY, state, generation=generation)


REPORTS: dict[str, tuple[InstallState, list[InstallRecord], bool]] = {
    "kept": (S.INSTALLED, [record(S.INSTALLED)], True),
    "armed again": (S.INSTALLED, [record(S.NEW, 2)], True),
    "a late success": (S.FAILED, [record(S.INSTALLED)], True),
    "unknown": (S.INSTALLED, [], False),
    "still installing": (S.INSTALLED, [record(S.INSTALLING)], False),
    "a late failure": (S.INSTALLED, [record(S.FAILED)], False),
}


@pytest.mark.parametrize(("said", "stored", "kept"), REPORTS.values(), ids=REPORTS)
def test_a_report(said: InstallState, stored: list[InstallRecord], kept: bool) -> None:
    """A 200 binds for ever, unless a person arms the machine again."""
    promises = Promises()
    promises.accepted(KEY, 1, said)
    assert kept == (not promises.broken_by([], stored, "now"))


@pytest.mark.parametrize(
    "later", [lambda: [record(S.OFFERED)], lambda: [record(S.BOOTED, 0)], list], ids=["state", "generation", "gone"]
)
def test_no_state_goes_back(later: Callable[[], list[InstallRecord]]) -> None:
    """Also of machines that have reported nothing."""
    promises = Promises()
    assert [] == promises.broken_by([], [record(S.LOADING)], "first")
    assert promises.broken_by([], later(), "then") == [f"then: the install state of {KEY} went back"]
