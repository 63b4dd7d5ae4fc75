"""The ear of a worker: what its tap hears goes to the server, which records it.

Knows what is worth telling: all of it while somebody follows, else what the ring of the last minutes takes. Must not know frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pxenet.engine.surface import Blocks
from pxenet.net.datagram import Datagram, Send
from pxenet.server.overheard import (
    HEAD_BYTES,
    SIZE,
    Entry,
    Row,
    beginning,
    cost,
    heard,
    of_connection,
    packed,
    said,
    segments,
    spelled,
    worth_keeping,
    worth_saying,
)
from pxenet.server.post import Post
from pxenet.server.tap import Tap, TcpEnds


class Ear:
    """See ``tap.Listener``. ``clock_ns``: nanoseconds since the epoch."""

    def __init__(self, post: Post, tap: Tap, clock_ns: Callable[[], int]) -> None:
        self._post = post
        self._tap = tap
        self._clock_ns = clock_ns
        self._connections: dict[TcpEnds, int] = {}
        self._last = 0
        self._missed = 0
        """What could not be told since something was told last."""
        self._rows: list[object] | None = None
        self._runs: dict[int, Row] = {}
        """By connection: the row in ``rows`` of bytes of a file that left, as long as nothing else was said or heard on it."""

    def listen(self, wanted: bool, full: bool) -> None:
        """What the server wants to hear from now on."""
        self._tap.listen(self if wanted else None, full=full)
        if not wanted:
            self._connections.clear()  # nobody tells of their end
            self._runs.clear()
            self._post.write("deaf")

    def received(self, batch: Sequence[Datagram]) -> None:
        """See ``tap.Listener``."""
        now = self._clock_ns()
        kept = worth_keeping(batch)
        if self._tap.full:
            ring = set(map(id, kept))
            for one in batch:
                self._tell(heard(one, now), kept=id(one) in ring)
        else:
            for one in kept:
                self._tell(heard(one, now))

    def sent(self, sends: Sequence[Send | Blocks]) -> None:
        """See ``tap.Listener``."""
        now = self._clock_ns()
        kept = worth_saying(sends)
        ring = set(map(id, kept))
        for one in sends if self._tap.full else kept:
            for entry in said(one, now):
                for each in [entry] if entry.text is None else spelled(entry, entry.text):
                    self._tell(each, kept=id(one) in ring)

    def heard(self, ends: TcpEnds, data: bytes) -> None:
        """See ``tap.Listener``."""
        self._of_connection(ends, data, len(data), said=False)

    def said(self, ends: TcpEnds, data: bytes, size: int) -> None:
        """See ``tap.Listener``."""
        self._of_connection(ends, data, size, said=True)

    def closed(self, ends: TcpEnds) -> None:
        """See ``tap.Listener``."""
        self._of_connection(ends, b"", 0, said=True)
        self._connections.pop(ends, None)

    def _of_connection(self, ends: TcpEnds, data: bytes, size: int, *, said: bool) -> None:
        number = self._connections.get(ends)
        if number is None:
            self._last += 1
            number = self._connections[ends] = self._last
        run = self._runs.pop(number, None)
        file = said and size and not data and not self._tap.full
        if run is not None and file and self._rows is not None and not self._post.has_left(self._rows):
            run[SIZE] += size  # a large file leaves in thousands of pieces
            self._runs[number] = run
            return
        entry = of_connection(ends, data, size, self._clock_ns(), said=said)
        row = None
        for each in segments(entry) if self._tap.full else [beginning(entry, HEAD_BYTES)]:
            row = self._tell(each, number)
        if row is not None and file:
            self._runs[number] = row

    def _tell(self, entry: Entry, connection: int = 0, *, kept: bool = True) -> Row | None:
        rows = self._post.gathering("overheard", cost(entry))
        if rows is not self._rows:
            self._rows = rows
            self._runs.clear()
        if rows is None:
            self._missed += 1
            return None
        if self._missed:
            self._post.mention("missed", self._missed)
            self._missed = 0
        row = packed(entry, connection, kept=kept)
        rows.append(row)
        return row
