"""A store that forgets: for simulations, replay and tests. Knows records only; the rules are those of ``store.base``."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pxenet.model import AddedHost, Change, DiscoveredMachine, InstallRecord, Lease, SeenHost, Verdict
from pxenet.store.base import MAX_HOSTS


class MemoryStore:
    """Keeps everything until the process ends; every commit is "durable" at once.

    ``secret`` is given where a run must be reproducible (virtual time); else it is random.
    """

    def __init__(self, secret: bytes | None = None, *, max_hosts: int = MAX_HOSTS) -> None:
        self._secret = secrets.token_bytes(32) if secret is None else secret
        self._max_hosts = max_hosts
        self._leases: dict[int, Lease] = {}
        self._hosts: dict[str, SeenHost] = {}
        self._installs: dict[str, InstallRecord] = {}
        self._added: dict[str, AddedHost] = {}
        self._discovered: dict[str, DiscoveredMachine] = {}

    def leases(self) -> list[Lease]:
        """Every stored lease, whatever its state."""
        return list(self._leases.values())

    def hosts(self) -> list[SeenHost]:
        """The machines seen, ``max_hosts`` at most."""
        return list(self._hosts.values())

    def installs(self) -> list[InstallRecord]:
        """The install state of every machine that has one."""
        return list(self._installs.values())

    def added(self) -> list[AddedHost]:
        """Every host that was added and not removed again."""
        return list(self._added.values())

    def discovered(self) -> list[DiscoveredMachine]:
        """What machines said that they are."""
        return list(self._discovered.values())

    def secret(self) -> bytes:
        """The 32 bytes from which machines' tokens are made."""
        return self._secret

    def commit(self, batch: Sequence[Change]) -> list[Verdict]:
        """Keep all changes; always ``DURABLE``."""
        for change in batch:
            if isinstance(change, Lease):
                self._leases[change.address] = change
            elif isinstance(change, SeenHost):
                self._hosts[change.key] = change
            elif isinstance(change, AddedHost):
                self._added[change.name] = change
                if not change.keys:
                    del self._added[change.name]
            elif isinstance(change, DiscoveredMachine):
                self._discovered[change.key] = change
            else:
                self._installs[change.key] = change
        if len(self._hosts) > self._max_hosts:
            newest = sorted(self._hosts.values(), key=lambda host: host.last_seen_at, reverse=True)
            self._hosts = {host.key: host for host in newest[: self._max_hosts]}
        return [Verdict.DURABLE] * len(batch)

    def close(self) -> None:
        """Nothing to release."""
