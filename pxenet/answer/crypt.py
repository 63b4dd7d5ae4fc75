"""SHA-512 crypt, the ``$6$`` of crypt(5), as ``openssl passwd -6`` makes it: people type passwords, and installers read hashes.

Source: U. Drepper, "Unix crypt using SHA-256 and SHA-512" (0.6). Knows no randomness: the salt is an argument.
"""

from __future__ import annotations

import hashlib

SALT_CHARACTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Of which a salt consists; in the order of their values, for they spell the digest too."""

SALT_LENGTH = 16

_ROUNDS = 5000

_ORDER = tuple(((0, 21, 42)[group % 3 :] + (0, 21, 42)[: group % 3], group) for group in range(21))
"""Which bytes of the digest stand together: each group begins with another third."""


def sha512_crypt(password: str, salt: str) -> str:
    """The hash of a password. Raises ValueError for a salt of other characters or lengths than 1 to 16."""
    if not 1 <= len(salt) <= SALT_LENGTH or not set(salt) <= set(SALT_CHARACTERS):
        raise ValueError(f"{salt!r} is no salt")
    word, grain = password.encode(), salt.encode()
    inner = hashlib.sha512(word + grain + word).digest()
    mixed = word + grain + _filled(inner, len(word))
    length = len(word)
    while length:
        mixed += inner if length & 1 else word
        length >>= 1
    digest = hashlib.sha512(mixed).digest()
    words = _filled(hashlib.sha512(word * len(word)).digest(), len(word))
    grains = _filled(hashlib.sha512(grain * (16 + digest[0])).digest(), len(grain))
    for number in range(_ROUNDS):
        part = words if number & 1 else digest
        part += (grains if number % 3 else b"") + (words if number % 7 else b"")
        digest = hashlib.sha512(part + (digest if number & 1 else words)).digest()
    return f"$6${salt}${_spelled(digest)}"


def _filled(block: bytes, length: int) -> bytes:
    """The block repeated to that length."""
    return (block * (length // len(block) + 1))[:length]


def _spelled(digest: bytes) -> str:
    """Three bytes are four characters, the lowest bits first."""
    text = ""
    for starts, group in _ORDER:
        first, second, third = (digest[start + group] for start in starts)
        text += _characters(first << 16 | second << 8 | third, 4)
    return text + _characters(digest[63], 2)


def _characters(value: int, count: int) -> str:
    return "".join(SALT_CHARACTERS[value >> 6 * position & 63] for position in range(count))
