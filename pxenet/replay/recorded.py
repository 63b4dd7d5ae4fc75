"""What a replay needs of a captured boot: the DHCP messages both ways, and the files that were asked for, with what became of them.

The one place that knows how a capture is dissected. Times count in seconds from the capture's first packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pxenet.capture import dissect
from pxenet.capture.boots import ArpStep, Boot, DhcpStep, HttpRequest, Step, Transfer
from pxenet.wire import tftp
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import BOOTREQUEST
from pxenet.wire.text import address_text

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DhcpSaid:
    """One DHCP message over IPv4."""

    at_s: float
    message: Message
    payload: bytes
    source: int
    source_port: int
    destination: int
    destination_port: int

    @property
    def of_client(self) -> bool:
        """The machine said it (or its relay for it), not a server."""
        return self.message.op == BOOTREQUEST


@dataclass(frozen=True, slots=True)
class FileAsked:
    """One file that the captured machine asked for."""

    at_s: float
    url: str
    """``tftp://10.77.0.1/name``, with the name as it was spelled; or the URL."""
    method: str
    """``RRQ``, or of HTTP."""
    asked: Pairs = ()
    """TFTP options of the request; of HTTP the request's headers."""
    granted: Pairs = ()
    """TFTP options of the OACK."""
    status: int = 0
    """Of HTTP; 0: not recorded."""
    failure: str = ""
    """The server's ERROR; empty when there was none."""
    aborted: bool = False
    """The client ended it: EDK2's question for the size."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One captured boot."""

    capture: str
    """The file's name, for people."""
    number: int
    """Among the boots of its capture, from 1."""
    mac: bytes
    began_s: float
    dhcp: tuple[DhcpSaid, ...]
    files: tuple[FileAsked, ...]
    over_ipv6: bool = False
    """Something of it was said over IPv6, which is left out."""

    @property
    def requests(self) -> tuple[DhcpSaid, ...]:
        """What the machine said."""
        return tuple(said for said in self.dhcp if said.of_client)

    @property
    def replies(self) -> tuple[DhcpSaid, ...]:
        """What it was told."""
        return tuple(said for said in self.dhcp if not said.of_client)


def read(path: Path) -> list[Recorded]:
    """The boots of a capture. Raises CaptureError and OSError as ``capture.dissect.read`` does."""
    capture = dissect.read(path)
    return [_recorded(path.name, number, boot, capture.began_at) for number, boot in enumerate(capture.boots, 1)]


def _recorded(name: str, number: int, boot: Boot, began_at: float) -> Recorded:
    steps = [step for step in boot.steps if step.packet.version == 4 and not isinstance(step, ArpStep)]
    said = tuple(_said(step, began_at) for step in steps if isinstance(step, DhcpStep))
    files = tuple(_files(steps, began_at))
    first = min((step.at for step in steps), default=boot.steps[0].at)
    return Recorded(name, number, boot.hardware, first - began_at, said, files, len(steps) < len(boot.steps))


def _said(step: DhcpStep, began_at: float) -> DhcpSaid:
    packet = step.packet
    return DhcpSaid(
        step.at - began_at, step.message, packet.payload,
        packet.source, packet.source_port, packet.destination, packet.destination_port,
    )  # fmt: skip


def _files(steps: Sequence[Step], began_at: float) -> Iterator[FileAsked]:
    for step in steps:
        at_s = step.at - began_at
        if isinstance(step, Transfer):
            answer = step.answer
            yield FileAsked(
                at_s,
                f"tftp://{address_text(step.packet.destination)}/{step.request.filename}",
                step.request.op.name,
                step.request.options,
                answer.options if isinstance(answer, tftp.Oack) else (),
                failure=f"TFTP error {answer.code}: {answer.text}" if isinstance(answer, tftp.Error) else "",
                aborted=step.abort is not None,
            )
        elif isinstance(step, HttpRequest):
            yield _fetched(step, at_s)


def _fetched(step: HttpRequest, at_s: float) -> FileAsked:
    lines = step.head.decode("latin-1").split("\r\n")
    method, _, target = lines[0].rpartition(" ")[0].partition(" ")
    headers = tuple(
        (name, value.strip()) for name, colon, value in (line.partition(":") for line in lines[1:]) if colon
    )
    host = next((value for name, value in headers if name.lower() == "host"), address_text(step.packet.destination))
    number = step.status_code or 0
    url = target if "://" in target else f"http://{host}{target}"
    return FileAsked(
        at_s, url, method, headers, status=number, failure=f"HTTP status {number}" if number >= 400 else ""
    )
