"""The disk that an installed machine boots: one image whose boot sector and whose EFI program each print a line and switch off.

Knows bytes only: a master boot record with one EFI system partition (type 0xEF) holding a FAT12 file system (Microsoft FAT
specification 1.03). One image serves BIOS and UEFI machines; which line appears tells which firmware started it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit import efi

SECTOR = 512
_PARTITION_AT = 64
_FAT_SECTORS = 12  # for the 4084 clusters that FAT12 can have
_MAX_CLUSTERS = 4084
_ROOT_ENTRIES = 64
_TYPE_ESP = 0xEF

# Real mode, at 0000:7C00. The serial port is written directly: what counts is that this sector runs, not which
# console the firmware offers.
_BOOT_CODE = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "be297c"  # mov si, 0x7c29         the text, after this code
    "fc"  # cld
    "ac"  # next: lodsb
    "84c0"  # test al, al
    "7412"  # jz off
    "88c4"  # mov ah, al
    "bafd03"  # wait: mov dx, 0x3fd    line status of COM1
    "ec"  # in al, dx
    "a820"  # test al, 0x20            transmitter empty?
    "74f8"  # jz wait
    "baf803"  # mov dx, 0x3f8
    "88e0"  # mov al, ah
    "ee"  # out dx, al
    "ebe9"  # jmp next
    "ba0406"  # off: mov dx, 0x604     QEMU's power management register, where SeaBIOS puts it
    "b80020"  # mov ax, 0x2000         "sleep", soft off
    "ef"  # out dx, ax
    "f4"  # hlt
    "ebfd"  # jmp back to hlt
)


def boot_sector(text: str) -> bytes:
    """446 bytes of boot code that print ``text`` as a line of its own on COM1 and switch off. ``text`` ≤ 380 ASCII characters."""
    code = _BOOT_CODE + f"\r\n{text}\r\n\0".encode("ascii")
    if len(code) > 446:
        raise ValueError(f"text too long for a boot sector: {len(text)} characters")
    return code.ljust(446, b"\0")


def image(boot_text: str, files: Mapping[str, bytes], size_bytes: int) -> bytes:
    """A disk whose boot sector prints ``boot_text`` and whose EFI system partition holds ``files``."""
    partition = fat12(files, size_bytes // SECTOR - _PARTITION_AT)
    # cylinders, heads and sectors as "beyond what they can say": everybody reads the two sector numbers
    entry = struct.pack(
        "<B3sB3sII", 0x80, b"\xfe\xff\xff", _TYPE_ESP, b"\xfe\xff\xff", _PARTITION_AT, len(partition) // SECTOR
    )
    record = boot_sector(boot_text) + entry + bytes(48) + b"\x55\xaa"
    return record.ljust(_PARTITION_AT * SECTOR, b"\0") + partition


def programs(text: str) -> dict[str, bytes]:
    """Files for an EFI system partition: where firmware looks by itself, a program for x64 and for arm64 that prints ``text``."""
    return {f"EFI/BOOT/{target.file_name}": efi.program(text, target) for target in (efi.X64, efi.ARM64)}


@dataclass(slots=True)
class _Directory:
    files: dict[str, bytes] = field(default_factory=dict)
    directories: dict[str, _Directory] = field(default_factory=dict)


def fat12(files: Mapping[str, bytes], sectors: int) -> bytes:
    """A FAT12 volume with ``files`` (paths of upper-case 8.3 names), every file in one piece.

    Raises ValueError when they do not fit.
    """
    root = _Directory()
    for path, data in files.items():
        *parents, name = path.split("/")
        place = root
        for parent in parents:
            place = place.directories.setdefault(parent, _Directory())
        place.files[name] = data
    volume = _Volume(sectors)
    volume.root = volume.entries(root, own=0, parent=None)
    return volume.serialize()


class _Volume:
    """Clusters handed out in order, and the table that chains them."""

    def __init__(self, sectors: int) -> None:
        self.sectors = sectors
        self.per_cluster = 1
        while sectors // self.per_cluster > _MAX_CLUSTERS:
            self.per_cluster *= 2
        self.cluster_bytes = self.per_cluster * SECTOR
        self.root = b""
        self.table = [0xFF8, 0xFFF]  # entries 0 and 1 name the medium
        self.data = bytearray()

    def entries(self, place: _Directory, own: int, parent: int | None) -> bytes:
        out = b""
        if parent is not None:
            out = _entry(".", own, 0, is_directory=True) + _entry("..", parent, 0, is_directory=True)
        for name, data in place.files.items():
            first = self.reserve(len(data))
            self.put(first, data)
            out += _entry(name, first, len(data))
        for name, child in place.directories.items():
            count = 2 + len(child.files) + len(child.directories)
            first = self.reserve(count * 32)
            self.put(first, self.entries(child, own=first, parent=own))
            out += _entry(name, first, 0, is_directory=True)
        return out

    def reserve(self, size: int) -> int:
        first = len(self.table)
        count = max(1, -(-size // self.cluster_bytes))
        self.table += [*range(first + 1, first + count), 0xFFF]
        self.data += bytes(count * self.cluster_bytes)
        return first

    def put(self, first: int, data: bytes) -> None:
        at = (first - 2) * self.cluster_bytes
        self.data[at : at + len(data)] = data

    def serialize(self) -> bytes:
        # jump, maker, bytes per sector, sectors per cluster, reserved, tables, root entries, sectors, medium,
        # sectors per table, geometry, hidden sectors, (32-bit sectors), drive, 0x29, serial, label, type
        head = struct.pack(
            "<3s8sHBHBHHBHHHIIBBBI11s8s",
            b"\xeb\x3c\x90", b"PXENET  ", SECTOR, self.per_cluster, 1, 2, _ROOT_ENTRIES, self.sectors, 0xF8,
            _FAT_SECTORS, 63, 255, _PARTITION_AT, 0, 0x80, 0, 0x29, 0x0B007ED, b"PXENET LAB ", b"FAT12   ",
        )  # fmt: skip
        boot = head.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"
        table = _packed(self.table).ljust(_FAT_SECTORS * SECTOR, b"\0")
        root = self.root.ljust(_ROOT_ENTRIES * 32, b"\0")
        volume = boot + table + table + root + bytes(self.data)
        size = self.sectors * SECTOR
        if len(volume) > size or len(table) > _FAT_SECTORS * SECTOR:
            raise ValueError(f"{len(volume)} bytes do not fit a volume of {size}")
        return volume.ljust(size, b"\0")


def _entry(name: str, first: int, size: int, *, is_directory: bool = False) -> bytes:
    stem, _, extension = name.partition(".") if name.strip(".") else (name, "", "")
    if len(stem) > 8 or len(extension) > 3:
        raise ValueError(f"{name} is not an 8.3 name")
    attributes = 0x10 if is_directory else 0x20
    dated = 0x0021  # 1 January 1980, FAT's zero
    return struct.pack("<8s3sBBBHHHHHHHI", stem.encode().ljust(8), extension.encode().ljust(3), attributes,
                       0, 0, 0, dated, dated, 0, 0, dated, first, size)  # fmt: skip


def _packed(table: list[int]) -> bytes:
    """Pairs of 12-bit numbers in three bytes each."""
    out = bytearray()
    for low, high in zip(table[::2], [*table[1::2], 0][: len(table[::2])], strict=True):
        out += bytes((low & 0xFF, low >> 8 | (high & 0xF) << 4, high >> 4))
    return bytes(out)
