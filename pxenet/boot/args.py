"""The kernel arguments that a profile needs and did not give: where the answer file is, where the repository.

Knows which installer reads which argument (anaconda ``boot-options.rst``, Debian installation guide appendix B, linuxrc, casper). Takes
arguments that are rendered already; templates are ``answer``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from pxenet.boot.entries import clean_args, has_argument
from pxenet.model import Installer


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an installer finds what it installs. URLs are complete; empty: there is none."""

    installer: Installer | None = None
    """None: not known; a kickstart is then taken for anaconda's."""
    source_url: str = ""
    image_url: str = ""
    stage2_url: str = ""
    packages: bool = False
    """The source has packages."""


NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class HostName:
    """What an installer is told that asks for it before it has read its answer file."""

    name: str = ""
    domain: str = ""


NOBODY = HostName()


def complete(
    args: str,
    *,
    kind: str,
    answer_url: str = "",
    origin: Origin = NOWHERE,
    host: HostName = NOBODY,
    legacy: bool = False,
) -> str:
    """The arguments with what is missing added, never doubled.

    ``kind`` of the answer file as in ``answer.kinds``; others get nothing. ``legacy`` spells as RHEL 6 does, which knows no ``inst.``.
    Raises :class:`~pxenet.boot.entries.InexpressibleError` for arguments that are damaged.
    """
    line = clean_args(args)
    missing = [
        word
        for keys, word in [
            *_for_answer(kind, answer_url, line, origin, host, legacy),
            *_for_source(kind, origin, legacy),
        ]
        if not any(has_argument(line, key) for key in keys)
    ]
    return " ".join(filter(None, [*_before_dashes(line, list(dict.fromkeys(missing)))]))


def _before_dashes(line: str, missing: list[str]) -> list[str]:
    """What follows ``---`` (or ``--``) goes to the installed system's boot loader in Debian, and to init everywhere: add before it."""
    given = line.split(" ") if line else []
    for mark in ("---", "--"):
        if mark in given:
            at = given.index(mark)
            return [*given[:at], *missing, *given[at:]]
    return [*given, *missing]


_Wanted = tuple[tuple[str, ...], str]
"""Any of these given makes it unnecessary, and the argument."""


def _for_source(kind: str, origin: Origin, legacy: bool) -> list[_Wanted]:
    """What tells the installer where its system and packages are."""
    url, installer = origin.source_url, origin.installer
    if installer is Installer.SUBIQUITY:  # it loads the whole image, whatever else the source may be
        return _subiquity(origin.image_url)
    if not url:
        return []
    if installer in (Installer.ANACONDA, Installer.ANACONDA_LEGACY) or (installer is None and kind == "kickstart"):
        # RHEL 6 says "method", and takes "repo" for the same; later releases only know inst.repo.
        old = legacy or installer is Installer.ANACONDA_LEGACY
        word = f"method={url}" if old else f"inst.repo={url}"
        return [(("inst.repo=", "repo=", "method=", "inst.stage2="), word)]
    make = _SOURCES.get(installer) if installer is not None else None
    return make(origin) if make is not None else []


def _subiquity(image_url: str) -> list[_Wanted]:
    """casper (``url=`` of an image, which must end in ``.iso``). cloud-init would take ``url=`` for its own configuration otherwise."""
    if not image_url:
        return []
    return [
        (("ip=",), "ip=dhcp"),
        (("url=", "iso-url=", "netboot=", "nfsroot="), f"url={image_url}"),
        (("cloud-config-url=",), "cloud-config-url=/dev/null"),
    ]


def _debian(origin: Origin) -> list[_Wanted]:
    """d-i's mirror questions (installation guide, appendix B.4.2): only a source that has packages is a mirror."""
    parts = urlsplit(origin.source_url)
    if not origin.packages or parts.scheme not in ("http", "https"):
        return []
    return [
        (("mirror/country=",), "mirror/country=manual"),
        (("mirror/protocol=",), f"mirror/protocol={parts.scheme}"),
        (("mirror/http/hostname=", "mirror/https/hostname="), f"mirror/{parts.scheme}/hostname={parts.netloc}"),
        (("mirror/http/directory=", "mirror/https/directory="), f"mirror/{parts.scheme}/directory={parts.path or '/'}"),
    ]


def _linuxrc(origin: Origin) -> list[_Wanted]:
    return [(("install=", "repo="), f"install={origin.source_url}")]


def _agama(origin: Origin) -> list[_Wanted]:
    """dracut's livenet, and where packages are (agama ``inst.install_url``)."""
    found: list[_Wanted] = [
        (("root=",), f"root=live:{origin.stage2_url}"),
        (("ip=",), "ip=dhcp"),
        (("rd.neednet", "rd.neednet="), "rd.neednet=1"),
    ]
    if origin.packages:
        found.append((("inst.install_url=",), f"inst.install_url={origin.source_url}/install"))
    return found


def _coreos(origin: Origin) -> list[_Wanted]:
    """The live system's root (coreos-installer's documentation)."""
    if not origin.stage2_url:
        return []
    return [
        (("coreos.live.rootfs_url=",), f"coreos.live.rootfs_url={origin.stage2_url}"),
        (("ip=",), "ip=dhcp"),
        (("rd.neednet", "rd.neednet="), "rd.neednet=1"),
    ]


def _archiso(origin: Origin) -> list[_Wanted]:
    """mkinitcpio-archiso: the URL ends with a slash, and what is below it is called as on the medium."""
    return [
        (("archisobasedir=",), "archisobasedir=arch"),
        (("archiso_http_srv=", "archiso_nfs_srv=", "archiso_nbd_srv="), f"archiso_http_srv={origin.source_url}/"),
        (("ip=",), "ip=dhcp"),
    ]


def _alpine(origin: Origin) -> list[_Wanted]:
    """mkinitfs-bootparam(7)."""
    found: list[_Wanted] = [(("ip=",), "ip=dhcp"), (("modules=",), "modules=loop,squashfs")]
    if origin.stage2_url:
        found.append((("modloop=",), f"modloop={origin.stage2_url}"))
    found.append((("alpine_repo=",), f"alpine_repo={origin.source_url}/apks"))
    return found


_SOURCES: Mapping[Installer, Callable[[Origin], list[_Wanted]]] = MappingProxyType(
    {
        Installer.DEBIAN: _debian,
        Installer.LINUXRC: _linuxrc,
        Installer.AGAMA: _agama,
        Installer.COREOS: _coreos,
        Installer.ARCH: _archiso,
        Installer.ALPINE: _alpine,
    }
)


def _for_answer(kind: str, answer_url: str, line: str, origin: Origin, host: HostName, legacy: bool) -> list[_Wanted]:
    """What tells the installer where its answer file is."""
    if not answer_url:
        return []
    if kind == "kickstart":
        return [(("inst.ks=", "ks="), f"{'' if legacy else 'inst.'}ks={answer_url}")]
    if kind == "autoyast" and origin.installer is not Installer.AGAMA:
        return [(("autoyast=", "autoyast2="), f"autoyast={answer_url}")]
    if kind in ("autoyast", "agama"):
        return [(("inst.auto=",), f"inst.auto={answer_url}")]
    if kind == "discovery":
        return [(("pxenet.discovery=",), f"pxenet.discovery={answer_url}")]
    if kind == "preseed":
        return _preseed(answer_url, host)
    if kind == "autoinstall":
        seed = answer_url.rpartition("/")[0]
        return [(("autoinstall",), "autoinstall"), (("ds=",), f"ds=nocloud;s={seed}/")]
    return _ignition(answer_url, line) if kind == "ignition" else []


def _preseed(answer_url: str, host: HostName) -> list[_Wanted]:
    """debian-installer. It wants names and a network card before it can fetch what would answer those questions."""
    found: list[_Wanted] = [
        (("auto", "auto=", "auto-install/enable="), "auto=true"),
        (("priority=", "debconf/priority="), "priority=critical"),
        (("interface=", "netcfg/choose_interface="), "interface=auto"),
    ]
    name, _, domain = host.name.partition(".")
    if name:
        found.append((("hostname=", "netcfg/get_hostname=", "netcfg/hostname="), f"hostname={name}"))
    if domain or host.domain:
        found.append((("domain=", "netcfg/get_domain="), f"domain={domain or host.domain}"))
    return [*found, (("url=", "preseed/url="), f"url={answer_url}")]


def _ignition(answer_url: str, line: str) -> list[_Wanted]:
    """Installed when a disk to install to is named, else the live system's own configuration (coreos-installer, dracut)."""
    known = ("coreos.inst.ignition_url=", "ignition.config.url=")
    network: list[_Wanted] = [(("ip=",), "ip=dhcp"), (("rd.neednet", "rd.neednet="), "rd.neednet=1")]
    if has_argument(line, "coreos.inst.install_dev="):
        return [(known, f"coreos.inst.ignition_url={answer_url}"), *network]
    return [
        (known, f"ignition.config.url={answer_url}"),
        (("ignition.firstboot", "ignition.firstboot="), "ignition.firstboot"),
        (("ignition.platform.id=",), "ignition.platform.id=metal"),
        *network,
    ]
