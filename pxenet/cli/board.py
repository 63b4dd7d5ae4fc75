"""How far each machine is, made of events and of snapshots of transfers: the rows of a table that moves.

Knows what events mean for somebody who watches. Must not know terminals (``picture``), sockets or clocks: times are arguments.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pxenet.engine.surface import Progress
from pxenet.events import Event
from pxenet.wire.text import address_text, mac_text

MACHINES = 2048
"""Machines that are remembered; the one that was silent longest goes first."""

_NEW_BOOT_S = 60.0
"""A DISCOVER after so long a silence begins another boot."""

_SHOWN_S = 3.0
"""How long the rate of a file that was read at once stays to be seen."""

_TELLING_BYTES = 65_536
"""The time that a smaller file takes says nothing about the network."""

# What an event makes of a machine: its stage, and how far that is. A stage is not taken back by one that is not as far: loaders
# and installers ask for an address again in the middle of everything.
_STAGES = {
    "dhcp.discover": ("asks", 0),
    "dhcp.offer": ("offered", 1),
    "proxy.offer": ("offered", 1),
    "proxy.answer": ("offered", 1),
    "dhcp.ack": ("address", 2),
    "dhcp.no_boot": ("not booted", 2),
    "proxy.silent": ("not booted", 2),
    "tftp.start": ("loading", 3),
    "tftp.done": ("loading", 3),
    "http.done": ("loading", 3),
    "dhcp.pool_empty": ("no address", 2),
    "dhcp.no_pool": ("no address", 2),
    "dhcp.no_subnet": ("no address", 2),
    "dhcp.not_durable": ("no address", 2),
    "dhcp.unknown_arch": ("no loader", 2),
    "tftp.gave_up": ("lost", 3),
    "install.installed": ("installed", 9),
    "install.failed": ("failed", 9),
    "install.stopped": ("stopped", 9),
    "install.cancelled": ("cancelled", 9),
    "install.retired": ("retired", 9),
    "discovery.told": ("discovered", 9),
    "install.stalled": ("stalled", 4),
}
_INSTALL = {
    "new": 0,
    "offered": 1,
    "loading": 3,
    "booted": 4,
    "answered": 5,
    "installing": 6,
    "installed": 9,
    "failed": 9,
    "discovered": 9,
}
"""How far the states of an install are."""

BAD = frozenset({"no address", "no loader", "lost", "stalled", "failed", "stopped"})
"""Stages in which somebody should do something; the line of the event says what."""

_READING = 3
"""How far a machine is that reads files, and of which nothing else is known."""

_ENDED = frozenset({"installed", "failed", "stopped", "discovered", "cancelled", "retired"})


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One machine, as it is shown."""

    machine: str
    firmware: str
    stage: str
    file: str
    """What it reads, or has read last."""
    percent: int | None
    rate: float | None
    """Bytes a second."""
    elapsed_s: float
    retries: int


@dataclass(slots=True)
class _Machine:
    name: str
    mac: bytes
    began_at: float
    heard_at: float
    stage: str = ""
    depth: int = -1
    file: str = ""
    percent: int | None = None
    rate: float | None = None
    rate_until_at: float = 0.0
    ended_at: float | None = None
    retries: int = 0
    reading: bool = False
    """It had transfers under way at the last look."""
    resent: int = 0
    """Retransmissions of those."""


class Board:
    """Feed it events and, a few times a second, the transfers under way."""

    def __init__(
        self,
        firmware_of: Callable[[bytes], str],
        identify: Callable[[int], tuple[bytes, str]] = lambda address: (b"", ""),
    ) -> None:
        """``firmware_of`` a hardware address, ``identify``: (hardware address, name) of the machine behind an IPv4 address."""
        self._firmware_of = firmware_of
        self._identify = identify
        self._machines: OrderedDict[bytes | int, _Machine] = OrderedDict()
        self._shown: list[bytes | int] = []
        self._read: dict[tuple[int, str], int] = {}
        self._looked_at = 0.0
        self.rate = 0.0
        """Bytes a second, of all machines."""

    def told(self, event: Event, name: str, at: float) -> None:
        """Something happened."""
        if not event.mac and not event.address:
            return
        machine = self._machine(event.mac, event.address, name, at)
        if event.kind == "dhcp.discover" and at - machine.heard_at > _NEW_BOOT_S:
            self._begin(machine, at)
        machine.heard_at = at
        stage, depth = self._stage(event)
        if stage == "new":
            self._begin(machine, at)
        if stage and depth >= machine.depth:
            machine.stage, machine.depth = stage, depth
            if stage in _ENDED and machine.ended_at is None:
                machine.ended_at = at
        path, size, seconds = (event.detail.get(key) for key in ("path", "size", "seconds"))
        if isinstance(path, str) and event.kind in _STAGES:
            machine.file, machine.percent = path, None
            if isinstance(size, int) and isinstance(seconds, float) and seconds > 0:
                machine.percent = 100
                if size >= _TELLING_BYTES:
                    machine.rate, machine.rate_until_at = size / seconds, at + _SHOWN_S
        again = event.detail.get("retransmits")
        machine.retries += again if isinstance(again, int) else 0

    def under_way(self, transfers: Iterable[Progress], at: float) -> None:
        """The transfers of this moment."""
        passed = at - self._looked_at
        self._looked_at = at
        before, self._read = self._read, {}
        rates: Counter[bytes | int] = Counter()
        again: dict[bytes | int, int] = {}
        total = 0.0
        for transfer in transfers:
            mac, name = self._identify(transfer.address)
            machine = self._machine(mac, transfer.address, name, at)
            key = mac or transfer.address
            machine.heard_at = at
            machine.file = transfer.path
            if machine.depth < _READING:
                machine.stage, machine.depth = "loading", _READING
            machine.percent = 100 * transfer.done_bytes // transfer.size if transfer.size else None
            mark = (transfer.id, transfer.path)
            self._read[mark] = transfer.done_bytes
            moved = max(0, transfer.done_bytes - before.get(mark, 0))
            rates[key] += int(moved / passed) if 0 < passed < _NEW_BOOT_S else 0
            again[key] = again.get(key, 0) + transfer.retransmits
            total += moved
        for key, rate in rates.items():
            self._machines[key].rate, self._machines[key].rate_until_at = float(rate), at + _SHOWN_S
        for key, machine in self._machines.items():
            if machine.reading and key not in again:
                machine.percent = None  # over, whether an event says so or (files of a repository) none does
            machine.reading = key in again
            machine.resent = again.get(key, 0)
        self.rate = total / passed if 0 < passed < _NEW_BOOT_S else 0.0

    def rows(self, now: float, limit: int) -> list[BoardRow]:
        """The ``limit`` machines heard of last, each where it was before: nobody can read a table that is shuffled."""
        latest = set(list(self._machines)[-limit:])
        self._shown = [key for key in self._shown if key in latest]
        self._shown += [key for key in self._machines if key in latest and key not in set(self._shown)]
        return [self._row(self._machines[key], now) for key in self._shown]

    def stages(self) -> Counter[str]:
        """How many machines are at each stage."""
        return Counter(machine.stage for machine in self._machines.values() if machine.stage)

    def __len__(self) -> int:
        return len(self._machines)

    def _row(self, machine: _Machine, now: float) -> BoardRow:
        current = now <= machine.rate_until_at
        return BoardRow(
            machine.name,
            self._firmware_of(machine.mac) if machine.mac else "",
            machine.stage,
            machine.file,
            machine.percent,
            machine.rate if current else None,
            (machine.ended_at or now) - machine.began_at,
            machine.retries + machine.resent,
        )

    def _machine(self, mac: bytes, address: int, name: str, at: float) -> _Machine:
        key = mac or address
        machine = self._machines.get(key)
        if machine is None:
            machine = self._machines[key] = _Machine("", mac, at, at)
            if len(self._machines) > MACHINES:
                self._machines.popitem(last=False)
        self._machines.move_to_end(key)
        machine.name = name or machine.name or (mac_text(mac) if mac else address_text(address))
        return machine

    @staticmethod
    def _begin(machine: _Machine, at: float) -> None:
        machine.began_at, machine.ended_at = at, None
        machine.stage, machine.depth = "", -1
        machine.file, machine.percent, machine.retries = "", None, 0

    @staticmethod
    def _stage(event: Event) -> tuple[str, int]:
        if event.kind == "install.state":
            state = str(event.detail.get("state"))
            return state, _INSTALL.get(state, 0)
        return _STAGES.get(event.kind, ("", -1))
