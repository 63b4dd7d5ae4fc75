"""``kill -9`` of the real server at random instants of a lease storm, again and again, over the same state.

After each kill: no acknowledged lease lost, none doubled, no install state going back, and the next life goes on where this one ended.
A server that answers before it has written is run the same way, and must be caught.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from random import Random

from provekit.launch import Place, Server, make_place
from provekit.lease_storm import LeaseStorm
from provekit.promises import Promises
from provekit.registry import Options, Result
from provekit.reports import Reporter
from provekit.weaken import WEAK
from pxenet.store.sqlite import open_sqlite

MACHINES = 4000
LONGEST_LIFE_S = 1.0
AT_START = 0.15
"""Share of kills before the server serves: while it opens the store, recovers, checks."""


_WEAK = "answer before the flush"
_WEAK_KILLS = 8


@dataclass(slots=True)
class _Lives:
    """What the lives of a server come to."""

    promises: Promises = field(default_factory=Promises)
    kills: int = 0
    early: int = 0
    again: int = 0
    starts: list[float] = field(default_factory=list)
    stored: int = 0


def run(options: Options) -> Result:
    """See the module's text. ``count`` kills."""
    lives = _killed(options, "sound", options.count)
    promises = lives.promises
    result = Result(faults=promises.faults)
    result.figure("kills", lives.kills)
    result.figure("of them before READY", lives.early)
    result.figure("ACKs received", promises.acks)
    result.figure("reports answered 200", promises.reported)
    result.figure("leases stored", lives.stored)
    result.figure("came again after a kill", lives.again)
    result.figure("start, mean s", round(statistics.mean(lives.starts), 2) if lives.starts else "-")
    result.figure("promises broken", len(result.faults))
    weak = _killed(options, "weak", _WEAK_KILLS, WEAK[_WEAK])
    result.figure(f"caught: {_WEAK}", f"{len(weak.promises.faults)} broken by {weak.kills} kills")
    if not weak.promises.faults:
        result.faults.append(f"a server that gives its {_WEAK} was not caught: this proof shows nothing")
    return result


def _killed(options: Options, name: str, kills: int, script: str = "") -> _Lives:
    """So many lives of a server, or until a promise is broken."""
    chance = options.chance("kill", name)
    directory = options.directory / name
    directory.mkdir()
    place = make_place(directory, chance)
    lives = _Lives()
    promises = lives.promises
    storm = LeaseStorm(place, promises, options.chance("storm", name), machines=MACHINES)
    reporter = Reporter(place, promises, options.chance("reports", name))
    try:
        _check(place, lives, reporter, "before the first kill")
        while lives.kills < kills and not promises.faults:
            _live(place, lives, storm, reporter, chance, script)
            storm.rest()
            reporter.end()
            lives.kills += 1
            _check(place, lives, reporter, f"after kill {lives.kills}")
            options.say(f"{lives.kills} of {kills} kills, {promises.acks} ACKs")
    finally:
        storm.close()
    return lives


def _check(place: Place, lives: _Lives, reporter: Reporter, note: str) -> None:
    """What the last life has left on the disk."""
    store = open_sqlite(place.state)
    lives.promises.broken_by(store.leases(), store.installs(), note)
    lives.stored = len(store.leases())
    reporter.arm(store)
    store.close()


def _live(place: Place, lives: _Lives, storm: LeaseStorm, reporter: Reporter, chance: Random, script: str) -> None:
    """Start a server, load it, kill it."""
    began = time.monotonic()
    server = Server(place, script=script)
    try:
        if lives.starts and chance.random() < AT_START:
            time.sleep(chance.uniform(0, statistics.mean(lives.starts)))
            lives.early += 1
            return
        if not server.ready():
            lives.promises.faults.append(f"the server does not start again: {server.said()[-500:]}")
            return
        lives.starts.append(time.monotonic() - began)
        lives.again += storm.come_again(20)
        reporter.begin()
        until = time.monotonic() + chance.uniform(0.0, LONGEST_LIFE_S)
        storm.blow(lambda: time.monotonic() > until)
    finally:
        server.kill()
