"""Kickstart: what each release's installer accepts, and what is wrong in a text before a machine finds out.

Facts were run against pykickstart's handlers RHEL6 to RHEL10 and F40. Knows lines, sections and commands, not what they do to a disk.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pxenet.answer.templates import TemplateProblem, render_file


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

SECTIONS = frozenset(
    {"%packages", "%pre", "%pre-install", "%post", "%onerror", "%traceback", "%addon", "%anaconda", "%certificate"}
)
"""All need ``%end``, in every version."""

SCRIPTS = frozenset({"%pre", "%pre-install", "%post", "%onerror", "%traceback"})


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a kickstart that an installer will stumble over (or, with ``fatal`` false, complain about)."""

    line: int
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def version_of(text: object) -> Version | None:
    """The dialect of a variable like ``rhel9``, ``9``, ``alma9``, ``rocky-8.10``, ``fedora``, ``f40``; None when it names none."""
    word = str(text).strip().lower()
    if re.match(r"f(edora)?[ -]?\d*$", word):
        return Version.FEDORA
    found = re.search(r"(?:^|[^0-9.])(\d{1,2})(?:\.\d+)*$", word)
    if found is None:
        return None
    return next((version for version in Version if version.value == f"rhel{found[1]}"), None)


def check(text: str, version: Version | None = None) -> list[Note]:
    """What is wrong in a kickstart, by line. Without a version only what is wrong in every one."""
    notes: list[Note] = []
    section, opened = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        word = _first_word(raw)
        if section:
            if word == "%end":
                section = ""
            elif word in SECTIONS:
                message = f"{word} stands inside the {section} of line {opened}: installers read it as a new section, even in a "
                notes.append(Note(number, message + "here-document. Is an %end missing before it?"))
                section, opened = word, number
            elif word == "%include" and section in SCRIPTS:
                notes.append(
                    Note(
                        number, f"%include in the body of {section} is carried out by the installer, not by the script"
                    )
                )
            continue
        if word in SECTIONS:
            section, opened = word, number
            notes += _dialect_notes(raw, number, version)
        elif word == "%end":
            notes.append(Note(number, "%end without a section before it"))
        elif word.startswith("%") and word not in ("%include", "%ksappend"):
            notes.append(Note(number, f"{word} is no section that an installer knows"))
        elif word and not word.startswith(("#", "%")):
            notes += _command_notes(raw, number, version)
    if section:
        notes.append(Note(opened, f"{section} has no %end"))
    return notes


DEFAULT_VERSION = Version.RHEL9
"""For profiles whose name tells no release."""

BUILT_IN = "kickstart"


def render(path: str, names: Mapping[str, object]) -> str:
    """An answer file for one machine: the template of that path, or the built-in kickstart. Raises :class:`TemplateProblem`.

    The built-in one also sees ``kickstart_version``, made of ``vars.version`` or the profile's name.
    """
    if path != BUILT_IN:
        return render_file(path, names)
    values, profile, host = (_mapping(names, key) for key in ("vars", "profile", "host"))
    for line, word in body_lines(str(values.get("post", ""))):
        raise TemplateProblem(
            "vars.post", line, f"{word} at the start of a line is read by the installer, not by the script"
        )
    if values.get("bootproto") == "static" and not (host.get("address") and host.get("netmask")):
        raise TemplateProblem(
            "vars.bootproto", 0, "is static, but the host has no address inside a [[dhcp.subnet]]; give it host.address"
        )
    if "rootpw" not in values and "sshkey" not in values:
        raise TemplateProblem(
            "vars.rootpw",
            0,
            "is missing: the built-in kickstart needs a crypt hash (openssl passwd -6), or vars.sshkey",
        )
    version = version_of(values.get("version", "")) or version_of(profile.get("name", "")) or DEFAULT_VERSION
    return render_file(path, {**names, "kickstart_version": version.value})


def _mapping(names: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = names.get(key)
    return found if isinstance(found, Mapping) else {}


def body_lines(body: str) -> Iterator[tuple[int, str]]:
    """(line, first word) of the lines in a script's body that an installer interprets itself: they would end it or pull in a file."""
    for number, raw in enumerate(body.split("\n"), 1):
        word = _first_word(raw)
        if word == "%end" or word == "%include" or word in SECTIONS:
            yield number, word


def _first_word(line: str) -> str:
    words = line.split(None, 1)
    return words[0] if words else ""


def _command_notes(line: str, number: int, version: Version | None) -> Iterator[Note]:
    words = line.split("#", 1)[0].split()
    if words[:1] == ["zerombr"] and len(words) > 1:
        yield Note(number, f"zerombr takes no argument ({words[1]})")
    yield from _dialect_notes(line, number, version)


def _dialect_notes(line: str, number: int, version: Version | None) -> Iterator[Note]:
    if version is None:
        return
    command, *options = line.split("#", 1)[0].split()
    command = {"partition": "part"}.get(command, command)
    spellings = [command]
    for option in options:
        spellings += dict.fromkeys((f"{command} {option}", f"{command} {option.partition('=')[0]}"))
    for spelling in spellings:
        fate = DIALECTS.get(spelling, {}).get(version, Fate.OK)
        if fate is not Fate.OK:
            yield Note(number, f"{spelling}: {fate.value} in {version.value}", fate is not Fate.DEPRECATED)
