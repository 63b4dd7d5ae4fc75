"""The real trees of ``trees.txt``, as views: each file as it was published, and of some the list of all names.

One text file holds them all, a line ``=== TREE/FILE`` before each file. ``listing.txt`` names what an image has, ``isoinfo.txt`` is its
volume header; of a tree known by its .treeinfo alone, what that names counts as there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pxenet.content.media.treeinfo import parse_treeinfo

_HEAD = re.compile(r"^=== (?P<tree>[^/\n]+)/(?P<file>.+)\n", re.MULTILINE)
_SUFFIXES = (".head", ".netboot")
"""Of files that are kept in part."""


@cache
def trees() -> dict[str, dict[str, str]]:
    """Tree → file → text."""
    found: dict[str, dict[str, str]] = {}
    parts = list(_parts((Path(__file__).parent / "trees.txt").read_text()))
    for tree, file, text in parts:
        found.setdefault(tree, {})[file] = text
    return found


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    heads = list(_HEAD.finditer(text))
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(text)
        yield head["tree"], head["file"], text[head.end() : end]


class PackedView:
    """One of the trees."""

    def __init__(self, tree: str) -> None:
        files = dict(trees()[tree])
        volume = re.search(r"^Volume id: (.*)$", files.pop("isoinfo.txt", ""), re.MULTILINE)
        self.volume_id = volume[1].strip() if volume else ""
        self._there = {line.strip().removeprefix("./") for line in files.pop("listing.txt", "").splitlines()}
        self._files = {_whole(name): text for name, text in files.items()}
        self._there |= set(self._files)
        info = parse_treeinfo(self._files.get(".treeinfo", ""))
        if info is not None:
            self._there |= {path for path in (info.kernel, info.initrd, info.stage2) if path}

    def read(self, path: str) -> str | None:
        """See View."""
        return self._files.get(path)

    def exists(self, path: str) -> bool:
        """See View."""
        return path in self._there

    def names(self, directory: str) -> list[str]:
        """See View."""
        way = f"{directory}/" if directory else ""
        return sorted({path.removeprefix(way).partition("/")[0] for path in self._there if path.startswith(way)})


def _whole(name: str) -> str:
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
