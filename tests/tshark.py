"""A second opinion on what we put on the wire: tshark's.

    opinions = tshark.decode([(67, 68, payload), (69, 3000, payload)])

Each payload goes into a UDP datagram between these ports (source, destination), all into one capture, and tshark says of each
what protocol it sees, whether it is malformed, and which expert notes it makes. TFTP is recognised on port 69 only: give 69 as
the server's port, whatever TID was used.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import needs

from pxenet.capture.frames import Packet, serialize_udp
from pxenet.capture.pcap import Writer

installed = needs.tool("tshark")
"""Mark of every test that calls ``decode``."""

_SEVERITIES = {0x00800000: "error", 0x00600000: "warn", 0x00400000: "note", 0x00200000: "chat", 0x00100000: "comment"}
_FIELDS = ("frame.protocols", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message")
_BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What tshark says of one datagram."""

    protocol: str
    """The innermost protocol it recognised: ``dhcp``, ``tftp``, or ``data`` for none."""
    malformed: bool
    notes: tuple[tuple[str, str], ...]
    """(severity, message); severity is one of error, warn, note, chat."""

    def notes_of(self, *severities: str) -> list[str]:
        """The messages of these severities."""
        return [message for severity, message in self.notes if severity in severities]


def decode(payloads: Iterable[tuple[int, int, bytes]]) -> list[Opinion]:
    """tshark's opinion on each (source port, destination port, UDP payload), in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "payloads.pcap"
        with Writer(path) as writer:
            for number, (source_port, destination_port, payload) in enumerate(payloads):
                packet = Packet(0x0A000001, source_port, 0x0A000002, destination_port, payload)
                writer.write(float(number), serialize_udp(packet))
        return read(path)


def read(path: Path) -> list[Opinion]:
    """tshark's opinion on each frame of a capture file."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", f"aggregator={_BETWEEN}"]
    for field in _FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [_opinion(line) for line in done.stdout.split("\n")[:-1]]


def _opinion(line: str) -> Opinion:
    protocols, malformed, severities, messages = line.split("\t")
    names = [_SEVERITIES.get(int(severity, 0), severity) for severity in severities.split(_BETWEEN) if severity]
    notes = tuple(zip(names, messages.split(_BETWEEN), strict=True)) if names else ()
    return Opinion(protocols.rpartition(":")[2], bool(malformed), notes)
