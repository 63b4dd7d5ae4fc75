"""A storm: simulated machines switched on at once, over real sockets against the real server; then ten times as many in virtual time.

None lost, none with another's address, all installed, by the word of the machines and of the store alike.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from random import Random

import trio

from provekit.launch import Server, free_ports, placed
from provekit.rack import MIX, VirtualRack, installed, note, site, times, write_files
from provekit.registry import Options, Result
from pxenet.sim.figures import Result as FleetResult
from pxenet.sim.fleet import Fleet, Plan
from pxenet.sim.sockets import Sockets, Target
from pxenet.store.sqlite import read_sqlite
from pxenet.wire.text import parse_address

_NETWORK = "127.60"
_PATIENCE_S = 600.0
_VIRTUAL = 10
Meanwhile = Callable[[Server], Awaitable[None]]

_CONFIG = """\
[server]
workers = {workers}
interface = "lo"
address = "127.0.0.1"
state = "state"
root = "root"
[dhcp]
port = {dhcp}
proxy_port = {proxy}
[tftp]
port = {tftp}
[http]
port = {http}
"""


def run(options: Options) -> Result:
    """See the module's text. ``count`` machines over sockets."""
    result = Result()
    write_files(options.directory)
    options.say(f"{options.count} machines over sockets")
    over_sockets(options, result)
    options.say(f"{_VIRTUAL * options.count} machines in virtual time")
    plan = Plan(MIX, _VIRTUAL * options.count, seed=options.seed)
    began = time.monotonic()
    rack = VirtualRack(options.directory, plan, seed=options.seed)
    fleet = rack.run(24 * 3600.0)
    note(result.figure, "virtual", fleet)
    result.figure("virtual: seconds of virtual time", round(fleet.elapsed_s, 1))
    result.figure("virtual: seconds it took", round(time.monotonic() - began, 1))
    _judge(result, "virtual", fleet, installed(rack.store.installs()))
    return result


def over_sockets(options: Options, result: Result, *, workers: int = 1, meanwhile: Meanwhile | None = None) -> None:
    """``count`` machines over real sockets against the real server; ``meanwhile`` is done to it until all have ended."""
    ports = free_ports(Random(options.seed))
    (options.directory / "rack.toml").write_text(_CONFIG.format(workers=workers, **ports) + site(_NETWORK))
    place = placed(options.directory, ports)
    server = Server(place)
    try:
        if not server.ready():
            result.faults.append(f"the server does not start: {server.said()[-500:]}")
            return
        target = Target(
            parse_address("127.0.0.1"),
            parse_address(f"{_NETWORK}.0.1"),
            ports["dhcp"],
            ports["proxy"],
            ports["tftp"],
        )
        plan = Plan(MIX, options.count, seed=options.seed, pace=0.0)
        with closing(Sockets(target, plan.count)) as sockets:
            fleet = Fleet(plan, relay_of=lambda index: sockets.relay)
            trio.run(_run, sockets, fleet, server, meanwhile)
            told = fleet.result(time.monotonic(), sockets.traffic)
        if server.stop() != 0:
            result.faults.append(f"the server did not end well: {server.said()[-300:]}")
    finally:
        server.kill()
    store = read_sqlite(place.state)
    note(result.figure, "sockets", told)
    for stage in ("discover", "lease", "loader", "kernel", "answer", "callback"):
        if stage in told.stages:
            result.figure(f"sockets: {stage}, p50 / p99 s", times(told.stages[stage]))
    result.figure("sockets: MB/s", round(told.bytes_read / max(told.elapsed_s, 0.001) / 1e6, 1))
    result.figure("sockets: seconds in all", round(told.elapsed_s, 1))
    _judge(result, "sockets", told, installed(store.installs()))
    store.close()


async def _run(sockets: Sockets, fleet: Fleet, server: Server, meanwhile: Meanwhile | None) -> None:
    async with trio.open_nursery() as nursery:
        if meanwhile is not None:
            nursery.start_soon(meanwhile, server)
        await sockets.run(fleet, _PATIENCE_S)
        nursery.cancel_scope.cancel()


def _judge(result: Result, title: str, told: FleetResult, stored: int) -> None:
    if not told.all_well or told.installed != told.machines:
        result.faults.append(f"{title}: {dict(told.ends)} {dict(told.failures)} {' '.join(told.given_twice_words)}")
    if stored != told.machines:
        result.faults.append(f"{title}: {stored} of {told.machines} machines are installed by the store's word")
