"""The server as a whole: ports, store, rack and shells brought up in order, and taken down without losing anything.

Order matters: ports are bound first (they need privileges), then privileges are dropped, then the store is opened as the user who
will write it, and only when everything runs does the service manager hear READY.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TextIO

import trio

from pxenet.config import ConfigError, Settings
from pxenet.config.start import start_problems
from pxenet.net.datagram import Interface
from pxenet.net.interfaces import interfaces as system_interfaces
from pxenet.net.interfaces import neighbours
from pxenet.rack import Rack
from pxenet.server.commit import Committer
from pxenet.server.datagrams import Shell
from pxenet.server.events import EventLog
from pxenet.server.http import HttpServer
from pxenet.server.notify import notify
from pxenet.server.ports import Ports, bind
from pxenet.server.privileges import UserError, drop, find_user, hand_over
from pxenet.server.site import RackSite
from pxenet.server.summary import summary
from pxenet.store.base import Store, StoreError
from pxenet.store.sqlite import open_sqlite

GRACE_S = 5.0
"""How long transfers under way may go on after the server was asked to stop."""

_QUIET = frozenset({"dhcp.discover", "tftp.start"})
"""Kinds that are kept and put into JSON but not shown to people: the line that follows says the same."""


def run(settings: Settings, *, as_json: bool = False, stream: TextIO = sys.stdout) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError when the server cannot start as configured."""
    trio.run(serve, settings, as_json, stream)


def served_interfaces(settings: Settings, present: Sequence[Interface]) -> list[Interface]:
    """The interfaces to serve: those named, else all that have an IPv4 address, the loopback aside. Raises ConfigError."""
    problems = start_problems(settings, present)
    if problems:
        raise ConfigError(problems)
    names = settings.server.interfaces
    if names:
        by_name = {interface.name: interface for interface in present}
        return [by_name[name] for name in names]
    return [interface for interface in present if interface.addresses and interface.name != "lo"]


async def serve(settings: Settings, as_json: bool, stream: TextIO) -> None:
    """``run``, inside trio."""
    with ExitStack() as closing:
        interfaces = served_interfaces(settings, system_interfaces())
        ports = bind(settings, interfaces)
        closing.callback(ports.close)
        _become_user(settings)
        store = _open_store(settings)
        closing.callback(store.close)
        log = EventLog(stream, as_json=as_json, name_of=lambda mac, address: rack.name_of(mac, address), quiet=_QUIET)
        rack = Rack(
            settings,
            store,
            interfaces=interfaces,
            tid_ports=tuple(udp.port for udp in ports.tftp[1:]),
            tell=log,
            clock=time.time,
            neighbour=neighbours(),
        )
        for line in summary(settings, rack, interfaces, ports):
            log.say(line)
        await _serve_until_signal(rack, store, ports, log)
        log.say("stopped")


async def _serve_until_signal(rack: Rack, store: Store, ports: Ports, log: EventLog) -> None:
    """Run all shells; on a signal let transfers finish for a while, then settle what must be durable."""
    committer = Committer(store)
    dhcp = Shell(rack.dhcp, ports.dhcp, rack, committer, time.time, ports.link)
    tftp = Shell(rack.tftp, ports.tftp, rack, committer, time.monotonic)
    http = HttpServer(ports.http, RackSite(rack, committer))
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as commits:
            commits.start_soon(committer.run)
            async with trio.open_nursery() as shells:
                for task in (dhcp.run, tftp.run, http.run):
                    await shells.start(task)
                shells.start_soon(_tick_rack, rack, committer)
                notify("READY=1")
                async for _ in signals:
                    break
                notify("STOPPING=1")
                log.say("stopping: no new clients, transfers under way may finish")
                with trio.move_on_after(GRACE_S):
                    await http.drain()
                shells.cancel_scope.cancel()
            committer.close()


async def _tick_rack(rack: Rack, committer: Committer) -> None:
    """Time-outs of installs: coarse, they are hours."""
    while True:
        changes = rack.tick()
        if changes:
            committer.submit(changes, partial(rack.committed, changes))
        await trio.sleep(10)


def _become_user(settings: Settings) -> None:
    """Drop privileges when started as root with a configured user; its state directory goes along."""
    if settings.server.user is None or os.geteuid() != 0:
        return
    try:
        user = find_user(settings.server.user)
        settings.server.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        hand_over(settings.server.state, user)
        drop(user)
    except UserError as error:
        raise ConfigError([settings.problem("server.user", str(error), "")]) from error
    except OSError as error:
        raise ConfigError([settings.problem("server.state", f"cannot be handed over: {error}", "")]) from error


def _open_store(settings: Settings) -> Store:
    try:
        return open_sqlite(settings.server.state)
    except StoreError as error:
        raise ConfigError([settings.problem("server.state", str(error), "")]) from error
