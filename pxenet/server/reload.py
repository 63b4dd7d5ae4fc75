"""Another configuration for a server that runs: read and tried whole beside it, and then taken in one instant, or refused whole.

Knows what of the server depends on settings. Must not know who asked for it: a signal, or a command.
"""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from pxenet.config import ConfigError, Problem, Settings, start_problems
from pxenet.config.paths import unreadable
from pxenet.events import Event
from pxenet.net.datagram import Interface
from pxenet.net.interfaces import interfaces as system_interfaces
from pxenet.rack import Rack
from pxenet.rack.desk import Desk
from pxenet.rack.preview import problems
from pxenet.server.commit import Committer
from pxenet.server.fixed import needs_restart
from pxenet.server.notify import notify, reloading

_TOLD = 20
"""Reasons of a refusal that are told one by one."""

Reread = Callable[[Settings], Settings]
"""The configuration as it is now, given the one that the server runs by. Raises ConfigError."""


def tried(settings: Settings, present: Sequence[Interface]) -> list[Problem]:
    """What only this machine can tell, and every text of every host: the first machine that needs it would find out at night."""
    wrong = start_problems(settings, present)
    if not wrong:
        with Desk(settings, present) as desk:
            wrong = problems(desk.rack, settings, desk.hosts(), desk.address)
    return wrong


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it."""

    settings: Settings
    """By which the server runs from now on."""
    problems: tuple[Problem, ...] = ()
    """Why it was refused; empty when it was taken."""


class Reloading:
    """``interfaces``: those that are served. ``followers`` are told of settings that are taken, after the rack."""

    def __init__(
        self,
        rack: Rack,
        committer: Committer,
        interfaces: Sequence[Interface],
        tls: ssl.SSLContext | None,
        reread: Reread | None,
        followers: Sequence[Callable[[Settings], None]] = (),
        settled: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    ) -> None:
        """``reread``: None for a server that has no configuration file. ``settled`` waits for those who follow in other processes."""
        self._rack = rack
        self._committer = committer
        self._interfaces = tuple(interfaces)
        self._tls = tls
        self._reread = reread
        self._followers = tuple(followers)
        self._settled = settled
        self._turn = trio.Lock()

    async def reload(self) -> Outcome:
        """Take the configuration as it is now. Tells what became of it, to people and to the service manager."""
        async with self._turn:
            reloading()
            try:
                found = await trio.to_thread.run_sync(self._read, self._rack.settings, abandon_on_cancel=True)
                wrong = self._take(found) if isinstance(found, Settings) else found
                if not wrong:
                    await self._settled()
            finally:
                notify("READY=1")
            self._tell_refused(wrong)
            return Outcome(self._rack.settings, tuple(wrong))

    def _read(self, running: Settings) -> Settings | list[Problem]:
        """For a thread."""
        if self._reread is None:
            return [Problem("", None, "", "this server runs without a configuration file", "start it with --config")]
        try:
            settings = self._reread(running)
        except ConfigError as error:
            return list(error.problems)
        except OSError as error:
            return [running.source.problem((), f"cannot be read: {error}", "")]
        return needs_restart(running, settings, self._interfaces) or tried(settings, system_interfaces()) or settings

    def _take(self, settings: Settings) -> list[Problem]:
        """From now on the server runs by these; or why it cannot."""
        try:
            prepared = self._rack.prepare(settings)
            self._load_certificate(settings)
        except OSError as error:
            return [settings.source.problem((), f"cannot be served: {error}", "try again")]
        changes = self._rack.adopt(prepared)
        if changes:
            self._committer.submit(changes, partial(self._rack.committed, changes))
        for follower in self._followers:
            follower(settings)
        detail = {"file": settings.source.file, "hosts": len(settings.hosts), "profiles": len(settings.profiles)}
        self._rack.tell(Event("config.taken", detail=detail))
        for note in settings.notes:
            self._rack.tell(Event("config.note", detail={"note": str(note)}))
        return []

    def _load_certificate(self, settings: Settings) -> None:
        """Connections that begin from now on see the certificate as it is on disk, unless only root may read it."""
        cert, key = settings.http.tls_cert, settings.http.tls_key
        if self._tls is None or cert is None or key is None or unreadable(cert) or unreadable(key):
            return
        self._tls.load_cert_chain(cert, key)

    def _tell_refused(self, wrong: Sequence[Problem]) -> None:
        for problem in wrong[:_TOLD]:
            detail = {"file": problem.file, "line": problem.line or 0, "key": problem.key, "why": str(problem)}
            self._rack.tell(Event("config.refused", detail=detail))
        if len(wrong) > _TOLD:
            why = f"and for {len(wrong) - _TOLD} reasons more, which pxenet check tells"
            self._rack.tell(Event("config.refused", detail={"file": wrong[0].file, "line": 0, "key": "", "why": why}))


async def reload_on_hangup(reloading: Reloading) -> None:
    """SIGHUP asks for another configuration. From a terminal that is gone it means the end, unless nohup(1) forbids it."""
    terminal, nohup = _has_terminal(), signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with trio.open_signal_receiver(signal.SIGHUP) as hangups:
        async for _ in hangups:
            if not terminal or _has_terminal():
                await reloading.reload()
                continue
            terminal = False
            if not nohup:
                signal.raise_signal(signal.SIGTERM)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
