"""Single values as people write them → values: addresses, pools, durations, hardware addresses, names.

Every function takes whatever TOML gave and raises :class:`BadValueError`, which says what is wrong with it and what would be right.
"""

from __future__ import annotations

import enum
import ipaddress
import json
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pxenet.model import Platform
from pxenet.wire.text import address_text, parse_address

Choice = TypeVar("Choice", bound=enum.Enum)

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"\s*(\d+)\s*([smhdw])\s*")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
LONGEST_S = 0xFFFFFFFE
"""The longest finite lease; 0xffffffff means for ever (RFC 2131 §3.3)."""


class BadValueError(ValueError):
    """A value that cannot be used."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.right = right


def shown(value: object) -> str:
    """A value as TOML would write it, shortened."""
    if isinstance(value, str | bool):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        text = "a table"
    elif isinstance(value, list):
        text = "[" + ", ".join(shown(item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def as_list(value: object) -> object:
    """One value, or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def address(value: object) -> int:
    """An IPv4 address."""
    try:
        return parse_address(_text(value))
    except ValueError:
        raise BadValueError(
            f"{shown(value)} is not an IPv4 address", 'write four numbers from 0 to 255, e.g. "10.0.0.1"'
        ) from None


def network(value: object) -> tuple[int, int]:
    """``10.0.0.0/24`` → (network, prefix length)."""
    text = _text(value)
    right = 'write the first address and the prefix length, e.g. "10.0.0.0/24"'
    if "/" not in text:
        raise BadValueError(f"{shown(value)} has no prefix length", right)
    try:
        parsed = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise BadValueError(f"{shown(value)} is not an IPv4 network", right) from None
    if not 1 <= parsed.prefixlen <= 30:
        raise BadValueError(f"{shown(value)} has no room for clients", "use a prefix length from 1 to 30")
    if parsed.network_address != ipaddress.IPv4Address(text.split("/")[0].strip()):
        raise BadValueError(f"{shown(value)} is an address inside a network, not a network", f'write "{parsed}"')
    return int(parsed.network_address), parsed.prefixlen


def address_range(value: object) -> tuple[int, int]:
    """``10.0.0.100-10.0.0.200`` → (first, last); a single address is a range of one."""
    first, dash, last = _text(value).partition("-")
    try:
        low = parse_address(first.strip())
        high = parse_address(last.strip()) if dash else low
    except ValueError:
        raise BadValueError(
            f"{shown(value)} is not a range of addresses", 'write "first-last", e.g. "10.0.0.100-10.0.0.200"'
        ) from None
    if high < low:
        raise BadValueError(
            f"{shown(value)} ends before it begins", f'write "{address_text(high)}-{address_text(low)}"'
        )
    return low, high


def duration(value: object) -> float:
    """Seconds: a number of them, or ``10m``, ``12h``, ``7d``, ``infinite``."""
    right = 'write seconds as a number, or e.g. "10m", "12h", "7d", "infinite"'
    if value == "infinite":
        return float("inf")
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = int(match[1]) * _UNITS_S[match[2]]
    else:
        raise BadValueError(f"{shown(value)} is not a duration", right)
    if not 1 <= seconds <= LONGEST_S:
        raise BadValueError(f"{shown(value)} is out of range", f'from 1 to {LONGEST_S} seconds, or "infinite"')
    return float(seconds)


def mac(value: object) -> bytes:
    """A hardware address of 6 or 8 bytes, with colons, dashes, dots or nothing between the digits."""
    digits = re.sub(r"[:.\-\s]", "", _text(value)).lower()
    right = 'write it like "52:54:00:12:34:56"'
    if not re.fullmatch(r"[0-9a-f]{12}|[0-9a-f]{16}", digits):
        raise BadValueError(f"{shown(value)} is not a hardware address", right)
    found = bytes.fromhex(digits)
    if found[0] & 1 or not any(found):
        raise BadValueError(f"{shown(value)} is not the address of one machine", right)
    return found


def macs(value: object) -> tuple[bytes, ...]:
    """One hardware address, or a list of them, none twice."""
    items = value if isinstance(value, list) else [value]
    found: list[bytes] = []
    for item in items:
        if (address := mac(item)) in found:
            raise BadValueError(f"{shown(item)} is there twice", "name each network card once")
        found.append(address)
    return tuple(found)


def machine_uuid(value: object) -> str:
    """A machine's UUID as canonical lower-case text."""
    right = 'write it as "dmidecode -s system-uuid" prints it, e.g. "4c4c4544-0042-3510-8058-c7c04f4a4e32"'
    try:
        found = uuid.UUID(_text(value))
    except ValueError:
        raise BadValueError(f"{shown(value)} is not a UUID", right) from None
    if found.int in (0, (1 << 128) - 1):
        raise BadValueError(
            f"{shown(value)} is what firmware says when it has no UUID", "name the machine by its mac instead"
        )
    return str(found)


def sources(value: object) -> str | dict[Platform, str]:
    """A source, or a table with one for each kind of machine."""
    if not isinstance(value, dict):
        return path(value)
    known = [platform.value for platform in Platform]
    right = f'name kinds of machine ({", ".join(known)}), e.g. {{x64 = "x86_64.iso", arm64 = "aarch64.iso"}}'
    if not value or not all(name in known for name in value):
        unknown = next((name for name in value if name not in known), "")
        raise BadValueError(f'"{unknown}" is no kind of machine' if unknown else "the table is empty", right)
    return {Platform(name): path(text) for name, text in value.items()}


def path(value: object) -> str:
    """A path, or an URL where one may stand instead: not looked at yet, only possible at all."""
    text = _text(value)
    if not text or "\0" in text:
        raise BadValueError(f"{shown(value)} is no path", "name a file or directory")
    try:
        Path(text).expanduser()
    except RuntimeError:
        raise BadValueError(
            f"{shown(value)} is in nobody's home", "name an existing user, or write the whole path"
        ) from None
    return text


def url(value: object) -> str:
    """An http or https URL, without a slash at the end."""
    text = _text(value)
    try:
        parts = urlsplit(text)
        well_formed = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        well_formed = False
    if not well_formed or any(character.isspace() for character in text):
        raise BadValueError(f"{shown(value)} is not an http or https URL", 'write e.g. "http://10.0.0.1"')
    return text.rstrip("/")


def name(value: object) -> str:
    """A name that can stand in a path and in an URL."""
    text = _text(value)
    if len(text) > 100 or not _NAME.fullmatch(text):
        raise BadValueError(
            f"{shown(value)} cannot be a name here",
            "use letters, digits, dots, dashes and underscores, beginning and ending with a letter or digit",
        )
    return text


def domain(value: object) -> str:
    """A host name or domain name (RFC 1123 §2.1)."""
    text = _text(value)
    if len(text) > 253 or not _DOMAIN.fullmatch(text):
        raise BadValueError(
            f"{shown(value)} is not a host or domain name",
            'use labels of letters, digits and dashes with dots between them, e.g. "web01.example.org"',
        )
    return text


MAX_WORKERS = 64
"""More than a network card has queues."""


def workers(value: object) -> int:
    """The number of processes that serve files: as many as there are processors for "auto"."""
    if value == "auto":
        return min(len(os.sched_getaffinity(0)), MAX_WORKERS)
    right = f'write a number from 1 to {MAX_WORKERS}, or "auto" for one for each processor'
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_WORKERS:
        raise BadValueError(f"{shown(value)} is not a number of processes", right)
    return value


def choice(kind: type[Choice], *allowed: Choice) -> Callable[[object], Choice]:
    """Values of an enumeration (or of ``allowed`` among them), by what they are called in a configuration."""
    members = allowed or tuple(kind)

    def convert(value: object) -> Choice:
        for member in members:
            if member.value == value:
                return member
        known = ", ".join(f'"{member.value}"' for member in members)
        raise BadValueError(f"{shown(value)} is none of the choices", f"write one of {known}")

    return convert


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadValueError(f"{shown(value)} is not a text", "write it in quotes")
    return value.strip()
