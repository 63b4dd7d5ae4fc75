"""The disk that the lab's machines install: a boot sector, and an EFI program on a FAT partition."""

import struct

import pytest
from labkit import disk, efi

BOOT, EFI = "@lab disk boot-sector", "@lab disk efi-program"
SIZE = 1 << 20


def test_the_boot_sector_points_at_its_text() -> None:
    """The address in the code is where the text begins once the BIOS has put the sector at 0x7c00."""
    sector = disk.boot_sector("hello")
    (address,) = struct.unpack_from("<H", sector, sector.index(b"\xbe") + 1)
    assert sector[address - 0x7C00 :].startswith(b"\r\nhello\r\n\0")
    assert len(sector) == 446


def test_a_text_too_long_for_the_sector_is_refused() -> None:
    """Rather than running into the partition table."""
    with pytest.raises(ValueError, match="too long"):
        disk.boot_sector("x" * 500)


def test_the_disk_names_one_efi_partition() -> None:
    """Type 0xEF, inside the disk, and the signature that firmware looks for."""
    image = disk.image(BOOT, disk.programs(EFI), SIZE)
    kind, first, count = struct.unpack_from("<4xB3xII", image, 446)
    assert (kind, image[510:512], len(image)) == (0xEF, b"\x55\xaa", SIZE)
    assert (first + count) * disk.SECTOR == len(image)


def _read(volume: bytes, path: str) -> bytes:
    """A FAT12 file by its path, by the specification's rules and not by the writer's code."""
    sector, per_cluster, reserved, tables, root_count = struct.unpack_from("<HBHBH", volume, 11)
    (table_sectors,) = struct.unpack_from("<H", volume, 22)
    table = volume[reserved * sector :]
    root_at = (reserved + tables * table_sectors) * sector
    data_at = root_at + root_count * 32
    place = volume[root_at:data_at]
    for part in path.split("/"):
        stem, _, extension = part.partition(".")
        wanted = stem.encode().ljust(8) + extension.encode().ljust(3)
        entry = next(place[at : at + 32] for at in range(0, len(place), 32) if place[at : at + 11] == wanted)
        cluster, size = struct.unpack_from("<HI", entry, 26)
        place = b""
        while cluster < 0xFF8:
            at = data_at + (cluster - 2) * per_cluster * sector
            place += volume[at : at + per_cluster * sector]
            pair = int.from_bytes(table[cluster * 3 // 2 : cluster * 3 // 2 + 2], "little")
            cluster = pair >> 4 if cluster % 2 else pair & 0xFFF
        if not entry[11] & 0x10:
            place = place[:size]
    return place


@pytest.mark.parametrize("target", [efi.X64, efi.ARM64], ids=lambda t: t.file_name)
def test_firmware_finds_its_program(target: efi.Target) -> None:
    """At the path that UEFI 2.10 §3.5.1.1 gives to removable media, whole."""
    volume = disk.image(BOOT, disk.programs(EFI), SIZE)[64 * disk.SECTOR :]
    assert _read(volume, f"EFI/BOOT/{target.file_name}") == efi.program(EFI, target)


@pytest.mark.parametrize("sectors", [500, 12000])
def test_files_of_every_length_come_back(sectors: int) -> None:
    """Chains of one and of many clusters, side by side, with clusters of one sector and of several."""
    files = {f"F{size}": bytes([size % 251]) * size for size in (0, 1, 511, 512, 513, 5000)}
    volume = disk.fat12(files, sectors)
    assert {name: _read(volume, name) for name in files} == files


def test_too_much_for_the_volume_is_refused() -> None:
    """A full disk is an error of the lab, not a truncated program."""
    with pytest.raises(ValueError, match="do not fit"):
        disk.fat12({"BIG": bytes(60000)}, 100)


def test_the_efi_program_is_a_pe_image_whose_code_finds_its_text() -> None:
    """Entry point, one section, and the distance in the code that leads to the text."""
    image = efi.program("hi")
    (pe,) = struct.unpack_from("<I", image, 60)
    machine, sections = struct.unpack_from("<HH", image, pe + 4)
    (entry,) = struct.unpack_from("<I", image, pe + 24 + 16)
    size, address, _, raw = struct.unpack_from("<IIII", image, pe + 24 + 240 + 8)
    assert (image[pe : pe + 4], machine, sections, entry) == (b"PE\0\0", 0x8664, 1, address)
    section = image[raw : raw + size]
    lea = section.index(b"\x48\x8d\x15")
    (distance,) = struct.unpack_from("<i", section, lea + 3)
    assert section[lea + 7 + distance :] == "\r\nhi\r\n\0".encode("utf-16-le")
