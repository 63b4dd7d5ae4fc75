"""DHCP options: the table of what each code means, and the ordered collection a message carries.

An option on the wire (RFC 2132 §2) is

    +------+--------+--- length bytes ---+
    | code | length | value              |      code 0 (pad) and code 255 (end) stand alone
    +------+--------+--------------------+

A value longer than 255 bytes is written as several options of one code, and read by joining all options of that code before
looking at the value (RFC 3396). Values stay raw bytes until somebody asks for them typed: so what we do not know survives, and an
option nobody asks for costs nothing. Absent (None) and malformed (WireError) are different answers.

Implements RFC 2132, 3396 and the RFCs named in ``iana``. Must not know what a server does with an option.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pxenet.wire.iana import OptionCode
from pxenet.wire.identity import CLIENT_ID, ENTERPRISES, MACHINE_ID, NIC, USER_CLASS
from pxenet.wire.names import DOMAIN_SEARCH, FQDN
from pxenet.wire.pxe import IPXE, PXE
from pxenet.wire.reader import Reader, WireError
from pxenet.wire.relay import RELAY
from pxenet.wire.shapes import (
    ADDRESS,
    ADDRESS_PAIRS,
    ADDRESSES,
    BYTES,
    FLAG,
    I32,
    OPAQUE,
    ROUTES,
    SECONDS,
    TEXT,
    U8,
    U8S,
    U16,
    U16S,
    Row,
    Shape,
    Space,
    Value,
)

T = TypeVar("T")

PAD = 0
END = 255


@dataclass(frozen=True, slots=True)
class Defect:
    """Where a list of options is damaged. What stands before it was read, what comes after it in that field was not."""

    code: int
    """The option that is damaged; 255: the list has no end."""
    offset: int
    """Of the option's code, in what was parsed."""
    reason: str


class Options:
    """An immutable, ordered collection of options: code → raw value, with typed views of the values.

    Options of the same code are joined in the order given (RFC 3396). Equal when codes, values and order are equal.
    """

    __slots__ = ("_raw", "space")

    def __init__(self, items: Iterable[tuple[int, bytes]] = (), space: Space | None = None) -> None:
        self.space = DHCP if space is None else space
        self._raw: dict[int, bytes] = {}
        for code, raw in items:
            if not 0 <= code <= 255 or (self.space.framed and code in (PAD, END)):
                raise ValueError(f"{code} is not the code of an option with a value")
            self._raw[code] = self._raw.get(code, b"") + raw

    @classmethod
    def build(cls, values: Mapping[int, Value], space: Space | None = None) -> Options:
        """Options from typed values, each serialized by the table. Bytes are taken as they are, None is left out.

        TypeError, ValueError: a value that its option cannot carry.
        """
        space = DHCP if space is None else space
        return cls(((code, encode(code, value, space)) for code, value in values.items() if value is not None), space)

    @classmethod
    def parse(cls, data: bytes, space: Space) -> Options:
        """Options encapsulated in an option's value. WireError when they are damaged."""
        found, defects = cls.parse_damaged(data, space)
        if defects:
            raise WireError(defects[0].offset, space.row(defects[0].code).name, defects[0].reason)
        return found

    @classmethod
    def parse_damaged(cls, data: bytes, space: Space) -> tuple[Options, tuple[Defect, ...]]:
        """The encapsulated options that precede any damage, and the damage. A missing end is none here: it is optional."""
        raw: dict[int, bytes] = {}
        defects: list[Defect] = []
        read_options(data, 0, len(data), raw, defects, framed=space.framed)
        return cls.of_parsed(raw, space), tuple(defects)

    @classmethod
    def of_parsed(cls, raw: dict[int, bytes], space: Space | None = None) -> Options:
        """Take over a dictionary that ``read_options`` has filled, without checking it again."""
        made = cls.__new__(cls)
        made.space = DHCP if space is None else space
        made._raw = raw
        return made

    def serialize(self) -> bytes:
        """As the value of an encapsulating option. A DHCP message is written by ``dhcp.serialize``, which knows about sizes."""
        end = b"\xff" if self.space.writes_end else b""
        return b"".join(tlv for code, raw in self._raw.items() for tlv in split(code, raw)) + end

    # -- as a collection --

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return iter(self._raw.items())

    def __contains__(self, code: object) -> bool:
        return code in self._raw

    def __len__(self) -> int:
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Options):
            return NotImplemented
        return self.space is other.space and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Options([{', '.join(f'({code}, {raw.hex()!r})' for code, raw in self)}], {self.space.name!r})"

    def raw(self, code: int) -> bytes | None:
        """The value's bytes as they came, joined; None when the option is absent."""
        return self._raw.get(code)

    def with_(self, values: Mapping[int, Value]) -> Options:
        """A copy with these typed values added, or replaced where they stand. None removes."""
        raw = dict(self._raw)
        for code, value in values.items():
            if value is None:
                raw.pop(code, None)
            else:
                raw[code] = encode(code, value, self.space)
        return Options(raw.items(), self.space)

    def without(self, *codes: int) -> Options:
        """A copy that lacks these codes."""
        return Options(((code, raw) for code, raw in self if code not in codes), self.space)

    # -- typed views: None = absent, WireError = malformed, TypeError = the table says this option has another shape --

    def get(self, code: int) -> Value | None:
        """The value, typed by the table; None when the option is absent. WireError: its bytes are not of that shape.

        The offset of the error counts from the first byte of the value.
        """
        raw = self._raw.get(code)
        if raw is None:
            return None
        row = self.space.row(code)
        try:
            return row.shape.read(raw)
        except WireError as error:
            raise WireError(error.offset, f"{row.name} ({code})", f"{error.field}: {error.reason}") from None

    def number(self, code: int) -> int | None:
        """A number, a duration in seconds, or an address."""
        value = self.get(code)
        if value is None or isinstance(value, int):
            return value
        raise TypeError(f"option {code} is no number")

    address = number
    """An address, as an int."""

    def flag(self, code: int) -> bool | None:
        """A switch."""
        value = self.number(code)
        return None if value is None else bool(value)

    def numbers(self, code: int) -> tuple[int, ...] | None:
        """A list of numbers: octets for the parameter request list, 16 bits for architectures, or addresses."""
        return self.records(code, int)

    addresses = numbers
    """A list of addresses, as ints."""

    def text(self, code: int) -> str | None:
        """Text without its trailing NULs. An option that carries no text at all counts as absent."""
        value = self.get(code)
        if value is None or isinstance(value, str):
            return value
        raise TypeError(f"option {code} is no text")

    def record(self, code: int, kind: type[T]) -> T | None:
        """A value with a record of its own: ``record(MACHINE_ID, MachineId)``."""
        value = self.get(code)
        if value is None or isinstance(value, kind):
            return value
        raise TypeError(f"option {code} is no {kind.__name__}")

    def records(self, code: int, kind: type[T]) -> tuple[T, ...] | None:
        """A list of such values: ``records(CLASSLESS_ROUTES, Route)``."""
        value = self.get(code)
        if value is None:
            return None
        if isinstance(value, tuple) and all(isinstance(item, kind) for item in value):
            return value
        raise TypeError(f"option {code} is no list of {kind.__name__}")

    def relay(self, code: int = OptionCode.RELAY_AGENT) -> Options | None:
        """Relay agent information: its sub-options (``relay.RelayCode``)."""
        return self.encapsulated(code, RELAY)

    def pxe(self, code: int = OptionCode.VENDOR_SPECIFIC) -> Options | None:
        """Vendor options as the class PXEClient means them (``pxe.PxeCode``): ask only when option 60 says so."""
        return self.encapsulated(code, PXE)

    def ipxe(self, code: int = OptionCode.IPXE) -> Options | None:
        """iPXE's options and feature flags (``pxe.IpxeCode``, ``pxe.IpxeFeature``)."""
        return self.encapsulated(code, IPXE)

    def encapsulated(self, code: int, space: Space) -> Options | None:
        """The options inside an option, by the numbering that applies there. WireError when they are damaged."""
        raw = self._raw.get(code)
        return None if raw is None else Options.parse(raw, space)


def encode(code: int, value: Value, space: Space | None = None) -> bytes:
    """The bytes of one option's value; bytes are taken as they are. TypeError, ValueError: the option cannot carry it."""
    if isinstance(value, bytes):
        return value
    row = (DHCP if space is None else space).row(code)
    try:
        return row.shape.serialize(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{row.name} ({code}): {error}") from None


def split(code: int, raw: bytes) -> list[bytes]:
    """The option as it goes out: one (code, length, value), or several when the value is longer than 255 bytes (RFC 3396 §5)."""
    if len(raw) <= 255:
        return [bytes((code, len(raw))) + raw]
    return [bytes((code, len(raw[at : at + 255]))) + raw[at : at + 255] for at in range(0, len(raw), 255)]


def read_options(
    data: bytes, start: int, end: int, found: dict[int, bytes], defects: list[Defect], *, framed: bool = True
) -> bool:
    """Read the options in ``data[start:end]`` into ``found``, joining those of one code; True when an end (255) closed them.

    At the first damage a Defect is noted and reading stops: nothing behind it can be trusted to be a code.
    """
    at = start
    while at < end:
        code = data[at]
        if framed:
            if code == PAD:
                at += 1
                continue
            if code == END:
                return True
        if at + 2 > end:
            defects.append(Defect(code, at, "cut off before its length"))
            return False
        behind = at + 2 + data[at + 1]
        if behind > end:
            defects.append(Defect(code, at, f"{data[at + 1]} bytes long, {end - at - 2} are left"))
            return False
        value = data[at + 2 : behind]
        found[code] = found[code] + value if code in found else value
        at = behind
    return False


def _encapsulation(space: Space) -> Shape:
    def parse(reader: Reader) -> Value:
        return Options.parse(reader.rest(), space)

    def serialize(value: Value) -> bytes:
        if not isinstance(value, Options) or value.space is not space:
            raise TypeError(f"wants Options of {space.name}, not {value!r}")
        return value.serialize()

    return Shape(space.name, parse, serialize)


_O = OptionCode

DHCP = Space(
    "DHCP options",
    {
        _O.SUBNET_MASK: Row("subnet mask", ADDRESS),
        _O.TIME_OFFSET: Row("time offset", I32),
        _O.ROUTERS: Row("routers", ADDRESSES),
        _O.TIME_SERVERS: Row("time servers", ADDRESSES),
        _O.NAME_SERVERS: Row("IEN 116 name servers", ADDRESSES),
        _O.DNS: Row("DNS servers", ADDRESSES),
        _O.LOG_SERVERS: Row("log servers", ADDRESSES),
        _O.COOKIE_SERVERS: Row("cookie servers", ADDRESSES),
        _O.LPR_SERVERS: Row("LPR servers", ADDRESSES),
        _O.IMPRESS_SERVERS: Row("Impress servers", ADDRESSES),
        _O.RESOURCE_SERVERS: Row("resource location servers", ADDRESSES),
        _O.HOST_NAME: Row("host name", TEXT),
        _O.BOOT_FILE_SIZE: Row("boot file size", U16),  # in blocks of 512; EDK2 trusts it instead of asking TFTP
        _O.MERIT_DUMP_FILE: Row("merit dump file", TEXT),
        _O.DOMAIN_NAME: Row("domain name", TEXT),
        _O.SWAP_SERVER: Row("swap server", ADDRESS),
        _O.ROOT_PATH: Row("root path", TEXT),
        _O.EXTENSIONS_PATH: Row("extensions path", TEXT),
        _O.IP_FORWARDING: Row("IP forwarding", FLAG),
        _O.NON_LOCAL_SOURCE_ROUTING: Row("non-local source routing", FLAG),
        _O.POLICY_FILTER: Row("policy filter", ADDRESS_PAIRS),
        _O.MAX_REASSEMBLY_SIZE: Row("maximum reassembly size", U16),
        _O.DEFAULT_TTL: Row("default TTL", U8),
        _O.PATH_MTU_AGING_TIMEOUT: Row("path MTU aging timeout", SECONDS),
        _O.PATH_MTU_PLATEAUS: Row("path MTU plateaus", U16S),
        _O.MTU: Row("interface MTU", U16),
        _O.ALL_SUBNETS_LOCAL: Row("all subnets are local", FLAG),
        _O.BROADCAST: Row("broadcast address", ADDRESS),
        _O.PERFORM_MASK_DISCOVERY: Row("perform mask discovery", FLAG),
        _O.MASK_SUPPLIER: Row("mask supplier", FLAG),
        _O.PERFORM_ROUTER_DISCOVERY: Row("perform router discovery", FLAG),
        _O.ROUTER_SOLICITATION_ADDRESS: Row("router solicitation address", ADDRESS),
        _O.STATIC_ROUTES: Row("static routes", ADDRESS_PAIRS),
        _O.TRAILER_ENCAPSULATION: Row("trailer encapsulation", FLAG),
        _O.ARP_CACHE_TIMEOUT: Row("ARP cache timeout", SECONDS),
        _O.ETHERNET_ENCAPSULATION: Row("Ethernet encapsulation", FLAG),
        _O.TCP_DEFAULT_TTL: Row("TCP default TTL", U8),
        _O.TCP_KEEPALIVE_INTERVAL: Row("TCP keepalive interval", SECONDS),
        _O.TCP_KEEPALIVE_GARBAGE: Row("TCP keepalive garbage", FLAG),
        _O.NIS_DOMAIN: Row("NIS domain", TEXT),
        _O.NIS_SERVERS: Row("NIS servers", ADDRESSES),
        _O.NTP: Row("NTP servers", ADDRESSES),
        _O.VENDOR_SPECIFIC: Row("vendor specific", BYTES),  # its meaning depends on 60: see ``Options.pxe``
        _O.NETBIOS_NAME_SERVERS: Row("NetBIOS name servers", ADDRESSES),
        _O.NETBIOS_DATAGRAM_SERVERS: Row("NetBIOS datagram servers", ADDRESSES),
        _O.NETBIOS_NODE_TYPE: Row("NetBIOS node type", U8),
        _O.NETBIOS_SCOPE: Row("NetBIOS scope", TEXT),
        _O.X_FONT_SERVERS: Row("X font servers", ADDRESSES),
        _O.X_DISPLAY_MANAGERS: Row("X display managers", ADDRESSES),
        _O.REQUESTED_ADDRESS: Row("requested address", ADDRESS),
        _O.LEASE_TIME: Row("lease time", SECONDS),
        _O.OVERLOAD: Row("overload", U8),
        _O.MESSAGE_TYPE: Row("message type", U8),
        _O.SERVER_ID: Row("server identifier", ADDRESS),
        _O.PARAMETER_LIST: Row("parameter request list", U8S),
        _O.MESSAGE: Row("message", TEXT),
        _O.MAX_SIZE: Row("maximum message size", U16),
        _O.T1: Row("renewal time", SECONDS),
        _O.T2: Row("rebinding time", SECONDS),
        _O.VENDOR_CLASS: Row("vendor class", TEXT),
        _O.CLIENT_ID: Row("client identifier", CLIENT_ID),
        _O.NETWARE_DOMAIN: Row("NetWare/IP domain", TEXT),
        _O.NETWARE_OPTIONS: Row("NetWare/IP options", BYTES),
        _O.NISPLUS_DOMAIN: Row("NIS+ domain", TEXT),
        _O.NISPLUS_SERVERS: Row("NIS+ servers", ADDRESSES),
        _O.TFTP_SERVER: Row("TFTP server", TEXT),
        _O.BOOT_FILE: Row("boot file", TEXT),
        _O.MOBILE_IP_HOME_AGENTS: Row("mobile IP home agents", OPAQUE),  # the one address list that may be empty
        _O.SMTP_SERVERS: Row("SMTP servers", ADDRESSES),
        _O.POP3_SERVERS: Row("POP3 servers", ADDRESSES),
        _O.NNTP_SERVERS: Row("NNTP servers", ADDRESSES),
        _O.WWW_SERVERS: Row("WWW servers", ADDRESSES),
        _O.FINGER_SERVERS: Row("finger servers", ADDRESSES),
        _O.IRC_SERVERS: Row("IRC servers", ADDRESSES),
        _O.STREETTALK_SERVERS: Row("StreetTalk servers", ADDRESSES),
        _O.STDA_SERVERS: Row("STDA servers", ADDRESSES),
        _O.USER_CLASS: Row("user class", USER_CLASS),
        _O.FQDN: Row("client FQDN", FQDN),
        _O.RELAY_AGENT: Row("relay agent information", _encapsulation(RELAY)),
        _O.AUTHENTICATION: Row("authentication", BYTES),
        _O.ARCHITECTURE: Row("client architecture", U16S),
        _O.NIC: Row("client network interface", NIC),
        _O.MACHINE_ID: Row("client machine id", MACHINE_ID),
        _O.TZ_POSIX: Row("POSIX time zone", TEXT),
        _O.TZ_NAME: Row("time zone name", TEXT),
        _O.IPV6_ONLY: Row("IPv6-only preferred", SECONDS),
        _O.CAPTIVE_PORTAL: Row("captive portal", TEXT),
        _O.AUTO_CONFIGURE: Row("auto-configure", U8),
        _O.NAME_SERVICE_SEARCH: Row("name service search", U16S),
        _O.SUBNET_SELECTION: Row("subnet selection", ADDRESS),
        _O.DOMAIN_SEARCH: Row("domain search", DOMAIN_SEARCH),
        _O.SIP_SERVERS: Row("SIP servers", BYTES),
        _O.CLASSLESS_ROUTES: Row("classless routes", ROUTES),
        _O.VENDOR_CLASS_ENTERPRISE: Row("vendor-identifying class", ENTERPRISES),
        _O.VENDOR_INFO_ENTERPRISE: Row("vendor-identifying information", ENTERPRISES),
        **{code: Row(f"PXE vendor option {code}", BYTES) for code in range(128, 136)},
        _O.TFTP_SERVER_ADDRESSES: Row("TFTP server addresses", ADDRESSES),
        _O.IPXE: Row("iPXE options", _encapsulation(IPXE)),
        _O.ETHERBOOT: Row("Etherboot", OPAQUE),
        _O.ISCSI_PRIMARY_TARGET: Row("iSCSI primary target", TEXT),
        _O.ISCSI_SECONDARY_TARGET: Row("iSCSI secondary target", TEXT),
        _O.ISCSI_INITIATOR: Row("iSCSI initiator", TEXT),
        _O.PXELINUX_MAGIC: Row("PXELINUX magic", BYTES),
        _O.CONFIG_FILE: Row("PXELINUX configuration file", TEXT),
        _O.PATH_PREFIX: Row("PXELINUX path prefix", TEXT),
        _O.REBOOT_TIME: Row("PXELINUX reboot time", SECONDS),
        _O.SIX_RD: Row("6rd", BYTES),
        _O.MICROSOFT_ROUTES: Row("classless routes (Microsoft)", ROUTES),
        _O.PROXY_AUTODISCOVERY: Row("proxy autodiscovery", TEXT),
    },
)
"""Every DHCP option we know by name. One that is not here is opaque bytes."""

NO_OPTIONS = Options()
"""A message without any: what BOOTP has."""
