"""Running scenarios: wires, servers and machines put together, two power-ons for each machine, and the judgement.

Knows what a machine must show: on its first power-on it fetches its answer file itself, runs it and switches off; on its second
the program on its own disk speaks.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from labkit import distribution, evidence, payload, replayed, servers
from labkit.machine import Firmware, Machine, Outcome, PowerOn, power_on
from labkit.reference import ReferenceServer
from labkit.report import Report
from labkit.scenarios import PROFILE, Scenario
from labkit.wire import Wire

Say = Callable[[str], None]

# In the order in which a first power-on reaches them, with what was being waited for when the next one is missing
_STAGES = ("kernel", "address", "answer", "installed")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run."""

    jobs: int
    timeout_s: float
    """For one power-on."""
    reference: bool = False
    verbose: bool = False


@dataclass(slots=True)
class Bench:
    """One wire with its servers: everything that the machines on it have in common."""

    wire: Wire
    server: servers.Server
    addresses: servers.AddressServer | None
    scenarios: list[Scenario]
    netdevs: dict[str, str]
    """For each scenario's name, how QEMU is plugged in."""
    config: Path | None = None
    """Of the server under test; None: it is somebody else's."""


def run(scenarios: Sequence[Scenario], options: Options, work: Path, logs: Path, say: Say) -> list[Report]:
    """Run ``scenarios``; ``work`` is for files that only machines need, ``logs`` for what people may want to read."""
    grub_for_bios = any((s.platform, s.loader) == ("bios", "grub") for s in scenarios)
    files = payload.build(work / "payload", {s.disk for s in scenarios}, grub_for_bios=grub_for_bios)
    image = distribution.build(work / "lab-linux") if any(s.from_data for s in scenarios) else None
    benches = [
        _bench(kind, [s for s in scenarios if s.bench == kind], files, image, work, logs, options)
        for kind in dict.fromkeys(s.bench for s in scenarios)
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        # UEFI first: it takes longest, and short ones fill the end
        order = sorted(
            ((s, b) for b in benches for s in b.scenarios), key=lambda pair: pair[0].firmware is Firmware.BIOS
        )
        futures = {s.name: pool.submit(_run_machine, s, b, options, work, logs, say) for s, b in order}
        reports = {name: future.result() for name, future in futures.items()}
    for bench in benches:
        own = [reports[s.name] for s in bench.scenarios]
        _judge_wire(bench, own)
        _judge_replay(bench, own, say)
    return [reports[s.name] for s in scenarios]


def _bench(
    kind: str,
    scenarios: list[Scenario],
    files: payload.Payload,
    image: Path | None,
    work: Path,
    logs: Path,
    options: Options,
) -> Bench:
    wire = Wire(kind, "10.77.0.0/24", logs)
    netdevs = {scenario.name: wire.plug(f"port{scenario.number}", work) for scenario in scenarios}
    wire.record()
    server: servers.Server
    config = None
    if options.reference:
        server = ReferenceServer(wire, scenarios, files, work / f"{kind}.root", logs)
    else:
        config = logs / f"{kind}.toml"
        state = work / f"{kind}.state"
        data = scenarios[0] if scenarios[0].from_data else None
        config.write_text(
            servers.rack_toml(wire, scenarios, files, state)
            if data is None or image is None
            else servers.lab_toml(wire, data, image, state)
        )
        server = servers.PxenetServer(wire.rack, config, logs / f"{kind}.server.log", work / f"{kind}.notify")
    addresses = servers.AddressServer(wire, logs) if any(s.proxy for s in scenarios) else None
    if addresses is not None:
        addresses.start()
    server.start()
    return Bench(wire, server, addresses, scenarios, netdevs, config)


def _run_machine(scenario: Scenario, bench: Bench, options: Options, work: Path, logs: Path, say: Say) -> Report:
    machine = Machine(
        scenario.name,
        scenario.firmware,
        scenario.mac,
        bench.netdevs[scenario.name],
        work / f"{scenario.name}.disk",
        serial=scenario.serial,
    )
    report = Report(scenario)

    def console(line: str) -> None:
        if options.verbose or "@lab" in line:
            say(f"{scenario.name:16} {line}")

    say(f"{scenario.name:16} power on: {scenario.about}")
    if not scenario.named:
        told = _discover(scenario, machine, bench, logs / f"{scenario.name}.0.serial", options.timeout_s, console)
        if told is not None:
            report.faults.append(f"power-on to tell what it is: {told.outcome.value} {told.words}")
            report.logs.append(("its console", "\n".join(told.tail)))
            return report
        say(f"{scenario.name:16} power on again: it is a host now")
    first = power_on(
        machine, bench.wire.rack, logs / f"{scenario.name}.1.serial", options.timeout_s, console, bench.server.alive
    )
    report.first = first
    if fault := first_fault(first):
        report.faults.append(f"first power-on: {fault}")
        report.logs.append(("its console", "\n".join(first.tail)))
        return report
    if scenario.from_data:
        report.faults += _faults_of_disk(scenario, machine, bench, first)
    say(f"{scenario.name:16} power on again: it must boot its own disk")
    second = power_on(
        machine, bench.wire.rack, logs / f"{scenario.name}.2.serial", options.timeout_s, console, bench.server.alive
    )
    report.second = second
    if fault := second_fault(second, scenario.disk_mark):
        report.faults.append(f"second power-on: {fault}")
        report.logs.append(("its console", "\n".join(second.tail)))
    if scenario.ordered and not report.faults:
        _obey_orders(scenario, machine, bench, logs, options.timeout_s, console, report)
    return report


def _faults_of_disk(scenario: Scenario, machine: Machine, bench: Bench, power: PowerOn) -> list[str]:
    address = servers.reserved(bench.wire, scenario)
    return distribution.faults(machine.disk, power.detail("packages"), scenario.name, address)


_ORDERS = (((), False), (("reinstall",), True), ((), False), (("reinstall", "cancel"), False))
"""Orders before a power-on, and whether that must install; else it must boot the disk."""


def _obey_orders(
    scenario: Scenario, machine: Machine, bench: Bench, logs: Path, timeout_s: float, console: Say, report: Report
) -> None:
    """More power-ons after the second, with an order before each; the first fault ends them."""
    server = bench.server
    assert isinstance(server, servers.PxenetServer)
    for number, (orders, installs) in enumerate(_ORDERS, start=3):
        for order in orders:
            server.order(order, scenario.name)
        console(f"@lab note after {' and '.join(orders) or 'that'}, power on again")
        log = logs / f"{scenario.name}.{number}.serial"
        power = power_on(machine, bench.wire.rack, log, timeout_s, console, server.alive)
        if fault := first_fault(power) if installs else second_fault(power, scenario.disk_mark):
            report.faults.append(f"power-on {number}, after {' and '.join(orders) or 'nothing'}: {fault}")
            report.logs.append(("its console", "\n".join(power.tail)))
            return
        if installs and scenario.from_data:
            report.faults += _faults_of_disk(scenario, machine, bench, power)


def _discover(
    scenario: Scenario, machine: Machine, bench: Bench, log: Path, timeout_s: float, console: Say
) -> PowerOn | None:
    """A machine that nobody has named tells what it is, is accepted while it waits, and starts anew; its power-on when it does not."""
    server = bench.server
    assert isinstance(server, servers.PxenetServer)
    accepted: list[str] = []

    def watch(line: str) -> None:
        console(line)
        if "this machine is known now" in line and not accepted:
            accepted.append(line)
            name, platform = scenario.name, scenario.platform
            keys = (f"profile={PROFILE}", f"loader.{platform}={scenario.loader}", f"vars.disk={scenario.disk}")
            server.order("hosts", "accept", scenario.serial, name, *keys)

    power = power_on(machine, bench.wire.rack, log, timeout_s, watch, server.alive)
    return None if accepted and power.outcome is Outcome.OFF and power.mark_at("failed") is None else power


def first_fault(power: PowerOn) -> str:
    """Why a first power-on was not an install, or "" when it was: every stage reported, and off by itself."""
    missing = next((stage for stage in _STAGES if power.mark_at(stage) is None), None)
    if missing is None and power.outcome is Outcome.OFF:
        return ""
    reached = [mark.stage for _, mark in power.marks if mark.stage in _STAGES]
    where = f"after stage {reached[-1]!r}" if reached else "before its kernel started"
    words = f": {power.words}" if power.words else ""
    return f"{power.outcome.value} {where} ({power.lasted_s:.0f} s){words}"


def second_fault(power: PowerOn, disk_mark: str) -> str:
    """Why a second power-on did not boot the disk, or "" when it did."""
    if power.mark_at("kernel") is not None:
        return "it started the installer's kernel again"
    said = power.detail("disk")
    if said == disk_mark:
        return ""
    if said is not None:
        return f"the disk's {said} spoke, not its {disk_mark}"
    words = f": {power.words}" if power.words else ""
    return f"{power.outcome.value} after {power.lasted_s:.0f} s and the disk never spoke{words}"


def _judge_wire(bench: Bench, reports: list[Report]) -> None:
    """End the servers and the recording, and hold the recording against what the machines said."""
    common: list[str] = []
    try:
        bench.server.stop()
    except RuntimeError as error:
        common.append(str(error))
    if bench.addresses is not None:
        bench.addresses.stop()
    time.sleep(0.2)  # for the recorder's buffer
    bench.wire.stop_recording()
    recording = evidence.read(bench.wire.recording)
    common += [
        f"the server sent what tshark objects to: {f}" for f in recording.faults_of(bench.wire.server_address)[:10]
    ]
    if bench.addresses is not None and (given := recording.given_by(bench.wire.server_address)):
        common.append(f"the ProxyDHCP server gave away addresses: {', '.join(given)}")
    for report in reports:
        _judge_machine(report, recording)
        report.faults += common
        if report.faults:
            report.logs.append(
                (
                    f"the server's log ({bench.server.log.name})",
                    servers.tail(bench.server.log, only=[report.scenario.mac]),
                )
            )


def _judge_replay(bench: Bench, reports: list[Report], say: Say) -> None:
    """Replay the recordings before the server's own configuration, and hold that against what the machines did."""
    if bench.config is None:
        return
    # What was made a host by command is a stranger to the configuration.
    well = [report for report in reports if not report.faults and report.scenario.named]
    for recording in bench.wire.recordings:
        say(f"{recording.name:16} replayed before {bench.config.name}")
        try:
            boots = replayed.replay(recording, bench.config)
        except replayed.ReplayFailed as error:
            reports[0].faults.append(str(error))
            return
        for report in well:
            address = report.first.detail("address") if report.first is not None else None
            report.faults += replayed.faults(boots, report.scenario.mac, address or "")


def _judge_machine(report: Report, recording: evidence.Recording) -> None:
    mac, first, second = report.scenario.mac, report.first, report.second
    if first is None:
        return

    def after(at: float | None, power: PowerOn) -> float | None:
        return None if at is None else at - power.at

    report.first_dhcp_s = after(recording.first_dhcp_at(mac, first.at), first)
    report.loader_s = after(recording.first_read_at(mac, first.at), first)
    last = second or first
    if second is not None:
        report.second_dhcp_s = after(recording.first_dhcp_at(mac, second.at), second)
    report.reads = recording.reads(mac, last.at, last.at + last.lasted_s)
    answer, address = first.detail("answer"), first.detail("address")
    if answer and address and not recording.was_read_by(urllib.parse.urlsplit(answer).path, mac, address):
        report.faults.append(f"nobody saw it ask for {answer} from its own address {address}")
