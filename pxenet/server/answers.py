"""What the running server answers to commands: its state, machines, leases, events, and orders for machines.

Knows the rack, the log and the counters of all engines. Must not know sockets (``control``).
"""

from __future__ import annotations

import json
import math
import os
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import trio

from pxenet import __version__
from pxenet.capture.made import Frame
from pxenet.config import Problem
from pxenet.model import Host, Verdict
from pxenet.net.datagram import Interface
from pxenet.rack import Rack
from pxenet.rack.census import Census, Row
from pxenet.rack.orders import ORDERS, carry_out, outcome
from pxenet.server.commit import Committer
from pxenet.server.control import RefusedError, Reply
from pxenet.server.events import EventLog, Told, record
from pxenet.server.recording import Recorder
from pxenet.server.reload import Reloading
from pxenet.store.base import Store
from pxenet.wire.text import address_text

if TYPE_CHECKING:
    from pxenet.config.inventory import Changed

FOLLOWED = 1000
"""Events that wait for a follower who is slower than they come; more are counted, and told as a number."""

_FRAMES = 50
"""Frames in one row: other tasks have their turn after a few rows."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What answers are made of. ``counters`` gives records of statistics by the name of their part, as of the last ``recount``."""

    interfaces: tuple[Interface, ...]
    rack: Rack
    store: Store
    committer: Committer
    log: EventLog
    recorder: Recorder
    reloading: Reloading
    counters: Callable[[], Mapping[str, object]]
    started_at: float
    recount: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint


class Answers:
    """Answers requests ``{"ask": ...}``; see ``control.Answer``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._census = Census(desk.rack, desk.rack.dhcp.leases)
        self._asks: Mapping[str, Callable[[Mapping[str, object], Reply], Awaitable[None]]] = {
            "status": self._status,
            "hosts": self._hosts,
            "host": self._host,
            "discovered": self._discovered,
            "leases": self._leases,
            "events": self._events,
            **{order: partial(self._order, order) for order in ORDERS},
            "capture": self._capture,
            "reload": self._reload,
            "change_hosts": self._change_hosts,
            "added_hosts": self._added_hosts,
        }

    async def __call__(self, request: Mapping[str, object], reply: Reply) -> None:
        """Answer one request. RefusedError when that cannot be done."""
        ask = self._asks.get(str(request.get("ask")))
        if ask is None:
            raise RefusedError(f"this server has no answer to {request.get('ask')!r}", f"ask {', '.join(self._asks)}")
        await ask(request, reply)

    async def _status(self, request: Mapping[str, object], reply: Reply) -> None:
        await self._desk.recount()
        await reply.rows([self.status()])

    def status(self) -> Row:
        """How the server is."""
        desk = self._desk
        states = Counter(record.state.value for record in desk.rack.installs.records())
        return {
            "version": __version__,
            "process": os.getpid(),
            "started_at": desk.started_at,
            "uptime_s": round(desk.rack.clock() - desk.started_at, 1),
            "config": desk.rack.settings.source.file or None,
            "state": str(desk.rack.settings.server.state),
            "interfaces": {
                each.name: [f"{address_text(address)}/{prefix}" for address, prefix in each.addresses]
                for each in desk.interfaces
            },
            "url": desk.rack.url(0),
            "machines": {"configured": len(desk.rack.settings.hosts), "seen": len(desk.rack.hosts.seen())} | states,
            "failed": self._census.failed(),
            "store": {"failure": getattr(desk.store, "last_failure", "") or None},
        } | {name: _plain(counted) for name, counted in desk.counters().items()}

    async def _hosts(self, request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows(self._census.hosts())

    async def _host(self, request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows([self._census.host(self._find(str(request.get("host"))))])

    async def _discovered(self, request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows(self._census.discovered())

    async def _leases(self, request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows(self._census.leases())

    async def _events(self, request: Mapping[str, object], reply: Reply) -> None:
        word = request.get("host")
        mac = self._mac(word) if isinstance(word, str) else None
        last = request.get("last")
        log = self._desk.log
        with _Following(log, mac) as following:
            told = log.recent() if mac is None else log.of(mac)
            start = max(0, len(told) - last) if isinstance(last, int) else 0
            await reply.rows(record(each) for each in told[start:])
            if request.get("follow") is True:
                await following.feed_until_gone(reply)

    async def _capture(self, request: Mapping[str, object], reply: Reply) -> None:
        """Frames as they come, ``{"frames": [[at_ns, length, base64], ...]}``, until the client leaves or ``seconds`` are over.

        ``machines``: with the name of the machine that each belongs to, ``{"frames": […], "machines": [name, …]}``.
        """
        word = request.get("host")
        mac = self._mac(word) if isinstance(word, str) else None
        seconds = request.get("seconds")
        end_s = float(seconds) if isinstance(seconds, int | float) else math.inf
        secrets = request.get("secrets") is True
        hosts = self._desk.rack.hosts
        name = (lambda mac: hosts.of_mac(mac).name) if request.get("machines") is True else None
        with self._desk.recorder.follow(mac, secrets=secrets) as follower, trio.move_on_after(end_s):

            async def feed() -> None:
                await self._desk.recount()  # workers take what they are told in order: now all of them listen
                await reply.rows([{"frames": []}])  # it has begun
                while True:
                    frames, missed = await follower.next()
                    await reply.rows(_frame_rows(frames, name))
                    if missed:
                        await reply.rows([{"missed": missed}])

            await _until_gone(reply, feed)

    async def _order(self, order: str, request: Mapping[str, object], reply: Reply) -> None:
        rack = self._desk.rack
        host = self._find(str(request.get("host")))
        before = rack.installs.record(host.key)
        changes, events = carry_out(rack.installs, order, host.key, rack.clock())
        for event in events:
            rack.say(event)
        # A person who leaves does not take the order back.
        with trio.CancelScope(shield=True):
            verdict = await self._desk.committer.commit(changes) if changes else Verdict.DURABLE
        rack.committed(changes, verdict)
        if verdict is not Verdict.DURABLE:
            why = getattr(self._desk.store, "last_failure", "")
            raise RefusedError(
                f"{host.name} {self._census.next_boot(host)} as long as this server runs, but that could not be written"
                f"{f' ({why})' if why else ''}",
                "free disk space in the state directory, or repair it; the server tries again by itself",
            )
        await reply.rows([outcome(rack, self._census, host, before)])

    async def _reload(self, request: Mapping[str, object], reply: Reply) -> None:
        """Take the configuration as it is now. ``config``: the file that is meant, which must be the server's own."""
        running = self._desk.rack.settings.source.file
        meant = request.get("config")
        if isinstance(meant, str) and meant != os.path.realpath(running):
            raise RefusedError(
                f"this server runs by {running or 'no configuration file'}, not by {meant}",
                "name its own, or stop it and start it by the other one",
            )
        outcome = await self._desk.reloading.reload()
        settings = outcome.settings
        await reply.rows(
            [
                {
                    "reloaded": not outcome.problems,
                    "config": settings.source.file or None,
                    "hosts": len(settings.hosts),
                    "profiles": len(settings.profiles),
                    "notes": [asdict(note) for note in settings.notes],
                    "problems": [asdict(problem) for problem in outcome.problems],
                }
            ]
        )

    async def _change_hosts(self, request: Mapping[str, object], reply: Reply) -> None:
        """Add, change or remove hosts beside those of the file. ``dry_run``: only what would become of it."""
        from pxenet.config.inventory import change_of

        try:
            change = change_of(request)
        except ValueError as error:
            raise RefusedError(str(error)) from error
        found = await self._desk.reloading.change_hosts(change, dry_run=request.get("dry_run") is True)
        await reply.rows([change_row(found)])

    async def _added_hosts(self, request: Mapping[str, object], reply: Reply) -> None:
        await reply.rows(json.loads(host.keys) for host in self._desk.rack.settings.added)

    def _find(self, word: str) -> Host:
        host = self._census.find(word)
        if host is None:
            raise RefusedError(*self._census.stranger(word))
        return host

    def _mac(self, word: str) -> bytes:
        host = self._find(word)
        seen = self._desk.rack.hosts.seen_as(host.key)
        return host.mac or (seen.mac if seen is not None else b"\0")


def change_row(found: Changed | list[Problem]) -> Row:
    """The answer to a change of hosts."""
    if isinstance(found, list):
        return {"hosts": {}, "problems": [asdict(problem) for problem in found], "notes": []}
    return {"hosts": dict(found.fates), "problems": [], "notes": [asdict(note) for note in found.notes]}


class _Following:
    """Collects events for somebody who reads them; forgets the oldest, and counts, when they are too slow."""

    def __init__(self, log: EventLog, mac: bytes | None) -> None:
        self._log = log
        self._mac = mac
        self._waiting: list[Told] = []
        self._missed = 0
        self._arrived = trio.Event()

    def __enter__(self) -> _Following:
        self._log.watchers.add(self._watch)
        return self

    def __exit__(self, *exc: object) -> None:
        self._log.watchers.discard(self._watch)

    def _watch(self, told: Told) -> None:
        if self._mac is None or told.event.mac == self._mac:
            if len(self._waiting) < FOLLOWED:
                self._waiting.append(told)
            else:
                self._missed += 1
            self._arrived.set()

    async def feed_until_gone(self, reply: Reply) -> None:
        """Send what comes, until the client leaves or takes nothing any more."""
        await _until_gone(reply, partial(self._feed, reply))

    async def _feed(self, reply: Reply) -> None:
        while True:
            await self._arrived.wait()
            self._arrived = trio.Event()
            waiting, self._waiting = self._waiting, []
            missed, self._missed = self._missed, 0
            await reply.rows(record(told) for told in waiting)
            if missed:
                await reply.rows([{"missed": missed}])


async def _until_gone(reply: Reply, feed: Callable[[], Awaitable[None]]) -> None:
    """Feed a client until it leaves, or takes nothing any more."""
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await reply.gone()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        try:
            await feed()
        except (trio.BrokenResourceError, trio.TooSlowError):
            nursery.cancel_scope.cancel()


def _frame_rows(frames: Iterator[Frame], name: Callable[[bytes], str] | None) -> Iterator[Row]:
    """A few frames in each row, with the names of their machines if they have any."""
    while some := list(islice(frames, _FRAMES)):
        row: dict[str, object] = {"frames": [[one.at_ns, one.length, b64encode(one.data).decode()] for one in some]}
        if name is not None:
            row["machines"] = [name(one.about) if one.about else "" for one in some]
        yield row


def _plain(counted: object) -> object:
    """A record of statistics as JSON has it."""
    if isinstance(counted, Mapping):
        return {str(key): _plain(value) for key, value in counted.items()}
    if isinstance(counted, float) and not math.isfinite(counted):
        return None
    if hasattr(counted, "__dataclass_fields__"):
        return {field.name: _plain(getattr(counted, field.name)) for field in fields(counted)}  # type: ignore[arg-type]
    return counted
