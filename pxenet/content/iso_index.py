"""All names of an image at once: the index by which it is served, and the form in which it outlives the server.

Built by one walk through every directory, with bounds on depth and number and a mark on each directory visited, so that a hostile image
costs a bounded time. Must not know who asks.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from pxenet.content.iso_image import About, Image, IsoDirectory, IsoError, IsoFile, IsoLink, Node, open_names
from pxenet.wire.reader import WireError

MAX_NODES = 1_000_000
"""Names in one image; the largest distribution media have some ten thousand."""

MAX_DEPTH = 64
_MAX_PROBLEMS = 20
_MAX_LINKS = 40
"""Symbolic links followed for one name, as Linux does."""

_FORMAT = 1
"""Of the stored form; another number is another form, and the image is read anew."""


class Names(Protocol):
    """A name space of an image: ISO 9660's, or UDF's."""

    @property
    def root(self) -> IsoDirectory:
        """Where all paths begin."""
        ...

    @property
    def any_case(self) -> bool:
        """Names are found in whatever case."""
        ...

    def entries(self, directory: IsoDirectory) -> Iterator[tuple[str, Node]]:
        """What is in a directory. Raises IsoError, WireError and OSError."""
        ...


@dataclass(slots=True)
class Index:
    """What is in an image, by path."""

    about: About
    nodes: dict[str, Node] = field(default_factory=dict)
    """By path without a leading slash; the root is ""."""
    any_case: bool = False
    _listed: dict[str, list[str]] = field(default_factory=dict)
    """Names below each directory, made when first asked for."""

    def find(self, path: str) -> IsoFile | IsoDirectory | None:
        """The file or directory of a path, symbolic links followed inside the image."""
        wanted = path.lower() if self.any_case else path
        node = self.nodes.get(wanted)
        if node is None or isinstance(node, IsoLink):
            resolved = resolve(wanted, self.nodes.get)
            node = None if resolved is None else self.nodes.get(resolved)
        return None if isinstance(node, IsoLink) else node

    def children(self, path: str) -> list[tuple[str, Node]] | None:
        """What is directly below a directory, by name; None when it is none."""
        wanted = resolve(path.lower() if self.any_case else path, self.nodes.get)
        if wanted is None or not isinstance(self.nodes.get(wanted), IsoDirectory):
            return None
        if not self._listed:
            for child in self.nodes:
                if child:
                    directory, _, name = child.rpartition("/")
                    self._listed.setdefault(directory, []).append(name)
        return [(name, self.nodes[posixpath.join(wanted, name)]) for name in self._listed.get(wanted, ())]


class Browser:
    """Single names of an image, found by reading only the directories on the way to them."""

    def __init__(self, fd: int, *, owned: bool = False) -> None:
        """``owned``: the file is closed with this. Raises IsoError and OSError as ``build`` does; the file is then still open."""
        self._image = Image(fd)
        self.about, self._names = open_names(self._image)
        self._known: dict[str, dict[str, Node]] = {}
        if owned:
            weakref.finalize(self, os.close, fd)

    def find(self, path: str) -> IsoFile | IsoDirectory | None:
        """The file or directory of a path, symbolic links followed inside the image; what cannot be read is not there."""
        resolved = resolve(path.lower() if self._names.any_case else path, self._node)
        node = None if resolved is None else self._node(resolved)
        return None if isinstance(node, IsoLink) else node

    def children(self, path: str) -> list[str]:
        """The names directly below a directory."""
        resolved = resolve(path.lower() if self._names.any_case else path, self._node)
        node = None if resolved is None else self._node(resolved)
        return list(self._below(resolved or "", node)) if isinstance(node, IsoDirectory) else []

    def read(self, file: IsoFile, limit_bytes: int) -> bytes:
        """The beginning of a file. Raises IsoError and OSError."""
        data = b""
        for offset, length in file.extents:
            data += self._image.read(offset, min(length, limit_bytes - len(data)))
        return data

    def _node(self, path: str) -> Node | None:
        if not path:
            return self._names.root
        directory, _, name = path.rpartition("/")
        if path.count("/") > MAX_DEPTH:
            return None
        parent = self._node(directory)
        return self._below(directory, parent).get(name) if isinstance(parent, IsoDirectory) else None

    def _below(self, path: str, directory: IsoDirectory) -> dict[str, Node]:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = {}
            try:
                for name, node in self._names.entries(directory):
                    known.setdefault(name, node)
            except (IsoError, WireError):
                pass  # what came before the damage is there
        return known


class Lookup(Protocol):
    """Gives the node of a path that has no links in it, or None."""

    def __call__(self, path: str, /) -> Node | None: ...


def resolve(path: str, node_of: Lookup) -> str | None:
    """The path without symbolic links in it; None when it leads nowhere, or out of the image. The last component is followed too."""
    todo = [part for part in reversed(path.split("/")) if part]
    done: list[str] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part == ".":
            continue
        if part == "..":
            if not done:
                return None
            done.pop()
            continue
        done.append(part)
        node = node_of("/".join(done))
        if node is None or (todo and isinstance(node, IsoFile)):
            return None
        if isinstance(node, IsoLink):
            followed += 1
            if followed > _MAX_LINKS or node.target.startswith("/") or not node.target:
                return None
            done.pop()
            todo += [step for step in reversed(node.target.split("/")) if step]
            if len(todo) > MAX_DEPTH * _MAX_LINKS:
                return None
    return "/".join(done)


def build(fd: int) -> Index:
    """Read all of an image's directories. Raises IsoError when there is nothing to serve, and OSError when it cannot be read."""
    image = Image(fd)
    about, names = open_names(image)
    index = Index(about, {"": names.root}, names.any_case)
    try:
        _walk(names, index)
    except _TooMuch:
        raise IsoError(f"has more than {MAX_NODES} names") from None
    return index


class _TooMuch(Exception):  # noqa: N818 - nobody made an error
    """More names than any image has."""


def _walk(names: Names, index: Index) -> None:
    visited = {names.root.at}
    todo = [("", names.root, 0)]
    while todo:
        path, directory, depth = todo.pop()
        try:
            for name, node in names.entries(directory):
                child = f"{path}/{name}" if path else name
                if len(index.nodes) >= MAX_NODES:
                    raise _TooMuch
                if isinstance(node, IsoDirectory):
                    if node.at in visited:
                        _problem(index, f"{child} is a directory that stands elsewhere too: a loop, left out")
                        continue
                    if depth >= MAX_DEPTH:
                        _problem(index, f"{child} is deeper than {MAX_DEPTH} directories: left out")
                        continue
                    visited.add(node.at)
                    todo.append((child, node, depth + 1))
                elif isinstance(node, IsoFile) and node.fault:
                    _problem(index, f"{child} {node.fault}")
                index.nodes.setdefault(child, node)
        except (IsoError, WireError) as error:
            if not path and len(index.nodes) == 1:
                raise IsoError(f"has a root directory that cannot be read ({error})") from error
            _problem(index, f"/{path} cannot be read to its end: {error}")


def _problem(index: Index, text: str) -> None:
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:300])
    if len(index.about.problems) < _MAX_PROBLEMS:
        index.about.problems.append(printable)


# -- the stored form -----------------------------------------------------------------------------------------------------------


def key_of(status: os.stat_result) -> str:
    """What tells an image from what the same path held before: inode, size and time, as a file name."""
    return f"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def store(directory: Path, key: str, index: Index) -> None:
    """Keep an index; whatever goes wrong, the image is read anew next time."""
    nodes = {path: _packed(node) for path, node in index.nodes.items()}
    body = json.dumps({"format": _FORMAT, "about": asdict(index.about), "any_case": index.any_case, "nodes": nodes})
    data = body.encode("utf-8", "surrogatepass")
    path = directory / f"{key}.json"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.new")
        temporary.write_bytes(_digest(data) + b"\n" + data)
        temporary.replace(path)
    except OSError:
        pass


def stored(directory: Path, key: str) -> Index | None:
    """The index that was kept under this key; None when there is none, or when it is damaged or of another form."""
    try:
        digest, _, data = (directory / f"{key}.json").read_bytes().partition(b"\n")
        if digest != _digest(data):
            return None
        raw = json.loads(data.decode("utf-8", "surrogatepass"))
        if raw["format"] != _FORMAT:
            return None
        nodes = {path: _unpacked(node) for path, node in raw["nodes"].items()}
        return Index(About(**raw["about"]), nodes, raw["any_case"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_others(directory: Path, keys: Mapping[str, object] | set[str]) -> None:
    """Remove the indexes of images that are not served any more."""
    try:
        for path in directory.glob("*.json"):
            if path.stem not in keys:
                path.unlink()
    except OSError:
        pass


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()


def _packed(node: Node) -> list[object]:
    if isinstance(node, IsoFile):
        return ["f", node.size, node.modified_at, [list(extent) for extent in node.extents], node.fault]
    if isinstance(node, IsoLink):
        return ["l", node.target]
    return ["d", node.at, node.size, node.modified_at]


def _unpacked(raw: list[object]) -> Node:
    kind, *rest = raw
    if kind == "f":
        size, modified_at, extents, fault = rest
        assert isinstance(extents, list)
        return IsoFile(tuple((start, length) for start, length in extents), size, modified_at, fault)  # type: ignore[arg-type]
    if kind == "l":
        return IsoLink(*rest)  # type: ignore[arg-type]
    return IsoDirectory(*rest)  # type: ignore[arg-type]
