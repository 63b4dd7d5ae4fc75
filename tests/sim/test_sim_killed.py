"""The server is killed in the middle of a hundred installs and started again: nothing is different for any of the machines.

The real program, by real sockets on the loopback; ``test_sim_restart`` looks closer, in virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from signal import SIGKILL

import pytest
import trio
import trio.testing
from fleet_scene import KICKSTART, SITE, make_files
from programlab import PATIENCE_S, Program, free_ports, loopback_config, program

from pxenet.model import InstallState, LeaseState
from pxenet.sim.body import Stage
from pxenet.sim.fleet import Fleet, Plan, Power
from pxenet.sim.machine import Machine
from pxenet.sim.sockets import Sockets, Target
from pxenet.store.sqlite import open_sqlite
from pxenet.wire.text import mac_text, parse_address

MACHINES = 100
MIX = {"bios": 4, "uefi": 3, "http": 1}
NETWORK = "127.61."
PACE = 0.1
"""Of the time that machines spend on themselves."""
RATE = 6.0
"""So much faster is the machines' clock, which is the same for all of their patience: firmware repeats itself after half a minute."""


def again(index: int, machine: Machine, now: float) -> float | None:
    """Firmware that could not load goes round its boot order and begins anew."""
    return now + 0.5 if machine.stage is Stage.FAILED else None


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Target]:
    """A directory with a configuration, and how its server is reached."""
    make_files(tmp_path)
    # A report whose answer is lost with the server is sent again, as the scripts of pxenet do, and is no failure.
    (tmp_path / "ks.cfg.j2").write_text(
        KICKSTART.replace("curl '{{ urls.failed }}'", "wget -O - '{{ urls.installed }}'")
    )
    ports = free_ports()
    site = SITE.format(loaders="", lease_s=3600).replace("10.60.", NETWORK)
    rest = site[site.index("[[dhcp.subnet]]") :]
    (tmp_path / "rack.toml").write_text(loopback_config(ports, 'root = "root"') + rest)
    relay = parse_address(f"{NETWORK}0.1")
    return tmp_path, Target(parse_address("127.0.0.1"), relay, ports["dhcp"], ports["proxy"], ports["tftp"])


def stored(directory: Path) -> tuple[Mapping[str, InstallState], Mapping[bytes, int]]:
    """Each machine's state and address, by the store of a server that has ended."""
    with closing(open_sqlite(directory / "state")) as store:
        leases = {lease.mac: lease.address for lease in store.leases() if lease.state is LeaseState.BOUND}
        return {record.key: record.state for record in store.installs()}, leases


def installed(fleet: Fleet) -> Mapping[str, int]:
    """Keys of the machines that have ended, and how often each was switched on."""
    return {mac_text(one.mac): one.boots for one in fleet.machines if one.stage is Stage.INSTALLED}


def test_killed_in_the_middle_of_installs(place: tuple[Path, Target]) -> None:
    """Twice: when many load, and when many have ended. What a machine was told is in the store, it keeps its address, its token is
    good, and all are installed; who had ended has nothing more to do with it."""
    directory, target = place
    ended: list[Mapping[str, int]] = []
    servers = ExitStack()

    def start() -> Program:
        return servers.enter_context(program(directory, "--config", "rack.toml"))

    async def kill(fleet: Fleet) -> None:
        running = start()
        for count in (5, 60):
            with trio.fail_after(RATE * PATIENCE_S):
                while len(installed(fleet)) < count:
                    await trio.sleep(0.005)
            assert -SIGKILL == await trio.to_thread.run_sync(running.stopped, SIGKILL)
            ended.append(installed(fleet))
            states, leases = stored(directory)
            assert {InstallState.INSTALLED} == {states[key] for key in ended[-1]}
            assert len(ended[-1]) < MACHINES
            assert {one.mac: one.address for one in fleet.machines if one.address}.items() <= leases.items()
            running = await trio.to_thread.run_sync(start)

    async def run(sockets: Sockets, fleet: Fleet) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill, fleet)
            nursery.start_soon(sockets.run, fleet, RATE * 4 * PATIENCE_S)

    plan = Plan(MIX, MACHINES, Power(1, 0.1), seed=1, pace=PACE)
    with servers, closing(Sockets(target, plan.count, clock=lambda: trio.current_time())) as sockets:
        fleet = Fleet(plan, relay_of=lambda index: sockets.relay, again=again)
        trio.run(run, sockets, fleet, clock=trio.testing.MockClock(RATE))
        result = fleet.result(0.0, sockets.traffic)
        assert ({"installed": MACHINES}, 0) == (dict(result.ends), result.given_twice), result.failures
    states, leases = stored(directory)
    assert [InstallState.INSTALLED] * MACHINES == list(states.values())
    assert leases == {one.mac: one.address for one in fleet.machines}
    for then in ended:
        assert then.items() <= installed(fleet).items()
