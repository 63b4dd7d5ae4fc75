"""An ISO image as a source of the tree: its files are served in place, as regions of the image file.

Knows when the index must be made (anew): it is bound to the image's inode, size and time. In a server a thread makes it, and who asks
meanwhile is answered when it is there; elsewhere it is made when first needed. Must not know protocols, nor threads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pxenet.content import iso_index
from pxenet.content.directory import OpenFile, mime_type
from pxenet.content.iso_image import IsoDirectory, IsoError, IsoFile, Node
from pxenet.content.iso_index import Index
from pxenet.content.tree import Entry
from pxenet.model import Absent, Asker, Content, Later, Missing, Region, Role

_AGAIN_S = 10.0
"""An image that could not be read is looked at again after so long, not with every request."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image as it was found."""

    key: str
    """What the path held: see ``iso_index.key_of``; empty when it could not be opened."""
    file: OpenFile | None = None
    index: Index | None = None
    fault: str = ""
    """Why there is no index."""
    changed_at: float = 0.0
    """When the image file changed last."""


class IsoImage:
    """One image file, which several profiles may serve from. ``cache`` is where indexes are kept, if anywhere.

    ``background`` is set by a server: it is given the image, has ``load`` run by a thread and hands the result to ``take``.
    """

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path = path
        self.background: Callable[[IsoImage], None] | None = None
        self._cache = cache
        self._loaded: Loaded | None = None
        self._tried_at = 0.0
        self._loading: Later | None = None

    @property
    def loaded(self) -> Loaded | None:
        """The image as it was last read; None before."""
        return self._loaded

    def load(self) -> Loaded:
        """Open and read it, or take the index that was kept. Touches nothing else: for any thread."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            return Loaded("", fault=f"{self.path}: {error.strerror}")
        file = OpenFile(fd)
        status = os.fstat(fd)
        key = iso_index.key_of(status)
        if not stat.S_ISREG(status.st_mode):
            return Loaded(key, fault=f"{self.path} is not a file")
        kept = iso_index.stored(self._cache, key) if self._cache is not None else None
        if kept is not None:
            return Loaded(key, file, kept, changed_at=status.st_ctime)
        try:
            index = iso_index.build(fd)
        except IsoError as error:
            return Loaded(key, fault=f"{self.path} {error}")
        except OSError as error:
            return Loaded("", fault=f"{self.path} cannot be read: {error.strerror}")
        if self._cache is not None:
            iso_index.store(self._cache, key, index)
        return Loaded(key, file, index, changed_at=status.st_ctime)

    def prepare(self) -> None:
        """Ask for it to be read, before anybody needs it."""
        if self.background is not None and self._loading is None and self._loaded is None:
            self._loading = Later()
            self.background(self)

    def take(self, loaded: Loaded) -> None:
        """The result of ``load``, where everything else runs: who waits for it asks again now."""
        self._loaded = loaded
        waiting, self._loading = self._loading, None
        if waiting is not None:
            waiting.resolve(None)

    def current(self, now: float) -> Loaded | Later:
        """The image as it is now: a file that was replaced is read anew."""
        loaded = self._loaded
        if loaded is not None and (self.is_same(loaded) or (loaded.fault and 0 <= now - self._tried_at < _AGAIN_S)):
            return loaded
        if self._loading is not None:
            return self._loading
        self._tried_at = now
        if self.background is None:
            self.take(self.load())
            assert self._loaded is not None
            return self._loaded
        self._loading = Later()
        self.background(self)
        return self._loading or self.current(now)

    def is_same(self, loaded: Loaded) -> bool:
        """The path holds what was read."""
        return _is_at(self.path, loaded.key)


class _Standing:
    """See ``model.Standing``: a file of an image stands as long as the image does."""

    __slots__ = ("_key", "_path", "changed_at")

    def __init__(self, path: Path, loaded: Loaded) -> None:
        self._path = path
        self._key = loaded.key
        self.changed_at = loaded.changed_at

    def holds(self) -> bool:
        return _is_at(self._path, self._key)


def _is_at(path: Path, key: str) -> bool:
    try:
        return bool(key) and iso_index.key_of(os.stat(path)) == key
    except OSError:
        return False


class Iso:
    """The files of an image under ``prefix`` in the tree. ``role``, ``profile`` and ``roles`` as for a Directory."""

    def __init__(
        self, image: IsoImage, prefix: str, *, role: Role, profile: str, roles: Mapping[str, Role] | None = None
    ) -> None:
        self._image = image
        self._prefix = prefix.strip("/")
        self._role = role
        self._profile = profile
        self._roles = dict(roles or {})

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | Later | None:
        """The file of that name; None when there is none (or it is a directory); an Absent when it is damaged, or all of the image."""
        inside = self._inside(path)
        if not inside:
            return None
        current = self._image.current(now)
        if isinstance(current, Later):
            return current
        if current.index is None or current.file is None:
            return Absent(Missing.DAMAGED if current.key else Missing.UNAVAILABLE, current.fault)
        node = current.index.find(inside)
        if not isinstance(node, IsoFile):
            return None
        if node.fault:
            return Absent(Missing.DAMAGED, f"{inside} in {self._image.path} {node.fault}")
        first = node.extents[0][0] if node.extents else 0
        return Content(
            path,
            tuple(Region(current.file, offset, length) for offset, length in node.extents),
            node.size,
            node.modified_at,
            f'"{current.key}-{first:x}-{node.size:x}"',
            mime_type(path),
            self._roles.get(path, self._role),
            self._profile,
            standing=_Standing(self._image.path, current),
        )

    def claims(self, path: str) -> bool:
        """The name lies in this image, whether there is such a file or not."""
        return bool(self._inside(path))

    def entries(self, path: str) -> list[Entry] | None:
        """What is in that directory of the image; nothing while the image is being read."""
        inside = self._inside(path)
        if inside is None:
            way = f"{path}/" if path else ""
            if not self._prefix.startswith(way):
                return None
            return [Entry(self._prefix[len(way) :].partition("/")[0], directory=True)]
        loaded = self._image.loaded
        children = loaded.index.children(inside) if loaded is not None and loaded.index is not None else None
        return None if children is None else [_entry(name, node) for name, node in children]

    def _inside(self, path: str) -> str | None:
        if path == self._prefix:
            return ""
        return path[len(self._prefix) + 1 :] if path.startswith(self._prefix + "/") else None


def _entry(name: str, node: Node) -> Entry:
    if isinstance(node, IsoFile):
        return Entry(name, False, node.size, node.modified_at)
    return Entry(name, isinstance(node, IsoDirectory), 0, node.modified_at if isinstance(node, IsoDirectory) else 0)
