"""Captures taken apart: ``pxenet look`` beside tshark, which prints the same fields of every packet of the same file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import busy
from bench.generator import Load, LoadError
from bench.row import Figure, Place, Row, Sample, Target
from bench.run import SERVER_CORE
from bench.servers import PXENET, Server, at_path

MIB = 1 << 20

FIELDS = (
    "frame.number", "frame.time_epoch", "frame.len", "eth.src", "eth.dst", "ip.src", "ip.dst", "udp.srcport", "udp.dstport",
    "tcp.srcport", "tcp.dstport", "dhcp.type", "dhcp.id", "dhcp.hw.mac_addr", "dhcp.ip.your", "dhcp.option.dhcp",
    "dhcp.option.vendor_class_id", "tftp.opcode", "tftp.source_file", "tftp.block", "tftp.option.name", "tftp.option.value",
    "http.request.method", "http.request.uri", "http.response.code", "http.content_length",
)  # fmt: skip
"""What a boot is told by: all of it is in what ``look`` says of one."""

_QUICK = ("-o", "http.desegment_body:FALSE")
"""Else tshark keeps every body until it is whole, and takes five times as long."""


def _look(root: Path, work: Path) -> list[list[str]]:
    return [[sys.executable, "-m", "pxenet", "look", str(root / "busy.pcap"), "--json"]]


def _tshark(root: Path, work: Path) -> list[list[str]]:
    fields = [word for name in FIELDS for word in ("-e", name)]
    return [[at_path("tshark"), "-n", "-r", str(root / "busy.pcap"), "-T", "fields", *fields, *_QUICK]]


LOOK = replace(PXENET, commands=_look, settings="look --json")
TSHARK = Server(
    "tshark",
    "tshark",
    "tshark",
    _tshark,
    ("--version",),
    r"TShark \(Wireshark\) ([\d.]+)",
    f"-n -T fields, {len(FIELDS)} of them, bodies not put together",
)


@dataclass(slots=True)
class Reading:
    """One file of so many MiB, with everything in it that a busy rack says."""

    size_mib: int
    packets: int = 0
    machines: int = 0

    @property
    def servers(self) -> Sequence[Server]:
        """Both."""
        return [LOOK, TSHARK]

    def prepare(self, place: Place) -> None:
        """Writes the file."""
        self.packets, self.machines = busy.write(place.root / "busy.pcap", self.size_mib * MIB)

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """One run; nothing but a line for each packet, or each boot, is right."""
        (command,) = server.commands(place.root, work)
        out = work / "output"
        began_at = time.monotonic()
        with out.open("wb") as file, subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL
        ) as process:  # fmt: skip
            _, status, used = os.wait4(process.pid, 0)  # the one that tells what it used
            process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - began_at
        if process.returncode:
            raise LoadError(f"it ended with {process.returncode}")
        expected = self.machines if server is LOOK else self.packets
        found = boots(out) if server is LOOK else lines(out)
        if found != expected:
            raise LoadError(f"it found {found}, not {expected}")
        load = Load(wall_s, 0.0, self.size_mib * MIB, 0, self.packets, 0, 0, "")
        return Sample(load, used.ru_utime + used.ru_stime, {"peak MiB": used.ru_maxrss / 1024})


def boots(out: Path) -> int:
    """How many ``look`` told of."""
    return len(json.loads(out.read_text())["boots"])


def lines(out: Path) -> int:
    """How many were printed."""
    with out.open("rb") as file:
        return sum(1 for _ in file)


ROWS = (
    Row(
        "dissect a capture of 1 GiB",
        Reading(1024),
        (
            Figure("packets/CPU s", lambda sample: sample.done_per_cpu_s, (Target("tshark", 1.5), Target("", 150_000))),
            Figure("peak MiB", lambda sample: sample.more["peak MiB"], (Target("", most=256),)),
        ),
    ),
)
