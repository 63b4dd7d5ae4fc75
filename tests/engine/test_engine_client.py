"""What a DHCP packet says about the machine that sent it."""

from __future__ import annotations

import pytest
from dhcp_scene import MAC1, X64_CLASS, message

from pxenet.engine.dhcp.client import boot_client
from pxenet.model import ClientKind, Platform
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import MessageType
from pxenet.wire.options import Options

UUID = bytes(range(16))
PI3 = bytes.fromhex("b827eb123456")


def said(options: dict[int, object], mac: bytes = MAC1) -> Message:
    """A DISCOVER with these options."""
    return message(MessageType.DISCOVER, mac, options)


@pytest.mark.parametrize(
    ("options", "kind", "arch", "platform"),
    [
        ({60: "PXEClient:Arch:00000:UNDI:002001", 93: (0,)}, ClientKind.PXE, 0, Platform.BIOS),
        ({60: X64_CLASS, 93: (7,)}, ClientKind.PXE, 7, Platform.X64),
        ({60: "PXEClient:Arch:00009:UNDI:003016", 93: (9,)}, ClientKind.PXE, 9, Platform.X64),
        ({60: X64_CLASS}, ClientKind.PXE, 7, Platform.X64),
        ({60: "PXEClient"}, ClientKind.PXE, 0, Platform.BIOS),
        ({60: "PXEClient:Arch:00011:UNDI:003000", 93: (11,)}, ClientKind.PXE, 11, Platform.ARM64),
        ({60: "PXEClient:Arch:00006:UNDI:003016", 93: (6,)}, ClientKind.PXE, 6, Platform.IA32),
        ({60: "HTTPClient:Arch:00016:UNDI:003001", 93: (16,)}, ClientKind.HTTP, 16, Platform.X64),
        ({60: X64_CLASS, 93: (12, 7)}, ClientKind.PXE, 7, Platform.X64),
        ({60: X64_CLASS, 93: (12, 13)}, ClientKind.PXE, 12, None),
        ({60: "PXEClient", 93: b"abc"}, ClientKind.PXE, 0, Platform.BIOS),
        ({60: X64_CLASS, 93: (7,), 77: b"iPXE"}, ClientKind.IPXE, 7, Platform.X64),
        ({60: X64_CLASS, 93: (7,), 77: b"\x04iPXE"}, ClientKind.IPXE, 7, Platform.X64),
        ({60: X64_CLASS, 93: (7,), 175: b"\x13\1\1"}, ClientKind.IPXE, 7, Platform.X64),
        ({60: b"PXEClient:Arch:00007:UNDI:003016\0\xff?"}, ClientKind.PXE, 7, Platform.X64),
        ({60: "U-Boot.armv8", 93: (22,)}, ClientKind.OTHER, 22, None),
        ({60: "udhcp 1.35.0"}, ClientKind.OTHER, 0, Platform.BIOS),
        ({60: b"\xff\xfe\0x"}, ClientKind.OTHER, 0, Platform.BIOS),
        ({}, ClientKind.OTHER, 0, Platform.BIOS),
    ],
)
def test_kind_and_architecture(
    options: dict[int, object], kind: ClientKind, arch: int, platform: Platform | None
) -> None:
    """By option 60's name, 77, 175; by 93, else the digits in 60, else 0 (facts: pxe §1)."""
    client = boot_client(said(options))
    assert (client.kind, client.arch, client.platform) == (kind, arch, platform)


@pytest.mark.parametrize(
    ("raw", "uuid"),
    [
        (b"\0" + UUID, UUID),
        (b"\0" + bytes(16), None),
        (b"\0" + b"\xff" * 16, None),
        (b"\0" + b"\x44" * 16, None),
        (b"\1" + UUID, None),
        (b"\0" + UUID[1:], None),
        (b"", None),
    ],
    ids=["known", "zeros", "ones", "Pi 3 B", "another type", "short", "empty"],
)
def test_machine_id(raw: bytes, uuid: bytes | None) -> None:
    """In wire order; what every such machine sends is nobody's."""
    assert boot_client(said({97: raw})).uuid == uuid


@pytest.mark.parametrize(
    ("raw", "features"),
    [
        (bytes.fromhex("b105011af41000 eb03010000 130101 240101"), {0x13, 0x24}),
        (bytes.fromhex("130101 24"), {0x13}),
        (b"", set()),
    ],
    ids=["whole", "damaged", "empty"],
)
def test_features(raw: bytes, features: set[int]) -> None:
    """iPXE's flags, as far as option 175 can be read."""
    assert boot_client(said({77: b"iPXE", 175: raw})).ipxe_features == features


@pytest.mark.parametrize(
    ("mac", "options", "is_pi"),
    [
        (PI3, {93: (0,), 55: (43, 60)}, True),
        (PI3, {93: (0,), 55: (1, 3)}, False),
        (MAC1, {93: (0,), 55: (43, 60)}, False),
        (MAC1, {93: (0,), 97: b"\0RPi4" + bytes(12)}, True),
        (MAC1, {93: (41,), 97: b"\0" + bytes.fromhex("34695052") + bytes(12)}, True),
        (PI3, {93: (11,), 55: (43,)}, False),
        (PI3, {93: (0,), 55: (43,), 77: b"iPXE"}, False),
    ],
    ids=["Pi 3", "a system on it", "a PC", "Pi 4", "Pi 5", "UEFI on it", "iPXE on it"],
)
def test_raspberry(mac: bytes, options: dict[int, object], is_pi: bool) -> None:
    """Its ROM calls itself x86 BIOS: told by 97, or its maker's addresses and the wish for 43 (facts: pxe §7)."""
    client = boot_client(said({60: "PXEClient:Arch:00000:UNDI:002001"} | options, mac))
    assert client.raspberry is is_pi


def test_texts_are_kept_for_people() -> None:
    """Classes as they were sent; the hardware address as long as it says."""
    client = boot_client(said({60: X64_CLASS, 77: b"\x04iPXE"}, bytes(range(8))))
    assert (client.vendor_class, client.user_class, client.mac) == (X64_CLASS, "iPXE", bytes(range(8)))
    assert boot_client(Message(op=1, options=Options())).vendor_class == ""
