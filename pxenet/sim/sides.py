"""The two sides that a link joins: a server, and a crew of machines; and where each machine is plugged in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pxenet.engine.surface import Engine, Output, Upload, Want
from pxenet.model import Absent, Change, Content, Later, Verdict
from pxenet.sim.body import ClientSend, SimDatagram
from pxenet.sim.ledger import Ledger
from pxenet.sim.machine import Machine
from pxenet.sim.web import Site

Commit = Callable[[Sequence[Change]], Sequence[Verdict]]
"""Makes changes durable; ``Store.commit``."""


class Server(Site, Protocol):
    """What stands at the other end: a rack."""

    @property
    def dhcp(self) -> Engine: ...

    @property
    def tftp(self) -> Engine: ...

    def find(self, want: Want) -> Content | Absent | Later:
        """What a TFTP client asks for."""
        ...

    def accept(self, upload: Upload) -> Absent | None:
        """Keep a file that a client wrote."""
        ...

    def absorb(self, output: Output) -> list[Change]:
        """Take what an engine has seen."""
        ...

    def tick(self) -> list[Change]:
        """Do what is due with time."""
        ...


class Crew(Protocol):
    """The machines, and whoever keeps their books: a fleet, or the machines of a capture."""

    @property
    def machines(self) -> Sequence[Machine]: ...

    @property
    def index_of(self) -> Mapping[bytes, int]:
        """Hardware address → place among the machines."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Who was given which address."""
        ...

    @property
    def done(self) -> bool:
        """Every machine has come to its end."""
        ...

    def times(self) -> Sequence[float]:
        """When each machine is switched on, in seconds after the beginning."""
        ...

    def not_before(self, index: int, now: float) -> float | None:
        """Whoever would press this machine's button now looks again at that time; None: presses it."""
        ...

    def switched_on(self, index: int, now: float) -> None:
        """A machine's button was pressed."""
        ...

    def heard(self, payload: bytes, now: float) -> None:
        """A DHCP reply has reached the machine that it is for."""
        ...

    def ended(self, index: int, now: float) -> float | None:
        """A machine has come to an end; when it shall be switched on again, if at all."""
        ...


Beside = Callable[[int, ClientSend], Sequence[SimDatagram]]
"""Another server on the machines' wire: its answers to what a machine (by its place) says to everybody, or to that server."""


@dataclass(frozen=True, slots=True)
class Plug:
    """Where a machine is plugged in."""

    address: int
    """The server's on that wire."""
    interface: int
    """The server's index of it."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The server's UDP ports."""

    dhcp: int = 67
    proxy: int = 4011
    tftp: int = 69


USUAL_PORTS = Ports()
"""Those that are registered."""
