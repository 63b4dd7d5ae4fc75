"""A second opinion: tshark decodes every shape of message we emit, with no malformed mark and no error-level note."""

from __future__ import annotations

import tshark

from pxenet.wire import dhcp
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import MessageType
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.identity import ClientId, Enterprise, MachineId, NetworkInterface, UserClass
from pxenet.wire.names import FQDN_ENCODED, FQDN_SERVER_UPDATES, Fqdn
from pxenet.wire.options import DHCP, Options
from pxenet.wire.pxe import (
    DIRECT_BOOT_43,
    IPXE,
    PXE,
    BootItem,
    BootServer,
    IpxeCode,
    IpxeFeature,
    MenuItem,
    MenuPrompt,
    MulticastAllocation,
    PxeCode,
)
from pxenet.wire.relay import RELAY, RelayCode
from pxenet.wire.shapes import Route, Value

pytestmark = tshark.installed

A, B = 0x0A000001, 0x0A000002
MAC = bytes.fromhex("525400123456")
UUID = bytes.fromhex("33221100554477668899aabbccddeeff")

RELAYED = Options.build(
    {RelayCode.CIRCUIT_ID: b"eth0/1", RelayCode.REMOTE_ID: MAC, RelayCode.LINK_SELECTION: A, RelayCode.SUBSCRIBER_ID: "s",
     RelayCode.FLAGS: 0x80, RelayCode.SERVER_ID_OVERRIDE: A},
    RELAY,
)  # fmt: skip

LEASE: dict[int, Value] = {
    Code.SERVER_ID: A, Code.LEASE_TIME: 600, Code.T1: 300, Code.T2: 525, Code.SUBNET_MASK: 0xFFFFFF00, Code.ROUTERS: (A,),
    Code.DNS: (A, B), Code.DOMAIN_NAME: "example.com",
}  # fmt: skip
BOOT: dict[int, Value] = {Code.TFTP_SERVER: "10.0.0.1", Code.BOOT_FILE: "bios/pxelinux.0"}
MENU = Options.build(
    {
        PxeCode.DISCOVERY_CONTROL: 3,
        PxeCode.DISCOVERY_ADDRESS: 0xE0000105,
        PxeCode.BOOT_SERVERS: (BootServer(0x8003, (A,)),),
        PxeCode.BOOT_MENU: (MenuItem(0x8003, "install"), MenuItem(0, "local disk")),
        PxeCode.MENU_PROMPT: MenuPrompt(10, "F8 for a menu"),
    },
    PXE,
)
MULTICAST = Options.build(
    {
        PxeCode.MTFTP_ADDRESS: 0xE0000106,
        PxeCode.MTFTP_CLIENT_PORT: 1758,
        PxeCode.MTFTP_SERVER_PORT: 1759,
        PxeCode.MTFTP_TIMEOUT: 1,
        PxeCode.MTFTP_DELAY: 2,
        PxeCode.MULTICAST_ALLOCATION: MulticastAllocation(0xE0000107, 1, 2),
        PxeCode.CREDENTIAL_TYPES: (1,),
        PxeCode.BOOT_ITEM: BootItem(0x8003, 0),
    },
    PXE,
)
TO_IPXE = Options.build({IpxeCode.NO_PXE_DHCP: 1, IpxeCode.PRIORITY: 1, IpxeCode.KEEP_SAN: 1}, IPXE)
FROM_IPXE = Options.build({IpxeFeature.HTTP: 1, IpxeFeature.PXE: 1, IpxeCode.BUS_ID: b"\1\x1a\xf4\x10\0"}, IPXE)


def reply(kind: int, values: dict[int, Value], *, yiaddr: int = B, siaddr: int = A, file: bytes = b"") -> Message:
    """A server's answer."""
    options = Options.build({Code.MESSAGE_TYPE: kind, **values})
    return Message(2, xid=7, yiaddr=yiaddr, siaddr=siaddr, chaddr=MAC.ljust(16, b"\0"), file=file, options=options)


def request(kind: int, values: dict[int, Value], *, ciaddr: int = 0) -> Message:
    """A client's question."""
    options = Options.build({Code.MESSAGE_TYPE: kind, **values})
    return Message(1, xid=7, flags=0x8000, ciaddr=ciaddr, chaddr=MAC.ljust(16, b"\0"), options=options)


FIRMWARE: dict[int, Value] = {
    Code.PARAMETER_LIST: (1, 3, 43, 60, 66, 67), Code.MAX_SIZE: 1472, Code.MACHINE_ID: MachineId(UUID),
    Code.NIC: NetworkInterface(1, 3, 16), Code.ARCHITECTURE: (7,), Code.VENDOR_CLASS: "PXEClient:Arch:00007:UNDI:003016",
}  # fmt: skip

SHAPES: dict[str, Message] = {
    "offer": reply(2, {**LEASE, **BOOT}, file=b"bios/pxelinux.0"),
    "ack": reply(5, {**LEASE, **BOOT, Code.CLIENT_ID: ClientId(1, MAC)}, file=b"bios/pxelinux.0"),
    "ack to a PXE client": reply(
        5, {**LEASE, **BOOT, Code.VENDOR_CLASS: "PXEClient", Code.VENDOR_SPECIFIC: DIRECT_BOOT_43,
            Code.MACHINE_ID: MachineId(UUID)}),
    "ack to an HTTP client": reply(5, {**LEASE, Code.VENDOR_CLASS: "HTTPClient", Code.BOOT_FILE: "http://10.0.0.1/x.efi"}),
    "ack to iPXE": reply(5, {**LEASE, **BOOT, Code.IPXE: TO_IPXE}, file=b"boot.ipxe"),
    "ack to PXELINUX": reply(5, {**LEASE, **BOOT, Code.PXELINUX_MAGIC: bytes.fromhex("f100747e"), Code.CONFIG_FILE: "c",
                                 Code.PATH_PREFIX: "/p/", Code.REBOOT_TIME: 30}),
    "ack through a relay": reply(5, {**LEASE, **BOOT, Code.RELAY_AGENT: RELAYED}),
    "nak": reply(6, {Code.SERVER_ID: A, Code.MESSAGE: "not on this network"}, yiaddr=0, siaddr=0),
    "ack to inform": reply(5, {Code.SERVER_ID: A, Code.DNS: (A,)}, yiaddr=0),
    "proxy offer": reply(
        2, {Code.SERVER_ID: A, Code.VENDOR_CLASS: "PXEClient", Code.VENDOR_SPECIFIC: DIRECT_BOOT_43,
            Code.MACHINE_ID: MachineId(UUID)}, yiaddr=0, file=b"x64/grubx64.efi"),
    "proxy menu": reply(2, {Code.SERVER_ID: A, Code.VENDOR_CLASS: "PXEClient", Code.VENDOR_SPECIFIC: MENU.serialize()}),
    "proxy multicast": reply(2, {Code.SERVER_ID: A, Code.VENDOR_CLASS: "PXEClient", Code.VENDOR_SPECIFIC: MULTICAST.serialize()}),
    "bootp": Message(2, xid=7, yiaddr=B, siaddr=A, chaddr=MAC.ljust(16, b"\0"), file=b"bios/pxelinux.0",
                     options=Options.build({Code.SUBNET_MASK: 0xFFFFFF00})),
    "overloaded": reply(5, {**LEASE, Code.OVERLOAD: 3, Code.ROOT_PATH: "r" * 100, Code.MESSAGE: "m" * 50,
                            Code.VENDOR_SPECIFIC: bytes(200)}),
    "discover": request(1, FIRMWARE),
    "discover from iPXE": request(1, {**FIRMWARE, Code.USER_CLASS: UserClass((b"iPXE",)), Code.IPXE: FROM_IPXE}),
    "request": request(3, {**FIRMWARE, Code.SERVER_ID: A, Code.REQUESTED_ADDRESS: B, Code.HOST_NAME: "node1"}),
    "decline": request(4, {Code.SERVER_ID: A, Code.REQUESTED_ADDRESS: B}),
    "release": request(7, {Code.SERVER_ID: A}, ciaddr=B),
    "inform": request(8, {Code.PARAMETER_LIST: (6,)}, ciaddr=B),
}  # fmt: skip

SAMPLES: dict[str, Value] = {
    "address": A,
    "address list": (A, B),
    "address pairs": ((0x0A000000, 0xFF000000),),
    "bytes": b"\1\2\3\4",
    "classless routes": (Route(0x0A000000, 8, A), Route(0, 0, A)),
    "client identifier": ClientId(1, MAC),
    "domain names": ("eng.example.com", "lab.example.com"),
    "flag": True,
    "full domain name": Fqdn(FQDN_ENCODED | FQDN_SERVER_UPDATES, "node1.example.com.", 255, 255),
    "machine id": MachineId(UUID),
    "network interface": NetworkInterface(1, 3, 16),
    "octet": 1,
    "octets": (1, 3),
    "16-bit number": 1500,
    "16-bit numbers": (7, 16),
    "32-bit number": 5,
    "seconds": 3600,
    "signed seconds": -3600,
    "text": "text",
    "user class": UserClass((b"class",)),
    "vendor-identifying": (Enterprise(343, b"\1\1\0"),),
    RELAY.name: RELAYED,
    IPXE.name: TO_IPXE,
}
"""A value per shape."""

SAMPLES_OF_THEIR_OWN: dict[int, Value] = {
    Code.OVERLOAD: None,  # changes the layout: see "overloaded"
    Code.MESSAGE_TYPE: None,
    Code.AUTHENTICATION: bytes(11) + bytes(4),  # protocol, algorithm, replay method, replay 8, token
    Code.SIP_SERVERS: b"\1" + bytes((10, 0, 0, 1)),
    Code.SIX_RD: bytes((16, 32)) + bytes.fromhex("20010db8") + bytes(12) + bytes((10, 0, 0, 1)),
    Code.NETWARE_OPTIONS: bytes((2, 0)),
    Code.NAME_SERVICE_SEARCH: (6, 0),
    Code.PXELINUX_MAGIC: bytes.fromhex("f100747e"),
    Code.VENDOR_CLASS_ENTERPRISE: (Enterprise(343, b"\3PXE"),),
    Code.NETBIOS_NODE_TYPE: 8,
    Code.TRAILER_ENCAPSULATION: False,
}
"""Options whose bytes tshark looks into, beyond the shape that we know."""


def every_option() -> dict[str, Message]:
    """A message for each option of the table."""
    messages: dict[str, Message] = {}
    for code, row in DHCP.rows.items():
        value = SAMPLES_OF_THEIR_OWN[code] if code in SAMPLES_OF_THEIR_OWN else SAMPLES[row.shape.name]
        if value is not None:
            messages[row.name] = reply(MessageType.ACK, {Code.SERVER_ID: A, code: value})
    return messages


KNOWN_WARNINGS: frozenset[str] = frozenset()
"""Warnings that are tshark's own opinion, each with the reason why we send this all the same. None so far."""


def opinions(messages: dict[str, Message]) -> dict[str, tshark.Opinion]:
    """tshark's opinion on each message, by its name."""
    payloads = []
    for message in messages.values():
        ports = (67, 68) if message.op == 2 else (68, 67)
        payloads.append((*ports, dhcp.serialize(message, max_size=dhcp.LARGEST_BYTES)))
    return dict(zip(messages, tshark.decode(payloads), strict=True))


def complaints(found: dict[str, tshark.Opinion]) -> dict[str, list[str]]:
    """What tshark holds against the messages."""
    wrong: dict[str, list[str]] = {}
    for name, opinion in found.items():
        notes = opinion.notes_of("error") + [n for n in opinion.notes_of("warn") if n not in KNOWN_WARNINGS]
        notes += ["malformed"] * opinion.malformed
        notes += [f"seen as {opinion.protocol}"] if opinion.protocol != "dhcp" else []
        if notes:
            wrong[name] = notes
    return wrong


def test_every_shape_of_message() -> None:
    """What a server and a client of ours say."""
    assert complaints(opinions(SHAPES)) == {}


def test_every_option() -> None:
    """Each option of the table, alone in a message."""
    assert complaints(opinions(every_option())) == {}


def test_the_check_can_fail() -> None:
    """A wrong length is noticed by tshark too."""
    wrong = {"mask": reply(5, {Code.SUBNET_MASK: b"\xff"}), "cut": Message(2, vend=dhcp.COOKIE + b"\x35\x05\x01")}
    assert set(complaints(opinions(wrong))) == {"mask", "cut"}
