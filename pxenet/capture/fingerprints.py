"""Which program speaks, by what it says: DHCP options and their order, TFTP options, file names, HTTP user agents.

Tables of traits, first match first. Sources: the captures of this repository; facts on PXE clients (RFC 4578 and EDK2, iPXE,
U-Boot, Raspberry Pi documentation), TFTP clients and HTTP clients. Knows single messages; must not know boots: whether an iPXE is
the firmware or was loaded by another one is for ``machines`` to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from pxenet.capture.boots import Role, header
from pxenet.wire import tftp
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import OptionCode
from pxenet.wire.reader import WireError
from pxenet.wire.shapes import show

FIRMWARE, LOADER, SYSTEM = Role.FIRMWARE, Role.LOADER, Role.SYSTEM

FAMILIES = MappingProxyType(
    {
        "ipxe": ("iPXE", LOADER),  # or FIRMWARE, when it speaks first
        "edk2-pxe": ("EDK2 PXE", FIRMWARE),
        "edk2-http": ("EDK2 HTTP boot", FIRMWARE),
        "uefi-pxe": ("UEFI PXE, not EDK2's", FIRMWARE),
        "uefi-http": ("UEFI HTTP boot, not EDK2's", FIRMWARE),
        "pxe-rom": ("BIOS PXE ROM", FIRMWARE),
        "u-boot": ("U-Boot", FIRMWARE),
        "raspberry": ("Raspberry Pi boot ROM", FIRMWARE),
        "raspberry-4": ("Raspberry Pi EEPROM", FIRMWARE),
        "pxelinux": ("PXELINUX", LOADER),
        "grub": ("GRUB", LOADER),
        "shim": ("shim", LOADER),
        "udhcpc": ("busybox udhcpc", SYSTEM),
        "debian-installer": ("Debian installer", SYSTEM),
        "anaconda": ("Anaconda", SYSTEM),
        "dhcpcd": ("dhcpcd", SYSTEM),
        "dhclient": ("ISC dhclient", SYSTEM),
        "network-manager": ("NetworkManager", SYSTEM),
        "windows": ("Windows", SYSTEM),
        "wget": ("wget", SYSTEM),
        "curl": ("curl", SYSTEM),
        "dnf": ("dnf", SYSTEM),
    }
)
"""family: (name for people, what it is in a boot)."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A family, and what in the message says so."""

    family: str
    evidence: str


# -- DHCP --------------------------------------------------------------------------------------------------------------

_EDK2_BEGINS = bytes((1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40))
"""PXE's and HTTP boot's lists have 35 and 27 codes; they begin alike."""
_LISTS = (
    (bytes((43, 60, 67, 128)), "raspberry"),
    (bytes((1, 2, 6, 12, 15, 26, 28, 121, 3, 33, 42)), "network-manager"),
    (bytes((1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42)), "dhclient"),
)
"""Beginnings of option 55."""
_CLASSES = (
    ("U-Boot", "u-boot"),
    ("udhcp", "udhcpc"),
    ("d-i", "debian-installer"),
    ("anaconda", "anaconda"),
    ("dhcpcd", "dhcpcd"),
    ("MSFT", "windows"),
)
"""Beginnings of option 60."""
_IPXE_VERSION = 235


def dhcp_sign(message: Message) -> Sign | None:
    """Who sent this message of a client's; None: it gives no hint."""
    return next((sign for test in _DHCP_TESTS if (sign := test(message)) is not None), None)


def _ipxe(message: Message) -> Sign | None:
    inside = message.options.raw(OptionCode.IPXE)
    user_class = message.options.raw(OptionCode.USER_CLASS) or b""
    if inside is None:
        return Sign("ipxe", f"option 77 {show(user_class)!r}") if user_class.endswith(b"iPXE") else None
    try:
        options = message.options.ipxe()
        version = options.raw(_IPXE_VERSION) if options is not None else None
    except WireError:
        version = None
    told = f", version {'.'.join(map(str, version))}" if version else ""
    return Sign("ipxe", f"option 175 (iPXE's own){told}")


def _machine_id(message: Message) -> Sign | None:
    raw = message.options.raw(OptionCode.MACHINE_ID) or b""
    if raw[1:4] == b"RPi":
        return Sign("raspberry-4", f"option 97 begins with {show(raw[1:5])}")
    if raw[1:] == b"\x44" * 16:
        return Sign("raspberry", "option 97 is 0x44 repeated")
    return None


def _parameter_list(message: Message) -> Sign | None:
    raw = message.options.raw(OptionCode.PARAMETER_LIST) or b""
    return next((Sign(family, _list_text(raw)) for begins, family in _LISTS if raw.startswith(begins)), None)


def _boot_class(message: Message) -> Sign | None:
    raw = message.options.raw(OptionCode.VENDOR_CLASS) or b""
    kind = "pxe" if raw.startswith(b"PXEClient") else "http" if raw.startswith(b"HTTPClient") else ""
    if not kind:
        return None
    said = f"option 60 {show(raw)!r}"
    listed = message.options.raw(OptionCode.PARAMETER_LIST) or b""
    if listed.startswith(_EDK2_BEGINS):
        return Sign(f"edk2-{kind}", f"{said}, {_list_text(listed)}")
    if kind == "pxe" and architecture_of(message) in (0, None):
        return Sign("pxe-rom", said)
    return Sign(f"uefi-{kind}", said)


def _vendor_class(message: Message) -> Sign | None:
    said = show(message.options.raw(OptionCode.VENDOR_CLASS) or b"")
    return next((Sign(family, f"option 60 {said!r}") for begins, family in _CLASSES if said.startswith(begins)), None)


_DHCP_TESTS: tuple[Callable[[Message], Sign | None], ...] = (
    _ipxe,
    _machine_id,
    _vendor_class,
    _parameter_list,
    _boot_class,
)


def _list_text(raw: bytes) -> str:
    codes = " ".join(map(str, raw[:6]))
    return f"option 55 in the order {codes}{' …' if len(raw) > 6 else ''} ({len(raw)} codes)"


def architecture_of(message: Message) -> int | None:
    """The first entry of option 93; None: not sent."""
    raw = message.options.raw(OptionCode.ARCHITECTURE) or b""
    return int.from_bytes(raw[:2], "big") if len(raw) >= 2 else None


def uuid_of(message: Message) -> bytes | None:
    """Option 97, in the order of the wire; None when it is not sent, or names no machine."""
    raw = message.options.raw(OptionCode.MACHINE_ID) or b""
    uuid = raw[1:]
    if len(uuid) != 16 or raw[0] != 0 or len(set(uuid)) == 1 or uuid in _FILLERS:
        return None
    return uuid


_FILLERS = frozenset(
    bytes.fromhex(text)
    for text in (
        "00020003000400050006000700080009",  # what boards' makers forget to fill in, in both orders
        "03000200040005000006000700080009",
    )
)


# -- TFTP --------------------------------------------------------------------------------------------------------------

_SHIM_FILES = ("revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi")


def tftp_sign(request: tftp.Request) -> Sign | None:
    """Who sent this request; None: it gives no hint."""
    name = request.filename.rpartition("/")[2]
    if name in _SHIM_FILES:
        return Sign("shim", f"asks for {name}")
    names = tuple(option.lower() for option, _ in request.options)
    values = {option.lower(): value for option, value in request.options}
    said = "TFTP options " + " ".join(f"{option}={value}" for option, value in request.options)
    for wanted, fixed, family in _TFTP_TRAITS:
        if names == wanted and all(values[option] == value for option, value in fixed.items()):
            return Sign(family, said)
    return None


_TFTP_TRAITS: tuple[tuple[tuple[str, ...], dict[str, str], str], ...] = (
    (("tsize", "blksize"), {"blksize": "1408", "tsize": "0"}, "pxelinux"),
    (("blksize", "tsize"), {"blksize": "1024", "tsize": "0"}, "grub"),
    (("blksize", "tsize"), {"blksize": "1432", "tsize": "0"}, "ipxe"),
    (("tsize", "blksize", "windowsize"), {"tsize": "0"}, "edk2-pxe"),
    (("blksize", "windowsize"), {}, "edk2-pxe"),
    (("timeout", "tsize", "blksize"), {"tsize": "0"}, "u-boot"),
    (("timeout", "tsize", "blksize", "windowsize"), {"tsize": "0"}, "u-boot"),
)
"""Options in their order, values that are always the same, family."""


# -- HTTP --------------------------------------------------------------------------------------------------------------

_AGENTS = (
    ("UefiHttpBoot", "edk2-http"),
    ("iPXE", "ipxe"),
    ("Syslinux", "pxelinux"),
    ("GRUB", "grub"),
    ("U-Boot", "u-boot"),
    ("debian-installer", "debian-installer"),
    ("Debian APT", "debian-installer"),
    ("Wget", "wget"),
    ("curl", "curl"),
    ("libdnf", "dnf"),
    ("dnf", "dnf"),
    ("libcurl", "dnf"),
)
"""Beginnings of User-Agent."""


def http_sign(head: bytes) -> Sign | None:
    """Who sent this request; None: it gives no hint."""
    agent = header(head, "user-agent")
    if not agent:
        return None
    said = f"User-Agent {agent!r}"
    if "(anaconda)" in agent:
        return Sign("anaconda", said)
    return next((Sign(family, said) for begins, family in _AGENTS if agent.startswith(begins)), None)
