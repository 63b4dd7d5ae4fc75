"""What a machine says that it is, when it was booted to be asked: lines of words with tabs between them.

Shell and awk write that without quoting; ``answer/discovery.j2`` does. Knows text and its bounds. A line that begins with another
word is passed over: a script of one's own may say more.
"""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.wire.reader import WireError
from pxenet.wire.text import mac_text, parse_mac

MAX_BYTES = 32 << 10
MAX_PARTS = 128
"""Disks, and network cards."""
MAX_VALUE = 128
"""Characters of one value."""

_BIGGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk: its kernel name, size, and what it says of itself."""

    name: str
    size_bytes: int
    model: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card."""

    name: str
    mac: bytes
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine. Empty and 0: not told."""

    serial: str = ""
    uuid: str = ""
    vendor: str = ""
    product: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()


_TEXTS = ("serial", "uuid", "vendor", "product")
_NUMBERS = ("cpus", "memory_bytes")


def parse(data: bytes) -> Hardware:
    """The machine that the lines tell of; of a line that comes twice the last counts. WireError for anything that is none."""
    if len(data) > MAX_BYTES:
        raise WireError(MAX_BYTES, "hardware", f"has more than {MAX_BYTES} bytes")
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    disks: dict[str, Disk] = {}
    nics: dict[str, Nic] = {}
    at = 0
    for line in data.split(b"\n"):
        name, *values = (_plain(word) for word in line.decode("utf-8", "replace").split("\t"))
        values += [""] * (4 - len(values))
        if name in _TEXTS:
            texts[name] = values[0]
        elif name in _NUMBERS:
            numbers[name] = _number(values[0], at, name)
        elif name == "disk" and values[0]:
            disks[values[0]] = Disk(values[0], _number(values[1], at, name), values[2], values[3])
        elif name == "nic" and values[0]:
            nics[values[0]] = Nic(values[0], _mac(values[1], at), values[2])
        if max(len(disks), len(nics)) > MAX_PARTS:
            raise WireError(at, name, f"is one of more than {MAX_PARTS}")
        at += len(line) + 1
    return Hardware(**texts, **numbers, disks=tuple(disks.values()), nics=tuple(nics.values()))  # type: ignore[arg-type]


def serialize(hardware: Hardware) -> bytes:
    """The lines of a machine, in the order in which its fields stand."""
    lines = [[name, getattr(hardware, name)] for name in (*_TEXTS, *_NUMBERS) if getattr(hardware, name)]
    lines += [["disk", one.name, one.size_bytes, one.model, one.serial] for one in hardware.disks]
    lines += [["nic", one.name, mac_text(one.mac), one.driver] for one in hardware.nics]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()


def _plain(word: str) -> str:
    """Without what moves a terminal's cursor, and without an end: board makers fill fields with blanks."""
    return "".join(letter for letter in word if letter.isprintable())[:MAX_VALUE].strip()


def _number(word: str, at: int, field: str) -> int:
    if not (word.isascii() and word.isdigit()) or len(word) > 19 or int(word) >= _BIGGEST:
        raise WireError(at, field, f"{word!r} is no number")
    return int(word)


def _mac(word: str, at: int) -> bytes:
    try:
        return parse_mac(word)
    except ValueError as error:
        raise WireError(at, "nic", f"{word!r} is no hardware address") from error
