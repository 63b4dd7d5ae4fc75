"""When a boot fails, what the ring has of that machine is written to a file beside the server's state.

Knows which events mean a failure, and how many files are kept. Must not know packets.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from pxenet.capture.kept import CaptureFiles
from pxenet.capture.made import Frame
from pxenet.config import Settings
from pxenet.events import Event
from pxenet.server.events import Told

DIRECTORY = "failures"
"""In the state directory."""

KINDS = frozenset({"install.failed", "install.stopped", "tftp.gave_up", "dhcp.pool_empty"})
"""Kinds of event after which somebody will ask what was on the wire."""

_AGAIN_S = 60.0
"""A machine that fails over and over fills no directory."""

_WAITING = 64


class Failures:
    """Writes files; ``watch`` is a watcher of the event log. ``remembered(mac)``: the frames of one machine."""

    def __init__(
        self,
        state: Path,
        remembered: Callable[[bytes], Sequence[Frame]],
        tell: Callable[[Event], None],
        *,
        keep: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = state / DIRECTORY
        self._remembered = remembered
        self._tell = tell
        self._keep = keep
        self._clock = clock
        self._last: dict[bytes, float] = {}
        self._send, self._receive = trio.open_memory_channel[tuple[Told, Sequence[Frame]]](_WAITING)

    def follow(self, settings: Settings) -> None:
        """Other settings hold."""
        self._keep = settings.server.failure_captures

    def watch(self, told: Told) -> None:
        """An event; after a failure the machine's frames are taken at once, before the ring moves on."""
        mac = told.event.mac
        if told.event.kind not in KINDS or not mac or told.at - self._last.get(mac, -_AGAIN_S) < _AGAIN_S:
            return
        frames = self._remembered(mac)
        if not frames:
            return
        self._last = {one: at for one, at in self._last.items() if told.at - at < _AGAIN_S} | {mac: told.at}
        try:
            self._send.send_nowait((told, frames))
        except trio.WouldBlock:
            pass  # a disk that is this slow has other worries

    async def run(self) -> None:
        """Write what is to be written, until cancelled."""
        async for told, frames in self._receive:
            mac = told.event.mac
            try:
                path = await trio.to_thread.run_sync(self._write, told, frames)
            except OSError as error:
                self._tell(Event("capture.not_kept", mac, detail={"directory": self._directory, "why": error.strerror}))
            else:
                self._tell(Event("capture.kept", mac, detail={"path": path, "packets": len(frames)}))

    def _write(self, told: Told, frames: Sequence[Frame]) -> Path:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        when = time.strftime("%Y%m%dT%H%M%S", time.gmtime(told.at))
        name = re.sub(r"[^A-Za-z0-9._-]", "-", told.name or told.event.mac.hex("-"))
        path = self._directory / f"{when}-{name}.pcap"
        with CaptureFiles(path) as file:
            for frame in frames:
                file.write(frame)
        for old in sorted(self._directory.glob("*.pcap"))[: -self._keep]:
            old.unlink(missing_ok=True)
        return path
