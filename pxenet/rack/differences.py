"""What a change of the configuration does to each machine: every text that it would get, by the one and by the other.

Texts are compared as they would be served, secrets hidden; the example's token is the same everywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pxenet.answer.masking import Mask
from pxenet.answer.templates import TemplateProblem
from pxenet.boot.entries import InexpressibleError, words
from pxenet.boot.policy import RULES
from pxenet.config import Settings
from pxenet.model import Asker, Host
from pxenet.rack.confidential import secrets_in
from pxenet.rack.desk import Desk
from pxenet.rack.preview import preview
from pxenet.wire.text import address_text

ARGUMENTS = "kernel arguments"
"""Name of the text with one argument in each line, as the kernel would have them."""
BOOT_FILE = "boot file"
"""Name of the text that says what a firmware is told to load."""
ADDRESS = "address"
"""Name of the text with what DHCP tells a machine that has an address of its own."""

_TOKEN = "TOKEN"


@dataclass(frozen=True, slots=True)
class TextDifference:
    """A text that differs."""

    name: str
    """As in ``preview``; or ARGUMENTS, BOOT_FILE or ADDRESS."""
    firmware: tuple[str, ...]
    """Which kinds of firmware would come to read it; empty: all of them."""
    lines: tuple[str, ...]
    """A unified diff without its two head lines; a text that is new or gone has only lines with + or -."""


@dataclass(frozen=True, slots=True)
class HostDifference:
    """A machine whose texts differ."""

    host: str
    change: str
    """"changed", "added" or "removed"."""
    texts: tuple[TextDifference, ...]


def differences(old: Desk, new: Desk, only: str | None = None) -> Iterator[HostDifference]:
    """Each machine that gets another text, in the order of the new configuration, then those that are gone. ``only``: that one."""
    mask = Mask({*secrets_in(old.settings), *secrets_in(new.settings)})
    before = {host.name: host for host in old.hosts()}
    after = {host.name: host for host in new.hosts()}
    for name in dict.fromkeys([*after, *before]):
        if only is not None and name != only:
            continue
        texts = tuple(
            _compared(
                _texts(old, before[name], mask) if name in before else {},
                _texts(new, after[name], mask) if name in after else {},
            )
        )
        change = "added" if name not in before else "removed" if name not in after else "changed"
        if texts or change != "changed":
            yield HostDifference(name, change, texts)


_Key = tuple[str, str]
"""(name, firmware); the latter empty for texts that all read."""


def _texts(desk: Desk, host: Host, mask: Mask) -> dict[_Key, str]:
    """Every text of a machine."""
    seen = preview(desk.rack, host, desk.address)
    token = desk.rack.installs.token(host.key)
    found: dict[_Key, str] = {}
    for offer in seen.offers:
        told = offer.boot.path or offer.boot.url
        found[BOOT_FILE, offer.firmware] = f"{told or 'none'}: {RULES[offer.boot.reason]}\n"
    if host.address is not None:
        found[ADDRESS, ""] = "".join(f"{line}\n" for line in _network(desk.settings, host.address))
    arguments = _arguments(desk, host)
    if arguments is not None:
        found[ARGUMENTS, ""] = arguments
    for text in seen.texts:
        for firmware in text.firmware or ("",):
            found[text.name, firmware] = text.text
    return {
        (name.replace(token, _TOKEN), firmware): mask(text.replace(token, _TOKEN))
        for (name, firmware), text in found.items()
    }


def _network(settings: Settings, address: int) -> Iterator[str]:
    yield address_text(address)
    subnet = settings.subnet_of(address)
    if subnet is not None:
        yield f"netmask {address_text(subnet.mask)}"
        yield from (f"router {address_text(each)}" for each in subnet.routers)
        yield from (f"dns {address_text(each)}" for each in subnet.dns)
        if subnet.domain:
            yield f"domain {subnet.domain}"


def _arguments(desk: Desk, host: Host) -> str | None:
    """One in each line; what is wrong with them, where they cannot be made; None for a machine that installs nothing."""
    profile = desk.rack.plan(host).profile
    if profile is None:
        return None
    try:
        line = desk.rack.rendered.kernel_args(host, profile, Asker(host.address or 0, host, server=desk.address))
    except (TemplateProblem, InexpressibleError) as problem:
        return f"(cannot be made: {problem})\n"
    return "".join(f"{word}\n" for word in words(line))


def _compared(before: Mapping[_Key, str], after: Mapping[_Key, str]) -> Iterator[TextDifference]:
    """What differs; the same difference for several kinds of firmware is one."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, firmware in dict.fromkeys([*after, *before]):
        old, new = before.get((name, firmware), ""), after.get((name, firmware), "")
        if old != new or ((name, firmware) in before) != ((name, firmware) in after):
            found.setdefault((name, tuple(_lines(old, new))), []).append(firmware)
    for (name, lines), readers in found.items():
        yield TextDifference(name, tuple(filter(None, readers)), lines)


def _lines(old: str, new: str) -> list[str]:
    return list(difflib.unified_diff(_split(old), _split(new), lineterm=""))[2:]


def _split(text: str) -> list[str]:
    """Lines; where the last one has no end, that is a line of its own, as in ``diff``."""
    *lines, rest = text.split("\n")
    return [*lines, rest, "\\ no end of line"] if rest else lines
