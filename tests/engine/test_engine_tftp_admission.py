"""More than a server can answer in time: who begins, who waits, in which order, and that nobody is forgotten."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tftp_crowd import BLKSIZE, EDK2, EVERYONE, GRUB, PXELINUX, UBOOT, Crowd, Firmware, machines
from tftp_harness import PORTS, SERVER, content

from pxenet.engine.surface import NEVER
from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.engine.tftp.admission import CROWD, UNLIMITED, WAIT_S, Admission, Load, Rank
from pxenet.net.datagram import BATCH, Datagram, pack_peer
from pxenet.wire.tftp import Ack, OpCode, Request, serialize

ASKED = Request(OpCode.RRQ, "file")
SETTINGS = TftpSettings(tid_ports=PORTS, max_windowsize=64)
OPEN = replace(SETTINGS, lag_limit_s=1000.0)
"""Nobody waits."""

FILE = 46 * BLKSIZE


def asks(n: int, name: str = "file") -> Datagram:
    return Datagram(serialize(replace(ASKED, filename=name)), pack_peer(n, 2070), SERVER, 69, 2)


# How much is too much


def test_two_full_batches_tell_how_long_a_packet_takes() -> None:
    """What came in between is counted too; from the time of one packet follows how many may be under way."""
    load = Load(0.05)
    assert UNLIMITED == load.most(0.0)
    load.heard(1, BATCH, 0.0)
    assert UNLIMITED == load.most(0.0)
    load.heard(2, 72, 0.01)
    load.heard(1, BATCH, 0.02)
    assert 500 == load.most(0.02)  # 200 packets in 20 ms, so 500 in 50 ms
    assert {1: (0.02, 2 * BATCH + 72)} == load.full


def test_two_full_batches_at_nearly_the_same_instant_are_no_limit() -> None:
    """What one packet takes is less than any clock shows."""
    load = Load(0.05)
    load.heard(1, BATCH, 0.0)
    load.heard(1, BATCH, 1e-308)
    assert UNLIMITED == load.most(0.0)


def test_a_server_at_rest_knows_no_limit() -> None:
    """Where a batch is not full, or the last one was long ago, nothing stood; what was known holds for a while."""
    load = Load(0.05)
    load.heard(1, BATCH, 0.0)
    load.heard(1, 1, 0.01)
    load.heard(1, BATCH, 0.02)
    assert UNLIMITED == load.most(0.02)
    load.heard(1, BATCH, 2.0)
    assert UNLIMITED == load.most(2.0)
    load.heard(1, BATCH, 2.25)
    load.heard(1, BATCH // 2, 2.73)
    assert 25 == load.most(2.77)
    assert UNLIMITED == load.most(2.79)


def test_the_network_may_be_what_is_slow() -> None:
    """What left had waited for four times as long as it may: a quarter of the transfers is enough, until that is long ago."""
    load = Load(0.05)
    load.behind(0.04, 100, 0.0)
    assert UNLIMITED == load.most(0.0)
    load.behind(0.2, 100, 1.0)
    assert (25, 25, UNLIMITED) == (load.most(1.0), load.most(1.19), load.most(1.2))
    load.behind(0.2, 100, 2.0)
    load.heard(1, BATCH, 2.0)
    load.heard(1, BATCH, 2.125)  # 51 in time: the server could do more than the network
    assert 25 == load.most(2.125)
    assert 2.2 == load.known_until()
    assert 51 == load.most(2.3)


def test_what_the_network_does_not_take_lets_others_wait() -> None:
    """Whoever asks meanwhile begins when it is over."""
    server = TftpServer(SETTINGS)
    server.receive([asks(1)], 0.0)
    server.behind(0.1, 0.0)
    assert [] == server.receive([asks(2)], 0.01).wants
    assert 1 == server.statistics().waiting
    assert server.deadline() <= 0.1
    assert ["file"] == [want.path for want in server.tick(0.11).wants]


def test_a_fast_server_never_lets_anybody_wait() -> None:
    """A thousand machines in one instant, 10 us for each packet: no acknowledgment waits for 50 ms, so all begin at once."""
    crowd = Crowd(machines(1000, EVERYONE, FILE), packet_s=0.00001)
    crowd.run()
    assert (1000, 0) == (crowd.most_reading, crowd.most_waiting)
    assert [0] * 1000 == [machine.again for machine in crowd.machines]


# A thousand machines at a server that is too slow for them


def test_those_in_transfer_finish_first() -> None:
    """As many are under way as can be answered in time, the others begin as those end: half of the machines are done sooner than if
    all had begun at once, and none later than a moment.
    """
    one, all_at_once = (Crowd(machines(1000, EVERYONE, FILE), 0.00005, settings=each) for each in (SETTINGS, OPEN))
    one.run()
    all_at_once.run()
    for crowd in (one, all_at_once):
        assert 1000 == crowd.server.statistics().completed
    assert 490 <= one.most_reading <= 564  # 25 ms are 500 packets, and a step
    assert 1000 == all_at_once.most_reading
    took, took_all = (sorted(machine.took_s for machine in crowd.machines) for crowd in (one, all_at_once))
    assert took[500] < 0.85 * took_all[500]
    assert statistics.mean(took) < 0.95 * statistics.mean(took_all)
    assert took[-1] < 1.05 * took_all[-1]
    assert ["tftp.saturated", "tftp.caught_up"] == [
        event.kind for event in one.events if event.kind in ("tftp.saturated", "tftp.caught_up", "tftp.dropped")
    ]


@pytest.mark.parametrize("like", EVERYONE, ids=("iPXE", "EDK2", "pxelinux", "GRUB", "U-Boot"))
def test_nobody_starves(like: Firmware) -> None:
    """A storm that is longer than any patience: each machine is answered before its firmware gives up, and comes to its end."""
    crowd = Crowd(machines(500, (like,), 2 * FILE), 0.0008)
    crowd.run()
    assert [] == [machine for machine in crowd.machines if machine.gave_up]
    assert 500 == crowd.server.statistics().completed
    assert crowd.most_waiting > 100
    assert max(machine.begun_at for machine in crowd.machines) < WAIT_S + 2


def test_who_asks_again_comes_first() -> None:
    """GRUB asks again soon, U-Boot after 5 s only: where both wait, those that have asked again begin before."""
    crowd = Crowd(machines(1000, (UBOOT, GRUB), FILE), 0.0001)
    crowd.run()
    waited = [machine for machine in crowd.machines if machine.begun_at > 0.5]
    assert len(waited) > 400
    order = [machine.like is GRUB for machine in sorted(waited, key=lambda machine: machine.begun_at)]
    assert sum(order[: len(order) // 2]) > 0.9 * sum(order)


def test_what_cannot_wait_is_counted() -> None:
    """More machines than may wait: the others are dropped, counted and told of; all come to their end, for they ask again."""
    crowd = Crowd(machines(1000, (PXELINUX, EDK2), FILE), 0.0001, settings=replace(SETTINGS, max_waiting=100))
    crowd.run()
    counted = crowd.server.statistics()
    assert 100 == crowd.most_waiting
    assert counted.overload > 100
    assert counted.overload == Counter(event.kind for event in crowd.events)["tftp.dropped"]
    assert 1000 == counted.completed


def test_a_late_copy_begins_nothing() -> None:
    """What is asked may be heard late when much waits: the same request of a client in full flow is a copy then, and counted."""
    server, (peer, other) = TftpServer(SETTINGS), (pack_peer(n, 2070) for n in range(2))

    def wants(at: float) -> int:
        out = server.receive([Datagram(serialize(ASKED), peer, SERVER, 69, 2)], at)
        for want in out.wants:
            server.provide(want.id, content(bytes(9 * BLKSIZE)), at)
        return len(out.wants)

    assert 1 == wants(0.0)
    server.receive([Datagram(serialize(Ack(1)), peer, SERVER, PORTS[1], 2)], 0.1)
    server.receive([Datagram(serialize(Ack(1)), other, SERVER, PORTS[0], 2)] * BATCH, 0.2)
    assert 0 == wants(0.3)
    assert 1 == server.statistics().repeats
    server.receive([Datagram(serialize(Ack(1)), other, SERVER, PORTS[0], 2)], 0.4)
    assert 1 == wants(0.5)


# The queue


def test_order() -> None:
    """Who asks again and who is in the middle of its boot, by age; then new ones by age; then who has much already."""
    queue = Admission(10, 0.05)
    for n, rank in enumerate((Rank.LATE, Rank.NEW, Rank.NEW, Rank.NEW, Rank.EARLY)):
        assert "" == queue.wait(asks(n), ASKED, rank, float(n))
    assert queue.repeated(asks(3))
    assert queue.repeated(asks(0))
    assert [3, 4, 1, 2, 0] == begins(queue, 0, 10, 5.0)


def begins(queue: Admission, reading: int, most: int, now: float) -> list[int]:
    return [int.from_bytes(each.datagram.peer[4:8], "big") for each in queue.next(reading, most, now)]


def test_age_counts() -> None:
    """Whoever has waited for long enough begins, whatever the load is and whoever else is there; but for no more than are allowed."""
    queue = Admission(10, 0.05)
    queue.load.heard(1, BATCH, 0.0)
    queue.load.heard(1, BATCH, 0.4)  # 16 in 50 ms
    queue.wait(asks(1), ASKED, Rank.LATE, 0.5)
    queue.wait(asks(2), ASKED, Rank.NEW, 0.6)
    assert [] == begins(queue, 16, 100, 0.7)
    until = WAIT_S + 0.55
    for at in (until - 0.2, until):  # still saturated
        queue.load.heard(1, BATCH, at)
    assert [1] == begins(queue, 90, 100, until)
    assert [] == begins(queue, 100, 100, until + 0.1)
    assert 1 == len(queue)


def test_one_address_cannot_fill_the_queue() -> None:
    """Others find place although one address asks without end; it does again when some of it has begun."""
    queue = Admission(2 * CROWD, 0.05)
    from_one = [Datagram(b"", pack_peer(7, port), SERVER, 69, 2) for port in range(CROWD + 1)]
    said = [queue.wait(each, ASKED, Rank.NEW, 0.0) for each in from_one]
    assert [f"{CROWD} requests of this address wait already"] == said[CROWD:]
    assert "" == queue.wait(asks(1), ASKED, Rank.NEW, 0.0)
    queue.next(0, 100, 1.0)
    assert "" == queue.wait(from_one[CROWD], ASKED, Rank.NEW, 1.0)


def test_another_request_takes_the_place_of_the_one_before() -> None:
    """A client that wants something else does not wait for the first answer any more."""
    queue = Admission(10, 0.05)
    queue.wait(asks(1), ASKED, Rank.NEW, 0.0)
    assert not queue.repeated(asks(1, "other"))
    assert 0 == len(queue)
    queue.wait(asks(1, "other"), ASKED, Rank.NEW, 1.0)
    assert [b"other"] == [each.datagram.data[2:7] for each in queue.next(0, 10, 1.0)]


ACTS = st.lists(
    st.tuples(
        st.sampled_from(("ask", "other", "next", "full", "rest")), st.integers(0, 40), st.floats(0, 3, allow_nan=False)
    ),
    max_size=200,
)


@given(ACTS)
def test_whatever_happens_nobody_is_lost(acts: list[tuple[str, int, float]]) -> None:
    """Each that was taken in begins once, or asks for something else; who begins is of no lower rank than who stays, unless by its age;
    what is asked when nothing is due gives nobody; and in the end the queue is empty and holds nothing.
    """
    queue, now = Admission(30, 0.05), 0.0
    inside: dict[bytes, bytes] = {}
    for act, n, pause in acts:
        now += pause
        if act in ("ask", "other"):
            datagram = asks(n, act)
            known = queue.repeated(datagram)
            assert known == (inside.get(datagram.peer) == datagram.data)
            if not known:
                inside.pop(datagram.peer, None)
                if not queue.wait(datagram, ASKED, Rank(n % 3), now):
                    inside[datagram.peer] = datagram.data
                else:
                    assert 30 == len(queue)
        elif act == "next":
            early = now < queue.due_at()
            found = queue.next(n, 40, now)
            assert not (early and found) or n < queue.load.most(now)
            assert len(found) <= 40 - n
            for each in found:
                assert each.datagram.data == inside.pop(each.datagram.peer)
            young = [each.rank for each in found if now - each.since_at < WAIT_S]
            assert max(young, default=Rank.EARLY) <= min(
                (each.rank for each in queue.by_peer.values()), default=Rank.LATE
            )
        else:
            queue.load.heard(n, BATCH if act == "full" else 1, now)
        assert inside.keys() == queue.by_peer.keys()
    while (at := queue.due_at()) < NEVER:
        now = max(now, at)
        for each in queue.next(0, 10, now):
            del inside[each.datagram.peer]
    assert {} == inside
    assert 0 == len(queue)
    assert 0 == queue.clear()
