"""DHCP messages: the header both ways, overloading, sizes, order, and what is said of damage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pxenet.wire import dhcp
from pxenet.wire.dhcp import Message, payload_limit
from pxenet.wire.iana import MessageType, architecture_name, message_type_name
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.options import Defect, Options
from pxenet.wire.reader import WireError
from pxenet.wire.relay import RELAY, RelayCode

MAC = bytes.fromhex("525400123456")

DISCOVER = Message(
    1, 1, 6, 1, 0x01020304, 0x0506, 0x8000, 0x0A000001, 0x0A000002, 0x0A000003, 0x0A000004, MAC.ljust(16, b"\0"),
    b"server", b"file", Options.build({Code.MESSAGE_TYPE: 1, Code.ARCHITECTURE: (7,)}),
)  # fmt: skip

DISCOVER_BYTES = (
    bytes.fromhex("01 01 06 01  01020304  0506 8000  0a000001 0a000002 0a000003 0a000004")
    + (MAC + bytes(10))
    + b"server".ljust(64, b"\0")
    + b"file".ljust(128, b"\0")
    + bytes.fromhex("63825363 350101 5d020007 ff")
)

RELAYED = Options.build({RelayCode.CIRCUIT_ID: b"eth0/1", RelayCode.LINK_SELECTION: 0x0A000000}, RELAY)


def reply(options: dict[int, object], file: bytes = b"") -> Message:
    """An ACK with these options behind its type."""
    return Message(2, xid=7, file=file, options=Options.build({Code.MESSAGE_TYPE: MessageType.ACK, **options}))


def test_header() -> None:
    """Every field stands at its place (RFC 2131 §2), and zeros fill up to 300 bytes behind the end."""
    assert dhcp.serialize(DISCOVER, min_size=0) == DISCOVER_BYTES
    assert dhcp.serialize(DISCOVER) == DISCOVER_BYTES.ljust(300, b"\0")
    assert dhcp.parse(DISCOVER_BYTES) == DISCOVER
    assert dhcp.parse(DISCOVER_BYTES.ljust(300, b"\0")) == DISCOVER


def test_properties() -> None:
    """What is asked of a message most."""
    assert DISCOVER.hardware == MAC
    assert DISCOVER.broadcast
    assert DISCOVER.message_type == MessageType.DISCOVER
    assert (DISCOVER.boot_file, DISCOVER.server_name) == ("file", "server")
    assert Message(1).message_type is None
    assert replace(DISCOVER, file=b"a\0garbage").boot_file == "a"


def test_file_field_may_be_full() -> None:
    """128 bytes without a NUL are a legal file name, and bytes behind a NUL survive."""
    for file in (b"x" * 128, b"a\0b"):
        message = replace(DISCOVER, file=file)
        assert dhcp.parse(dhcp.serialize(message)).file == file


REFUSED = [
    ("empty", b"", "header", 0),
    ("short", DISCOVER_BYTES[:239], "header", 239),
    ("op", b"\3" + DISCOVER_BYTES[1:], "op", 0),
    ("hlen", DISCOVER_BYTES[:2] + b"\x11" + DISCOVER_BYTES[3:], "hlen", 2),
    ("cookie", DISCOVER_BYTES[:236] + bytes(4) + DISCOVER_BYTES[240:], "cookie", 236),
]


@pytest.mark.parametrize(("data", "field", "offset"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_no_message(data: bytes, field: str, offset: int) -> None:
    """Damage before the options is an error, with its place."""
    with pytest.raises(WireError) as caught:
        dhcp.parse(data)
    assert (caught.value.field, caught.value.offset) == (field, offset)


def test_bootp_without_cookie() -> None:
    """RFC 951's vendor area of 64 bytes need not begin with the cookie; it survives as it came."""
    data = DISCOVER_BYTES[:236] + b"vendor".ljust(64, b"\1")
    message = dhcp.parse(data)
    assert message.vend == b"vendor".ljust(64, b"\1")
    assert len(message.options) == 0
    assert message.message_type is None
    assert dhcp.serialize(message) == data


HEAD = DISCOVER_BYTES[:240]

DAMAGED = [
    ("no end", "350101", {53: b"\1"}, (Defect(255, 243, "the options have no end"),)),
    ("no options", "", {}, (Defect(255, 240, "the options have no end"),)),
    ("cut length", "350101 0c", {53: b"\1"}, (Defect(12, 243, "cut off before its length"),)),
    ("cut value", "350101 0c0561", {53: b"\1"}, (Defect(12, 243, "5 bytes long, 1 are left"),)),
    ("overload 4", "340104 ff", {52: b"\4"}, (Defect(52, 240, "overload 04 is none of 1, 2, 3"),)),
    ("overload long", "34020101 ff", {52: b"\1\1"}, (Defect(52, 240, "overload 0101 is none of 1, 2, 3"),)),
]


@pytest.mark.parametrize(("options", "found", "defects"), [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_damaged_options(options: str, found: dict[int, bytes], defects: tuple[Defect, ...]) -> None:
    """A damaged list of options is no error: what precedes the damage was read, and the damage is told."""
    message = dhcp.parse(HEAD + bytes.fromhex(options))
    assert dict(message.options) == found
    assert message.defects == defects
    assert message.file == b"file"


def overloaded(options: str, file: str, sname: str) -> bytes:
    """A message with these bytes in the three fields."""
    raw_sname, raw_file = bytes.fromhex(sname).ljust(64, b"\0"), bytes.fromhex(file).ljust(128, b"\0")
    return HEAD[:44] + raw_sname + raw_file + HEAD[236:] + bytes.fromhex(options)


def test_overload_is_read_in_order() -> None:
    """Options, file, sname (RFC 2131 §4.1); pieces of one option are joined in that order (RFC 3396)."""
    data = overloaded("350101 0c0161 340103 ff", "0c0162 ff", "0c0163 ff")
    message = dhcp.parse(data)
    assert list(message.options) == [(53, b"\1"), (12, b"abc"), (52, b"\3")]
    assert (message.file, message.sname, message.defects) == (b"", b"", ())


@pytest.mark.parametrize(("overload", "file", "sname"), [(1, b"", b"\x0c\1c\xff"), (2, b"\x0c\1b\xff", b"")])
def test_overload_of_one_field(overload: int, file: bytes, sname: bytes) -> None:
    """The field that is not overloaded stays text."""
    message = dhcp.parse(overloaded(f"3401{overload:02x} ff", "0c0162 ff", "0c0163 ff"))
    assert (message.file, message.sname) == (file, sname)
    assert message.options.raw(12) == (b"b" if overload == 1 else b"c")


def test_overload_inside_an_overloaded_field_is_ignored() -> None:
    """Option 52 counts in the options field alone."""
    message = dhcp.parse(overloaded("340101 ff", "340103 0c0162 ff", "0c0163 ff"))
    assert message.options.raw(52) == b"\1"
    assert message.options.raw(12) == b"b"
    assert message.sname == b"\x0c\1c\xff"


def test_overloaded_field_without_end() -> None:
    """Each field needs an end of its own; damage in one does not hide the next."""
    message = dhcp.parse(overloaded("340103 ff", "0c0162", "0cff"))
    assert message.options.raw(12) == b"b"
    assert message.defects == (
        Defect(255, 236, "the options in an overloaded field have no end"),
        Defect(12, 44, "255 bytes long, 62 are left"),
    )


def test_overload_is_used_when_allowed() -> None:
    """With option 52 and little space the options spill into file and sname, whole ones, and read back the same."""
    texts = {Code.ROOT_PATH: "r" * 100, Code.DOMAIN_NAME: "d" * 100, Code.MESSAGE: "m" * 50, Code.OVERLOAD: 3}
    message = reply({**texts, Code.RELAY_AGENT: RELAYED})
    data = dhcp.serialize(message, max_size=240 + 130, min_size=0)
    assert len(data) <= 240 + 130
    assert data[240:243] == b"\x34\x01\x03"
    again = dhcp.parse(data)
    assert dict(again.options) == dict(message.options)
    assert again.defects == ()
    assert dhcp.serialize(again, max_size=240 + 130, min_size=0) == data
    relay = Options.build({Code.RELAY_AGENT: RELAYED}).raw(Code.RELAY_AGENT) or b""
    assert data[: 240 + 130].endswith(relay + b"\xff")


def test_overload_keeps_a_long_option_in_order() -> None:
    """The pieces of an option that is split over fields join to the same value."""
    message = reply({Code.OVERLOAD: 1, Code.VENDOR_SPECIFIC: bytes(range(256)) + bytes(100)})
    data = dhcp.serialize(message, max_size=548)
    assert dict(dhcp.parse(data).options) == dict(message.options)
    assert dhcp.parse(dhcp.serialize(message, max_size=240 + 300)).options.raw(43) == message.options.raw(43)


def test_overload_of_a_field_in_use_is_refused() -> None:
    """A message cannot have its file name and its options in one place."""
    with pytest.raises(ValueError, match="option 52"):
        reply({Code.OVERLOAD: 1}, file=b"pxelinux.0")
    with pytest.raises(ValueError, match="option 52"):
        Message(2, sname=b"x", options=Options.build({Code.OVERLOAD: 2}))


@pytest.mark.parametrize(
    ("said", "limit"), [(None, 548), (0, 548), (576, 548), (1000, 972), (1472, 1444), (1500, 1472), (65280, 1472)]
)
def test_payload_limit(said: int | None, limit: int) -> None:
    """Option 57 is the size of an IP datagram; never less than 576, never more than a frame holds."""
    assert payload_limit(said) == limit


BOOT = {
    Code.SERVER_ID: 1,
    Code.LEASE_TIME: 600,
    Code.SUBNET_MASK: 0xFFFFFF00,
    Code.VENDOR_CLASS: "PXEClient",
    Code.VENDOR_SPECIFIC: b"\6\1\x08\xff",
    Code.TFTP_SERVER: "10.0.0.1",
    Code.BOOT_FILE: "b" * 100,
}


def test_optional_options_are_dropped_from_the_end() -> None:
    """When space is short the last optional option goes first; boot options stay, and so does the order."""
    message = reply({Code.NTP: tuple(range(30)), **BOOT, Code.DOMAIN_NAME: "d" * 120, Code.DNS: tuple(range(20))})
    data = dhcp.serialize(message)
    assert len(data) <= 548
    kept = dhcp.parse(data).options
    assert dhcp.dropped(message) == (Code.DOMAIN_NAME, Code.DNS)
    assert kept == message.options.without(Code.DOMAIN_NAME, Code.DNS)
    assert dhcp.dropped(message, max_size=1472) == ()


def test_boot_options_are_never_dropped() -> None:
    """When even they do not fit the message is longer than the client promised to take."""
    message = reply({**BOOT, Code.BOOT_FILE: "b" * 250, Code.VENDOR_SPECIFIC: bytes(250), Code.DNS: (1,)})
    data = dhcp.serialize(message)
    assert len(data) > 548
    assert dhcp.parse(data).options == message.options.without(Code.DNS)


def test_relay_information_is_last() -> None:
    """Option 82 stands directly before the end, wherever it was given; it is the last to be dropped (RFC 3046 §2.2)."""
    message = reply({Code.RELAY_AGENT: RELAYED, **BOOT})
    relay = Options.build({Code.RELAY_AGENT: RELAYED}).raw(Code.RELAY_AGENT) or b""
    data = dhcp.serialize(message, min_size=0)
    assert data.endswith(b"\x52" + bytes((len(relay),)) + relay + b"\xff")
    long = reply({Code.RELAY_AGENT: b"\1\xf0" + bytes(240), Code.DNS: (1,), **BOOT})
    assert dhcp.dropped(long) == (Code.RELAY_AGENT, Code.DNS)


def test_construction_validates() -> None:
    """What is made can be serialized."""
    for wrong in ({"hlen": 17}, {"chaddr": b"short"}, {"sname": bytes(65)}, {"file": bytes(129)}):
        with pytest.raises(ValueError, match=r"chaddr|sname"):
            replace(DISCOVER, **wrong)


def test_damaged_message_type() -> None:
    """A message type of the wrong length is neither absent nor a number."""
    message = dhcp.parse(HEAD + bytes.fromhex("35020101 ff"))
    with pytest.raises(WireError, match="message type"):
        _ = message.message_type


def test_unknown_numbers_survive() -> None:
    """Unknown options, message types and architectures come out as they came in, and have something to be called."""
    message = replace(DISCOVER, options=Options([(53, b"\x63"), (93, b"\x12\x34"), (233, b"\0\1"), (254, b"")]))
    data = dhcp.serialize(message)
    assert dhcp.parse(data) == message
    assert dhcp.serialize(dhcp.parse(data)) == data
    assert message_type_name(message.message_type) == "message type 99"
    assert (message_type_name(1), message_type_name(None)) == ("DISCOVER", "BOOTP")
    assert [architecture_name(n) for n in (0, 7, 0x1234)] == ["x86 BIOS", "x64 UEFI", "architecture 4660"]
