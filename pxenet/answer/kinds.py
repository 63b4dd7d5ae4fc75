"""Which installer reads a profile's answer file, under which name it looks for it, and what else it reads beside it.

The file's own name says most, what the profile's source was found to be says the rest. Knows no contents.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pxenet.answer.templates import BUILT_IN, output_name
from pxenet.model import Installer, Profile

KICKSTART, PRESEED, AUTOINSTALL, AUTOYAST, AGAMA, IGNITION, DISCOVERY = (
    "kickstart",
    "preseed",
    "autoinstall",
    "autoyast",
    "agama",
    "ignition",
    "discovery",
)

_MARKS = (
    (("preseed",), PRESEED),
    (("user-data", "autoinstall"), AUTOINSTALL),
    ((".ign", "ignition", ".bu"), IGNITION),
    (("agama", ".jsonnet"), AGAMA),
    (("autoyast", ".xml"), AUTOYAST),
    (("kickstart", "ks.", "ks-", "ks_", "anaconda"), KICKSTART),
)
"""Parts of a file's name, and what they say."""

_BY_INSTALLER: Mapping[Installer, str] = MappingProxyType(
    {
        Installer.ANACONDA: KICKSTART,
        Installer.ANACONDA_LEGACY: KICKSTART,
        Installer.DEBIAN: PRESEED,
        Installer.SUBIQUITY: AUTOINSTALL,
        Installer.LINUXRC: AUTOYAST,
        Installer.AGAMA: AGAMA,
        Installer.COREOS: IGNITION,
    }
)

_ENDINGS = ((".cfg", KICKSTART), (".ks", KICKSTART), (".seed", PRESEED))
"""What a name's end says where nothing else does."""

SEED = ("meta-data", "vendor-data", "network-config")
"""What cloud-init reads beside ``user-data`` (NoCloud); the last two may be absent."""


def kind_of(profile: Profile) -> str:
    """One of the kinds above; empty when nobody knows, or when there is no answer file."""
    path = profile.answer
    if path is None:
        return ""
    if path in BUILT_IN:
        return DISCOVERY if profile.discovers else KICKSTART
    name = output_name(path).lower()
    for marks, kind in _MARKS:
        if any(mark in name for mark in marks):
            return kind
    found = _BY_INSTALLER.get(profile.installer) if profile.installer is not None else None
    return found or next((kind for ending, kind in _ENDINGS if name.endswith(ending)), "")


def file_name(profile: Profile) -> str:
    """The last part of its URL. cloud-init appends this one to the URL that it is told."""
    assert profile.answer is not None
    return "user-data" if kind_of(profile) == AUTOINSTALL else output_name(profile.answer)


def companions(profile: Profile) -> tuple[str, ...]:
    """Names of what its installer reads beside it."""
    return SEED if kind_of(profile) == AUTOINSTALL else ()
