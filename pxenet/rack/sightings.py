"""What machines were seen to do, and what it proves: by their packets, and by what they have read.

Knows which evidence moves an installation on, and which anybody could invent. Must not know protocols.
"""

from __future__ import annotations

from collections.abc import Callable

from pxenet.boot import policy
from pxenet.engine.access import Access
from pxenet.engine.install import Installs
from pxenet.engine.life import Evidence
from pxenet.engine.surface import Sighting
from pxenet.events import Event
from pxenet.model import Change, ClientKind, Content, Host, Role
from pxenet.rack.hosts import LEARNED, Hosts

_FIRMWARE = frozenset({ClientKind.PXE, ClientKind.HTTP, ClientKind.IPXE})
"""Kinds of client whose DISCOVER means that a machine was switched on, or has given up what it was doing."""

PROOF = {
    Role.LOADER: Evidence.LOADING,
    Role.KERNEL: Evidence.BOOTED,
    Role.ANSWER: Evidence.ANSWERED,
    Role.SOURCE: Evidence.INSTALLING,
}
"""What it proves about a machine that it has read a content of this role."""

_BESIDE_OTHERS = frozenset({"proxy request", "proxy 4011"})
"""Evidence of an address that another DHCP server has given."""


class Sightings:
    """Tells hosts, access and installs what was seen; returns what should become durable."""

    def __init__(
        self,
        hosts: Hosts,
        access: Access,
        installs: Installs,
        *,
        plan: Callable[[Host], policy.Plan],
        tell: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._hosts = hosts
        self._access = access
        self._installs = installs
        self._plan = plan
        self._tell = tell
        self._clock = clock
        # Machines whose firmware, in this boot, asked as an HTTPClient: what it loaded finds another network than after PXE.
        self._http_booted: dict[bytes, None] = {
            seen.mac: None for seen in hosts.seen() if seen.vendor_class.startswith("HTTPClient")
        }
        for seen in sorted(hosts.seen(), key=lambda seen: seen.last_seen_at):
            access.observe(seen.address, seen.mac, "seen before the start", seen.last_seen_at)

    def http_booted(self, mac: bytes) -> bool:
        """The firmware of that machine has, in this boot, asked as an HTTPClient."""
        return mac in self._http_booted

    def met(self, sighting: Sighting) -> list[Change]:
        """An engine has spoken with a machine."""
        client = sighting.client
        now = self._clock()
        changes: list[Change] = []
        foreign = sighting.address if sighting.evidence in _BESIDE_OTHERS else 0
        seen = self._hosts.met(client, now, foreign)
        if seen is not None:
            changes.append(seen)
        self._access.observe(sighting.address, client.mac, sighting.evidence, now)
        if client.kind is ClientKind.HTTP:
            self._http_booted[client.mac] = None
            if len(self._http_booted) > LEARNED:
                del self._http_booted[next(iter(self._http_booted))]
        elif client.kind is ClientKind.PXE:
            self._http_booted.pop(client.mac, None)
        host = self._hosts.of_client(client)
        asks = client.kind in _FIRMWARE and sighting.evidence in ("discover", "offer", "proxy offer")
        if asks:
            changes += self._observe(host, Evidence.ASKED, now)
        boot = sighting.boot
        if boot is not None and (boot.path or boot.url) and self._plan(host).action is policy.Action.INSTALL:
            changes += self._observe(host, Evidence.OFFERED, now)
        return changes

    def read(self, content: Content, address: int) -> list[Change]:
        """Who is at this address has read a content, and that may prove something."""
        evidence = PROOF.get(content.role)
        if evidence is None:
            return []
        key = self._access.identify(address, content.name, self._clock()).key
        host = self._hosts.of_key(key) if key else None
        if host is None:
            return []
        return self._observe(host, evidence, self._clock(), content.profile)

    def _observe(self, host: Host, evidence: Evidence, now: float, profile: str = "") -> list[Change]:
        plan = self._plan(host)
        if plan.profile is None or plan.profile.answer is None:
            return []  # a live or rescue system never reports an end: it may be booted as often as one likes
        if not host.configured and evidence is Evidence.OFFERED:
            return []  # anybody can invent hardware addresses; one that has read a boot loader is a machine
        changes, events = self._installs.observe(host.key, evidence, profile or host.profile or "", now)
        for event in events:
            self._tell(event)
        return list(changes)
