"""What a configuration says, as plain frozen values: what ``rack`` and the servers work with.

Knows the shared records and nothing of TOML, files or checks. Addresses are ints, times seconds, paths absolute.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pxenet.boot.policy import DEFAULT_LOADERS
from pxenet.config.problems import Problem, Source
from pxenet.engine.dhcp import DhcpMode, Subnet
from pxenet.engine.life import DEFAULT_TIMEOUTS_S
from pxenet.model import AddedHost, Exit, Host, InstallState, Loader, Platform, Profile

_NO_FILES: Mapping[str, Path] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Server:
    """``[server]``."""

    interfaces: tuple[str, ...] = ()
    """Names; empty: every interface that is up and has an IPv4 address, the loopback aside."""
    address: int | None = None
    """Our address as clients are told it; None: the interface's own, for each interface."""
    url: str | None = None
    """Base of our URLs, without a slash at the end; None: made of the address and ``http.port``."""
    user: str | None = None
    """Whose rights to keep after binding the ports; None: no change."""
    state: Path = Path("/var/lib/pxenet")
    """Directory of the store."""
    root: Path | None = None
    """Directory served as it is."""
    cache_gib: int = 50
    """What files of URLs may take on disk, in GiB; 0: clients fetch from there themselves."""
    workers: int = 1
    """Processes that serve file contents."""
    failure_captures: int = 20
    """Files kept of boots that failed; 0: none, and nothing is recorded for them."""


@dataclass(frozen=True, slots=True)
class Dhcp:
    """``[dhcp]``."""

    mode: DhcpMode = DhcpMode.PROXY
    """For networks without a ``[[dhcp.subnet]]`` that says otherwise."""
    port: int = 67
    proxy_port: int = 4011
    authoritative: bool = False
    match_client_id: bool = False
    lease_s: float = 43200
    subnets: tuple[Subnet, ...] = ()


@dataclass(frozen=True, slots=True)
class Tftp:
    """``[tftp]``."""

    port: int = 69
    max_blksize: int = 1468
    max_windowsize: int = 16
    single_port: bool = False
    """Transfers leave from the TFTP port itself: for firewalls that do not follow TFTP."""
    allow_write: bool = False
    ignore_case: bool = False
    """Names are found in whatever case they are asked for."""


@dataclass(frozen=True, slots=True)
class Http:
    """``[http]``."""

    port: int = 80
    tls_port: int = 443
    """Of HTTPS, which is served when there is a certificate, beside plain HTTP."""
    tls_cert: Path | None = None
    tls_key: Path | None = None


class Unknown(enum.StrEnum):
    """What a machine gets that no ``[[host]]`` names, besides a profile; the values are what a configuration says."""

    IGNORE = "ignore"  # no boot file: its firmware goes on as if we were not there
    LOCAL = "local"
    MENU = "menu"


@dataclass(frozen=True, slots=True)
class Boot:
    """``[boot]``."""

    unknown: Unknown | str = Unknown.IGNORE
    """An :class:`Unknown`, or the name of a profile."""
    max_attempts: int = 3
    loaders: Mapping[Platform, Loader] = field(default_factory=lambda: DEFAULT_LOADERS)
    """Complete: one for each platform."""
    exit: Exit = Exit.AUTO
    timeouts_s: Mapping[InstallState, float] = field(default_factory=lambda: DEFAULT_TIMEOUTS_S)
    """Complete: one for each stage."""
    answer_window_s: float = 14400.0
    answer_reads: int = 20


@dataclass(frozen=True, slots=True)
class ProfileTree:
    """Where the files of a profile are; they are served below ``profile/<name>/``. Of the three sources one at most is set."""

    source_dir: Path | None = None
    """A directory, served whole under ``prefix``."""
    files: Mapping[str, Path] = field(default_factory=lambda: _NO_FILES)
    """Whole name in the content tree → file, for kernel and initrds that lie outside the source, and for an image as one file. Asked
    first."""
    source_iso: Path | None = None
    """An ISO image, whose files are served under ``prefix``."""
    source_upstream: str = ""
    """An URL, whose files are served under ``prefix`` through the cache."""
    checksums: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Path below the URL → ``algorithm:hex``, as its description tells."""
    prefix: str = ""
    """``profile/<name>``, and the platform's name behind it when there are several."""
    by_platform: Mapping[Platform, ProfileTree] = field(default_factory=lambda: MappingProxyType({}))
    """One for each architecture of the source, when it names several; nothing else is then set."""

    @property
    def parts(self) -> tuple[ProfileTree, ...]:
        """Those that have files: itself, or one for each architecture."""
        return tuple(self.by_platform.values()) or (self,)


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration, checked."""

    server: Server = field(default_factory=Server)
    dhcp: Dhcp = field(default_factory=Dhcp)
    tftp: Tftp = field(default_factory=Tftp)
    http: Http = field(default_factory=Http)
    boot: Boot = field(default_factory=Boot)
    profiles: tuple[Profile, ...] = ()
    """In the order of the file, which is the order of the menu."""
    trees: Mapping[str, ProfileTree] = field(default_factory=lambda: MappingProxyType({}))
    """By profile name; one for each profile."""
    hosts: tuple[Host, ...] = ()
    added: tuple[AddedHost, ...] = ()
    """Those among the hosts that are not in the file, as they are stored."""
    secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """By name: what stands elsewhere than in the file, and is shown to nobody."""
    notes: tuple[Problem, ...] = ()
    """What is allowed but perhaps not meant; for ``check`` to say."""
    source: Source = field(default_factory=Source, compare=False)
    """The file it was read from, for messages about it."""

    def profile(self, name: str) -> Profile | None:
        """The profile of that name."""
        return next((profile for profile in self.profiles if profile.name == name), None)

    def host(self, name: str) -> Host | None:
        """The host of that name."""
        return next((host for host in self.hosts if host.name == name), None)

    def subnet_of(self, address: int) -> Subnet | None:
        """The subnet that contains the address."""
        return next((subnet for subnet in self.dhcp.subnets if address in subnet), None)

    def problem(self, key: str, wrong: str, right: str) -> Problem:
        """A problem with a key like ``http.port``, found out later than loading; it knows its file and line."""
        return self.source.problem(tuple(key.split(".")), wrong, right)
