"""A server under test: started on a core of its own, its CPU time counted over all its processes, ended by their ids."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 5.0
"""Until a server that was told to end is killed."""
_BYTECODE = Path(__file__).parents[1] / "build" / "bytecode"


def as_installed() -> dict[str, str]:
    """The environment of a server whose modules were compiled before, as pip does when it installs them."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(_BYTECODE)}


class Process:
    """A running server, of one program or several; a context manager that ends it, and all that it started."""

    def __init__(self, commands: Sequence[Sequence[str]], core: int | str, log: Path) -> None:
        self._log = log.open("wb")
        self._processes = [
            subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=as_installed(),
            )
            for command in commands
        ]
        self.log = log

    @property
    def ended(self) -> bool:
        """One of its programs is not there any more."""
        return any(each.poll() is not None for each in self._processes)

    def pids(self) -> list[int]:
        """All its processes."""
        return [pid for each in self._processes for pid in tree(each.pid)]

    def cpu_s(self) -> float:
        """User and system time so far, of the server, of what it started, and of those of them that have ended."""
        return sum(map(_cpu_s, self.pids()))

    def resident_bytes(self) -> int:
        """Memory that all its processes hold."""
        return sum(_status_bytes(pid, "VmRSS") for pid in self.pids())

    def peak_bytes(self) -> int:
        """The most memory that its processes have held."""
        return sum(_status_bytes(pid, "VmHWM") for pid in self.pids())

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pids = self.pids()
        for each in self._processes:
            _signal(each.pid, signal.SIGTERM)
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and not all(map(_gone, pids)):
            time.sleep(0.01)
        for each in self._processes:
            _signal(each.pid, signal.SIGKILL)
            each.wait()
        self._log.close()


def _signal(group: int, number: int) -> None:
    """To a server and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _gone(pid: int) -> bool:
    return _fields(pid)[:1] in ([], ["Z"])


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


def _status_bytes(pid: int, name: str) -> int:
    """A field of /proc/PID/status that is in kB (proc(5))."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
