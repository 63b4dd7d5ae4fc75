"""A site for simulated machines: files, a configuration, and a rack in virtual time with a fleet in front of it.

Files are small stand-ins; the machines read them as they would read the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pxenet.boot import policy
from pxenet.config import from_text
from pxenet.events import Event
from pxenet.model import Change, InstallRecord, InstallState, Verdict
from pxenet.net.datagram import Interface
from pxenet.rack import Rack
from pxenet.sim.faults import CALM, Faults
from pxenet.sim.figures import Figures, Result
from pxenet.sim.fleet import Again, Fleet, Plan, leave_it
from pxenet.sim.link import Link
from pxenet.sim.machine import Machine
from pxenet.store.memory import MemoryStore
from pxenet.wire.text import parse_address

MIX = {"bios": 4, "uefi": 3, "http": 1}
ADDRESS = parse_address("10.60.0.1")
_ANSWER = """\
url --url {{ urls.source }}
%post
curl -f '{{ urls.installed }}' || curl '{{ urls.failed }}'
%end
"""
_SITE = """\
[[dhcp.subnet]]
network = "{network}.0.0/16"
pool = "{network}.1.0-{network}.254.255"
lease_time = {lease_s}
[boot]
unknown = "alma9"
[[profile]]
name = "alma9"
source = "tree"
answer = "ks.cfg.j2"
"""


def write_files(directory: Path, *, kernel_bytes: int = 30_000) -> None:
    """Everything that machines read, in ``root`` and ``tree``."""
    files: dict[str, bytes] = {
        "tree/images/pxeboot/vmlinuz": bytes(kernel_bytes),
        "tree/images/pxeboot/initrd.img": bytes(2 * kernel_bytes),
        "tree/images/install.img": bytes(3 * kernel_bytes),
        "tree/.treeinfo": b"[general]\nname = AlmaLinux-9\n",
        "tree/repodata/repomd.xml": b"<repomd/>",
        "ks.cfg.j2": _ANSWER.encode(),
    }
    for loader in policy.LOADERS.values():
        for name in (*loader.names, *loader.beside):
            files[f"root/{name}"] = bytes(20_000)
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)


def site(network: str, lease_s: int = 3600) -> str:
    """The rest of a configuration, after ``[server]``: every machine of the network is installed."""
    return _SITE.format(network=network, lease_s=lease_s)


@dataclass(slots=True)
class Counts:
    """Events by kind: the events themselves would be kept in memory."""

    of: dict[str, int] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        self.of[event.kind] = self.of.get(event.kind, 0) + 1


class VirtualRack:
    """A fleet, the network, and the rack with a store that forgets. ``directory``: see ``write_files``."""

    def __init__(
        self,
        directory: Path,
        plan: Plan,
        *,
        faults: Faults = CALM,
        seed: int = 0,
        lease_s: int = 3600,
        again: Again = leave_it,
        tap: Callable[[float, bytes, bytes, int], None] | None = None,
    ) -> None:
        self.fleet = Fleet(plan, again=again)
        self.link = Link(self.fleet, faults=faults, seed=seed, tap=tap)
        self.store = MemoryStore(b"k" * 32)
        self.events = Counts()
        self.rack = Rack(
            from_text('[server]\nroot = "root"\nstate = "state"\n' + site("10.60", lease_s), directory),
            self.store,
            interfaces=(Interface(1, "eth0", b"", ((ADDRESS, 16),)),),
            tell=self.events,
            clock=self.link.clock,
            tid_ports=tuple(range(30000, 30008)),
        )
        self.link.serve(self.rack, ADDRESS, self._commit)

    def run(self, for_s: float) -> Result:
        """To the end of every machine, or for so long."""
        self.link.run(for_s)
        return self.result()

    def result(self) -> Result:
        """What has become of the machines so far."""
        return self.fleet.result(self.link.now, self.link.traffic)

    def rearm(self, machine: Machine) -> None:
        """What ``pxenet reinstall`` does."""
        changes, _ = self.rack.installs.rearm(self.rack.hosts.of_mac(machine.mac).key, self.link.now)
        self.store.commit(changes)
        self.rack.committed(changes, Verdict.DURABLE)

    def _commit(self, changes: Sequence[Change]) -> list[Verdict]:
        return self.store.commit(changes)


def installed(records: Sequence[InstallRecord]) -> int:
    """How many machines a store calls installed."""
    return sum(record.state is InstallState.INSTALLED for record in records)


def times(figures: Figures) -> str:
    """``p50 / p99`` in seconds."""
    return f"{figures.p50_s:.2f} / {figures.p99_s:.2f}"


def note(say: Callable[[str, object], None], title: str, result: Result) -> None:
    """The figures of a fleet, the same for every proof."""
    say(f"{title}: machines", result.machines)
    say(f"{title}: installed", result.installed)
    say(f"{title}: addresses given twice", result.given_twice)
    say(f"{title}: said again", result.retries)
    say(f"{title}: power-on to installed, p50 / p99 s", times(result.whole))
