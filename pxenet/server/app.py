"""The server as a whole: ports, store, rack and shells brought up in order, and taken down without losing anything.

Order matters. What can be known beforehand is checked before anything is touched; ports are bound first (they need privileges),
then privileges are dropped, then the store is opened as the user who will write it, and only when everything runs does the service
manager hear READY.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from pxenet.config import ConfigError, Settings
from pxenet.config.certificate import tls_context
from pxenet.engine.surface import Progress
from pxenet.net.datagram import Interface
from pxenet.net.interfaces import interfaces as system_interfaces
from pxenet.net.interfaces import neighbour_on, neighbours
from pxenet.net.udp import counted as udp_counted
from pxenet.rack import Rack
from pxenet.server.answers import Answers
from pxenet.server.answers import Desk as AnswerDesk
from pxenet.server.commit import Committer
from pxenet.server.control import SOCKET, Control, listening
from pxenet.server.datagrams import Shell
from pxenet.server.events import EventLog, Stream, lost_line
from pxenet.server.failures import Failures
from pxenet.server.fetching import Fetching
from pxenet.server.http import Tls
from pxenet.server.indexing import Indexing
from pxenet.server.lines import Lines
from pxenet.server.notify import notify
from pxenet.server.ports import Ports, bind
from pxenet.server.privileges import UserError, drop, find_user, hand_over
from pxenet.server.reach import unreachable
from pxenet.server.recording import Recorder
from pxenet.server.reload import Reloading, Reread, reload_on_hangup, stored_hosts, tried
from pxenet.server.rendering import Rendering
from pxenet.server.service import Service
from pxenet.server.site import RackSite
from pxenet.server.spawner import Spawner, spawner
from pxenet.server.summary import summary
from pxenet.server.tap import Tap
from pxenet.server.worker import WATCHED, work
from pxenet.server.workers import LATE_S, Workers
from pxenet.store.base import Store, StoreError
from pxenet.store.sqlite import open_sqlite

_LAST_WORDS_S = 2.0
"""How long a slow reader of our lines is waited for at the end."""

_RING_BYTES = 8 << 20
"""What is remembered of the last minutes, for the case that a boot fails."""

GRACE_S = 5.0
"""How long transfers under way may go on after the server was asked to stop."""

_QUIET = frozenset({"dhcp.discover", "tftp.start"})
"""Kinds that are kept and put into JSON but not shown to people: the line that follows says the same."""

_HOUSEKEEPING_S = 10.0
"""Time-outs of installs are hours; and nobody waits for the count of what was not shown."""


@dataclass(frozen=True, slots=True)
class View:
    """What a screen may look at. ``under_way``: how far transfers have come; not to be asked more than a few times a second."""

    rack: Rack
    log: EventLog
    under_way: Callable[[], list[Progress]]


class Screen(Protocol):
    """Draws the server while it runs; somebody above knows terminals."""

    async def run(self, view: View) -> None:
        """Draw until cancelled."""
        ...


def run(
    settings: Settings,
    *,
    as_json: bool = False,
    stream: Stream | None = None,
    screen: Screen | None = None,
    reread: Reread | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError when the server cannot start as configured.

    ``reread`` gives the configuration anew, for SIGHUP and ``pxenet reload``; None: there is no file to read.
    ``stream`` takes the lines, and must not wait for its reader; None: standard output, by a thread. ``screen`` draws the live picture.
    """
    with ExitStack() as closing:
        prepared = _prepare(settings, closing, reread)
        if stream is not None:
            trio.run(serve, prepared, as_json, stream, screen)
            return
        sys.stdout.flush()
        try:
            fd = sys.stdout.fileno()
        except OSError:  # replaced by somebody who collects what is printed, in memory
            trio.run(serve, prepared, as_json, sys.stdout, screen)
            return
        lines = Lines(fd, partial(lost_line, as_json))
        try:
            trio.run(serve, prepared, as_json, lines, screen)
        finally:
            lines.close(_LAST_WORDS_S)


def served_interfaces(settings: Settings, present: Sequence[Interface]) -> list[Interface]:
    """The interfaces to serve: those named, else all that have an IPv4 address, the loopback aside. Raises ConfigError."""
    names = settings.server.interfaces
    if names:
        by_name = {interface.name: interface for interface in present}
        return [by_name[name] for name in names]
    return [interface for interface in present if interface.addresses and interface.name != "lo"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is there before anything runs: ports that are bound, and rights that are dropped."""

    settings: Settings
    interfaces: tuple[Interface, ...]
    ports: Ports
    tls: ssl.SSLContext | None
    spawner: Spawner | None
    """With several workers only."""
    reread: Reread | None = None
    """See ``run``."""


def _prepare(settings: Settings, closing: ExitStack, reread: Reread | None = None) -> Prepared:
    """Check, bind, drop privileges. Raises ConfigError; ``closing`` takes back what was opened."""
    present = system_interfaces()
    _check(settings, present)
    context = tls_context(settings)  # its key may be root's alone
    user = _user(settings)
    interfaces = tuple(served_interfaces(settings, present))
    ports = bind(settings, interfaces)
    closing.callback(ports.close)
    if user is not None:
        _become(settings, user)
    maker = None
    if settings.server.workers > 1:
        # Before there are threads, trio, a store: what is copied now can be copied again at any time.
        maker = spawner(lambda number, end: work(number, end, settings, ports, context))
        closing.callback(maker.close)
    return Prepared(settings, interfaces, ports, context, maker, reread)


async def serve(prepared: Prepared, as_json: bool, stream: Stream, screen: Screen | None = None) -> None:
    """``run``, inside trio."""
    settings, interfaces, ports = prepared.settings, prepared.interfaces, prepared.ports
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals, ExitStack() as closing:
        store = _open_store(settings)
        closing.callback(store.close)
        settings = stored_hosts(settings, store, system_interfaces())
        log = EventLog(stream, as_json=as_json, name_of=lambda mac: rack.name_of(mac), quiet=_QUIET)
        rendering = Rendering()
        probe = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        rack = Rack(
            settings,
            store,
            interfaces=interfaces,
            tid_ports=ports.tid_ports,
            tell=log,
            clock=time.time,
            steady=time.monotonic,
            neighbour=neighbours(neighbour_on(probe)),
            image_cache=settings.server.state / "images",
            engine=rendering,
        )
        for line in summary(settings, rack, interfaces, ports):
            log.say(line)
        control = closing.enter_context(_control(settings, log))
        await _serve_until_signal(Parts(prepared, rack, rendering, store, log, control, screen), signals)
        log.settle(all_of_it=True)
        log.say("stopped")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server is made of, before it serves."""

    prepared: Prepared
    rack: Rack
    rendering: Rendering
    store: Store
    log: EventLog
    control: socket.socket | None
    screen: Screen | None


async def _serve_until_signal(parts: Parts, signals: AsyncIterator[int]) -> None:
    """Run all shells; on a signal let transfers finish for a while, then settle what must be durable."""
    rack, log, ports = parts.rack, parts.log, parts.prepared.ports
    settings = parts.prepared.settings
    committer = Committer(parts.store)
    tap = Tap()
    keep = settings.server.failure_captures
    ring_bytes, late_s = _RING_BYTES if keep else 0, LATE_S if parts.prepared.spawner is not None else 0.0
    recorder = Recorder(tap, rack, parts.prepared.interfaces, time.time_ns, ring_bytes, late_s)
    dhcp = Shell(rack.dhcp, ports.dhcp, rack, committer, time.time, ports.link, tap)
    files = _files(parts, committer, recorder, tap)
    async with trio.open_nursery() as commits:
        commits.start_soon(committer.run)
        async with trio.open_nursery() as shells:
            for task in (dhcp.run, files.run):
                await shells.start(task)
            shells.start_soon(_keep_house, rack, committer, log)
            followers: list[Callable[[Settings], None]] = []
            if keep:
                failures = Failures(settings.server.state, recorder.remembered, rack.tell, keep=keep)
                log.watchers.add(failures.watch)
                shells.start_soon(failures.run)
                followers.append(failures.follow)
            shells.start_soon(parts.rendering.run)
            shells.start_soon(Fetching(rack.cache, time.time, rack.tell).run)
            indexing = Indexing(rack.images.values(), settings.server.state / "images", log.say)
            shells.start_soon(indexing.run)
            followers.append(lambda settings: indexing.serve(rack.images.values()))
            if isinstance(files, Workers):
                followers.append(files.reconfigure)
            prepared = parts.prepared
            reloading = Reloading(
                rack,
                committer,
                prepared.interfaces,
                prepared.tls,
                prepared.reread,
                followers,
                files.recount,  # letters are read in order: who has counted has taken what came before
            )
            shells.start_soon(reload_on_hangup, reloading)
            if parts.control is not None:
                answers = Answers(_desk(parts, committer, recorder, reloading, dhcp, files))
                await shells.start(Control(parts.control, answers).run)
            if parts.screen is not None:
                shells.start_soon(parts.screen.run, View(rack, log, lambda: files.progress(WATCHED)))
            notify("READY=1")
            await anext(signals)
            notify("STOPPING=1")
            log.say("stopping: no new clients, transfers under way may finish; a second signal stops at once")
            await _drain((dhcp, files), signals)
            shells.cancel_scope.cancel()
        committer.close()


def _files(parts: Parts, committer: Committer, recorder: Recorder, tap: Tap) -> Service | Workers:
    """TFTP and HTTP: by this process, or by its workers."""
    rack, prepared = parts.rack, parts.prepared
    ports = prepared.ports
    if prepared.spawner is not None:
        return Workers(prepared.spawner, ports.shares, rack, committer, recorder, tap)
    (share,) = ports.shares
    tls = Tls(tuple(share.https), prepared.tls) if prepared.tls is not None else None
    return Service(share, ports.udp, rack.tftp, rack, committer, RackSite(rack, committer), tls=tls, tap=tap)


def _desk(
    parts: Parts,
    committer: Committer,
    recorder: Recorder,
    reloading: Reloading,
    dhcp: Shell,
    files: Service | Workers,
) -> AnswerDesk:
    """What commands are answered from."""
    rack, ports = parts.rack, parts.prepared.ports

    def counters() -> dict[str, object]:
        counted = files.statistics()
        return {
            "dhcp": rack.dhcp.statistics(),
            **counted,
            "workers": files.rows(),
            "shells": {"dhcp": dhcp.statistics, **_part(counted, "shells")},
            "sockets": udp_counted(ports.dhcp) | dict(_part(counted, "sockets")),
        }

    return AnswerDesk(
        parts.prepared.interfaces,
        rack,
        parts.store,
        committer,
        parts.log,
        recorder,
        reloading,
        counters,
        started_at=time.time(),
        recount=files.recount,
    )


def _part(counted: Mapping[str, object], name: str) -> dict[str, object]:
    part = counted.get(name)
    return dict(part) if isinstance(part, Mapping) else {}


@contextmanager
def _control(settings: Settings, log: EventLog) -> Iterator[socket.socket | None]:
    """The socket for commands. A server that cannot have it boots machines all the same, and says so."""
    with ExitStack() as closing:
        try:
            control = closing.enter_context(listening(settings.server.state))
        except OSError as error:
            control = None
            log.say(f"no commands can reach this server: {SOCKET} cannot be made in {settings.server.state} ({error})")
        yield control


async def _drain(shells: Sequence[Shell | Service | Workers], signals: AsyncIterator[int]) -> None:
    """Until what is under way has finished, the grace is over, or somebody insists."""

    async def watch(hurry: trio.CancelScope) -> None:
        await anext(signals)
        hurry.cancel()

    with trio.move_on_after(GRACE_S) as grace:
        async with trio.open_nursery() as watching:
            watching.start_soon(watch, grace)
            async with trio.open_nursery() as draining:
                for shell in shells:
                    draining.start_soon(shell.drain)
            watching.cancel_scope.cancel()


async def _keep_house(rack: Rack, committer: Committer, log: EventLog) -> None:
    """Time-outs of installs, and what the log has held back."""
    while True:
        changes = rack.tick()
        if changes:
            committer.submit(changes, partial(rack.committed, changes))
        log.settle()
        await trio.sleep(_HOUSEKEEPING_S)


def _check(settings: Settings, present: Sequence[Interface]) -> None:
    """What only this machine can tell, and every text of every host: the first machine that needs it would find out at night."""
    wrong = tried(settings, present)
    if wrong:
        raise ConfigError(wrong)


def _user(settings: Settings) -> pwd.struct_passwd | None:
    """Who to become: the configured user, when we are root and thus can. Raises ConfigError."""
    if settings.server.user is None or os.geteuid() != 0:
        return None
    try:
        return find_user(settings.server.user)
    except UserError as error:
        raise ConfigError([settings.problem("server.user", error.wrong, error.right)]) from error


def _become(settings: Settings, user: pwd.struct_passwd) -> None:
    """Drop privileges; the state directory goes along. Raises ConfigError also when files can be read by root only."""
    try:
        hand_over(settings.server.state, user)
    except UserError as error:
        raise ConfigError([settings.problem("server.state", error.wrong, error.right)]) from error
    drop(user)
    wrong = unreachable(settings, user.pw_name)
    if wrong:
        raise ConfigError(wrong)


def _open_store(settings: Settings) -> Store:
    try:
        return open_sqlite(settings.server.state)
    except StoreError as error:
        raise ConfigError([settings.problem("server.state", str(error), "")]) from error
