"""What is found, and what it becomes: first everything is noted, then everything is replaced, by the same walk through the packets.

While ``noting``, each method gives back what it got. Afterwards it gives what takes its place. Must not know packets.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable

from scrubkit.pseudonyms import Pseudonyms

_FILLERS = frozenset({bytes(16), b"\xff" * 16})
_COMMON = frozenset(
    b"com org net edu gov int local localdomain localhost lan home internal arpa example test invalid www http https tftp".split()
)
"""Labels that name nobody."""

_HEX = rb"[0-9a-fA-F]"
_TEXT = re.compile(
    rb"(?P<uuid>(?<![0-9a-zA-Z])%(h)b{8}(?:-%(h)b{4}){3}-%(h)b{12}(?![0-9a-zA-Z]))"
    rb"|(?P<kind>(?<![0-9a-zA-Z])0[16][-:])?(?P<mac>(?<![0-9a-zA-Z])%(h)b{2}(?:(?:-%(h)b{2}){5}|(?::%(h)b{2}){5})(?![0-9a-zA-Z]))"
    rb"|(?P<ipv4>(?<![0-9.a-zA-Z])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9a-zA-Z]))"
    rb"|\[(?P<ipv6>[0-9a-fA-F:]*:[0-9a-fA-F:]+)\]"
    rb"|(?P<digits>(?<![0-9a-zA-Z])%(h)b{8,}(?![0-9a-zA-Z]))" % {b"h": _HEX}
)
_HOST = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/@\s\0]*@)?([a-zA-Z0-9._-]+)")
_NAMED = re.compile(rb"(?:serial|asset|hostname|host|name|uuid|product)=([^&\s;\0\"']{2,64})", re.IGNORECASE)
_SEARCHED = re.compile(rb"(?<=/)[0-9A-F]{1,8}(?=\Z|[\s'\":,\0?])")
"""As pxelinux looks for its file: by its address in hexadecimal digits, and by ever less of them."""
_TOKEN_DIGITS = 16
"""So many hexadecimal digits in a row are no number: a token, or an identifier of somebody."""


class Book:
    """One capture's. ``secrets`` are further words that must not be left anywhere."""

    def __init__(self, key: bytes, secrets: tuple[bytes, ...] = ()) -> None:
        self.noting = True
        self._names = Pseudonyms(key)
        self._secrets = tuple(dict.fromkeys(secrets))
        self._found: dict[str, dict[bytes, bytes]] = {
            kind: {} for kind in ("hardware", "ipv4", "ipv6", "uuid", "name", "secret")
        }
        self._labels: re.Pattern[bytes] | None = None
        self._raw: re.Pattern[bytes] | None = None

    # -- by kind --------------------------------------------------------------------------------------------------------------

    def hardware(self, raw: bytes) -> bytes:
        """An Ethernet address. Groups stay, but for those in which a part of an IPv6 address stands."""
        if len(raw) != 6 or not any(raw) or raw == b"\xff" * 6:
            return raw
        if raw.startswith(b"\x33\x33\xff"):
            return raw[:3] + self._solicited(raw[3:])
        if raw[0] & 1:
            return raw
        return self._known("hardware", raw, self._hardware)

    def ipv4(self, raw: bytes) -> bytes:
        """An address of four bytes."""
        return raw if len(raw) != 4 or raw[0] in (0, 127) or raw[0] >= 224 else self._known("ipv4", raw, self._ipv4)

    def ipv6(self, raw: bytes) -> bytes:
        """An address of sixteen."""
        if raw.startswith(b"\xff\2" + bytes(9) + b"\1\xff"):
            return raw[:13] + self._solicited(raw[13:])
        if raw[:1] == b"\xff" or not any(raw[:15]):
            return raw
        return self._known("ipv6", raw, self._ipv6)

    def uuid(self, raw: bytes) -> bytes:
        """Sixteen bytes as they are in a packet. Fillers that many boards share stay."""
        if raw in _FILLERS or len(set(raw)) < 3:
            return raw
        if _swapped(raw) in self._found["uuid"]:  # SMBIOS swaps its first halves, not every firmware does
            return raw if self.noting else _swapped(self._found["uuid"][_swapped(raw)])
        return self._known("uuid", raw, self._names.opaque)

    def name(self, raw: bytes) -> bytes:
        """A host's or a domain's, or several in one; what is an address becomes one."""
        if self.noting and not _TEXT.fullmatch(raw.strip(b"\0")):
            for label in re.split(rb"[^a-zA-Z0-9_-]+", raw):
                if label.lower() not in _COMMON and re.search(rb"[a-zA-Z]", label):
                    self._known("name", label.lower(), self._names.word)
        return self.text(raw)

    def opaque(self, raw: bytes) -> bytes:
        """Whatever it means to somebody."""
        if self.noting:
            return raw
        return self._names.word(raw) if raw.isascii() and raw.decode().isprintable() else self._names.opaque(raw)

    # -- by search ------------------------------------------------------------------------------------------------------------

    def text(self, raw: bytes) -> bytes:
        """Text with anything in it."""
        if self.noting:
            for found in _TEXT.finditer(raw):
                self._in_text(found)
            for pattern in (_HOST, _NAMED):
                for found in pattern.finditer(raw):
                    self.name(found[1])
            return raw
        return self._words(_SEARCHED.sub(self._searched, _TEXT.sub(self._in_text, raw)))

    def anything(self, raw: bytes) -> bytes:
        """Anything that is not taken apart: what is known by now is replaced, as bytes and as text."""
        if not raw.translate(None, _PLAIN):
            return self.text(raw)
        if self.noting or self._raw is None:
            return self._words(raw)
        return self._words(self._raw.sub(lambda found: self._forms[found[0]], raw))

    def secret(self, raw: bytes) -> bytes:
        """Only the words that must not be left anywhere."""
        for word in () if self.noting else self._secrets:
            raw = re.sub(re.escape(word), lambda found: self._names.word(found[0]), raw, flags=re.IGNORECASE)
        return raw

    def shape(self, raw: bytes) -> bytes:
        """What was in a file: of text its shape, of anything else its length."""
        if self.noting:
            return raw
        return raw.translate(_SHAPE) if not raw.translate(None, _PLAIN) else bytes(len(raw))

    # -- in between, and afterwards -------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything is noted."""
        self.noting = False
        for raw in (*self._found["name"], *self._secrets):
            self._names.reserve(raw)
        makers = {
            "hardware": self._hardware, "ipv4": self._ipv4, "ipv6": self._ipv6, "uuid": self._names.opaque,
            "name": self._names.word,
        }  # fmt: skip
        for kind, make in makers.items():
            self._found[kind] = {raw: make(raw) for raw in sorted(self._found[kind])}
        self._found["secret"] = {raw: self._names.word(raw) for raw in self._secrets}
        kinds = ("uuid", "ipv6", "hardware", "ipv4")
        self._forms = {raw: other for kind in reversed(kinds) for raw, other in self._found[kind].items()}
        self._forms |= {_swapped(raw): _swapped(other) for raw, other in self._found["uuid"].items()}
        self._raw = _any(self._forms, b"", b"") if self._forms else None
        labels = self._found["name"]
        self._labels = _any(labels, rb"(?<![a-zA-Z0-9])", rb"(?![a-zA-Z0-9])", re.IGNORECASE) if labels else None

    def record(self) -> dict[str, dict[str, str]]:
        """Originals and what they have become, as people write them."""
        shown: dict[str, Callable[[bytes], str]] = {
            "hardware": lambda raw: raw.hex(":"),
            "ipv4": lambda raw: str(ipaddress.IPv4Address(raw)),
            "ipv6": lambda raw: str(ipaddress.IPv6Address(raw)),
            "uuid": lambda raw: str(uuid.UUID(bytes=raw)),
        }
        found = {}
        for kind, pairs in self._found.items():
            show = shown.get(kind, _as_text)
            found[kind] = {show(raw): show(other) for raw, other in pairs.items()}
        return found

    # -- inside ---------------------------------------------------------------------------------------------------------------

    def _known(self, kind: str, raw: bytes, make: Callable[[bytes], bytes]) -> bytes:
        if self.noting:
            if raw not in self._found[kind]:
                self._found[kind][raw] = raw
                if kind in ("hardware", "ipv4", "ipv6"):
                    getattr(self._names, kind).note(_parts(raw))
            return raw
        found = self._found[kind].get(raw)
        if found is None:
            found = self._found[kind][raw] = make(raw)
        return found

    def _hardware(self, raw: bytes) -> bytes:
        return bytes(self._names.hardware.turned(tuple(raw)))

    def _ipv4(self, raw: bytes) -> bytes:
        return bytes(self._names.ipv4.turned(tuple(raw)))

    def _ipv6(self, raw: bytes) -> bytes:
        parts = _parts(raw)
        if raw[11:13] == b"\xff\xfe":  # made of a hardware address (RFC 4291, appendix A)
            mac = bytes((raw[8] ^ 2,)) + raw[9:11] + raw[13:]
            other = self._found["hardware"].get(mac) or self._hardware(mac)
            front = b"".join(one.to_bytes(2, "big") for one in self._names.ipv6.turned(parts[:4]))
            return front + bytes((other[0] ^ 2,)) + other[1:3] + b"\xff\xfe" + other[3:]
        return b"".join(one.to_bytes(2, "big") for one in self._names.ipv6.turned(parts))

    def _solicited(self, tail: bytes) -> bytes:
        """The last three bytes of an address, by which its neighbours are asked (RFC 4291 §2.7.1)."""
        if self.noting:
            return tail
        for original, other in self._found["ipv6"].items():
            if original.endswith(tail):
                return other[13:]
        return self._names.opaque(tail)

    def _in_text(self, found: re.Match[bytes]) -> bytes:
        kind, raw = found.lastgroup, found[0]
        if kind == "mac":
            return (found["kind"] or b"") + _spelled(self.hardware(_unhex(found["mac"])), found["mac"])
        if kind == "uuid":
            return self._uuid_text(raw)
        if kind == "ipv4":
            parts = list(map(int, raw.split(b".")))
            return raw if max(parts) > 255 else b".".join(b"%d" % one for one in self.ipv4(bytes(parts)))
        if kind == "ipv6":
            return b"[" + self._ipv6_text(found["ipv6"]) + b"]"
        return self._digits(raw)

    def _uuid_text(self, raw: bytes) -> bytes:
        return _spelled(self.uuid(_unhex(raw)), raw)

    def _ipv6_text(self, raw: bytes) -> bytes:
        try:
            other = _parts(self.ipv6(ipaddress.IPv6Address(raw.decode()).packed))
        except ValueError:
            return raw
        front, _, back = raw.partition(b"::")
        ahead = [one for one in front.split(b":") if one]
        behind = [one for one in back.split(b":") if one]
        heads = (b"%0*x" % (len(one), part) for one, part in zip(ahead, other, strict=False))
        tails = (b"%0*x" % (len(one), part) for one, part in zip(behind, other[8 - len(behind) :], strict=True))
        return b":".join(heads) + (b"::" if b"::" in raw else b"") + b":".join(tails)

    def _digits(self, raw: bytes) -> bytes:
        known = {8: "ipv4", 12: "hardware", 32: "uuid"}.get(len(raw))
        if known == "uuid":
            return self._uuid_text(raw)
        if known and _unhex(raw) in self._found[known]:
            return _spelled(self._found[known][_unhex(raw)], raw)
        if len(raw) == 14 and _unhex(raw)[1:] in self._found["hardware"]:
            return raw[:2] + _spelled(self._found["hardware"][_unhex(raw)[1:]], raw[2:])
        return self._names.digits(raw) if len(raw) >= _TOKEN_DIGITS and not self.noting else raw

    def _searched(self, found: re.Match[bytes]) -> bytes:
        size = len(found[0])
        for original, other in self._found["ipv4"].items():
            if size < 8 and original.hex().upper().encode().startswith(found[0]):
                return other.hex().upper().encode()[:size]
        return found[0]

    def _words(self, raw: bytes) -> bytes:
        if self._labels is not None:
            raw = self._labels.sub(lambda found: self._names.word(found[0]), raw)
        return self.secret(raw)


_PLAIN = bytes(range(32, 127)) + b"\r\n\t"
_SHAPE = bytes(
    ord("x") if chr(one).islower() and one < 128 else ord("X") if chr(one).isupper() and one < 128 else
    ord("0") if 48 <= one < 58 else one for one in range(256)
)  # fmt: skip


def _as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _swapped(raw: bytes) -> bytes:
    return uuid.UUID(bytes=raw).bytes_le


def _parts(raw: bytes) -> tuple[int, ...]:
    if len(raw) != 16:
        return tuple(raw)
    return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, 16, 2))


def _unhex(raw: bytes) -> bytes:
    digits = raw.translate(None, b":-")
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def _spelled(raw: bytes, like: bytes) -> bytes:
    """In hexadecimal digits, with what stands between them, and in the case, of another one."""
    digits = iter(raw.hex().upper() if like.isupper() else raw.hex())
    return bytes(one if one in b":-" else ord(next(digits)) for one in like)


def _any(forms: dict[bytes, bytes], front: bytes, back: bytes, flags: int = 0) -> re.Pattern[bytes]:
    longest = sorted(forms, key=len, reverse=True)
    return re.compile(front + b"(?:" + b"|".join(map(re.escape, longest)) + b")" + back, flags | re.DOTALL)
