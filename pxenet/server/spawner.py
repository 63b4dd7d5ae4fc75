"""Makes processes for a server that cannot fork any more: it runs trio, has threads, and has dropped its rights.

A copy of the server is put aside before any of that begins, and does nothing but fork. So a worker that takes the place of a dead one
begins as the first ones did: nothing is loaded anew, neither from files that only root may read nor from an upgraded installation.
What the server tells it is a number, and a socket beside it; what it tells is which processes have begun and ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import marshal
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

from pxenet.server.post import pair

Work = Callable[[int, socket.socket], None]
"""What a process is for: its number and its end of the correspondence."""

_PR_SET_NAME = 15
_MOST = 1 << 10
_PATIENCE_S = 1.0
_LOOK_S = 0.005


class Spawner:
    """The server's side: ``end`` is its end of the line to the process that forks."""

    def __init__(self, end: socket.socket, process: int) -> None:
        self.end = end
        self.process = process

    def order(self, number: int, beside: socket.socket) -> None:
        """Have a process begun that is given this socket; the caller's own copy of it can be closed. Raises OSError."""
        socket.send_fds(self.end, [marshal.dumps(number)], [beside.fileno()])

    def close(self) -> None:
        """No more processes are needed. Those that run are not ended by this."""
        self.end.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.process, 0)


def spawner(work: Work) -> Spawner:
    """Put a copy of this process aside, which must not have threads yet."""
    ours, theirs = pair()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if not process:
        ours.close()
        _never_return(lambda: _fork_on_demand(theirs, work))
    theirs.close()
    return Spawner(ours, process)


def _never_return(call: Callable[[], None]) -> NoReturn:
    """End this process as ``call`` ends: what the server has to do at its end is not for its copies."""
    status = 1
    try:
        call()
        status = 0
    except BaseException:  # noqa: BLE001 - there is nobody above
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _fork_on_demand(end: socket.socket, work: Work) -> None:
    _call_it("pxenet spawner")
    # Both are for the server, which ends its workers in order: a terminal and a service manager send them to all of its processes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # what is here now is not touched any more, so that it stays shared
    woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    poll = select.poll()
    poll.register(end, select.POLLIN)
    poll.register(woken, select.POLLIN)
    children: set[int] = set()
    while True:
        ready = dict(poll.poll())
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, _MOST)
            for process, status in _ended(children):
                _tell(end, "ended", process, status)
        if end.fileno() in ready:
            try:
                packet, files, _, _ = socket.recv_fds(end, _MOST, 1)
            except ConnectionResetError:  # with something unread that was told to it
                break
            if not packet or not files:
                break
            _begin(end, marshal.loads(packet), files[0], (woken, wake), work, children)
    _end_all(children)


def _begin(end: socket.socket, number: int, beside: int, ours: tuple[int, int], work: Work, children: set[int]) -> None:
    try:
        process = os.fork()
    except OSError as error:
        os.close(beside)
        _tell(end, "refused", number, error.strerror or str(error))
        return
    if process:
        children.add(process)
        os.close(beside)
        _tell(end, "begun", number, process)
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in ours:
        os.close(each)
    end.close()
    _call_it(f"pxenet worker{number + 1}")
    theirs = socket.socket(fileno=beside)
    _never_return(lambda: work(number, theirs))


def _ended(children: set[int]) -> Iterator[tuple[int, int]]:
    """Process and status of each that has ended."""
    while children:
        process, status = os.waitpid(-1, os.WNOHANG)
        if not process:
            return
        children.discard(process)
        yield process, status


def _end_all(children: set[int]) -> None:
    """The server is gone: its workers find that out themselves, at once. One that does not is stuck, or was stopped."""
    deadline = time.monotonic() + _PATIENCE_S
    while children and time.monotonic() < deadline:
        for _ in _ended(children):
            pass
        time.sleep(_LOOK_S)
    for process in children:
        os.kill(process, signal.SIGKILL)


def _tell(end: socket.socket, *what: int | str) -> None:
    with contextlib.suppress(OSError):  # the server is gone: it is found out by reading
        end.send(marshal.dumps(list(what)), socket.MSG_NOSIGNAL)


def how_it_ended(status: int) -> str:
    """The status of a process that ended, in words."""
    number = os.waitstatus_to_exitcode(status)
    if number >= 0:
        return f"exit status {number}"
    try:
        return f"killed by {signal.Signals(-number).name}"
    except ValueError:
        return f"killed by signal {-number}"


def _call_it(name: str) -> None:
    """Under which tools show this process; the kernel takes 15 characters."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
