"""A rack that is switched on, a thousand machines at once: lease, loader by TFTP, boot script, kernel, initrd and answer file by HTTP,
report.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.generator import Load, clients
from bench.process import Process
from bench.row import Figure, Place, Row, Sample, Target
from bench.run import LOAD_CORE, SERVER_CORE, wait_until
from bench.servers import NGINX, STORM_PEERS, STORM_PXENET, Server
from bench.wire import CLIENT, SERVER, Wire

MIB = 1 << 20
_LOADER, _KERNEL, _INITRD = MIB, 2 * MIB, 8 * MIB
_PROBES = 3_000_000
_PE = (
    b"MZ" + bytes(58) + (64).to_bytes(4, "little")
    + b"PE\0\0\x64\x86" + bytes(18) + b"\x0b\x02" + bytes(66) + b"\x0a\0"
)  # fmt: skip
"""The head of an EFI application for x64."""

_SCRIPT = f"""#!ipxe
kernel http://{SERVER}/kernel inst.ks=http://{SERVER}/ks.cfg
initrd http://{SERVER}/initrd
boot
"""
_KICKSTART = """text
reboot
rootpw --lock
lang en_US.UTF-8
keyboard us
timezone UTC
clearpart --all --initlabel
autopart
%packages
@core
%end
%post
curl -fsS {installed}
%end
"""


def lay_out(root: Path) -> None:
    """The files of the rack: boot loaders, what HTTP serves, and the template of the answer file."""
    for name, size, head in (
        ("loaders/bios/undionly.kpxe", _LOADER, b""), ("loaders/x64/ipxe.efi", _LOADER, _PE),
        ("static/kernel", _KERNEL, b""), ("static/initrd", _INITRD, b""),
    ):  # fmt: skip
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head + os.urandom(size - len(head)))
    (root / "static/x64").mkdir()
    (root / "static/x64/ipxe.efi").hardlink_to(root / "loaders/x64/ipxe.efi")
    (root / "static/boot.ipxe").write_text(_SCRIPT)
    (root / "static/ks.cfg").write_text(_KICKSTART.format(installed=f"http://{SERVER}/installed/x"))
    (root / "ks.cfg.j2").write_text(_KICKSTART.format(installed="{{ urls.installed }}"))


def storm(place: Place, wire: Wire, **options: object) -> Load:
    """The machines, on the far host."""
    return clients("storm", place.program, LOAD_CORE, {"server": SERVER, "relay": CLIENT, **options}, wire.through)


@dataclass(frozen=True, slots=True)
class Storm:
    """So many machines at once."""

    options: Mapping[str, object]

    @property
    def servers(self) -> Sequence[Server]:
        """pxenet alone, and what does the same today."""
        return [STORM_PXENET, *([STORM_PEERS] if NGINX.found() else [])]

    def prepare(self, place: Place) -> None:
        """All that machines load."""
        lay_out(place.root)

    def once(self, server: Server, place: Place, work: Path) -> Sample:
        """One rack."""
        with Wire() as wire, Process(server.commands(place.root, work), SERVER_CORE, work / "output") as process:
            wait_until(process, lambda: storm(place, wire, machines=1, first=_PROBES).complete == 1)
            before_s = process.cpu_s()
            load = storm(place, wire, **self.options)
            used_s = process.cpu_s() - before_s
        kernel_s = load.told["kernel_s"]
        more = {f"kernel {name} s": float(kernel_s[name]) for name in ("p50", "p99")}
        return Sample(load, used_s, more, tuple(load.told["each_kernel_s"]))


def _of(name: str) -> Callable[[Sample], float]:
    return lambda sample: sample.more[name]


def _cpu_ms(sample: Sample) -> float:
    return sample.cpu_s * 1000 / (sample.load.complete or 1)


_PEER = STORM_PEERS.name

ROWS = (
    Row(
        "boot storm, 1000 machines",
        Storm({"machines": 1000, "mix": "bios=60,uefi=40"}),
        (
            Figure("CPU ms/boot", _cpu_ms, (Target(_PEER, most=1.0),)),
            Figure("wall s", lambda sample: sample.load.wall_s, (Target(_PEER, most=0.6),)),
            Figure("kernel p50 s", _of("kernel p50 s"), (Target(_PEER),)),
            Figure("kernel p99 s", _of("kernel p99 s"), (Target(_PEER),)),
        ),
    ),
)
