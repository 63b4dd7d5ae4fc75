"""One client alone that answers at once: to look for its answer again and again is quicker than to sleep until it is there.

A core that sleeps between two packets wakes with cold caches and predictors, and then needs several times as long for the same work.
So where one client's packets follow ours within less than such a sleep takes, the next one is looked for without sleeping, for a while.
That is so on the loopback, between virtual machines and on fast networks; most firmware is slower, and never causes it.

Knows who was heard and when. Must not know what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pxenet.net.datagram import Datagram, Quads

NEAR_S = 150e-6
"""From one packet to the next, with all that we do in between."""

TRIES = 100
"""So often it is looked for the next packet: for about NEAR_S."""

TURNS = 16
"""So many packets are answered in a row before others have their turn: for one or two milliseconds."""

PAUSE = 256
"""Packets that are waited for as usual after one that was looked for in vain."""


class Rally:
    """What one socket hears, as far as it is one client that answers at once."""

    __slots__ = ("_at", "_in_row", "_pause", "_peer")

    def __init__(self) -> None:
        self._peer = b""
        self._at = 0.0
        self._in_row = 0
        """Packets of this client, each soon after the one before."""
        self._pause = 0

    def heard(self, batch: Sequence[Datagram], now: float) -> bool:
        """A batch came. Whether to stay with this client for now, instead of letting others have their turn."""
        if len(batch) != 1:
            self._in_row = 0
            return False
        peer = batch.peers[0] if isinstance(batch, Quads) else batch[0].peer
        if peer == self._peer and now - self._at < NEAR_S:
            self._in_row += 1
        else:
            self._peer, self._in_row = peer, 0
        self._at = now
        if self._pause:
            self._pause -= 1
            return False
        return self._in_row % TURNS != 0

    def next(self, receive: Callable[[], Sequence[Datagram]]) -> Sequence[Datagram]:
        """The next batch, looked for a while if it is to be expected at once; else nothing."""
        if self._in_row < 2 or self._pause:
            return ()
        for _ in range(TRIES):
            if batch := receive():
                return batch
        self._pause = PAUSE
        return ()
