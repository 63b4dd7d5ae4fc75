"""Frames with other names in them: every layer's addresses, what is inside by its protocol, checksums done again.

Lengths stay; what no protocol here reads becomes zeros, padding too. The beginning of a datagram in fragments is read, the rest of it
becomes zeros, so that its checksum can be done without them. Link types: ``frames``. Must not know files.
"""

from __future__ import annotations

import struct

from pxenet.capture.frames import COOKED, COOKED_2, ETHERNET, LOOP, NULL, TCP, UDP
from scrubkit.book import Book
from scrubkit.dhcp import dhcp4, dhcp6, neighbours
from scrubkit.streams import Streams

_DHCP, _DHCP6, _TFTP = frozenset({67, 68, 4011}), frozenset({546, 547}), 69
_VLAN = (0x8100, 0x88A8, 0x9100)
_ICMP, _IGMP, _ICMP6 = 1, 2, 58
_EXTENSIONS = (0, 43, 60)
_FRAGMENT = 44


class Packets:
    """One capture's, in order. The same walk notes, and afterwards (``book.noting``) replaces."""

    def __init__(self, book: Book, streams: Streams) -> None:
        self._book, self._streams = book, streams
        self._asking: set[bytes] = set()  # addresses and ports of who asked by TFTP

    def frame(self, raw: bytes, link: int, wire: int, number: int, at_ns: int) -> bytes:
        """One of them, as long as it was."""
        front, kind = self._link(raw, link)
        inside = raw[len(front) :]
        cut = max(wire - len(raw), 0)
        if kind == 0x0800:
            done = self._ipv4(inside, cut, number, at_ns)
        elif kind == 0x86DD:
            done = self._ipv6(inside, cut, number, at_ns)
        elif kind == 0x0806:
            done = self._arp(inside)
        else:
            done = b""
        return (front + done).ljust(len(raw), b"\0")[: len(raw)]

    def _link(self, raw: bytes, link: int) -> tuple[bytes, int]:
        """What stands in front of IP, and what follows."""
        book = self._book
        if link == ETHERNET:
            front = book.hardware(raw[:6]) + book.hardware(raw[6:12])
            at = 12
            while raw[at : at + 2] and int.from_bytes(raw[at : at + 2], "big") in _VLAN and at < 44:
                at += 4
            return front + raw[12 : at + 2], int.from_bytes(raw[at : at + 2], "big")
        if link == COOKED:
            return self._tagged(raw[:6] + book.hardware(raw[6:12]) + raw[12:16], raw, 14)
        if link == COOKED_2:
            kind = int.from_bytes(raw[:2], "big")
            front = raw[:12] + book.hardware(raw[12:18]) + raw[18:20]
            return (front, kind) if kind not in _VLAN else self._tagged(front, raw, 0)
        if link in (NULL, LOOP):
            return raw[:4], {4: 0x0800, 6: 0x86DD}.get(raw[4] >> 4 if len(raw) > 4 else 0, 0)
        return b"", {4: 0x0800, 6: 0x86DD}.get(raw[0] >> 4 if raw else 0, 0)

    def _tagged(self, front: bytes, raw: bytes, kind_at: int) -> tuple[bytes, int]:
        kind, at = int.from_bytes(raw[kind_at : kind_at + 2], "big"), len(front)
        while kind in _VLAN and at + 4 <= len(raw) and at < 52:
            kind, at = int.from_bytes(raw[at + 2 : at + 4], "big"), at + 4
        return front + raw[len(front) : at], kind

    def _arp(self, raw: bytes) -> bytes:
        if raw[:6] != b"\0\1\x08\0\6\4" or len(raw) < 28:
            return raw[:8]
        book = self._book
        return (
            raw[:8]
            + book.hardware(raw[8:14])
            + book.ipv4(raw[14:18])
            + book.hardware(raw[18:24])
            + book.ipv4(raw[24:28])
        )

    def _ipv4(self, raw: bytes, cut: int, number: int, at_ns: int) -> bytes:
        length = (raw[0] & 15) * 4 if raw else 0
        if length < 20 or len(raw) < length:
            return raw[:12]
        total, word, protocol = int.from_bytes(raw[2:4], "big"), int.from_bytes(raw[6:8], "big"), raw[9]
        source, destination = self._book.ipv4(raw[12:16]), self._book.ipv4(raw[16:20])
        front = raw[:12] + source + destination + raw[20:length]
        if not self._book.noting and _sum(raw[:length]) in (0, 0xFFFF):
            front = front[:10] + _checksum(front[:10] + b"\0\0" + front[12:]) + front[12:]
        if total < length:
            return front
        inside = raw[length:total]
        if word & 0x1FFF:
            return front + bytes(len(inside))
        lacking = total - length - len(inside)
        ends = raw[12:16], raw[16:20], source, destination
        if protocol == _ICMP:
            return front + _icmp(inside)
        if protocol == _IGMP:
            return front + inside
        more = bool(word & 0x2000)
        return front + self._transport(protocol, inside, ends, number, at_ns, cut and lacking, more)

    def _ipv6(self, raw: bytes, cut: int, number: int, at_ns: int) -> bytes:
        if len(raw) < 40:
            return raw[:8]
        size, protocol = int.from_bytes(raw[4:6], "big"), raw[6]
        source, destination = self._book.ipv6(raw[8:24]), self._book.ipv6(raw[24:40])
        at, end, more = 40, 40 + size, False
        while (protocol in _EXTENSIONS or protocol == _FRAGMENT) and at + 8 <= len(raw):
            if protocol == _FRAGMENT:
                word, step = int.from_bytes(raw[at + 2 : at + 4], "big"), 8
                if word & 0xFFF8:
                    return (
                        raw[:8] + source + destination + raw[40 : at + 8] + bytes(max(min(end, len(raw)) - at - 8, 0))
                    )
                more = bool(word & 1)
            else:
                step = raw[at + 1] * 8 + 8
            protocol, at = raw[at], at + step
        front, inside = raw[:8] + source + destination + raw[40:at], raw[at:end]
        ends = raw[8:24], raw[24:40], source, destination
        if protocol == _ICMP6:
            done = neighbours(self._book, inside)
            if end <= len(raw) and not self._book.noting:
                done = (
                    done[:2]
                    + _checksum(_pseudo(source, destination, _ICMP6, len(done)) + done[:2] + b"\0\0" + done[4:])
                    + done[4:]
                )
            return front + done
        return front + self._transport(protocol, inside, ends, number, at_ns, max(end - len(raw), 0) and cut, more)

    def _transport(
        self,
        protocol: int,
        raw: bytes,
        ends: tuple[bytes, bytes, bytes, bytes],
        number: int,
        at_ns: int,
        lacking: int,
        more: bool,
    ) -> bytes:
        """``ends``: the addresses before and after; ``lacking``: bytes that the recorder left out; ``more``: fragments follow."""
        if protocol == UDP and len(raw) >= 8:
            size = int.from_bytes(raw[4:6], "big")
            done = raw[:8] + self._datagram(raw[:4], ends, raw[8:] if more else raw[8:size] if size >= 8 else b"")
            at, whole = 6, size <= len(raw)
        elif protocol == TCP and len(raw) >= 20:
            length = (raw[12] >> 4) * 4
            if length < 20 or length > len(raw):
                return raw[:20]
            size, at, whole = len(raw), 16, not (lacking or more)
            done = raw[:length] + self._streams.payload(ends, raw, length, lacking, number, at_ns)
        else:
            return b""
        done = done.ljust(len(raw), b"\0")
        if self._book.noting or (protocol == UDP and raw[6:8] == b"\0\0"):
            return done
        if whole or more:  # of fragments behind the first one nothing is left that counts
            pseudo = _pseudo(ends[2], ends[3], protocol, size)
            fresh = _checksum(pseudo + done[:at] + b"\0\0" + done[at + 2 : size if whole else None])
            return done[:at] + (b"\xff\xff" if fresh == b"\0\0" and protocol == UDP else fresh) + done[at + 2 :]
        return done[:at] + _again(raw[at : at + 2], ends, raw, done, at) + done[at + 2 :]

    def _datagram(self, ports: bytes, ends: tuple[bytes, bytes, bytes, bytes], raw: bytes) -> bytes:
        source, destination = int.from_bytes(ports[:2], "big"), int.from_bytes(ports[2:], "big")
        book = self._book
        if {source, destination} & _DHCP and len(ends[0]) == 4:
            return book.secret(dhcp4(book, raw))
        if {source, destination} & _DHCP6:
            return book.secret(dhcp6(book, raw))
        asked = destination == _TFTP and raw[:2] in (b"\0\1", b"\0\2")
        if asked:
            self._asking.add(ends[0] + ports[:2])
        ours = asked or ends[0] + ports[:2] in self._asking or ends[1] + ports[2:] in self._asking
        return self._tftp(raw, ours)

    def _tftp(self, raw: bytes, ours: bool) -> bytes:
        """RFC 1350. Where nobody has asked it may be anything: only that it looks like TFTP is kept."""
        op, book = raw[:2], self._book
        if op in (b"\0\1", b"\0\2") and ours:
            name, _, rest = raw[2:].partition(b"\0")
            return book.secret(op + book.text(name) + raw[2 + len(name) : len(raw) - len(rest)] + rest)
        if op == b"\0\3":
            return raw[:4] + book.shape(raw[4:])
        if op == b"\0\5":
            return raw[:4] + (book.text(raw[4:]) if ours else book.shape(raw[4:]))
        if (op == b"\0\4" and len(raw) == 4) or (op == b"\0\6" and ours):
            return raw
        return bytes(len(raw))


def _icmp(raw: bytes) -> bytes:
    """What it says stays, not about whom."""
    done = (raw[:2] + b"\0\0" + raw[4:8]).ljust(len(raw), b"\0")
    return done[:2] + _checksum(done) + done[4:]


def _pseudo(source: bytes, destination: bytes, protocol: int, size: int) -> bytes:
    return source + destination + struct.pack("!II", size, protocol)


def _sum(data: bytes) -> int:
    """Ones' complement (RFC 1071): what is congruent modulo 65 535 need not be added word by word."""
    return int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF


def _checksum(data: bytes) -> bytes:
    return (0xFFFF - _sum(data)).to_bytes(2, "big")


def _again(was: bytes, ends: tuple[bytes, bytes, bytes, bytes], raw: bytes, done: bytes, at: int) -> bytes:
    """Of a packet that was not recorded whole: what has changed is taken off and added (RFC 1624)."""
    before = _sum(ends[0] + ends[1]) + _sum(raw[:at] + b"\0\0" + raw[at + 2 :])
    after = _sum(ends[2] + ends[3]) + _sum(done[:at] + b"\0\0" + done[at + 2 :])
    return (0xFFFF - (0xFFFF - int.from_bytes(was, "big") - before + after) % 0xFFFF).to_bytes(2, "big")
