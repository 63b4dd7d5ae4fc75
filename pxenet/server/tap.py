"""Where the server's datagram and HTTP paths can be listened to.

With nobody listening each batch costs one test. A listener must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pxenet.engine.surface import Blocks
from pxenet.net.datagram import Datagram, Send


@dataclass(slots=True, eq=False)
class TcpEnds:
    """One TCP connection; each is itself alone."""

    peer: bytes
    """Raw ``sockaddr``."""
    local: int
    """IPv4 address of ours; 0 when it is none."""
    port: int
    secret: bool = False
    """What is being said is a content that is secret."""


class Listener(Protocol):
    """Somebody who is told of everything that the server hears and says."""

    def received(self, batch: Sequence[Datagram]) -> None:
        """Datagrams that arrived, in order, before the engine sees them."""
        ...

    def sent(self, sends: Sequence[Send | Blocks]) -> None:
        """Datagrams that an engine wants sent, in order, before they leave."""
        ...

    def heard(self, ends: TcpEnds, data: bytes) -> None:
        """A connection has brought bytes; b"": the other side will say no more."""
        ...

    def said(self, ends: TcpEnds, data: bytes, size: int) -> None:
        """The kernel has taken ``size`` bytes for a connection; ``data``: as many of the first of them as are in memory."""
        ...

    def closed(self, ends: TcpEnds) -> None:
        """A connection is over."""
        ...


class Tap:
    """One for the whole server; ``listener`` may be set and taken away while it runs.

    ``full``: the listener wants everything, so that nobody may take a way on which it is not told.
    """

    __slots__ = ("followers", "full", "listener")

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.full = False
        self.followers: list[Callable[[], None]] = []
        """Called when it was decided anew who listens."""

    def listen(self, listener: Listener | None, *, full: bool) -> None:
        """From now on this one does, or nobody."""
        self.listener, self.full = listener, full and listener is not None
        for follower in self.followers:
            follower()
