"""What a TFTP server is told before it starts, and what it counts. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from pxenet.engine.tftp.options import Limits
from pxenet.engine.tftp.session import Patience
from pxenet.wire.tftp import OPTION_RANGES

LEAST_PORTS = 4
"""Ports for transfers: pxelinux uses one port for all requests, and an old transfer's packets may be late by more than one request."""


@dataclass(frozen=True, slots=True)
class TftpSettings:
    """Settings of :class:`pxenet.engine.tftp.TftpServer`. Raises ValueError when they cannot work."""

    port: int = 69
    """Where requests come to."""
    tid_ports: tuple[int, ...] = ()
    """The ports transfers use (TIDs, RFC 1350 §4), at least four; not used with ``single_port``."""
    single_port: bool = False
    """Answer from ``port`` itself: for firewalls and container networks that lose track when the port changes."""
    max_blksize: int = 1468
    """Octets; 1500 of Ethernet less the headers of IPv4, UDP and TFTP."""
    max_windowsize: int = 16
    """Blocks. Longer bursts overflow the rings of small network cards."""
    allow_write: bool = False
    max_upload_bytes: int = 16 * 1024 * 1024
    """Of one write: it is held in memory until it is whole."""
    max_uploads: int = 8
    """Writes at once; further requests are left unanswered, and counted."""
    max_transfers: int = 20_000
    """Reads at once; further requests wait."""
    lag_limit_s: float = 0.025
    """When acknowledgments wait for longer, further reads wait: half of ``Patience.floor_s``, after which packets are sent again."""
    max_waiting: int = 20_000
    """Requests that wait for their turn; further ones are left unanswered, and counted: clients ask again."""
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        low, high = OPTION_RANGES["blksize"]
        if not low <= self.max_blksize <= high:
            raise ValueError(f"max_blksize {self.max_blksize} is not from {low} to {high} (RFC 2348)")
        if not 1 <= self.max_windowsize <= 256:
            # Block numbers compare modulo 65 536: far larger windows become ambiguous, and no client gains by them.
            raise ValueError(f"max_windowsize {self.max_windowsize} is not from 1 to 256")
        if not self.single_port and len(set(self.tid_ports) - {self.port}) < LEAST_PORTS:
            raise ValueError(f"tid_ports needs {LEAST_PORTS} different ports beside {self.port}, not {self.tid_ports}")

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports transfers use."""
        return (self.port,) if self.single_port else self.tid_ports

    @property
    def limits(self) -> Limits:
        """What is granted at most."""
        return Limits(self.max_blksize, self.max_windowsize)


@dataclass(frozen=True, slots=True)
class TftpStatistics:
    """Counted since the start; the first three are of this moment."""

    reading: int
    writing: int
    waiting: int
    """Requests that wait for their turn."""
    started: int
    completed: int
    aborted: int
    """By the client, mostly on purpose: size probes, GRUB's seeks."""
    refused: int
    """Answered with an ERROR: not there, denied, bad mode, too large."""
    gave_up: int
    changed: int
    """Ended because the file could not be read any more."""
    unanswered: int
    """Nobody gave the content, or stored the upload, in time."""
    retransmits: int
    """Datagrams sent again, of transfers that have ended."""
    repeats: int
    """Requests that came again."""
    duplicates: int
    """Acknowledgments that brought nothing new, and were ignored."""
    strays: int
    """Packets of no transfer."""
    malformed: int
    unexpected: int
    """Packets that make no sense where they came to."""
    overload: int
    """Requests dropped because there was no place for them, or because the server is about to stop."""
    waited: int
    """Requests that had to wait, and were served then."""


class Counters:
    """The same, while counting."""

    __slots__ = (
        "aborted",
        "changed",
        "completed",
        "duplicates",
        "gave_up",
        "malformed",
        "overload",
        "refused",
        "repeats",
        "retransmits",
        "started",
        "strays",
        "unanswered",
        "unexpected",
        "waited",
    )

    def __init__(self) -> None:
        self.aborted = self.changed = self.completed = self.duplicates = self.gave_up = self.malformed = (
            self.overload
        ) = 0
        self.refused = self.repeats = self.retransmits = self.started = self.strays = self.unanswered = (
            self.unexpected
        ) = self.waited = 0

    def freeze(self, reading: int, writing: int, waiting: int) -> TftpStatistics:
        """The record of this moment."""
        counted: dict[str, int] = {name: getattr(self, name) for name in self.__slots__}
        return TftpStatistics(reading=reading, writing=writing, waiting=waiting, **counted)
