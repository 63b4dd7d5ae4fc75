"""Carries out the cache's fetches: over the network, onto the disk, tried again where they broke, and checked at the end.

Knows which request asks for what. Must not know what is kept, or for how long: ``content.upstream``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import trio

from pxenet.content.cached import Kept, NoRoomError, digest_of
from pxenet.content.directory import OpenFile
from pxenet.content.upstream import Cache, Fetch, promises_in
from pxenet.events import Event
from pxenet.model import Absent, Missing
from pxenet.net.download import Download, validator
from pxenet.net.http_client import HttpError

_AT_ONCE = 16
_TRIES = 5
"""In a row without a single byte."""
_PAUSE_S = 0.5
"""Before the second try; twice as long before each further one."""


class _GivenUpError(Exception):
    def __init__(self, missing: Missing, why: str) -> None:
        super().__init__(why)
        self.missing = missing


class Fetching:
    """``clock`` gives seconds since the epoch; ``tell`` takes what people may want to know."""

    def __init__(self, cache: Cache, clock: Callable[[], float], tell: Callable[[Event], None]) -> None:
        self._cache = cache
        self._clock = clock
        self._tell = tell
        self._send, self._wanted = trio.open_memory_channel[Fetch](float("inf"))
        self._limit = trio.CapacityLimiter(_AT_ONCE)
        cache.background = self._send.send_nowait

    async def run(self) -> None:
        """Until cancelled."""
        await self._remember()
        async with trio.open_nursery() as nursery:
            async for fetch in self._wanted:
                nursery.start_soon(self._fetch, fetch)

    async def _remember(self) -> None:
        """What the repositories promise whose descriptions are kept: those first that name others."""
        for _ in ("repomd.xml", "primary.xml"):
            for url in self._cache.shelf.urls():
                file = self._cache.shelf.open(url, self._clock()) if self._cache.describes(url) is not None else None
                if file is not None:
                    await self._learn(url, file)

    async def _learn(self, url: str, file: OpenFile) -> None:
        repository = self._cache.describes(url)
        if repository is not None:
            self._cache.learn(await trio.to_thread.run_sync(promises_in, file, url, repository))

    async def _fetch(self, fetch: Fetch) -> None:
        async with self._limit:
            try:
                await self._persistently(fetch)
            except _GivenUpError as error:
                self._refuse(fetch, error.missing, str(error))
            except NoRoomError as error:
                self._refuse(fetch, Missing.UNAVAILABLE, f"{fetch.url} is not fetched: {error}")
            except OSError as error:
                self._refuse(fetch, Missing.UNAVAILABLE, f"{fetch.url} cannot be kept: {error.strerror or error}")

    def _refuse(self, fetch: Fetch, missing: Missing, why: str) -> None:
        if missing is Missing.DAMAGED:
            self._cache.damaged(fetch, why, self._clock())
        else:
            self._cache.refused(fetch, Absent(missing, why), self._clock())
        if missing is not Missing.NOT_FOUND:
            self._tell(
                Event(
                    "cache.damaged" if missing is Missing.DAMAGED else "cache.failed",
                    detail={"url": fetch.url, "why": why},
                )
            )

    async def _persistently(self, fetch: Fetch) -> None:
        tries = 0
        while True:
            before = fetch.received
            try:
                await self._try(fetch)
                return
            except HttpError as error:
                tries = 1 if fetch.received > before else tries + 1
                if tries >= _TRIES or (fetch.file is None and tries >= 2):
                    raise _GivenUpError(Missing.UNAVAILABLE, str(error)) from error
            await trio.sleep(_PAUSE_S * 2 ** (tries - 1))

    async def _try(self, fetch: Fetch) -> None:
        """One request, and what comes of it. Raises HttpError when another may do better."""
        part = self._cache.resumable(fetch)
        headers: list[tuple[str, str]] = []
        if part is not None and part[2] == part[0].size:
            self._cache.resume(fetch, *part)
            await self._end(fetch)
            return
        if part is not None:
            headers = [("Range", f"bytes={part[2]}-"), ("If-Range", part[0].validator)]
        elif fetch.old is not None and fetch.old.validator:
            field = "If-None-Match" if fetch.old.validator.startswith('"') else "If-Modified-Since"
            headers = [(field, fetch.old.validator)]
        async with await Download.open(fetch.url, headers) as reply:
            if reply.status == 304 and fetch.old is not None:
                self._cache.unchanged(fetch, self._clock())
                return
            if reply.status in (206, 416) and (part is None or not _is_rest(reply, part[0].size, part[2])):
                self._cache.shelf.drop_part(fetch.url)
                raise HttpError(f"{fetch.url}: other bytes came than were asked for")
            _must_serve(fetch, reply)
            if reply.status == 206:
                assert part is not None
                self._cache.resume(fetch, *part)
            else:
                self._begin(fetch, reply)
            await self._body(fetch, reply)
        await self._end(fetch)

    def _begin(self, fetch: Fetch, reply: Download) -> None:
        if fetch.begun.resolved:
            # Who has the beginning of one version must not get the end of another.
            raise _GivenUpError(Missing.UNAVAILABLE, f"{fetch.url} changed while it was fetched")
        now = self._clock()
        modified_at = int(now)
        try:
            modified_at = int(parsedate_to_datetime(reply.headers.get("last-modified", "")).timestamp())
        except (ValueError, TypeError, OverflowError):
            pass
        length = reply.headers.get("content-length", "")
        size = int(length) if length.isdecimal() and len(length) < 18 else 0
        self._cache.begin(fetch, Kept(fetch.url, size, validator(reply.headers), modified_at, used_at=now))

    async def _body(self, fetch: Fetch, reply: Download) -> None:
        assert fetch.file is not None
        while data := await reply.piece():
            rest = memoryview(data)
            while rest:
                written = os.pwrite(fetch.file.fd, rest, fetch.received)
                rest = rest[written:]
                self._cache.received(fetch, written)

    async def _end(self, fetch: Fetch) -> None:
        assert fetch.file is not None
        fd = fetch.file.fd
        digest = ""
        if fetch.digest:
            algorithm = fetch.digest.partition(":")[0]
            digest = await trio.to_thread.run_sync(digest_of, fd, algorithm)
            if digest != fetch.digest:
                raise _GivenUpError(
                    Missing.DAMAGED, f"{fetch.url} has the checksum {digest}, and {fetch.digest} was promised"
                )
        await trio.to_thread.run_sync(os.fsync, fd)
        await self._learn(fetch.url, fetch.file)
        self._cache.complete(fetch, digest, self._clock())


def _is_rest(reply: Download, size: int, received: int) -> bool:
    """These are the bytes that were lacking."""
    return reply.status == 206 and reply.headers.get("content-range", "") == f"bytes {received}-{size - 1}/{size}"


def _must_serve(fetch: Fetch, reply: Download) -> None:
    """Raises what says that there is no file in this reply."""
    if reply.status in (404, 410, 403) or (reply.url.endswith("/") and not fetch.url.endswith("/")):
        raise _GivenUpError(Missing.NOT_FOUND, f"{fetch.url} is not there ({reply.status})")
    if reply.status not in (200, 206):
        raise HttpError(f"{fetch.url}: answered by {reply.status}")
    if reply.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise _GivenUpError(Missing.UNAVAILABLE, f"{fetch.url} comes packed, which was not asked for")
