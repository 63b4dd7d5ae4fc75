"""Greedy clients: what takes more than its share gets what others leave, and all of the server when nobody else is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tftp_crowd import BLKSIZE, GRUB, LARGE, Crowd, Machine, machines
from tftp_harness import PORTS, SERVER, content, says

from pxenet.engine.surface import NEVER
from pxenet.engine.tftp import Patience, TftpServer, TftpSettings
from pxenet.engine.tftp.transfer import Transfer
from pxenet.engine.tftp.turns import LARGE_BYTES, LEAST, MANY, SHARE, Turns
from pxenet.net.datagram import BATCH, Datagram, pack_peer
from pxenet.wire.tftp import Ack, OpCode, Request, serialize

FILE = 200 * BLKSIZE
GREEDY = 0x0A000001
WIRES = (0.0002, 0.001)
"""Seconds one way."""


def greedy() -> list[Machine]:
    """One address, 400 files at once."""
    return [Machine(pack_peer(GREEDY, 2070 + n), GRUB, FILE) for n in range(400)]


def large() -> list[Machine]:
    """Ten clients whose windows take the time of 60 lock-step blocks each."""
    return machines(10, (LARGE,), 100_000_000, first=GREEDY)


def slowest(count: int, others: list[Machine], wire_s: float) -> float:
    """How long the last of some lock-step clients takes."""
    some = machines(count, (GRUB,), FILE)
    crowd = Crowd([*some, *others], packet_s=0.000002, block_s=0.000006, wire_s=wire_s)
    while any(machine.done_at == NEVER for machine in some):
        crowd.run(until=crowd.now + 0.1)
        assert crowd.now < 10
    return max(machine.took_s for machine in some)


@pytest.mark.parametrize("wire_s", WIRES)
@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_greedy_client_does_not_slow_the_rest(count: int, wire_s: float) -> None:
    """Four hundred transfers of one address cost others their beginning, 40 ms, a few blocks in each turn, and no more than a share."""
    alone, beside = slowest(count, [], wire_s), slowest(count, greedy(), wire_s)
    assert beside < alone * (1 + 1 / SHARE) + FILE / BLKSIZE * LEAST * 0.000008 + 0.04


@pytest.mark.parametrize("wire_s", WIRES)
@pytest.mark.parametrize("count", [1, 10, 100])
def test_large_windows_do_not_slow_the_rest(count: int, wire_s: float) -> None:
    """Ten clients with windows of 94 kB: who reads in lock-step meets one of them for each of his blocks at most."""
    alone, beside = slowest(count, [], wire_s), slowest(count, large(), wire_s)
    assert beside < alone * (1 + 1 / SHARE) + FILE / BLKSIZE * 64 * 0.000006 + 0.02


def test_the_greedy_one_gets_what_is_left() -> None:
    """It is done as soon as if it were like others: the server does not rest while it waits."""
    crowd = Crowd([*machines(100, (GRUB,), FILE), *greedy()], packet_s=0.000002, block_s=0.000006)
    crowd.run()
    done = max(machine.done_at for machine in crowd.machines)
    work = 500 * 201 * 0.000008
    assert [] == [machine for machine in crowd.machines if machine.done_at == NEVER]
    assert done < 1.05 * work
    assert 0 == crowd.server.statistics().retransmits


# The queue


def transfer(n: int, address: int = GREEDY, windowsize: int = 1) -> Transfer:
    datagram = Datagram(b"", pack_peer(address, n), SERVER, 69, 2)
    made = Transfer(n, datagram, Request(OpCode.RRQ, "f"), PORTS[0], Patience(), 0.0)
    made.windowsize = windowsize
    return made


def test_addresses_take_turns() -> None:
    """However many transfers one of them has."""
    turns = Turns()
    turns.others(1, 0.0)
    for late in (transfer(1), transfer(2), transfer(3), transfer(4, GREEDY + 1), transfer(5, GREEDY + 2)):
        turns.add(late)
        turns.waits(late, late.id, 0.0)
    assert [1, 4, 5, 2, 3] == [number for _, number, _ in turns.next(1.0)]
    assert NEVER == turns.since_at


def test_others_pay_for_late_ones() -> None:
    """A block for every eight of others, and a few at least; what they did not use is not saved up without end."""
    turns = Turns()
    turns.others(1, 0.0)
    for n in range(1000):
        turns.add(late := transfer(n))
        turns.waits(late, 7, 0.0)
    turns.others(SHARE * 20 - 1, 1.0)
    assert 20 == len(turns.next(1.0))
    assert LEAST == len(turns.next(1.0))
    turns.others(1_000_000, 1.0)
    assert BATCH == len(turns.next(1.0))
    assert 1.0 == turns.since_at
    assert 1000 - 20 - LEAST - BATCH == len(turns.next(2.0))
    assert not turns.waits(late, 8, 2.0)


def test_the_newest_acknowledgment_counts() -> None:
    """Numbers go round; one that came late says nothing. A transfer that has ended is passed over."""
    turns = Turns()
    turns.others(1, 0.0)
    one, two = transfer(1), transfer(2)
    for late in (one, two):
        turns.add(late)
    for at, number in enumerate((0xFFFE, 0xFFFF, 1, 0xFFFF)):
        turns.waits(one, number, float(at))
    turns.waits(two, 1, 9.0)
    turns.forget(two)
    assert [(one, 1, 2.0)] == turns.next(9.0)
    assert {1: one} == turns.late


@given(st.lists(st.tuples(st.sampled_from(("ack", "others", "next", "forget")), st.integers(0, 30)), max_size=200))
def test_every_late_one_has_its_turn(acts: list[tuple[str, int]]) -> None:
    """An acknowledgment that came is given once, unless its transfer is over; while any waits there is a time to be woken at."""
    turns, waiting = Turns(), set()
    those = [transfer(n, GREEDY + n % 4, 1 + n % 3) for n in range(31)]
    for each in those:
        turns.add(each)
    for now, (act, n) in enumerate(acts):
        if act == "ack" and n in turns.late:
            if turns.waits(those[n], now, float(now)):
                waiting.add(n)
            else:
                assert not waiting
        elif act == "others":
            turns.others(n, float(now))
        elif act == "forget":
            turns.forget(those[n])
            waiting.discard(n)
        elif act == "next":
            found = [each.id for each, _, _ in turns.next(float(now))]
            assert len(found) == len(set(found))
            assert waiting >= set(found)
            waiting -= set(found)
        assert not waiting or turns.since_at <= now
    while waiting:
        waiting -= {each.id for each, _, _ in turns.next(1000.0)}


# In the server


def hears(server: TftpServer, at: float, data: bytes, port: int, n: int, size: int) -> list[str]:
    out = server.receive([Datagram(data, pack_peer(GREEDY, n), SERVER, port, 2)], at)
    given = [server.provide(want.id, content(bytes(size), "f"), at) for want in out.wants]
    return [line for each in (out, *given) for line in says(each) if not line.startswith("want")]


def test_a_late_one_is_answered_by_the_next_tick() -> None:
    """Beside others its acknowledgment waits for that, and nothing is sent again meanwhile. One that is not new starts the clock."""
    server, size = TftpServer(TftpSettings(tid_ports=PORTS)), 3 * BLKSIZE - 1
    port = PORTS[1]
    for n in range(MANY + 1):
        hears(server, 0.0, serialize(Request(OpCode.RRQ, "f")), 69, n, size)
        hears(server, 0.0, serialize(Ack(1)), port, n, size)
    assert [f"{port}>0 DATA 3-3"] == hears(server, 0.01, serialize(Ack(2)), port, 0, size)
    assert [] == hears(server, 0.01, serialize(Ack(2)), port, MANY, size)
    assert 0.01 == server.deadline()
    assert [f"{port}>{MANY} DATA 3-3"] == says(server.tick(0.01))
    assert 0.05 == server.deadline()
    assert [] == hears(server, 0.02, serialize(Ack(2)), port, MANY, size)
    assert [] == says(server.tick(0.02))
    assert f"{port}>{MANY} DATA 3-3" in says(server.tick(0.08))
    assert ["delivered f", "tftp.done"] == hears(server, 0.09, serialize(Ack(3)), port, MANY, size)


def test_a_late_one_alone_is_answered_at_once() -> None:
    """Large windows need not wait for anybody when nobody is there."""
    server, size = TftpServer(TftpSettings(tid_ports=PORTS, max_windowsize=64)), 200 * 1024
    request = Request(OpCode.RRQ, "f", "octet", (("blksize", "1024"), ("windowsize", str(LARGE_BYTES // 1024 + 1))))
    hears(server, 0.0, serialize(request), 69, 1, size)
    hears(server, 0.0, serialize(Ack(0)), PORTS[1], 1, size)
    assert [f"{PORTS[1]}>1 DATA 34-66"] == hears(server, 1.0, serialize(Ack(33)), PORTS[1], 1, size)
