"""PXE's and iPXE's own options, and the class string of boot clients: tables run both ways."""

from __future__ import annotations

import pytest

from pxenet.wire.options import Options, encode
from pxenet.wire.pxe import (
    DIRECT_BOOT_43,
    HTTP_CLIENT,
    IPXE,
    LOCAL_BOOT,
    PXE,
    PXE_CLIENT,
    BootItem,
    BootServer,
    ClientClass,
    Discovery,
    IpxeCode,
    IpxeFeature,
    MenuItem,
    MenuPrompt,
    MulticastAllocation,
    PxeCode,
    parse_class,
    serialize_class,
)
from pxenet.wire.reader import WireError
from pxenet.wire.shapes import Space, Value

A, B = 0xC0000201, 0xC0000202

WHOLE: list[tuple[str, Space, dict[int, Value], str]] = [
    ("go straight to the file", PXE, {PxeCode.DISCOVERY_CONTROL: Discovery.DIRECT_BOOT}, "060108ff"),
    (
        "Raspberry Pi",
        PXE,
        {
            PxeCode.DISCOVERY_CONTROL: 3,
            PxeCode.MENU_PROMPT: MenuPrompt(0, "PXE"),
            PxeCode.BOOT_MENU: (MenuItem(LOCAL_BOOT, "Raspberry Pi Boot"),),
        },
        "060103 0a0400505845 0914 0000 11 52617370626572727920506920426f6f74 ff",
    ),
    (
        "menu with a chosen item",
        PXE,
        {
            PxeCode.BOOT_MENU: (MenuItem(0x8000, "Network boot"),),
            PxeCode.MENU_PROMPT: MenuPrompt(0, "Prompt"),
            PxeCode.DISCOVERY_CONTROL: 2,
            PxeCode.BOOT_SERVERS: (BootServer(0x8000, ()),),
            PxeCode.BOOT_ITEM: BootItem(0x8000, 0),
        },
        "090f 8000 0c 4e6574776f726b20626f6f74 0a07 00 50726f6d7074 060102 0803 8000 00 4704 8000 0000 ff",
    ),
    (
        "boot servers",
        PXE,
        {PxeCode.BOOT_SERVERS: (BootServer(0x8003, (A, B)), BootServer(1, (A,)))},
        "0812 8003 02 c0000201 c0000202 0001 01 c0000201 ff",
    ),
    (
        "multicast",
        PXE,
        {
            PxeCode.MTFTP_ADDRESS: 0xE0010203,
            PxeCode.MTFTP_CLIENT_PORT: 1758,
            PxeCode.MTFTP_SERVER_PORT: 1759,
            PxeCode.MTFTP_TIMEOUT: 5,
            PxeCode.MTFTP_DELAY: 6,
            PxeCode.DISCOVERY_ADDRESS: 0xE0010204,
            PxeCode.MULTICAST_ALLOCATION: MulticastAllocation(0xE0010205, 7, 8),
            PxeCode.CREDENTIAL_TYPES: (1, 2),
        },
        "0104e0010203 020206de 030206df 040105 050106 0704e0010204 0b08e001020500070008 0c080000000100000002 ff",
    ),
    ("no wait for a proxy", IPXE, {IpxeCode.NO_PXE_DHCP: 1}, "b00101"),
    (
        "features and text",
        IPXE,
        {IpxeFeature.HTTP: 1, IpxeFeature.EFI: 1, IpxeCode.USERNAME: "root", IpxeCode.UID: 1000, IpxeCode.KEEP_SAN: 1},
        "130101 240101 be04726f6f74 c204000003e8 080101",
    ),
    (
        "bus and version",
        IPXE,
        {IpxeCode.BUS_ID: b"\1\x1a\xf4\x10\0", IpxeCode.VERSION: b"\1\0\1"},
        "b105011af41000 eb03010001",
    ),
]


@pytest.mark.parametrize(("space", "values", "written"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE])
def test_encapsulated(space: Space, values: dict[int, Value], written: str) -> None:
    """The sub-options serialize to exactly these bytes, which parse to exactly these values."""
    raw = bytes.fromhex(written)
    options = Options.build(values, space)
    assert options.serialize() == raw
    parsed = Options.parse(raw, space)
    assert parsed == options
    assert {code: parsed.get(code) for code, _ in parsed} == values


def test_every_shape_is_in_the_table() -> None:
    """Nothing of option 43 is untested, and no shape of 175."""
    tested = {code for _, space, values, _ in WHOLE if space is PXE for code in values}
    assert set(PXE.rows) == tested
    shapes = {IPXE.row(code).shape.name for _, space, values, _ in WHOLE if space is IPXE for code in values}
    assert {row.shape.name for row in IPXE.rows.values()} == shapes


def test_direct_boot() -> None:
    """The constant is what building it gives."""
    assert Options.build({PxeCode.DISCOVERY_CONTROL: 8}, PXE).serialize() == DIRECT_BOOT_43


@pytest.mark.parametrize(
    ("code", "written"),
    [
        (PxeCode.BOOT_SERVERS, ""),
        (PxeCode.BOOT_SERVERS, "8000 01 c00002"),
        (PxeCode.BOOT_MENU, "8000 0c 4e"),
        (PxeCode.MENU_PROMPT, ""),
        (PxeCode.BOOT_ITEM, "8000"),
        (PxeCode.BOOT_ITEM, "8000 0000 00"),
        (PxeCode.MULTICAST_ALLOCATION, "e0010205"),
        (PxeCode.CREDENTIAL_TYPES, "00"),
    ],
)
def test_malformed(code: int, written: str) -> None:
    """Sub-options of the wrong form are raw bytes, and malformed when asked for typed."""
    options = Options([(code, bytes.fromhex(written))], PXE)
    with pytest.raises(WireError):
        options.get(code)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (PxeCode.BOOT_SERVERS, (1,)),
        (PxeCode.BOOT_MENU, ("x",)),
        (PxeCode.BOOT_MENU, (MenuItem(1, "x" * 256),)),
        (PxeCode.MENU_PROMPT, "x"),
        (PxeCode.MENU_PROMPT, MenuPrompt(256, "x")),
        (PxeCode.BOOT_ITEM, 1),
        (PxeCode.MULTICAST_ALLOCATION, 1),
    ],
)
def test_unsendable(code: int, value: Value) -> None:
    """What does not fit is refused when it is built."""
    with pytest.raises((TypeError, ValueError)):
        encode(code, value, PXE)


CLASSES = [
    ("PXEClient:Arch:00007:UNDI:003016", ClientClass(PXE_CLIENT, 7, (3, 16))),
    ("HTTPClient:Arch:00016:UNDI:003000", ClientClass(HTTP_CLIENT, 16, (3, 0))),
    ("PXEClient:Arch:00000", ClientClass(PXE_CLIENT, 0)),
    ("PXEClient", ClientClass(PXE_CLIENT)),
    ("HTTPClient", ClientClass(HTTP_CLIENT)),
]


@pytest.mark.parametrize(("written", "value"), CLASSES, ids=[written for written, _ in CLASSES])
def test_class(written: str, value: ClientClass) -> None:
    """The class string and its parts are the same thing."""
    assert parse_class(written) == value
    assert serialize_class(value) == written


@pytest.mark.parametrize("written", ["PXEClient:Arch:7", "PXEClient:Arch:0000x:UNDI:00301", "PXEClient:", "PXEClientX"])
def test_class_in_disorder(written: str) -> None:
    """Only the name at the beginning decides; what cannot be read behind it is left out."""
    assert parse_class(written) == ClientClass(PXE_CLIENT)


@pytest.mark.parametrize("written", ["", "udhcp 1.35.0", "d-i", "pxeclient", "U-Boot.armv8"])
def test_no_boot_class(written: str) -> None:
    """Other classes are no boot client's."""
    assert parse_class(written) is None
