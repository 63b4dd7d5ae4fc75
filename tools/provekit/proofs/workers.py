"""A storm that is served by workers, while those are killed at random: every machine is installed all the same, and each is replaced.

The machines help themselves as real ones do, by repeating what nobody answers; nothing is told to them.
"""

from __future__ import annotations

import contextlib
import os
import signal

import trio

from provekit.launch import Server, children_of
from provekit.proofs.storm import over_sockets
from provekit.rack import write_files
from provekit.registry import Options, Result

_WORKERS = 2
_KERNEL_BYTES = 300_000
"""Large enough that kernels are under way most of the time."""
_EVERY_S = (0.3, 1.5)


def run(options: Options) -> Result:
    """See the module's text. ``count`` machines."""
    result = Result()
    write_files(options.directory, kernel_bytes=_KERNEL_BYTES)
    killed: list[int] = []
    chance = options.chance("kills")

    async def kill(server: Server) -> None:
        while True:
            await trio.sleep(chance.uniform(*_EVERY_S))
            workers = [worker for child in children_of(server.pid()) for worker in children_of(child)]
            if workers:
                victim = chance.choice(workers)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)

    options.say(f"{options.count} machines over sockets, {_WORKERS} workers, killed at random")
    over_sockets(options, result, workers=_WORKERS, meanwhile=kill)
    result.figure("workers killed", len(killed))
    log = (options.directory / "server.log").read_text(errors="replace")
    unnoticed = [victim for victim in killed if f"(process {victim}), killed by SIGKILL" not in log]
    if not killed:
        result.faults.append("the storm was over before a worker could be killed: more machines are needed")
    if unnoticed:
        result.faults.append(f"the server does not tell of the end of {len(unnoticed)} workers")
    if "Traceback" in log:
        result.faults.append("a worker or the server has failed: see the log")
    return result
