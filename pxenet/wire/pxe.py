"""What PXE and iPXE say inside DHCP: option 43 of the class PXEClient, option 175, the class string itself.

Both options hold options of their own: (code, length, value), 0 pads, 255 ends. One sub-option is never longer than 253 bytes,
because no PXE client joins an option 43 that was split (facts of iPXE, GRUB, PXELINUX and EDK2). Sources: Intel PXE 2.1 as EDK2,
iPXE and dnsmasq agree on it; RFC 4578; iPXE's published list of settings.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pxenet.wire.reader import Reader
from pxenet.wire.shapes import (
    ADDRESS,
    BYTES,
    I8,
    TEXT,
    U8,
    U16,
    U32,
    U32S,
    Row,
    Shape,
    Space,
    Value,
    counted,
    int_bytes,
    items_of,
    text_bytes,
    text_in,
)

PXE_CLIENT = "PXEClient"
HTTP_CLIENT = "HTTPClient"

DIRECT_BOOT_43 = bytes.fromhex("06 01 08 ff")
"""Discovery control with bit 3: the boot file is in this packet, take it, no menu and no discovery. EDK2 needs it to load directly
when the answer carries the class PXEClient."""


class PxeCode(enum.IntEnum):
    """Sub-options of option 43 for PXEClient."""

    MTFTP_ADDRESS = 1
    MTFTP_CLIENT_PORT = 2
    MTFTP_SERVER_PORT = 3
    MTFTP_TIMEOUT = 4
    MTFTP_DELAY = 5
    DISCOVERY_CONTROL = 6
    DISCOVERY_ADDRESS = 7
    BOOT_SERVERS = 8
    BOOT_MENU = 9
    MENU_PROMPT = 10
    MULTICAST_ALLOCATION = 11
    CREDENTIAL_TYPES = 12
    BOOT_ITEM = 71


class Discovery(enum.IntFlag):
    """Bits of DISCOVERY_CONTROL."""

    NO_BROADCAST = 1
    NO_MULTICAST = 2
    LISTED_SERVERS_ONLY = 4
    DIRECT_BOOT = 8


LOCAL_BOOT = 0
"""The boot server type that means: go on with the next boot device."""


@dataclass(frozen=True, slots=True)
class BootServer:
    """One type of boot server and where to find it."""

    type: int
    addresses: tuple[int, ...]


def _parse_servers(reader: Reader) -> Value:
    """(type u16, count u8, count addresses)+."""
    found: list[BootServer] = []
    while reader.left or not found:
        kind, count = reader.u16("type"), reader.u8("count")
        found.append(BootServer(kind, tuple(reader.u32("boot server") for _ in range(count))))
    return tuple(found)


def _serialize_servers(value: Value) -> bytes:
    parts: list[bytes] = []
    for server in items_of(value):
        if not isinstance(server, BootServer):
            raise TypeError(f"wants a BootServer, not {server!r}")
        parts += (int_bytes(server.type, 16), int_bytes(len(server.addresses), 8))
        parts += (int_bytes(address, 32) for address in server.addresses)
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One line of the boot menu: the boot server type that it selects, and its text."""

    type: int
    text: str


def _parse_menu(reader: Reader) -> Value:
    """(type u16, length u8, text)+."""
    found: list[MenuItem] = []
    while reader.left or not found:
        kind = reader.u16("type")
        found.append(MenuItem(kind, text_in(reader.take(reader.u8("length"), "text"))))
    return tuple(found)


def _serialize_menu(value: Value) -> bytes:
    parts: list[bytes] = []
    for item in items_of(value):
        if not isinstance(item, MenuItem):
            raise TypeError(f"wants a MenuItem, not {item!r}")
        parts += (int_bytes(item.type, 16), counted(text_bytes(item.text)))
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class MenuPrompt:
    """The question before the menu: 0 takes the first item at once, 255 shows the menu and waits, else seconds to wait."""

    timeout_s: int
    text: str


def _parse_prompt(reader: Reader) -> Value:
    """timeout u8, text."""
    return MenuPrompt(reader.u8("timeout"), text_in(reader.rest()))


def _serialize_prompt(value: Value) -> bytes:
    if not isinstance(value, MenuPrompt):
        raise TypeError(f"wants a MenuPrompt, not {value!r}")
    return int_bytes(value.timeout_s, 8) + text_bytes(value.text)


@dataclass(frozen=True, slots=True)
class MulticastAllocation:
    """A range of multicast addresses that boot servers may use."""

    address: int
    block: int
    range: int


def _parse_allocation(reader: Reader) -> Value:
    """address u32, block u16, range u16."""
    return MulticastAllocation(reader.u32("address"), reader.u16("block"), reader.u16("range"))


def _serialize_allocation(value: Value) -> bytes:
    if not isinstance(value, MulticastAllocation):
        raise TypeError(f"wants a MulticastAllocation, not {value!r}")
    return int_bytes(value.address, 32) + int_bytes(value.block, 16) + int_bytes(value.range, 16)


@dataclass(frozen=True, slots=True)
class BootItem:
    """The boot server type a client has chosen, and the layer of its boot it wants."""

    type: int
    layer: int
    """Bit 15: the client asks for credentials, which we do not have."""


def _parse_boot_item(reader: Reader) -> Value:
    """type u16, layer u16."""
    return BootItem(reader.u16("type"), reader.u16("layer"))


def _serialize_boot_item(value: Value) -> bytes:
    if not isinstance(value, BootItem):
        raise TypeError(f"wants a BootItem, not {value!r}")
    return int_bytes(value.type, 16) + int_bytes(value.layer, 16)


PXE = Space(
    "PXE vendor options",
    {
        PxeCode.MTFTP_ADDRESS: Row("MTFTP address", ADDRESS),
        PxeCode.MTFTP_CLIENT_PORT: Row("MTFTP client port", U16),
        PxeCode.MTFTP_SERVER_PORT: Row("MTFTP server port", U16),
        PxeCode.MTFTP_TIMEOUT: Row("MTFTP timeout", U8),
        PxeCode.MTFTP_DELAY: Row("MTFTP delay", U8),
        PxeCode.DISCOVERY_CONTROL: Row("discovery control", U8),
        PxeCode.DISCOVERY_ADDRESS: Row("discovery multicast address", ADDRESS),
        PxeCode.BOOT_SERVERS: Row("boot servers", Shape("boot servers", _parse_servers, _serialize_servers)),
        PxeCode.BOOT_MENU: Row("boot menu", Shape("boot menu", _parse_menu, _serialize_menu)),
        PxeCode.MENU_PROMPT: Row("menu prompt", Shape("menu prompt", _parse_prompt, _serialize_prompt)),
        PxeCode.MULTICAST_ALLOCATION: Row(
            "multicast allocation", Shape("multicast allocation", _parse_allocation, _serialize_allocation)
        ),
        PxeCode.CREDENTIAL_TYPES: Row("credential types", U32S),
        PxeCode.BOOT_ITEM: Row("boot item", Shape("boot item", _parse_boot_item, _serialize_boot_item)),
    },
    writes_end=True,
)
"""Option 43 as PXEClient means it."""


class IpxeCode(enum.IntEnum):
    """Sub-options of option 175 that are not feature flags."""

    PRIORITY = 0x01
    KEEP_SAN = 0x08
    SKIP_SAN_BOOT = 0x09
    SCRIPTLET = 0x51
    SYSLOGS = 0x55
    TRUST = 0x5A
    CERTIFICATE = 0x5B
    PRIVATE_KEY = 0x5C
    CROSS_CERTIFICATE = 0x5D
    NO_PXE_DHCP = 0xB0
    BUS_ID = 0xB1
    SAN_RETRY = 0xBB
    SAN_FILENAME = 0xBC
    SAN_DRIVE = 0xBD
    USERNAME = 0xBE
    PASSWORD = 0xBF
    REVERSE_USERNAME = 0xC0
    REVERSE_PASSWORD = 0xC1
    UID = 0xC2
    GID = 0xC3
    VERSION = 0xEB


class IpxeFeature(enum.IntEnum):
    """Feature flags of option 175: codes 0x10 to 0x4f; the value is the version of the feature."""

    PXE_EXTENSIONS = 0x10
    ISCSI = 0x11
    AOE = 0x12
    HTTP = 0x13
    HTTPS = 0x14
    TFTP = 0x15
    FTP = 0x16
    DNS = 0x17
    BZIMAGE = 0x18
    MULTIBOOT = 0x19
    SLAM = 0x1A
    SRP = 0x1B
    NBI = 0x20
    PXE = 0x21
    ELF = 0x22
    COMBOOT = 0x23
    EFI = 0x24
    FCOE = 0x25
    VLAN = 0x26
    MENU = 0x27
    SDI = 0x28
    NFS = 0x29


FEATURE_CODES = range(0x10, 0x50)

IPXE = Space(
    "iPXE options",
    {
        IpxeCode.PRIORITY: Row("priority", I8),
        IpxeCode.KEEP_SAN: Row("keep-san", I8),
        IpxeCode.SKIP_SAN_BOOT: Row("skip-san-boot", I8),
        **{code: Row(f"feature {code:#x}", U8) for code in FEATURE_CODES},
        **{feature: Row(f"feature {feature.name}", U8) for feature in IpxeFeature},
        IpxeCode.SCRIPTLET: Row("scriptlet", TEXT),
        IpxeCode.SYSLOGS: Row("syslogs", TEXT),
        IpxeCode.TRUST: Row("trust", BYTES),
        IpxeCode.CERTIFICATE: Row("certificate", BYTES),
        IpxeCode.PRIVATE_KEY: Row("private key", BYTES),
        IpxeCode.CROSS_CERTIFICATE: Row("cross-certificate source", TEXT),
        IpxeCode.NO_PXE_DHCP: Row("no-pxedhcp", U8),
        IpxeCode.BUS_ID: Row("bus id", BYTES),
        IpxeCode.SAN_RETRY: Row("san-retry", I8),
        IpxeCode.SAN_FILENAME: Row("san-filename", TEXT),
        IpxeCode.SAN_DRIVE: Row("san-drive", U8),
        IpxeCode.USERNAME: Row("username", TEXT),
        IpxeCode.PASSWORD: Row("password", TEXT),
        IpxeCode.REVERSE_USERNAME: Row("reverse-username", TEXT),
        IpxeCode.REVERSE_PASSWORD: Row("reverse-password", TEXT),
        IpxeCode.UID: Row("uid", U32),
        IpxeCode.GID: Row("gid", U32),
        IpxeCode.VERSION: Row("version", BYTES),
    },
)
"""Option 175."""


@dataclass(frozen=True, slots=True)
class ClientClass:
    """The class string of a boot client: ``PXEClient:Arch:00007:UNDI:003016``."""

    name: str
    """PXE_CLIENT or HTTP_CLIENT."""
    arch: int | None = None
    """The digits after ``Arch:``; None when there are none."""
    undi: tuple[int, int] | None = None
    """Major and minor version of the network driver interface."""


def parse_class(text: str) -> ClientClass | None:
    """The class of a boot client, or None for anything else (an operating system's class).

    Only the name at the beginning decides, as servers and firmware alike compare it; the rest may be missing or different.
    """
    name = next((known for known in (PXE_CLIENT, HTTP_CLIENT) if text.startswith(known)), None)
    if name is None:
        return None
    fields = text[len(name) :].split(":")[1:]
    pairs = dict(zip(fields[::2], fields[1::2], strict=False))
    arch, undi = pairs.get("Arch", ""), pairs.get("UNDI", "")
    return ClientClass(
        name,
        int(arch) if _digits(arch, 5) else None,
        (int(undi[:3]), int(undi[3:])) if _digits(undi, 6) else None,
    )


def _digits(text: str, count: int) -> bool:
    return len(text) == count and text.isascii() and text.isdigit()


def serialize_class(value: ClientClass) -> str:
    """The string, 32 bytes when complete; the bare name (what a server sends back) when there is no arch."""
    arch = "" if value.arch is None else f":Arch:{value.arch:05}"
    return f"{value.name}{arch}" + ("" if value.undi is None else f":UNDI:{value.undi[0]:03}{value.undi[1]:03}")
