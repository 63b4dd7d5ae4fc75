"""One run of the demo: files and configuration, the server, the machines, what is to be seen of them, and the judgement."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from rich.console import Console
from rich.live import Live

from demokit import qemu, site, words
from demokit.rack import Rack, in_order_of, plan, summary
from demokit.server import Line, ServerError, running
from pxenet.cli.live import is_wanted
from pxenet.cli.picture import Picture
from pxenet.sim.sockets import Sockets, Target
from pxenet.wire.text import parse_address

_DRAW_S = 0.2
_LINE_S = 0.5
_LIMIT_S = 120.0
_QEMU_LIMIT_S = 400.0
"""Firmware is slow where the processor has to be emulated."""
_KINDS = frozenset(
    {"dhcp.ack", "tftp.done", "http.done", "install.state", "install.installed", "install.failed", "install.stopped"}
)
"""What is told below the table, beside anything that is off."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run."""

    pace: float = 0.7
    qemu: bool = False
    console: bool = False


class Show:
    """See the module's text. After ``run``: ``problems`` and ``interrupted``."""

    def __init__(self, directory: Path, options: Options) -> None:
        self.problems: list[str] = []
        self.interrupted = False
        self._directory = directory
        self._options = options
        self._lines: deque[str] = deque(maxlen=100)
        self._moving = is_wanted(sys.stdout)
        self._began_at = 0.0
        self._rate = 0.0
        self._rack: Rack | None = None
        self._guest: qemu.Guest | None = None

    async def run(self) -> None:
        """Everything, until it is over or SIGINT, SIGTERM or SIGHUP comes."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals, nursery.cancel_scope)
            await self._play()
            nursery.cancel_scope.cancel()

    async def _watch_signals(
        self, scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for _ in signals:
                self.interrupted = True
                scope.cancel()

    async def _play(self) -> None:
        fleet_plan = plan(self._options.pace)
        guests = in_order_of(fleet_plan)
        macs = dict(zip((guest.name for guest in guests), fleet_plan.macs(), strict=True))
        ports = site.WELL_KNOWN if self._options.qemu else site.free_ports()
        print(words.beginning(ports, self._directory, qemu=self._options.qemu), flush=True)
        site.make_files(self._directory, real_bios=self._options.qemu)
        await trio.lowlevel.checkpoint()
        network = more = ""
        if self._options.qemu:
            self._guest = guest = qemu.Guest(self._directory)
            network, more = guest.network, guest.configuration
        config = self._directory / "demo.toml"
        config.write_text(
            site.configuration([macs[guest.name] for guest in site.GUESTS], ports, network=network, more=more)
        )
        where = Target(parse_address("127.0.0.1"), parse_address(site.GIADDR), ports.dhcp, ports.proxy, ports.tftp)
        try:
            async with running(config, self._hear, self._guest.prefix if self._guest else ()) as server:
                with ExitStack() as closing:
                    sockets = Sockets(where, len(guests))
                    closing.callback(sockets.close)
                    self._rack = rack = Rack(fleet_plan, sockets.relay, guests)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(server.wait_ended)
                        await self._boot(rack, sockets)
                        nursery.cancel_scope.cancel()
        except* ServerError as errors:
            self.problems += [str(error) for error in _leaves(errors)]
        self._judge()

    async def _boot(self, rack: Rack, sockets: Sockets) -> None:
        """Machines on; until all are done, or it takes too long."""
        limit_s = _QEMU_LIMIT_S if self._guest else _LIMIT_S
        self._began_at = time.monotonic()
        rack.begin(self._began_at)
        async with self._picture(rack):
            with trio.move_on_after(limit_s):
                async with trio.open_nursery() as nursery:
                    if self._guest is not None:
                        nursery.start_soon(self._guest.run, self._console)
                    await sockets.run(rack.fleet, limit_s)
            await trio.sleep(0.3)  # the server's last lines

    def _judge(self) -> None:
        rack, took_s = self._rack, time.monotonic() - self._began_at
        if rack is None or not self._began_at:
            print(words.failed(self.problems), file=sys.stderr)
            return
        self.problems += rack.problems()
        if self._guest is not None and self._guest.problem:
            self.problems.append(self._guest.problem)
        print(words.ending(rack, self._guest, self.problems, took_s), flush=True)

    # -- what is heard --------------------------------------------------------------------------------------------------------------

    def _hear(self, said: Line) -> None:
        if self._rack is not None:
            self._rack.hear(said)
        if self._guest is not None:
            self._guest.hear(said, time.monotonic())
        off = said.get("level") in ("warning", "error")
        if said.get("kind") in _KINDS or off:
            self._tell(words.event(said, time.monotonic() - self._began_at, off=off), plainly=off)

    def _console(self, line: str) -> None:
        """A line of the QEMU machine's serial console."""
        if self._options.console:
            self._tell(f"serial  {line}", plainly=True)

    def _tell(self, line: str, *, plainly: bool) -> None:
        """Below the table; without one, only what is worth a line there."""
        self._lines.append(line)
        if plainly and not self._moving:
            print(line, flush=True)

    # -- what is shown --------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _picture(self, rack: Rack) -> AsyncIterator[None]:
        """A table that moves, or plain lines, as long as the block takes."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._draw if self._moving else self._print, rack)
            yield
            nursery.cancel_scope.cancel()

    async def _draw(self, rack: Rack) -> None:
        console = Console(file=sys.stdout)
        with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
            try:
                while True:
                    live.update(self._snapshot(rack), refresh=True)
                    await trio.sleep(_DRAW_S)
            finally:
                self._lines.clear()  # what stays on the screen is the table
                live.update(self._snapshot(rack), refresh=True)

    def _snapshot(self, rack: Rack) -> Picture:
        now = time.monotonic()
        rows = rack.rows(now)
        if self._guest is not None:
            rows.append(self._guest.row(now))
        rate = sum(row.rate or 0.0 for row in rows)
        return Picture(rows, summary(rack, rate), list(self._lines))

    async def _print(self, rack: Rack) -> None:
        try:
            while True:
                self._print_news(rack)
                await trio.sleep(_LINE_S)
        finally:
            self._print_news(rack)

    def _print_news(self, rack: Rack) -> None:
        now = time.monotonic()
        for line in rack.news(now):
            print(line)
        if self._guest is not None:
            for line in self._guest.news(now):
                print(f"{now - self._began_at:5.1f} s  {line}")
        sys.stdout.flush()


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
