"""Capture files written: pcap with nanoseconds, one after the other when they grow large.

    header   magic 0xa1b23c4d, version 2.4, time zone 4, accuracy 4, snap length 4, link type 4
    frame    seconds 4, nanoseconds 4, captured length 4, length on the wire 4, data

Byte order is that of the magic number, here little-endian. draft-ietf-opsawg-pcap §4 and §5.
"""

from __future__ import annotations

import os
import re
import struct
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from pxenet.capture.made import Frame

_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
_FRAME = struct.Struct("<IIII")
_SECOND_NS = 1_000_000_000
_MAX_OPEN = 256
"""Files of machines that are open at once."""


def serialize(frame: Frame) -> bytes:
    """A frame with its header."""
    seconds, nanoseconds = divmod(frame.at_ns, _SECOND_NS)
    return _FRAME.pack(seconds & 0xFFFFFFFF, nanoseconds, len(frame.data), frame.length) + frame.data


class CaptureFiles:
    """Writes frames to ``path``; a context manager that closes it.

    With ``rotate_bytes`` the file becomes ``path.1`` when it has grown that large, what was ``path.1`` becomes ``path.2``, and so on;
    ``keep`` files are kept in all. Files can be read by their owner alone: they show what machines are told.
    """

    def __init__(self, path: Path, *, rotate_bytes: int = 0, keep: int = 10, resume: bool = False) -> None:
        """``resume``: go on with a file that was closed before."""
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self.frames = 0
        """Written so far, to all files."""
        self._file = self._go_on() if resume else self._begin()

    def write(self, frame: Frame) -> None:
        """One frame."""
        data = serialize(frame)
        if self._rotate_bytes and self._bytes > len(_HEADER) and self._bytes + len(data) > self._rotate_bytes:
            self._file.close()
            self._rotate()
            self._file = self._begin()
        self._file.write(data)
        self._bytes += len(data)
        self.frames += 1

    def flush(self) -> None:
        """Hand over to the kernel what has been written, so that a reader of the growing file sees it."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def __enter__(self) -> CaptureFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> BinaryIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        file.write(_HEADER)
        self._bytes = len(_HEADER)
        return file

    def _go_on(self) -> BinaryIO:
        file = self._path.open("ab")
        self._bytes = file.tell()
        return file

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            older = self._path if number == 1 else self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class MachineFiles:
    """Writes frames to a file for each machine, ``NAME-MACHINE.pcap`` for ``NAME.pcap``; otherwise as :class:`CaptureFiles` does."""

    def __init__(self, path: Path, *, rotate_bytes: int = 0, keep: int = 10) -> None:
        self._path = path
        self._rotate_bytes, self._keep = rotate_bytes, keep
        self._open: OrderedDict[Path, CaptureFiles] = OrderedDict()
        self._known: set[Path] = set()
        self.frames = 0
        """Written so far, to all files."""

    def write(self, frame: Frame, machine: str) -> None:
        """One frame of a machine with this name; empty: nobody knows whose it is."""
        path = self._of(machine)
        file = self._open.get(path)
        if file is None:
            if len(self._open) >= _MAX_OPEN:
                self._open.popitem(last=False)[1].close()
            file = CaptureFiles(path, rotate_bytes=self._rotate_bytes, keep=self._keep, resume=path in self._known)
            self._open[path] = file
            self._known.add(path)
        self._open.move_to_end(path)
        file.write(frame)
        self.frames += 1

    def flush(self) -> None:
        """See :class:`CaptureFiles`."""
        for file in self._open.values():
            file.flush()

    def close(self) -> None:
        """End all files."""
        while self._open:
            self._open.popitem()[1].close()

    @property
    def paths(self) -> list[Path]:
        """The files that were begun."""
        return sorted(self._known)

    def __enter__(self) -> MachineFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _of(self, machine: str) -> Path:
        # Names are people's: what a file's name cannot or should not have is written as a dash.
        word = re.sub(r"[^A-Za-z0-9._]", "-", machine) or "unknown"
        return self._path.with_name(f"{self._path.stem}-{word}{self._path.suffix}")
