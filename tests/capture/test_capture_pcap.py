"""Capture files: what is written is read again, and what is no capture is named."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pxenet.capture import pcap
from pxenet.capture.pcap import Writer
from pxenet.capture.reading import CaptureError

FRAMES = [(1700000000.0, b"a" * 60), (1700000000.25, b"b" * 1514), (1700000001.5, b"")]


def test_written_is_read(tmp_path: Path) -> None:
    """Frames and times survive; the file is complete after each flush."""
    path = tmp_path / "x.pcap"
    with Writer(path) as writer:
        for at, frame in FRAMES:
            writer.write(at, frame)
        writer.flush()
        assert list(pcap.read(path)) == FRAMES
    assert list(pcap.read(path)) == FRAMES


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a pcap"),
        (b"nonsense" * 10, "not a pcap"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 113), "link type 113"),
    ],
    ids=["empty", "nonsense", "not Ethernet"],
)
def test_no_capture(tmp_path: Path, data: bytes, reason: str) -> None:
    """The error names the file and what is wrong."""
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=reason) as caught:
        list(pcap.read(path))
    assert str(path) in str(caught.value)


def test_cut_short(tmp_path: Path) -> None:
    """A capture whose writer was killed is read as far as it goes, or refused by name; nothing else happens."""
    path = tmp_path / "x.pcap"
    with Writer(path) as writer:
        for at, frame in FRAMES:
            writer.write(at, frame)
    whole = path.read_bytes()
    for size in range(24, len(whole)):
        path.write_bytes(whole[:size])
        try:
            read = list(pcap.read(path))
        except CaptureError:
            continue
        assert [at for at, _ in read] == [at for at, _ in FRAMES[: len(read)]]
