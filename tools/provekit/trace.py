"""What a process did to its files and what it sent, in order, out of strace's words.

Knows strace's output with ``-f -y -xx``. An effect counts from the end of its system call, a flush for what had ended before
it began, and a datagram from its beginning. The kernel stops the process at each of these, so the order of the lines is the order
of things.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = (
    "openat,write,pwrite64,pwritev,writev,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,renameat2,mkdir,mkdirat,"
    "sendmsg,sendmmsg,sendto"
)


def strace(output: Path) -> list[str]:
    """The command that runs another under strace, with everything that ``read`` needs."""
    options = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000", "-o", str(output), "-e", f"trace={_CALLS}"]
    return ["strace", *options]


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes were written; they may be in memory only."""

    path: str
    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file was cut or lengthened."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name appeared in a directory, or (``gone``) went; ``directory``: it is one itself."""

    path: str
    gone: bool = False
    directory: bool = False


@dataclass(frozen=True, slots=True)
class FlushBegins:
    """A flush of this file or directory begins; ``id`` tells which."""

    path: str
    id: int


@dataclass(frozen=True, slots=True)
class FlushEnds:
    """It has ended well."""

    path: str
    id: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A datagram or a piece of a stream was handed to the kernel."""

    payload: bytes = field(repr=False)


Event = Write | Truncate | Name | FlushBegins | FlushEnds | Sent

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?.*", re.DOTALL)
_FD = re.compile(r"(\d+)<([^>]*)>")
_TEXT = re.compile(r'"([^"]*)"')
_IOV = re.compile(r'iov_base="([^"]*)"')
_MESSAGE = "msg_hdr="
_FLUSHES = ("fsync", "fdatasync")
_SENDS = ("sendmsg", "sendmmsg", "sendto")


def read(trace: Path, state: Path) -> Iterator[Event]:
    """Everything that concerns the directory ``state``, and everything that was sent."""
    return _Reader(str(state)).events(trace)


class _Reader:
    def __init__(self, state: str) -> None:
        self._state = state
        self._begun: dict[str, str] = {}
        self._flush_of: dict[str, int] = {}
        self._flushes = 0
        self._position: dict[int, int] = {}
        self._known: set[str] = set()
        self._waiting: deque[list[Event]] = deque()
        """What comes after a call of which strace tells the datagrams at its end only: they count from its beginning."""
        self._untold: dict[str, list[Event]] = {}
        """By process: the place in ``_waiting`` of the datagrams that it is sending."""

    def events(self, trace: Path) -> Iterator[Event]:
        with trace.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                match = _LINE.fullmatch(line.rstrip("\n"))
                if match is None:
                    continue
                self._waiting.append(list(self._told(*match.groups())))
                while self._waiting and not any(self._waiting[0] is each for each in self._untold.values()):
                    yield from self._waiting.popleft()
        for each in self._waiting:  # it was killed while it sent
            yield from each

    def _told(self, pid: str, text: str) -> Iterator[Event]:
        resumed = _RESUMED.fullmatch(text)
        if resumed is not None:
            whole = self._begun.pop(pid, "") + resumed[2]
            if pid in self._untold:
                self._untold.pop(pid).extend(self._begins(pid, whole))
            yield from self._ended(pid, whole)
        elif text.endswith(_UNFINISHED):
            self._begun[pid] = text.removesuffix(_UNFINISHED)
            if text.startswith("sendmmsg("):
                self._untold[pid] = []
                self._waiting.append(self._untold[pid])
            else:
                yield from self._begins(pid, self._begun[pid])
        else:
            yield from self._begins(pid, text)
            yield from self._ended(pid, text)

    def _begins(self, pid: str, text: str) -> Iterator[Event]:
        name, _, arguments = text.partition("(")
        if name in _FLUSHES and (path := self._flushed(arguments)):
            self._flushes += 1
            self._flush_of[pid] = self._flushes
            yield FlushBegins(path, self._flushes)
        elif name == "sendto":
            yield Sent(b"".join(map(_bytes, _TEXT.findall(arguments)[:1])))
        elif name in _SENDS:
            for message in arguments.split(_MESSAGE)[1:] if name == "sendmmsg" else (arguments,):
                yield Sent(b"".join(map(_bytes, _IOV.findall(message))))

    def _ended(self, pid: str, text: str) -> Iterator[Event]:
        match = _CALL.fullmatch(text)
        if match is None:
            return  # killed in the middle of it
        name, arguments, value, opened = match[1], match[2], int(match[3]), _bytes(match[4] or "").decode()
        if value < 0:
            return
        if name in _FLUSHES and (path := self._flushed(arguments)):
            yield FlushEnds(path, self._flush_of[pid])
        elif name == "openat" and self._ours(opened):
            self._position[value] = 0
            if "O_CREAT" in arguments and opened not in self._known:
                self._known.add(opened)
                yield Name(opened)
        elif name in ("unlink", "mkdir"):
            path = _bytes(_TEXT.findall(arguments)[0]).decode()
            if self._ours(path) or (name == "mkdir" and self._above(path)):
                self._known.discard(path)
                yield Name(path, gone=name == "unlink", directory=name == "mkdir")
        elif name in ("write", "pwrite64", "ftruncate") and (path := self._path(arguments)):
            yield self._changed(name, arguments, path, value)
        elif name in ("pwritev", "writev", "rename", "renameat2", "unlinkat", "mkdirat") and self._state in arguments:
            raise NotImplementedError(f"the proof does not know what {name} does to a disk: {text[:200]}")

    def _changed(self, name: str, arguments: str, path: str, value: int) -> Event:
        number = int(arguments.partition("<")[0])
        if name == "ftruncate":
            return Truncate(path, int(arguments.rpartition(",")[2]))
        data = _bytes(_TEXT.findall(arguments)[0])[:value]
        if name == "pwrite64":
            return Write(path, int(arguments.rpartition(",")[2]), data)
        offset = self._position.get(number, 0)
        self._position[number] = offset + value
        return Write(path, offset, data)

    def _path(self, arguments: str) -> str:
        """The path of the descriptor that comes first; "" when it is none of ours."""
        match = _FD.match(arguments)
        path = _bytes(match[2]).decode() if match is not None else ""
        return path if self._ours(path) else ""

    def _flushed(self, arguments: str) -> str:
        """The path of what is flushed: one of ours, or a directory that ours lies in."""
        match = _FD.match(arguments)
        path = _bytes(match[2]).decode() if match is not None else ""
        return path if self._ours(path) or self._above(path) else ""

    def _above(self, path: str) -> bool:
        return self._state.startswith(path.rstrip("/") + "/")

    def _ours(self, path: str) -> bool:
        return path == self._state or path.startswith(self._state + "/")


def _bytes(text: str) -> bytes:
    """What strace wrote as ``\\x41\\x42``."""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()
