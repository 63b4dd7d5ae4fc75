"""Lines for a reader who may be slow: written by a thread of their own, so that a stuck terminal, pager or log collector never
holds up a boot.

What nobody takes is dropped after a bound, counted, and told when there is room again.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

CAPACITY = 10_000
"""Lines that wait at most: minutes of a busy rack, a few megabytes."""


class Lines:
    """A stream (``write``, ``flush``) over a file descriptor.

    Bytes go straight to it: there is no buffer whose lock a stuck write would hold.
    """

    def __init__(self, fd: int, lost: Callable[[int], str], capacity: int = CAPACITY) -> None:
        """``lost`` words the line that tells how many lines are missing."""
        self._fd = fd
        self._lost_line = lost
        self._waiting: queue.Queue[str | None] = queue.Queue(capacity)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def write(self, text: str, /) -> int:
        """Take text, whole lines; never waits."""
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Nothing is held back on purpose."""

    def close(self, timeout_s: float) -> None:
        """Let what waits be written, for so long; a reader that is stuck loses the rest."""
        try:
            self._waiting.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            if self._lost:
                # Only this thread takes from the count, and a line more or less at this moment makes no difference.
                missing, self._lost = self._lost, 0
                text = self._lost_line(missing) + "\n" + text
            if not self._write(text.encode("utf-8", "backslashreplace")):
                return

    def _write(self, data: bytes) -> bool:
        """Whether there is still a reader."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BrokenPipeError:
                return False
            except BlockingIOError:
                # Somebody made the terminal non-blocking (a shell's child may); wait for it as a blocking one would.
                threading.Event().wait(0.05)
            except OSError:
                return True  # a disk that is full may have room again
        return True
