"""The server's word to one worker: what it asks is answered, and what it tells is judged, out of the rack.

Knows what a worker may ask and tell (``way`` and ``worker`` are the other side). Must not know processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import partial
from typing import Any

import trio

from pxenet.config import Settings
from pxenet.engine.http import Request
from pxenet.engine.surface import Progress, Want
from pxenet.engine.tftp.takeover import Orphan
from pxenet.events import Event
from pxenet.model import Absent, Arriving, Content, Later, Missing, Role
from pxenet.rack import Rack
from pxenet.server.commit import Committer
from pxenet.server.counted import Counted
from pxenet.server.lending import Answer, Lender
from pxenet.server.overheard import CONNECTION, Entry, Row, unpacked
from pxenet.server.post import EndedError, Post
from pxenet.server.recording import Recorder
from pxenet.server.site import RackSite
from pxenet.server.tap import TcpEnds
from pxenet.server.worker import told_settings

_LOOK = -1
"""The number of a count that nobody waits for."""

_ORPHANS = 100
"""In one letter."""


@dataclass(slots=True)
class Told:
    """What a worker has told, that outlives it."""

    counted: Counted = field(default_factory=dict)
    reads: dict[int, Orphan] = field(default_factory=dict)
    """Of TFTP, under way, by their want."""


class Attendant:
    """Answers one worker, as long as it lives."""

    def __init__(
        self,
        told: Told,
        post: Post,
        rack: Rack,
        committer: Committer,
        recorder: Recorder,
        nursery: trio.Nursery,
        ready: Callable[[], None],
    ) -> None:
        self._told = told
        self.post = post
        self._rack = rack
        self._committer = committer
        self._site = RackSite(rack, committer)
        self._recorder = recorder
        self._connections: dict[int, TcpEnds] = {}
        """Of which the worker has told, by its numbers."""
        self._nursery = nursery
        self._lender = Lender(self._arrived)
        self._asked = 0
        self._recounts: dict[int, trio.Event] = {}
        self._under_way: list[Progress] = []
        self._looking = False
        self._kinds: Mapping[str, Callable[..., None]] = {
            "ready": ready,
            "want": self._want,
            "ask": self._ask,
            "read": self._read,
            "event": self._event,
            "lacks": self._lender.lacks,
            "counted": self._counted,
            "begun": self._begun,
            "overheard": self._overheard,
            "missed": recorder.missed,
            "deaf": self._connections.clear,
            "over": self._over,
        }

    def begin(self, orphans: Sequence[Orphan]) -> None:
        """Have it serve, and go on with these reads of those who were here before."""
        for first in range(0, len(orphans), _ORPHANS):
            self.post.write("orphans", [astuple(orphan) for orphan in orphans[first : first + _ORPHANS]])
        self.post.write("begin")

    async def serve(self) -> None:
        """Take what the worker writes, until it has ended."""
        while True:
            try:
                letters, _ = await self.post.read()
            except EndedError:
                return
            for kind, *rest in letters:
                self._kinds[str(kind)](*rest)
            await trio.lowlevel.checkpoint()

    def age(self) -> None:
        """To be called now and then: files that were not asked for are closed there too."""
        back = self._lender.age()
        if back:
            self.post.write("back", back)

    def listen(self, wanted: bool, full: bool) -> None:
        """Have it tell what it hears and says: what is kept of the last minutes, or (``full``) everything."""
        self.post.write("listen", wanted, full)

    def tell_settings(self, settings: Settings) -> None:
        """From now on these hold."""
        self.post.write("settings", self._rack.era, told_settings(settings))

    async def recount(self) -> None:
        """Have it tell what it has counted until now."""
        self._asked += 1
        number = self._asked
        there = self._recounts[number] = trio.Event()
        self.post.write("count", number)
        try:
            await there.wait()
        finally:
            del self._recounts[number]

    def progress(self) -> list[Progress]:
        """What it had under way when this was asked last; it is asked anew by that."""
        if not self._looking:
            self._looking = True
            self.post.write("count", _LOOK)
        return self._under_way

    # -- what it asks and tells ----------------------------------------------------------------------------------------------

    def _want(self, number: int, path: str, peer: bytes, netascii: bool, local: int) -> None:
        found = self._rack.find(Want(number, path, peer, netascii, local))
        if isinstance(found, Later):
            found.then(partial(self._answer_later, number))
        else:
            self._answer(number, found)

    def _answer_later(self, number: int, answer: Content | Absent | None) -> None:
        self._answer(number, answer or Absent(Missing.UNAVAILABLE, "it is not here yet"))

    def _ask(self, number: int, *asked: Any) -> None:
        *request, peer = asked
        self._nursery.start_soon(self._answer_request, number, Request(*request), peer)

    async def _answer_request(self, number: int, request: Request, peer: bytes) -> None:
        self._answer(number, await self._site.answer(request, peer))

    def _answer(self, number: int, answer: Answer) -> None:
        description, numbers, files = self._lender.describe(answer)
        self.post.write("answer", number, description, numbers, files=files)
        self._lender.follow()
        if self._lender.full:
            self.age()

    def _arrived(self, number: int, arriving: Arriving) -> None:
        self.post.write("arrived", number, arriving.available, arriving.over, arriving.fault)

    def _read(self, name: str, role: str, profile: str, address: int, whole: bool) -> None:
        read = Content(name, (), 0, 0, "", role=Role(role), profile=profile)
        changes = self._rack.delivered(read, address, whole=whole)
        if changes:
            self._committer.submit(changes, partial(self._rack.committed, changes))

    def _event(self, kind: str, mac: bytes, address: int, detail: Mapping[str, object]) -> None:
        self._rack.say(Event(kind, mac, address, detail))

    def _overheard(self, rows: list[Row]) -> None:
        entries: list[tuple[bool, Entry]] = []
        for row in rows:
            number = row[CONNECTION]
            kept, entry = unpacked(row, self._connection(row) if number else None)
            entries.append((kept, entry))
            if number and entry.said and not entry.size:
                del self._connections[number]
        self._recorder.overheard(entries)

    def _connection(self, row: Row) -> TcpEnds:
        ends = self._connections.get(row[CONNECTION])
        if ends is None:
            _, _, peer, local, port, *_ = row
            ends = self._connections[row[CONNECTION]] = TcpEnds(peer, local, port)
        return ends

    def left(self) -> None:
        """It has ended: so have its connections."""
        for ends in self._connections.values():
            self._recorder.closed(ends)

    def _begun(self, want: int, *read: Any) -> None:
        self._told.reads[want] = Orphan(*read)

    def _over(self, wants: list[int]) -> None:
        for want in wants:
            self._told.reads.pop(want, None)

    def _counted(self, asked: int, counted: Counted, under_way: list[tuple[Any, ...]]) -> None:
        self._told.counted = counted
        if asked == _LOOK:
            self._under_way, self._looking = [Progress(*each) for each in under_way], False
        elif asked in self._recounts:
            self._recounts[asked].set()
