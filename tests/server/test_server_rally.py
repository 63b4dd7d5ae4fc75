"""One client alone that answers at once: when it is looked for its next packet without sleeping, and when not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pxenet.net.datagram import Datagram, pack_peer
from pxenet.server.rally import NEAR_S, PAUSE, TRIES, TURNS, Rally

SOON_S = NEAR_S / 2


def ack(client: int = 1) -> list[Datagram]:
    return [Datagram(b"\0\4\0\1", pack_peer(client, 2070), 1, 69, 2)]


class Quiet:
    """A socket on which something comes at the n-th look."""

    def __init__(self, comes_at: int) -> None:
        self.comes_at = comes_at
        self.looks = 0

    def receive(self) -> Sequence[Datagram]:
        self.looks += 1
        return ack() if self.looks == self.comes_at else []


def played(count: int, every_s: float = SOON_S) -> Rally:
    rally = Rally()
    for index in range(count):
        rally.heard(ack(), index * every_s)
    return rally


def test_a_client_that_answers_at_once_is_looked_for() -> None:
    udp = Quiet(comes_at=TRIES)
    assert ack() == played(3).next(udp.receive)
    assert TRIES == udp.looks


@pytest.mark.parametrize(
    "rally",
    [played(0), played(1), played(2), played(9, NEAR_S * 1.01)],
    ids=("nobody was heard", "a first packet", "a second packet", "a client that takes its time"),
)
def test_else_the_server_sleeps(rally: Rally) -> None:
    udp = Quiet(comes_at=1)
    assert () == rally.next(udp.receive)
    assert 0 == udp.looks


def test_where_two_speak_nobody_is_looked_for() -> None:
    """Neither when their packets come together, nor in turn."""
    udp = Quiet(comes_at=1)
    together, in_turn = played(9), played(9)
    together.heard(ack(1) + ack(2), 9 * SOON_S)
    in_turn.heard(ack(2), 9 * SOON_S)
    assert ((), ()) == (together.next(udp.receive), in_turn.next(udp.receive))
    assert 0 == udp.looks


def test_after_looking_in_vain_the_server_sleeps_for_a_while() -> None:
    """So a client whose answers take longer costs nothing."""
    rally, udp = played(9), Quiet(comes_at=0)
    assert () == rally.next(udp.receive)
    assert TRIES == udp.looks
    for index in range(PAUSE):
        assert () == rally.next(udp.receive)
        assert not rally.heard(ack(), (9 + index) * SOON_S)
    assert TRIES == udp.looks
    assert () == rally.next(udp.receive)
    assert 2 * TRIES == udp.looks


def test_others_have_their_turn_again_and_again() -> None:
    """However fast the client is: once in so many packets the server does all else."""
    rally = Rally()
    stays = [rally.heard(ack(), index * SOON_S) for index in range(4 * TURNS)]
    assert [index % TURNS != 0 for index in range(4 * TURNS)] == stays
