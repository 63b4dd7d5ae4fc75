"""Contents as they lie in memory, for the fast way out of TFTP: mapped once, shared by all transfers of a file.

Only the kernel reads what is mapped (``net.mapped``). Contents that are not one region of a file go the plain way.
"""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

from pxenet.content.lately import Lately
from pxenet.engine.tftp.blocks import ContentChanged
from pxenet.model import Content, Readable, Region
from pxenet.net.mapped import FileMap

_CONTENTS = 2048
"""Remembered between two ``age``; forgetting one costs a system call or two when it is asked for again."""


class Maps:
    """Where contents are. Files stay open as long as they are remembered: ``age`` is to be called now and then."""

    __slots__ = ("_known", "_maps")

    def __init__(self) -> None:
        self._known: Lately[int, tuple[Content, FileMap, int]] = Lately(_CONTENTS)
        self._maps: WeakKeyDictionary[Readable, FileMap] = WeakKeyDictionary()

    def address(self, content: Content) -> int:
        """Where it begins in memory; 0: it has to go the plain way. Raises ContentChanged when its file became shorter, OSError."""
        segments = content.segments
        if len(segments) != 1 or not content.size:
            return 0
        region = segments[0]
        if not isinstance(region, Region):
            return 0
        end = region.offset + region.length
        left = os.fstat(region.file.fd).st_size
        if left < end:
            # What is mapped beyond the end of a file reads as zeros up to the end of its page.
            raise ContentChanged(f"{content.name} ended {end - left} octets before its size of {content.size}")
        known = self._known.get(id(content))
        if known is None or known[0] is not content:  # as long as it is remembered, nothing else can have its id
            try:
                mapped = self._maps.get(region.file)
                if mapped is None or mapped.size < end:
                    mapped = self._maps[region.file] = FileMap(region.file.fd, left)
            except (OSError, TypeError):  # a file system that maps nothing; a file that nobody can point at
                return 0
            known = content, mapped, mapped.address + region.offset
            self._known.put(id(content), known)
        return known[2]

    def age(self) -> None:
        """Forget what was not used since this was called last."""
        self._known.age()
