"""What a network does to datagrams: loss, duplication, delay, reordering, corruption, MTU; reproducible from a seed.

Knows payloads as bytes only. A fault is decided per datagram and direction.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pxenet.sim.figures import Traffic

HEADERS_BYTES = 28
"""IPv4 and UDP."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The weather on a path. Shares are probabilities from 0 to 1."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    """Share of datagrams that are held back so that later ones overtake them."""
    corruption: float = 0.0
    """Share in which bits flip."""
    delivers_corrupted: bool = False
    """Damaged datagrams arrive all the same; else the UDP checksum catches them, and they are lost (RFC 1122 §4.1.3.4)."""
    delay_s: tuple[float, float] = (0.0001, 0.0002)
    """Shortest and longest, of what is not held back; a switched network takes about this long."""
    held_s: float = 0.02
    """How much longer a datagram takes that is held back."""
    mtu: int = 1500
    """Bytes of an IPv4 packet; larger ones do not arrive."""


CALM = Faults()

STILL = Faults(delay_s=(0.00015, 0.00015))
"""Nothing happens to datagrams, and none overtakes another: windows can be carried in one step, see ``Link``."""

_SHARES = ("loss", "duplication", "reordering", "corruption")
_SHARE = re.compile(r"[0-9]*\.?[0-9]+")


def parse_faults(text: str) -> Faults:
    """``loss=0.05,duplication=0.05,mtu=1400``; "" for none. Raises ValueError, saying what would be right."""
    shares = dict.fromkeys(_SHARES, 0.0)
    mtu = CALM.mtu
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, value = part.partition("=")
        if name == "mtu" and value.isascii() and value.isdecimal():
            mtu = int(value)
        elif name in shares and _SHARE.fullmatch(value) and float(value) <= 1:
            shares[name] = float(value)
        else:
            right = ", ".join(f"{known}=0.05" for known in _SHARES)
            raise ValueError(f"{part} is no fault; write {right} or mtu=1400")
    return Faults(shares["loss"], shares["duplication"], shares["reordering"], shares["corruption"], mtu=mtu)


class Weather:
    """Applies faults, and counts them."""

    __slots__ = ("_random", "traffic")

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.traffic = Traffic()

    def carry(self, payload: bytes, faults: Faults) -> Iterator[tuple[float, bytes]]:
        """What becomes of one datagram: (delay, payload) of each copy that arrives."""
        traffic, rng = self.traffic, self._random
        traffic.sent += 1
        if len(payload) + HEADERS_BYTES > faults.mtu:
            traffic.too_large += 1
            return
        copies = 1
        if faults.duplication and rng.random() < faults.duplication:
            traffic.duplicated += 1
            copies = 2
        for _ in range(copies):
            if faults.loss and rng.random() < faults.loss:
                traffic.lost += 1
                continue
            arrives = payload
            if faults.corruption and rng.random() < faults.corruption:
                traffic.corrupted += 1
                if not faults.delivers_corrupted:
                    continue
                arrives = self._damaged(payload)
            low, high = faults.delay_s
            delay = low + rng.random() * (high - low)
            if faults.reordering and rng.random() < faults.reordering:
                traffic.reordered += 1
                delay += faults.held_s
            yield delay, arrives

    def recovery_s(self, faults: Faults) -> float:
        """How much longer an exchange by TCP takes for what it loses: a SYN costs a second (RFC 6298 §2), data a fifth of one."""
        lost = faults.loss + faults.corruption
        if not lost:
            return 0.0
        return (1.0 if self._random.random() < lost else 0.0) + (0.2 if self._random.random() < lost else 0.0)

    def _damaged(self, payload: bytes) -> bytes:
        """One to eight bits are flipped; now and then the end is missing too."""
        rng = self._random
        damaged = bytearray(payload)
        for _ in range(rng.randint(1, 8)):
            if damaged:
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.1:
            del damaged[rng.randrange(len(damaged) + 1) :]
        return bytes(damaged)
