"""A machine with real firmware among the simulated ones: QEMU on a bridge of its own, by the lab's means.

Everything happens in a network namespace that ends with the demo: the server listens there on the loopback, for the simulated
machines, and on the bridge.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import trio
from labkit import isolate, packages, payload
from labkit.machine import Machine, PowerOn, power_on, usable_kvm
from labkit.run import first_fault, second_fault
from labkit.scenarios import SCENARIOS
from labkit.wire import Wire

from demokit.server import Line
from pxenet.cli.board import Board, BoardRow
from pxenet.events import KINDS, Event
from pxenet.wire.text import parse_mac

INSIDE = isolate.INSIDE
_SCENARIO = SCENARIOS[0]
_NAME = "qemu-bios"
_NETWORK = "10.77.0.0/24"
_RECORDERS = frozenset({"tshark", "wireshark-common"})
"""The lab needs them, and this does not: nothing is recorded here."""
_POWER_ON_S = 180.0
_CLONE_NEWNET = 0x40000000

_MARKS = {"kernel": "starts up", "address": "starts up", "answer": "answered", "installed": "reports"}
"""What the console's marks make of the stage."""


def obstacle() -> str:
    """Why no QEMU machine can take part here, with what would help; or ""."""
    lacking = [package for package in packages.missing([_SCENARIO]) if package not in _RECORDERS]
    if lacking:
        sudo = "" if os.geteuid() == 0 else "sudo "
        return f"for a QEMU machine: {sudo}apt-get install --no-install-recommends {' '.join(lacking)}"
    return isolate.obstacle().replace("the lab", "a QEMU machine").replace("tools/lab", "tools/demo --qemu")


def outside(argv: list[str]) -> int:
    """This very command again, in a namespace of its own; its exit status."""
    status = isolate.outside([sys.executable, "-P", "-m", "demokit", *argv])
    if sys.stdout.isatty():
        print("\033[?25h", end="", flush=True)  # who was ended in the middle could not give the cursor back
    return status


class Guest:
    """The machine, its wire and its files. Made inside the namespace; enters the server's network with this thread."""

    name = _NAME

    def __init__(self, directory: Path) -> None:
        logs = directory / "logs"
        logs.mkdir()
        self._logs = logs
        payload.build(directory / "tiny", {_SCENARIO.disk})
        self._wire = Wire("demo", _NETWORK, logs)
        netdev = self._wire.plug("port0", directory)
        self._machine = Machine(_NAME, _SCENARIO.firmware, _SCENARIO.mac, netdev, directory / "disk")
        self.prefix = self._wire.rack.argv()
        self.problem = "it was not switched on"
        self.account = ""
        self._mac = parse_mac(_SCENARIO.mac)
        self._board = Board(lambda mac: "QEMU")
        self._owners: dict[str, bytes] = {}
        self._stage = "off"
        self._told = ""
        self._began_at = self._ended_at = 0.0
        self._over = False
        _enter(self._wire.rack.holder.pid)

    @property
    def network(self) -> str:
        """The wire's part of the configuration."""
        return f'[[dhcp.subnet]]\nnetwork = "{_NETWORK}"\npool = "10.77.0.100-10.77.0.199"\n'

    @property
    def configuration(self) -> str:
        """The machine's and its profile's part."""
        return (
            '[[profile]]\nname = "tiny"\nsource = "tiny"\nkernel = "linux"\ninitrd = ["initrd.gz"]\n'
            'args = "console=ttyS0 quiet"\nanswer = "ks.cfg.j2"\n\n'
            f'[[host]]\nmac = "{_SCENARIO.mac}"\nname = "{_NAME}"\nprofile = "tiny"\n'
        )

    async def run(self, console: Callable[[str], None]) -> None:
        """Two power-ons: it installs, and boots its disk. What was wrong is in ``problem`` then."""
        self._began_at = time.monotonic()
        try:
            first = await self._power_on(1, console)
            fault = first_fault(first)
            if not fault:
                self._stage = "installed"
                second = await self._power_on(2, console)
                fault = second_fault(second, _SCENARIO.disk_mark)
                took = f"{first.lasted_s:.0f} s for the installation, {second.lasted_s:.0f} s for its disk"
                self.account = f"{took}, {'with KVM' if usable_kvm() else 'its processor emulated'}"
            self.problem = f"{_NAME}: {fault}" if fault else ""
            self._stage = "failed" if fault else "disk boots"
        finally:
            self._over = True
            self._ended_at = time.monotonic()

    async def _power_on(self, number: int, console: Callable[[str], None]) -> PowerOn:
        def watch(line: str) -> None:
            trio.from_thread.run_sync(self._look, line, number, console)

        self._stage = "self-test"
        log = self._logs / f"{number}.serial"
        return await trio.to_thread.run_sync(
            lambda: power_on(self._machine, self._wire.rack, log, _POWER_ON_S, watch, lambda: not self._over),
            abandon_on_cancel=True,
        )

    def _look(self, line: str, number: int, console: Callable[[str], None]) -> None:
        console(line)
        stage = next((words for mark, words in _MARKS.items() if f"@lab {mark}" in line), "")
        if stage and number == 1:
            self._stage = stage

    def hear(self, said: Line, now: float) -> None:
        """A line of the server's; those of other machines are passed over."""
        detail = said.get("detail")
        if said.get("kind") not in KINDS or not isinstance(detail, dict):
            return
        mac, address = str(said.get("mac") or ""), str(said.get("address") or "")
        if said["kind"] == "dhcp.ack" and mac:
            self._owners[str(detail.get("given"))] = parse_mac(mac)
        if (parse_mac(mac) if mac else self._owners.get(address)) != self._mac:
            return
        self._board.told(Event(str(said["kind"]), self._mac, 0, detail), _NAME, now)
        if self._stage not in ("installed", "disk boots") and said["kind"] in ("dhcp.offer", "dhcp.ack", "tftp.start"):
            self._stage = {"dhcp.offer": "asks", "dhcp.ack": "address", "tftp.start": "loading"}[str(said["kind"])]

    def row(self, now: float) -> BoardRow:
        """Its row in the table."""
        found = self._board.rows(now, 1)
        file, rate, retries = (found[0].file, found[0].rate, found[0].retries) if found else ("", None, 0)
        elapsed = (self._ended_at or now) - self._began_at if self._began_at else 0.0
        shown = "" if self._over or self._stage not in ("loading", "answered") else file
        return BoardRow(_NAME, "SeaBIOS", self._stage, shown, None, rate, elapsed, retries)

    def news(self, now: float) -> Iterator[str]:
        """A line when it has got on since the last call."""
        if self._stage != self._told:
            self._told = self._stage
            yield f"{_NAME:14} {self._stage}"


def _enter(pid: int) -> None:
    """Move this thread, and those that it starts, into the network of a process (setns(2); in ``os`` from Python 3.12 on)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot enter the server's network namespace")
    finally:
        os.close(descriptor)
