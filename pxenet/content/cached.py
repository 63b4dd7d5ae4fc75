"""Files that were fetched from elsewhere, kept on disk: bounded in size, each as its source promised it, or not at all.

A file is a part (``.part``) until all of it has come and was found right; what is known of either stands beside it (``.json``). The
file that was there before stays until then. A part that a crash left is gone on with, when its source can be asked for the rest of that
very version. Must not know sockets, threads or clocks.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from pxenet.content.directory import OpenFile

PART = ".part"
_NOTED_S = 60.0
"""When a file was read last is noted on disk at most so often."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a file, or of the beginning of one."""

    url: str
    size: int
    validator: str = ""
    """Tells this version from others: its source's strong tag, or its date; empty: nothing does."""
    modified_at: int = 0
    digest: str = ""
    """``algorithm:hex`` by which it was found right; empty: nobody told one."""
    checked_at: float = 0.0
    """When its source said last that it is still this."""
    used_at: float = 0.0
    boot: str = ""
    """The boot of the machine in which a part was written: after another one its end may be zeros that were never written."""


class NoRoomError(Exception):
    """It does not fit; the message says why."""


class Shelf:
    """The directory of the cache. ``limit_bytes`` in all, parts included; ``boot`` names this boot of the machine."""

    def __init__(self, directory: Path, limit_bytes: int, boot: str = "") -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._boot = boot
        self._all: dict[str, dict[str, Kept]] | None = None
        """By suffix ("" for files, ".part" for parts), and by URL."""
        self._noted: dict[str, float] = {}
        self._open: WeakValueDictionary[str, OpenFile] = WeakValueDictionary()
        """By URL and suffix."""

    def limit(self, limit_bytes: int) -> None:
        """From now on it may have so many bytes; what is there already goes when room is needed."""
        self._limit_bytes = limit_bytes

    def get(self, url: str) -> Kept | None:
        """What is known of a file that is here whole."""
        return self._known("").get(url)

    def open(self, url: str, now: float) -> OpenFile | None:
        """A whole file; None when it is not there, or not as long as it was. Marks it as used."""
        kept = self.get(url)
        if kept is None:
            return None
        file = self._open.get(url)
        if file is None:
            try:
                file = self._opened(url, "", os.O_RDONLY)
            except OSError:
                self._drop(url, "")
                return None
            if os.fstat(file.fd).st_size != kept.size:
                self._drop(url, "")
                return None
        if not 0 <= now - self._noted.get(url, 0.0) < _NOTED_S:
            self._noted[url] = now
            self.note(replace(kept, used_at=now))
        return file

    def note(self, kept: Kept, suffix: str = "") -> None:
        """Remember this of a file (or part). A disk that takes no more costs only that."""
        self._known(suffix)[kept.url] = kept
        path = self._path(kept.url, f"{suffix}.json")
        try:
            temporary = path.with_suffix(".new")
            temporary.write_text(json.dumps(asdict(kept)))
            temporary.replace(path)
        except OSError:
            pass

    def drop(self, url: str) -> None:
        """Forget a file and its part, and remove them; who reads one reads on."""
        self._drop(url, "")
        self._drop(url, PART)

    def drop_part(self, url: str) -> None:
        """Forget what came of a file that is not here whole."""
        self._drop(url, PART)

    def urls(self) -> list[str]:
        """Of all whole files."""
        return list(self._known(""))

    def _drop(self, url: str, suffix: str) -> None:
        self._known(suffix).pop(url, None)
        self._open.pop(url + suffix, None)
        for each in (f"{suffix}.json", suffix):
            self._path(url, each).unlink(missing_ok=True)

    def begin(self, kept: Kept) -> OpenFile:
        """An empty part for a file of this size (0: not known yet), once there is room. Raises NoRoomError and OSError."""
        self._drop(kept.url, PART)
        self.make_room(kept.url, kept.size)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._opened(kept.url, PART, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.note(replace(kept, boot=self._boot), PART)
        return file

    def go_on(self, url: str) -> tuple[Kept, OpenFile, int] | None:
        """The part that an earlier try left, and how much of it is there; None when there is none that can be trusted."""
        kept = self._known(PART).get(url)
        if kept is None or not kept.validator or kept.boot != self._boot:
            return None
        try:
            file = self._open.get(url + PART) or self._opened(url, PART, os.O_RDWR)
        except OSError:
            return None
        size = os.fstat(file.fd).st_size
        return (kept, file, size) if 0 < size <= kept.size else None

    def finish(self, kept: Kept) -> None:
        """A part is complete and right: it becomes the file. Raises OSError."""
        file = self._open.get(kept.url + PART)
        self._path(kept.url, PART).replace(self._path(kept.url))
        self._drop(kept.url, PART)
        if file is not None:
            self._open[kept.url] = file
        self.note(replace(kept, boot=""))

    def make_room(self, url: str, size: int) -> None:
        """Remove what was not used for the longest time until a file of ``size`` fits, never what is read or fetched.

        Raises NoRoomError.
        """
        if size > self._limit_bytes:
            raise NoRoomError(f"it has {size} bytes, and the cache may have {self._limit_bytes}")
        others = [(each, suffix) for suffix in ("", PART) for each in self._known(suffix).values()]
        others = [(each, suffix) for each, suffix in others if (each.url, suffix) != (url, PART)]
        total = sum(each.size for each, _ in others) + size
        for each, suffix in sorted(others, key=lambda one: one[0].used_at):
            if total > self._limit_bytes and each.url + suffix not in self._open:
                total -= each.size
                self._drop(each.url, suffix)
        if total > self._limit_bytes:
            raise NoRoomError(
                f"it has {size} bytes, and what is in use leaves no room for it in the cache of {self._limit_bytes}"
            )

    def _opened(self, url: str, suffix: str, flags: int) -> OpenFile:
        file = self._open[url + suffix] = OpenFile(os.open(self._path(url, suffix), flags | os.O_CLOEXEC, 0o600))
        return file

    def _path(self, url: str, suffix: str = "") -> Path:
        name = hashlib.blake2b(url.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()
        return self._directory / f"{name}{suffix}"

    def _known(self, suffix: str) -> dict[str, Kept]:
        if self._all is None:
            self._all = {"": {}, PART: {}}
            for path in sorted(self._directory.glob("*.json")) if self._directory.is_dir() else ():
                of = PART if path.name.endswith(f"{PART}.json") else ""
                kept = _read(path)
                if kept is not None and self._path(kept.url, f"{of}.json") == path:
                    self._all[of][kept.url] = kept
                else:
                    path.unlink(missing_ok=True)
            self._sweep()
        return self._all[suffix]

    def _sweep(self) -> None:
        """Remove files that nothing is known of."""
        assert self._all is not None
        named = {self._path(url, suffix) for suffix, kept in self._all.items() for url in kept}
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            if path.suffix != ".json" and path not in named:
                path.unlink(missing_ok=True)


def _read(path: Path) -> Kept | None:
    """What stands in a file of ours; None when it is damaged."""
    try:
        raw = json.loads(path.read_text())
        kept = Kept(**raw)
    except (OSError, ValueError, TypeError):
        return None
    types: Mapping[str, type | tuple[type, ...]] = {
        "url": str, "size": int, "validator": str, "modified_at": int, "digest": str,
        "checked_at": (int, float), "used_at": (int, float), "boot": str,
    }  # fmt: skip
    return kept if all(isinstance(getattr(kept, name), kind) for name, kind in types.items()) else None


def digest_of(fd: int, algorithm: str) -> str:
    """``algorithm:hex`` of an open file. For any thread. Raises OSError and ValueError (an algorithm that nobody has)."""
    found = hashlib.new(algorithm, usedforsecurity=False)
    at = 0
    while data := os.pread(fd, 1 << 20, at):
        found.update(data)
        at += len(data)
    return f"{algorithm}:{found.hexdigest()}"
