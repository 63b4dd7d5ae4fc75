"""Trees behind URLs as sources: each file is fetched once however many ask, served while it arrives, and kept.

Knows when what is kept may be served without asking (forever, when its name or a checksum tells its version; else for some minutes, and
as long as its source cannot be reached), and which checksums a tree promises. Must not know sockets or threads: a server is handed each
``Fetch`` by ``background``, and tells it what comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from pxenet.content import repodata
from pxenet.content.cached import Kept, Shelf
from pxenet.content.directory import OpenFile, mime_type
from pxenet.content.lately import Lately
from pxenet.model import Absent, Arriving, Asker, Content, Later, Missing, Region, Role

FRESH_S = 600.0
"""A file whose name does not tell its version is asked for again after so long."""
AGAIN_S = 20.0
"""After a refusal or a failure: not with every request."""
HELD_BACK_BYTES = 4096
"""The end of a file with a known checksum stays here until the checksum was found right: nobody completes a damaged file."""

_VERSIONED = (".rpm", ".drpm", ".deb", ".udeb", ".apk")
_REFUSALS = 10_000


class Fetch:
    """One file on its way, for all who ask for it meanwhile."""

    def __init__(self, url: str, digest: str, old: Kept | None) -> None:
        self.url = url
        self.digest = digest
        """By which it must be found right; empty: nobody told."""
        self.old = old
        """The complete file that is kept, of a version that may not be the last."""
        self.begun = Later()
        """Resolved with None once there is something to serve (ask again), else with the reason why there is not."""
        self.arriving = Arriving()
        self.file: OpenFile | None = None
        self.kept: Kept | None = None
        self.received = 0

    def tell(self, answer: Absent | None) -> None:
        """Whoever waits for the first bytes need not wait any longer."""
        if not self.begun.resolved:
            self.begun.resolve(answer)


class Cache:
    """All files of all upstreams. ``background`` is set by a server: it takes each fetch and carries it out."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.background: Callable[[Fetch], None] | None = None
        self._fetches: dict[str, Fetch] = {}
        self._promised: dict[str, str] = {}
        """URL → checksum, of files whose repository is known."""
        self._indexes: dict[str, str] = {}
        """URL of an index of packages → URL where its repository begins."""
        self._refused: Lately[str, tuple[float, Absent]] = Lately(_REFUSALS)
        self._silent: dict[str, float] = {}
        """Until when a server, which could not be reached, is not asked for what is kept."""

    def promise(self, digests: Mapping[str, str]) -> None:
        """These URLs must lead to files with these checksums."""
        self._promised.update(digests)

    def promised(self, url: str) -> str:
        """The checksum of a file; empty when nobody told one."""
        return self._promised.get(url, "")

    def describes(self, url: str) -> str | None:
        """Where the repository begins that this file describes; None when it describes none."""
        return repodata.repository_of(url) or self._indexes.get(url)

    def learn(self, promises: Promises) -> None:
        """Hold a repository to what it promises."""
        self._promised.update(promises.checksums)
        self._indexes.update(promises.indexes)

    def find(self, url: str, now: float) -> tuple[Kept, OpenFile] | Fetch | Absent:
        """What is kept, or its being fetched, or why there is nothing."""
        fetch = self._fetches.get(url)
        if fetch is not None:
            return fetch
        digest = self.promised(url)
        kept = self.shelf.get(url)
        if kept is not None and digest and digest != kept.digest:
            kept = None
        if kept is not None:
            silent = now < self._silent.get(_server(url), 0.0)
            if self._is_fresh(kept, now) or silent or self.background is None:
                file = self.shelf.open(url, now)
                if file is not None:
                    return kept, file
        refused = self._refused.get(url)
        if refused is not None and now < refused[0]:
            return refused[1]
        if self.background is None:
            return Absent(Missing.UNAVAILABLE, f"{url} is not in the cache, and only a running server fetches it")
        fetch = self._fetches[url] = Fetch(url, digest, kept)
        self.background(fetch)
        return self._fetches.get(url) or self.find(url, now)

    def _is_fresh(self, kept: Kept, now: float) -> bool:
        return bool(self.promised(kept.url)) or kept.url.endswith(_VERSIONED) or abs(now - kept.checked_at) < FRESH_S

    # -- what a server tells of a fetch

    def resumable(self, fetch: Fetch) -> tuple[Kept, OpenFile, int] | None:
        """The part of it that is here already, by an earlier try."""
        return self.shelf.go_on(fetch.url)

    def begin(self, fetch: Fetch, kept: Kept) -> None:
        """All of it comes, from its first byte; ``kept.size`` is 0 where nobody knows yet. Raises NoRoomError and OSError."""
        fetch.file = self.shelf.begin(kept)
        fetch.kept, fetch.received = kept, 0
        if kept.size:
            fetch.tell(None)

    def resume(self, fetch: Fetch, kept: Kept, file: OpenFile, received: int) -> None:
        """The rest of it comes."""
        fetch.file, fetch.kept, fetch.received = file, kept, received
        self._advance(fetch)
        fetch.tell(None)

    def received(self, fetch: Fetch, count: int) -> None:
        """So many bytes more are in its file. Raises NoRoomError when a file without a size grows too large."""
        assert fetch.kept is not None
        fetch.received += count
        if fetch.received > fetch.kept.size:
            fetch.kept = replace(fetch.kept, size=fetch.received)
            self.shelf.make_room(fetch.url, fetch.received)
        self._advance(fetch)

    def _advance(self, fetch: Fetch) -> None:
        assert fetch.kept is not None
        here = fetch.received
        # What describes a repository is whole for others only once it was read here: what they ask for next is checked by it.
        if fetch.digest or self.describes(fetch.url) is not None:
            here = min(here, max(0, fetch.kept.size - HELD_BACK_BYTES))
        fetch.arriving.advance(here)

    def complete(self, fetch: Fetch, digest: str, now: float) -> None:
        """All of it is here and right. Raises OSError."""
        assert fetch.kept is not None
        kept = replace(fetch.kept, size=fetch.received, digest=digest, checked_at=now, used_at=now)
        self.shelf.finish(kept)
        self._over(fetch)
        fetch.arriving.advance(kept.size)
        fetch.arriving.finish()
        fetch.tell(None)

    def unchanged(self, fetch: Fetch, now: float) -> None:
        """What is kept is what its source has."""
        assert fetch.old is not None
        self.shelf.note(replace(fetch.old, checked_at=now))
        self._over(fetch)
        fetch.tell(None)

    def refused(self, fetch: Fetch, absent: Absent, now: float) -> None:
        """There is no such file, or it could not be had. What was kept of it is served instead where that is still right."""
        self._over(fetch)
        fetch.arriving.finish(absent.detail)
        if absent.missing is Missing.UNAVAILABLE:
            self._silent[_server(fetch.url)] = now + AGAIN_S
            if fetch.old is not None and self.shelf.get(fetch.url) is not None:
                fetch.tell(None)
                return
        self._refused.put(fetch.url, (now + AGAIN_S, absent))
        fetch.tell(absent)

    def damaged(self, fetch: Fetch, why: str, now: float) -> None:
        """It is not what was promised: nobody gets its end, and it is gone. That it is not there nobody said: it is tried again."""
        self.shelf.drop(fetch.url)
        self._over(fetch)
        fetch.arriving.finish(why)
        absent = Absent(Missing.UNAVAILABLE, why)
        self._refused.put(fetch.url, (now + AGAIN_S, absent))
        fetch.tell(absent)

    def _over(self, fetch: Fetch) -> None:
        self._fetches.pop(fetch.url, None)


def _server(url: str) -> str:
    return urlsplit(url).netloc


class Upstream:
    """The files below an URL, under ``prefix`` in the tree. ``role``, ``profile`` and ``roles`` as for a Directory."""

    def __init__(
        self,
        cache: Cache,
        url: str,
        prefix: str,
        *,
        role: Role,
        profile: str,
        roles: Mapping[str, Role] | None = None,
        checksums: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._cache = cache
        self._url = url.rstrip("/")
        self._prefix = prefix.strip("/")
        self._role = role
        self._profile = profile
        self._roles = dict(roles or {})
        self.promises = {f"{self._url}/{quote(path)}": digest for path, digest in checksums.items()}
        """URL → checksum; whoever serves this tree holds the cache to it."""

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | Later | None:
        """The file of that name, or it while it arrives; None when its source has none."""
        if not path.startswith(self._prefix + "/") or path.endswith("/"):
            return None
        url = f"{self._url}/{quote(path[len(self._prefix) + 1 :], errors='surrogateescape')}"
        found = self._cache.find(url, now)
        if isinstance(found, Absent):
            return None if found.missing is Missing.NOT_FOUND else found
        if isinstance(found, Fetch):
            if found.file is None or found.kept is None or not found.kept.size or not found.begun.resolved:
                return found.begun
            return self._content(path, found.kept, found.file, found.arriving)
        return self._content(path, *found)

    def claims(self, path: str) -> bool:
        """The name lies in this tree, whether there is such a file or not."""
        return path.startswith(self._prefix + "/")

    def _content(self, path: str, kept: Kept, file: OpenFile, arriving: Arriving | None = None) -> Content:
        version = hashlib.blake2b(
            f"{kept.url} {kept.validator} {kept.size} {kept.modified_at}".encode(), digest_size=12
        )
        return Content(
            path,
            (Region(file, 0, kept.size),) if kept.size else (),
            kept.size,
            kept.modified_at,
            f'"{version.hexdigest()}"',
            mime_type(path),
            self._roles.get(path, self._role),
            self._profile,
            arriving=arriving,
        )


@dataclass(frozen=True, slots=True)
class Promises:
    """What a repository's description says of other files of it, by URL."""

    checksums: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Index of packages → where its repository begins."""


def promises_in(file: OpenFile, url: str, repository: str) -> Promises:
    """What the description of a repository, an open file that has this URL, promises. For any thread.

    One that cannot be read promises nothing: who installs from it says so.
    """
    try:
        with open(f"/proc/self/fd/{file.fd}", "rb") as text:
            if repodata.repository_of(url) is None:
                return Promises(repodata.below(repository, repodata.read_primary(text, url)))
            indexes, primary = repodata.read_repomd(text.read(repodata.MAX_REPOMD_BYTES))
            named = {repository + primary: repository} if primary else {}
            return Promises(repodata.below(repository, indexes), named)
    except (OSError, repodata.RepodataError):
        return Promises()


def shelf_of(directory: Path, limit_bytes: int) -> Shelf:
    """The shelf in a directory, in this boot of the machine."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return Shelf(directory, limit_bytes, boot)
