"""What a recording of the wire shows: when each machine did what, who asked for its answer file, and that the server spoke correctly.

Knows tshark's fields. tshark is the second opinion on every frame that the server under test sent.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_FIELDS = (
    "frame.number", "frame.time_epoch", "eth.src", "ip.src", "dhcp.option.dhcp", "dhcp.ip.your", "tftp.opcode", "tftp.source_file",
    "http.request.uri", "tcp.stream", "_ws.expert.severity", "_ws.expert.group", "_ws.expert.message",
)  # fmt: skip
_FILTER = "dhcp or tftp.opcode == 1 or http.request or _ws.malformed or _ws.expert.severity >= warning"
_WARNING, _ERROR = 0x600000, 0x800000  # wireshark/epan/proto.h PI_WARN, PI_ERROR
_SEPARATOR = "\x1f"  # between several values of one field: texts have commas

_SEQUENCE = 0x2000000  # PI_SEQUENCE

# Warnings that are not faults, and why. Nor are those about the sequence of a TCP connection (a full window, a repeated
# segment, a reset): the kernel makes it, together with a machine that is slow, loses frames or is switched off.
ALLOWED_WARNINGS = {
    "TFTP ERROR": "tshark marks every ERROR packet: a file that a loader looks for and that does not exist",
    "New fragment overlaps old data (retransmission?)": "the kernel's TCP repeats what a slow machine lost",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame worth telling."""

    number: int
    at: float
    """Seconds since the epoch."""
    mac: str
    """The sender's hardware address."""
    address: str
    """The sender's IPv4 address."""
    is_dhcp: bool
    reads: str
    """What it asks for by TFTP or HTTP, as it spells it; or nothing."""
    gives: str
    """The address that a DHCP answer gives away, or nothing."""
    complaints: tuple[tuple[int, str], ...]
    """tshark's notes: severity and text, without those about the sequence of a TCP connection."""


class Recording:
    """The frames of one recording that matter, in order."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        self.seen = tuple(seen)

    def first_dhcp_at(self, mac: str, since_at: float) -> float | None:
        """When ``mac`` first spoke DHCP after ``since_at``."""
        return next((s.at for s in self.seen if s.mac == mac and s.is_dhcp and s.at >= since_at), None)

    def first_read_at(self, mac: str, since_at: float) -> float | None:
        """When ``mac`` first asked for a file (its boot loader) after ``since_at``."""
        return next((s.at for s in self.seen if s.mac == mac and s.reads and s.at >= since_at), None)

    def reads(self, mac: str, since_at: float, until_at: float) -> list[str]:
        """What ``mac`` asked for, in order."""
        return [s.reads for s in self.seen if s.mac == mac and s.reads and since_at <= s.at <= until_at]

    def was_read_by(self, uri: str, mac: str, address: str) -> bool:
        """Whether the machine itself, from its own address, asked for ``uri``."""
        return any(s.mac == mac and s.address == address and s.reads == uri for s in self.seen)

    def given_by(self, address: str) -> list[str]:
        """The addresses that the DHCP server at ``address`` gave away."""
        return [s.gives for s in self.seen if s.address == address and s.gives]

    def faults_of(self, address: str) -> list[str]:
        """What is wrong with frames sent from ``address``: errors, and warnings that are not on the list."""
        return [
            f"frame {s.number}: {text}"
            for s in self.seen
            if s.address == address
            for severity, text in s.complaints
            if severity >= _ERROR
            or (severity == _WARNING and not any(text.startswith(known) for known in ALLOWED_WARNINGS))
        ]


def read(recording: Path) -> Recording:
    """Let tshark read a recording. Raises RuntimeError when it cannot."""
    fields = [word for name in _FIELDS for word in ("-e", name)]
    argv = ["tshark", "-n", "-r", str(recording), "-Y", _FILTER, "-T", "fields", "-E", "separator=/t", *fields]
    done = subprocess.run(
        [*argv, "-E", f"aggregator={_SEPARATOR}"], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise RuntimeError(f"tshark cannot read {recording}: {done.stderr.strip()}")
    return Recording(parse(done.stdout.splitlines()))


def parse(lines: Sequence[str]) -> Iterator[Seen]:
    """tshark's lines of fields as values."""
    for line in lines:
        number, at, mac, address, dhcp, yiaddr, opcode, file, uri, stream, *expert = line.split("\t")
        severities, groups, texts = (field.split(_SEPARATOR) for field in expert)
        complaints = tuple(
            (int(severity), text)
            for severity, group, text in zip(severities, groups, texts, strict=False)
            if severity and not (stream and int(group) == _SEQUENCE and int(severity) < _ERROR)
        )
        reads = uri or (file if opcode == "1" else "")
        gives = "" if yiaddr == "0.0.0.0" else yiaddr
        # an ICMP error quotes the packet it is about: the first address is the sender's
        sender = address.split(_SEPARATOR)[0]
        yield Seen(int(number), float(at), mac, sender, bool(dhcp), reads, gives, complaints)
