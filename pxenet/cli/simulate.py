"""``pxenet simulate``: a fleet of simulated machines against a server, this project's or another's, or against a mere configuration."""

from __future__ import annotations

import math
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import trio
import typer
from rich.console import Console
from rich.live import Live

from pxenet.answer.confined import Confined
from pxenet.answer.engines import Engine
from pxenet.cli.fleet_table import FleetTable, summary
from pxenet.cli.output import BAD_CONFIG, FAILED, OK, bad_config, print_json
from pxenet.config import ConfigError, load
from pxenet.rack.simulated import simulation
from pxenet.server.limits import raise_open_files
from pxenet.sim.body import Stage
from pxenet.sim.faults import Faults, parse_faults
from pxenet.sim.figures import Result
from pxenet.sim.firmware import PERSONALITIES
from pxenet.sim.fleet import FIRST_MAC, Fleet, Plan, PlanError, parse_mix, parse_power
from pxenet.sim.sockets import Sockets, Target
from pxenet.wire.text import address_text, mac_text, parse_address, parse_mac

_REFRESH_S = 0.25
_LINE_S = 2.0
_SLICE_S = 0.02
"""Virtual seconds between two looks at whether the table is due."""


_FIRST_MAC = mac_text(FIRST_MAC)

_Target = Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="The server, and its DHCP port (67).")]
_Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Instead of a server: this configuration, in virtual time; sends nothing."),
]
_Machines = Annotated[int, typer.Option(min=0, metavar="N", help="How many; 0: every [[host]], or what the mix says.")]
_Mix = Annotated[str, typer.Option(metavar="KIND=N,...", help=f"Firmware and its share: {', '.join(PERSONALITIES)}.")]
_Power = Annotated[str, typer.Option(metavar="HOW", help="at-once, a rate (50/s), or groups (20x5s).")]
_Seed = Annotated[int, typer.Option(help="Of everything random in machines and faults.")]
_Relay = Annotated[
    str, typer.Option(metavar="ADDRESS", help="An address of ours in a network of the server's (giaddr).")
]
_RelayPort = Annotated[int, typer.Option(metavar="PORT", help="The relay's own port; 67 for servers without RFC 8357.")]
_ProxyPort = Annotated[int, typer.Option(metavar="PORT", help="The server's ProxyDHCP port.")]
_TftpPort = Annotated[int, typer.Option(metavar="PORT", help="The server's TFTP port.")]
_Pace = Annotated[
    float, typer.Option(min=0.0, help="Of the time machines spend on themselves (self-test, kernel); 0: none.")
]
_FirstMac = Annotated[str, typer.Option(metavar="MAC", help="Hardware addresses from here on, locally administered.")]
_Faults = Annotated[
    str, typer.Option(metavar="KIND=SHARE,...", help="With --config: loss, duplication, reordering, corruption; mtu.")
]
_For = Annotated[float, typer.Option("--for", metavar="SECONDS", help="Stop after so long.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before sending on a real network.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


def simulate(
    target: _Target = "",
    config: _Config = None,
    machines: _Machines = 0,
    mix: _Mix = "bios=4,uefi=3,http=1",
    power: _Power = "at-once",
    seed: _Seed = 0,
    relay: _Relay = "",
    relay_port: _RelayPort = 0,
    proxy_port: _ProxyPort = 4011,
    tftp_port: _TftpPort = 69,
    pace: _Pace = 1.0,
    first_mac: _FirstMac = _FIRST_MAC,
    faults: _Faults = "",
    for_s: _For = 3600.0,
    yes: _Yes = False,
    as_json: _Json = False,
) -> None:
    """Boot and install simulated machines from a server.

    They speak DHCP through a simulated relay, TFTP and HTTP, as the firmware
    that they model does, up to the installer's report. Against 127.0.0.1
    neither side needs privileges. Exit status 1 when a machine did not come to
    a good end, or got an address that another one held.

    Machines speak from their leased addresses where those are this host's: on
    the loopback, or after "ip route add local NETWORK dev lo". Elsewhere they
    share this host's address, and a server that tells machines apart by their
    addresses, as pxenet does, keeps answer files from them.

    \b
    Examples:
      pxenet simulate --config rack.toml --machines 200 --faults loss=0.05
      pxenet simulate 127.0.0.1:6767 --tftp-port 6969 --relay 127.77.0.1
      pxenet simulate 10.0.0.1 --machines 200 --mix bios=1,uefi=1 --power 20x5s
    """
    try:
        plan = Plan(parse_mix(mix), machines, parse_power(power), seed, parse_mac(first_mac), pace=pace)
        plan.macs()
        weather = parse_faults(faults)
        if bool(target) == (config is not None):
            raise ValueError("name a server, or a configuration by --config")
        if faults and config is None:
            raise ValueError("faults are made in virtual time only: with --config")
        if config is not None:
            raise typer.Exit(_virtual(config, plan, weather, for_s, as_json))
        where = _target(target, relay, relay_port, proxy_port, tftp_port)
        if not where.loopback and not yes and not _asked(where, plan):
            raise typer.Exit(BAD_CONFIG)
        raise typer.Exit(_real(where, plan, for_s, as_json))
    except ConfigError as error:
        raise typer.Exit(bad_config(error, as_json=as_json)) from error
    except (PlanError, ValueError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(BAD_CONFIG) from error


def _real(where: Target, plan: Plan, for_s: float, as_json: bool) -> int:
    """Over real sockets; the exit status. Raises ValueError when they cannot be had."""
    raise_open_files()
    try:
        sockets = Sockets(where, plan.count)
    except OSError as error:
        relay = address_text(where.relay)
        raise ValueError(f"cannot listen at {relay}: {error}; name an address of this machine by --relay") from error
    with closing(sockets):
        fleet = Fleet(plan, relay_of=lambda index: sockets.relay)
        stopped_at = trio.run(_watched, sockets, fleet, for_s, as_json)
    result = fleet.result(stopped_at, sockets.traffic)
    _tell(result, as_json)
    if not as_json and all(Stage.LEASE not in machine.reached for machine in fleet.machines):
        relay = address_text(where.relay)
        print(
            f"No machine was given an address. Is a DHCP server listening at {address_text(where.address)}:{where.dhcp_port}?"
        )
        print(f"It gives addresses only for networks it knows: {relay} (--relay) must lie in one of them.")
        if sockets.relay.port:
            print("A server that does not know RFC 8357 answers to port 67 of the relay: --relay-port 67, as root.")
    if not as_json and sockets.shared and not result.all_well:
        print(
            "All machines spoke from one address, by which a server cannot tell them apart. To give each its own, as root:"
        )
        print("  ip route add local NETWORK dev lo    (the network of the server's pool; on this host only)")
    return OK if result.all_well else FAILED


def _virtual(config: Path, plan: Plan, faults: Faults, for_s: float, as_json: bool) -> int:
    """Against a configuration, in virtual time; the exit status. Raises ConfigError or PlanError."""
    with Confined(again_s=math.inf) as engine:
        return _simulated(config, plan, faults, for_s, as_json, engine)


def _simulated(config: Path, plan: Plan, faults: Faults, for_s: float, as_json: bool, engine: Engine) -> int:
    settings = load(config)
    known = tuple(host.mac for host in settings.hosts if host.mac is not None)
    # Who asks for no number wants to know of the machines that are configured, if any are.
    plan = replace(plan, known=known, machines=plan.machines or len(known))
    run = simulation(settings, plan, faults=faults, engine=engine)
    link, fleet = run.link, run.fleet
    table = FleetTable(fleet, link.now)
    console = Console(stderr=True)
    ends_at = link.now + for_s
    link.start()
    live = Live(console=console, auto_refresh=False) if console.is_terminal and not as_json else None
    with live or nullcontext():
        shown_at = 0.0
        try:
            while link.pending and link.now < ends_at:
                link.go_on(min(link.now + _SLICE_S, ends_at))
                if live is not None and time.monotonic() - shown_at >= _REFRESH_S:
                    live.update(table.table(link.now), refresh=True)
                    shown_at = time.monotonic()
        except KeyboardInterrupt:
            pass  # what there is by now is told all the same
        if live is not None:
            live.update(table.table(link.now), refresh=True)
    result = run.result()
    _tell(result, as_json)
    return OK if result.all_well else FAILED


def _target(text: str, relay: str, relay_port: int, proxy_port: int, tftp_port: int) -> Target:
    """Raises ValueError or OSError when there is no such place."""
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "67"
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{port or 'nothing'} is no port; write {host or '10.0.0.1'}:67")
    try:
        address = parse_address(socket.gethostbyname(host))
    except OSError as error:
        raise ValueError(f"{host or 'nothing'} is no host: {error}") from error
    own = parse_address(relay) if relay else _own_address(address)
    return Target(address, own, int(port), proxy_port, tftp_port, relay_port)


def _own_address(address: int) -> int:
    """Ours towards that one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address_text(address), 9))  # sends nothing
        return parse_address(probe.getsockname()[0])


def _asked(where: Target, plan: Plan) -> bool:
    """Whether the person wants this to go out on a real network."""
    print(
        f"{plan.count} simulated machines will ask {address_text(where.address)} for addresses, through a relay at "
        f"{address_text(where.relay)}, and read its files.\nEach takes an address of its pool for the length of a lease; "
        "its log and its list of hosts will show them.",
        file=sys.stderr,
    )
    if not sys.stdin.isatty():
        print("nothing was sent; say --yes when this is wanted", file=sys.stderr)
        return False
    return typer.confirm("Send?", err=True)


async def _watched(sockets: Sockets, fleet: Fleet, for_s: float, as_json: bool) -> float:
    """Run the fleet and show it; the time at which it was over. SIGINT stops it."""
    began_at = time.monotonic()
    table = FleetTable(fleet, began_at)
    console = Console(stderr=True)

    async def stop(scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop, nursery.cancel_scope)
        if not as_json:
            nursery.start_soon(_show if console.is_terminal else _print, console, table)
        await sockets.run(fleet, for_s)
        nursery.cancel_scope.cancel()
    return time.monotonic()


async def _show(console: Console, table: FleetTable) -> None:
    """A table that moves."""
    with Live(console=console, auto_refresh=False) as live:
        await _every(_REFRESH_S, lambda now: live.update(table.table(now), refresh=True))


async def _print(console: Console, table: FleetTable) -> None:
    """A line now and then."""
    await _every(_LINE_S, lambda now: print(table.line(now), file=sys.stderr, flush=True))


async def _every(seconds: float, act: Callable[[float], None]) -> None:
    """Until cancelled, and once more then."""
    try:
        while True:
            act(time.monotonic())
            await trio.sleep(seconds)
    finally:
        act(time.monotonic())


def _tell(result: Result, as_json: bool) -> None:
    if as_json:
        print_json(result.record())
    else:
        print("\n".join(summary(result)))
