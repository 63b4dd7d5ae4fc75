"""Who asks, and who may read an answer file.

Knows which machine stands behind an address, by what evidence, and for how long that may be believed. Must not know protocols,
leases' bookkeeping or the system's neighbour table: those are functions given to it.

In this order: a token or hardware address in the path; our lease; what was observed in DHCP; the neighbour table. Two machines that
claimed one address lately make it unknown: better no answer than another machine's. An answer file holds password hashes and keys,
so it needs the machine's token, and an address that is not known to be somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pxenet.engine.install import Installs
from pxenet.engine.readings import Readings
from pxenet.model import Lease, LeaseState

MAX_ENTRIES = 65536
"""Observations kept. The one unused for longest goes first, so a flood of invented machines costs a bounded amount of memory."""

EXPIRES_S = 12 * 3600.0
"""How long an observation is believed: another server's lease is seldom longer, an installation never."""

RECENT_S = 600.0
"""Two machines that claim an address within this time of each other make it ambiguous, until one claims it again; further apart, it
was given to the later one."""

BY_TOKEN = "token in the path"
BY_NAME = "hardware address in the path"
BY_LEASE = "lease"
BY_DHCP = "observed in DHCP"
BY_NEIGHBOUR = "neighbour table"

_NO_EVIDENCE = (
    'no lease of ours, no DHCP heard of it, no neighbour on the wire (only with dhcp.mode = "off" a name suffices)'
)

# As pxelinux (01-52-54-…, after its ARP type), GRUB (grub.cfg-01-52-54-…) and iPXE (either sign) spell it. From its beginning: the
# last six bytes of a longer address (InfiniBand has 20) are another machine's.
_HARDWARE = re.compile(
    r"(?:^|/|grub\.cfg-)(?:[0-9a-f]{2}-)?((?:[0-9a-f]{2}[-:]){5}[0-9a-f]{2})(?=$|[/.])", re.IGNORECASE
)
_TOKEN = re.compile(r"(?:^|/)([0-9a-f]{32})(?=$|/)")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which machine asks. Without a key nobody knows."""

    key: str = ""
    """The host's key, as in ``Host.key``."""
    mac: bytes | None = None
    """Its hardware address; None when only a token is known and the key is no hardware address."""
    evidence: str = ""
    """What establishes it: one of the ``BY_`` texts, empty when unknown."""
    doubt: str = ""
    """Why it is unknown although something is known, in words."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether an answer file may be read."""

    allowed: bool
    key: str = ""
    """The machine the token belongs to; empty when it is not valid."""
    reason: str = ""
    """Why not, in words."""
    ended: bool = False
    """The only reason is that the machine's installation is over. A person at its menu may begin another one."""


@dataclass(slots=True)
class _Claim:
    mac: bytes
    evidence: str
    at: float


class Access:
    """See the module's text.

    ``lease_of(address, now)`` and ``neighbour(address)`` give the lease and the hardware address of an IPv4 address, or None.
    ``key_of_mac`` names the host that a hardware address belongs to; by default its own key. It matters for hosts known by UUID or
    serial number, and for machines with several interfaces. ``names_suffice``: this server hears no DHCP at all, so there is never
    more than the name that a machine asks for. ``readings``: how often and how long answer files may be read; None: without limit.
    """

    def __init__(
        self,
        installs: Installs,
        *,
        lease_of: Callable[[int, float], Lease | None],
        neighbour: Callable[[int], bytes | None],
        key_of_mac: Callable[[bytes], str] = lambda mac: mac.hex(":"),
        names_suffice: bool = False,
        readings: Readings | None = None,
        max_entries: int = MAX_ENTRIES,
        expires_s: float = EXPIRES_S,
        recent_s: float = RECENT_S,
    ) -> None:
        self._installs = installs
        self._lease_of = lease_of
        self._neighbour = neighbour
        self._key_of_mac = key_of_mac
        self._names_suffice = names_suffice
        self._readings = readings
        self._max_entries = max_entries
        self._expires_s = expires_s
        self._recent_s = recent_s
        # Address → its claims, newest last, two at most; the address seen longest ago first. And where each machine was seen last.
        self._claims: dict[int, tuple[_Claim, ...]] = {}
        self._address_of: dict[bytes, int] = {}

    def reconfigure(self, *, names_suffice: bool) -> None:
        """From now on this holds; what was observed stays."""
        self._names_suffice = names_suffice

    def __len__(self) -> int:
        """Addresses remembered."""
        return len(self._claims)

    def observe(self, address: int, mac: bytes, evidence: str, now: float) -> None:
        """A machine showed in DHCP that it has or is about to have this address; ``evidence`` as in ``surface.Sighting``."""
        if not address or not mac:
            return
        earlier = self._address_of.get(mac)
        if earlier is not None and earlier != address:
            self._drop(earlier, mac)  # it moved: its old address is free for another machine
        others = tuple(claim for claim in self._claims.pop(address, ()) if claim.mac != mac)
        for forgotten in others[:-1]:
            self._address_of.pop(forgotten.mac, None)
        self._claims[address] = (*others[-1:], _Claim(mac, evidence, now))
        self._address_of[mac] = address
        while len(self._claims) > self._max_entries:
            self._forget(next(iter(self._claims)))

    def identify(self, address: int, path: str, now: float) -> Identity:
        """Which machine asks for ``path`` from ``address``, and by what evidence."""
        named = self._named(path) if path else None
        if named is not None:
            return named
        mac = self._leased(address, now)
        if mac is not None:
            return Identity(self._key_of_mac(mac), mac, BY_LEASE)
        claims = self._believed(address, now)
        keys = {self._key_of_mac(claim.mac) for claim in claims}
        if len(keys) > 1:
            return Identity(doubt=f"{len(keys)} machines claimed this address within {self._recent_s:g} s")
        if claims:
            return Identity(keys.pop(), claims[-1].mac, BY_DHCP)
        mac = self._neighbour(address)
        if mac:
            return Identity(self._key_of_mac(mac), mac, BY_NEIGHBOUR)
        return Identity()

    def may_read_answer(self, token: str, address: int, now: float) -> Permission:
        """Whether an answer file may go to ``address``: ``token`` is valid and was told of lately, its machine is armed, and the
        address not another's.
        """
        key = self._installs.key_of(token)
        if key is None:
            return Permission(
                False, "", "the token in the path is not valid; a machine gets a new one each time it is armed"
            )
        mac = self._leased(address, now)
        owners = [mac] if mac is not None else [claim.mac for claim in self._believed(address, now)]
        if owners and key not in map(self._key_of_mac, owners):
            return Permission(False, key, f"it is for {key}, but this address belongs to {owners[-1].hex(':')}")
        refusal = self._readings.refusal(key, now) if self._readings is not None else ""
        if refusal:
            return Permission(False, key, refusal)
        if not self._installs.armed(key):
            record = self._installs.record(key)
            state = record.state.value if record else "not armed"
            return Permission(False, key, f"its machine is {state}, so nothing is to be installed", ended=True)
        return Permission(True, key)

    def may_be(self, key: str, mac: bytes | None, address: int, now: float) -> Permission:
        """Whether a request may come from the machine that the name it asks for says (``mac`` None: the name says no hardware address).

        A name is no proof: hardware addresses are printed on every machine, and what is read under it carries the machine's token. So
        our lease, what was observed in DHCP or the neighbour table must say that the address is that machine's. Where no DHCP is heard,
        the name counts as long as nothing speaks against it. Over IPv6 nobody is known by address.
        """
        if not address:
            return Permission(False, key, "it was asked for over IPv6, where machines cannot be told from one another")
        owners = [claim.mac for claim in self._believed(address, now)]
        if owners and key not in map(self._key_of_mac, owners):
            return Permission(False, key, f"it is for {key}, but this address belongs to {owners[-1].hex(':')}")
        elsewhere = self._address_of.get(mac or b"", address)
        if elsewhere != address and mac in [claim.mac for claim in self._believed(elsewhere, now)]:
            return Permission(False, key, f"it is for {key}, which was last seen at another address")
        if not self._names_suffice and not owners and self.identify(address, "", now).key != key:
            return Permission(
                False, key, f"it is for {key}, and nothing tells that this address is its own: {_NO_EVIDENCE}"
            )
        return Permission(True, key)

    def _named(self, path: str) -> Identity | None:
        for token in _TOKEN.findall(path):
            key = self._installs.key_of(token)
            if key is not None:
                return Identity(key, _mac_in(key), BY_TOKEN)
        found = _HARDWARE.search(path)
        if found is None:
            return None
        mac = bytes.fromhex(found[1].replace("-", "").replace(":", ""))
        return Identity(self._key_of_mac(mac), mac, BY_NAME)

    def _leased(self, address: int, now: float) -> bytes | None:
        lease = self._lease_of(address, now)
        if lease is None or lease.state is not LeaseState.BOUND or lease.expires_at <= now:
            return None
        return lease.mac or None

    def _believed(self, address: int, now: float) -> list[_Claim]:
        """The claims that count now, newest last: the newest, and others that are close to it in time."""
        claims = self._claims.get(address, ())
        if not claims or now - claims[-1].at >= self._expires_s:
            return []
        # Reading counts as use: a machine in the middle of its boot must not be the one that a flood pushes out.
        self._claims[address] = self._claims.pop(address)
        return [claim for claim in claims if claims[-1].at - claim.at < self._recent_s]

    def _drop(self, address: int, mac: bytes) -> None:
        left = tuple(claim for claim in self._claims.get(address, ()) if claim.mac != mac)
        if left:
            self._claims[address] = left
        else:
            self._claims.pop(address, None)

    def _forget(self, address: int) -> None:
        for claim in self._claims.pop(address):
            self._address_of.pop(claim.mac, None)


def _mac_in(key: str) -> bytes | None:
    try:
        return bytes.fromhex(key.replace(":", "")) or None
    except ValueError:
        return None
