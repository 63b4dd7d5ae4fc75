"""DHCP through a relay: DISCOVER to ACK beside Kea, also by its own perfdhcp; with many leases held; and how soon a server answers."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pxenet
from bench.generator import Load, LoadError, clients
from bench.process import Process, as_installed
from bench.row import Figure, Place, Row, Sample, Target
from bench.run import LOAD_CORE, SERVER_CORE, wait_until
from bench.servers import KEA, PXENET_DHCP, Server, state_of
from bench.wire import CLIENT, SERVER, Wire
from pxenet.model import Lease, Verdict
from pxenet.store.sqlite import open_sqlite

HELD = 100_000
_EMPTY = replace(PXENET_DHCP, name="none held")
_FIRST_ADDRESS = (10 << 24) + (65 << 16)
_PROBES = 3_000_000
"""Machines from this number on only look whether the server is there."""


def exchanges(place: Place, wire: Wire, **options: object) -> Load:
    """The generator's DHCP clients, on the far host."""
    return clients("dhcp", place.program, LOAD_CORE, {"server": SERVER, "relay": CLIENT, **options}, wire.through)


def answers(place: Place, wire: Wire) -> bool:
    """A machine gets an address."""
    return exchanges(place, wire, exchanges=1, first=_PROBES, timeout=0.1, tries=1).complete == 1


@dataclass(frozen=True, slots=True)
class _Exchanges:
    """So many machines, each with an exchange of four."""

    options: Mapping[str, object]

    @property
    def servers(self) -> Sequence[Server]:
        """Both."""
        return [PXENET_DHCP, KEA]

    def prepare(self, place: Place) -> None:
        """Nothing: no file is read."""

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """All exchanges of one run."""
        with Wire() as wire, Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
            wait_until(process, lambda: answers(place, wire))
            before_s = process.cpu_s()
            load = exchanges(place, wire, **self.options)
            return Sample(load, process.cpu_s() - before_s)


@dataclass(frozen=True, slots=True)
class _Perfdhcp:
    """Kea's own load generator at a steady rate, which both servers keep up with."""

    rate: int
    seconds: int

    @property
    def servers(self) -> Sequence[Server]:
        """Both."""
        return [PXENET_DHCP, KEA]

    def prepare(self, place: Place) -> None:
        """The program must be there."""
        if shutil.which("perfdhcp") is None:
            raise LoadError("no perfdhcp: apt-get install kea-admin")

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """One run of it."""
        with Wire() as wire, Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
            wait_until(process, lambda: answers(place, wire))
            before_s = process.cpu_s()
            words = ["-4", "-l", CLIENT, "-r", str(self.rate), "-p", str(self.seconds), "-R", "1000000", "-W", "500000"]
            load = _perfdhcp([*wire.through, "taskset", "-c", str(LOAD_CORE), "perfdhcp", *words, SERVER])
            return Sample(load, process.cpu_s() - before_s)


def _perfdhcp(command: Sequence[str]) -> Load:
    began_at, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    after, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began_at
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return read_perfdhcp(done.stdout, wall_s, used_s)


def read_perfdhcp(said: str, wall_s: float, cpu_s: float) -> Load:
    """What perfdhcp reports at its end: an exchange that never got its ACK has failed. Raises LoadError."""
    sent = [int(number) for number in re.findall(r"sent packets: (\d+)", said)]
    received = [int(number) for number in re.findall(r"received packets: (\d+)", said)]
    if len(sent) != 2 or len(received) != 2:
        raise LoadError(f"perfdhcp says {said[-300:]!r}")
    lost = sent[0] - received[1]
    return Load(wall_s, cpu_s, 0, sum(received), received[1], lost, 0, "perfdhcp counts drops" if lost else "")


class _Held:
    """Exchanges beside many leases that are held already; what these cost in memory and at the start."""

    def __init__(self, options: Mapping[str, object]) -> None:
        self._options = options
        self._empty_bytes = 0

    @property
    def servers(self) -> Sequence[Server]:
        """With them, and without."""
        return [PXENET_DHCP, _EMPTY]

    def prepare(self, place: Place) -> None:
        """A store full of leases; the memory of a server without."""
        _fill(place.root.parent / "held")
        work = place.root.parent / "empty"
        work.mkdir()
        with Wire() as wire, Process(PXENET_DHCP.commands(place.root, work), SERVER_CORE, work / "output") as process:
            wait_until(process, lambda: answers(place, wire))
            self._empty_bytes = process.resident_bytes()

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """All exchanges of one run."""
        if server is PXENET_DHCP:
            shutil.copytree(place.root.parent / "held", state_of(work))
        with Wire() as wire:
            began_at = time.monotonic()
            with Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
                wait_until(process, lambda: _answers_at_once(place, wire), 0.0)
                start_s, more_bytes = time.monotonic() - began_at, process.resident_bytes() - self._empty_bytes
                before_s = process.cpu_s()
                load = exchanges(place, wire, first=HELD, **self._options)
                used_s = process.cpu_s() - before_s
        return Sample(load, used_s, {"start s": start_s, "KiB a lease": more_bytes / 1024 / HELD})


def _fill(directory: Path) -> None:
    store = open_sqlite(directory)
    expires_at = time.time() + 86_400
    leases = []
    for number in range(HELD):
        mac = b"\x02\x01" + number.to_bytes(4, "big")
        leases.append(Lease(_FIRST_ADDRESS + number, b"\x01" + mac, mac, expires_at))
    verdicts = store.commit(leases)
    store.close()
    if any(verdict is not Verdict.DURABLE for verdict in verdicts):
        raise LoadError("the store does not take the leases")


def _answers_at_once(place: Place, wire: Wire) -> bool:
    """As ``answers``, asking every 10 ms so that the first moment is seen."""
    return exchanges(place, wire, exchanges=1, first=_PROBES, timeout=0.01, tries=500).complete == 1


@dataclass(frozen=True, slots=True)
class _Start:
    """From the command to the first machine that has its address."""

    @property
    def servers(self) -> Sequence[Server]:
        """Ours; Kea's for comparison."""
        return [PXENET_DHCP, KEA]

    def prepare(self, place: Place) -> None:
        """The modules are compiled, as they are once they were installed; the server begins with nothing else."""
        package = Path(pxenet.__file__).parent
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], env=as_installed(), check=False)

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """One start."""
        with Wire() as wire:
            began_at = time.monotonic()
            with Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
                load = exchanges(place, wire, exchanges=1, timeout=0.01, tries=1000)
                start_s = time.monotonic() - began_at
                return Sample(replace(load, cpu_s=0.0, retransmits=0), process.cpu_s(), {"start s": start_s})


ROWS = (
    Row(
        "DHCP DISCOVER..ACK, 64 at once",
        _Exchanges({"slots": 64, "exchanges": 20_000, "first": HELD}),
        (Figure("per CPU s", lambda sample: sample.done_per_cpu_s, (Target("kea-dhcp4", 2.0),)),),
    ),
    Row(
        "DHCP DISCOVER..ACK, perfdhcp, 2000 a second",
        _Perfdhcp(2_000, 5),
        (Figure("per CPU s", lambda sample: sample.done_per_cpu_s, (Target("kea-dhcp4", 2.0),)),),
    ),
    Row(
        "DHCP with 100 000 leases held",
        _Held({"slots": 64, "exchanges": 20_000}),
        (
            Figure("per CPU s", lambda sample: sample.done_per_cpu_s, (Target(_EMPTY.name, 0.9),)),
            Figure("KiB a lease", lambda sample: sample.more["KiB a lease"], (Target("", most=1),)),
            Figure("start s", lambda sample: sample.more["start s"], (Target("", most=2),)),
        ),
    ),
    Row(
        "start to first answer",
        _Start(),
        (Figure("s", lambda sample: sample.more["start s"], (Target("", most=0.5),)),),
    ),
)
