"""A server under test: started on a core of its own, its CPU time counted over all its processes, ended by its id."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Process:
    """A running server; a context manager that ends it, and all that it started."""

    def __init__(self, command: Sequence[str], core: int, log: Path) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.log = log

    @property
    def ended(self) -> bool:
        """It is not there any more."""
        return self._process.poll() is not None

    def cpu_s(self) -> float:
        """User and system time so far, of the server, of what it started, and of those of them that have ended."""
        return sum(map(_cpu_s, tree(self._process.pid)))

    def resident_bytes(self) -> int:
        """Memory that all its processes hold."""
        return sum(map(_resident, tree(self._process.pid)))

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ended:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._log.close()


def tree(root: int) -> list[int]:
    """A process and all below it, by their ids."""
    found = [root]
    for pid in found:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            continue  # it has ended meanwhile; its time is its parent's now
    return found


def _fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on (proc(5)); a name before it may contain anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    return sum(map(int, _fields(pid)[11:15])) * _TICK_S  # utime stime cutime cstime


def _resident(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if fields else 0
