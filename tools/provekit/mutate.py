"""Damage to packets, by a seed: what noise, broken firmware and ill will make of real ones.

Knows bytes only. Speed matters: a proof makes ten million of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

_NUMBERS = tuple(
    number.to_bytes(size, "big")
    for size in (1, 2, 4)
    for number in (0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1)
)
"""Where counters and lengths turn over."""

_ROUNDS = (1, 1, 1, 1, 2, 2, 3, 5, 9)
_LONGEST = 2000


class Mutator:
    """Makes others out of the packets of ``corpus``; ``tokens`` are pieces with a meaning."""

    def __init__(self, corpus: Sequence[bytes], tokens: Sequence[bytes], chance: Random) -> None:
        self._corpus = corpus
        self._tokens = tokens
        self._chance = chance
        self._random = chance.random

    def next(self) -> bytes:
        """Another one."""
        random, corpus = self._random, self._corpus
        return self.damaged(corpus[int(random() * len(corpus))])

    def damaged(self, packet: bytes) -> bytes:
        """A packet, changed in one place or several."""
        random = self._random
        data = bytearray(packet)
        for _ in range(_ROUNDS[int(random() * len(_ROUNDS))]):
            size = len(data)
            at = int(random() * (size + 1))
            way = int(random() * 12)
            if way < 3 and at < size:
                data[at] ^= 1 << int(random() * 8)
            elif way < 5 and at < size:
                data[at] = int(random() * 256)
            elif way == 5:
                number = _NUMBERS[int(random() * len(_NUMBERS))]
                data[at : at + len(number)] = number
            elif way == 6:
                del data[at : at + 1 + int(random() * 16)]
            elif way == 7:
                del data[at:]
            elif way == 8:
                data[at:at] = self._chance.randbytes(int(random() * 12))
            elif way == 9:
                data[at:at] = data[at : at + int(random() * 64)]
            elif way == 10:
                token = self._tokens[int(random() * len(self._tokens))]
                data[at : at + len(token) * (random() < 0.5)] = token
            else:
                other = self._corpus[int(random() * len(self._corpus))]
                data[at:] = other[int(random() * (len(other) + 1)) :]
        return bytes(data[:_LONGEST])
