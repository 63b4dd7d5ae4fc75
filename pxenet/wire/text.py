"""Addresses, hardware addresses and machine ids as text, and back.

Below the printing layer an IPv4 address is an int, a hardware address and a machine id are bytes. Every ``parse_`` raises
ValueError with the offending text.
"""

from __future__ import annotations

import string

_HEX = frozenset(string.hexdigits)


def address_text(address: int) -> str:
    """``10.0.0.5``."""
    return f"{address >> 24 & 255}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def parse_address(text: str) -> int:
    """The int of a dotted quad: exactly four decimal numbers, 0 to 255, without leading zeros (some readers take those as octal)."""
    parts = text.split(".")
    if len(parts) == 4 and all(_is_octet(part) for part in parts):
        first, second, third, fourth = map(int, parts)
        return first << 24 | second << 16 | third << 8 | fourth
    raise ValueError(f"not an IPv4 address: {text!r}")


def _is_octet(part: str) -> bool:
    if not part.isascii() or not part.isdigit() or len(part) > 3:
        return False
    return int(part) < 256 and (part == "0" or part[0] != "0")


def mac_text(hardware: bytes) -> str:
    """``52:54:00:12:34:56``, whatever the length."""
    return hardware.hex(":")


def mac_dashes(hardware: bytes) -> str:
    """``52-54-00-12-34-56``: as in BOOTIF, ``pxelinux.cfg/01-…`` and a Raspberry Pi's directory."""
    return hardware.hex("-")


def parse_mac(text: str) -> bytes:
    """The bytes of an Ethernet address: six octets with colons or dashes between them, or twelve digits alone."""
    for separator in (":", "-"):
        parts = text.split(separator)
        if len(parts) == 6 and all(len(part) == 2 and _HEX.issuperset(part) for part in parts):
            return bytes.fromhex("".join(parts))
    if len(text) == 12 and _HEX.issuperset(text):
        return bytes.fromhex(text)
    raise ValueError(f"not a hardware address: {text!r}")


def uuid_text_wire(uuid: bytes) -> str:
    """The 16 bytes as they come on the wire: what PXELINUX and GRUB put into the names of their configuration files."""
    digits = uuid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def uuid_text(uuid: bytes) -> str:
    """The 16 bytes as SMBIOS 2.6 writes them: the first three fields are little-endian on the wire of PC firmware.

    This is what ``dmidecode``, ``/sys/class/dmi/id/product_uuid`` and iPXE's ``${uuid}`` show.
    """
    return uuid_text_wire(swap_uuid(uuid))


def swap_uuid(uuid: bytes) -> bytes:
    """The same machine id in the other byte order: the first three fields reversed. Its own inverse."""
    return uuid[3::-1] + uuid[5:3:-1] + uuid[7:5:-1] + uuid[8:]


def parse_uuid(text: str) -> bytes:
    """The 16 bytes in the order of the digits; dashes as in ``00112233-4455-6677-8899-aabbccddeeff``, or none."""
    digits = text.replace("-", "")
    dashes = [at for at, letter in enumerate(text) if letter == "-"]
    if len(digits) == 32 and _HEX.issuperset(digits) and dashes in ([], [8, 13, 18, 23]):
        return bytes.fromhex(digits)
    raise ValueError(f"not a machine id (UUID): {text!r}")
