"""Capture files by dpkt: the plain path that ``reading`` must equal where dpkt can read, and a writer. The one place that knows dpkt.

Only Ethernet captures with times of one resolution are understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import dpkt

from pxenet.capture.reading import CaptureError

_SNAPLEN = 262144


def read(path: Path) -> Iterator[tuple[float, bytes]]:
    """(time in seconds since the epoch, Ethernet frame) for each packet of a pcap or pcapng file, in the file's order.

    CaptureError: the file is no capture, is damaged, or of another link type. OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        try:
            reader = dpkt.pcap.UniversalReader(file)
            if reader.datalink() != dpkt.pcap.DLT_EN10MB:
                raise CaptureError(
                    f"{path}: link type {reader.datalink()}; only Ethernet (1) can be read, not e.g. -i any"
                )
            for at, frame in reader:
                yield float(at), bytes(frame)
        except (ValueError, dpkt.dpkt.Error) as error:
            raise CaptureError(f"{path}: not a pcap or pcapng file, or damaged: {error}") from error


class Writer:
    """Writes Ethernet frames to a pcap file with times in microseconds; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._writer = dpkt.pcap.Writer(self._file, snaplen=_SNAPLEN, linktype=dpkt.pcap.DLT_EN10MB)

    def write(self, at: float, frame: bytes) -> None:
        """One frame, at this many seconds since the epoch."""
        self._writer.writepkt(frame, ts=at)

    def flush(self) -> None:
        """Hand over to the kernel what has been written, so that a reader of the growing file sees it."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
