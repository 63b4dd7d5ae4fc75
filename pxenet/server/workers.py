"""The server's workers: begun, counted together, and begun again when one ends.

The sockets stay open here, so what arrives while a worker is missing waits in the kernel's queues for the next one, which also goes on
with the reads of the one before. What they ask is answered elsewhere (``attendant``).
"""

from __future__ import annotations

import contextlib
import marshal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from pxenet.config import Settings
from pxenet.engine.surface import Progress
from pxenet.engine.tftp.takeover import Orphan
from pxenet.events import Event
from pxenet.rack import Rack
from pxenet.server.attendant import Attendant, Told
from pxenet.server.commit import Committer
from pxenet.server.counted import Counted, added, without_now
from pxenet.server.ports import Share
from pxenet.server.post import Post, pair
from pxenet.server.recording import Recorder
from pxenet.server.spawner import Spawner, how_it_ended
from pxenet.server.tap import Tap

LATE_S = 0.05
"""So late what workers tell may come: it is gathered for a while there, and travels."""

_AGED_S = 10.0
_ORPHANED_S = 60.0
"""Longer than clients repeat themselves to a server that does not answer."""
_LIVED_S = 5.0
"""One that ends sooner has something wrong with it that the next one will meet too: that one waits a while."""
_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 15.0
_ANSWER_S = 1.0
"""How long a worker is waited for that shall tell how it is: it may be stopped, or busy with reading a disk."""
_TOLD_BYTES = 1 << 10
_STATUS_S = 1.0
"""How long it may take until the system tells how a process ended that has closed its end."""


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
    told: Told = field(default_factory=Told)
    """By the one who is here."""
    before: Counted = field(default_factory=dict)
    """What those have counted who were here before."""
    orphans: dict[tuple[int, bytes], tuple[float, Orphan]] = field(default_factory=dict)
    """Their reads, by port and peer, and since when nobody goes on with them."""

    def left(self, now: float) -> None:
        """Who was here has ended."""
        self.before = added(self.before, without_now(self.told.counted))
        recent = {place: each for place, each in self.orphans.items() if now - each[0] < _ORPHANED_S}
        fresh = {(orphan.port, orphan.peer): (now, orphan) for orphan in self.told.reads.values()}
        self.orphans = recent | fresh
        self.told = Told()


class Workers:
    """Runs one worker for each share of the ports. ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        spawner: Spawner,
        shares: Sequence[Share],
        rack: Rack,
        committer: Committer,
        recorder: Recorder,
        tap: Tap,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._line = Line(spawner)
        self._shares = shares
        self._rack = rack
        self._committer = committer
        self._recorder = recorder
        self._tap = tap
        tap.followers.append(self._listen)
        self._clock = clock
        self.seats = [Seat(number) for number in range(len(shares))]
        self._attended: dict[int, Attendant] = {}
        """Of those who work now, by number."""
        self._left = trio.lowlevel.ParkingLot()
        self._draining = False
        self._settings: Settings | None = None
        """None: those that they begin with."""

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
            attendant = self._attended.get(seat.number)
            if attendant is not None:
                attendant.post.write("drain")
            else:
                _refuse_clients(self._shares[seat.number])
        while self._attended:
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
                attendant = Attendant(seat.told, post, self._rack, self._committer, self._recorder, nursery, ready)
                self._attended[seat.number] = attendant
                if self._settings is not None:
                    attendant.tell_settings(self._settings)
                attendant.listen(self._tap.listener is not None, self._tap.full)
                attendant.begin([orphan for _, orphan in seat.orphans.values()])
                nursery.start_soon(post.run)
                await attendant.serve()
                attendant.left()
                nursery.cancel_scope.cancel()
        except NotBegunError as error:
            return str(error)
        finally:
            self._attended.pop(seat.number, None)
            post.close()
            seat.left(self._clock())
            self._left.unpark_all()
        return await self._line.how_it_ended(seat.process)

    async def _age(self) -> None:
        while True:
            await trio.sleep(_AGED_S)
            for attendant in self._attended.values():
                attendant.age()

    def _listen(self) -> None:
        """It was decided anew what is recorded: of that also what workers hear and say."""
        for attendant in self._attended.values():
            attendant.listen(self._tap.listener is not None, self._tap.full)

    def reconfigure(self, settings: Settings) -> None:
        """Other settings hold, for those who work and for those who will."""
        self._settings = settings
        for attendant in self._attended.values():
            attendant.tell_settings(settings)

    # -- all of them together ------------------------------------------------------------------------------------------------

    async def recount(self) -> None:
        """Have every worker tell what it has counted until now; those that do not answer soon stay as they were."""
        with trio.move_on_after(_ANSWER_S):
            async with trio.open_nursery() as nursery:
                for attendant in list(self._attended.values()):
                    nursery.start_soon(attendant.recount)

    def progress(self, limit: int) -> list[Progress]:
        """How far what is under way has come, of ``limit`` transfers of each worker by each protocol: as it was when last asked."""
        return [each for attendant in self._attended.values() for each in attendant.progress()]

    def rows(self) -> list[dict[str, object]]:
        """Each seat: who is in it, since when, how many were lost, and what was counted there."""
        return [
            {
                "worker": seat.number + 1,
                "process": seat.process or None,
                "began_at": round(seat.began_at, 3),
                "ended": seat.ended,
                **added(seat.before, seat.told.counted),
            }
            for seat in self.seats
        ]

    def statistics(self) -> Counted:
        """What all have counted, those included who have ended; as it was told last."""
        total: Counted = {}
        for seat in self.seats:
            total = added(added(total, seat.before), seat.told.counted)
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


def _refuse_clients(share: Share) -> None:
    """Of a worker that is missing while the server stops: HTTP clients are refused, as the others do it."""
    for listener in (*share.http, *share.https):
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
