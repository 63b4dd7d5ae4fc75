"""Another configuration for a server that runs: read and tried whole beside it, and then taken in one instant, or refused whole.

Knows what of the server depends on settings. Must not know who asked for it: a signal, or a command.
"""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from pxenet.config import ConfigError, Problem, Settings, start_problems
from pxenet.config.paths import unreadable
from pxenet.events import Event
from pxenet.model import AddedHost, Verdict
from pxenet.net.datagram import Interface
from pxenet.net.interfaces import interfaces as system_interfaces
from pxenet.rack import Rack
from pxenet.rack.desk import Desk
from pxenet.rack.preview import problems
from pxenet.server.commit import Committer
from pxenet.server.fixed import needs_restart
from pxenet.server.notify import notify, reloading
from pxenet.store.base import Store

if TYPE_CHECKING:  # its imports are for those who change hosts
    from pxenet.config.inventory import Change, Changed

_TOLD = 20
"""Reasons of a refusal that are told one by one."""

Reread = Callable[[Settings], Settings]
"""The configuration as it is now, given the one that the server runs by. Raises ConfigError."""


def tried(settings: Settings, present: Sequence[Interface], names: Container[str] | None = None) -> list[Problem]:
    """What only this machine can tell, and every text of every host (or of those named): the first machine that needs it would find out
    at night."""
    wrong = start_problems(settings, present)
    if not wrong:
        with Desk(settings, present) as desk:
            hosts = [host for host in desk.hosts() if names is None or host.name in names]
            wrong = problems(desk.rack, settings, hosts, desk.address)
    return wrong


def stored_hosts(settings: Settings, store: Store, present: Sequence[Interface]) -> Settings:
    """The settings of a file with the hosts that a store has besides. Raises ConfigError when they do not go together."""
    added = store.added()
    if not added:
        return settings
    from pxenet.config.inventory import with_added

    taken = with_added(settings, added)
    if wrong := tried(taken.settings, present, {host.name for host in taken.settings.added}):
        raise ConfigError(wrong)
    store.commit(taken.records)
    return taken.settings


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
                wrong = self._take(found, "config.taken", _about(found)) if isinstance(found, Settings) else found
                if not wrong:
                    for note in self._rack.settings.notes:
                        self._rack.tell(Event("config.note", detail={"note": str(note)}))
                    await self._settled()
            finally:
                notify("READY=1")
            self._tell_refused(wrong)
            return Outcome(self._rack.settings, tuple(wrong))

    async def change_hosts(self, change: Change, *, dry_run: bool = False) -> Changed | list[Problem]:
        """Add, change or remove hosts beside those of the file: all of it, once it is on disk, or nothing for the reasons given."""
        async with self._turn:
            found = await trio.to_thread.run_sync(self._changed, self._rack.settings, change, abandon_on_cancel=True)
            if isinstance(found, list) or dry_run:
                return found
            # A person who leaves does not take the order back.
            with trio.CancelScope(shield=True):
                if await self._committer.commit(found.records) is not Verdict.DURABLE:
                    right = "free disk space in the state directory, or repair it, and try again"
                    return [Problem("", None, "", "could not be written, so nothing has changed", right)]
            if wrong := self._take(found.settings, "hosts.changed", found.counts()):
                return wrong
            await self._settled()
            return found

    def _changed(self, running: Settings, change: Change) -> Changed | list[Problem]:
        """For a thread."""
        from pxenet.config.inventory import changed

        try:
            found = changed(running, change)
        except ConfigError as error:
            return list(error.problems)
        return tried(found.settings, system_interfaces(), found.touched()) or found

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
        wrong = needs_restart(running, settings, self._interfaces)
        if not wrong and running.added:
            from pxenet.config.inventory import with_added

            try:
                settings = with_added(settings, running.added).settings
            except ConfigError as error:
                return list(error.problems)
        return wrong or tried(settings, system_interfaces()) or settings

    def _take(self, settings: Settings, kind: str, detail: Mapping[str, object]) -> list[Problem]:
        """From now on the server runs by these, and an event of that kind says so; or why it cannot."""
        try:
            prepared = self._rack.prepare(settings)
            self._load_certificate(settings)
        except OSError as error:
            return [settings.source.problem((), f"cannot be served: {error}", "try again")]
        before = self._rack.settings.added
        changes = self._rack.adopt(prepared)
        left = {host.name for host in settings.added}
        # What the file has come to name itself is not kept beside it.
        changes += [AddedHost(host.name, "") for host in before if host.name not in left]
        if changes:
            self._committer.submit(changes, partial(self._rack.committed, changes))
        for follower in self._followers:
            follower(settings)
        self._rack.tell(Event(kind, detail=detail))
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


def _about(settings: Settings) -> dict[str, object]:
    return {"file": settings.source.file, "hosts": len(settings.hosts), "profiles": len(settings.profiles)}


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
