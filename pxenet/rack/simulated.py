"""A configuration with a fleet of simulated machines in front of it, in virtual time: would it install them?

The store forgets, and nothing is opened but the files to be served. The first network that the configuration gives addresses of is
the server's own wire; machines of the others stand behind relay agents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pxenet.answer.engines import HERE, Engine
from pxenet.config import DhcpMode, Settings
from pxenet.engine.dhcp.subnet import Subnet
from pxenet.events import Event
from pxenet.model import Host, Verdict
from pxenet.net.datagram import Interface
from pxenet.rack.rack import Rack
from pxenet.sim.body import Relay
from pxenet.sim.faults import CALM, Faults
from pxenet.sim.figures import Result
from pxenet.sim.fleet import Again, Fleet, Plan, PlanError, leave_it
from pxenet.sim.link import Link
from pxenet.sim.machine import Machine
from pxenet.sim.sides import Ports
from pxenet.store.base import Store
from pxenet.store.memory import MemoryStore

_TID_PORTS = tuple(range(30000, 30008))


@dataclass(frozen=True, slots=True)
class Simulation:
    """Everything that takes part. ``link.run`` runs it."""

    rack: Rack
    store: Store
    fleet: Fleet
    link: Link

    def result(self) -> Result:
        """What has become of the machines so far."""
        return self.fleet.result(self.link.now, self.link.traffic)

    def rearm(self, machine: Machine) -> None:
        """Let a machine be installed again at its next boot."""
        changes, _ = self.rack.installs.rearm(self.rack.hosts.of_mac(machine.mac).key, self.link.now)
        verdicts = self.store.commit(changes)
        self.rack.committed(changes, verdicts[0] if verdicts else Verdict.DURABLE)


def simulation(
    settings: Settings,
    plan: Plan,
    *,
    faults: Faults = CALM,
    tell: Callable[[Event], None] = lambda event: None,
    again: Again = leave_it,
    store: Store | None = None,
    engine: Engine = HERE,
) -> Simulation:
    """A fleet before this configuration. Raises PlanError when the configuration gives no addresses."""
    subnets = [subnet for subnet in settings.dhcp.subnets if subnet.mode is DhcpMode.SERVER]
    if not subnets:
        raise PlanError(
            'the configuration gives out no addresses; simulated machines need a [[dhcp.subnet]] in mode "server"'
        )
    address = _address(settings, subnets[0])
    # Machines reach the server by its address, whatever name the real ones use.
    settings = replace(settings, server=replace(settings.server, url=None, address=None))
    hosts = {host.mac: host for host in settings.hosts if host.mac is not None}
    plan_macs = list(plan.macs())

    def relay_of(index: int) -> Relay | None:
        subnet = _subnet_of(index, hosts.get(plan_macs[index]), subnets)
        return None if subnet is subnets[0] else Relay(_relay(subnet), address, 0, 67)

    fleet = Fleet(plan, relay_of=relay_of, again=again)
    link = Link(fleet, faults=faults, seed=plan.seed)
    store = MemoryStore(bytes(32)) if store is None else store
    rack = Rack(
        settings,
        store,
        interfaces=(Interface(1, "eth0", b"", ((address, subnets[0].prefix),)),),
        tell=tell,
        clock=link.clock,
        tid_ports=_TID_PORTS,
        engine=engine,
    )
    link.serve(
        rack, address, store.commit, ports=Ports(settings.dhcp.port, settings.dhcp.proxy_port, settings.tftp.port)
    )
    return Simulation(rack, store, fleet, link)


def _address(settings: Settings, subnet: Subnet) -> int:
    """The server's own, in the first network: the configured one, or the first that no pool and no router has."""
    configured = settings.server.address
    if configured is not None and configured in subnet:
        return configured
    reserved = {host.address for host in settings.hosts}
    for address in range(subnet.network + 1, subnet.broadcast):
        pooled = any(first <= address <= last for first, last in subnet.pools)
        if not pooled and address not in reserved and address not in subnet.routers:
            return address
    return next(iter(subnet.routers), subnet.network + 1)


def _relay(subnet: Subnet) -> int:
    return next(iter(subnet.routers), subnet.network + 1)


def _subnet_of(index: int, host: Host | None, subnets: list[Subnet]) -> Subnet:
    """Where a machine is plugged in: where its reserved address is, else one network after the other."""
    if host is not None and host.address is not None:
        for subnet in subnets:
            if host.address in subnet:
                return subnet
    pooled = [subnet for subnet in subnets if subnet.pools] or subnets
    return pooled[index % len(pooled)]
