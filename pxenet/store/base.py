"""What a store promises. Every store passes the same tests (``tests/store``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pxenet.model import AddedHost, Change, DiscoveredMachine, InstallRecord, Lease, SeenHost, Verdict

MAX_HOSTS = 65536
"""How many machines seen are kept: anybody on the wire can invent hardware addresses, and the list must not fill the disk."""


class StoreError(Exception):
    """The store cannot be opened or read. The message says what is wrong, where, and what would be right."""


class StoreInUseError(StoreError):
    """Another process has the store open for writing."""


class Store(Protocol):
    """Durable leases, hosts and install states.

    Loaded whole at start-up; afterwards only written to. ``commit`` may be called from another thread than the one that opened the
    store, but never from two at once.
    """

    def leases(self) -> Iterable[Lease]:
        """Every stored lease, whatever its state."""
        ...

    def hosts(self) -> Iterable[SeenHost]:
        """Every machine ever seen."""
        ...

    def installs(self) -> Iterable[InstallRecord]:
        """The install state of every machine that has one."""
        ...

    def added(self) -> Iterable[AddedHost]:
        """Every host that was added by command and not removed again."""
        ...

    def discovered(self) -> Iterable[DiscoveredMachine]:
        """What machines said that they are: the latest of each."""
        ...

    def secret(self) -> bytes:
        """32 random bytes made when the store was created: the key of the machines' tokens."""
        ...

    def commit(self, batch: Sequence[Change]) -> list[Verdict]:
        """Make all changes durable, one flush for the whole batch; a verdict per change, in order.

        Never raises for a disk that fails: those changes are ``FAILED``. A later change of the same key wins.
        """
        ...

    def close(self) -> None:
        """Release the files; the store is not used afterwards."""
        ...
