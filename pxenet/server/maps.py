"""The fast way out of TFTP for contents that are one region of a file: mapped once, cut once, shared by all who read it.

Only the kernel reads what is mapped (``net.mapped``). Other contents go the plain way.
"""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

from pxenet.content.lately import Lately
from pxenet.engine.surface import Stream
from pxenet.engine.tftp.blocks import ContentChanged
from pxenet.model import Content, Readable, Region
from pxenet.net.batched import BatchedUdpSocket
from pxenet.net.mapped import FileMap, Layout, Shelf
from pxenet.net.udp import UdpSocket

_LAYOUTS = 2048
"""Remembered between two ``age``; forgetting one costs little, for it is made again when it is asked for."""


class Way:
    """How the blocks of a stream leave: by which socket, and cut how; None for the plain way."""

    __slots__ = ("layout", "udp")

    def __init__(self, udp: BatchedUdpSocket | None, layout: Layout | None) -> None:
        self.udp = udp
        self.layout = layout


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

    __slots__ = ("_layouts", "_maps", "_shelf")

    def __init__(self) -> None:
        self._layouts: Lately[tuple[int, int], tuple[Content, Layout]] = Lately(_LAYOUTS)
        self._maps: WeakKeyDictionary[Readable, FileMap] = WeakKeyDictionary()
        self._shelf = Shelf()

    def way(self, stream: Stream, udp: UdpSocket) -> Way:
        """How a stream leaves by this socket. Raises as ``look_at``."""
        if not isinstance(udp, BatchedUdpSocket):
            return Way(None, None)
        return Way(udp, self._layout(stream.content, stream.blksize))

    def _layout(self, content: Content, blksize: int) -> Layout | None:
        if len(content.segments) != 1 or not content.size:
            return None
        region = content.segments[0]
        if not isinstance(region, Region):
            return None
        look_at(content)
        known = self._layouts.get((id(content), blksize))
        if known is None or known[0] is not content:  # as long as it is remembered, nothing else can have its id
            try:
                end = region.offset + region.length
                mapped = self._maps.get(region.file)
                if mapped is None or mapped.size < end:
                    mapped = self._maps[region.file] = FileMap(region.file.fd, os.fstat(region.file.fd).st_size)
            except (OSError, TypeError):  # a file system that maps nothing; a file that nobody can point at
                return None
            known = content, Layout(self._shelf, mapped, region.offset, content.size, blksize)
            self._layouts.put((id(content), blksize), known)
        return known[1]

    def age(self) -> None:
        """Forget what was not used since this was called last."""
        self._layouts.age()
