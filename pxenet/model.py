"""The records that all floors share. Values only: how they are stored or sent is not known here.

Addresses are ints, hardware addresses bytes, times seconds since the epoch (``_at``) or durations in seconds (``_s``).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Platform(enum.Enum):
    """The families of firmware we have boot loaders for; the values are the configuration's ``boot.loader.*`` keys."""

    BIOS = "bios"
    X64 = "x64"
    IA32 = "ia32"
    ARM64 = "arm64"


ARCHITECTURE_PLATFORMS: Mapping[int, tuple[Platform, bool]] = MappingProxyType(
    {
        0: (Platform.BIOS, False),
        6: (Platform.IA32, False),
        7: (Platform.X64, False),
        9: (Platform.X64, False),  # RFC 4578 as printed had 7 and 9 exchanged: old firmware sends 9 for x64
        11: (Platform.ARM64, False),
        15: (Platform.IA32, True),
        16: (Platform.X64, True),
        19: (Platform.ARM64, True),
        20: (Platform.BIOS, True),
    }
)
"""Architecture type (option 93, IANA registry) to the platform whose loaders it runs, and whether it loads by URI (HTTP boot).

U-Boot (21 to 24) runs no boot program of ours: it reads pxelinux.cfg itself, or comes back as a UEFI client.
"""


def platform_of(arch: int) -> tuple[Platform | None, bool]:
    """The platform of an architecture type, and whether it loads by URI. ``(None, False)``: nobody packages a loader for it."""
    return ARCHITECTURE_PLATFORMS.get(arch, (None, False))


class Loader(enum.Enum):
    """Boot loaders a configuration may choose. ``pxelinux`` on an EFI platform is its EFI twin, syslinux.efi."""

    PXELINUX = "pxelinux"
    LPXELINUX = "lpxelinux"
    GRUB = "grub"
    SHIM = "shim"
    IPXE = "ipxe"


class ClientKind(enum.Enum):
    """Who is speaking DHCP: decides which of our answers it understands."""

    PXE = "pxe"  # firmware, class PXEClient
    HTTP = "http"  # UEFI HTTP boot, class HTTPClient
    IPXE = "ipxe"  # iPXE, option 77 or 175 (an option ROM or a chained binary)
    OTHER = "other"  # an operating system, an installer, U-Boot's first request


@dataclass(frozen=True, slots=True)
class BootClient:
    """A machine that asks to boot, as its DHCP packet describes it."""

    mac: bytes
    """Hardware address, ``hlen`` bytes of chaddr; empty when it has none."""
    kind: ClientKind
    arch: int
    """Architecture type (option 93, first entry; else the digits in option 60; else 0)."""
    platform: Platform | None
    """None: an architecture nobody packages a loader for."""
    uuid: bytes | None = None
    """The 16 bytes of option 97 in wire order; None when absent or all zero or all ones (firmware for "unknown")."""
    ipxe_features: frozenset[int] = frozenset()
    """iPXE feature flags of option 175 (0x10 to 0x4f); empty for anything else."""
    raspberry: bool = False
    """A Raspberry Pi boot ROM, which wants its own option 43 and never sends REQUEST."""
    vendor_class: str = ""
    user_class: str = ""


class Installer(enum.Enum):
    """The system that a kernel of an install tree starts, and that reads its arguments; the value is what people call it."""

    ANACONDA = "anaconda"
    ANACONDA_LEGACY = "anaconda (RHEL 6 and older)"  # knows no ``inst.``
    DEBIAN = "debian-installer"
    SUBIQUITY = "subiquity (casper)"
    LINUXRC = "linuxrc (YaST)"
    AGAMA = "agama"
    COREOS = "Ignition (CoreOS)"
    ARCH = "archiso"
    ALPINE = "alpine"
    PROXMOX = "proxmox"
    ESXI = "esxi"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Repository:
    """A package repository of an install tree."""

    name: str
    url: str
    """``{server}`` stands for our URL."""


class Exit(enum.Enum):
    """How a machine gets from our boot loader to its local disk (``boot.exits`` says what each loader does then)."""

    AUTO = "auto"  # by what that loader does best
    DISK = "disk"  # the loader starts the disk itself
    NEXT = "next"  # the firmware goes on with what is next in its boot order


DISCOVERY = "discovery"
"""The ``answer`` of profiles whose answer file is the script that tells what a machine is."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What to install or boot: a kernel, its initrds, arguments and perhaps an answer file."""

    name: str
    kernel: str
    """Path in the content tree, e.g. ``profile/alma9/images/pxeboot/vmlinuz``."""
    initrd: tuple[str, ...] = ()
    """Paths in the content tree."""
    args: str = ""
    """Kernel arguments, a template."""
    answer: str | None = None
    """Name of the answer file's template (a path on disk), or None."""
    verbatim: bool = False
    """The answer file is no template, and served as it is."""
    reports: bool = True
    """A kickstart that does not report its end is given the sections that do."""
    source_url: str = ""
    """What ``urls.source`` shows: an URL of the install tree; empty when the profile has none. ``{server}`` stands for our URL."""
    vars: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    loaders: Mapping[Platform, Loader] = field(default_factory=lambda: MappingProxyType({}))
    kickstart: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    """The installation as data: keys of ``answer.kickstart.data.Kickstart``, those that were written."""
    installer: Installer | None = None
    """What its source was found to install by; None when there is no source, or nothing is known of it."""
    image_url: str = ""
    """The source as one file, when it is an ISO image: what a live system loads whole."""
    stage2_url: str = ""
    """The image with the installer's system, for those that must be told."""
    repositories: tuple[Repository, ...] = ()
    """The package repositories of its source that clients can reach."""
    by_platform: Mapping[Platform, Profile] = field(default_factory=lambda: MappingProxyType({}))
    """The same for each kind of machine, when the source has several architectures; what is above is then the first one's."""

    @property
    def discovers(self) -> bool:
        """It installs nothing: what it boots tells what the machine is."""
        return self.answer == DISCOVERY

    def on(self, platform: Platform | None) -> Profile | None:
        """The profile for a machine of this kind; None when its source has nothing for it. BIOS and 32-bit UEFI start x64 kernels."""
        if not self.by_platform or platform is None:
            return self
        found = self.by_platform.get(platform)
        return self.by_platform.get(Platform.X64) if found is None and platform is not Platform.ARM64 else found


@dataclass(frozen=True, slots=True)
class Host:
    """A machine named in the configuration, or (``configured`` false) one that was merely seen."""

    name: str
    mac: bytes | None = None
    """Hardware address; of several the first one, under which the host's state is stored."""
    uuid: str | None = None
    """Canonical lower-case text; matched in both byte orders (facts: PC firmware swaps, U-Boot does not)."""
    serial: str | None = None
    profile: str | None = None
    address: int | None = None
    vars: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    loaders: Mapping[Platform, Loader] = field(default_factory=lambda: MappingProxyType({}))
    exit: Exit | None = None
    """How it gets to its disk, where that differs from ``boot.exit``."""
    configured: bool = True
    other_macs: tuple[bytes, ...] = ()
    """Of the machine's other network cards, from any of which it may boot."""
    kickstart: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    """Laid over the profile's."""

    @property
    def macs(self) -> tuple[bytes, ...]:
        """All its hardware addresses that the configuration names."""
        return self.other_macs if self.mac is None else (self.mac, *self.other_macs)

    @property
    def key(self) -> str:
        """Under which the host's state is stored: its hardware identity, so that renaming it cannot arm it again."""
        if self.mac is not None:
            return self.mac.hex(":")
        if self.uuid is not None:
            return f"uuid:{self.uuid}"
        return f"serial:{self.serial}"


class LeaseState(enum.Enum):
    """What a stored address is to its client."""

    BOUND = "bound"
    RELEASED = "released"  # given back: free, but remembered for the same client
    DECLINED = "declined"  # somebody else answers on it: set aside until expires_at


@dataclass(frozen=True, slots=True)
class Lease:
    """One address and the client it was acknowledged to."""

    address: int
    identity: bytes
    """The client's key: htype + chaddr, or 0xff + option 61 (design: Identity)."""
    mac: bytes
    expires_at: float
    """Seconds since the epoch; ``inf`` for ever."""
    state: LeaseState = LeaseState.BOUND
    hostname: str = ""
    since_at: float = 0.0
    client_id: bytes = b""
    """Option 61 as last seen, for people."""


@dataclass(frozen=True, slots=True)
class SeenHost:
    """A machine that spoke to us, for the list of hosts."""

    key: str
    mac: bytes
    uuid: str
    arch: int
    first_seen_at: float
    last_seen_at: float
    vendor_class: str = ""
    address: int = 0
    """What another DHCP server has given it, as far as that was observed; of ours the leases tell."""


class InstallState(enum.Enum):
    """The life of a machine, in the order of the values (design §6); the last two are a person's acts."""

    NEW = "new"
    OFFERED = "offered"
    LOADING = "loading"
    BOOTED = "booted"
    ANSWERED = "answered"
    INSTALLING = "installing"
    INSTALLED = "installed"
    FAILED = "failed"
    DISCOVERED = "discovered"
    CANCELLED = "cancelled"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class InstallRecord:
    """Where a machine stands. One per host key; durable."""

    key: str
    state: InstallState
    profile: str = ""
    attempts: int = 0
    """How many times the machine has started the installer's kernel since it was armed."""
    generation: int = 1
    """Counts the explicit acts of arming; part of the machine's token, so that an old kernel cannot report for a new install."""
    since_at: float = 0.0
    reason: str = ""
    """Why it failed or was stopped, in words."""
    log: str = ""
    """The end of its installer's log, which it sent when it failed."""


@dataclass(frozen=True, slots=True)
class AddedHost:
    """A host that was added by command, beside those of the configuration file."""

    name: str
    """Its key: no two hosts share a name."""
    keys: str
    """What a ``[[host]]`` would say, as JSON; empty when it was removed."""


@dataclass(frozen=True, slots=True)
class DiscoveredMachine:
    """What a machine said that it is."""

    key: str
    """As that of its InstallRecord."""
    at: float
    told: str
    """Its words, as ``wire.discovery`` writes them."""


Change = Lease | SeenHost | InstallRecord | AddedHost | DiscoveredMachine
"""What a store can be asked to keep. Each replaces the earlier record with the same key (address, key or name)."""


class Verdict(enum.Enum):
    """What became of a change."""

    DURABLE = "durable"
    TAKEN = "taken"  # another server holds that address (shared stores only)
    FAILED = "failed"  # not written: nothing that depends on it may be said


class Role(enum.Enum):
    """What reading a content to its end proves about the machine that read it."""

    LOADER = "loader"
    CONFIG = "config"
    KERNEL = "kernel"
    INITRD = "initrd"
    ANSWER = "answer"
    SOURCE = "source"  # the installer's repository
    FILE = "file"


class Readable(Protocol):
    """An open file: ``fd`` stays valid as long as this object lives."""

    @property
    def fd(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Region:
    """``length`` bytes of an open file from ``offset``."""

    file: Readable
    offset: int
    length: int


class Standing(Protocol):
    """What can tell whether a name still leads to the content that it led to, whoever asks."""

    @property
    def changed_at(self) -> float:
        """When the content changed last, in seconds since the epoch, by the clock of whatever holds it."""
        ...

    def holds(self) -> bool:
        """Asked anew, the name would lead to the very same content: looked at, not remembered."""
        ...


class Arriving:
    """How much of a content is here while the rest still comes, and who waits for it. No clock and no thread, as for ``Later``."""

    __slots__ = ("_waiting", "available", "fault", "over")

    def __init__(self) -> None:
        self.available = 0
        """Bytes from the beginning that may be read."""
        self.over = False
        """No more will come."""
        self.fault = ""
        """Why the rest will not come, when it is over too early."""
        self._waiting: list[Callable[[], None]] = []

    def advance(self, available: int) -> None:
        """So much is here now."""
        if available > self.available:
            self.available = available
            self._wake()

    def finish(self, fault: str = "") -> None:
        """All of it is here, or the rest will never be."""
        self.over, self.fault = True, fault
        self._wake()

    def then(self, told: Callable[[], None]) -> None:
        """Call this once, when more is here or none will come."""
        if self.over:
            told()
        else:
            self._waiting.append(told)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            told()


@dataclass(frozen=True, slots=True)
class Content:
    """Something that can be served, over TFTP or HTTP alike.

    Holding it keeps its files open; they close when the last Content that refers to them is gone.
    """

    name: str
    """Its path in the tree, without a leading slash."""
    segments: tuple[bytes | Region, ...]
    size: int
    """Bytes in all."""
    modified_at: int
    """Seconds since the epoch."""
    etag: str
    """Strong, with its quotes (RFC 9110 §8.8.3)."""
    mime: str = "application/octet-stream"
    role: Role = Role.FILE
    profile: str = ""
    """The profile it belongs to, for KERNEL, INITRD and SOURCE."""
    private: bool = False
    """Meant for one machine: never to be kept by a cache."""
    secret: bool = False
    """Nothing of it is shown in captures: an answer file, or a text that has a secret in it."""
    standing: Standing | None = field(default=None, compare=False)
    """As long as it holds, this content answers for its name, for all who ask. None: it was made for one asker, or nobody can tell."""
    arriving: Arriving | None = field(default=None, compare=False)
    """Only the beginning is here yet: how much, and whether the rest still comes. It has one segment then. None: all of it is here."""


class Missing(enum.Enum):
    """Why there is no content. The value is what a client is told."""

    NOT_FOUND = "file not found"
    DENIED = "access denied"
    BAD_NAME = "bad file name"
    DAMAGED = "damaged where it comes from, see the server's log"  # an image that does not hold what it promises
    TOO_LARGE = "too large for netascii, ask for octet"
    UNAVAILABLE = "not available now, try again"  # no verdict on the name: too many open files, a failing disk
    FAULT = "its template has a fault, see the server's log"
    FULL = "no room left to write"


@dataclass(frozen=True, slots=True)
class Absent:
    """No content, with the reason for the client (``missing``) and for the people who run the server (``detail``)."""

    missing: Missing
    detail: str = ""


class Later:
    """An answer that is not there yet: whoever asked is told when it is. None in its place means: ask again.

    No clock and no thread: who has the answer calls ``resolve``, once, where the rest of the server runs.
    """

    __slots__ = ("_answer", "_resolved", "_waiting")

    def __init__(self) -> None:
        self._answer: Content | Absent | None = None
        self._resolved = False
        self._waiting: list[Callable[[Content | Absent | None], None]] = []

    @property
    def resolved(self) -> bool:
        """The answer is there."""
        return self._resolved

    def resolve(self, answer: Content | Absent | None) -> None:
        """The answer is there."""
        if self._resolved:
            raise ValueError("it was answered already")
        self._answer, self._resolved = answer, True
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            told(answer)

    def then(self, told: Callable[[Content | Absent | None], None]) -> None:
        """Call this with the answer, at once when it is there already."""
        if self._resolved:
            told(self._answer)
        else:
            self._waiting.append(told)

    def map(self, change: Callable[[Content | Absent | None], Content | Absent | Later | None]) -> Later:
        """What ``change`` makes of the answer, which may again come later."""
        changed = Later()

        def step(answer: Content | Absent | None) -> None:
            made = change(answer)
            if isinstance(made, Later):
                made.then(changed.resolve)
            else:
                changed.resolve(made)

        self.then(step)
        return changed


def at_once(found: Content | Absent | Later) -> Content | Absent:
    """The answer for those who cannot wait: one that is not there yet is "not now"."""
    if not isinstance(found, Later):
        return found
    answers: list[Content | Absent | None] = []
    found.then(answers.append)
    return (answers[0] if answers else None) or Absent(Missing.UNAVAILABLE, "it is not here yet")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who stands behind a request for content: the machine, and what establishes it."""

    address: int
    """IPv4 address of the request."""
    host: Host | None = None
    evidence: str = ""
    """"token in the path", "lease", "observed in DHCP", "neighbour table"; empty when nobody knows."""
    client: BootClient | None = None
    """The machine's latest DHCP packet, when one was seen."""
    server: int = 0
    """The IPv4 address of ours that it asked; 0 when not known."""


@dataclass(frozen=True, slots=True)
class BootFile:
    """What a DHCP answer tells a client to load, with the reason.

    ``path`` is a name in the content tree; ``url`` is set instead for clients that load by URI. Both empty: boot nothing.
    """

    path: str = ""
    url: str = ""
    reason: str = ""
    """A rule id of ``boot.policy``, interned; ``RULES`` there says it in words."""
    detail: str = ""
    """What is missing and how to get it, when something is."""
    complete: bool = True
    """The answer needs no ProxyDHCP beside it (iPXE's no-pxedhcp)."""
