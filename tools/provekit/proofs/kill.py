"""``kill -9`` of the real server at random instants of a lease storm, again and again, over the same state.

After each kill: no acknowledged lease lost, none doubled, no install state going back, and the next life goes on where this one ended.
"""

from __future__ import annotations

import statistics
import time

from provekit.launch import Server, make_place
from provekit.lease_storm import LeaseStorm
from provekit.promises import Promises
from provekit.registry import Options, Result
from provekit.reports import Reporter
from pxenet.store.sqlite import open_sqlite

MACHINES = 4000
LONGEST_LIFE_S = 1.0
AT_START = 0.15
"""Share of kills before the server serves: while it opens the store, recovers, checks."""


def run(options: Options) -> Result:
    """See the module's text. ``count`` kills."""
    chance = options.chance("kill")
    place = make_place(options.directory, chance)
    promises = Promises()
    storm = LeaseStorm(place, promises, options.chance("storm"), machines=MACHINES)
    reporter = Reporter(place, promises, options.chance("reports"))
    result = Result()
    starts: list[float] = []
    kills = early = again = 0
    server = None
    try:
        while kills < options.count and not promises.faults:
            note = f"kill {kills + 1}"
            store = open_sqlite(place.state)
            promises.broken_by(store.leases(), store.installs(), note)
            reporter.arm(store)
            store.close()
            began = time.monotonic()
            server = Server(place)
            if starts and chance.random() < AT_START:
                time.sleep(chance.uniform(0, statistics.mean(starts)))
                early += 1
            elif not server.ready():
                promises.faults.append(f"{note}: the server does not start again: {server.said()[-500:]}")
                break
            else:
                starts.append(time.monotonic() - began)
                again += storm.come_again(20)
                reporter.begin()
                until = time.monotonic() + chance.uniform(0.0, LONGEST_LIFE_S)
                storm.blow(lambda until=until: time.monotonic() > until)
            server.kill()
            storm.rest()
            reporter.end()
            kills += 1
            options.say(f"{kills} of {options.count} kills, {promises.acks} ACKs")
        store = open_sqlite(place.state)
        promises.broken_by(store.leases(), store.installs(), "the end")
        result.figure("leases stored", len(store.leases()))
        store.close()
    finally:
        if server is not None:
            server.kill()
        storm.close()
    result.faults += promises.faults
    result.figure("kills", kills)
    result.figure("of them before READY", early)
    result.figure("ACKs received", promises.acks)
    result.figure("reports answered 200", promises.reported)
    result.figure("came again after a kill", again)
    result.figure("start, mean s", round(statistics.mean(starts), 2) if starts else "-")
    result.figure("promises broken", len(result.faults))
    return result
