"""The ways to look into an install tree: a directory, an ISO image, or what was learned of an URL."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from pathlib import Path

from pxenet.content.iso_image import IsoDirectory, IsoError, IsoFile
from pxenet.content.iso_index import Browser
from pxenet.content.media.found import inside

TEXT_BYTES = 4 << 20
"""What is read of a file that describes a tree; the largest real ones (``CHECKSUMS`` of SLE) stay below."""


class DirectoryView:
    """A directory of the server's file system."""

    volume_id = ""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> str | None:
        """See View."""
        try:
            with open(self._root / path, "rb") as file:
                return file.read(TEXT_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError):
            return None

    def exists(self, path: str) -> bool:
        """See View."""
        try:
            return (self._root / path).is_file()
        except (OSError, ValueError):
            return False

    def names(self, directory: str) -> list[str]:
        """See View."""
        try:
            return os.listdir(self._root / directory)
        except (OSError, ValueError):
            return []


class IsoView:
    """An image, of which only the directories on the way to what is asked are read."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.about = browser.about
        self.volume_id = browser.about.volume_id

    def read(self, path: str) -> str | None:
        """See View."""
        file = self._browser.find(path)
        if not isinstance(file, IsoFile) or file.fault:
            return None
        try:
            return self._browser.read(file, TEXT_BYTES).decode("utf-8", "replace")
        except (IsoError, OSError):
            return None

    def exists(self, path: str) -> bool:
        """See View."""
        file = self._browser.find(path)
        return isinstance(file, IsoFile) and not file.fault

    def names(self, directory: str) -> list[str]:
        """See View."""
        return self._browser.children(directory) if isinstance(self._browser.find(directory), IsoDirectory) else []


class UrlView:
    """A tree behind an URL. ``fetch`` gives the beginning of a file of it, ``ask`` whether one is there; both may take their time.

    What was asked is not asked again. A server's directory pages are not read: there are as many forms of them as servers. Where it
    has a page for the tree itself, a directory without one is taken for not there, which saves asking for all that could be in it.
    """

    volume_id = ""

    def __init__(self, fetch: Callable[[str], bytes | None], ask: Callable[[str], bool]) -> None:
        self._fetch = fetch
        self._ask = ask
        self.texts: dict[str, str | None] = {}
        self.known: dict[str, bool] = {}

    def read(self, path: str) -> str | None:
        """See View."""
        if inside(path) is None:
            return None
        if path not in self.texts:
            data = self._fetch(path) if self._reaches(path) else None
            # A page that says "not found" with status 200, as some mirrors do, describes no tree.
            page = data is not None and data.lstrip()[:1] == b"<"
            self.texts[path] = None if data is None or page else data[:TEXT_BYTES].decode("utf-8", "replace")
            self.known[path] = self.texts[path] is not None
        return self.texts[path]

    def exists(self, path: str) -> bool:
        """See View."""
        if inside(path) is None:
            return False
        if path not in self.known:
            self.known[path] = self._reaches(path) and self._asked(path)
        return self.known[path]

    def _reaches(self, path: str) -> bool:
        """As far as the server tells of directories, those on the way are there."""
        directory = posixpath.dirname(path)
        if not directory or not self._asked("/"):
            return True
        return self._reaches(directory) and self._asked(f"{directory}/")

    def _asked(self, path: str) -> bool:
        if path not in self.known:
            self.known[path] = self._ask(path)
        return self.known[path]

    def names(self, directory: str) -> list[str]:
        """See View."""
        return []
