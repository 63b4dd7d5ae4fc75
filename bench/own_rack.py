"""``python -m bench storm``: simulated machines against any server, for people who test their own rack."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.generator import LIMIT_S, LoadError, build, clients
from bench.row import BUSIEST

_EPILOG = """The server gives addresses through a relay agent, which this program plays: --relay is an address of this host in a
network that the server gives addresses for, and its UDP port 67 must be free. The ACK names the boot loader, an iPXE script kernel,
initrd and the answer file (inst.ks=), and the answer file where the end is reported, as pxenet's do."""


def main(arguments: Sequence[str]) -> int:
    """Exit status 0: every machine came to its end; 1: some did not; 2: nothing could be begun."""
    options = _options(arguments)
    asked = {
        "server": options.server, "relay": options.relay, "http": options.http or options.server,
        "tftp": options.tftp or options.server, "machines": options.machines, "mix": options.mix, "every": options.every,
        "script": options.script, "own-address": int(not options.leased), "first": options.first,
    }  # fmt: skip
    try:
        load = clients("storm", build(), options.core, asked)
    except LoadError as error:
        print(f"bench storm: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines(load.told)))
    if options.json is not None:
        options.json.write_text(json.dumps(load.told, indent=2) + "\n")
    return 1 if load.failed else 0


def lines(told: dict[str, Any]) -> Iterator[str]:
    """What became of them, for people."""
    machines = told["complete"] + told["failed"]
    yield f"{told['complete']} of {machines} machines came to their end in {told['wall_s']:.1f} s"
    for name, what in (("kernel_s", "power on to kernel and initrd"), ("whole_s", "power on to the report of the end")):
        if told["complete"]:
            yield f"{what}: p50 {told[name]['p50']:.2f} s, p99 {told[name]['p99']:.2f} s, the last {told[name]['max']:.2f} s"
    yield f"{told['bytes'] / 1e6 / told['wall_s']:.0f} MB/s; asked again: " + ", ".join(
        f"{number} by {protocol.upper()}" for protocol, number in told["tried_again"].items()
    )
    if told["naks"]:
        yield f"{told['naks']} NAKs: machines that had to begin again"
    if told["failed"]:
        where = ", ".join(f"{number} at {stage}" for stage, number in told["failed_at"].items() if number)
        yield f"FAILED: {where}; the first: {told['first_error']}"
    if told["load_cpu_s"] > BUSIEST * told["wall_s"]:
        yield f"the load generator used {told['load_cpu_s'] / told['wall_s']:.0%} of its core: it may be what was measured"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench storm", description="a rack that is switched on, simulated", epilog=_EPILOG
    )
    parser.add_argument(
        "--server", required=True, metavar="ADDRESS", help="the DHCP server; of TFTP and HTTP too, unless said"
    )
    parser.add_argument("--relay", required=True, metavar="ADDRESS", help="the relay agent's: an address of this host")
    parser.add_argument("--tftp", metavar="ADDRESS[:PORT]")
    parser.add_argument("--http", metavar="ADDRESS[:PORT]")
    parser.add_argument("--machines", type=int, default=100, help="how many (default 100)")
    parser.add_argument(
        "--mix", default="bios=60,uefi=40", help="shares of bios, uefi and http (default bios=60,uefi=40)"
    )
    parser.add_argument(
        "--every", type=float, default=0.0, metavar="SECONDS", help="between two that are switched on (default 0)"
    )
    parser.add_argument("--script", default="/boot.ipxe", metavar="PATH", help="the boot script (default /boot.ipxe)")
    parser.add_argument(
        "--leased",
        action="store_true",
        help="speak from the addresses that were leased (make them this host's first: ip route add local NETWORK dev lo); "
        "else all speak from this host's own, and a server that tells machines apart by address refuses answer files",
    )
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first machine: others are other machines"
    )
    parser.add_argument("--core", type=int, default=0, help="the processor that the machines run on (default 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything for programs")
    parsed = parser.parse_args(arguments)
    if not 1 <= parsed.machines <= 100_000:
        parser.error(f"--machines is from 1 to 100000, not {parsed.machines}")
    if parsed.every * parsed.machines > LIMIT_S:
        parser.error(
            f"--every {parsed.every:g}: {parsed.machines} machines would take more than {LIMIT_S} s to be switched on"
        )
    return parsed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
