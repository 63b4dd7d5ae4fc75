"""What the server has promised to its clients, and whether a store keeps it.

Knows which promises bind: an ACK until its lease ends or is given back, a callback's 200 for ever. Must not know how they came.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from pxenet.model import InstallRecord, InstallState, Lease, LeaseState
from pxenet.wire.text import address_text

_RANK = {state: rank for rank, state in enumerate(InstallState)} | {
    InstallState.FAILED: 6,  # a machine that failed may report a late success, never the other way
    InstallState.INSTALLED: 7,
}


@dataclass(frozen=True, slots=True)
class Promise:
    """An ACK: this machine may use the address until then."""

    address: int
    until: float
    """Seconds since the epoch, counted from when the machine asked: the server cannot have meant less."""


class Promises:
    """The clients' side of the story. Used by several threads."""

    def __init__(self) -> None:
        self.leases: dict[bytes, Promise] = {}
        self.reports: dict[str, tuple[int, InstallState]] = {}
        """Key to (generation, state) of every report that was answered 200."""
        self.faults: list[str] = []
        self.acks = 0
        self.reported = 0
        self._holder: dict[int, bytes] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def acknowledged(self, mac: bytes, address: int, until: float) -> None:
        """An ACK arrived."""
        with self._lock:
            self.acks += 1
            holder = self._holder.get(address)
            if holder not in (None, mac):
                self.faults.append(
                    f"{address_text(address)} was given to {mac.hex(':')} while {holder.hex(':')} has it"
                )
            before = self.leases.get(mac)
            if before is not None and before.address != address:
                self._holder.pop(before.address, None)
            self.leases[mac] = Promise(address, until)
            self._holder[address] = mac

    def forget(self, mac: bytes) -> None:
        """The machine is about to give its lease back."""
        with self._lock:
            promise = self.leases.pop(mac, None)
            if promise is not None:
                self._holder.pop(promise.address, None)

    def accepted(self, key: str, generation: int, state: InstallState) -> None:
        """A callback was answered 200."""
        with self._lock:
            self.reported += 1
            self.reports[key] = (generation, state)

    def broken_by(self, leases: Iterable[Lease], installs: Iterable[InstallRecord], note: str) -> list[str]:
        """Every promise that a store with these records does not keep. Remembers them: no machine may go back later."""
        with self._lock:
            found = self._lost({lease.address: lease for lease in leases}, note)
            records = {record.key: record for record in installs}
            for key, (generation, state) in self.reports.items():
                record = records.get(key)
                stands = (record.generation, _RANK[record.state]) if record is not None else (0, 0)
                if stands < (generation, _RANK[state]):
                    now = record.state.value if record is not None else "unknown"
                    found.append(f"{note}: {key} reported {state.value}, was answered 200, and is {now}")
            for key, before in self._seen.items():
                record = records.get(key)
                if record is None or (record.generation, _RANK[record.state]) < before:
                    found.append(f"{note}: the install state of {key} went back")
            self._seen = {key: (record.generation, _RANK[record.state]) for key, record in records.items()}
            self.faults += found
            return found

    def _lost(self, held: dict[int, Lease], note: str) -> list[str]:
        found: list[str] = []
        for mac, promise in self.leases.items():
            lease = held.get(promise.address)
            who = f"{note}: {address_text(promise.address)} of {mac.hex(':')}"
            if lease is None:
                found.append(f"{who} is lost")
            elif lease.mac != mac:
                found.append(f"{who} is stored as {lease.mac.hex(':')}'s")
            elif lease.state is not LeaseState.BOUND:
                found.append(f"{who} is stored as {lease.state.value}")
            elif lease.expires_at < promise.until:
                found.append(f"{who} is stored to end {promise.until - lease.expires_at:.1f} s too early")
        return found
