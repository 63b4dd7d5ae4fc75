"""The rack itself: what it is made of, and the questions that everybody above asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import overload
from urllib.parse import parse_qs

from pxenet.answer import context
from pxenet.answer.engines import HERE, Engine
from pxenet.boot import policy
from pxenet.config import Settings
from pxenet.content.iso import IsoImage
from pxenet.content.lately import Lately
from pxenet.content.plain import netascii, whole
from pxenet.content.rendered import Rendered
from pxenet.content.standing import Era, within
from pxenet.content.uploads import save
from pxenet.content.upstream import Cache, shelf_of
from pxenet.engine.access import Access
from pxenet.engine.dhcp import DhcpServer
from pxenet.engine.http import Request
from pxenet.engine.install import Installs
from pxenet.engine.readings import Readings
from pxenet.engine.surface import Output, Upload, Want
from pxenet.engine.tftp import TftpServer
from pxenet.events import Event
from pxenet.model import (
    Absent,
    AddedHost,
    Asker,
    BootClient,
    BootFile,
    Change,
    ClientKind,
    Content,
    DiscoveredMachine,
    Host,
    InstallRecord,
    Later,
    Profile,
    Role,
    Verdict,
    at_once,
)
from pxenet.net.datagram import Interface, peer_address
from pxenet.rack.callbacks import Callbacks, Report
from pxenet.rack.confidential import mask_for
from pxenet.rack.discovered import Discovered, serial_of, words_of
from pxenet.rack.discreet import Veil, discreet, hidden
from pxenet.rack.hosts import Hosts
from pxenet.rack.layout import Layout, layout
from pxenet.rack.recorder import Recorder
from pxenet.rack.sightings import Sightings
from pxenet.rack.told import Told
from pxenet.rack.translate import dhcp_settings, hears_no_dhcp, tftp_settings, unknown_profile
from pxenet.rack.watching import Watching
from pxenet.store.base import Store
from pxenet.wire.discovery import Hardware
from pxenet.wire.text import address_text

_STEPPED_S = 600.0
"""Between two ticks, ``clock`` and ``steady`` differ by more than this only when the clock was set. NTP corrects less by slewing, or
by a step that no time-out of hours feels."""

_STANDING = 512
"""Contents of which the file is kept open and the way to it remembered: several racks' worth of different installs."""


@overload
def _for_tftp(want: Want, answer: Content | Absent) -> Content | Absent | Later: ...
@overload
def _for_tftp(want: Want, answer: Content | Absent | None) -> Content | Absent | Later | None: ...
def _for_tftp(want: Want, answer: Content | Absent | None) -> Content | Absent | Later | None:
    """A content as a TFTP client can take it: whole, for its clients do not wait for single blocks, and in the mode asked for."""
    if not isinstance(answer, Content):
        return answer
    if answer.arriving is not None:
        return whole(answer, answer.arriving).map(partial(_for_tftp, want))
    return netascii(answer) if want.netascii else answer


def _within(era: Era, answer: Content | Absent | None) -> Content | Absent | None:
    return within(answer, era) if isinstance(answer, Content) else answer


class Rack:
    """Everything but sockets. ``tell`` takes each event; ``clock`` gives seconds since the epoch (virtual ones in a replay).

    ``steady`` gives seconds that nobody sets, from whenever: by it a step of the clock is told from time that has passed. None: the
    clock itself is never set.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        interfaces: Sequence[Interface],
        tell: Callable[[Event], None],
        clock: Callable[[], float],
        tid_ports: Sequence[int] = (),
        neighbour: Callable[[int], bytes | None] = lambda address: None,
        steady: Callable[[], float] | None = None,
        image_cache: Path | None = None,
        engine: Engine = HERE,
    ) -> None:
        self._tell = tell
        self.clock = clock
        self._steady = steady or clock
        self._ticked_at = clock(), self._steady()
        self._addresses = [address for interface in interfaces for address, _ in interface.addresses]
        self._tid_ports = tuple(tid_ports)
        self.hosts = Hosts(settings.hosts, store.hosts(), unknown_profile(settings))
        self.installs = Installs(
            store.installs(),
            store.secret(),
            max_attempts=settings.boot.max_attempts,
            timeouts_s=settings.boot.timeouts_s,
            keys=[host.key for host in settings.hosts],
            began_at=clock(),
        )
        self.discovered = Discovered(store.discovered())
        for told, hardware in self.discovered.all():
            self._recognise(told.key, hardware)
        self._callbacks = Callbacks(self.installs, self._waits, self._conceal, tell=self.tell, clock=clock)
        self._store_failed = False
        self._told = Told()
        self.dhcp = DhcpServer(dhcp_settings(settings), interfaces, self.boot, self.hosts.of_client, store.leases())
        self._readings = Readings(settings.boot.answer_reads, settings.boot.answer_window_s, clock())
        self.access = Access(
            self.installs,
            lease_of=self.dhcp.who,
            neighbour=neighbour,
            key_of_mac=lambda mac: self.hosts.of_mac(mac).key,
            names_suffice=hears_no_dhcp(settings),
            readings=self._readings,
        )
        self._sightings = Sightings(self.hosts, self.access, self.installs, plan=self.plan, tell=self.tell, clock=clock)
        self.tftp = TftpServer(tftp_settings(settings, tid_ports))
        self._image_cache = image_cache
        self._engine = engine
        self.cache = Cache(shelf_of(settings.server.state / "cache", settings.server.cache_gib << 30))
        """The files of profiles whose source is an URL. A server fetches them."""
        self.images: Mapping[Path, IsoImage] = {}
        """The images that profiles are served from. A server has them read by threads."""
        self._recorder: Recorder | None = None
        self._era = Era()
        self._take(self.prepare(settings))
        self._accept()  # not stored now: the next start does the same again, with the same tokens

    def prepare(self, settings: Settings) -> Layout:
        """All that follows from settings alone, for :meth:`adopt`; nothing changes by this."""
        rendered = Rendered(
            plan=lambda host: self.plan(host) if host is not None else self._plan_of_nobody(),
            host_of_mac=self.hosts.of_mac,
            host_of_uuid=self.hosts.of_uuid,
            host_of_key=self.hosts.of_key,
            names=self.names,
            may_be=self.access.may_be,
            may_read=self.access.may_read_answer,
            url=self.url,
            loaders=settings.boot.loaders,
            exit=settings.boot.exit,
            profiles=settings.profiles,
            modified_at=int(self.clock()),
            engine=self._engine,
            watch=Watching(self._readings, self.say),
            mask=partial(mask_for, settings),
        )
        return layout(settings, rendered, self.cache, self.images, self._image_cache)

    def adopt(self, prepared: Layout) -> list[Change]:
        """From now on other settings hold, whole; returns what should become durable.

        Everything that is known of machines goes on: leases and offers, answers that wait for the disk, states and tokens, who has
        which address, transfers under way with the contents that they have. Ports and interfaces must be the same.
        """
        settings = prepared.settings
        out = self.dhcp.reconfigure(dhcp_settings(settings), self.clock())
        self.tftp.reconfigure(tftp_settings(settings, self._tid_ports))
        self.hosts.reconfigure(settings.hosts, unknown_profile(settings))
        self.installs.reconfigure(
            max_attempts=settings.boot.max_attempts,
            timeouts_s=settings.boot.timeouts_s,
            keys=[host.key for host in settings.hosts],
        )
        self.access.reconfigure(names_suffice=hears_no_dhcp(settings))
        self._readings.reconfigure(settings.boot.answer_reads, settings.boot.answer_window_s)
        self.cache.shelf.limit(settings.server.cache_gib << 30)
        self._take(prepared)
        self._era = self._era.next()
        accepted, events = self._accept()
        for event in events:
            self.tell(event)
        return [*(change for commit in out.commits for change in commit.changes), *accepted]

    @property
    def era(self) -> int:
        """How often other settings were adopted."""
        return self._era.number

    def _take(self, prepared: Layout) -> None:
        self.settings = prepared.settings
        self.veil = Veil(prepared.settings.secrets.values())
        """Hides what packets have of secrets, from whoever looks at them."""
        self._plan_settings = prepared.plan_settings
        self.profiles = prepared.profiles
        self.loaders = prepared.loaders
        self.setting = prepared.setting
        self.rendered = prepared.rendered
        self.images = prepared.images
        self.tree = prepared.tree
        self.cache.promise(prepared.promises)
        self._standing: Lately[str, Content] = Lately(_STANDING)

    def record(self, recorder: Recorder | None) -> None:
        """From now on tell it of every decision; None: nobody."""
        self._recorder = recorder
        self.dhcp.record(recorder)

    # -- decisions ---------------------------------------------------------------------------------------------------------

    def plan(self, host: Host) -> policy.Plan:
        """What a machine boots now, and why."""
        return policy.plan(host, self.installs.record(host.key), self._plan_settings, self.profiles)

    def boot(self, client: BootClient, server_address: int, proxied: bool = False) -> BootFile:
        """What a DHCP answer tells this client to load from us at ``server_address``; ``proxied``: it has its address from others."""
        host = self.hosts.of_client(client)
        plan = self.plan(host)
        boot = policy.choose(
            client,
            plan,
            host,
            self.setting,
            self.url(server_address),
            http_booted=self._sightings.http_booted(client.mac),
            proxied=proxied,
        )
        if self.hosts.by_serial and not host.configured and boot.url.endswith("/boot.ipxe"):
            # No DHCP option carries the serial number. iPXE knows it, and expands its settings in a URL (facts: iPXE variables).
            boot = replace(boot, url=f"{boot.url}?serial=${{serial:uristring}}")
        if self._recorder is not None:
            self._recorder.booted(client, host, plan, boot, proxied=proxied)
        return boot

    def url(self, server_address: int) -> str:
        """Base of our URLs for a client that reaches us by this address; no slash at its end."""
        if self.settings.server.url is not None:
            return self.settings.server.url
        address = self.settings.server.address or server_address or next(iter(self._addresses), 0)
        port = self.settings.http.port
        return f"http://{address_text(address)}" + ("" if port == 80 else f":{port}")

    def names(self, host: Host, profile: Profile, asker: Asker) -> Mapping[str, object]:
        """What the templates of this machine see."""
        return context.names(
            host,
            profile,
            token=self.installs.token(host.key),
            server_url=self.url(asker.server),
            server_address=asker.server or next(iter(self._addresses), 0),
            network=self._network(host, asker),
        )

    # -- content -----------------------------------------------------------------------------------------------------------

    def find(self, want: Want) -> Content | Absent | Later:
        """What a TFTP client asks for."""
        found = self._stands(want.path) or self._look_up(want.path, self.asker(peer_address(want.peer), want.local))
        return found.map(partial(_for_tftp, want)) if isinstance(found, Later) else _for_tftp(want, found)

    def fetch(self, request: Request, address: int) -> Content | Absent | Later:
        """What an HTTP client asks for; directories are listed."""
        # A query may say something about the machine.
        known = self._stands(request.path) if not request.query else None
        if known is not None:
            return known
        return self._look_up(request.path, self.asker(address, request.local, request.query), listing=True)

    def _stands(self, path: str) -> Content | None:
        """What the name led to lately, if that is what it leads to now, for whoever asks."""
        if self._recorder is not None:
            return None  # who asks for reasons is told of each search
        known = self._standing.get(path)
        return known if known is not None and known.standing is not None and known.standing.holds() else None

    def _look_up(self, path: str, asker: Asker, *, listing: bool = False) -> Content | Absent | Later:
        found = self.tree.find(path, asker, self.clock(), listing=listing)
        if self._recorder is not None:
            self._recorder.found(path, asker, at_once(found))
        if isinstance(found, Content) and found.standing is not None:
            found = within(found, self._era)
            self._standing.put(path, found)
        elif isinstance(found, Later):
            found = found.map(partial(_within, self._era))
        return found

    def asker(self, address: int, server: int = 0, query: str = "") -> Asker:
        """Who stands behind an address. A serial number in the query (``serial=``, from iPXE) tells which host a machine is."""
        identity = self.access.identify(address, "", self.clock())
        host, client = None, None
        if identity.mac:
            host, client = self.hosts.of_mac(identity.mac), self.hosts.client_of(identity.mac)
            # Only from who has spoken DHCP as iPXE: a serial number is printed on the case, and any browser can name it.
            if not host.configured and "serial=" in query and client is not None and client.kind is ClientKind.IPXE:
                host = self.hosts.learn_serial(identity.mac, parse_qs(query).get("serial", [""])[0]) or host
        return Asker(address, host, identity.evidence, client, server)

    def accept(self, upload: Upload) -> Absent | None:
        """Keep a file that a client wrote; the reason when it cannot be kept."""
        return save(self.settings.server.root, upload.path, upload.data)

    # -- what was seen -------------------------------------------------------------------------------------------------------

    def absorb(self, output: Output) -> list[Change]:
        """Take what an engine has seen; what should become durable without anybody waiting for it."""
        changes: list[Change] = []
        for event in output.events:
            self.say(event)
        for sighting in output.sightings:
            changes += self._sightings.met(sighting)
        for delivered in output.delivered:
            changes += self._sightings.read(delivered.content, peer_address(delivered.peer))
        return changes

    def tell(self, event: Event) -> None:
        """Tell an event as it is, but for the tokens in it. The one way out for events."""
        self._tell(discreet(event))

    def say(self, event: Event) -> None:
        """Tell an event; where an engine knew an IPv4 address only, with the hardware address of the machine behind it."""
        now = self.clock()
        mac = event.mac or (self.access.identify(event.address, "", now).mac if event.address else None)
        named = event if event.mac or not mac else Event(event.kind, mac, event.address, event.detail)
        if self._told.is_news(named, now):
            self.tell(named)

    def delivered(self, content: Content, address: int, *, whole: bool) -> list[Change]:
        """An HTTP client has read a content; ``whole``: from its first to its last byte."""
        # Repositories are read in ranges; of everything else only the whole proves something.
        return self._sightings.read(content, address) if whole or content.role is Role.SOURCE else []

    def report(self, request: Request, address: int) -> Report | None:
        """A machine's callback (``installed/TOKEN``, ``failed/TOKEN``, ``discovered/TOKEN``); None when the request is none."""
        return self._callbacks.take(request)

    def committed(self, changes: Sequence[Change], verdict: Verdict) -> None:
        """The fate of changes that ``absorb``, ``delivered``, ``report`` or ``tick`` asked to make durable."""
        failed = verdict is Verdict.FAILED
        if failed and not self._store_failed and changes:  # once, not with each of a rack's machines and each new try
            mac = self._mac_of(changes[0])
            self.tell(Event("store.failed", mac, detail={"directory": self.settings.server.state}))
        self._store_failed = failed
        for change in changes:
            if isinstance(change, InstallRecord):
                for event in self.installs.committed(change, verdict, self.clock()):
                    self.tell(event)
            elif isinstance(change, DiscoveredMachine) and verdict is Verdict.DURABLE:
                hardware = self.discovered.take(change)
                self._recognise(change.key, hardware)
                detail = {"machine": change.key, "what": words_of(hardware)}
                self.tell(Event("discovery.told", self._mac_of(change), detail=detail))

    def tick(self) -> list[Change]:
        """Do what is due with time; returns what should become durable."""
        self._standing.age()
        now, steady = self.clock(), self._steady()
        passed_s = steady - self._ticked_at[1]
        stepped_s = now - self._ticked_at[0] - passed_s
        self._ticked_at = now, steady
        moved: Sequence[Change] = []
        if abs(stepped_s) > _STEPPED_S:
            moved = self.installs.clock_moved(stepped_s, now, passed_s)
            self._readings.clock_moved(stepped_s)
        changes, events = self.installs.tick(now)
        for event in events:
            self.tell(event)
        return [*moved, *changes]

    def name_of(self, mac: bytes, address: int = 0) -> str:
        """The configured name of a machine, for people; "" when it has none."""
        if not mac and address:
            mac = self.access.identify(address, "", self.clock()).mac or b""
        host = self.hosts.of_mac(mac) if mac else None
        return host.name if host is not None and host.configured else ""

    def _conceal(self, key: str, text: str) -> str:
        """A machine's words without tokens and without the secrets of its host and profile."""
        host = self.hosts.of_key(key)
        profile = self.plan(host).profile if host is not None else None
        if not text or host is None or profile is None:
            return hidden(text)
        return mask_for(self.settings, host, (profile,))(hidden(text))

    def _waits(self, key: str) -> bool:
        """The machine that told what it is has not been made anything by anybody yet."""
        host = self.hosts.of_key(key)
        profile = self.plan(host).profile if host is not None else None
        return profile is None or profile.discovers

    def _recognise(self, key: str, hardware: Hardware) -> None:
        """A machine has told its serial number: any of its cards is that host's from now on, also when it is configured later."""
        host = self.hosts.of_key(key)
        macs = [mac for mac in (host.mac if host is not None else None, *(nic.mac for nic in hardware.nics)) if mac]
        for mac in dict.fromkeys(macs):
            self.hosts.tell_serial(mac, serial_of(hardware))

    def _accept(self) -> tuple[list[Change], list[Event]]:
        """Machines that told what they are, and are configured now to be something: they are armed."""
        changes: list[Change] = []
        events: list[Event] = []
        for told, _ in self.discovered.all():
            host = self.hosts.of_key(told.key)
            if host is not None and host.configured and not self._waits(told.key):
                records, said = self.installs.accept(told.key, self.clock())
                changes += records
                events += said
        return changes, events

    # -- small things --------------------------------------------------------------------------------------------------------

    def _mac_of(self, change: Change) -> bytes:
        if isinstance(change, AddedHost):
            return b""
        if not isinstance(change, InstallRecord | DiscoveredMachine):
            return change.mac
        host = self.hosts.of_key(change.key)
        return (host.mac if host is not None else None) or b""

    def _plan_of_nobody(self) -> policy.Plan:
        return policy.plan(None, None, self._plan_settings, self.profiles)

    def _network(self, host: Host, asker: Asker) -> context.HostNetwork:
        """The network a machine is in: by its reserved address, else by the one it asks from."""
        address = host.address or asker.address
        subnet = self.settings.subnet_of(address)
        if subnet is None:
            return context.HostNetwork(address)
        gateway = next(iter(subnet.routers), 0)
        return context.HostNetwork(address, subnet.mask, gateway, subnet.dns, subnet.domain)
