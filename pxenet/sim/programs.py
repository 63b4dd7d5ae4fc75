"""What a boot program finds when it starts, how it gets at files, and what it leaves behind.

The programs themselves are ``pxelinux``, ``grub``, ``ipxe_script``; which file is which program is told by :func:`kind_of`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from pxenet.sim import http, tftp
from pxenet.sim.body import Body, BootError, Steps
from pxenet.sim.dhcp import Loads, Reply
from pxenet.sim.http import Agent, Headers
from pxenet.sim.tftp import Traits
from pxenet.sim.url import split
from pxenet.sim.voices import Voice
from pxenet.wire.text import address_text, parse_address

KEEP_BYTES = 262_144
"""Boot texts longer than this are none."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that was started."""

    args: str
    name: str = ""
    initrds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """The machine goes on from its own disk."""

    how: str


Outcome = Kernel | Disk


@dataclass(slots=True)
class Start:
    """The situation in which a boot program begins."""

    arch: str
    """``x64``, ``ia32``, ``aa64`` of EFI file names; ``bios``."""
    server: int
    name: str
    """Its own file, as it was asked for; by TFTP without host."""
    ack: Reply
    proxy: Reply | None
    ipxe: Voice
    """How an iPXE that is started here speaks."""
    run: Callable[[Body, Start], Steps[Outcome]]
    """Starts another program: what ``name`` is now."""
    url: str = ""
    """Where it was read from, when by HTTP."""
    grub: str = "Debian"
    """Which distribution's GRUB a file of that name is."""
    depth: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    """Settings that a script left."""

    @property
    def directory(self) -> str:
        """Of its own file, with a slash at the end; empty at the top."""
        directory = posixpath.dirname(self.name)
        return f"{directory}/" if directory and not directory.endswith("/") else directory


@dataclass(frozen=True, slots=True)
class Reader:
    """How a program reads: by TFTP, and by HTTP if it can."""

    tftp: Traits
    http: Agent | None = None
    headers: Headers = ()


def open_url(body: Body, reader: Reader, url: str, *, keep: bool = False) -> Steps[bytes]:
    """Read ``tftp://`` or ``http://``. BootError when it cannot be had."""
    parts = split(url)
    if parts.scheme == "tftp":
        name = unquote(parts.path.removeprefix("/"))
        return (yield from read_file(body, reader, host_address(parts.hostname or ""), name, keep=keep))
    if parts.scheme not in ("http", "https") or reader.http is None:
        raise BootError(f"{reader.tftp.name} cannot read {url}")
    reply = yield from http.get(body, reader.http, url, reader.headers, keep=keep)
    return http.whole(reader.http, url, reply).body


def read_file(body: Body, reader: Reader, server: int, name: str, *, keep: bool = False) -> Steps[bytes]:
    """Read by TFTP. TftpError: refused; BootError: not to be had."""
    got = yield from tftp.read(body, reader.tftp, server, name, KEEP_BYTES if keep else 0)
    return got.data


def try_file(body: Body, reader: Reader, server: int, name: str) -> Steps[bytes | None]:
    """Read by TFTP; None when the server has no such file (any ERROR counts as that)."""
    try:
        return (yield from read_file(body, reader, server, name, keep=True))
    except tftp.TftpError:
        return None


def host_address(host: str) -> int:
    """The address in a URL. Names are not resolved here: BootError."""
    try:
        return parse_address(host)
    except ValueError:
        raise BootError(f"the name {host!r} cannot be resolved: simulated machines know addresses only") from None


def tftp_url(loads: Loads) -> str:
    """As iPXE makes an URI of next-server and filename; an absolute URI is used as it is."""
    return loads.name if "://" in loads.name else f"tftp://{address_text(loads.server)}/{loads.name.removeprefix('/')}"


_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lpxelinux", ("lpxelinux.0",)),
    ("pxelinux", ("pxelinux.0", "gpxelinux.0")),
    ("syslinux", ("syslinux.efi", "syslinux.efi32", "syslinux.efi64")),
    (
        "shim",
        ("shimx64.efi", "shimia32.efi", "shimaa64.efi", "shim.efi", "bootx64.efi", "bootia32.efi", "bootaa64.efi"),
    ),
    (
        "grub",
        (
            "grubx64.efi",
            "grubia32.efi",
            "grubaa64.efi",
            "grubnetx64.efi",
            "grubnetx64.efi.signed",
            "core.efi",
            "core.0",
        ),
    ),
    (
        "ipxe",
        ("ipxe.efi", "snponly.efi", "snp.efi", "undionly.kpxe", "ipxe.pxe", "ipxe.kpxe", "undionly.kkpxe", "intel.efi"),
    ),
)

_TEXTS = (".ipxe", ".cfg", ".conf", ".lst", ".txt")
"""Endings of what programs read: ``grub.ipxe`` is a script of iPXE's, whatever it starts."""


def kind_of(name: str) -> str:
    """Which program a file is, by its name, as a server would name it; ``signed`` suffixes and case do not matter; "" unknown."""
    base = posixpath.basename(split(name).path if "://" in name else name).lower().removesuffix(".signed")
    for kind, names in _KINDS:
        if base in names:
            return kind
    if base.endswith(_TEXTS):
        return ""
    for prefix in ("shim", "grub", "ipxe", "snponly", "undionly"):
        if base.startswith(prefix):
            return "ipxe" if prefix in ("snponly", "undionly") else prefix
    return ""
