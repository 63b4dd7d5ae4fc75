"""Captured boots replayed: all come to the end that their configuration means them to have, and none takes longer than promised.

Of up to 500 packets each: one after the other as captures of their own, by two processes; and at once, as one busy network's
capture. Of full length: every block of kernels and initial RAM disks. Packets are counted as they stand in the capture, and
processor time is that of everything: reading, dissecting, replaying, comparing. What the short form takes says little, and refutes
nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from provekit.rack import ADDRESS, VirtualRack, site, write_files
from provekit.recorded import CAPTURES, Wiretap, multiplied
from provekit.registry import Options, Result
from pxenet.capture.kept import CaptureFiles
from pxenet.replay.result import BootResult
from pxenet.replay.run import replay
from pxenet.sim.fleet import Plan

_LIMIT_S = 30.0
"""1000 boots of up to 500 packets each, on two cores."""
_PACKETS_S = 100_000
"""Of full-length boots, a second and core."""
_PROMISED = 1000


def run(options: Options) -> Result:
    """See the module's text. ``count`` boots."""
    result = Result()
    _many(options, result)
    for kind in ("bios", "uefi"):
        _whole(kind, options, result)
    return result


def _many(options: Options, result: Result) -> None:
    rack = options.directory / "rack"
    shutil.copytree(CAPTURES / "rack", rack)
    config = rack / "rack.toml"
    text = config.read_text().replace("10.77.0.0/24", "10.77.0.0/16")
    config.write_text(text.replace("10.77.0.100-10.77.0.199", "10.77.100.0-10.77.199.255"))
    known = sorted(CAPTURES.glob("*.pcap"))
    options.say("captures of one boot each")
    each = [known[number % len(known)] for number in range(options.count)]
    wall_s, _ = _timed(result, each, config, jobs=2)
    result.figure("captures of one boot each: boots", len(each))
    result.figure("by two processes: seconds", round(wall_s, 1))
    _at_most(wall_s, "by two processes", options, result)
    options.say("one capture of all")
    busy = options.directory / "busy.pcap"
    multiplied(busy, options.count)
    wall_s, cpu_s = _timed(result, [busy], config, boots=options.count)
    result.figure("one capture of as many, by one process: seconds", round(cpu_s, 1))
    _at_most(cpu_s, "one capture by one process", options, result)


def _at_most(took_s: float, what: str, options: Options, result: Result) -> None:
    if not options.short and took_s > _LIMIT_S * options.count / _PROMISED:
        result.faults.append(f"{options.count} boots took {took_s:.1f} s {what}, at most {_LIMIT_S} s for {_PROMISED}")


def _whole(kind: str, options: Options, result: Result) -> None:
    options.say(f"full-length boots, {kind}")
    machines, kernel_bytes = (2, 1_000_000) if options.short else (6, 8_000_000)
    directory = options.directory / kind
    directory.mkdir()
    write_files(directory, kernel_bytes=kernel_bytes)
    shutil.copytree(CAPTURES / "rack/root", directory / "root", dirs_exist_ok=True)  # heads that firmware can start
    config = directory / "rack.toml"
    config.write_text('[server]\nroot = "root"\naddress = "10.60.0.1"\n' + site("10.60"))
    path = directory / "whole.pcap"
    with CaptureFiles(path) as out:
        VirtualRack(directory, Plan({kind: machines}), tap=Wiretap(out, ADDRESS)).run(3600)
        packets = out.frames
    _, cpu_s = _timed(result, [path], config, boots=machines)
    rate = round(packets / cpu_s)
    result.figure(f"{kind}: packets of {machines} full-length boots", packets)
    result.figure(f"{kind}: packets a second and core", rate)
    if not options.short and rate < _PACKETS_S:
        result.faults.append(f"{kind}: {rate} packets a second and core, at least {_PACKETS_S}")


def _timed(
    result: Result, captures: Sequence[Path], config: Path, *, jobs: int = 1, boots: int | None = None
) -> tuple[float, float]:
    """Seconds on the clock, and of this process."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    found = list(replay(captures, config, jobs=jobs))
    took = time.monotonic() - began_s, time.process_time() - cpu_s
    _all_installed(found, len(captures) if boots is None else boots, result.faults.append)
    return took


def _all_installed(found: list[BootResult], boots: int, fault: Callable[[str], None]) -> None:
    if len(found) != boots:
        fault(f"{len(found)} boots were found, {boots} were captured")
    for one in found:
        if one.end != "installed":
            fault(f"{one.title}: {one.stop.words if one.stop is not None else one.end}")
