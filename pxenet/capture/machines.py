"""Whose packet it is, and when a machine is switched on anew: open boots, and what is known of each.

A machine is its hardware address; behind a router it is the address that DHCP gave it. An address belongs to whom it was given
last, so machines that share one over time stay apart. A second network card of a machine (by UUID) joins its boot when the first
one got nothing. Must not know frames, nor how transfers go.
"""

from __future__ import annotations

from typing import Protocol

from pxenet.capture.boots import ArpStep, Boot, DhcpStep, Evidence, Fingerprint, Lease, PacketRef, Role, Step
from pxenet.capture.fingerprints import FAMILIES, Sign, architecture_of, dhcp_sign, uuid_of
from pxenet.capture.frames import Packet
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.reader import WireError

MAX_OPEN = 16384
"""Boots at once; the one that is silent longest is closed for the next."""
MAX_STEPS = 10000
"""Of one boot; what is beyond is counted."""
MAX_CONTENTS = 256
"""Transfers and requests of one boot whose contents are kept; of later ones the sizes alone."""
MAX_PLACES = 4 * MAX_OPEN
"""Addresses, and machines that were there before, which are remembered."""
MAX_NAMES = 64
"""Addresses, leases and programs of one boot."""
MAX_EVIDENCE = 4
"""Of one program."""
IDLE_NS = 3600 * 10**9
"""A boot that is silent for longer has ended."""

_NEXT_ENTRY_NS = 120 * 10**9
"""A firmware that got nothing goes on with its next boot entry in less; else somebody switched it on again."""
_SELF_TEST_NS = 10**9
"""No machine is through its self-test so soon: what asks again is the same program, or one that it started."""
_IPXE_PROGRAMS = ("ipxe", "undionly", "snponly")


class Opening(Protocol):
    """A step that goes on: a transfer or a request whose value is known at its end."""

    @property
    def ref(self) -> PacketRef: ...

    @property
    def end_ns(self) -> int: ...

    def freeze(self) -> Step: ...

    def forgo(self) -> None:
        """Its contents are not kept."""


class OpenBoot:
    """A boot, and what it has come to so far."""

    __slots__ = (
        "_architectures", "_contents", "_evidence", "_last_ns", "_roles", "_speakers", "addresses", "asking", "closed", "dropped",
        "hardware", "keys", "leases", "loaded", "others", "power_on", "relayed", "steps", "uuid",
    )  # fmt: skip

    def __init__(self, hardware: bytes, power_on: int) -> None:
        self.hardware, self.power_on = hardware, power_on
        self.steps: list[DhcpStep | ArpStep | Opening] = []
        self.uuid: bytes | None = None
        self.addresses: dict[int, None] = {}
        self.leases: list[Lease] = []
        self.others: list[bytes] = []
        self.keys: dict[bytes, None] = {}
        """Flows of packets that belong to it, as ``dissect`` knows them; the oldest first."""
        self.asking: dict[bytes, None] = {}
        """Likewise, ends from which it asks by TFTP."""
        self.loaded = ""
        """The last file it asked for."""
        self.relayed = False
        self.closed = False
        """Its end was seen: nothing more may be added."""
        self.dropped = 0
        self._evidence: dict[str, list[Evidence]] = {}
        self._roles: dict[str, Role] = {}
        self._architectures: dict[str, int] = {}
        self._speakers: dict[int, str] = {}
        self._last_ns = 0
        self._contents = 0

    @property
    def last_ns(self) -> int:
        """When it was last heard of."""
        going = (step.end_ns for step in self.steps[-8:] if not isinstance(step, DhcpStep | ArpStep))
        return max(self._last_ns, max(going, default=0))

    @property
    def rank(self) -> int:
        """How far it has come: 0 firmware, 1 loader, 2 system; -1: nothing is known."""
        return max((role.rank for role in self._roles.values()), default=-1)

    @property
    def first_family(self) -> str:
        """The program that spoke first; empty: unknown."""
        return next(iter(self._roles), "")

    def add(self, step: DhcpStep | ArpStep | Opening) -> None:
        """One more step."""
        self._last_ns = max(self._last_ns, step.ref.at_ns)
        before = self.steps[-1] if self.steps else None
        if isinstance(step, ArpStep) and isinstance(before, ArpStep) and before.packet == step.packet:
            self.steps[-1] = ArpStep(before.ref, before.packet, before.request, before.count + 1)
        elif len(self.steps) < MAX_STEPS:
            self.steps.append(step)
            if not isinstance(step, DhcpStep | ArpStep):
                self._contents += 1
                if self._contents > MAX_CONTENTS:
                    step.forgo()
        else:
            self.dropped += 1

    def sign(self, sign: Sign, number: int, architecture: int | None = None) -> None:
        """A program was recognised in this packet."""
        family = sign.family
        if family not in self._roles:
            if len(self._roles) >= MAX_NAMES:
                return
            self._roles[family] = self.role(family)
            self._evidence[family] = []
        if architecture is not None:
            self._architectures.setdefault(family, architecture)
        known = self._evidence[family]
        if len(known) < MAX_EVIDENCE and all(one.text != sign.evidence for one in known):
            known.append(Evidence(number, sign.evidence))

    def role(self, family: str) -> Role:
        """What this program is here: an iPXE that speaks first is the firmware's."""
        first = family == "ipxe" and not self._roles
        return self._roles.get(family) or (Role.FIRMWARE if first else FAMILIES[family][1])

    def speaks(self, xid: int, family: str) -> None:
        """Who asked with this xid."""
        if len(self._speakers) >= MAX_NAMES:
            self._speakers.pop(next(iter(self._speakers)))
        self._speakers[xid] = family

    def grant(self, step: DhcpStep, server: int) -> None:
        """A server acknowledged an address."""
        message = step.message
        lease = Lease(message.yiaddr, server, _lasts(step), step.ref, self._speakers.get(message.xid, ""))
        again = self.leases and (self.leases[-1].address, self.leases[-1].server) == (lease.address, server)
        if again and self.leases[-1].who == lease.who and step.ref.at_ns - self.leases[-1].ref.at_ns < _SELF_TEST_NS:
            return  # the same ACK on both sides of a relay, or repeated
        if len(self.leases) < MAX_NAMES:
            self.leases.append(lease)

    def uses(self, address: int) -> None:
        """It has, or was given, this IPv4 address."""
        if address and len(self.addresses) < MAX_NAMES:
            self.addresses[address] = None

    def freeze(self) -> Boot:
        """The value of it."""
        steps = [step if isinstance(step, DhcpStep | ArpStep) else step.freeze() for step in self.steps]
        steps.sort(key=lambda step: step.ref.number)
        prints = tuple(
            Fingerprint(name, FAMILIES[name][0], role, tuple(self._evidence[name]), self._architectures.get(name))
            for name, role in self._roles.items()
        )
        return Boot(
            self.hardware, tuple(steps), self.uuid, tuple(self.addresses), prints, tuple(self.leases),
            tuple(self.others), self.power_on, self.dropped,
        )  # fmt: skip


class Machines:
    """All open boots. What has ended stands in ``closed`` until somebody takes it."""

    def __init__(self) -> None:
        self.closed: list[OpenBoot] = []
        self.closed_early = 0
        self._open: dict[
            bytes, OpenBoot
        ] = {}  # by key: the hardware address, or what stands for it; longest silent first
        self._alias: dict[bytes, bytes] = {}  # a further network card → key
        self._by_address: dict[tuple[int, int], bytes] = {}  # (IP version, address) → key
        self._by_uuid: dict[bytes, bytes] = {}
        self._power_ons: dict[bytes, int] = {}
        self._routers: set[bytes] = set()  # hardware addresses of relay agents
        self._swept_ns = 0

    def dhcp(self, step: DhcpStep) -> OpenBoot:
        """Whose DHCP message this is; a new boot, when a machine is switched on with it."""
        message, packet = step.message, step.packet
        hardware = message.hardware if any(message.hardware) else packet.source_hardware
        if message.giaddr and len(self._routers) < MAX_OPEN:
            relay = packet.source_hardware if step.from_client else packet.destination_hardware
            if relay != hardware and relay not in self._open:
                self._routers.add(relay)
        if not step.from_client:
            boot = self._of(hardware, step.ref.at_ns)
            self._answered(boot, hardware, step)
            boot.add(step)
            return boot
        sign = dhcp_sign(message)
        uuid = uuid_of(message)
        boot = self._asked(hardware, sign, uuid, step)
        if uuid and boot.uuid is None:
            boot.uuid = uuid
            self._by_uuid[uuid] = self._alias.get(hardware, hardware)
        if sign:
            boot.sign(sign, step.ref.number, architecture_of(message))
            boot.speaks(message.xid, sign.family)
        boot.relayed = boot.relayed or bool(message.giaddr)
        boot.uses(message.ciaddr)
        boot.add(step)
        return boot

    def who(self, packet: Packet, at_ns: int) -> OpenBoot:
        """The machine that sent this packet."""
        hardware, place = packet.source_hardware, (packet.version, packet.source)
        known = self._by_address.get(place)
        if known not in self._open:
            known = None
        if hardware in self._routers or not any(hardware):
            key = known or b"\0" * packet.version + packet.source.to_bytes(16, "big")
        elif known is None or known == self._alias.get(hardware, hardware) or hardware in self._open:
            key = hardware
        elif self._open[known].relayed:
            key = known
        else:
            key = hardware  # it has the address now, however it came by it
        boot = self._of(key, at_ns)
        self._stands(place, self._alias.get(key, key))
        if packet.version == 4:
            boot.uses(packet.source)
        return boot

    def arp(self, step: ArpStep) -> bool:
        """ARP counts for the machines that boot: of the rest of the network nothing is told. False: none of them takes part."""
        packet, taken = step.packet, False
        for hardware in {packet.source_hardware, packet.destination_hardware}:
            boot = self._open.get(self._alias.get(hardware, hardware))
            if boot is None:
                continue
            if hardware == packet.source_hardware and packet.source and hardware not in self._routers:
                self._stands((4, packet.source), self._alias.get(hardware, hardware))
            boot.add(step)
            taken = True
        return taken

    def sweep(self, at_ns: int) -> None:
        """Boots that have been silent for long are over."""
        if at_ns - self._swept_ns < IDLE_NS // 60:
            return
        self._swept_ns = at_ns
        for key in [key for key, boot in self._open.items() if at_ns - boot.last_ns > IDLE_NS]:
            self._close(key)

    def finish(self) -> None:
        """The capture ends."""
        for key in list(self._open):
            self._close(key)

    # -- DHCP ---------------------------------------------------------------------------------------------------------------

    def _asked(self, hardware: bytes, sign: Sign | None, uuid: bytes | None, step: DhcpStep) -> OpenBoot:
        key = self._alias.get(hardware, hardware)
        boot = self._open.get(key)
        if boot is None:
            first = self._by_uuid.get(uuid) if uuid else None
            other = self._open.get(first) if first else None
            if other is not None and first is not None and not other.leases and not other.loaded:
                self._alias[hardware] = first
                if len(other.others) < MAX_NAMES:
                    other.others.append(hardware)
                return other
        elif _is_discover(step) and _switched_on(boot, sign, step.ref.at_ns):
            self._close(key)
        return self._of(hardware, step.ref.at_ns)

    def _answered(self, boot: OpenBoot, hardware: bytes, step: DhcpStep) -> None:
        message, key = step.message, self._alias.get(hardware, hardware)
        if not message.yiaddr:
            return
        kind = _type(step)
        if kind == MessageType.OFFER:
            self._stands(
                (4, message.yiaddr), self._by_address.get((4, message.yiaddr), key)
            )  # a Raspberry Pi's ROM never asks for more
        elif kind in (MessageType.ACK, None) and step.packet.source_port != 4011:
            self._stands((4, message.yiaddr), key)
            boot.uses(message.yiaddr)
            server = message.options.raw(OptionCode.SERVER_ID) or b""
            boot.grant(step, int.from_bytes(server, "big") if len(server) == 4 else step.packet.source)

    # -- boots --------------------------------------------------------------------------------------------------------------

    def _of(self, hardware: bytes, at_ns: int) -> OpenBoot:
        key = self._alias.get(hardware, hardware)
        boot = self._open.pop(key, None)
        if boot is not None and at_ns - boot.last_ns > IDLE_NS:
            self._open[key] = boot
            self._close(key)
            boot = None
        if boot is None:
            while len(self._open) >= MAX_OPEN:
                self.closed_early += 1
                self._close(next(iter(self._open)))
            self._power_ons[key] = self._power_ons.pop(key, 0) + 1
            if len(self._power_ons) > MAX_PLACES:
                del self._power_ons[next(iter(self._power_ons))]
            boot = OpenBoot(key if len(key) != 20 and len(key) != 22 else b"", self._power_ons[key])
        self._open[key] = boot
        return boot

    def _close(self, key: bytes) -> None:
        boot = self._open.pop(key)
        self.closed.append(boot)
        for hardware in boot.others:
            self._alias.pop(hardware, None)
        if boot.uuid:
            self._by_uuid.pop(boot.uuid, None)
        for address in boot.addresses:
            if self._by_address.get((4, address)) == key:
                del self._by_address[4, address]

    def _stands(self, place: tuple[int, int], key: bytes) -> None:
        """This machine has this address now."""
        self._by_address.pop(place, None)
        self._by_address[place] = key
        if len(self._by_address) > MAX_PLACES:
            del self._by_address[next(iter(self._by_address))]


def _switched_on(boot: OpenBoot, sign: Sign | None, at_ns: int) -> bool:
    """A DISCOVER that begins a new boot: of a program that runs before those that were heard of already."""
    quiet_ns = at_ns - boot.last_ns
    if sign is None or quiet_ns < _SELF_TEST_NS:
        return False
    role = boot.role(sign.family)
    if role is not Role.FIRMWARE:
        return role.rank < boot.rank
    if sign.family != boot.first_family:
        return boot.rank == Role.SYSTEM.rank or quiet_ns > _NEXT_ENTRY_NS  # else the next boot entry
    if sign.family == "ipxe" and any(name in boot.loaded.lower() for name in _IPXE_PROGRAMS):
        return boot.rank == Role.SYSTEM.rank  # else one iPXE loaded another
    return bool(boot.loaded) or boot.rank > 0 or quiet_ns > _NEXT_ENTRY_NS


def _type(step: DhcpStep) -> int | None:
    try:
        return step.message.message_type
    except WireError:
        return 0


def _is_discover(step: DhcpStep) -> bool:
    return _type(step) in (MessageType.DISCOVER, None)


def _lasts(step: DhcpStep) -> int | None:
    raw = step.message.options.raw(OptionCode.LEASE_TIME)
    return int.from_bytes(raw, "big") if raw is not None and len(raw) == 4 else None
