"""Templates rendered by a child process with limits: one that never ends, or eats memory, is told like any other fault of a template.

Knows the process and its pipes. The child stays for further templates: starting one costs 0.1 s, asking it some 0.1 ms.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import IO

from pxenet.answer.child import LENGTH
from pxenet.answer.engines import Job
from pxenet.answer.templates import MAX_OUTPUT_BYTES, ExceededError, TemplateProblem

CPU_S = 2.0
"""Processor time of one text; a kickstart takes a millisecond."""

WALL_S = 15.0
"""Time by the clock, for what the processor's time does not catch; less than an installer waits for its answer file."""

MEMORY_BYTES = 128 << 20

_MAX_REPLY_BYTES = 8 * MAX_OUTPUT_BYTES
"""JSON spells one byte in up to six."""

_START = "import sys; sys.path[:] = {path!r}; from pxenet.answer.child import main; main({cpu_s!r}, {memory_bytes!r})"


class _GoneError(Exception):
    """The child is not there any more; or, with a reason, could not be started."""


class Confined:
    """An engine (see ``engines.Engine``) that waits for its child. Not for several threads at once. To be closed.

    A template that exceeded its limits is not tried again for ``again_s``, for whomever: a thousand hosts may have it.
    """

    def __init__(
        self, cpu_s: float = CPU_S, wall_s: float = WALL_S, memory_bytes: int = MEMORY_BYTES, again_s: float = 0.0
    ) -> None:
        self._limits = {"cpu_s": cpu_s, "memory_bytes": memory_bytes}
        self._wall_s = wall_s
        self._again_s = again_s
        self._exceeded: dict[str, tuple[float, ExceededError]] = {}
        """By what it is called: when it was tried, and what came of it."""
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()
        """Of the child: whoever closes may be another thread than the one that waits for a text."""

    def __enter__(self) -> Confined:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def child(self) -> int | None:
        """The process that renders; None when there is none now."""
        return self._child.pid if self._child is not None else None

    def render(self, job: Job) -> str:
        """The text, or :class:`TemplateProblem`, which it also is when a limit was exceeded."""
        known = self._exceeded.get(job.called)
        if known is not None and time.monotonic() - known[0] < self._again_s:
            raise known[1].with_traceback(None)
        try:
            return self._rendered(job)
        except ExceededError as error:
            self._exceeded[job.called] = time.monotonic(), error
            raise

    def _rendered(self, job: Job) -> str:
        packed = job.packed()
        for fresh in (self._child is None, True):
            try:
                return self._outcome(job, self._asked(packed))
            except _GoneError as error:
                self._drop()
                if error.args:
                    raise TemplateProblem(job.called, 0, f"no process can be started to render it: {error}") from None
                if fresh:
                    break
        raise ExceededError(job.called, 0, "stopped the process that renders it: does it need much memory?")

    def close(self) -> None:
        """End the child, for good."""
        with self._lock:
            self._closed = True
        self._drop()

    def _drop(self) -> None:
        """End the child; the next job starts another."""
        with self._lock:
            child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what was not written yet goes nowhere
                pass
        child.wait()

    def _outcome(self, job: Job, reply: object) -> str:
        if reply is None:
            self._drop()
            raise ExceededError(job.called, 0, f"came to no end within {self._wall_s:g} s, and was stopped")
        match reply:
            case {"text": str(text)}:
                return text
            case {"file": str(file), "line": int(line), "message": str(message), "exceeded": bool(exceeded)}:
                if exceeded:
                    self._drop()
                raise (ExceededError if exceeded else TemplateProblem)(file, line, message)
        raise _GoneError

    def _asked(self, packed: bytes) -> object:
        """The child's reply; None when it gives none in time. Raises _GoneError."""
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(LENGTH.pack(len(packed)) + packed)
            child.stdin.flush()
        except OSError:
            raise _GoneError from None
        data = _read(child.stdout, time.monotonic() + self._wall_s)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            raise _GoneError from None

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise _GoneError
            if self._child is None:
                try:
                    self._child = subprocess.Popen(
                        [sys.executable, "-c", _START.format(path=sys.path, **self._limits)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,  # Ctrl-C is for the parent, which ends it
                    )
                except OSError as error:
                    raise _GoneError(error.strerror or str(error)) from None
            return self._child


def _read(pipe: IO[bytes], until: float) -> bytes | None:
    """A reply; None when it does not come in time. Raises _GoneError at the pipe's end, and for what is no reply."""
    fd = pipe.fileno()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    data = b""
    while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0] <= _MAX_REPLY_BYTES:
        left_s = until - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            return None
        piece = os.read(fd, 1 << 16)
        if not piece:
            raise _GoneError
        data += piece
    if len(data) != LENGTH.size + LENGTH.unpack_from(data)[0]:  # there is one reply for each job
        raise _GoneError
    return data[LENGTH.size :]
