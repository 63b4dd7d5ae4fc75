"""Power cuts, which ``kill -9`` does not test: the page cache survives a process, and not a power failure.

The server runs under strace in a storm. In the order of its system calls, each ACK and each answered report must come after a flush
that covers what it promises: a disk that holds only what was flushed before is opened and asked. At other instants, chosen by the
seed, chance also keeps parts of what was not flushed; the store must open, and hold every promise made before. Then servers that
break their word are run the same way, and must be caught.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from provekit.image import Disk, write_image
from provekit.launch import Place, Server, make_place
from provekit.lease_storm import LeaseStorm
from provekit.promises import Promises
from provekit.registry import CannotRunError, Options, Result
from provekit.reports import Reporter
from provekit.trace import Event, FlushEnds, Sent, read, strace
from provekit.weaken import WEAK
from pxenet.model import InstallState
from pxenet.store.base import StoreError
from pxenet.store.sqlite import open_sqlite, read_sqlite
from pxenet.wire.dhcp import parse
from pxenet.wire.iana import BOOTREPLY, MessageType
from pxenet.wire.reader import WireError
from pxenet.wire.text import address_text

ACKS_PER_FLUSH = 8
"""What the issue asks for under load."""

_DONE = frozenset({InstallState.INSTALLED, InstallState.FAILED})


@dataclass(slots=True)
class Recorded:
    """What a server did under load."""

    place: Place
    events: list[Event]
    reports: list[str]
    """Keys of the machines whose reports were answered 200, in order."""


@dataclass(slots=True)
class Finding:
    """What the order of system calls shows."""

    acks: int = 0
    flushes: int = 0
    """Under load: from the first ACK to the last."""
    reports: int = 0
    images: int = 0
    torn: int = 0
    faults: list[str] = field(default_factory=list)


def run(options: Options) -> Result:
    """See the module's text. ``count`` ACKs."""
    if shutil.which("strace") is None:
        raise CannotRunError("strace is missing: apt-get install strace")
    result = Result()
    options.say("the server under load")
    recorded = _record(options, "sound", options.count)
    finding = _judge(options, recorded, "sound", cuts=30 if options.short else 300)
    result.faults += finding.faults
    per_flush = finding.acks / max(finding.flushes, 1)
    result.figure("ACKs under strace", finding.acks)
    result.figure("flushes under load", finding.flushes)
    result.figure("ACKs per flush", round(per_flush, 1))
    result.figure("reports answered 200", finding.reports)
    result.figure("disks of flushed bytes opened", finding.images)
    result.figure("torn disks opened", finding.torn)
    result.figure("sent before its flush, or lost", len(finding.faults))
    if per_flush < ACKS_PER_FLUSH:
        result.faults.append(f"only {per_flush:.1f} ACKs per flush under load; {ACKS_PER_FLUSH} are wanted")
    for name, script in WEAK.items():
        options.say(f"a server that breaks its word: {name}")
        caught = _judge(options, _record(options, name.split()[0], 300, script), name.split()[0], cuts=0)
        result.figure(f"caught: {name}", f"{len(caught.faults)} of {caught.acks + caught.reports}")
        if not caught.faults:
            result.faults.append(f"a server with {name} was not caught: this proof shows nothing")
    return result


def _record(options: Options, name: str, acks: int, script: str = "") -> Recorded:
    """Load a server that makes its own store, under strace, until so many ACKs have come."""
    directory = options.directory / name
    directory.mkdir()
    place = make_place(directory, options.chance("place", name), with_store=False)
    server = Server(place, prefix=strace(directory / "trace"), script=script)
    promises = Promises()
    storm = LeaseStorm(place, promises, options.chance("storm", name), machines=4000, width=128, releases=False)
    reporter = Reporter(place, promises, options.chance("reports", name))
    try:
        if not server.ready():
            raise CannotRunError(f"the server does not start under strace: {server.said()[-500:]}")
        store = read_sqlite(place.state)
        reporter.arm(store)
        store.close()
        reporter.begin()
        storm.blow(lambda: promises.acks >= acks)
        reporter.end()
    finally:
        server.kill()
        storm.close()
    events = list(read(directory / "trace", place.state))
    (directory / "trace").unlink()
    return Recorded(place, events, reporter.accepted)


class _Judge:
    """Goes through what happened, with the disk beside it."""

    def __init__(self, recorded: Recorded, directory: Path) -> None:
        self._directory = directory
        self._reports = recorded.reports
        self.disk = Disk(recorded.place.state)
        self.finding = Finding()
        self._opened_version = -1
        self._leases: dict[int, bytes] = {}
        self._states: dict[str, InstallState] = {}
        self._why = ""
        self.acked: dict[int, bytes] = {}
        self.reported: list[str] = []
        self.flush_ends = 0
        self._flushes_at: list[int] = []

    def take(self, event: Event) -> None:
        """The next event."""
        if isinstance(event, FlushEnds):
            self.flush_ends += 1
        if not isinstance(event, Sent):
            self.disk.happened(event)
            return
        ack = _ack(event.payload)
        if ack is not None:
            address, mac = ack
            self.acked[address] = mac
            self.finding.acks += 1
            self._flushes_at.append(self.flush_ends)
            self._open_flushed()
            if self._leases.get(address) != mac:
                self.finding.faults.append(f"the ACK of {address_text(address)} left before its flush{self._why}")
        elif b": noted\n" in event.payload and len(self.reported) < len(self._reports):
            key = self._reports[len(self.reported)]
            self.reported.append(key)
            self.finding.reports += 1
            self._open_flushed()
            if self._states.get(key) not in _DONE:
                self.finding.faults.append(f"the 200 to the report of {key} left before its flush{self._why}")

    def cut(self, chance: Random, note: str) -> dict[str, bytes]:
        """The power fails here: everything promised so far must be on what is left of the disk."""
        image = self.disk.image(chance)
        self.finding.torn += 1
        self._open(image)
        lost = [address for address, mac in self.acked.items() if self._leases.get(address) != mac]
        if self._why or lost:
            self.finding.faults.append(f"{note}: {len(lost)} of {len(self.acked)} leases are lost{self._why}")
        undone = [key for key in self.reported if self._states.get(key) not in _DONE]
        if undone:
            self.finding.faults.append(f"{note}: the reports of {', '.join(undone)} are lost")
        self._opened_version = -1
        return image

    def done(self) -> Finding:
        """Everything found."""
        if self._flushes_at:
            self.finding.flushes = self._flushes_at[-1] - self._flushes_at[0]
        return self.finding

    def _open_flushed(self) -> None:
        if self._opened_version != self.disk.version:
            self._opened_version = self.disk.version
            self.finding.images += 1
            self._open(self.disk.image())

    def _open(self, image: dict[str, bytes]) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        write_image(image, self._directory)
        self._leases, self._states, self._why = {}, {}, ""
        try:
            store = open_sqlite(self._directory)
            self._leases = {lease.address: lease.mac for lease in store.leases()}
            self._states = {record.key: record.state for record in store.installs()}
            store.close()
        except StoreError as error:
            self._why = f" (the store does not open: {error})"


def _judge(options: Options, recorded: Recorded, name: str, cuts: int) -> Finding:
    chance = options.chance("cuts", name)
    at = Counter(chance.randrange(len(recorded.events)) for _ in range(cuts))
    judge = _Judge(recorded, options.directory / f"{name}-image")
    survivors: list[dict[str, bytes]] = []
    for index, event in enumerate(recorded.events):
        judge.take(event)
        for _ in range(at[index]):
            image = judge.cut(chance, f"cut after event {index}")
            if len(survivors) < 3 and judge.acked:
                survivors.append(image)
    finding = judge.done()
    for number, image in enumerate(survivors):
        finding.faults += _serves(options, recorded.place, image, f"{name}-{number}")
    return finding


def _serves(options: Options, place: Place, image: dict[str, bytes], name: str) -> list[str]:
    """The real server starts on what a power cut has left."""
    state = options.directory / f"survivor-{name}"
    write_image(image, state)
    config = place.directory / "rack.toml"
    before = config.read_text()
    config.write_text(before.replace(f'"{place.state}"', f'"{state}"'))
    server = Server(place, name="survivor")
    try:
        return [] if server.ready() else [f"the server does not start after a cut: {server.said()[-300:]}"]
    finally:
        server.kill()
        config.write_text(before)


def _ack(payload: bytes) -> tuple[int, bytes] | None:
    """(address, hardware address) of a DHCPACK that gives an address."""
    if not payload.startswith(bytes((BOOTREPLY, 1))):
        return None
    try:
        message = parse(payload)
    except WireError:
        return None
    if message.message_type != MessageType.ACK or not message.yiaddr:
        return None
    return message.yiaddr, message.hardware
