"""Other names: of the same length in bytes and as text, the same for the same original, and none that is an original itself.

Addresses are taken apart (octets of IPv4, groups of IPv6, bytes of hardware addresses); what shares a beginning shares one afterwards,
so networks stay networks. A part becomes another one of as many digits, zero and 255 stay what they are. So no text changes its
length, and nothing that carries addresses needs to be moved. Must not know packets.
"""

from __future__ import annotations

import hashlib
import hmac
import string
from collections.abc import Callable, Iterable
from random import Random

Parts = tuple[int, ...]


class Parted:
    """Replaces rows of numbers from the front: ``choices(parts before, part)`` are those that a part may become."""

    def __init__(self, chance: Random, choices: Callable[[Parts, int], Iterable[int]]) -> None:
        self._chance, self._choices = chance, choices
        self._turned: dict[Parts, Parts] = {(): ()}
        self._taken: dict[Parts, set[int]] = {}
        self._originals: set[Parts] = set()

    def note(self, parts: Parts) -> None:
        """An original: nothing may become it."""
        self._originals.update(parts[:size] for size in range(1, len(parts) + 1))

    def turned(self, parts: Parts) -> Parts:
        """What it becomes."""
        found = self._turned.get(parts)
        if found is None:
            before = self.turned(parts[:-1])
            found = self._turned[parts] = (*before, self._another(parts, before))
        return found

    def _another(self, parts: Parts, before: Parts) -> int:
        taken = self._taken.setdefault(parts[:-1], set())
        free = [one for one in self._choices(parts[:-1], parts[-1]) if one not in taken]
        fresh = [one for one in free if (*before, one) not in self._originals]
        other = [one for one in fresh or free if one != parts[-1]] or free
        found = self._chance.choice(other) if other else parts[-1]
        taken.add(found)
        return found


class Pseudonyms:
    """All of them, by one key: bytes that make the same replacements of the same originals."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.ipv4 = Parted(self._chance("ipv4"), _octets)
        self.ipv6 = Parted(self._chance("ipv6"), _groups)
        self.hardware = Parted(self._chance("hardware"), _bytes)
        self._words: dict[bytes, bytes] = {}
        self._used: set[bytes] = set()

    def word(self, original: bytes) -> bytes:
        """Letters become letters, digits digits; everything else stays. In lower case unless it was in upper."""
        low = original.lower()
        found = self._words.get(low)
        tries = 0
        while found is None or (found in self._used and low not in self._words and tries < 100):
            chance, tries = self._chance("word", low, tries), tries + 1
            found = bytes(map(ord, (_like(chance, chr(one)) for one in low)))
            if found == low:
                found = None if tries < 100 and any(chr(one).isalnum() for one in low) else low
        self._words[low] = found
        self._used.add(found)
        return found.upper() if original.isupper() else found

    def reserve(self, original: bytes) -> None:
        """An original: no word becomes it."""
        self._used.add(original.lower())

    def digits(self, original: bytes) -> bytes:
        """Hexadecimal digits, as many."""
        found = self._digest("digits", original.lower(), len(original)).hex()[: len(original)]
        return (found.upper() if original.isupper() else found).encode()

    def opaque(self, original: bytes) -> bytes:
        """As many bytes."""
        return self._digest("opaque", original, len(original))

    def _chance(self, *what: object) -> Random:
        return Random(self._digest("chance", repr(what).encode(), 32))

    def _digest(self, kind: str, what: bytes, size: int) -> bytes:
        return hashlib.shake_256(hmac.digest(self._key, kind.encode() + b"\0" + what, "sha256")).digest(size)


def _like(chance: Random, letter: str) -> str:
    for alphabet in (string.ascii_lowercase, string.digits):
        if letter in alphabet:
            return chance.choice(alphabet)
    return letter if letter < "\x80" else "?"


def _octets(before: Parts, part: int) -> Iterable[int]:
    """Private networks stay such, public ones too; loopback, multicast, link-local and what means nobody or all stay the same."""
    if not before:
        kept = part in (0, 10, 100, 127, 169, 172, 192) or part >= 224
        return (part,) if kept else (one for one in _as_wide(part, 224) if one not in (10, 100, 127, 169, 172, 192))
    if before[0] in (0, 127, 255) or 224 <= before[0] < 240 or part in (0, 255):
        return (part,)
    if before in ((169,), (192,)) and part in (254, 168):
        return (part,)
    if before == (172,) and 16 <= part < 32:
        return range(16, 32)
    return (one for one in _as_wide(part, 255) if (before, one) not in (((192,), 168), ((169,), 254)))


def _as_wide(part: int, end: int) -> Iterable[int]:
    first = 100 if part >= 100 else 10 if part >= 10 else 1
    return range(first, min(first * 10, end))


def _groups(before: Parts, part: int) -> Iterable[int]:
    """What kind of address it is stays: the first two digits of unique-local ones, all of link-local and multicast prefixes."""
    if part == 0 or (before and before[0] >= 0xFF00) or (not before and part >= 0xFE00):
        return (part,)
    if not before and 0xFC00 <= part < 0xFE00:
        return range(part & 0xFF00, (part & 0xFF00) + 0x100)
    if not before:
        return (one for one in range(0x2400, 0x2C00)) if part >= 0x1000 else (part,)
    if before == (0, 0, 0, 0, 0, 0, 0) and part == 1:
        return (part,)
    first = 0x1000 if part >= 0x1000 else 0x100 if part >= 0x100 else 0x10 if part >= 0x10 else 1
    return range(first, first * 16)


def _bytes(before: Parts, part: int) -> Iterable[int]:
    """The two bits of the first byte that tell groups, and addresses that somebody gave, stay."""
    if part == 0:
        return (0,)
    low = part < 0x10
    choices = range(1, 0x10) if low else range(0x10, 0x100)
    return choices if before else (one for one in choices if one & 3 == part & 3)
