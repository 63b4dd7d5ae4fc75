"""The TFTP codec: the six packets of RFC 1350 and RFC 2347 as values, and the four options that boot clients use.

Knows bytes and values. Must not know sockets, clocks, or what a transfer is. RFC 1350 (packets), 2347 (options), 2348 (blksize),
2349 (tsize, timeout), 7440 (windowsize). ``parse`` and ``serialize`` are a pair; ``parse`` raises WireError and nothing else.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass

from pxenet.wire.reader import Reader, WireError

Options = tuple[tuple[str, str], ...]
"""(name, value) in the order and the spelling of the packet. Unknown ones and repeated ones are all there."""

MAX_REQUEST = 512
"""Octets of an RRQ or WRQ, RFC 2347 "Packet Formats"."""
MAX_PAYLOAD = 65464
"""Octets of one DATA: the largest blksize, RFC 2348."""


class OpCode(enum.IntEnum):
    """RFC 1350 §5, RFC 2347 for OACK."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class ErrorCode(enum.IntEnum):
    """RFC 1350 appendix, RFC 2347 for 8. Other numbers parse and serialize unchanged."""

    UNDEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TRANSFER_ID = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


OPTION_RANGES = {
    "blksize": (8, 65464),  # octets, RFC 2348
    "timeout": (1, 255),  # seconds, RFC 2349
    "tsize": (0, 2**63 - 1),  # octets, RFC 2349 gives no upper end; this is the largest file there can be
    "windowsize": (1, 65535),  # blocks, RFC 7440 §3
}
"""The options we know, by their lower-case names, with the values their RFCs allow (both ends included)."""


@dataclass(frozen=True, slots=True)
class Request:
    """RRQ or WRQ, RFC 1350 §5 and RFC 2347. Bytes that are not UTF-8 stand in the strings as surrogate escapes."""

    op: OpCode
    """RRQ or WRQ."""
    filename: str
    mode: str = "octet"
    """Lower case: ``octet``, ``netascii``, or what else the client wrote. Modes are case-insensitive (RFC 1350 §5)."""
    options: Options = ()

    def __post_init__(self) -> None:
        if self.op not in (OpCode.RRQ, OpCode.WRQ):
            raise WireError(0, "opcode", f"{self.op} is not a request")
        _check_strings(2, ("filename", self.filename), ("mode", self.mode))
        if _encode(self.mode) != _encode(self.mode).lower():
            raise WireError(2, "mode", f"{self.mode!r} is not lower case")
        _check_options(self.options)
        characters = len(self.filename) + len(self.mode) + sum(len(name) + len(value) for name, value in self.options)
        # A character has four octets at most: nearly all requests are short enough whatever they are.
        longest = 2 + 4 * characters + 2 * (1 + len(self.options))
        if longest > MAX_REQUEST and len(_serialize_request(self)) > MAX_REQUEST:
            raise WireError(MAX_REQUEST, "request", f"longer than {MAX_REQUEST} octets (RFC 2347)")


@dataclass(frozen=True, slots=True)
class Data:
    """One block, RFC 1350 §5. The first one shorter than blksize is the last."""

    block: int
    """0 to 65535; counts from 1 and rolls over to 0."""
    payload: bytes = b""

    def __post_init__(self) -> None:
        _check_u16("block", self.block)
        if len(self.payload) > MAX_PAYLOAD:
            raise WireError(4, "payload", f"{len(self.payload)} octets, more than the largest blksize {MAX_PAYLOAD}")


@dataclass(frozen=True, slots=True)
class Ack:
    """Acknowledges a block, and with windowsize all blocks before it. 0 answers an OACK (RFC 2347)."""

    block: int

    def __post_init__(self) -> None:
        _check_u16("block", self.block)


@dataclass(frozen=True, slots=True)
class Error:
    """Ends a transfer, or refuses to start one. Never acknowledged, never repeated (RFC 1350 §7)."""

    code: int
    """An :class:`ErrorCode`, or any other number up to 65535."""
    text: str = ""

    def __post_init__(self) -> None:
        _check_u16("code", self.code)
        _check_strings(4, ("text", self.text))


@dataclass(frozen=True, slots=True)
class Oack:
    """What the server grants of the options asked for, names spelled as the client did (GRUB wants lower case back)."""

    options: Options = ()

    def __post_init__(self) -> None:
        _check_options(self.options)


Packet = Request | Data | Ack | Error | Oack


def parse(data: bytes) -> Packet:
    """The packet in a UDP payload. WireError when it is none, or damaged."""
    reader = Reader(data)
    op = reader.u16("opcode")
    parser = _PARSERS.get(op)
    if parser is None:
        raise WireError(0, "opcode", f"{op} is not a TFTP packet")
    return parser(op, reader)


def serialize(packet: Packet) -> bytes:
    """The UDP payload of a packet. Cannot fail: the values check themselves when they are made."""
    match packet:
        case Data():
            return data_header(packet.block) + packet.payload
        case Ack():
            return _OP_NUMBER.pack(OpCode.ACK, packet.block)
        case Error():
            return _OP_NUMBER.pack(OpCode.ERROR, packet.code) + _string(packet.text)
        case Oack():
            return _OP.pack(OpCode.OACK) + _serialize_options(packet.options)
        case Request():
            return _serialize_request(packet)


def find_option(options: Options, name: str) -> int | None:
    """The number that the first option called ``name`` (any case) carries; None when there is none such.

    Raises WireError when it is no plain decimal number, or outside :data:`OPTION_RANGES`. Whoever prefers to clamp a number
    that is too large reads it with :func:`option_number`.
    """
    low, high = OPTION_RANGES[name]
    for position, (spelled, value) in enumerate(options):
        if spelled.isascii() and spelled.lower() == name:
            number = option_number(value)
            if number is None or not low <= number <= high:
                raise WireError(position, name, f"{value!r} is not a number from {low} to {high}")
            return number
    return None


def option_number(value: str) -> int | None:
    """An option's value as a number; None unless it is written in decimal ASCII digits and nothing else.

    Nor is it one when it is longer than any request: an OACK may hold more digits than ``int`` takes.
    """
    return int(value) if len(value) <= MAX_REQUEST and value.isascii() and value.isdigit() else None


# Fast path. A server under load sees almost nothing but ACKs of exactly four octets and sends almost nothing but DATA: neither
# is worth a value object. tests/wire/test_wire_tftp.py proves both equal to parse and serialize.


def data_header(block: int) -> bytes:
    """The four octets in front of a DATA's payload. ``block`` is taken modulo 65 536."""
    return _OP_NUMBER.pack(OpCode.DATA, block & 0xFFFF)


# opcode(2); and: opcode(2) block(2) or code(2). All numbers in TFTP are 16 bit, big-endian.
_OP = struct.Struct("!H")
_OP_NUMBER = struct.Struct("!HH")


def _parse_request(op: int, reader: Reader) -> Request:
    size = reader.left + 2
    if size > MAX_REQUEST:
        raise WireError(MAX_REQUEST, "request", f"{size} octets, more than {MAX_REQUEST} (RFC 2347)")
    filename = _text(reader, "filename")
    mode = _decode(reader.text("mode").lower())  # bytes, so that only ASCII changes
    return Request(OpCode(op), filename, mode, _parse_options(reader))


def _serialize_request(request: Request) -> bytes:
    head = _OP.pack(request.op) + _string(request.filename) + _string(request.mode)
    return head + _serialize_options(request.options)


def _parse_data(op: int, reader: Reader) -> Data:
    return Data(reader.u16("block"), reader.rest())


def _parse_ack(op: int, reader: Reader) -> Ack:
    # Octets behind the number are ignored, as dnsmasq and tftp-hpa read it: what they would mean, no RFC says.
    return Ack(reader.u16("block"))


def _parse_error(op: int, reader: Reader) -> Error:
    # Some clients leave out the NUL, or the text: an ERROR ends the transfer all the same.
    code = reader.u16("code")
    return Error(code, _decode(reader.rest().partition(b"\0")[0]))


def _parse_oack(op: int, reader: Reader) -> Oack:
    return Oack(_parse_options(reader))


_PARSERS: dict[int, Callable[[int, Reader], Packet]] = {
    OpCode.RRQ: _parse_request,
    OpCode.WRQ: _parse_request,
    OpCode.DATA: _parse_data,
    OpCode.ACK: _parse_ack,
    OpCode.ERROR: _parse_error,
    OpCode.OACK: _parse_oack,
}


def _parse_options(reader: Reader) -> Options:
    found: list[tuple[str, str]] = []
    while reader.left:
        at = reader.offset
        name = _text(reader, "option name")
        if not name:
            _padding(reader)
            break
        if not reader.left:
            raise WireError(at, name, "has no value")
        found.append((name, _text(reader, name)))
    return tuple(found)


def _serialize_options(options: Options) -> bytes:
    return b"".join(_string(name) + _string(value) for name, value in options)


def _padding(reader: Reader) -> None:
    # An empty name can only be padding: NULs to the end are harmless, anything behind them is not.
    at = reader.offset
    if reader.rest().strip(b"\0"):
        raise WireError(at, "option name", "is empty")


def _text(reader: Reader, field: str) -> str:
    return _decode(reader.text(field))


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _string(text: str) -> bytes:
    return _encode(text) + b"\0"


def _check_u16(field: str, number: int) -> None:
    if not 0 <= number <= 0xFFFF:
        raise WireError(2, field, f"{number} does not fit into 16 bits")


def _check_strings(offset: int, *strings: tuple[str, str]) -> None:
    for field, text in strings:
        if "\0" in text:
            raise WireError(offset, field, f"{text!r} contains a NUL")
        if text.isascii():
            continue
        try:
            _encode(text)
        except UnicodeEncodeError as error:
            raise WireError(offset, field, f"{text!r} cannot be encoded: {error.reason}") from error


def _check_options(options: Options) -> None:
    for name, value in options:
        if not name:
            raise WireError(2, "option name", "is empty")
        _check_strings(2, ("option name", name), (name, value))
