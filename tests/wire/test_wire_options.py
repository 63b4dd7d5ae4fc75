"""Option values: one table of (code, value, bytes), run both ways; what is absent, and what is malformed."""

from __future__ import annotations

import pytest

from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.identity import ClientId, Enterprise, MachineId, NetworkInterface, UserClass
from pxenet.wire.names import FQDN_ENCODED, FQDN_SERVER_UPDATES, Fqdn
from pxenet.wire.options import DHCP, Defect, Options, encode, read_options, split
from pxenet.wire.pxe import IPXE, PXE, IpxeCode, IpxeFeature, PxeCode
from pxenet.wire.reader import WireError
from pxenet.wire.relay import RELAY, RelayCode
from pxenet.wire.shapes import Route, Space, Value

A, B = 0xC0000201, 0xC0000202

VALUES: list[tuple[int, Value, str]] = [
    (Code.SUBNET_MASK, 0xFFFFFF00, "ffffff00"),
    (Code.TIME_OFFSET, -3600, "fffff1f0"),
    (Code.ROUTERS, (A,), "c0000201"),
    (Code.DNS, (A, B), "c0000201 c0000202"),
    (Code.HOST_NAME, "node1", "6e6f646531"),
    (Code.BOOT_FILE_SIZE, 300, "012c"),
    (Code.IP_FORWARDING, True, "01"),
    (Code.IP_FORWARDING, False, "00"),
    (Code.POLICY_FILTER, ((A, 0xFFFFFFFF),), "c0000201 ffffffff"),
    (Code.DEFAULT_TTL, 64, "40"),
    (Code.PATH_MTU_PLATEAUS, (68, 1500), "0044 05dc"),
    (Code.MTU, 9000, "2328"),
    (Code.BROADCAST, 0xC00002FF, "c00002ff"),
    (Code.STATIC_ROUTES, ((B, A), (A, B)), "c0000202 c0000201 c0000201 c0000202"),
    (Code.VENDOR_SPECIFIC, b"\6\1\x08\xff", "060108ff"),
    (Code.REQUESTED_ADDRESS, A, "c0000201"),
    (Code.LEASE_TIME, 0xFFFFFFFF, "ffffffff"),
    (Code.OVERLOAD, 3, "03"),
    (Code.MESSAGE_TYPE, 5, "05"),
    (Code.MESSAGE_TYPE, 77, "4d"),
    (Code.SERVER_ID, A, "c0000201"),
    (Code.PARAMETER_LIST, (1, 3, 0, 255), "010300ff"),
    (Code.MESSAGE, "not ours", "6e6f74206f757273"),
    (Code.MAX_SIZE, 1472, "05c0"),
    (Code.T1, 300, "0000012c"),
    (Code.VENDOR_CLASS, "PXEClient", "505845436c69656e74"),
    (Code.CLIENT_ID, ClientId(1, bytes.fromhex("525400123456")), "01525400123456"),
    (
        Code.CLIENT_ID,
        ClientId(255, bytes.fromhex("00000001 0001 0001 2a000000 525400123456")),
        "ff 00000001 0001 0001 2a000000 525400123456",
    ),
    (Code.TFTP_SERVER, "192.0.2.1", "3139322e302e322e31"),
    (Code.BOOT_FILE, "bios/pxelinux.0", "62696f732f7078656c696e75782e30"),
    (Code.MOBILE_IP_HOME_AGENTS, b"", ""),
    (Code.USER_CLASS, UserClass((b"iPXE",), bare=True), "69505845"),
    (Code.USER_CLASS, UserClass((b"iPXE",)), "0469505845"),
    (Code.USER_CLASS, UserClass((b"a", b"bc")), "0161 026263"),
    (
        Code.FQDN,
        Fqdn(FQDN_ENCODED | FQDN_SERVER_UPDATES, "node1.example.com."),
        "05 00 00 056e6f646531 076578616d706c65 03636f6d 00",
    ),
    (Code.FQDN, Fqdn(FQDN_ENCODED, "node1"), "04 00 00 056e6f646531"),
    (Code.FQDN, Fqdn(FQDN_ENCODED, ""), "04 00 00"),
    (Code.FQDN, Fqdn(FQDN_ENCODED, r"a\."), "04 00 00 02612e"),
    (Code.FQDN, Fqdn(FQDN_ENCODED, r"a\\\255."), "04 00 00 03615cff 00"),
    (Code.FQDN, Fqdn(FQDN_SERVER_UPDATES, "node1.x", 255, 255), "01 ff ff 6e6f6465312e78"),
    (Code.ARCHITECTURE, (7, 16), "0007 0010"),
    (Code.ARCHITECTURE, (0xFFFF,), "ffff"),
    (Code.NIC, NetworkInterface(1, 3, 16), "010310"),
    (
        Code.MACHINE_ID,
        MachineId(bytes.fromhex("33221100554477668899aabbccddeeff")),
        "00 33221100 5544 7766 8899 aabbccddeeff",
    ),
    (Code.TZ_NAME, "Europe/Paris", "4575726f70652f5061726973"),
    (Code.IPV6_ONLY, 1800, "00000708"),
    (Code.CAPTIVE_PORTAL, "https://x/", "68747470733a2f2f782f"),
    (Code.AUTO_CONFIGURE, 1, "01"),
    (Code.NAME_SERVICE_SEARCH, (6, 0), "0006 0000"),
    (Code.SUBNET_SELECTION, A, "c0000201"),
    (
        Code.DOMAIN_SEARCH,
        ("eng.example.com", "lab.example.com"),
        "03656e67 076578616d706c65 03636f6d 00 036c6162 c004",
    ),
    (Code.DOMAIN_SEARCH, ("example.com", "eng.example.com", "example.com"),
        "076578616d706c65 03636f6d 00 03656e67 c000 c000"),
    (Code.DOMAIN_SEARCH, (r"a\.b.c",), "03612e62 0163 00"),
    (
        Code.CLASSLESS_ROUTES,
        (Route(0x0A000000, 8, A), Route(0xC0000280, 25, A), Route(0, 0, A)),
        "080ac0000201 19c0000280c0000201 00c0000201",
    ),
    (Code.MICROSOFT_ROUTES, (Route(B, 32, A),), "20c0000202c0000201"),
    (Code.VENDOR_CLASS_ENTERPRISE, (Enterprise(343, b"PXE"), Enterprise(10, b"")), "00000157 03505845 0000000a 00"),
    (Code.VENDOR_INFO_ENTERPRISE, (Enterprise(343, b"\1\1\0"),), "00000157 03010100"),
    (Code.TFTP_SERVER_ADDRESSES, (A, B), "c0000201c0000202"),
    (Code.ISCSI_INITIATOR, "iqn.x", "69716e2e78"),
    (Code.PXELINUX_MAGIC, bytes.fromhex("f100747e"), "f100747e"),
    (Code.CONFIG_FILE, "c", "63"),
    (Code.PATH_PREFIX, "http://x/", "687474703a2f2f782f"),
    (Code.REBOOT_TIME, 0, "00000000"),
    (231, b"\0\xff", "00ff"),
    (
        Code.RELAY_AGENT,
        Options.build({RelayCode.CIRCUIT_ID: b"eth0", RelayCode.LINK_SELECTION: A, RelayCode.SOURCE_PORT: True}, RELAY),
        "0104 65746830 0504 c0000201 1300",
    ),
    (Code.RELAY_AGENT, Options([(0, b"\1"), (255, b"\2")], RELAY), "000101 ff0102"),
    (
        Code.IPXE,
        Options.build({IpxeCode.NO_PXE_DHCP: 1, IpxeFeature.HTTP: 1, IpxeCode.PRIORITY: -1}, IPXE),
        "b00101 130101 0101ff",
    ),
]  # fmt: skip

IDS = [f"{int(code)}-{number}" for number, (code, _, _) in enumerate(VALUES)]


@pytest.mark.parametrize(("code", "value", "written"), VALUES, ids=IDS)
def test_value(code: int, value: Value, written: str) -> None:
    """A value serializes to exactly these bytes, and they parse to exactly this value."""
    raw = bytes.fromhex(written)
    assert encode(code, value) == raw
    assert Options([(code, raw)]).get(code) == value


def test_every_option_has_a_value_in_the_table_or_shares_its_shape() -> None:
    """No shape in the table of options is untested."""
    tested = {DHCP.row(code).shape.name for code, _, _ in VALUES}
    assert {row.shape.name for row in DHCP.rows.values()} - tested == set()


MALFORMED = [
    (Code.SUBNET_MASK, "ffffff"),
    (Code.SUBNET_MASK, "ffffff0000"),
    (Code.ROUTERS, ""),
    (Code.DNS, "c0000201 c0"),
    (Code.TIME_OFFSET, "00"),
    (Code.HOST_NAME, "61 00 62"),
    (Code.BOOT_FILE_SIZE, "01"),
    (Code.IP_FORWARDING, "02"),
    (Code.POLICY_FILTER, "c0000201"),
    (Code.VENDOR_SPECIFIC, ""),
    (Code.MESSAGE_TYPE, ""),
    (Code.MESSAGE_TYPE, "0101"),
    (Code.PARAMETER_LIST, ""),
    (Code.CLIENT_ID, "01"),
    (Code.USER_CLASS, ""),
    (Code.FQDN, "0400"),
    (Code.FQDN, "04 00 00 05 6e"),
    (Code.FQDN, "04 00 00 0161 00 00"),
    (Code.ARCHITECTURE, "00 07 00"),
    (Code.NIC, "0103"),
    (Code.MACHINE_ID, "01" + "00" * 16),
    (Code.MACHINE_ID, "00" * 16),
    (Code.DOMAIN_SEARCH, ""),
    (Code.DOMAIN_SEARCH, "00"),
    (Code.DOMAIN_SEARCH, "0161"),
    (Code.DOMAIN_SEARCH, "c000"),
    (Code.DOMAIN_SEARCH, "0161 c000"),
    (Code.DOMAIN_SEARCH, "0161 00 c0"),
    (Code.DOMAIN_SEARCH, "4161"),
    (Code.DOMAIN_SEARCH, "3f" + "61" * 63 + ("3f" + "61" * 63) * 3 + "00"),
    (Code.CLASSLESS_ROUTES, ""),
    (Code.CLASSLESS_ROUTES, "21 c0000202 01 c0000201"),
    (Code.CLASSLESS_ROUTES, "08 0a c00002"),
    (Code.VENDOR_CLASS_ENTERPRISE, ""),
    (Code.VENDOR_CLASS_ENTERPRISE, "00000157 04 505845"),
    (Code.RELAY_AGENT, "01 04 6574"),
    (Code.RELAY_AGENT, "01"),
    (Code.IPXE, "b0 02 01"),
    (Code.REBOOT_TIME, "0000"),
]


@pytest.mark.parametrize(
    ("code", "written"), MALFORMED, ids=[f"{int(c)}-{w.replace(' ', '')[:16]}" for c, w in MALFORMED]
)
def test_malformed(code: int, written: str) -> None:
    """A value of the wrong form stays as raw bytes; asking for it typed names the option, the place, and the reason."""
    raw = bytes.fromhex(written)
    options = Options([(code, raw)])
    assert options.raw(code) == raw
    with pytest.raises(WireError) as caught:
        options.get(code)
    assert f"({int(code)})" in caught.value.field
    assert 0 <= caught.value.offset <= len(raw)
    assert caught.value.reason


UNSENDABLE: list[tuple[int, Value]] = [
    (Code.SUBNET_MASK, "255.255.255.0"),
    (Code.SUBNET_MASK, 1 << 32),
    (Code.ROUTERS, ()),
    (Code.ROUTERS, 1),
    (Code.HOST_NAME, ""),
    (Code.HOST_NAME, "a\0b"),
    (Code.HOST_NAME, 5),
    (Code.MTU, 65536),
    (Code.TIME_OFFSET, 1 << 31),
    (Code.CLASSLESS_ROUTES, (Route(0, 33, 0),)),
    (Code.DOMAIN_SEARCH, ("a..b",)),
    (Code.DOMAIN_SEARCH, ("a" * 64,)),
    (Code.DOMAIN_SEARCH, (".".join(["a" * 63] * 4),)),
    (Code.MACHINE_ID, MachineId(b"short")),
    (Code.USER_CLASS, UserClass((b"x" * 256,))),
    (Code.RELAY_AGENT, Options.build({}, IPXE)),
    (231, 5),
]


@pytest.mark.parametrize(("code", "value"), UNSENDABLE, ids=[f"{int(c)}-{n}" for n, (c, _) in enumerate(UNSENDABLE)])
def test_unsendable(code: int, value: Value) -> None:
    """A value that an option cannot carry is refused when it is built, naming the option."""
    with pytest.raises((TypeError, ValueError)) as caught:
        Options.build({code: value})
    assert f"({int(code)})" in str(caught.value)


def test_absent_and_malformed_differ() -> None:
    """None is said of what is not there, WireError of what is there and damaged."""
    options = Options([(Code.SERVER_ID, b"\1")])
    assert options.address(Code.REQUESTED_ADDRESS) is None
    assert options.numbers(Code.ARCHITECTURE) is None
    assert options.text(Code.HOST_NAME) is None
    assert options.relay() is None
    with pytest.raises(WireError):
        options.address(Code.SERVER_ID)


def test_empty_text_is_absent_and_trailing_nuls_are_not_text() -> None:
    """Servers and clients end strings with NULs (dnsmasq does in 67), and some clients send an empty host name."""
    options = Options([(Code.BOOT_FILE, b"pxelinux.0\0"), (Code.HOST_NAME, b""), (Code.DOMAIN_NAME, b"\0")])
    assert options.text(Code.BOOT_FILE) == "pxelinux.0"
    assert options.text(Code.HOST_NAME) is None
    assert options.text(Code.DOMAIN_NAME) is None
    assert Options([(Code.HOST_NAME, b"\xffx")]).text(Code.HOST_NAME) == "\\xffx"


def test_getters_check_the_shape() -> None:
    """A getter that does not fit the option is our own mistake, and is told as such."""
    options = Options.build({Code.ROUTERS: (A,), Code.HOST_NAME: "x", Code.LEASE_TIME: 5, Code.IP_FORWARDING: True})
    assert options.addresses(Code.ROUTERS) == (A,)
    assert options.flag(Code.IP_FORWARDING) is True
    with pytest.raises(TypeError):
        options.address(Code.ROUTERS)
    with pytest.raises(TypeError):
        options.text(Code.LEASE_TIME)
    with pytest.raises(TypeError):
        options.numbers(Code.HOST_NAME)
    with pytest.raises(TypeError):
        options.record(Code.HOST_NAME, MachineId)


def test_as_a_collection() -> None:
    """Order is kept; values of one code are joined; copies with and without do not touch the original."""
    options = Options([(12, b"a"), (55, b"\1"), (12, b"b")])
    assert list(options) == [(12, b"ab"), (55, b"\1")]
    assert 12 in options
    assert 13 not in options
    assert len(options) == 2
    assert options.with_({55: (3,), 12: None, 26: 1500}) == Options([(55, b"\3"), (26, b"\5\xdc")])
    assert options.without(55, 99) == Options([(12, b"ab")])
    assert options != Options([(55, b"\1"), (12, b"ab")])
    assert hash(options) == hash(Options([(12, b"ab"), (55, b"\1")]))
    assert Options.build({12: b"raw", 15: None}) == Options([(12, b"raw")])
    assert "12" in repr(options)


@pytest.mark.parametrize("code", [0, 255, 256, -1])
def test_pad_and_end_carry_no_value(code: int) -> None:
    """Codes without a value cannot be put into a message, nor ones that do not fit a byte."""
    with pytest.raises(ValueError, match=str(code)):
        Options([(code, b"")])


def test_long_values_are_split_and_joined() -> None:
    """More than 255 bytes go out as several options of one code (RFC 3396), and come back as one value."""
    raw = bytes(range(256)) * 2
    pieces = split(119, raw)
    assert [piece[:2] for piece in pieces] == [b"\x77\xff", b"\x77\xff", b"\x77\x02"]
    found: dict[int, bytes] = {}
    defects: list[Defect] = []
    wire = b"".join(pieces) + b"\xff"
    assert read_options(wire, 0, len(wire), found, defects)
    assert (found, defects) == ({119: raw}, [])


DAMAGED = [
    ("0c 01 61 0c", {12: b"a"}, Defect(12, 3, "cut off before its length")),
    ("0c 01 61 37 02 01", {12: b"a"}, Defect(55, 3, "2 bytes long, 1 are left")),
    ("00 00 0c", {}, Defect(12, 2, "cut off before its length")),
]


@pytest.mark.parametrize(("written", "found", "defect"), DAMAGED, ids=["no length", "too long", "after pad"])
def test_damage(written: str, found: dict[int, bytes], defect: Defect) -> None:
    """What precedes the damage is kept, and the damage told with its place."""
    data = bytes.fromhex(written)
    raw: dict[int, bytes] = {}
    defects: list[Defect] = []
    assert not read_options(data, 0, len(data), raw, defects)
    assert (raw, defects) == (found, [defect])


SPACES = [DHCP, RELAY, PXE, IPXE]


@pytest.mark.parametrize("space", SPACES, ids=[space.name for space in SPACES])
def test_names(space: Space) -> None:
    """Every option of every space has a name of its own, and a shape."""
    names = [row.name for row in space.rows.values()]
    assert len(set(names)) == len(names)
    assert space.row(250).name == "option 250" or 250 in space.rows


def test_encapsulated_damage() -> None:
    """Inside an option, damage makes the whole option malformed; what precedes it can be had on purpose."""
    with pytest.raises(WireError, match="boot menu at byte 3"):
        Options([(Code.VENDOR_SPECIFIC, bytes.fromhex("060108 09"))]).pxe()
    found, defects = Options.parse_damaged(bytes.fromhex("060108 09"), PXE)
    assert found.number(PxeCode.DISCOVERY_CONTROL) == 8
    assert defects == (Defect(PxeCode.BOOT_MENU, 3, "cut off before its length"),)
