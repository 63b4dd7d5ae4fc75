"""TFTP: transfers side by side, alone, in windows, over a network that loses datagrams, and very many at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.generator import clients
from bench.process import Process
from bench.row import Figure, Place, Row, Sample, Target
from bench.run import LOAD_CORE, SERVER_CORE, wait_until
from bench.servers import ADDRESS, PXENET, TFTP_PEERS, Server
from bench.wire import slow

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class _Transfers:
    """A file of ``size`` bytes, read as the generator's ``options`` say."""

    size: int
    options: Mapping[str, object]
    peers_options: Mapping[str, object] | None = None
    """Other options for the peers, where they are compared without windows; empty: no peer is asked."""
    rate: str = ""
    """What the wire carries; empty: what it can."""

    @property
    def servers(self) -> Sequence[Server]:
        """Those that know windows, where windows are asked of them."""
        theirs = self.options if self.peers_options is None else self.peers_options
        if not theirs:
            return [PXENET]
        return [PXENET, *(each for each in TFTP_PEERS if "windowsize" not in theirs or each.knows_windows())]

    def prepare(self, place: Place) -> None:
        """The file, and a small one to see who is there."""
        (place.root / "file").write_bytes(os.urandom(self.size))
        (place.root / "small").write_bytes(b"ready?")

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """All transfers of one run."""
        options = self.options if server is PXENET or self.peers_options is None else self.peers_options
        with Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
            wait_until(process, lambda: serves_tftp(place))
            before_s, before_bytes = process.cpu_s(), process.peak_bytes()
            asked = {"server": ADDRESS, "name": "file", "expect": place.root / "file", **options}
            with slow(self.rate) if self.rate else nullcontext():
                load = clients("tftp", place.program, LOAD_CORE, asked)
            used_s, used_bytes = process.cpu_s() - before_s, process.peak_bytes() - before_bytes
        each = used_bytes / 1024 / ((load.complete + load.failed) or 1)
        return Sample(load, used_s, {"KiB each": each})


def serves_tftp(place: Place) -> bool:
    """A small file comes."""
    options = {"server": ADDRESS, "name": "small", "expect": place.root / "small", "base": "127.80.0.1"}
    load = clients("tftp", place.program, LOAD_CORE, options | {"clients": 1, "tries": 1, "timeout": 0.1})
    return load.complete == 1


_MB_CPU = "MB per CPU s"
_MB = "MB/s"
_LOST = {"clients": 20, "blksize": 1428, "loss": 0.01, "timeout": 3}


ROWS = (
    Row(
        "lock-step, 100 clients of 1 MiB",
        _Transfers(MIB, {"clients": 100, "blksize": 1428, "waves": 4}),
        (Figure(_MB_CPU, lambda sample: sample.mb_per_cpu_s, (Target("dnsmasq", 1.05, goal=1.2),)),),
    ),
    Row(
        "lock-step, 1000 clients of 64 KiB at once",
        _Transfers(MIB // 16, {"clients": 1000, "blksize": 1428, "waves": 2}),
        (
            Figure(
                _MB,
                lambda sample: sample.mb_per_s,
                (Target("dnsmasq", 2.5), Target("tftpd-hpa", 5.0), Target("atftpd", 5.0)),
            ),
        ),
        no_retransmits=True,
    ),
    *(
        Row(
            f"one client alone, blksize {blksize}",
            _Transfers(4 * MIB, {"clients": 1, "blksize": blksize, "waves": 6}),
            (
                Figure("blocks/s", lambda sample: sample.blocks_per_s, (Target("dnsmasq", 1.0),)),
                Figure("CPU us/block", lambda sample: sample.cpu_us_per_block, (Target("dnsmasq", most=1.4),)),
            ),
        )
        for blksize in (512, 1428)
    ),
    Row(
        "windowsize 16, 100 clients of 1 MiB",
        _Transfers(MIB, {"clients": 100, "blksize": 1428, "windowsize": 16, "waves": 8}),
        (Figure(_MB_CPU, lambda sample: sample.mb_per_cpu_s, (Target("atftpd", 3.5), Target("dnsmasq", 3.5))),),
    ),
    Row(
        "windowsize 64, 10 clients of 32 MiB",
        _Transfers(32 * MIB, {"clients": 10, "blksize": 1428, "windowsize": 64, "waves": 3}),
        (Figure(_MB_CPU, lambda sample: sample.mb_per_cpu_s, (Target("atftpd", 3.5), Target("dnsmasq", 3.5))),),
    ),
    Row(
        "1 % lost each way, lock-step, 20 clients",
        _Transfers(MIB, _LOST),
        (Figure(_MB, lambda sample: sample.mb_per_s, (Target("dnsmasq", 40),)),),
    ),
    Row(
        "1 % lost each way, windowsize 16, 20 clients",
        _Transfers(MIB, {"clients": 20, "blksize": 1428, "windowsize": 16, "loss": 0.01, "timeout": 3}, _LOST),
        (Figure(_MB, lambda sample: sample.mb_per_s, (Target("dnsmasq", 20),)),),
    ),
    Row(
        "1000 clients of 1 MiB on a wire of 1 Gbit/s, windowsize 16",
        _Transfers(
            MIB,
            {"clients": 1000, "blksize": 1428, "windowsize": 16, "timeout": 3, "tries": 20},
            {"clients": 1000, "blksize": 1428, "timeout": 3, "tries": 20},
            rate="1gbit",
        ),
        (
            Figure("complete", lambda sample: sample.share_complete, (Target("", 1.0),)),
            Figure(_MB, lambda sample: sample.mb_per_s, (Target("dnsmasq", 1.0), Target("atftpd", 1.0))),
        ),
    ),
    Row(
        "10 000 clients of 64 KiB at once",
        _Transfers(MIB // 16, {"clients": 10_000, "blksize": 1428, "tries": 100}, {}),
        (
            Figure("complete", lambda sample: sample.share_complete, (Target("", 1.0),)),
            Figure("KiB each", lambda sample: sample.more["KiB each"], (Target("", most=4),)),
        ),
    ),
)
