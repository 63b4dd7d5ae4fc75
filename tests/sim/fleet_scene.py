"""A rack that forgets, with stand-ins for every boot loader and one distribution, and a fleet in front of it in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pxenet.boot import policy
from pxenet.config import from_text
from pxenet.events import Event
from pxenet.model import InstallRecord, InstallState, Verdict
from pxenet.net.datagram import Interface
from pxenet.rack import Rack
from pxenet.sim.faults import CALM, Faults
from pxenet.sim.figures import Result
from pxenet.sim.fleet import Again, Fleet, Plan, leave_it
from pxenet.sim.link import Link
from pxenet.sim.machine import Machine
from pxenet.store.memory import MemoryStore
from pxenet.wire.text import parse_address

SERVER = parse_address("10.60.0.1")
KICKSTART = """\
url --url {{ urls.source }}
%post
curl -f '{{ urls.installed }}' || curl '{{ urls.failed }}'
%end
"""
SITE = """\
[server]
root = "root"
state = "state"
[dhcp]
lease_time = {lease_s}
[[dhcp.subnet]]
network = "10.60.0.0/16"
pool = "10.60.1.0-10.60.254.255"
router = "10.60.0.1"
[boot]
unknown = "alma9"
[boot.loader]
{loaders}
[[profile]]
name = "alma9"
source = "tree"
args = "inst.ks={{{{ urls.answer }}}} inst.repo={{{{ urls.source }}}}"
answer = "ks.cfg.j2"
"""


def make_files(base: Path, *, kernel_bytes: int = 30_000, loader_bytes: int = 20_000) -> None:
    """Small stand-ins, which machines read as they would read the real ones."""
    files: dict[str, bytes] = {
        "tree/images/pxeboot/vmlinuz": bytes(kernel_bytes),
        "tree/images/pxeboot/initrd.img": bytes(2 * kernel_bytes),
        "tree/images/install.img": bytes(3 * kernel_bytes),
        "tree/.treeinfo": b"[general]\nname = AlmaLinux-9\n",
        "tree/repodata/repomd.xml": b"<repomd/>",
        "ks.cfg.j2": KICKSTART.encode(),
    }
    for number, loader in enumerate(policy.LOADERS.values()):
        for name in (*loader.names, *loader.beside):
            files[f"root/{name}"] = bytes(loader_bytes + number)
    for name, data in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(data)


class Scene:
    """A fleet, the network, and the rack with its store."""

    def __init__(
        self,
        base: Path,
        plan: Plan,
        *,
        faults: Faults = CALM,
        faults_of: Callable[[int], Faults] | None = None,
        seed: int = 0,
        loaders: str = "",
        lease_s: int = 43200,
        again: Again = leave_it,
        tell: Callable[[Event], None] | None = None,
    ) -> None:
        self.events: list[Event] = []
        self.fleet = Fleet(plan, again=again)
        self.link = Link(self.fleet, faults=faults, faults_of=faults_of, seed=seed)
        self.address = SERVER
        self.store = MemoryStore(b"k" * 32)
        self._settings = from_text(SITE.format(loaders=loaders, lease_s=lease_s), base)
        self._tell = tell or self.events.append
        self.start_server()

    def start_server(self) -> None:
        """On the store as it is; one that was there is gone, with all that it had in its memory."""
        self.rack = Rack(
            self._settings,
            self.store,
            interfaces=(Interface(1, "eth0", b"", ((SERVER, 16),)),),
            tell=self._tell,
            clock=self.link.clock,
            tid_ports=tuple(range(30000, 30008)),
        )
        self.link.serve(self.rack, SERVER, self.store.commit)

    def run(self, for_s: float = 7200.0) -> Result:
        """To the end of every machine, or for so long."""
        self.link.run(for_s)
        return self.fleet.result(self.link.now, self.link.traffic)

    def rearm(self, machine: Machine) -> None:
        """What ``pxenet reinstall`` does."""
        changes, events = self.rack.installs.rearm(self.rack.hosts.of_mac(machine.mac).key, self.link.now)
        self.events += events
        self.store.commit(changes)
        self.rack.committed(changes, Verdict.DURABLE)

    def records(self) -> Sequence[InstallRecord]:
        """What the store holds."""
        return self.store.installs()

    def installed(self) -> int:
        """Machines that the store calls installed."""
        return sum(record.state is InstallState.INSTALLED for record in self.records())
