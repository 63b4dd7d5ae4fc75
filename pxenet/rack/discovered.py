"""Machines that were booted to tell what they are: what each said, and in a few words.

Knows their words and how people name machines. Must not know how the words came, nor what becomes of the machines.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from types import MappingProxyType

from pxenet.model import DiscoveredMachine
from pxenet.wire import discovery
from pxenet.wire.discovery import Hardware
from pxenet.wire.reader import WireError
from pxenet.wire.text import mac_text

KEPT = 16_384
"""Machines whose words are remembered; those that were told longest ago go first."""

_MEANINGLESS = frozenset(
    {
        "",
        "none",
        "n/a",
        "0",
        "default string",
        "not specified",
        "not applicable",
        "system serial number",
        "to be filled by o.e.m.",
    }
)
"""What board makers leave in SMBIOS fields: no two machines are told apart by it."""

_UNITS = MappingProxyType({"TB": 10**12, "GB": 10**9, "MB": 10**6})


class Discovered:
    """What machines said, by the keys of their states."""

    def __init__(self, stored: Iterable[DiscoveredMachine]) -> None:
        self._machines: OrderedDict[str, tuple[DiscoveredMachine, Hardware]] = OrderedDict()
        for record in sorted(stored, key=lambda record: record.at):
            self.take(record)

    def take(self, record: DiscoveredMachine) -> Hardware:
        """From now on this is what the machine said last."""
        try:
            hardware = discovery.parse(record.told.encode())
        except WireError:  # of a store of another version
            hardware = Hardware()
        self._machines[record.key] = record, hardware
        self._machines.move_to_end(record.key)
        if len(self._machines) > KEPT:
            self._machines.popitem(last=False)
        return hardware

    def of(self, key: str) -> Hardware | None:
        """The machine whose state is stored under this key, if it has told."""
        found = self._machines.get(key)
        return found[1] if found is not None else None

    def all(self) -> Iterator[tuple[DiscoveredMachine, Hardware]]:
        """Every machine, the one that told last at the end."""
        yield from self._machines.values()


def record(key: str, at: float, hardware: Hardware) -> DiscoveredMachine:
    """What is to be stored of a machine's words."""
    return DiscoveredMachine(key, at, discovery.serialize(hardware).decode())


def serial_of(hardware: Hardware) -> str:
    """Its serial number; empty when that tells no machine from another."""
    return "" if hardware.serial.lower() in _MEANINGLESS else hardware.serial


def row_of(hardware: Hardware) -> dict[str, object]:
    """The machine as JSON has it."""
    nics = [asdict(nic) | {"mac": mac_text(nic.mac)} for nic in hardware.nics]
    return asdict(hardware) | {"nics": nics}


def words_of(hardware: Hardware) -> str:
    """The machine in a line."""
    named = " ".join(filter(None, (hardware.vendor, hardware.product)))
    serial = f"serial {hardware.serial}" if serial_of(hardware) else ""
    memory = f"{_size(hardware.memory_bytes)} of memory" if hardware.memory_bytes else ""
    parts = [named, serial, f"{hardware.cpus} CPUs" if hardware.cpus else "", memory]
    parts += [f"{disk.name} {_size(disk.size_bytes)}" for disk in hardware.disks] or ["no disk"]
    parts += [f"{nic.name} {mac_text(nic.mac)}" for nic in hardware.nics]
    return ", ".join(filter(None, parts))


def _size(size_bytes: int) -> str:
    return next(
        (f"{size_bytes / unit:.3g} {name}" for name, unit in _UNITS.items() if size_bytes >= unit), f"{size_bytes} B"
    )
