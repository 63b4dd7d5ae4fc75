"""The server's side of its workers: begun, answered, counted together, and begun again when one ends.

Knows what a worker may ask and tell (``worker`` and ``way`` are the other side). The sockets stay open here, so what arrives while a
worker is missing waits in the kernel's queues for the next one.
"""

from __future__ import annotations

import contextlib
import marshal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from pxenet.engine.http import Request
from pxenet.engine.surface import Progress, Want
from pxenet.events import Event
from pxenet.model import Absent, Arriving, Content, Later, Missing, Role
from pxenet.rack import Rack
from pxenet.server.commit import Committer
from pxenet.server.lending import Answer, Lender
from pxenet.server.ports import Share
from pxenet.server.post import EndedError, Post, pair
from pxenet.server.site import RackSite
from pxenet.server.spawner import Spawner, how_it_ended

_AGED_S = 10.0
_LIVED_S = 5.0
"""One that ends sooner has something wrong with it that the next one will meet too: that one waits a while."""
_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 15.0
_ANSWER_S = 1.0
"""How long a worker is waited for that shall tell how it is: it may be stopped, or busy with reading a disk."""
_TOLD_BYTES = 1 << 10
_LOOK = -1
"""The number of a count that nobody waits for."""
_STATUS_S = 1.0
"""How long it may take until the system tells how a process ended that has closed its end."""

Counted = Mapping[str, Any]


class NotBegunError(Exception):
    """The system refuses to make a process."""


class CannotServeError(Exception):
    """No worker could begin."""


@dataclass(slots=True, eq=False)
class Seat:
    """The place of one worker, whoever is in it."""

    number: int
    process: int = 0
    """0: nobody is here."""
    began_at: float = 0.0
    ended: int = 0
    """How many have ended here that nobody had asked to."""
    counted: Counted = field(default_factory=dict)
    """By the one who is here."""
    before: Counted = field(default_factory=dict)
    """By those who were here before."""


class Workers:
    """Runs one worker for each share of the ports. ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        spawner: Spawner,
        shares: Sequence[Share],
        rack: Rack,
        committer: Committer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._line = Line(spawner)
        self._shares = shares
        self._rack = rack
        self._committer = committer
        self._clock = clock
        self.seats = [Seat(number) for number in range(len(shares))]
        self._desks: dict[int, Desk] = {}
        """Of those who work now, by number."""
        self._left = trio.lowlevel.ParkingLot()
        self._draining = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Started when all workers serve; CannotServeError when one ends before that."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._line.run)
            nursery.start_soon(self._age)
            async with trio.open_nursery() as starting:
                for seat in self.seats:
                    starting.start_soon(nursery.start, self._keep, seat)
            task_status.started()

    async def drain(self) -> None:
        """Let all finish what is under way; returns when they have ended."""
        self._draining = True
        for seat in self.seats:
            desk = self._desks.get(seat.number)
            if desk is not None:
                desk.post.write("drain")
            else:
                _refuse_clients(self._shares[seat.number])
        while self._desks:
            await self._left.park()

    async def _keep(self, seat: Seat, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Have somebody work in this seat, one after the other."""
        serves, pause_s = False, 0.0

        def ready() -> None:
            nonlocal serves
            if not serves:
                task_status.started()
            serves = True

        while not self._draining:
            how = await self._sit(seat, ready)
            if self._draining:
                return
            if not serves:
                raise CannotServeError(f"worker {seat.number + 1} ended before it could serve ({how})")
            seat.ended += 1
            lived_s = self._clock() - seat.began_at
            pause_s = 0.0 if lived_s >= _LIVED_S else min(max(2 * pause_s, _PAUSE_S), _LONGEST_PAUSE_S)
            detail = {"worker": seat.number + 1, "process": seat.process, "how": how, "pause_s": pause_s}
            self._rack.tell(Event("worker.ended", detail=detail))
            seat.process = 0
            await trio.sleep(pause_s)

    async def _sit(self, seat: Seat, ready: Callable[[], None]) -> str:
        """Have one worker begin and serve; how it ended."""
        ours, theirs = pair()
        post = Post(ours)
        seat.began_at = self._clock()
        try:
            with theirs:
                seat.process = await self._line.begun(seat.number, theirs)
            async with trio.open_nursery() as nursery:
                desk = self._desks[seat.number] = Desk(seat, post, self._rack, self._committer, nursery, ready)
                nursery.start_soon(post.run)
                await desk.serve()
                nursery.cancel_scope.cancel()
        except NotBegunError as error:
            return str(error)
        finally:
            self._desks.pop(seat.number, None)
            post.close()
            seat.before, seat.counted = added(seat.before, without_now(seat.counted)), {}
            self._left.unpark_all()
        return await self._line.how_it_ended(seat.process)

    async def _age(self) -> None:
        while True:
            await trio.sleep(_AGED_S)
            for desk in self._desks.values():
                desk.age()

    # -- all of them together ------------------------------------------------------------------------------------------------

    async def recount(self) -> None:
        """Have every worker tell what it has counted until now; those that do not answer soon stay as they were."""
        with trio.move_on_after(_ANSWER_S):
            async with trio.open_nursery() as nursery:
                for desk in list(self._desks.values()):
                    nursery.start_soon(desk.recount)

    def progress(self, limit: int) -> list[Progress]:
        """How far what is under way has come, of ``limit`` transfers of each worker by each protocol: as it was when last asked."""
        return [each for desk in self._desks.values() for each in desk.progress()]

    def rows(self) -> list[dict[str, object]]:
        """Each seat: who is in it, since when, how many were lost, and what was counted there."""
        return [
            {
                "worker": seat.number + 1,
                "process": seat.process or None,
                "began_at": round(seat.began_at, 3),
                "ended": seat.ended,
                **added(seat.before, seat.counted),
            }
            for seat in self.seats
        ]

    def statistics(self) -> Counted:
        """What all have counted, those included who have ended; as it was told last."""
        total: Counted = {}
        for seat in self.seats:
            total = added(added(total, seat.before), seat.counted)
        return total


class Line:
    """The line to the spawner."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._begun: dict[int, int] = {}
        """Number → process, of those who were not asked for yet."""
        self._refused: dict[int, str] = {}
        """Number → why there is no process."""
        self._ended: dict[int, int] = {}
        """Process → status."""
        self._news = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        """Hear which processes have begun and ended, until cancelled. CannotServeError when the spawner is gone."""
        end = self._spawner.end
        while True:
            try:
                packet = end.recv(_TOLD_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(end)
                continue
            except ConnectionResetError:
                packet = b""
            if not packet:
                raise CannotServeError("the process that makes workers is gone, so none that ends can be replaced")
            match marshal.loads(packet):
                case "begun", int(number), int(process):
                    self._begun[number] = process
                case "ended", int(process), int(status):
                    self._ended[process] = status
                case "refused", int(number), str(why):
                    self._refused[number] = why
            self._news.unpark_all()

    async def begun(self, number: int, beside: socket.socket) -> int:
        """Have a worker begin; its process. NotBegunError when the system has none for us."""
        self._spawner.order(number, beside)
        while number not in self._begun:
            if number in self._refused:
                raise NotBegunError(self._refused.pop(number))
            await self._news.park()
        return self._begun.pop(number)

    async def how_it_ended(self, process: int) -> str:
        """In words."""
        with trio.move_on_after(_STATUS_S):
            while process not in self._ended:
                await self._news.park()
        status = self._ended.pop(process, None)
        return how_it_ended(status) if status is not None else "it does not answer any more"


class Desk:
    """Where one worker is answered, as long as it lives."""

    def __init__(
        self,
        seat: Seat,
        post: Post,
        rack: Rack,
        committer: Committer,
        nursery: trio.Nursery,
        ready: Callable[[], None],
    ) -> None:
        self._seat = seat
        self.post = post
        self._rack = rack
        self._committer = committer
        self._site = RackSite(rack, committer)
        self._nursery = nursery
        self._ready = ready
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
        }

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

    def _counted(self, asked: int, counted: Counted, under_way: list[tuple[Any, ...]]) -> None:
        self._seat.counted = counted
        if asked == _LOOK:
            self._under_way, self._looking = [Progress(*each) for each in under_way], False
        elif asked in self._recounts:
            self._recounts[asked].set()


_NOW = frozenset({"reading", "writing", "open", "waiting"})
"""What is counted of a moment: it ends with the process."""


def without_now(counted: Counted) -> Counted:
    """What is left of somebody's counts when its process has ended."""
    return {
        name: without_now(part) if isinstance(part, Mapping) else 0 if name in _NOW else part
        for name, part in counted.items()
    }


def added(one: Counted, other: Counted) -> Counted:
    """Counts of two, part by part."""
    total = dict(one)
    for name, part in other.items():
        before = total.get(name)
        if isinstance(part, Mapping):
            total[name] = added(before or {}, part)
        else:
            total[name] = (before or 0) + part
    return total


def _refuse_clients(share: Share) -> None:
    """Of a worker that is missing while the server stops: HTTP clients are refused, as the others do it."""
    for listener in (*share.http, *share.https):
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
