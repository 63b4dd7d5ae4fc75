"""What a disk holds after its power was cut: everything flushed, and of the rest whatever chance leaves of it.

Knows the promises of POSIX and no more: a file's bytes are safe after a flush of the file, its name after a flush of the directory.
Writes that were not flushed may be there in part and in any order, torn between sectors; names appear and go in order.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from provekit.trace import Event, FlushBegins, FlushEnds, Name, Truncate, Write

SECTOR = 512


@dataclass(slots=True)
class _File:
    safe: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)


class Disk:
    """One directory, and the names in it."""

    def __init__(self, state: Path) -> None:
        self._state = str(state)
        self._files: dict[str, _File] = {}
        self._safe_names: dict[str, _File] = {}
        self._pending_names: list[tuple[Name, _File]] = []
        self._covers: dict[int, int] = {}
        self._unsafe: set[str] = set()
        """Directories that may not be there after a cut: ours, and those it lies in."""
        self.version = 0
        """Changes whenever what is safe does."""

    def happened(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case Write() | Truncate():
                self._files.setdefault(event.path, _File()).pending.append(event)
            case Name(path, directory=True):
                self._unsafe.add(path)
            case Name(path, gone=True):
                self._pending_names.append((event, self._files.pop(path, _File())))
            case Name(path):
                file = self._files.setdefault(path, _File())
                self._pending_names.append((event, file))
            case FlushBegins(path, number):
                self._covers[number] = len(self._pending_of(path))
            case FlushEnds(path, number):
                self._unsafe -= {name for name in self._unsafe if os.path.dirname(name) == path}
                if path in self._files or path == self._state:
                    self._flushed(path, self._covers.pop(number))

    def _pending_of(self, path: str) -> list[Write | Truncate] | list[tuple[Name, _File]]:
        if path == self._state:
            return self._pending_names
        return self._files.setdefault(path, _File()).pending

    def _flushed(self, path: str, covers: int) -> None:
        if not covers:
            return
        self.version += 1
        if path == self._state:
            for name, file in self._pending_names[:covers]:
                _rename(self._safe_names, name, file)
            del self._pending_names[:covers]
            return
        file = self._files[path]
        for change in file.pending[:covers]:
            _apply(file.safe, change)
        del file.pending[:covers]

    def image(self, chance: Random | None = None) -> dict[str, bytes]:
        """Name to content after a cut here and now; without ``chance`` of what was flushed alone."""
        if self._unsafe and (chance is None or chance.random() < 0.5):
            return {}
        names = dict(self._safe_names)
        if chance is not None:
            for name, file in self._pending_names[: chance.randint(0, len(self._pending_names))]:
                _rename(names, name, file)
        return {os.path.basename(path): self._content(file, chance) for path, file in names.items()}

    @staticmethod
    def _content(file: _File, chance: Random | None) -> bytes:
        content = bytearray(file.safe)
        if chance is not None:
            kept = chance.choice((0.0, 0.3, 0.9, 1.0))
            for change in file.pending:
                if chance.random() >= kept:
                    continue
                _apply(content, _torn(change, chance) if isinstance(change, Write) else change)
        return bytes(content)


def write_image(image: dict[str, bytes], directory: Path) -> None:
    """Make a directory of an image."""
    directory.mkdir(mode=0o700)
    for name, content in image.items():
        (directory / name).write_bytes(content)


def _rename(names: dict[str, _File], name: Name, file: _File) -> None:
    if name.gone:
        names.pop(name.path, None)
    else:
        names[name.path] = file


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    end = change.offset + len(change.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[change.offset : end] = change.data


def _torn(write: Write, chance: Random) -> Write:
    """Sometimes only the beginning of a write, or only its end, split where a sector ends."""
    first = SECTOR - write.offset % SECTOR
    places = range(first, len(write.data), SECTOR)
    if not places or chance.random() < 0.5:
        return write
    place = chance.choice(places)
    if chance.random() < 0.5:
        return Write(write.path, write.offset, write.data[:place])
    return Write(write.path, write.offset + place, write.data[place:])
