"""Reads images in threads, so that a server whose media are large, or on slow disks, answers everybody else meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from pxenet.content import iso_index
from pxenet.content.iso import IsoImage

_THREADS = 2
"""Images read at once: their directories lie far apart, and a disk that serves machines too has enough to do."""


class Indexing:
    """Has every image read at the start, and again when its file was replaced. ``say`` takes lines for people; ``cache`` is where
    their indexes are kept, and those of images that are not served any more are removed from there.
    """

    def __init__(self, images: Iterable[IsoImage], cache: Path, say: Callable[[str], None]) -> None:
        self._images: tuple[IsoImage, ...] = ()
        self._cache = cache
        self._say = say
        self._send, self._wanted = trio.open_memory_channel[IsoImage](math.inf)
        self.serve(images)

    def serve(self, images: Iterable[IsoImage]) -> None:
        """From now on these are served; those among them that were not before are read."""
        before, self._images = set(self._images), tuple(images)
        for image in self._images:
            if image not in before:
                image.background = self._ask
                image.prepare()

    async def run(self) -> None:
        """Until cancelled."""
        limiter = trio.CapacityLimiter(_THREADS)
        async with trio.open_nursery() as nursery:
            async for image in self._wanted:
                nursery.start_soon(self._load, image, limiter)

    def _ask(self, image: IsoImage) -> None:
        self._send.send_nowait(image)

    async def _load(self, image: IsoImage, limiter: trio.CapacityLimiter) -> None:
        loaded = await trio.to_thread.run_sync(image.load, limiter=limiter)
        image.take(loaded)
        states = [each.loaded for each in self._images]
        if all(states):
            iso_index.forget_others(self._cache, {state.key for state in states if state is not None})
        if loaded.index is None:
            self._say(f"cannot be served: {loaded.fault}")
            return
        for problem in loaded.index.about.problems:
            self._say(f"{image.path}: {problem}")
