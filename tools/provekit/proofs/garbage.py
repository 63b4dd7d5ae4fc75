"""Millions of damaged packets for each protocol, through codecs, engines, policy and content, and of captured frames through the
readers of captures: nothing but counted drops.

Packets come in portions, each with a rack and a seed of its own, so that whatever fails can be had again alone. Portions run on two
processes. What fails is saved with its seed and its bytes.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from provekit.corpus import spoken
from provekit.registry import Options, Result
from provekit.targets import BATCH, TARGETS

PORTION = 20_000
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Job:
    """One portion."""

    protocol: str
    seed: int
    portion: int
    count: int
    failures: str
    """Directory for what fails."""


def run(options: Options) -> Result:
    """See the module's text. ``count`` packets of each protocol."""
    result = Result()
    failures = Path(tempfile.gettempdir()) / f"pxenet-garbage-{os.getuid()}-{options.seed}"
    spoken()  # before the processes part, so that it is read once
    with multiprocessing.get_context("fork").Pool(PROCESSES, _modest) as pool:
        for protocol in TARGETS:
            began = time.monotonic()
            total: Counter[str] = Counter()
            for counts, fault in pool.imap_unordered(portion, _jobs(options, protocol, str(failures))):
                total += counts
                if fault:
                    result.faults.append(fault)
                options.say(f"{protocol}: {total['packets']} of {options.count} packets")
            took = time.monotonic() - began
            result.figure(f"{protocol} packets", total.pop("packets"))
            for name in sorted(total):
                result.figure(f"{protocol} {name}", total[name])
            result.figure(f"{protocol} packets a second", round(options.count / took))
    result.figure("raised", len(result.faults))
    return result


def _modest() -> None:
    os.nice(5)


def _jobs(options: Options, protocol: str, failures: str) -> list[Job]:
    return [
        Job(protocol, options.seed, number, min(PORTION, options.count - first), failures)
        for number, first in enumerate(range(0, options.count, PORTION))
    ]


def portion(job: Job) -> tuple[Counter[str], str]:
    """Run one portion; its counts, and what was raised, or ""."""
    chance = Random(f"{job.seed} {job.protocol} {job.portion}")
    with tempfile.TemporaryDirectory(prefix="pxenet-garbage-") as directory:
        target = TARGETS[job.protocol](Path(directory), chance)
        done = 0
        while done < job.count:
            packets = [target.make() for _ in range(min(BATCH, job.count - done))]
            try:
                target.take(packets)
            except Exception:  # noqa: BLE001 - whatever it is, it is what this proof looks for
                return Counter(packets=done), _saved(job, done, packets, traceback.format_exc())
            done += len(packets)
        return target.done() + Counter(packets=done), ""


def _saved(job: Job, done: int, packets: list[bytes], trace: str) -> str:
    directory = Path(job.failures)
    directory.mkdir(exist_ok=True)
    path = directory / f"{job.protocol}-{job.portion}.json"
    found = {"protocol": job.protocol, "seed": job.seed, "portion": job.portion, "after": done, "trace": trace}
    path.write_text(json.dumps(found | {"packets": [packet.hex() for packet in packets]}, indent=1))
    return f"{job.protocol}, portion {job.portion} after {done}: {trace.splitlines()[-1][:200]} (saved in {path})"
