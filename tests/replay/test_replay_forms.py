"""Captures of other forms than the repository's: what is replayed does not depend on how it was recorded."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

from pxenet.capture.reading import CaptureReader, open_capture
from pxenet.replay.run import boots_of

CAPTURE = Path(__file__).resolve().parents[2] / "captures" / "uefi-pxe-grub.pcap"


def as_pcapng(path: Path, target: Path) -> None:
    """The same packets, as seen by ``-i any``: Linux cooked v1, in a pcapng file packed by gzip."""
    blocks = [struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)]
    blocks.append(struct.pack("<IIHHIHHB3xHHI", 1, 32, 113, 0, 0, 9, 1, 9, 0, 0, 32))
    with open_capture(path) as reader:
        assert isinstance(reader, CaptureReader)
        for at_ns, _, _, buffer, start, end, wire in reader:
            frame = buffer[start:end]
            data = bytes.fromhex("000000010006") + frame[6:12] + bytes(2) + frame[12:]
            size = 32 + len(data) + -len(data) % 4
            head = struct.pack("<IIIIIII", 6, size, 0, at_ns >> 32, at_ns & 0xFFFFFFFF, len(data), wire + 2)
            blocks.append(head + data + bytes(-len(data) % 4) + struct.pack("<I", size))
    target.write_bytes(gzip.compress(b"".join(blocks)))


def test_another_form_is_the_same_boot(tmp_path: Path) -> None:
    """Linux cooked packets in a pcapng file packed by gzip come to the same boot."""
    other = tmp_path / "boot.pcapng.gz"
    as_pcapng(CAPTURE, other)
    (ours,), (plain,) = boots_of(other), boots_of(CAPTURE)
    assert ours.mac == plain.mac
    assert [said.payload for said in ours.dhcp] == [said.payload for said in plain.dhcp]
    assert [file.url for file in ours.files] == [file.url for file in plain.files]
