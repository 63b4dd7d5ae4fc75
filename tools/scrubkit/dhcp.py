"""DHCP, DHCPv6 and neighbour discovery: who is named where. Every length stays what it is.

What the table of options calls an address is replaced as one, text as text; numbers and what firmware is told by stay. RFC 2131, 2132,
3046, 8415, 4861. Must not know frames.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pxenet.wire import dhcp
from pxenet.wire.iana import OptionCode
from pxenet.wire.options import DHCP
from pxenet.wire.shapes import ADDRESS, ADDRESS_PAIRS, ADDRESSES, TEXT
from scrubkit.book import Book

Change = Callable[[Book, bytes], bytes]

_COOKIE_AT = 236
_OPTIONS_AT = 240


def _addresses(book: Book, raw: bytes) -> bytes:
    whole = len(raw) // 4 * 4
    return b"".join(book.ipv4(raw[at : at + 4]) for at in range(0, whole, 4)) + raw[whole:]


def _kept(book: Book, raw: bytes) -> bytes:
    return raw


def _client_id(book: Book, raw: bytes) -> bytes:
    if len(raw) == 7:
        return raw[:1] + book.hardware(raw[1:])
    if len(raw) == 17 and raw[0] == 0:
        return raw[:1] + book.uuid(raw[1:])
    if raw[:1] == b"\xff" and len(raw) > 7:  # RFC 4361: an IAID, a DUID
        return raw[:1] + book.opaque(raw[1:5]) + _duid(book, raw[5:])
    return raw[:1] + book.opaque(raw[1:])


def _duid(book: Book, raw: bytes) -> bytes:
    kind = raw[:2]
    if kind == b"\0\1" and len(raw) == 14:
        return raw[:8] + book.hardware(raw[8:])
    if kind == b"\0\3" and len(raw) == 10:
        return raw[:4] + book.hardware(raw[4:])
    if kind == b"\0\4" and len(raw) == 18:
        return raw[:2] + book.uuid(raw[2:])
    return raw[:2] + book.opaque(raw[2:])


def _machine_id(book: Book, raw: bytes) -> bytes:
    return raw[:1] + (book.uuid(raw[1:]) if len(raw) == 17 else book.opaque(raw[1:]))


def _relay(book: Book, raw: bytes) -> bytes:
    """Circuits, remotes and subscribers mean something to their operator alone."""
    return _tlvs(
        book, raw, lambda code: _addresses if code in (5, 11) else _opaque if code in (1, 2, 6, 12) else _bytes
    )


def _opaque(book: Book, raw: bytes) -> bytes:
    return book.opaque(raw)


def _bytes(book: Book, raw: bytes) -> bytes:
    return book.anything(raw)


def _text(book: Book, raw: bytes) -> bytes:
    return book.text(raw)


def _name(book: Book, raw: bytes) -> bytes:
    return book.name(raw)


def _fqdn(book: Book, raw: bytes) -> bytes:
    return raw[:3] + book.name(raw[3:])


def _servers(book: Book, raw: bytes) -> bytes:
    """PXE's boot servers: type 2, count 1, addresses."""
    made, at = b"", 0
    while at + 3 <= len(raw):
        end = at + 3 + 4 * raw[at + 2]
        made += raw[at : at + 3] + _addresses(book, raw[at + 3 : end])
        at = end
    return made + raw[at:]


def _pxe(book: Book, raw: bytes) -> bytes:
    return _tlvs(book, raw, lambda code: {8: _servers, 9: _text, 10: _text}.get(code, _bytes))


_SPECIAL: dict[int, Change] = {
    OptionCode.HOST_NAME: _name,
    OptionCode.DOMAIN_NAME: _name,
    OptionCode.NIS_DOMAIN: _name,
    OptionCode.NISPLUS_DOMAIN: _name,
    OptionCode.TFTP_SERVER: _name,
    81: _fqdn,
    119: _name,
    OptionCode.CLIENT_ID: _client_id,
    OptionCode.MACHINE_ID: _machine_id,
    OptionCode.VENDOR_SPECIFIC: _pxe,
    OptionCode.RELAY_AGENT: _relay,
    OptionCode.SUBNET_MASK: _kept,
    OptionCode.VENDOR_CLASS: _kept,
    OptionCode.USER_CLASS: _kept,
    OptionCode.PARAMETER_LIST: _kept,
}
_SHAPES: dict[int, Change] = {
    id(ADDRESS): _addresses,
    id(ADDRESSES): _addresses,
    id(ADDRESS_PAIRS): _addresses,
    id(TEXT): _text,
}


def _change(code: int) -> Change:
    return _SPECIAL.get(code) or _SHAPES.get(id(DHCP.row(code).shape), _bytes)


def _tlvs(book: Book, raw: bytes, change: Callable[[int], Change], *, framed: bool = False) -> bytes:
    """code 1, length 1, value; what follows the damage, or the end, is nothing anybody reads."""
    made, at = b"", 0
    while at + 2 <= len(raw) and not (framed and raw[at] == 255):
        if framed and raw[at] == 0:
            made, at = made + b"\0", at + 1
            continue
        end = at + 2 + raw[at + 1]
        if end > len(raw):
            made += raw[at : at + 2]
            break
        made += raw[at : at + 2] + change(raw[at])(book, raw[at + 2 : end])
        at = end
    else:
        made += raw[at : at + 1]
    return made.ljust(len(raw), b"\0")


def dhcp4(book: Book, raw: bytes) -> bytes:
    """A message; one that was cut short too."""
    if len(raw) < _COOKIE_AT:
        return raw[:12] + book.anything(raw[12:])
    hlen = min(raw[2], 16)
    chaddr = book.hardware(raw[28:34]) if hlen == 6 else book.opaque(raw[28 : 28 + hlen])
    head = raw[:12] + _addresses(book, raw[12:28]) + chaddr.ljust(16, b"\0")
    if raw[_COOKIE_AT:_OPTIONS_AT] != dhcp.COOKIE:
        return head + _field(book, raw[44:108], False) + _field(book, raw[108:236], True) + bytes(len(raw) - _COOKIE_AT)
    overload = _overload(raw)
    sname = _options(book, raw[44:108]) if overload & 2 else _field(book, raw[44:108], False)
    file = _options(book, raw[108:236]) if overload & 1 else _field(book, raw[108:236], True)
    return head + sname + file + dhcp.COOKIE + _options(book, raw[_OPTIONS_AT:])


def _options(book: Book, raw: bytes) -> bytes:
    return _tlvs(book, raw, _change, framed=True)


def _overload(raw: bytes) -> int:
    try:
        found = dhcp.parse(raw).options.raw(OptionCode.OVERLOAD) or b"\0"
    except ValueError:
        return 0
    return found[0] if len(found) == 1 and found[0] <= 3 else 0


def _field(book: Book, raw: bytes, path: bool) -> bytes:
    said = raw.partition(b"\0")[0]
    return (book.text(said) if path else book.name(said)).ljust(len(raw), b"\0")


# -- IPv6 -------------------------------------------------------------------------------------------------------------------------

_HEAD6 = struct.Struct("!HH")


def _ia(head: int) -> Change:
    """Options behind a head of so many bytes."""
    return lambda book, raw: (
        _addresses6(book, raw[:16]) + _walk6(book, raw[16:], head - 16)
        if head >= 16
        else (raw[:head] + _options6(book, raw[head:]))
    )


def _walk6(book: Book, raw: bytes, more: int) -> bytes:
    return raw[:more] + _options6(book, raw[more:])


def _addresses6(book: Book, raw: bytes) -> bytes:
    whole = len(raw) // 16 * 16
    return b"".join(book.ipv6(raw[at : at + 16]) for at in range(0, whole, 16)) + raw[whole:]


def _client_fqdn6(book: Book, raw: bytes) -> bytes:
    return raw[:1] + book.name(raw[1:])


_SPECIAL6: dict[int, Change] = {
    1: _duid, 2: _duid, 3: _ia(12), 4: _ia(4), 5: _ia(24), 9: lambda book, raw: dhcp6(book, raw), 12: _addresses6,
    15: _kept, 16: _kept, 18: _opaque, 23: _addresses6, 24: _name, 31: _addresses6, 37: _opaque, 39: _client_fqdn6, 59: _text,
    60: _text,
}  # fmt: skip


def _options6(book: Book, raw: bytes) -> bytes:
    made, at = b"", 0
    while at + 4 <= len(raw):
        code, size = _HEAD6.unpack_from(raw, at)
        if at + 4 + size > len(raw):
            made += raw[at : at + 4]
            break
        made += raw[at : at + 4] + _SPECIAL6.get(code, _bytes)(book, raw[at + 4 : at + 4 + size])
        at += 4 + size
    return made.ljust(len(raw), b"\0")


def dhcp6(book: Book, raw: bytes) -> bytes:
    """A message, or one that a relay passes on. RFC 8415 §8, §9."""
    if raw[:1] in (b"\x0c", b"\x0d") and len(raw) >= 34:
        return raw[:2] + _addresses6(book, raw[2:34]) + _options6(book, raw[34:])
    return raw[:4] + _options6(book, raw[4:])


def neighbours(book: Book, raw: bytes) -> bytes:
    """ICMPv6 from its type on: who is asked for, and what routers tell. RFC 4861 §4, 8106."""
    heads = {133: 8, 134: 16, 135: 24, 136: 24, 137: 40}
    head = heads.get(raw[0] if raw else 0)
    if head is None or len(raw) < head:
        return raw[:4] + bytes(max(len(raw) - 4, 0))
    made = raw[:8] + (_addresses6(book, raw[8:head]) if head >= 24 else raw[8:head])
    at = head
    while at + 2 <= len(raw):
        end = at + 8 * raw[at + 1]
        if end == at or end > len(raw):
            break
        made += raw[at : at + 2] + _neighbour_option(book, raw[at], raw[at + 2 : end])
        at = end
    return made.ljust(len(raw), b"\0")


def _neighbour_option(book: Book, kind: int, raw: bytes) -> bytes:
    if kind in (1, 2):
        return book.hardware(raw[:6]) + bytes(len(raw) - 6)
    if kind == 3 and len(raw) == 30:
        return raw[:14] + book.ipv6(raw[14:])
    if kind == 25:
        return raw[:6] + _addresses6(book, raw[6:])
    return raw if kind == 5 else raw[:6] + bytes(len(raw) - 6)
