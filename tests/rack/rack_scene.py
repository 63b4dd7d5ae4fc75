"""A rack without sockets in virtual time: files and a configuration on disk, DHCP by datagram, simulated TFTP, HTTP by head.

Changes are written at once, as a store with an idle disk would. Every step notes the install state of every configured host.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dhcp_scene
import http_rules
from tftp_harness import PORTS, Client, Network, Weather, pattern

from pxenet.boot import policy
from pxenet.config import from_text
from pxenet.engine.http import respond
from pxenet.engine.surface import Blocks, Output
from pxenet.engine.tftp.blocks import datagrams
from pxenet.events import Event, describe
from pxenet.model import Change, Content, Host, InstallState, Region, Verdict
from pxenet.net.datagram import Datagram, Interface, pack_peer
from pxenet.rack import Rack
from pxenet.server.commit import After, Done, worst
from pxenet.server.datagrams import read_region
from pxenet.server.http_request import SizeLimits, parse_head_untrusted
from pxenet.server.site import RackSite
from pxenet.store.memory import MemoryStore
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.text import address_text, mac_text, parse_address, parse_mac

SERVER, OTHER_SERVER = parse_address("10.77.0.1"), parse_address("10.77.0.2")
NEIGHBOUR_MAC, NEIGHBOUR = parse_mac("52:54:00:77:99:99"), parse_address("10.77.0.42")
DATE = "Mon, 23 Nov 2026 00:00:00 GMT"
BEGAN_AT = 1_800_000_000.0

KERNEL, INITRD = (
    pattern(150_000, 1),
    pattern(60_416, 2),
)  # the latter a multiple of no blksize, the former of none either
KICKSTART = """\
# {{ host.name }} at {{ host.address }}
rootpw --iscrypted {{ vars.rootpw }}
%post
curl -f '{{ urls.installed }}' || curl '{{ urls.failed }}'
%end
"""
PRESEED = """\
d-i netcfg/get_hostname string {{ host.name }}
d-i preseed/late_command string wget -O /dev/null {{ urls.installed }} || wget {{ urls.failed }}
"""
SITE = """\
[server]
root = "root"
state = "state"
[dhcp]
mode = "{mode}"
[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = "10.77.0.50-10.77.0.60"
router = "10.77.0.1"
[boot]
unknown = "{unknown}"
[boot.loader]
{loaders}
[[profile]]
name = "alma9"
source = "tree"
args = "console=ttyS0 inst.text"
answer = "ks.cfg.j2"
vars = {{ rootpw = "$6$secret" }}
[[profile]]
name = "debian12"
kernel = "debian/linux"
initrd = ["debian/initrd.gz"]
answer = "preseed.cfg.j2"
[[host]]
name = "neighbour"
mac = "52:54:00:77:99:99"
profile = "alma9"
address = "10.77.0.42"
"""

T = TypeVar("T")


def make_files(base: Path) -> None:
    """Stand-ins for every boot loader under the names that the policy gives, install trees, and templates."""
    files: dict[str, bytes] = {
        "tree/images/pxeboot/vmlinuz": KERNEL,
        "tree/images/pxeboot/initrd.img": INITRD,
        "tree/repodata/repomd.xml": b"<repomd/>",
        "debian/linux": KERNEL,
        "debian/initrd.gz": INITRD,
        "ks.cfg.j2": KICKSTART.encode(),
        "preseed.cfg.j2": PRESEED.encode(),
        "root/motd": b"served as it is\n",
    }
    for number, loader in enumerate(policy.LOADERS.values()):
        for name in (*loader.names, *loader.beside):
            files[f"root/{name}"] = pattern(20_000 + number, number)
    for name, data in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(data)


def site(
    mode: str = "server", unknown: str = "ignore", loaders: Mapping[str, str] | None = None, more: str = ""
) -> str:
    """The configuration of the tests; ``more`` comes last, so that it may add hosts."""
    chosen = "\n".join(f'{platform} = "{loader}"' for platform, loader in (loaders or {}).items())
    return SITE.format(mode=mode, unknown=unknown, loaders=chosen) + more


def host_text(name: str, mac: bytes, profile: str = "alma9", address: int = 0) -> str:
    """A [[host]] of the configuration."""
    where = f'address = "{address_text(address)}"\n' if address else ""
    return f'[[host]]\nname = "{name}"\nmac = "{mac_text(mac)}"\nprofile = "{profile}"\n{where}'


class FragileStore(MemoryStore):
    """Its disk is full while ``broken``."""

    def __init__(self) -> None:
        super().__init__(b"k" * 32)
        self.broken = False

    def commit(self, batch: Sequence[Change]) -> list[Verdict]:
        return [Verdict.FAILED] * len(batch) if self.broken else super().commit(batch)


class AtOnce:
    """Stands for the server's committer: the store answers within the call."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def submit(self, changes: Sequence[Change], done: Done, after: After | None = None) -> None:
        done(worst(self._store.commit(changes)))
        if after is not None:
            after()

    async def commit(self, changes: Sequence[Change]) -> Verdict:
        return worst(self._store.commit(changes))


def finished(coroutine: Coroutine[object, object, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits, and nothing here would wake it")


@dataclass(frozen=True)
class Exchange:
    """One client's DHCP, from DISCOVER on: what it said first, and what it was told."""

    request: bytes
    offers: list[bytes]
    ack: bytes | None


class RackScene:
    """See the module's text. ``now`` is the one clock."""

    def __init__(
        self,
        base: Path,
        text: str,
        *,
        store: FragileStore | None = None,
        neighbour: Callable[[int], bytes | None] = lambda address: None,
        weather: Weather | None = None,
        now: float = BEGAN_AT,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.now = now
        self.events: list[Event] = []
        self.states: dict[str, list[InstallState]] = {}
        self.store = store or FragileStore()
        self.rack = Rack(
            from_text(text, base),
            self.store,
            interfaces=(Interface(2, "br0", b"", ((SERVER, 24),)),),
            tell=self._tell,
            clock=lambda: self.now,
            tid_ports=PORTS,
            neighbour=neighbour,
            steady=steady,
        )
        self.committer = AtOnce(self.store)
        self._site = RackSite(self.rack, self.committer)  # type: ignore[arg-type]
        self.rough = weather is not None
        """Packets get lost: time says nothing about the server."""
        self._air = _Air(self, weather or Weather())

    # -- what there is -------------------------------------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        """A configured host."""
        return next(host for host in self.rack.hosts.configured if host.name == name)

    def state(self, name: str) -> InstallState | None:
        """Where a configured host stands."""
        record = self.rack.installs.record(self.host(name).key)
        return record.state if record is not None else None

    def kinds(self) -> list[str]:
        """The kinds of all events so far."""
        return [event.kind for event in self.events]

    def _tell(self, event: Event) -> None:
        describe(event)  # every event has words
        self.events.append(event)

    # -- DHCP ----------------------------------------------------------------------------------------------------------------

    def dhcp(
        self, said: Message | bytes, *, source: int = 0, source_port: int = 68, port: int = 67, broadcast: bool = True
    ) -> list[bytes]:
        """The answers to a message."""
        payload = said if isinstance(said, bytes) else serialize(said)
        datagram = Datagram(payload, pack_peer(source, source_port), SERVER, port, 2, broadcast)
        return self._obey(self.rack.dhcp.receive([datagram], self.now))

    def _obey(self, output: Output) -> list[bytes]:
        sent = [dhcp_scene.payload_of(send) for send in dhcp_scene.sends_of(output)]
        for commit in output.commits:
            verdict = worst(self.store.commit(commit.changes))
            if commit.id:
                sent += self._obey(self.rack.dhcp.committed(commit.id, verdict, self.now))
        self.absorb(output)
        return sent

    def absorb(self, output: Output) -> None:
        """What an engine has seen becomes evidence, and is written."""
        self.keep(self.rack.absorb(output))

    def keep(self, changes: Sequence[Change]) -> None:
        """Write, and tell the rack how that went."""
        if changes:
            self.committer.submit(changes, lambda verdict: self.rack.committed(changes, verdict))
        for host in self.rack.hosts.configured:
            record = self.rack.installs.record(host.key)
            seen = self.states.setdefault(host.name, [])
            if record is not None and seen[-1:] != [record.state]:
                seen.append(record.state)

    def exchange(self, mac: bytes, options: Mapping[int, object] | None = None, *, address: int = 0) -> Exchange:
        """DISCOVER to ACK by the book. With ``address`` another server gave it: our rack only overhears the REQUEST."""
        discover = dhcp_scene.discover(mac, options)
        offers = self.dhcp(discover)
        offered = address or (parse(offers[-1]).yiaddr if offers else 0)
        if not offered:
            return Exchange(serialize(discover), offers, None)
        server = OTHER_SERVER if address else SERVER
        choice: dict[int, object] = {OptionCode.REQUESTED_ADDRESS: offered, OptionCode.SERVER_ID: server}
        request = dhcp_scene.message(MessageType.REQUEST, mac, {**(options or {}), **choice})
        return Exchange(serialize(discover), offers, next(iter(self.dhcp(request)), None))

    # -- TFTP and HTTP -------------------------------------------------------------------------------------------------------

    def read(self, client: Client) -> Client:
        """One transfer to its end, whatever that is."""
        self._air.play(client)
        assert client.over
        return client

    def http(self, head: bytes, address: int) -> http_rules.Answer:
        """The reply to a request head, with its whole body; a GET is read to the end."""
        request = parse_head_untrusted(head, SizeLimits(), SERVER).request
        peer = pack_peer(address, 40000)
        answer = finished(self._site.answer(request, peer))
        response = respond(request, answer, date=DATE)
        body = b"".join(
            read_region(part, 0, part.length) if isinstance(part, Region) else part for part in response.body
        )
        if isinstance(answer, Content) and (response.whole or response.status == 206):
            self._site.delivered(answer, peer, 0.1, response.whole)
        self.keep(())
        return http_rules.read(response.head + body)

    def get(self, path: str, address: int, method: str = "GET") -> http_rules.Answer:
        """An HTTP request by curl."""
        return self.http(f"{method} {path} HTTP/1.1\r\nHost: 10.77.0.1\r\nUser-Agent: curl\r\n\r\n".encode(), address)


class _Air(Network):
    """The simulated network, with the rack behind its server: what is wanted comes from the rack's tree."""

    def __init__(self, scene: RackScene, weather: Weather) -> None:
        super().__init__({}, weather)
        self._scene = scene
        self.server = scene.rack.tftp

    def play(self, client: Client) -> None:
        """This client's read, and the server's part of it until nothing is left to do."""
        self.now = self._scene.now
        self.add(client, self.now)
        self.run(self.now + 600)
        self._scene.now = self.now

    def _collect(self, client: Client) -> None:
        outbox, client.outbox = client.outbox, []
        for payload, port in outbox:
            self._fly(self._to_server(Datagram(payload, client.peer, SERVER, port, 2)))

    def _obey(self, output: Output) -> None:
        self._scene.now = self.now
        for send in output.sends:
            parts = datagrams(send, read_region) if isinstance(send, Blocks) else [send.parts]
            for part in parts:
                self._fly(self._to_client(send.to, b"".join(part), send.port))
        for want in output.wants:
            self._obey(self.server.provide(want.id, self._scene.rack.find(want), self.now))
        self._scene.absorb(output)
