"""What every store promises: one suite over all of them, and a model that each must equal."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.model import (
    AddedHost,
    Change,
    DiscoveredMachine,
    InstallRecord,
    InstallState,
    Lease,
    LeaseState,
    SeenHost,
    Verdict,
)
from pxenet.store.base import Store
from pxenet.store.memory import MemoryStore
from pxenet.store.sqlite import open_sqlite

MAC = bytes.fromhex("525400123456")
LEASE = Lease(
    0x0A000005, b"\x01" + MAC, MAC, 1_800_000_000.5, LeaseState.BOUND, "node5", 1_700_000_000.25, b"\x01" + MAC
)
HOST = SeenHost(
    MAC.hex(":"), MAC, "b8945908-d6a6-41a9-611d-74a6ab80b83d", 7, 1.0, 2.5, "PXEClient:Arch:00007", 0x0A000005
)
INSTALL = InstallRecord(
    MAC.hex(":"), InstallState.FAILED, "alma9", 3, 2, 1_700_000_000.125, "no disk found", "a log\n\ttail \0 \ud800"
)
ADDED = AddedHost("web01", '{"mac": "52:54:00:12:34:56", "vars": {"word": "\\u00e9"}}')

MakeStore = Callable[[int], Store]


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Makes the store under test, bounded to so many machines seen."""
    made: list[Store] = []

    def make(max_hosts: int) -> Store:
        if request.param == "memory":
            made.append(MemoryStore(max_hosts=max_hosts))
        else:
            made.append(open_sqlite(tmp_path / "state", max_hosts=max_hosts))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store(1000)


Contents = tuple[dict[int, Lease], dict[str, SeenHost], dict[str, InstallRecord], dict[str, AddedHost]]


def contents(store: Store) -> Contents:
    return (
        {lease.address: lease for lease in store.leases()},
        {host.key: host for host in store.hosts()},
        {record.key: record for record in store.installs()},
        {host.name: host for host in store.added()},
    )


def test_a_new_store_is_empty(store: Store) -> None:
    assert contents(store) == ({}, {}, {}, {})


def test_the_secret_is_random_and_stays(store: Store) -> None:
    """32 bytes, the same at every call, another one in another store."""
    assert len(store.secret()) == 32
    assert store.secret() == store.secret()
    assert store.secret() != MemoryStore().secret()


def test_every_kind_comes_back_as_it_was(store: Store) -> None:
    """Each field of each record survives, and one batch may hold all kinds."""
    assert store.commit([LEASE, HOST, INSTALL, ADDED]) == [Verdict.DURABLE] * 4
    assert contents(store) == (
        {LEASE.address: LEASE},
        {HOST.key: HOST},
        {INSTALL.key: INSTALL},
        {ADDED.name: ADDED},
    )


def test_a_host_that_is_removed_is_gone(store: Store) -> None:
    """Without keys its record goes; added again, in the same batch or a later one, it is there."""
    other, gone = AddedHost("web02", "{}"), AddedHost(ADDED.name, "")
    assert store.commit([ADDED, other, gone]) == [Verdict.DURABLE] * 3
    assert list(store.added()) == [other]
    store.commit([gone, ADDED])
    store.commit([AddedHost("never", "")])
    assert sorted(host.name for host in store.added()) == ["web01", "web02"]


def test_an_empty_batch_has_no_verdicts(store: Store) -> None:
    assert store.commit([]) == []


@pytest.mark.parametrize(
    "lease",
    [
        Lease(0, b"", b"", math.inf),
        Lease(0xFFFFFFFF, b"\x00" * 20, bytes(range(16)), 0.0, LeaseState.DECLINED),
        Lease(1, b"\xff" + b"\x00'\";--", b"\x00", 1e-9, LeaseState.RELEASED, "", 4e9 + 0.000001),
        Lease(2, b"x", b"y", 2.0, hostname="nul\0quote\"'back\\slash\nline\u2028\ud800\U0001f600é"),
        Lease(3, b"x", b"y", 2.0, hostname="\\u0041 [1, 2] null"),
    ],
    ids=["for-ever", "largest", "bytes", "host-name", "looks-like-json"],
)
def test_hostile_and_extreme_values_come_back(store: Store, lease: Lease) -> None:
    """What clients invent is stored as it is: zero bytes, quotes, lone surrogates, leases without end."""
    assert store.commit([lease]) == [Verdict.DURABLE]
    assert list(store.leases()) == [lease]


def test_a_later_change_wins(store: Store) -> None:
    """Within a batch and between batches; every change has its verdict."""
    first, second, third = (Lease(7, b"i", bytes([n]), float(n)) for n in range(3))
    assert store.commit([first, second]) == [Verdict.DURABLE] * 2
    assert list(store.leases()) == [second]
    store.commit([third])
    store.commit([first])
    assert list(store.leases()) == [first]


def test_commit_may_be_called_from_another_thread(store: Store) -> None:
    """The server commits in worker threads, never two at once."""
    verdicts: list[Verdict] = []
    for number in range(3):
        lease = Lease(number, b"i", b"m", 1.0)
        thread = threading.Thread(target=lambda lease=lease: verdicts.extend(store.commit([lease])))  # type: ignore[misc]
        thread.start()
        thread.join()
    assert verdicts == [Verdict.DURABLE] * 3
    assert len(list(store.leases())) == 3


def test_machines_seen_are_bounded(make_store: MakeStore) -> None:
    """A flood of invented hardware addresses costs bounded space, and pushes out those unseen for longest."""
    store = make_store(80)
    seen = [SeenHost(f"{n:012x}", b"", "", 0, 0.0, float(n)) for n in range(1000)]
    for start in range(0, 1000, 5):
        store.commit(seen[start : start + 5])
    kept = {host.key for host in store.hosts()}
    assert len(kept) <= 80 + 80 // 8 + 5
    assert {host.key for host in seen[-80:]} <= kept


def test_known_machines_that_return_push_nobody_out(make_store: MakeStore) -> None:
    """The bound counts machines, not sightings."""
    store = make_store(10)
    for round_ in range(20):
        store.commit([SeenHost(str(n), b"", "", 0, 0.0, float(round_)) for n in range(10)])
    assert len(list(store.hosts())) == 10


# Model against store: random batches, reopened now and then.

_TEXT = st.text(st.characters(), max_size=12)
_BYTES = st.binary(max_size=20)
_TIME = st.floats(min_value=-1e10, max_value=1e10)
CHANGES = st.one_of(
    st.builds(
        Lease,
        address=st.integers(0, 5),
        identity=_BYTES,
        mac=_BYTES,
        expires_at=st.one_of(_TIME, st.just(math.inf)),
        state=st.sampled_from(LeaseState),
        hostname=_TEXT,
        since_at=_TIME,
        client_id=_BYTES,
    ),
    st.builds(
        SeenHost,
        key=st.sampled_from(["", "a", "é\0"]),
        mac=_BYTES,
        uuid=_TEXT,
        arch=st.integers(0, 0xFFFF),
        first_seen_at=_TIME,
        last_seen_at=_TIME,
        vendor_class=_TEXT,
    ),
    st.builds(
        InstallRecord,
        key=st.sampled_from(["52:54:00:12:34:56", "uuid:x", ""]),
        state=st.sampled_from(InstallState),
        profile=_TEXT,
        attempts=st.integers(0, 100),
        generation=st.integers(1, 100),
        since_at=_TIME,
        reason=_TEXT,
        log=_TEXT,
    ),
    st.builds(AddedHost, name=st.sampled_from(["web01", "é"]), keys=_TEXT),
    st.builds(DiscoveredMachine, key=st.sampled_from(["52:54:00:12:34:56", ""]), at=_TIME, told=_TEXT),
)
BATCHES = st.lists(st.tuples(st.lists(CHANGES, max_size=8), st.booleans()), max_size=5)


@settings(max_examples=40, deadline=None)
@given(BATCHES)
def test_a_store_equals_its_model(batches: list[tuple[list[Change], bool]]) -> None:
    """Whatever is committed: SQLite holds what three dictionaries hold, and still does after being reopened."""
    with TemporaryDirectory() as directory:
        model, store = MemoryStore(), open_sqlite(Path(directory))
        secret = store.secret()
        for batch, reopen in batches:
            assert store.commit(batch) == model.commit(batch)
            if reopen:
                store.close()
                store = open_sqlite(Path(directory))
            assert contents(store) == contents(model)
            assert store.secret() == secret
        store.close()
