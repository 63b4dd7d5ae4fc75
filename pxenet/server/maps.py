"""The fast way out of TFTP for contents that are one region of a file: mapped once, cut once, shared by all who read it.

Only the kernel reads what is mapped (``net.mapped``). Other contents go the plain way.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pxenet.content.lately import Lately
from pxenet.engine.surface import Stream
from pxenet.engine.tftp.blocks import ContentChanged
from pxenet.model import Content, Readable, Region
from pxenet.net.batched import BatchedUdpSocket
from pxenet.net.mapped import FileMap, Layout, Shelf
from pxenet.net.udp import UdpSocket

_CUTS = 2048
"""Remembered between two ``age``; forgetting one costs little, for it is made again when it is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """How the blocks of a file leave: by which socket, and cut how. One object for all streams that leave alike."""

    udp: BatchedUdpSocket
    layout: Layout


@dataclass(frozen=True, slots=True)
class _Cut:
    """A content as it is cut; it is kept for as long as nothing else may have its id."""

    content: Content
    layout: Layout
    ways: dict[BatchedUdpSocket, Way] = field(default_factory=dict)


def look_at(content: Content) -> None:
    """Raises ContentChanged when the file of a content in one region became shorter, OSError.

    What is mapped beyond the end of a file reads as zeros up to the end of its page.
    """
    region = content.segments[0]
    assert isinstance(region, Region)
    short = region.offset + region.length - os.fstat(region.file.fd).st_size
    if short > 0:
        raise ContentChanged(f"{content.name} ended {short} octets before its size of {content.size}")


class Maps:
    """Files as they are mapped and cut. They stay open as long as they are remembered: ``age`` is to be called now and then."""

    __slots__ = ("_cuts", "_maps", "_shelf")

    def __init__(self) -> None:
        self._cuts: Lately[tuple[int, int], _Cut] = Lately(_CUTS)
        self._maps: WeakKeyDictionary[Readable, FileMap] = WeakKeyDictionary()
        self._shelf = Shelf()

    def way(self, stream: Stream, udp: UdpSocket) -> Way | None:
        """How a stream leaves by this socket; None for the plain way. Raises as ``look_at``."""
        if not isinstance(udp, BatchedUdpSocket):
            return None
        cut = self._cut(stream.content, stream.blksize)
        if cut is None:
            return None
        way = cut.ways.get(udp)
        if way is None:
            way = cut.ways[udp] = Way(udp, cut.layout)
        return way

    def _cut(self, content: Content, blksize: int) -> _Cut | None:
        if len(content.segments) != 1 or not content.size:
            return None
        region = content.segments[0]
        if not isinstance(region, Region):
            return None
        look_at(content)
        known = self._cuts.get((id(content), blksize))
        if known is None or known.content is not content:
            try:
                end = region.offset + region.length
                mapped = self._maps.get(region.file)
                if mapped is None or mapped.size < end:
                    mapped = self._maps[region.file] = FileMap(region.file.fd, os.fstat(region.file.fd).st_size)
            except (OSError, TypeError):  # a file system that maps nothing; a file that nobody can point at
                return None
            known = _Cut(content, Layout(self._shelf, mapped, region.offset, content.size, blksize))
            self._cuts.put((id(content), blksize), known)
        return known

    def age(self) -> None:
        """Forget what was not used since this was called last."""
        self._cuts.age()
