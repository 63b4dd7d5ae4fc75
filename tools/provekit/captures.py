"""Garbage for the readers of captures: frames as they were recorded and damaged ones, in files of every form, which are damaged too."""

from __future__ import annotations

import gzip
import io
import struct
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from provekit.corpus import CAPTURES
from provekit.mutate import Mutator
from pxenet.capture import dissect, pcap
from pxenet.capture.frames import ETHERNET
from pxenet.capture.reading import CaptureError, CaptureReader
from pxenet.capture.text import capture_text
from pxenet.look.report import report_lines

_BEGAN_S = 1_800_000_000
_JUMPS = 0.02
_DAMAGED_FRAME, _DAMAGED_FILE = 0.3, 0.3
_TOKENS = (
    b"\x08\x00",
    b"\x81\x00",
    b"\x88\xa8",
    b"\x86\xdd",
    b"\x08\x06",
    b"\xff" * 4,
    b"\x00\x45\x00\x43",
    b"\x63\x82\x53\x63",
)
"""What tells readers how to go on: Ethernet types, ports of DHCP and TFTP, DHCP's cookie."""


@cache
def _recorded() -> tuple[bytes, ...]:
    """All Ethernet frames of the repository's captures, in their order."""
    found = []
    for path in (*sorted(CAPTURES.glob("*.pcap")), *sorted(CAPTURES.glob("made/*.pcap"))):
        if int.from_bytes(path.read_bytes()[20:24], "little") == ETHERNET:
            found += [frame for _, frame in pcap.read(path)]
    return tuple(found)


class CaptureTarget:
    """Takes frames, makes a file of each portion, and has it read, taken apart and told."""

    def __init__(self, directory: Path, chance: Random) -> None:
        self._chance = chance
        self._mutator = Mutator(_recorded(), _TOKENS, chance)
        self._at = 0
        self.count: Counter[str] = Counter()

    def make(self) -> bytes:
        """The next frame of a capture, or one that was damaged; now and then of another place."""
        frames, random = _recorded(), self._chance.random
        self._at = int(random() * len(frames)) if random() < _JUMPS else (self._at + 1) % len(frames)
        frame = frames[self._at]
        return self._mutator.damaged(frame) if random() < _DAMAGED_FRAME else frame

    def take(self, packets: list[bytes]) -> None:
        """Feed these."""
        data = self._chance.choice(_FORMS)(packets)
        if self._chance.random() < _DAMAGED_FILE:
            data = self._mutator.damaged(data)
        self.count["files"] += 1
        try:
            found = dissect.dissect(CaptureReader(io.BytesIO(data), "garbage"))
        except CaptureError:
            self.count["files refused"] += 1
            return
        capture_text(found)
        list(report_lines(found))
        self.count["frames read"] += found.counts.packets
        self.count["frames malformed"] += found.counts.malformed
        self.count["boots"] += len(found.boots)

    def done(self) -> Counter[str]:
        """What became of all of them."""
        return self.count


def _pcap(order: str, magic: int) -> Callable[[list[bytes]], bytes]:
    def made(packets: list[bytes]) -> bytes:
        head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, ETHERNET)
        records = (
            struct.pack(order + "IIII", _BEGAN_S + number, 7, len(packet), len(packet)) + packet
            for number, packet in enumerate(packets)
        )
        return head + b"".join(records)

    return made


def _pcapng(order: str) -> Callable[[list[bytes]], bytes]:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    def made(packets: list[bytes]) -> bytes:
        section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
        interface = block(1, struct.pack(order + "HHI", ETHERNET, 0, 0))
        blocks = []
        for number, packet in enumerate(packets):
            at_us = (_BEGAN_S + number) * 10**6
            head = struct.pack(order + "IIIII", 0, at_us >> 32, at_us & 0xFFFFFFFF, len(packet), len(packet))
            blocks.append(block(6, head + packet))
        return section + interface + b"".join(blocks)

    return made


_PCAP = _pcap("<", 0xA1B2C3D4)
_FORMS: tuple[Callable[[list[bytes]], bytes], ...] = (
    _PCAP,
    _pcap(">", 0xA1B2C3D4),
    _pcap("<", 0xA1B23C4D),
    _pcapng("<"),
    _pcapng(">"),
    lambda packets: gzip.compress(_PCAP(packets), 1, mtime=0),
)
