"""What can be told of a decision while it is taken: for ``explain``, which must show the decision itself and not another one like it.

With no recorder each place costs one test. Must not decide anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pxenet.engine.dhcp.query import Query, Stage
from pxenet.engine.dhcp.rules import Candidate, Finding, Reaction
from pxenet.net.datagram import Send


class Recorder(Protocol):
    """Told of one request after the other; what is told between two ``asked`` concerns the first."""

    def asked(self, query: Query) -> None:
        """A message was understood: who asks, on which network."""
        ...

    def considered(self, candidates: Sequence[Candidate]) -> None:
        """The addresses that a DISCOVER made one think of, in order; the last one is offered unless it is refused too."""
        ...

    def judged(self, stage: Stage, address: int, finding: Finding, what: Reaction) -> None:
        """What is known about the address that a REQUEST names, and what follows."""
        ...

    def dropped(self, reason: str) -> None:
        """It gets no answer. Also without ``asked``, of what could not be understood."""
        ...

    def said(self, name: str, send: Send) -> None:
        """An answer leaves: this very value."""
        ...
