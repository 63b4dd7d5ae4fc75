"""The lines of an existing kickstart, taken apart: commands and sections in order, and the words of each.

Knows the spelling of all dialects, old ones too. Must not know what any of it means.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pxenet.answer.kickstart.checks import SECTIONS


class NotTakenError(Exception):
    """This line has no key; the message says why."""


@dataclass(slots=True)
class Words:
    """A command line taken apart. Whoever reads a word takes it away, so that what nobody read shows."""

    command: str
    options: dict[str, str | None]
    """Without the dashes; None: no value."""
    rest: list[str]

    def take(self, name: str) -> str:
        """The value of an option; "" when it is not there."""
        return self.options.pop(name, "") or ""

    def listed(self, name: str) -> list[str]:
        """A value with commas."""
        return [each for each in self.take(name).split(",") if each]

    def flag(self, *names: str) -> bool:
        """One of these stands there."""
        found = [self.options.pop(name, "") is None for name in names]  # all of them are taken away
        return any(found)

    def whole(self) -> str:
        """The words that are no options, as one text."""
        text, self.rest = " ".join(self.rest), []
        return text

    def all_taken(self) -> None:
        """Raises NotTakenError when something is left."""
        if self.options or self.rest:
            over = [*(f"--{name}" for name in self.options), *self.rest]
            raise NotTakenError(f"{', '.join(over)} has no key")


def parts(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """(line, command or section's opening, section's body) in order."""
    number, opening, body = 0, "", list[str]()
    for at, raw in enumerate(text.splitlines(), 1):
        word = (raw.split(None, 1) or [""])[0]
        if opening:
            if word == "%end" or word in SECTIONS:
                yield number, opening, body
                number, opening, body = (at, raw.strip(), []) if word in SECTIONS else (0, "", [])
            else:
                body.append(raw)
        elif word in SECTIONS:
            number, opening, body = at, raw.strip(), []
        elif word and not word.startswith("#"):
            yield at, raw.strip(), []
    if opening:  # old ones go without %end
        yield number, opening, body


def split(line: str) -> Words:
    command, *words = shlex.split(line, comments=True)
    options: dict[str, str | None] = {}
    rest: list[str] = []
    valued = _VALUED.get(command, frozenset())
    waiting = iter(words)
    for word in waiting:
        if not word.startswith("--"):
            rest.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        options[name] = value if equals else next(waiting, "") if name in valued else None
    return Words(command, options, rest)


_VALUED = {
    "rootpw": frozenset[str](),
    "user": frozenset({"name", "password", "groups", "uid", "gid", "homedir", "shell", "gecos"}),
    "url": frozenset({"url", "mirrorlist", "metalink", "proxy"}),
    "repo": frozenset({"name", "baseurl", "mirrorlist", "metalink", "cost", "includepkgs", "excludepkgs", "proxy"}),
    "network": frozenset(
        {"device", "bootproto", "ip", "netmask", "gateway", "nameserver", "hostname", "onboot", "mtu", "vlanid", "ipv6"}
        | {"bondslaves", "bondopts", "bridgeslaves", "bridgeopts", "interfacename"}
    ),
    "part": frozenset({"size", "fstype", "ondisk", "ondrive", "maxsize", "label", "fsoptions"}),
    "logvol": frozenset({"vgname", "name", "size", "fstype", "maxsize", "fsoptions"}),
    "raid": frozenset({"device", "level", "fstype"}),
    "bootloader": frozenset({"location", "append", "timeout", "password", "driveorder", "boot-drive"}),
    "clearpart": frozenset({"drives", "disklabel"}),
    "ignoredisk": frozenset({"only-use"}),
    "firewall": frozenset({"service", "port", "trust"}),
    "services": frozenset({"enabled", "disabled"}),
    "timesource": frozenset({"ntp-server"}),
    "timezone": frozenset({"ntpservers"}),
    "sshkey": frozenset({"username"}),
    "nfs": frozenset({"server", "dir", "opts"}),
    "group": frozenset({"name", "gid"}),
}
"""Options whose value may be the next word."""
