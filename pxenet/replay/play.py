"""The machines of one capture play their boots again, before the rack of a configuration, in virtual time.

Knows how the rack, the link and the machines are put together. What came of it is told by ``verdict`` and ``compare``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import unquote, urlsplit

from pxenet.answer.engines import HERE, Engine
from pxenet.boot.images import HEAD_BYTES, unfit
from pxenet.config import DhcpMode, Settings
from pxenet.events import Event
from pxenet.model import Absent, Content, Host, at_once
from pxenet.rack import Rack
from pxenet.rack.recorder import Recorder
from pxenet.replay.beside import OtherServer, other_server
from pxenet.replay.cast import Role, cast, relay_of
from pxenet.replay.recorded import Recorded
from pxenet.replay.wires import Wires, wires
from pxenet.sim.body import ClientSend, Manners, SimDatagram
from pxenet.sim.faults import STILL
from pxenet.sim.ledger import Ledger
from pxenet.sim.link import BEGAN_AT, Link
from pxenet.sim.machine import Machine
from pxenet.sim.sides import Plug, Ports
from pxenet.store.base import Store
from pxenet.store.memory import MemoryStore

PATIENCE_S = 6 * 3600.0
"""After the last machine was switched on: whoever has not come to an end by then never will."""

_GRACE_S = 1800.0
"""So long a power-on waits for the end of the boot before it. Installers that are played may be slower than the captured ones were, and
whoever switched on a machine again that hung will see whether it hangs before this configuration."""
_LOOKS_AGAIN_S = 1.0

_TID_PORTS = tuple(range(30000, 30008))


@dataclass(frozen=True, slots=True)
class Unfit:
    """A file that is no boot program for who read it."""

    words: str
    """As ``boot.images.unfit`` has them."""
    arch: str
    origin: str
    """The file that was served; empty when it is none."""


@dataclass(slots=True)
class Part:
    """One machine in a play: its role, and what became of it. A role of None was not played."""

    recorded: Recorded
    host: Host | None
    """Whom of the configuration it stands for, by ``--map``."""
    role: Role | None
    machine: Machine | None = None
    plug: Plug | None = None
    mode: DhcpMode = DhcpMode.SERVER
    other: OtherServer | None = None
    events: list[tuple[float, Event]] = field(default_factory=list)
    """What the server would have told people about it, with the time."""
    ended_at: float | None = None
    unfit: Unfit | None = None
    """The boot program that its firmware refused last."""
    waited_s: float = 0.0
    """So much later than captured it was switched on: the boot before it had not come to its end."""
    cut_short: bool = False
    """Its next power-on could wait no longer for its end."""


@dataclass(slots=True)
class Play:
    """A capture that was played."""

    parts: list[Part]
    rack: Rack
    wires: Wires
    events: list[tuple[float, Event]]
    """All of them: some are told once for a whole network."""
    packets: int = 0
    """Datagrams that were carried."""


class _Troupe:
    """The machines for the link, and the books on them; see ``sim.sides.Crew``."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.machines: list[Machine] = [part.machine for part in parts if part.machine is not None]
        self.index_of: dict[bytes, int] = {}
        self._before = _boots_before(parts)
        self.ledger = Ledger()
        self._running = len(parts)

    @property
    def done(self) -> bool:
        return not self._running

    def under_way(self, part: Part) -> bool:
        """Of the boots of its machine it is the one that was begun last."""
        machine = part.machine
        return machine is not None and self._parts[self.index_of.get(machine.mac, -1)] is part

    def times(self) -> list[float]:
        return [part.recorded.began_s for part in self._parts]

    def not_before(self, index: int, now: float) -> float | None:
        before = self._before[index]
        if before is None or self._parts[before].ended_at is not None:
            return None
        part = self._parts[index]
        if part.waited_s >= _GRACE_S:
            return None
        part.waited_s += _LOOKS_AGAIN_S
        return now + _LOOKS_AGAIN_S

    def switched_on(self, index: int, now: float) -> None:
        mac = self.machines[index].mac
        before = self.index_of.get(mac)
        if before is not None and before != index and self._parts[before].ended_at is None:
            # One machine has one body: what its boot before was still doing ends with the button.
            self.machines[before].power_off()
            self._parts[before].cut_short = True
            self.ended(before, now)
        self.index_of[mac] = index

    def heard(self, payload: bytes, now: float) -> None:
        self.ledger.heard(payload, now)

    def ended(self, index: int, now: float) -> float | None:
        if self._parts[index].ended_at is None:
            self._parts[index].ended_at = now
            self._running -= 1
        return None


def _boots_before(parts: Sequence[Part]) -> list[int | None]:
    """For each boot the one before it of the same machine."""
    found: list[int | None] = [None] * len(parts)
    latest: dict[bytes, int] = {}
    for index in sorted(range(len(parts)), key=lambda index: parts[index].recorded.began_s):
        machine = parts[index].machine
        assert machine is not None
        found[index] = latest.get(machine.mac)
        latest[machine.mac] = index
    return found


class Witness(Recorder, Protocol):
    """Somebody who is told of each decision."""

    def attend(self, rack: Rack, clock: Callable[[], float]) -> None:
        """The play begins, before this rack; ``clock`` tells its time."""
        ...


def parts_of(recorded: Sequence[Recorded], mapped: Mapping[bytes, Host] | None = None) -> list[Part]:
    """The boots of one capture, cast. ``mapped``: captured hardware addresses → hosts whose parts they take."""
    hosts = mapped or {}
    return [Part(one, hosts.get(one.mac), cast(one, hosts.get(one.mac))) for one in recorded]


def play(
    settings: Settings,
    parts: list[Part],
    *,
    store: Store | None = None,
    witness: Witness | None = None,
    began_at: float = BEGAN_AT,
    engine: Engine = HERE,
) -> Play:
    """Play these boots. ``store``: what the server knows already; None: nothing. ``began_at``: its clock at the beginning."""
    placed = wires(settings, [part.recorded for part in parts])
    on_stage = [part for part in parts if part.role is not None]
    events: list[tuple[float, Event]] = []
    by_mac: dict[bytes, list[Part]] = {}

    def tell(event: Event) -> None:
        events.append((link.now, event))
        own = by_mac.get(event.mac, ())
        for part in own:
            if len(own) == 1 or troupe.under_way(part):
                part.events.append(events[-1])

    def answer_beside(index: int, send: ClientSend) -> Sequence[SimDatagram]:
        other = on_stage[index].other
        return other.answer(send) if other is not None else ()

    for number, part in enumerate(on_stage):
        _dress(part, placed, number)
        assert part.machine is not None
        by_mac.setdefault(part.machine.mac, []).append(part)
    troupe = _Troupe(on_stage)
    link = Link(troupe, faults=STILL, beside=answer_beside, began_at=began_at)
    store = MemoryStore(bytes(32)) if store is None else store
    rack = Rack(
        placed.settings,
        store,
        interfaces=placed.interfaces,
        tell=tell,
        clock=link.clock,
        tid_ports=_TID_PORTS,
        engine=engine,
    )
    if witness is not None:
        witness.attend(rack, link.clock)
        rack.record(witness)
    for part in on_stage:
        assert part.machine is not None
        part.machine.manners = _with_judge(part, part.machine, rack)
    dhcp = placed.settings.dhcp
    link.serve(
        rack,
        placed.settings.server.address or placed.interfaces[0].addresses[0][0],
        store.commit,
        ports=Ports(dhcp.port, dhcp.proxy_port, placed.settings.tftp.port),
        plugs=[part.plug for part in on_stage if part.plug is not None],
    )
    last = max((part.recorded.began_s for part in on_stage), default=0.0)
    link.run(last + PATIENCE_S)
    return Play(parts, rack, placed, events, link.traffic.sent)


def _dress(part: Part, placed: Wires, number: int) -> None:
    role = part.role
    assert role is not None
    part.plug = placed.plug(role, part.host or _host_of(placed.settings, role))
    part.mode = placed.mode(role, part.host)
    part.other = other_server(part.recorded) if part.mode is not DhcpMode.SERVER else None
    part.machine = Machine(
        role.personality,
        role.mac,
        number,
        relay=relay_of(role, placed.settings.server.address or part.plug.address),
        uuid=role.uuid,
        serial=part.host.serial or "" if part.host is not None else "",
        manners=role.manners,
    )


def _host_of(settings: Settings, role: Role) -> Host | None:
    return next((host for host in settings.hosts if role.mac in host.macs), None)


def _with_judge(part: Part, machine: Machine, rack: Rack) -> Manners:
    def judge(name: str, arch: str) -> str:
        content = find(rack, machine.address, name)
        if not isinstance(content, Content):
            return ""
        words = unfit(path_of(name), head_of(content), arch)
        part.unfit = Unfit(words, arch, origin_of(content)) if words else None
        return words

    return replace(machine.manners, judge=judge)


def path_of(name: str) -> str:
    """A name in the tree: of a URL its path, of a name by TFTP the name."""
    return unquote(urlsplit(name).path).lstrip("/") if "://" in name else name


def find(rack: Rack, address: int, name: str) -> Content | Absent:
    """What the rack has under a name, for whoever has this address now."""
    return at_once(rack.tree.find(path_of(name), rack.asker(address), rack.clock()))


def origin_of(content: Content) -> str:
    """The path of the file that it is, or begins with; empty: it is made, or the file is not known by a name."""
    for segment in content.segments:
        if not isinstance(segment, bytes):
            try:
                return os.readlink(f"/proc/self/fd/{segment.file.fd}")
            except OSError:
                return ""
    return ""


def head_of(content: Content) -> bytes:
    """Its first bytes; of a file that cannot be read: none."""
    head = b""
    for segment in content.segments:
        if len(head) >= HEAD_BYTES:
            break
        if isinstance(segment, bytes):
            head += segment[:HEAD_BYTES]
            continue
        try:
            head += os.pread(segment.file.fd, min(segment.length, HEAD_BYTES), segment.offset)
        except OSError:
            return b""
    return head[:HEAD_BYTES]
