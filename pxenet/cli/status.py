"""``pxenet status``: does the server run, what does it serve, and is anything off?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from pxenet.cli.asking import AsJson, Config, NotRunningError, State, ask, reporting, settings_of, stored
from pxenet.cli.output import FAILED, print_json
from pxenet.cli.tables import span
from pxenet.config import Settings
from pxenet.rack.census import Row

_FAILURES = 3
"""Of the machines that failed, so many are told with their reasons."""


def status(config: Config = None, state: State = None, as_json: AsJson = False) -> None:
    """Tell how the server is.

    What it serves, what it has done, and what is off. Exit status 1 when no
    server runs; then what its store holds is shown.

    \b
    Example:
      pxenet status --config rack.toml
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            (row,) = ask(settings, ask="status")
            lines, running = _running(row), True
        except NotRunningError:
            row = _stored(settings)
            lines, running = _resting(row), False
    if as_json:
        print_json(row)
    else:
        for line in lines:
            print(line)
    if not running:
        raise typer.Exit(FAILED)


def _stored(settings: Settings) -> Row:
    with stored(settings) as (rack, census):
        states = Counter(record.state.value for record in rack.installs.records())
        machines = {"configured": len(settings.hosts), "seen": len(rack.hosts.seen())} | states
        leases = sum(row["state"] == "bound" for row in census.leases())
        return {
            "running": False,
            "state": str(settings.server.state),
            "machines": machines,
            "failed": census.failed(),
            "leases": leases,
        }


def _resting(row: Row) -> Iterator[str]:
    yield f"no server runs on {row['state']}"
    yield f"  machines   {_counts(_part(row, 'machines'))}"
    yield f"  leases     {row['leases']} held"
    yield from _failures(row)


def _running(row: Row) -> Iterator[str]:
    dhcp, tftp, http = (_part(row, name) for name in ("dhcp", "tftp", "http"))
    yield f"pxenet {row['version']} runs since {span(_number(row['uptime_s']))}, process {row['process']}"
    yield f"  config     {row['config'] or 'none: the defaults hold'}"
    yield f"  state      {row['state']}"
    for name, addresses in _part(row, "interfaces").items():
        yield f"  interface  {name} {', '.join(addresses)}"
    yield f"  machines   {_counts(_part(row, 'machines'))}"
    if dhcp:
        pool = f", {dhcp['pool_taken']} of {dhcp['pool_size']} addresses taken" if dhcp["pool_size"] else ""
        yield f"  DHCP       {sum(dhcp['received'].values())} asked, {sum(dhcp['sent'].values())} answered{pool}"
    if tftp:
        yield (
            f"  TFTP       {tftp['completed']} files read, {tftp['reading']} being read, "
            f"{tftp['retransmits']} packets sent again, {tftp['gave_up']} given up"
        )
        if tftp["waited"] or tftp["waiting"]:
            yield f"             {tftp['waiting']} requests wait for their turn, {tftp['waited']} have waited and were served then"
    if http:
        yield (
            f"  HTTP       {http['requests']} requests, {http['open']} connections, "
            f"{http['bytes_sent'] / 1e6:.1f} MB sent, {http['broken']} broken off"
        )
    workers = row.get("workers")
    for worker in workers if isinstance(workers, list) else []:
        yield f"  worker {worker['worker']:<3} {_worker(worker)}"
    yield from _complaints(row)


def _worker(row: Row) -> str:
    tftp, http = _part(row, "tftp"), _part(row, "http")
    who = f"process {row['process']}" if row["process"] else "missing, another one begins soon"
    lost = f", {row['ended']} lost before it" if row["ended"] else ""
    return f"{who}{lost}: {tftp.get('completed', 0)} files by TFTP, {http.get('bytes_sent', 0) / 1e6:.1f} MB by HTTP"


def _complaints(row: Row) -> Iterator[str]:
    """What is off, and what to do."""
    dhcp, tftp, http = (_part(row, name) for name in ("dhcp", "tftp", "http"))
    failure = _part(row, "store").get("failure")
    machines = _part(row, "machines")
    if failure:
        yield f"! the store cannot be written ({failure}): no address is given out; free disk space, or repair the disk"
    if dhcp and dhcp["pool_size"] and dhcp["pool_taken"] >= 0.9 * dhcp["pool_size"]:
        yield "! the pool is nearly used up: make dhcp.subnet.pool larger, or lease_time shorter"
    if tftp and tftp["gave_up"] > tftp["completed"]:
        yield "! more TFTP transfers were given up than completed: does a firewall block the transfer ports? (tftp.single_port)"
    if tftp and tftp["overload"]:
        yield f"! {tftp['overload']} TFTP requests were dropped, there were too many at once: those machines ask again by themselves"
    overflowed = sum(each.get("overflowed", 0) for each in _part(row, "sockets").values())
    if overflowed:
        yield (
            f"! {overflowed} datagrams were lost, for the queue of their port was full: those machines ask again by themselves; "
            "with more processors, server.workers takes more at once"
        )
    if http and http["refused"]:
        yield f"! {http['refused']} HTTP connections were refused, there were too many at once"
    yield from _failures(row)
    if machines.get("discovered"):
        yield f"! {machines['discovered']} machines have told what they are, and wait for a name: pxenet hosts discovered"


def _failures(row: Row) -> Iterator[str]:
    """The latest of the machines that failed, and why."""
    failed = row.get("failed")
    told = failed if isinstance(failed, list) else []
    for one in told[:_FAILURES]:
        yield f"! {one['host']} failed: {one['reason'].rstrip('.')}. pxenet hosts show {one['host']} tells more"
    if len(told) > _FAILURES:
        yield f"! {len(told) - _FAILURES} more failed: pxenet hosts --sort state says why"


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _part(row: Row, name: str) -> Mapping[str, Any]:
    part = row.get(name)
    return part if isinstance(part, Mapping) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
