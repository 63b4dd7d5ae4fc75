"""DNS names inside DHCP options: the domain search list (119) and the client's full name (81).

Names are text with dots between the labels, without a dot at the end. On the wire (RFC 1035 §3.1, §4.1.4) a name is a row of
(length, label), closed by a zero length; a length with its two top bits set is instead the first byte of a pointer, two bytes
that say at which offset of the value the rest of the name has been written before:

    03 e n g  07 e x a m p l e  03 c o m  00      03 l a b  c0 04
    ^ offset 0 ^ offset 4                                   └ "go on at offset 4"

Implements RFC 3397 (119) and RFC 4702 (81).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pxenet.wire.reader import Reader, WireError
from pxenet.wire.shapes import Shape, Value, counted, int_bytes, items_of, text_bytes, text_in

_POINTER = 0xC0
_MAX_NAME_BYTES = 255
_MAX_LABEL_BYTES = 63
_MAX_LABELS = 127
"""Labels of one byte each that fit into a name."""


def _read_name(data: bytes, at: int) -> tuple[str, int, bool]:
    """The name at this offset, the offset behind it, and whether it was closed by a zero length.

    Pointers must point backwards to before the place where the present run of labels began: so each jump goes further back and
    no loop is possible. Nor does anybody need more jumps than a name can have labels; without that bound a value made of pointers to
    pointers takes seconds.
    """
    labels: list[str] = []
    start, behind, size, jumps = at, -1, 0, 0
    while at < len(data):
        length = data[at]
        if length == 0:
            return ".".join(labels), behind if behind >= 0 else at + 1, True
        if length & _POINTER == _POINTER:
            if at + 2 > len(data):
                raise WireError(at, "pointer", "cut off")
            target = int.from_bytes(data[at : at + 2], "big") & 0x3FFF
            if target >= start:
                raise WireError(at, "pointer", f"to {target}, which is not before {start}")
            if (jumps := jumps + 1) > _MAX_LABELS:
                raise WireError(at, "pointer", f"the name has more than {_MAX_LABELS} of them")
            behind = behind if behind >= 0 else at + 2
            start = at = target
            continue
        if length > _MAX_LABEL_BYTES:
            raise WireError(at, "label", f"length {length} is reserved")
        if at + 1 + length > len(data):
            raise WireError(at, "label", f"{length} bytes long, {len(data) - at - 1} are left")
        size += 1 + length
        if size >= _MAX_NAME_BYTES:
            raise WireError(at, "name", "longer than 255 bytes")
        labels.append(_show_label(data[at + 1 : at + 1 + length]))
        at += 1 + length
    return ".".join(labels), at, False


def _show_label(label: bytes) -> str:
    """As in zone files (RFC 1035 §5.1), so that any bytes can be read back: ``\\.`` is a dot in a label, ``\\233`` a byte."""
    return "".join(map(_LETTERS.__getitem__, label))


_LETTERS = [chr(byte) if 0x21 <= byte <= 0x7E else f"\\{byte:03}" for byte in range(256)]
for _special in ".\\":
    _LETTERS[ord(_special)] = "\\" + _special

_TOKEN = re.compile(r"\\([0-9]{3})|\\(.)|(\.)|([^.\\]+)", re.DOTALL)
"""In a name: a byte by its number, an escaped letter, the dot between labels, plain letters."""


def _labels(name: str) -> list[bytes]:
    """The labels of a name, checked."""
    labels = [b""]
    for number, escaped, dot, plain in _TOKEN.findall(name):
        if dot:
            labels.append(b"")
        else:
            labels[-1] += int_bytes(int(number), 8) if number else text_bytes(escaped or plain)
    if len(labels) > 1 and not labels[-1]:
        labels.pop()  # the dot at the end of a complete name
    for label in labels:
        if not 1 <= len(label) <= _MAX_LABEL_BYTES:
            raise ValueError(f"a label of {len(label)} bytes in {name!r}; 1 to 63 are possible")
    if sum(len(label) + 1 for label in labels) >= _MAX_NAME_BYTES:
        raise ValueError(f"longer than 255 bytes: {name!r}")
    return labels


def _parse_search(reader: Reader) -> Value:
    data = reader.rest()
    names: list[str] = []
    at = 0
    while at < len(data) or not names:
        name, behind, closed = _read_name(data, at)
        if not closed:
            raise WireError(at, "name", "has no end")
        if not name:
            raise WireError(at, "name", "empty")
        names.append(name)
        at = behind
    return tuple(names)


def _serialize_search(value: Value) -> bytes:
    """Every name's tail that was written before becomes a pointer (RFC 1035 §4.1.4)."""
    out = bytearray()
    seen: dict[tuple[bytes, ...], int] = {}
    for item in items_of(value):
        if not isinstance(item, str):
            raise TypeError(f"wants names, not {item!r}")
        labels = _labels(item)
        for index in range(len(labels)):
            tail = tuple(labels[index:])
            if tail in seen:
                out += (_POINTER << 8 | seen[tail]).to_bytes(2, "big")
                break
            if len(out) < 0x4000:  # a pointer has 14 bits
                seen[tail] = len(out)
            out += counted(labels[index])
        else:
            out.append(0)
    return bytes(out)


DOMAIN_SEARCH = Shape("domain names", _parse_search, _serialize_search)


FQDN_SERVER_UPDATES = 0x01
FQDN_OVERRIDE = 0x02
FQDN_ENCODED = 0x04
FQDN_NO_UPDATES = 0x08


@dataclass(frozen=True, slots=True)
class Fqdn:
    """Option 81. With FQDN_ENCODED in ``flags`` the name is in DNS wire form, else (deprecated) in ASCII."""

    flags: int
    name: str
    """Ends with a dot when it is known to be complete (wire form, closed by the zero length)."""
    rcode1: int = 0
    """Deprecated: 0 from a client, 255 from a server (RFC 4702 §2.2)."""
    rcode2: int = 0


def _parse_fqdn(reader: Reader) -> Value:
    """flags u8, rcode1 u8, rcode2 u8, name."""
    flags, rcode1, rcode2 = reader.u8("flags"), reader.u8("rcode1"), reader.u8("rcode2")
    data = reader.rest()
    if not flags & FQDN_ENCODED:
        return Fqdn(flags, text_in(data), rcode1, rcode2)
    name, behind, closed = _read_name(data, 0)
    if behind != len(data):
        raise WireError(3 + behind, "name", "goes on behind its end")
    return Fqdn(flags, name + "." if closed and name else name, rcode1, rcode2)


def _serialize_fqdn(value: Value) -> bytes:
    if not isinstance(value, Fqdn):
        raise TypeError(f"wants an Fqdn, not {value!r}")
    head = int_bytes(value.flags, 8) + int_bytes(value.rcode1, 8) + int_bytes(value.rcode2, 8)
    if not value.flags & FQDN_ENCODED:
        return head + text_bytes(value.name)
    name = b"".join(map(counted, _labels(value.name))) if value.name else b""
    tokens = _TOKEN.findall(value.name)
    complete = bool(tokens) and tokens[-1][2] == "."
    return head + name + (b"\0" if complete else b"")


FQDN = Shape("full domain name", _parse_fqdn, _serialize_fqdn)
