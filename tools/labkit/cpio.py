"""Archives in cpio's "newc" form, which is what the Linux kernel unpacks as its first root (kernel: initramfs buffer format).

Knows bytes only. One record is 6 bytes of magic, 13 numbers of 8 hexadecimal digits, the NUL-ended name, padding to 4 bytes,
the data, padding to 4 bytes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAGIC = b"070701"
_HEADER_BYTES = 110
_END = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory, symbolic link (``data`` is its target) or device."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device file."""


def file(name: str, data: bytes, permissions: int = 0o644) -> Entry:
    """A plain file."""
    return Entry(name, stat.S_IFREG | permissions, data)


def directory(name: str) -> Entry:
    """A directory; it must come before what is in it."""
    return Entry(name, stat.S_IFDIR | 0o755)


def link(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def console() -> Entry:
    """/dev/console, without which the kernel starts /init with no output at all."""
    return Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))


def parse(archive: bytes) -> Iterator[Entry]:
    """The entries of one archive, in order. Raises ValueError when it is not "newc" or ends early."""
    at = 0
    while True:
        head = archive[at : at + _HEADER_BYTES]
        if len(head) < _HEADER_BYTES or head[:6] != MAGIC:
            raise ValueError(f"no newc record at byte {at}")
        number = [int(head[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, size, major, minor, name_size = number[1], number[6], number[9], number[10], number[11]
        name = archive[at + _HEADER_BYTES : at + _HEADER_BYTES + name_size - 1].decode()
        start = _aligned(at + _HEADER_BYTES + name_size)
        if name == _END:
            return
        if start + size > len(archive):
            raise ValueError(f"{name} ends after the archive does")
        yield Entry(name, mode, archive[start : start + size], (major, minor))
        at = _aligned(start + size)


def serialize(entries: Iterable[Entry]) -> bytes:
    """The archive of ``entries``, in their order, owned by root, dated zero (so that equal input gives equal bytes)."""
    out = bytearray()
    for inode, entry in enumerate((*entries, Entry(_END, 0)), start=1):
        name = entry.name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        numbers = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        out += MAGIC + b"".join(b"%08X" % n for n in numbers) + name
        out += bytes(_aligned(len(out)) - len(out))
        out += entry.data
        out += bytes(_aligned(len(out)) - len(out))
    return bytes(out)


def _aligned(n: int) -> int:
    return (n + 3) & ~3
