"""ISO 9660 images of the shapes that no tool makes: written octet by octet, so that a test can lie in any of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SECTOR = 2048


@dataclass
class Written:
    """A record as it shall stand in a directory."""

    name: bytes
    extent: int
    size: int
    flags: int = 0
    fields: bytes = b""
    """Of the system use area."""
    gap: int = 0


def both(number: int) -> bytes:
    """A number in both byte orders, as the standard wants it."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def record(entry: Written) -> bytes:
    """One directory record."""
    pad = b"\0" if len(entry.name) % 2 == 0 else b""
    length = 33 + len(entry.name) + len(pad) + len(entry.fields)
    length += length % 2
    raw = bytes([length, 0]) + both(entry.extent) + both(entry.size) + bytes([124, 2, 29, 12, 0, 0, 0])
    raw += bytes([entry.flags, 0, entry.gap]) + b"\1\0\0\1" + bytes([len(entry.name)]) + entry.name + pad + entry.fields
    return raw.ljust(length, b"\0")


def directory(at: int, above: int, entries: list[Written], *, rock_ridge: bool = False) -> bytes:
    """A directory of one sector."""
    start = b"SP\x07\x01\xbe\xef\x00" if rock_ridge and at == above else b""
    data = record(Written(b"\0", at, SECTOR, 2, start)) + record(Written(b"\1", above, SECTOR, 2))
    data += b"".join(map(record, entries))
    assert len(data) <= SECTOR
    return data.ljust(SECTOR, b"\0")


def name_field(name: bytes) -> bytes:
    """Rock Ridge's NM."""
    return b"NM" + bytes([5 + len(name), 1, 0]) + name


def link_field(target: str) -> bytes:
    """Rock Ridge's SL, and the mode of a symbolic link."""
    parts = b""
    for part in target.split("/"):
        flags = {"": 8, ".": 2, "..": 4}.get(part, 0)
        parts += bytes([flags, 0]) if flags else bytes([0, len(part)]) + part.encode()
    return b"PX\x24\x01" + both(0o120777) + bytes(24) + b"SL" + bytes([5 + len(parts), 1, 0]) + parts


def image(sectors: dict[int, bytes], size: int = 64, root: int = 20) -> bytes:
    """An image of so many sectors, with a volume descriptor; ``sectors`` says what stands where."""
    primary = bytearray(SECTOR)
    primary[0:8] = b"\x01CD001\x01\x00"
    primary[40:72] = b"TEST".ljust(32)
    primary[80:88] = both(size)
    primary[128:132] = struct.pack("<H", SECTOR) + struct.pack(">H", SECTOR)
    primary[156:190] = record(Written(b"\0", root, SECTOR, 2))[:34]
    data = bytearray(size * SECTOR)
    for at, content in {16: bytes(primary), 17: b"\xffCD001\x01".ljust(SECTOR, b"\0"), **sectors}.items():
        data[at * SECTOR : at * SECTOR + len(content)] = content
    return bytes(data)
