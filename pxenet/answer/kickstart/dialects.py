"""Kickstart's dialects: what the installer of each release accepts, as one table.

Run against pykickstart's handlers RHEL6 to RHEL10 and F40 (facts: answer files).
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType


class Version(enum.Enum):
    """A dialect; the values are what a template's ``vars.version`` says."""

    RHEL6 = "rhel6"
    RHEL7 = "rhel7"
    RHEL8 = "rhel8"
    RHEL9 = "rhel9"
    RHEL10 = "rhel10"
    FEDORA = "fedora"


_ORDER = tuple(Version)


class Fate(enum.Enum):
    """What an installer does with a command or option."""

    OK = "ok"
    DEPRECATED = "deprecated"
    REMOVED = "removed"
    UNKNOWN = "not yet known"


_FATES = {"ok": Fate.OK, "dep": Fate.DEPRECATED, "ERR": Fate.REMOVED, "-": Fate.UNKNOWN}

# One column per version, in the order of Version. Commands that every release takes are not listed.
# fmt: off
_TABLE: dict[str, str] = {
    #                          6   7   8   9   10  Fedora
    "install":                "ok  ok  dep ERR ERR ERR",
    "upgrade":                "ok  dep ERR ERR ERR ERR",
    "interactive":            "ok  ERR ERR ERR ERR ERR",
    "key":                    "ok  ERR ERR ERR ERR ERR",
    "monitor":                "ok  ERR ERR ERR ERR ERR",
    "auth":                   "ok  ok  dep dep ERR ERR",
    "authconfig":             "ok  ok  dep dep ERR ERR",
    "authselect":             "ERR ERR ok  ok  ok  ok",
    "autostep":               "ok  ok  ok  dep ERR ERR",
    "device":                 "ok  ok  dep ERR ERR ERR",
    "deviceprobe":            "ok  ok  dep ERR ERR ERR",
    "dmraid":                 "ok  ok  dep ERR ERR ERR",
    "multipath":              "ok  ok  dep ERR ERR ERR",
    "unsupported_hardware":   "ok  ok  ERR ERR ERR ERR",
    "btrfs":                  "ERR ok  dep dep ERR ok",
    "module":                 "-   -   ok  ok  dep dep",
    "nvdimm":                 "-   ok  ok  ok  ERR dep",
    "vnc":                    "ok  ok  ok  ok  dep dep",
    "rdp":                    "-   -   -   -   ok  ok",
    "eula":                   "-   ok  ok  ok  ok  ok",
    "reqpart":                "-   ok  ok  ok  ok  ok",
    "snapshot":               "-   ok  ok  ok  ok  ok",
    "realm":                  "-   ok  ok  ok  ok  ok",
    "liveimg":                "-   ok  ok  ok  ok  ok",
    "ostreesetup":            "-   ok  ok  ok  ok  ok",
    "hmc":                    "-   ok  ok  ok  ok  ok",
    "mount":                  "-   -   ok  ok  ok  ok",
    "sshkey":                 "-   -   ok  ok  ok  ok",
    "zipl":                   "-   -   ok  ok  ok  ok",
    "rhsm":                   "-   -   ok  ok  ok  -",
    "syspurpose":             "-   -   ok  ok  ok  -",
    "timesource":             "-   -   -   ok  ok  ok",
    "ostreecontainer":        "-   -   -   ok  ok  ok",
    "bootc":                  "-   -   -   -   ok  ok",
    # command and option
    "part --fstype=btrfs":    "ok  ok  ERR ERR ERR ok",
    "part --active":          "ok  ok  dep ERR ERR ERR",
    "autopart --type=btrfs":  "-   ok  ERR ERR ERR ok",
    "autopart --type":        "-   ok  ok  ok  ok  ok",
    "autopart --fstype":      "-   ok  ok  ok  ok  ok",
    "autopart --nohome":      "-   ok  ok  ok  ok  ok",
    "autopart --noboot":      "-   -   ok  ok  ok  ok",
    "autopart --noswap":      "-   -   ok  ok  ok  ok",
    "autopart --hibernation": "-   -   -   -   ok  ok",
    "timezone --isUtc":       "ok  ok  ok  dep ERR dep",
    "timezone --ntpservers":  "-   ok  ok  dep ERR dep",
    "timezone --nontp":       "-   ok  ok  dep ERR dep",
    "keyboard --vckeymap":    "-   ok  ok  ok  ok  ok",
    "keyboard --xlayouts":    "-   ok  ok  ok  ok  ok",
    "keyboard --switch":      "-   ok  ok  ok  ok  ok",
    "lang --addsupport":      "-   ok  ok  ok  ok  ok",
    "rootpw --allow-ssh":     "-   -   -   ok  ok  ok",
    "user --gid":             "-   ok  ok  ok  ok  ok",
    "bootloader --boot-drive":      "-   ok  ok  ok  ok  ok",
    "bootloader --leavebootorder":  "-   ok  ok  ok  ok  ok",
    "bootloader --disabled":        "-   ok  ok  ok  ok  ok",
    "bootloader --upgrade":         "ok  ok  dep ERR ERR ERR",
    "bootloader --sdboot":          "-   -   -   -   ok  ok",
    "clearpart --list":       "-   ok  ok  ok  ok  ok",
    "clearpart --disklabel":  "-   ok  ok  ok  ok  ok",
    "clearpart --cdl":        "-   ok  ok  ok  ok  ok",
    "reboot --kexec":         "-   -   ok  ok  ok  ok",
    "text --non-interactive":       "-   -   ok  ok  ok  ok",
    "graphical --non-interactive":  "-   -   ok  ok  ok  ok",
    "logging --level":        "ok  ok  ok  dep ERR ERR",
    "repo --ignoregroups":    "ok  ok  ok  dep ERR ERR",
    "repo --install":         "-   ok  ok  ok  ok  ok",
    "repo --metalink":        "-   -   ok  ok  ok  ok",
    "url --mirrorlist":       "-   ok  ok  ok  ok  ok",
    "url --metalink":         "-   -   ok  ok  ok  ok",
    "harddrive --biospart":   "ok  ok  ok  ERR ERR ERR",
    "network --bridgeslaves":       "-   ok  ok  ok  ok  ok",
    "network --bridgeopts":         "-   ok  ok  ok  ok  ok",
    "network --interfacename":      "-   ok  ok  ok  ok  ok",
    "network --ipv6gateway":        "-   ok  ok  ok  ok  ok",
    "network --no-activate":        "-   ok  ok  ok  ok  ok",
    "network --teamslaves":         "-   ok  ok  ok  dep ok",
    "network --teamconfig":         "-   ok  ok  ok  dep ok",
    "network --ipv4-dns-search":    "-   -   -   ok  ok  ok",
    "network --ipv6-dns-search":    "-   -   -   ok  ok  ok",
    "part --mkfsoptions":           "-   ok  ok  ok  ok  ok",
    "part --luks-version":          "-   -   ok  ok  ok  ok",
    "part --resize":                "-   ok  ok  ok  ok  ok",
    "logvol --luks-version":        "-   -   ok  ok  ok  ok",
    "logvol --mkfsoptions":         "-   ok  ok  ok  ok  ok",
    "logvol --label":               "-   ok  ok  ok  ok  ok",
    "raid --luks-version":          "-   -   ok  ok  ok  ok",
    "raid --mkfsoptions":           "-   ok  ok  ok  ok  ok",
    "raid --label":                 "-   ok  ok  ok  ok  ok",
    "firewall --remove-service":    "-   ok  ok  ok  ok  ok",
    "firewall --use-system-defaults": "-   -   ok  ok  ok  ok",
    "%packages --nobase":     "ok  dep ERR ERR ERR ERR",
    "%packages --multilib":   "-   ok  ok  ok  ok  ok",
    "%packages --nocore":     "-   ok  ok  ok  ok  ok",
    "%packages --timeout":    "-   ok  ok  ok  ok  ok",
    "%packages --retries":    "-   ok  ok  ok  ok  ok",
    "%packages --instLangs":  "ok  ok  ok  dep ERR dep",
    "%packages --excludeWeakdeps":  "-   -   ok  dep ERR dep",
    "%packages --inst-langs":       "-   -   -   ok  ok  ok",
    "%packages --exclude-weakdeps": "-   -   -   ok  ok  ok",
    "%packages --ignorebroken":     "-   -   -   -   -   ok",
    "%traceback":             "ok  ok  ok  dep dep dep",
}
# fmt: on

DIALECTS: Mapping[str, Mapping[Version, Fate]] = MappingProxyType(
    {
        what: MappingProxyType(dict(zip(_ORDER, (_FATES[word] for word in row.split()), strict=True)))
        for what, row in _TABLE.items()
    }
)
"""Command, section, or command and option → what each version does with it. What is not listed is accepted by all."""

_NOT_OK: Mapping[Version, Mapping[str, Fate]] = {
    version: {what: row[version] for what, row in DIALECTS.items() if row[version] is not Fate.OK}
    for version in Version
}
_WITH_OPTIONS = frozenset(what.partition(" ")[0] for what in DIALECTS if " " in what)

DEFAULT_VERSION = Version.RHEL9
"""For profiles whose name tells no release."""


def version_of(text: object) -> Version | None:
    """The dialect of a variable like ``rhel9``, ``9``, ``alma9``, ``rocky-8.10``, ``fedora``, ``f40``; None when it names none."""
    return _version_of(str(text))


@functools.lru_cache(maxsize=1024)
def _version_of(text: str) -> Version | None:
    word = text.strip().lower()
    if re.match(r"f(edora)?[ -]?\d*$", word):
        return Version.FEDORA
    found = re.search(r"(?:^|[^0-9.])(\d{1,2})(?:\.\d+)*$", word)
    if found is None:
        return None
    return next((version for version in Version if version.value == f"rhel{found[1]}"), None)


def fates(command: str, options: Sequence[str], version: Version) -> Iterator[tuple[str, Fate]]:
    """(what, its fate) of a command and its options, where the version does not simply accept it."""
    command = {"partition": "part"}.get(command, command)
    known = _NOT_OK[version]
    if command in known:
        yield command, known[command]
    if command not in _WITH_OPTIONS:
        return
    for option in options:
        for spelling in dict.fromkeys((f"{command} {option}", f"{command} {option.partition('=')[0]}")):
            if spelling in known:
                yield spelling, known[spelling]


def knows(what: str, version: Version) -> bool:
    """Whether the version takes a command, or a command and option, without complaint."""
    command, *options = what.split()
    return not any(True for _ in fates(command, options, version))
