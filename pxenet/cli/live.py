"""The live picture of ``pxenet serve`` on a terminal.

Takes the place of the stream that lines are written to, and draws a few times a second from a thread of its own: a terminal that is
stopped (Ctrl-S, a connection that hangs) must not stop a server.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from typing import IO, TextIO, cast

import trio
from rich.console import Console
from rich.live import Live

from pxenet.cli.board import Board
from pxenet.cli.picture import Picture, rate_text, rows_that_fit
from pxenet.server.app import View
from pxenet.server.events import Told, printable
from pxenet.wire.iana import architecture_name

_EVERY_S = 0.25
_LINES = 200
_KNOWN_S = 5.0
_PARTING_S = 1.0
"""How long a terminal may take for the last picture."""


def is_wanted(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """A picture is for a terminal that can draw one, and for people who have not asked for plain text."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM", "dumb") != "dumb"


class _Terminal:
    """The file that rich writes to: straight to the descriptor, for a stuck write must hold no lock that the end waits for."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._fd = stream.fileno()

    def write(self, text: str, /) -> int:
        """Write it all, however long that takes. OSError when the terminal is gone."""
        data = text.encode("utf-8", "replace")
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # somebody made the terminal non-blocking
                time.sleep(_EVERY_S)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """That was seen to."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd


class LiveScreen:
    """A ``server.events.Stream`` and a ``server.app.Screen`` in one."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = _Terminal(terminal)
        self._console = Console(file=cast(IO[str], self._terminal), force_terminal=True)
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._drawing = False
        self._lost = False
        """The terminal is gone, or did not take the last picture: what is written to it now waits for ever."""

    def write(self, text: str, /) -> int:
        """A line: it becomes part of the picture, or is printed while there is none."""
        if self._drawing:
            self._lines.extend(text.rstrip("\n").split("\n"))
        elif not self._lost:
            self._terminal.write(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    async def run(self, view: View) -> None:
        """Draw until cancelled, or until the terminal is gone."""
        board = Board(lambda mac: _firmware(view, mac), _Acquaintances(view))

        def watch(told: Told) -> None:
            board.told(told.event, told.name, told.at)

        live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        view.log.watchers.add(watch)
        self._drawing = True
        try:
            await trio.to_thread.run_sync(live.start, abandon_on_cancel=True)
            while True:
                await self._draw(live, board, view)
                await trio.sleep(_EVERY_S)
        except OSError:
            self._lost = True
        finally:
            view.log.watchers.discard(watch)
            if not self._lost:
                await self._part(live, board, view)
            self._drawing = False

    async def _part(self, live: Live, board: Board, view: View) -> None:
        """The last picture stays on the terminal, if it takes that one."""
        self._lost = True
        with trio.move_on_after(_PARTING_S, shield=True):
            try:
                await self._draw(live, board, view)
                await trio.to_thread.run_sync(live.stop, abandon_on_cancel=True)
            except OSError:
                return
            self._lost = False

    async def _draw(self, live: Live, board: Board, view: View) -> None:
        now = time.time()
        board.under_way(view.under_way(), now)
        rows = board.rows(now, rows_that_fit(self._console.height))
        picture = Picture(rows, _summary(board), list(self._lines), len(board) - len(rows))
        await trio.to_thread.run_sync(lambda: live.update(picture, refresh=True), abandon_on_cancel=True)


def _summary(board: Board) -> str:
    if not len(board):
        return "waiting for machines; switch one on and let it boot from the network (Ctrl-C stops the server)"
    stages = ", ".join(f"{count} {stage}" for stage, count in sorted(board.stages().items()))
    parts = [f"{len(board)} machine{'s' if len(board) != 1 else ''}: {stages}" if stages else f"{len(board)} seen"]
    if board.rate:
        parts.append(rate_text(board.rate))
    return printable(" · ".join(parts))


def _firmware(view: View, mac: bytes) -> str:
    seen = view.rack.hosts.seen_as(view.rack.hosts.of_mac(mac).key)
    return architecture_name(seen.arch) if seen is not None else ""


class _Acquaintances:
    """Who is behind an address, remembered for a while: asking may mean to read the kernel's neighbour table."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[int, tuple[bytes, str]] = {}
        self._forget_at = 0.0

    def __call__(self, address: int) -> tuple[bytes, str]:
        """(hardware address, configured name), either empty when not known."""
        now = time.time()
        if now >= self._forget_at:
            self._known.clear()
            self._forget_at = now + _KNOWN_S
        if address not in self._known:
            rack = self._view.rack
            mac = rack.access.identify(address, "", now).mac or b""
            self._known[address] = mac, rack.name_of(mac, address)
        return self._known[address]
