"""One machine against a server with somebody's configuration, both speaking to the terminal: what tools/demo shows.

Knows a wire, the server's command and one BIOS machine. The configuration must serve interface ``br0`` and give addresses in
10.77.0.0/24 (the server has 10.77.0.1); the machine's hardware address is :data:`MACHINE`'s.
"""

from __future__ import annotations

from pathlib import Path

from labkit.machine import Machine, power_on
from labkit.run import first_fault, second_fault
from labkit.scenarios import SCENARIOS
from labkit.servers import PxenetServer
from labkit.wire import Wire

MACHINE = SCENARIOS[0]
NETWORK = "10.77.0.0/24"
_TIMEOUT_S = 180.0


def run(config: Path, work: Path) -> int:
    """Start the server with ``config``, switch the machine on twice, and say how it went; an exit status."""
    logs = work / "logs"
    logs.mkdir()
    wire = Wire("demo", NETWORK, logs)
    netdev = wire.plug("port0", work)
    server = PxenetServer(wire.rack, config, log=None, notify=work / "notify")
    server.start()
    machine = Machine(MACHINE.name, MACHINE.firmware, MACHINE.mac, netdev, work / "disk")
    for number, title in ((1, "power on: a machine with an empty disk"), (2, "power on again")):
        _say(title)
        power = power_on(machine, wire.rack, logs / f"{number}.serial", _TIMEOUT_S, _say, server.alive)
        fault = second_fault(power, MACHINE.disk_mark) if number == 2 else first_fault(power)
        if fault:
            _say(f"it did not work: {fault}")
            return 1
    _say("installed by the network, and it boots its own disk")
    server.stop()
    return 0


def _say(line: str) -> None:
    print(f"  machine | {line}", flush=True)
