"""What a person can order for a machine: to be installed again, not to be installed, to be out of service.

Knows the rack and nothing of who orders. What an order changes must become durable before it is confirmed.
"""

from __future__ import annotations

from pxenet.engine.install import Installs
from pxenet.events import Event
from pxenet.model import Host, InstallRecord, InstallState
from pxenet.rack.census import Census, Row
from pxenet.rack.rack import Rack

_RUNNING = (InstallState.BOOTED, InstallState.ANSWERED, InstallState.INSTALLING)

ORDERS = ("reinstall", "cancel", "retire")


def carry_out(installs: Installs, order: str, key: str, now: float) -> tuple[list[InstallRecord], list[Event]]:
    """Do it: what is to become durable, and what to tell. Both empty when it is so already."""
    return {"reinstall": installs.rearm, "cancel": installs.cancel, "retire": installs.retire}[order](key, now)


def outcome(rack: Rack, census: Census, host: Host, before: InstallRecord | None) -> Row:
    """The answer to an order that was carried out; ``before``: the machine's record until then."""
    record = rack.installs.record(host.key) or InstallRecord(host.key, InstallState.NEW)
    return {
        "host": host.name,
        "key": host.key,
        "state": record.state.value,
        "armings": record.generation,
        "running": before is not None and before is not record and before.state in _RUNNING,
        "next": census.next_boot(host),
    }
