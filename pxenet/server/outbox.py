"""Windows of blocks that wait until the kernel has room for them: where clients ask for more than the network takes.

A window that is dropped instead is sent again after a time-out, a longer one each time; here it leaves as soon as it can. There is one
window at most of each transfer, the newest, so what waits is bounded by the transfers. Must not know sockets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from pxenet.engine.surface import Blocks


@dataclass(slots=True)
class Held:
    """A window that waits."""

    blocks: Blocks
    since_at: float


class Outbox:
    """Those of one socket."""

    __slots__ = ("_filled", "_held")

    def __init__(self) -> None:
        self._held: OrderedDict[int, Held] = OrderedDict()
        """By the stream's identity, in the order in which they leave."""
        self._filled = trio.Event()

    def __len__(self) -> int:
        """How many windows wait."""
        return len(self._held)

    async def filled(self) -> None:
        """Wait until there is something."""
        if not self._held:
            self._filled = trio.Event()
            await self._filled.wait()

    def add(self, blocks: Blocks, now: float) -> None:
        """This waits from now on: behind what waits already, in place of an older window of the same transfer."""
        held = self._held.get(id(blocks.stream))
        if held is None:
            self._held[id(blocks.stream)] = Held(blocks, now)
            self._filled.set()
        else:
            held.blocks = blocks

    def take(self, most: int) -> list[Held]:
        """The next, at most so many."""
        return [self._held.popitem(last=False)[1] for _ in range(min(most, len(self._held)))]

    def put_back(self, windows: Sequence[Blocks], taken: Sequence[Held]) -> None:
        """For these of what was ``taken`` there was no room after all: they are the next again."""
        since_at = {id(each.blocks.stream): each.since_at for each in taken}
        for blocks in reversed(windows):
            key = id(blocks.stream)
            self._held[key] = Held(blocks, since_at[key])
            self._held.move_to_end(key, last=False)
