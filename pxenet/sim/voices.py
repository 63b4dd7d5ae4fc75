"""What each DHCP client says: its options with their values, in its own order. Data, taken from captures of the real ones.

Captures: SeaBIOS 1.16.2 with iPXE 1.0.0+git-20190125, OVMF 2022.11, iPXE 1.0.0+ as EFI program, busybox udhcpc 1.35.0 and the Debian
installer. U-Boot, Raspberry Pi and NetworkManager speak by their sources' description (facts cited at each).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pxenet.wire.dhcp import FLAG_BROADCAST
from pxenet.wire.iana import OptionCode as O


class Fill(enum.Enum):
    """A value that is known only when the message is made."""

    TYPE = "message type"
    CLIENT_ID = "hardware type and address"
    MACHINE_ID = "the machine's UUID"
    SERVER_ID = "the chosen server"
    REQUESTED = "the chosen address"
    RASPBERRY_ID = "RPi4, board revision, the low half of the address, serial number"


Words = tuple[tuple[int, bytes | Fill], ...]


@dataclass(frozen=True, slots=True)
class Voice:
    """One DHCP client."""

    name: str
    discover: Words
    request: Words
    flags: int = 0
    min_bytes: int = 0
    """Zeros are added up to this size."""

    @property
    def vendor_class(self) -> bytes:
        """Option 60."""
        value = dict(self.discover).get(O.VENDOR_CLASS, b"")
        return value if isinstance(value, bytes) else b""


_TYPE = (O.MESSAGE_TYPE, Fill.TYPE)
_SERVER = (O.SERVER_ID, Fill.SERVER_ID)
_REQUESTED = (O.REQUESTED_ADDRESS, Fill.REQUESTED)
_CLIENT_ID = (O.CLIENT_ID, Fill.CLIENT_ID)
_MACHINE_ID = (O.MACHINE_ID, Fill.MACHINE_ID)


def _size(octets: int) -> tuple[int, bytes]:
    return O.MAX_SIZE, octets.to_bytes(2, "big")


def _arch(number: int) -> tuple[int, bytes]:
    return O.ARCHITECTURE, number.to_bytes(2, "big")


def _boot_class(name: str, arch: int, undi: str) -> tuple[int, bytes]:
    return O.VENDOR_CLASS, f"{name}:Arch:{arch:05}:UNDI:{undi}".encode()


# -- iPXE -----------------------------------------------------------------------------------------------------------------------------

VIRTIO, E1000 = bytes.fromhex("011af41000"), bytes.fromhex("018086100e")
"""Bus ids: PCI, vendor, device."""

_IPXE_LIST = bytes.fromhex("010306070c0f111a2b3c4243778081828384858687afcb")
_BIOS_FEATURES = bytes.fromhex(
    "eb03010000 170101 220101 130101 110101 270101 190101 290101 100102 210101 150101 180101 120101"
)
_EFI_FEATURES = bytes.fromhex("eb03010000 170101 240101 130101 110101 270101 290101 150101 1b0101 120101")


def ipxe(name: str, arch: int, undi: str, features: bytes, bus: bytes = VIRTIO) -> Voice:
    """iPXE's words: class, bare user class, encapsulated features, client id and machine id (captures ``bios-*``, ``uefi-*-ipxe``)."""
    inside = b"\xb1" + bytes((len(bus),)) + bus + features
    nic = bytes((1, int(undi[:3]), int(undi[3:])))
    words: Words = (
        _TYPE, _size(1472), _arch(arch), (O.NIC, nic), _boot_class("PXEClient", arch, undi),
        (O.USER_CLASS, b"iPXE"), (O.PARAMETER_LIST, _IPXE_LIST), (O.IPXE, inside), _CLIENT_ID, _MACHINE_ID,
    )  # fmt: skip
    return Voice(name, words, (*words, _SERVER, _REQUESTED))


IPXE_BIOS = ipxe("iPXE option ROM", 0, "002001", _BIOS_FEATURES)
IPXE_BIOS_E1000 = ipxe("iPXE option ROM (e1000)", 0, "002001", _BIOS_FEATURES, E1000)
IPXE_EFI = ipxe("iPXE", 7, "003010", _EFI_FEATURES)
IPXE_ARM64 = ipxe("iPXE", 11, "003010", _EFI_FEATURES)

# -- EDK2 -----------------------------------------------------------------------------------------------------------------------------

_EDK2_PXE_LIST = bytes.fromhex("0102030405060c0d0f111216171c28292a2b3233363a3b3c42436180818283848586 87")
_EDK2_HTTP_LIST = bytes.fromhex("0102030405060c0d0f111216171c28292a2b3233363a3b3ceb4361")
# 0xeb (235) in HTTP boot's list is an uninitialised byte of the driver: any value can be there (facts: DHCP options table, 55).


def edk2(name: str, client: str, arch: int, parameters: bytes, request_size: int) -> Voice:
    """EDK2's words (captures ``uefi-pxe-*``, ``uefi-http-ipxe``). The REQUEST of PXE announces 65 280 bytes: a swapped 255."""
    nic = (O.NIC, bytes((1, 3, 0)))
    rest = (_MACHINE_ID, nic, _arch(arch), _boot_class(client, arch, "003000"))
    listed = (O.PARAMETER_LIST, parameters)
    return Voice(
        name,
        (_TYPE, _size(1472), listed, *rest),
        (_TYPE, _SERVER, _REQUESTED, _size(request_size), listed, *rest),
        FLAG_BROADCAST,
    )


EDK2_PXE_X64 = edk2("EDK2 PXE", "PXEClient", 7, _EDK2_PXE_LIST, 65280)
EDK2_PXE_IA32 = edk2("EDK2 PXE", "PXEClient", 6, _EDK2_PXE_LIST, 65280)
EDK2_PXE_ARM64 = edk2("EDK2 PXE", "PXEClient", 11, _EDK2_PXE_LIST, 65280)
BIOS_PXE = edk2("PXE boot ROM", "PXEClient", 0, _EDK2_PXE_LIST, 65280)
"""A PXE ROM of a BIOS, for want of a capture: EDK2's words with the architecture of a BIOS."""
EDK2_HTTP_X64 = edk2("EDK2 HTTP boot", "HTTPClient", 16, _EDK2_HTTP_LIST, 1472)
EDK2_HTTP_ARM64 = edk2("EDK2 HTTP boot", "HTTPClient", 19, _EDK2_HTTP_LIST, 1472)

# -- systems --------------------------------------------------------------------------------------------------------------------------


def udhcpc(name: str, vendor_class: bytes) -> Voice:
    """busybox udhcpc (captures with the class ``udhcp 1.35.0`` and, in the Debian installer, ``d-i``)."""
    tail: Words = (
        _size(576), (O.PARAMETER_LIST, bytes.fromhex("0103060c0f1c2a")), (O.VENDOR_CLASS, vendor_class), _CLIENT_ID,
    )  # fmt: skip
    return Voice(name, (_TYPE, *tail), (_TYPE, _REQUESTED, _SERVER, *tail), min_bytes=300)


UDHCPC = udhcpc("udhcpc", b"udhcp 1.35.0")
DEBIAN = udhcpc("Debian installer", b"d-i")

# Anaconda's class is ``anaconda-`` and ``uname -srm`` (facts: inst.dhcpclass); NetworkManager's internal client asks for these
# and identifies itself by hardware address here (facts: its default depends on the build).
_NETWORK_MANAGER_LIST = bytes.fromhex("0102060c0f1a1c7921032a77f9fc11")
ANACONDA = Voice(
    "Anaconda",
    (
        _TYPE, _CLIENT_ID, (O.PARAMETER_LIST, _NETWORK_MANAGER_LIST), _size(1472),
        (O.VENDOR_CLASS, b"anaconda-Linux 5.14.0-427.el9.x86_64 x86_64"),
    ),
    (
        _TYPE, _CLIENT_ID, (O.PARAMETER_LIST, _NETWORK_MANAGER_LIST), _size(1472), _SERVER, _REQUESTED,
        (O.VENDOR_CLASS, b"anaconda-Linux 5.14.0-427.el9.x86_64 x86_64"),
    ),
    min_bytes=300,
)  # fmt: skip

# -- boards ---------------------------------------------------------------------------------------------------------------------------

# U-Boot: 57 = 576, no 61, UUID only where a variable gives one, class ``U-Boot.<arch>`` (facts: dhcp.md §8, pxe.md §1).
_U_BOOT_LIST = bytes((1, 3, 6, 12, 15, 17))
_U_BOOT_TAIL: Words = (
    _arch(0x16),
    (O.NIC, bytes((1, 0, 0))),
    (O.VENDOR_CLASS, b"U-Boot.armv8"),
    (O.PARAMETER_LIST, _U_BOOT_LIST),
)
U_BOOT = Voice(
    "U-Boot",
    (_TYPE, _size(576), *_U_BOOT_TAIL),
    (_TYPE, _size(576), _SERVER, _REQUESTED, *_U_BOOT_TAIL),
    min_bytes=300,
)

# Raspberry Pi 3B boot ROM: asks for 43, never sends a REQUEST; its machine id is 0x44 repeated (facts: pxe.md §7).
RASPBERRY = Voice(
    "Raspberry Pi boot ROM",
    (
        _TYPE, (O.PARAMETER_LIST, bytes((43, 60, 67, 128, 129, 130, 131, 132, 133, 134, 135, 66))), _arch(0),
        (O.NIC, bytes((1, 2, 1))), (O.MACHINE_ID, b"\0" + b"\x44" * 16), _boot_class("PXEClient", 0, "002001"),
    ),
    (),
    min_bytes=300,
)  # fmt: skip

# Raspberry Pi 4 EEPROM: ordinary DHCP, a machine id that begins with its fourcc (facts: pxe.md §7, DHCP_OPTION97).
_RASPBERRY_4: Words = (
    (O.PARAMETER_LIST, bytes((1, 3, 43, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135))), _arch(0),
    (O.NIC, bytes((1, 2, 1))), (O.MACHINE_ID, Fill.RASPBERRY_ID), _boot_class("PXEClient", 0, "002001"),
)  # fmt: skip
RASPBERRY_4 = Voice(
    "Raspberry Pi 4", (_TYPE, *_RASPBERRY_4), (_TYPE, *_RASPBERRY_4, _REQUESTED, _SERVER), min_bytes=300
)
