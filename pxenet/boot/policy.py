"""What a machine boots, and which boot loader brings it there; every decision carries the id of the rule that made it.

Two pure steps. :func:`plan` looks at the machine (configuration, install state): install, local disk, menu or nothing.
:func:`choose` looks at what speaks (firmware, iPXE, its architecture): which file, by which transport. Must not know packets,
sockets or storage; which files exist is asked of the caller. Architecture types: RFC 4578 §2.1 and the IANA registry.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol
from urllib.parse import quote

from pxenet.model import (
    BootClient,
    BootFile,
    ClientKind,
    Host,
    InstallRecord,
    InstallState,
    Loader,
    Platform,
    Profile,
)

RULES: Mapping[str, str] = MappingProxyType(
    {
        # plan
        "install": "it is to be installed with its profile",
        "unknown-profile": "no [[host]] names it; boot.unknown installs this profile",
        "installed": "it has reported the end of its installation",
        "failed": "its installation failed; it waits to be armed again",
        "stopped": "it started the installer boot.max_attempts times and never reported the end",
        "discovery": "it boots what tells the server which machine it is",
        "discovered": "it has told what it is, and waits to be made a host (pxenet hosts accept)",
        "cancelled": "an order took back that it is to be installed (pxenet cancel)",
        "retired": "it was taken out of service (pxenet retire): nothing is served to it",
        "no-profile": "its [[host]] names no profile, so nothing is installed",
        "no-profile-menu": "its [[host]] names no profile; boot.unknown shows the menu",
        "lost-profile": "its profile is not in the configuration",
        "unknown-ignore": "no [[host]] names it; boot.unknown ignores it",
        "unknown-local": "no [[host]] names it; boot.unknown sends it to its local disk",
        "unknown-menu": "no [[host]] names it; boot.unknown shows the menu",
        # choose
        "operating-system": "an operating system or installer asks for its address; it boots nothing",
        "raspberry-pi": "a Raspberry Pi boot ROM knows its own file names; they come from server.root",
        "unknown-arch": "nobody packages a boot loader for its architecture",
        "loader": "the boot loader chosen for its platform",
        "loader-missing": "the boot loader chosen for its platform is not here",
        "ipxe-script": "it is iPXE already and its loader is iPXE: it gets its script by HTTP",
        "ipxe-script-tftp": "it is iPXE already, but cannot do HTTP: it gets its script by TFTP",
        "ipxe-loader": "it is iPXE already, and loads the boot loader chosen for its platform",
        "ipxe-loader-missing": "it is iPXE already, and the boot loader chosen is not here: it gets its script instead",
        "ipxe-after-http": "its firmware loaded iPXE by HTTP, after which GRUB has no network: iPXE gets its script",
        "grub-proxy": "behind another DHCP server GRUB would look there for its files: iPXE starts it with our address",
        "grub-proxy-alone": "behind another DHCP server GRUB looks there for its files, and iPXE, which would mend that, is not here",
        "shim-proxy": "behind another DHCP server GRUB looks there for its files, also when shim starts it",
        "ipxe-grub-proxy": "it is iPXE already, and starts GRUB with our address instead of the other DHCP server's",
        "http-loader": "UEFI HTTP boot: the boot loader chosen for its platform, by its URL",
        "http-ipxe": "UEFI HTTP boot: GRUB and syslinux have no network after it, so iPXE takes their place",
        "http-no-ipxe": "UEFI HTTP boot: iPXE is not here, and the boot loader chosen may stop at its prompt",
    }
)
"""Rule id → words. The ids are what a BootFile and a Plan carry as their reason."""


class Action(enum.Enum):
    """What shall become of a machine."""

    INSTALL = "install"
    LOCAL = "local"  # boot the local disk
    MENU = "menu"  # let a person choose
    NONE = "none"  # no boot file: its firmware goes on by itself


@dataclass(frozen=True, slots=True)
class Plan:
    """What a machine boots, and why."""

    action: Action
    profile: Profile | None = None
    """What to install; for LOCAL, what had been installed (its loader is still the one to use)."""
    reason: str = ""
    """A key of :data:`RULES`."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """``[boot]``, as far as :func:`plan` needs it."""

    unknown: str = "ignore"
    """"ignore", "local", "menu" or the name of a profile."""
    max_attempts: int = 3


_FOR_UNKNOWN = {
    "ignore": Plan(
        Action.NONE, reason="unknown-ignore", detail="name it in a [[host]] by its mac, or change boot.unknown"
    ),
    "local": Plan(Action.LOCAL, reason="unknown-local"),
    "menu": Plan(Action.MENU, reason="unknown-menu"),
}

_STILL_TO_START = frozenset({InstallState.NEW, InstallState.OFFERED, InstallState.LOADING})


def plan(
    host: Host | None, record: InstallRecord | None, settings: PlanSettings, profiles: Mapping[str, Profile]
) -> Plan:
    """What the machine boots now. ``host`` None: nothing is known of it; ``record`` None: it is seen for the first time, so armed."""
    if record is not None and record.state is InstallState.RETIRED:
        return Plan(Action.NONE, reason="retired", detail="pxenet reinstall takes it back into service")
    configured = host is not None and host.configured
    if not configured:
        plain = _FOR_UNKNOWN.get(settings.unknown)
        if plain is not None:
            return plain
        name, reason = settings.unknown, "unknown-profile"
    else:
        assert host is not None
        if host.profile is None:
            # Never what unknown machines get by boot.unknown = PROFILE: who names a host without a profile reserves an address.
            if settings.unknown == "menu":
                return Plan(Action.MENU, reason="no-profile-menu")
            return Plan(Action.LOCAL, reason="no-profile")
        name, reason = host.profile, "install"
    profile = profiles.get(name)
    if profile is None:
        return Plan(Action.LOCAL, reason="lost-profile", detail=f"no profile is called {name!r}")
    if record is not None:
        if record.state is InstallState.DISCOVERED and profile.discovers:
            return Plan(Action.LOCAL, profile, "discovered")
        if record.state is InstallState.INSTALLED:
            return Plan(Action.LOCAL, profile, "installed")
        if record.state is InstallState.CANCELLED:
            return Plan(Action.LOCAL, profile, "cancelled")
        if record.state is InstallState.FAILED:
            stopped = record.attempts >= settings.max_attempts
            return Plan(Action.LOCAL, profile, "stopped" if stopped else "failed", record.reason)
        # While the installer of the last attempt runs (booted and later) its texts must stay what they are.
        if record.state in _STILL_TO_START and record.attempts >= settings.max_attempts:
            return Plan(Action.LOCAL, profile, "stopped", f"{record.attempts} attempts")
    return Plan(Action.INSTALL, profile, "discovery" if profile.discovers else reason)


@dataclass(frozen=True, slots=True)
class LoaderFiles:
    """A boot loader in the content tree."""

    names: tuple[str, ...]
    """Names to give to the client; the first that exists is taken."""
    beside: tuple[str, ...] = ()
    """What it loads next and cannot do without."""


LOADERS: Mapping[tuple[Platform, Loader], LoaderFiles] = MappingProxyType(
    {
        (Platform.BIOS, Loader.PXELINUX): LoaderFiles(("bios/pxelinux.0",), ("bios/ldlinux.c32",)),
        (Platform.BIOS, Loader.LPXELINUX): LoaderFiles(("bios/lpxelinux.0",), ("bios/ldlinux.c32",)),
        (Platform.BIOS, Loader.GRUB): LoaderFiles(("bios/core.0",)),
        (Platform.BIOS, Loader.IPXE): LoaderFiles(("bios/undionly.kpxe", "bios/ipxe.pxe")),
        (Platform.X64, Loader.PXELINUX): LoaderFiles(("x64/syslinux.efi",), ("x64/ldlinux.e64",)),
        (Platform.X64, Loader.LPXELINUX): LoaderFiles(("x64/syslinux.efi",), ("x64/ldlinux.e64",)),
        (Platform.X64, Loader.GRUB): LoaderFiles(("x64/grubx64.efi",)),
        (Platform.X64, Loader.SHIM): LoaderFiles(("x64/shimx64.efi",), ("x64/grubx64.efi",)),
        (Platform.X64, Loader.IPXE): LoaderFiles(("x64/ipxe.efi", "x64/snponly.efi")),
        (Platform.IA32, Loader.PXELINUX): LoaderFiles(("ia32/syslinux.efi",), ("ia32/ldlinux.e32",)),
        (Platform.IA32, Loader.LPXELINUX): LoaderFiles(("ia32/syslinux.efi",), ("ia32/ldlinux.e32",)),
        (Platform.IA32, Loader.GRUB): LoaderFiles(("ia32/grubia32.efi",)),
        (Platform.IA32, Loader.SHIM): LoaderFiles(("ia32/shimia32.efi",), ("ia32/grubia32.efi",)),
        (Platform.IA32, Loader.IPXE): LoaderFiles(("ia32/ipxe.efi", "ia32/snponly.efi")),
        (Platform.ARM64, Loader.GRUB): LoaderFiles(("arm64/grubaa64.efi",)),
        (Platform.ARM64, Loader.SHIM): LoaderFiles(("arm64/shimaa64.efi",), ("arm64/grubaa64.efi",)),
        (Platform.ARM64, Loader.IPXE): LoaderFiles(("arm64/ipxe.efi", "arm64/snponly.efi")),
    }
)
"""Combinations that exist. Syslinux has no build for ARM, shim none for BIOS."""

DEFAULT_LOADERS: Mapping[Platform, Loader] = MappingProxyType(
    {
        Platform.BIOS: Loader.PXELINUX,
        Platform.X64: Loader.GRUB,
        Platform.IA32: Loader.GRUB,
        Platform.ARM64: Loader.GRUB,
    }
)
"""Used where the configuration names none."""


class Shelf(Protocol):
    """Which boot loaders there are (``content.loaders`` has one)."""

    def has(self, path: str) -> bool:
        """There is a file of that name in the tree."""
        ...

    def advice(self, *paths: str) -> str:
        """How to get the files of these names, e.g. ``apt install pxelinux``."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What :func:`choose` needs to know beside the machine."""

    shelf: Shelf
    loaders: Mapping[Platform, Loader] = field(default_factory=lambda: DEFAULT_LOADERS)
    """``boot.loader.*``; profile and host may differ."""


URL_FEATURES: Mapping[str, int] = MappingProxyType({"http": 0x13, "https": 0x14})
"""iPXE's flags (option 175) for builds that can fetch such URLs. Measured: Debian 12's lack https, that for EFI too."""

_NO_HTTP_NETWORK = frozenset({Loader.GRUB, Loader.SHIM, Loader.PXELINUX, Loader.LPXELINUX})
"""Measured: Debian's signed GRUB has no http module and, after HTTP boot, no network configuration; syslinux.efi wants PXE's."""


_NO_PROXY = frozenset({Loader.GRUB, Loader.SHIM})
"""Measured: GRUB 2.06 takes its server from the other DHCP server's answer (siaddr) and never sees the proxy's. iPXE hands a program
an answer made of its own settings, so GRUB started by an iPXE whose next-server was set finds us. Secure Boot refuses that iPXE."""

_NEXT_SERVER_ADVICE = "let the other DHCP server name this server as its next-server (siaddr)"

GRUB_SCRIPT = "grub.ipxe"
"""In each platform's directory: the iPXE script that starts its GRUB (``content.chain`` renders it)."""


def loader_of(platform: Platform, plan: Plan, host: Host | None, loaders: Mapping[Platform, Loader]) -> Loader:
    """The boot loader for this platform: the host's word, else the profile's, else the configuration's, else the default."""
    for choice in (host.loaders if host else {}, plan.profile.loaders if plan.profile else {}, loaders):
        if platform in choice:
            return choice[platform]
    return DEFAULT_LOADERS[platform]


def choose(
    client: BootClient,
    plan: Plan,
    host: Host | None,
    setting: Setting,
    server_url: str,
    *,
    http_booted: bool = False,
    proxied: bool = False,
) -> BootFile:
    """What the client is told to load.

    ``server_url`` has no slash at its end. ``http_booted``: this machine's firmware has, in this boot, asked as an HTTPClient (the iPXE
    that speaks now came by HTTP). ``proxied``: its address comes from another DHCP server. A file that is missing leads to no boot
    file, with the package to install in ``detail``.
    """
    if client.kind is ClientKind.OTHER:
        return BootFile(reason="operating-system")
    if client.raspberry:
        return BootFile(reason="raspberry-pi")
    if client.platform is None:
        return BootFile(reason="unknown-arch", detail=f"architecture {client.arch}")
    if plan.action is Action.NONE:
        return BootFile(reason=plan.reason, detail=plan.detail)
    loader = loader_of(client.platform, plan, host, setting.loaders)
    behind_proxy = proxied and loader in _NO_PROXY and client.platform is not Platform.BIOS
    if client.kind is ClientKind.IPXE:
        if behind_proxy and not http_booted and find_loader(client.platform, loader, setting.shelf)[0]:
            return BootFile(f"{client.platform.value}/{GRUB_SCRIPT}", reason="ipxe-grub-proxy")
        return _for_ipxe(client, client.platform, loader, setting, server_url, http_booted)
    if client.kind is ClientKind.HTTP:  # by its class, whatever types it lists: a PXEClient would ask TFTP for the URL
        return _for_http(client.platform, loader, setting, server_url)
    # An installed machine gets its own loader too, also where that is iPXE on UEFI: its `exit 1` leads over the same card's HTTP entry
    # and iPXE once more to the disk (measured: 10 s). GRUB would be quicker there but less sure. It finds the boot loaders that it
    # knows by name and, finding none, ends in the firmware's menu; `exit 1` comes to whatever the installed system has registered.
    # Who chose iPXE may have cards that GRUB cannot drive, or own Secure Boot keys. And silence towards the HTTP entry costs more:
    # EDK2 asks for a minute.
    path, missing = find_loader(client.platform, loader, setting.shelf)
    if not path:
        return BootFile(reason="loader-missing", detail=missing)
    return _behind_proxy(client.platform, loader, path, setting) if behind_proxy else BootFile(path, reason="loader")


def find_loader(platform: Platform, loader: Loader, shelf: Shelf) -> tuple[str, str]:
    """(name in the tree, "") of a loader that is complete, or ("", what is missing and how to get it)."""
    files = LOADERS.get((platform, loader))
    if files is None:
        choices = sorted({known.value for where, known in LOADERS if where is platform})
        return (
            "",
            f"there is no {loader.value} for {platform.value}; boot.loader.{platform.value} may be {', '.join(choices)}",
        )
    path = next((name for name in files.names if shelf.has(name)), "")
    wanted = ([] if path else [files.names[0]]) + [name for name in files.beside if not shelf.has(name)]
    if not wanted:
        return path, ""
    return "", f"{' and '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} missing: {shelf.advice(*wanted)}"


def _behind_proxy(platform: Platform, loader: Loader, path: str, setting: Setting) -> BootFile:
    """GRUB by way of iPXE, which firmware without Secure Boot accepts; shim, which is there for Secure Boot, stays first."""
    if loader is Loader.SHIM:
        return BootFile(path, reason="shim-proxy", detail=_NEXT_SERVER_ADVICE)
    ipxe, no_ipxe = find_loader(platform, Loader.IPXE, setting.shelf)
    if ipxe:
        return BootFile(ipxe, reason="grub-proxy")
    return BootFile(path, reason="grub-proxy-alone", detail=f"{no_ipxe}; or {_NEXT_SERVER_ADVICE}")


def _for_ipxe(
    client: BootClient, platform: Platform, loader: Loader, setting: Setting, server_url: str, http_booted: bool
) -> BootFile:
    """Never an iPXE binary: iPXE would load itself for ever."""
    if loader is Loader.IPXE:
        return _script(client, server_url, "")
    if http_booted and loader in _NO_HTTP_NETWORK:
        return _script(client, server_url, "ipxe-after-http")
    path, missing = find_loader(platform, loader, setting.shelf)
    if path:
        return BootFile(path, reason="ipxe-loader")
    return _script(client, server_url, "ipxe-loader-missing", missing)


def fetches(client: BootClient, server_url: str) -> bool:
    """Whether this iPXE can fetch our URLs; builds that do not say so have TFTP."""
    return URL_FEATURES.get(server_url.partition(":")[0]) in client.ipxe_features


def _script(client: BootClient, server_url: str, reason: str, detail: str = "") -> BootFile:
    if fetches(client, server_url):
        return BootFile(url=f"{server_url}/boot.ipxe", reason=reason or "ipxe-script", detail=detail)
    return BootFile("boot.ipxe", reason=reason or "ipxe-script-tftp", detail=detail)


def _for_http(platform: Platform, loader: Loader, setting: Setting, server_url: str) -> BootFile:
    path, missing = find_loader(platform, loader, setting.shelf)
    if loader in _NO_HTTP_NETWORK:
        ipxe, no_ipxe = find_loader(platform, Loader.IPXE, setting.shelf)
        if ipxe:
            return BootFile(url=f"{server_url}/{quote(ipxe)}", reason="http-ipxe")
        if path:
            return BootFile(url=f"{server_url}/{quote(path)}", reason="http-no-ipxe", detail=no_ipxe)
        return BootFile(reason="loader-missing", detail=no_ipxe)
    if not path:
        return BootFile(reason="loader-missing", detail=missing)
    return BootFile(url=f"{server_url}/{quote(path)}", reason="http-loader")
