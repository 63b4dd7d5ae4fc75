"""The shapes that option values come in: what each looks like on the wire, and the Python value it stands for.

One shape serves many options (a list of addresses is the value of thirty of them); which option has which shape is said by the
tables in ``options``, ``relay`` and ``pxe``. Parsing a value raises WireError, its offset counted from the value's first byte.
Serializing is fed by our own code: a value of the wrong type raises TypeError, one out of range ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pxenet.wire.reader import Reader, WireError

Value = object
"""The typed value of an option. Each shape says which type; the getters of ``Options`` narrow it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one kind of value is read and written."""

    name: str
    """For people: "address list"."""
    parse: Callable[[Reader], Value]
    serialize: Callable[[Value], bytes]

    def read(self, value: bytes) -> Value:
        """The typed value of these bytes, all of which must be used."""
        reader = Reader(value)
        found = self.parse(reader)
        reader.done(self.name)
        return found


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of options."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Space:
    """A numbering of options: DHCP's own, or one that is encapsulated in a DHCP option."""

    name: str
    rows: Mapping[int, Row]
    framed: bool = True
    """Codes 0 (pad) and 255 (end) have no length byte. False: they are ordinary codes (relay agent information, RFC 3046 §2.0)."""
    writes_end: bool = False
    """We write the 255 at the end, where it is optional for the reader."""

    def row(self, code: int) -> Row:
        """The line of this code; one that is not in the table is opaque bytes."""
        return self.rows.get(code) or Row(f"option {code}", OPAQUE)


# -- helpers of the serializers: our own values are checked, not trusted ---------------------------------------------------


def int_bytes(value: Value, bits: int) -> bytes:
    """An unsigned number of this many bits, big-endian."""
    if not isinstance(value, int):
        raise TypeError(f"wants an int, not {value!r}")
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} does not fit into {bits} bits")
    return value.to_bytes(bits // 8, "big")


def items_of(value: Value, at_least: int = 1) -> tuple[Value, ...]:
    """The items of a tuple or list that has so many of them."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"wants a tuple, not {value!r}")
    if len(value) < at_least:
        raise ValueError(f"wants {at_least} items or more, not {value!r}")
    return tuple(value)


def text_bytes(value: Value) -> bytes:
    """Text as UTF-8; a NUL inside it would end it early at the reader."""
    if not isinstance(value, str):
        raise TypeError(f"wants text, not {value!r}")
    if "\0" in value:
        raise ValueError(f"text with a NUL: {value!r}")
    return value.encode("utf-8")


def counted(data: bytes) -> bytes:
    """A length byte, then the data."""
    if len(data) > 255:
        raise ValueError(f"{len(data)} bytes do not fit a length of one byte: {data!r}")
    return bytes((len(data),)) + data


# -- numbers and addresses ---------------------------------------------------------------------------------------------------


def _fixed(name: str, size: int) -> Shape:
    return Shape(name, lambda r: int.from_bytes(r.take(size, name), "big"), lambda value: int_bytes(value, size * 8))


def _list(name: str, size: int) -> Shape:
    """One or more numbers of ``size`` bytes, nothing between them."""

    def parse(reader: Reader) -> Value:
        if reader.left == 0 or reader.left % size:
            raise WireError(reader.offset, name, f"{reader.left} bytes are not one or more times {size}")
        return tuple(int.from_bytes(reader.take(size, name), "big") for _ in range(reader.left // size))

    return Shape(name, parse, lambda value: b"".join(int_bytes(item, size * 8) for item in items_of(value)))


U8 = _fixed("octet", 1)
U16 = _fixed("16-bit number", 2)
U32 = _fixed("32-bit number", 4)
SECONDS = _fixed("seconds", 4)
"""A duration; 0xffffffff is infinity where the option says so."""
ADDRESS = _fixed("address", 4)
"""An IPv4 address, as an int."""
ADDRESSES = _list("address list", 4)
U8S = _list("octets", 1)
U16S = _list("16-bit numbers", 2)
U32S = _list("32-bit numbers", 4)


def _parse_signed(reader: Reader) -> Value:
    return int.from_bytes(reader.take(4, "seconds"), "big", signed=True)


def _serialize_signed(value: Value) -> bytes:
    if not isinstance(value, int):
        raise TypeError(f"wants an int, not {value!r}")
    return int_bytes(value & 0xFFFFFFFF if -(1 << 31) <= value < 1 << 31 else 1 << 32, 32)


I32 = Shape("signed seconds", _parse_signed, _serialize_signed)


def _parse_i8(reader: Reader) -> Value:
    return int.from_bytes(reader.take(1, "signed octet"), "big", signed=True)


def _serialize_i8(value: Value) -> bytes:
    if not isinstance(value, int):
        raise TypeError(f"wants an int, not {value!r}")
    if not -128 <= value < 128:
        raise ValueError(f"{value} does not fit into a signed octet")
    return value.to_bytes(1, "big", signed=True)


I8 = Shape("signed octet", _parse_i8, _serialize_i8)


def _parse_flag(reader: Reader) -> Value:
    at = reader.offset
    octet = reader.u8("flag")
    if octet > 1:
        raise WireError(at, "flag", f"{octet} is neither 0 nor 1")
    return octet == 1


FLAG = Shape("flag", _parse_flag, lambda value: int_bytes(bool(value), 8))


def _parse_presence(reader: Reader) -> Value:
    return True


PRESENCE = Shape("presence", _parse_presence, lambda value: b"")
"""No bytes at all: the option says what it says by being there."""


def _pairs(name: str) -> Shape:
    """One or more pairs of addresses: (destination, router) or (address, mask)."""

    def parse(reader: Reader) -> Value:
        if reader.left == 0 or reader.left % 8:
            raise WireError(reader.offset, name, f"{reader.left} bytes are not one or more times 8")
        return tuple((reader.u32(name), reader.u32(name)) for _ in range(reader.left // 8))

    def serialize(value: Value) -> bytes:
        return b"".join(int_bytes(address, 32) for pair in items_of(value) for address in items_of(pair, 2))

    return Shape(name, parse, serialize)


ADDRESS_PAIRS = _pairs("address pairs")


# -- text and bytes ------------------------------------------------------------------------------------------------------------


def show(data: bytes) -> str:
    """Bytes of the network as text: UTF-8, of which ASCII is a part; bytes that are neither show as ``\\xff``."""
    return data.decode("utf-8", "backslashreplace")


def text_in(data: bytes) -> str:
    """A text field's bytes as text. NULs at its end are stripped (RFC 2132 §2); one inside it is a WireError."""
    data = data.rstrip(b"\0")
    nul = data.find(0)
    if nul >= 0:
        raise WireError(nul, "text", "a NUL inside it")
    return show(data)


def _parse_text(reader: Reader) -> Value:
    """No bytes at all is None, the same as absent: some clients send an empty host name."""
    return text_in(reader.rest()) or None


def _serialize_text(value: Value) -> bytes:
    data = text_bytes(value)
    if not data:
        raise ValueError("empty text cannot be sent: leave the option out")
    return data


TEXT = Shape("text", _parse_text, _serialize_text)


def _opaque(minimum: int) -> Shape:
    def parse(reader: Reader) -> Value:
        if reader.left < minimum:
            raise WireError(reader.offset, "bytes", f"needs {minimum} bytes or more, has {reader.left}")
        return reader.rest()

    def serialize(value: Value) -> bytes:
        raise TypeError(f"wants bytes, not {value!r}")  # bytes never come here: encode() passes them on as they are

    return Shape("bytes", parse, serialize)


OPAQUE = _opaque(0)
BYTES = _opaque(1)


# -- routes ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Route:
    """One classless route; prefix 0 is the default route. Bits of ``network`` beyond the prefix are not sent."""

    network: int
    prefix: int
    router: int


def _parse_routes(reader: Reader) -> Value:
    """(width u8, as many octets of the destination as the width needs, router u32)+ (RFC 3442)."""
    found: list[Route] = []
    while reader.left or not found:
        at = reader.offset
        prefix = reader.u8("width")
        if prefix > 32:
            raise WireError(at, "width", f"{prefix} is more than 32")
        network = int.from_bytes(reader.take((prefix + 7) // 8, "destination").ljust(4, b"\0"), "big")
        found.append(Route(network, prefix, reader.u32("router")))
    return tuple(found)


def _serialize_routes(value: Value) -> bytes:
    parts: list[bytes] = []
    for route in items_of(value):
        if not isinstance(route, Route):
            raise TypeError(f"wants a Route, not {route!r}")
        if not 0 <= route.prefix <= 32:
            raise ValueError(f"no prefix length: {route.prefix}")
        octets = int_bytes(route.network, 32)[: (route.prefix + 7) // 8]
        parts += (int_bytes(route.prefix, 8), octets, int_bytes(route.router, 32))
    return b"".join(parts)


ROUTES = Shape("classless routes", _parse_routes, _serialize_routes)
