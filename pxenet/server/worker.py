"""A worker: a process that serves TFTP and HTTP on its share of the ports, and asks the server for all that it must not decide itself.

It begins as a copy of the server from before there was any state, with rights dropped (``spawner``), and ends with the server, whatever
becomes of that. Must not know the state.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass, replace
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

import trio

from pxenet.config import Settings
from pxenet.engine.surface import Progress
from pxenet.engine.tftp import TftpServer
from pxenet.engine.tftp.takeover import Orphan
from pxenet.rack.translate import tftp_settings
from pxenet.server.ear import Ear
from pxenet.server.http import Tls
from pxenet.server.ports import Ports, Share
from pxenet.server.post import EndedError, Post
from pxenet.server.service import Service
from pxenet.server.tap import Tap
from pxenet.server.way import Way

COUNTED_S = 1.0
"""How often the server is told what was counted, so that little of it is lost with the process."""

_FORGOTTEN_S = 10.0
"""A file that nobody has asked for in this time and as long again is closed."""

WATCHED = 500
"""Transfers of each kind that a screen is told of: more than have room on it."""


def work(number: int, end: socket, settings: Settings, ports: Ports, tls: ssl.SSLContext | None) -> None:
    """Be the worker with this number (from 0) until the server says that it is enough, or is gone."""
    ports.close_own()
    for other, share in enumerate(ports.shares):
        if other != number:
            share.close()
    trio.run(_serve, number, end, settings, ports, tls)


async def _serve(number: int, end: socket, settings: Settings, ports: Ports, tls: ssl.SSLContext | None) -> None:
    share = ports.shares[number]
    post = Post(end)
    way = Way(post, settings.server.root)
    engine = TftpServer(tftp_settings(settings, share.tid_ports))
    own = Tls(tuple(share.https), tls) if tls is not None else None
    tap = Tap()
    service = Service(share, ports.udp, engine, way, way, way, tls=own, tap=tap)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(post.run)
        nursery.start_soon(_age, way)
        nursery.start_soon(_count, post, way, engine, service)
        take = partial(_reconfigure, settings, way, engine, share, tls)
        await _obey(post, way, engine, service, Ear(post, tap, time.time_ns), take, nursery)


Take = Callable[[int, dict[str, Any]], None]


async def _obey(
    post: Post, way: Way, engine: TftpServer, service: Service, ear: Ear, take: Take, nursery: trio.Nursery
) -> None:
    """Take what the server writes, until it is gone, and then end at once: a thread that waits for a disk must not keep the ports."""
    while True:
        try:
            letters, files = await post.read()
        except EndedError:
            os._exit(0)
        beside = iter(files)
        for letter in letters:
            match letter:
                case "answer", int(asked), bytes(description), list(numbers):
                    way.answered(asked, description, numbers, beside)
                case "arrived", int(which), int(available), bool(over), str(fault):
                    way.arrived(which, available, over, fault)
                case "back", list(numbers):
                    way.back(numbers)
                case "count", int(asked):
                    under_way = [_progress(each) for each in service.progress(WATCHED)]
                    post.write("counted", asked, plain(service.statistics()), under_way)
                case "orphans", list(orphans):
                    engine.take_over([Orphan(*orphan) for orphan in orphans], time.monotonic())
                case "settings", int(era), dict(told):
                    take(era, told)
                case ("begin",):
                    await nursery.start(service.run)
                    post.write("ready")
                case "listen", bool(wanted), bool(full):
                    ear.listen(wanted, full)
                case ("drain",):
                    nursery.start_soon(_drain, post, service, nursery)
                case _:
                    raise AssertionError(f"the server writes {letter!r}")


def told_settings(settings: Settings) -> dict[str, object]:
    """What a worker must know of settings that it did not begin with, as a letter has it."""
    tftp, http = settings.tftp, settings.http
    return {
        "max_blksize": tftp.max_blksize,
        "max_windowsize": tftp.max_windowsize,
        "allow_write": tftp.allow_write,
        "root": str(settings.server.root or ""),
        "tls": [str(http.tls_cert), str(http.tls_key)] if http.tls_cert is not None else [],
    }


def _reconfigure(
    began: Settings,
    way: Way,
    engine: TftpServer,
    share: Share,
    tls: ssl.SSLContext | None,
    era: int,
    told: dict[str, Any],
) -> None:
    limits = {name: told[name] for name in ("max_blksize", "max_windowsize", "allow_write")}
    engine.reconfigure(tftp_settings(replace(began, tftp=replace(began.tftp, **limits)), share.tid_ports))
    way.reconfigure(Path(told["root"]) if told["root"] else None, era)
    if tls is not None and told["tls"]:
        # The server has just read the same two files; where only root may, the certificate stays what it is, there as here.
        with contextlib.suppress(OSError):
            tls.load_cert_chain(*told["tls"])


async def _drain(post: Post, service: Service, nursery: trio.Nursery) -> None:
    await service.drain()
    post.write("counted", 0, plain(service.statistics()), [])
    await post.settle()
    nursery.cancel_scope.cancel()


async def _age(way: Way) -> None:
    while True:
        await trio.sleep(_FORGOTTEN_S)
        way.age()


async def _count(post: Post, way: Way, engine: TftpServer, service: Service) -> None:
    before: object = None
    while True:
        await trio.sleep(COUNTED_S)
        way.over(engine.reading())
        way.forget_said()
        counted = plain(service.statistics())
        if counted != before:
            post.write("counted", 0, counted, [])
        before = counted


def _progress(each: Progress) -> tuple[object, ...]:
    return each.id, each.address, each.path, each.done_bytes, each.size, each.retransmits


def plain(counted: object) -> object:
    """Statistics as a letter has them: records as dicts."""
    if isinstance(counted, dict):
        return {name: plain(part) for name, part in counted.items()}
    if is_dataclass(counted) and not isinstance(counted, type):
        return asdict(counted)
    return counted
