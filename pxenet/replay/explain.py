"""Why machines get what they get: their boot before the rack of a configuration, with every decision told as it is taken.

A machine that is only named is played by a personality, a captured one by its own words, a packet by itself; each meets the rack that
the server is made of, with what the server's store knows. Nothing is decided here: see ``reasons``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from pxenet.answer.engines import HERE, Engine
from pxenet.config import Settings
from pxenet.engine.dhcp.client import boot_client
from pxenet.model import Host, SeenHost
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.rack import Rack
from pxenet.rack.discreet import hidden
from pxenet.replay.cast import Role as Character
from pxenet.replay.notebook import Case, Decision, Notebook, Search, Serving
from pxenet.replay.play import Part, parts_of, play
from pxenet.replay.recorded import DhcpSaid, Recorded
from pxenet.replay.verdict import stop_of
from pxenet.replay.wires import wires
from pxenet.sim.body import Manners
from pxenet.sim.firmware import BIOS_ROM, PERSONALITIES, Personality
from pxenet.sim.link import BEGAN_AT
from pxenet.store.base import Store
from pxenet.store.memory import MemoryStore
from pxenet.wire.dhcp import Message, parse
from pxenet.wire.iana import BOOTREQUEST, architecture_name
from pxenet.wire.text import mac_text, parse_uuid

FIRMWARE: Mapping[str, Personality] = MappingProxyType(
    {
        "bios": BIOS_ROM,
        "x64": PERSONALITIES["uefi"],
        "ia32": PERSONALITIES["uefi-ia32"],
        "arm64": PERSONALITIES["uefi-arm64"],
        "http": PERSONALITIES["http"],
        "http-arm64": PERSONALITIES["http-arm64"],
        "ipxe": PERSONALITIES["ipxe"],
        "ipxe-bios": PERSONALITIES["bios"],
        "u-boot": PERSONALITIES["u-boot"],
        "raspberry": PERSONALITIES["raspberry"],
        "raspberry-4": PERSONALITIES["raspberry-4"],
    }
)
"""Who plays a machine of which nothing was captured, by the name that ``--arch`` gives."""

_BY_ARCH = {0: "bios", 6: "ia32", 7: "x64", 9: "x64", 11: "arm64", 16: "http", 15: "http", 19: "http-arm64"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One machine's boot, explained."""

    machine: str
    """Hardware address, with the host's name if it has one."""
    played: str
    """By whom, and by what evidence."""
    steps: tuple[Decision | Serving, ...]
    end: str = ""
    """How the boot ends, in words; empty when only one packet was looked at."""
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, object]:
        """For programs."""
        return {
            "machine": self.machine, "played": self.played, "steps": [step.record() for step in self.steps], "end": self.end,
            "notes": list(self.notes),
        }  # fmt: skip


def snapshot(store: Store) -> MemoryStore:
    """What a store knows, to be changed by a play without harm."""
    copy = MemoryStore(store.secret())
    copy.commit([*store.leases(), *store.hosts(), *store.installs()])
    return copy


def explain_machine(
    settings: Settings,
    mac: bytes,
    *,
    arch: str | None = None,
    relay: int = 0,
    store: Store | None = None,
    now: float = BEGAN_AT,
    engine: Engine = HERE,
) -> Explanation:
    """A machine that is only named boots from power-on. ``arch``: a key of :data:`FIRMWARE`; None: as it was last seen, else x64.

    ``relay``: it is behind the relay agent with this address; 0: it is on the wire of its reserved address, else on the first one.
    """
    host = next((host for host in settings.hosts if mac in host.macs), None)
    seen = _seen(store, mac, host)
    if arch is not None:
        evidence = "as --arch says"
    elif seen is not None:
        arch = _BY_ARCH.get(seen.arch, "x64")
        evidence = f"it was last seen with architecture {seen.arch} ({architecture_name(seen.arch)})"
    else:
        arch, evidence = "x64", "it was never seen here; --arch tells another"
    said = _relayed(mac, relay) if relay else None
    recorded = Recorded("", 1, mac, 0.0, () if said is None else (said,), ())
    uuid = parse_uuid(host.uuid) if host is not None and host.uuid is not None else None
    role = Character(recorded, mac, uuid, FIRMWARE[arch], Manners(), said, evidence)
    return _explained(settings, [Part(recorded, host, role)], store, now, engine)[0]


def explain_recorded(
    settings: Settings,
    recorded: Sequence[Recorded],
    *,
    store: Store | None = None,
    now: float = BEGAN_AT,
    engine: Engine = HERE,
) -> list[Explanation]:
    """Captured boots, each as it spoke."""
    return _explained(settings, parts_of(recorded), store, now, engine)


def explain_packet(
    settings: Settings,
    payload: bytes,
    *,
    store: Store | None = None,
    now: float = BEGAN_AT,
    engine: Engine = HERE,
) -> Explanation:
    """One DHCP request, as it would arrive now by broadcast (through its relay, if it has one). Raises WireError for what is none."""
    message = parse(payload)
    client = boot_client(message)
    recorded = Recorded("", 1, client.mac, 0.0, (DhcpSaid(0.0, message, payload, message.ciaddr, 68, 0, 67),), ())
    placed = wires(settings, [recorded])
    notebook = Notebook(placed.settings)
    knows = MemoryStore(bytes(32)) if store is None else store
    rack = Rack(
        placed.settings, knows, interfaces=placed.interfaces, tell=lambda event: None, clock=lambda: now, engine=engine
    )
    notebook.attend(rack, lambda: now)
    rack.record(notebook)
    interface = placed.interfaces[0]
    address = message.giaddr or message.ciaddr
    out = rack.dhcp.receive(
        [
            Datagram(
                payload,
                pack_peer(address, 67 if message.giaddr else 68),
                interface.addresses[0][0],
                settings.dhcp.port,
                interface.index,
                broadcast=not address,
            )
        ],
        now,
    )
    for commit in out.commits:
        if commit.id:
            verdicts = knows.commit(commit.changes)
            rack.dhcp.committed(commit.id, verdicts[0], now)
    steps = tuple(case.told() for case in notebook.cases)
    return Explanation(_title(client.mac, rack), "the packet itself", steps)


def _seen(store: Store | None, mac: bytes, host: Host | None) -> SeenHost | None:
    known = store.hosts() if store is not None else []
    return next((one for one in known if one.mac == mac or (host is not None and one.key == host.key)), None)


def _relayed(mac: bytes, relay: int) -> DhcpSaid:
    """A word from behind a relay: only where it came from matters."""
    message = Message(op=BOOTREQUEST, giaddr=relay, chaddr=mac.ljust(16, b"\0"))
    return DhcpSaid(0.0, message, b"", relay, 67, 0, 67)


def _explained(
    settings: Settings, parts: list[Part], store: Store | None, now: float, engine: Engine
) -> list[Explanation]:
    notebook = Notebook(settings)
    whole = play(settings, parts, store=store, witness=notebook, began_at=now, engine=engine)
    of_part = partial(_steps, cases=notebook.cases, parts=parts)
    found = []
    for part in parts:
        stop = stop_of(part, whole)
        machine = part.machine
        end = (
            f"it {hidden(stop.words)}"
            if stop is not None
            else f"it comes to a good end: {machine.stage.value if machine else ''}"
        )
        role = part.role
        played = f"{role.personality.title}: {role.evidence}" if role is not None else "nobody"
        mac = machine.mac if machine is not None else part.recorded.mac
        found.append(
            Explanation(
                _title(mac, whole.rack), played, tuple(_collapsed(of_part(part))), end,
                (*(role.notes if role is not None else ()), *whole.wires.notes),
            )
        )  # fmt: skip
    return found


def _steps(part: Part, cases: list[Case | Search], parts: list[Part]) -> Iterator[Decision | Serving]:
    """What concerns one boot: of its machine, from its power-on to the next."""
    if part.machine is None:
        return
    mac = part.machine.mac
    began = part.recorded.began_s
    later = [other.recorded.began_s for other in parts if other.machine and other.machine.mac == mac]
    until = min((at for at in later if at > began), default=float("inf"))
    for case in cases:
        if began <= case.at_s < until and case.mac == mac:
            yield case.told()


def _collapsed(steps: Iterator[Decision | Serving]) -> Iterator[Decision | Serving]:
    """The same name asked for again at once (for its size, then for itself) is told once."""
    held: Serving | None = None
    for step in steps:
        if isinstance(step, Serving) and held is not None and (step.name, step.taken) == (held.name, held.taken):
            held = Serving(held.at_s, held.name, held.taken, held.because, held.text, held.times + 1)
            continue
        if held is not None:
            yield held
        held = step if isinstance(step, Serving) else None
        if held is None:
            yield step
    if held is not None:
        yield held


def _title(mac: bytes, rack: Rack) -> str:
    host = rack.hosts.of_mac(mac)
    return f"{host.name} ({mac_text(mac)})" if host.configured else mac_text(mac)
