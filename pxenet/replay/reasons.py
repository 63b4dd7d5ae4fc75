"""Decisions as they were taken, in words: each step with what was taken, why, and why nothing else.

The words are made of the very values that the rack and its engines tell a recorder. What else could have been is asked of the same
functions, with one fact changed. Must not decide anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pxenet.boot import policy
from pxenet.boot.policy import RULES, Action, Plan
from pxenet.config import Settings
from pxenet.engine.dhcp.query import By, Query, Stage
from pxenet.engine.dhcp.rules import Candidate, Finding, Reaction
from pxenet.engine.dhcp.subnet import Subnet
from pxenet.model import (
    BootClient,
    BootFile,
    ClientKind,
    Host,
    InstallRecord,
    InstallState,
    Loader,
    Platform,
    platform_of,
)
from pxenet.rack import Rack
from pxenet.rack.offering import FIRMWARE, MODES
from pxenet.rack.translate import plan_settings
from pxenet.wire.iana import architecture_name
from pxenet.wire.text import address_text, mac_text


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of a decision."""

    step: str
    """``network``, ``machine``, ``to do``, ``loader``, ``file``, ``address``, ``answer``."""
    taken: str
    because: str
    others: tuple[str, ...] = ()
    """What was not taken, each with why not; of ``file``: what other firmware would be told."""

    def record(self) -> dict[str, object]:
        """For programs."""
        return {"step": self.step, "taken": self.taken, "because": self.because, "others": list(self.others)}


def network(query: Query, settings: Settings) -> Reason:
    """Which subnet a request belongs to."""
    form = query.form
    link = [served.subnet for served in form.link]
    where = f"by {address_text(form.via)}" if form.via else "by an address that nobody named"
    because = f"{form.by.value} ({_evidence(query)})"
    others = [
        f"{_named(subnet)}: {_not_there(subnet, query)}"
        for subnet in settings.dhcp.subnets
        if _named(subnet) not in [_named(one) for one in link]
    ]
    taken = " and ".join(_named(subnet) for subnet in link) or f"none that is configured, {where}"
    return Reason("network", f"{taken}, which {MODES[form.mode]}", because, tuple(others))


def _evidence(query: Query) -> str:
    form, port = query.form, query.datagram.port
    if form.by in (By.LINK_SELECTION, By.SUBNET_SELECTION, By.RELAY):
        return address_text(form.via)
    if form.by is By.CLIENT:
        return address_text(query.ciaddr)
    return f"ours there is {address_text(form.server)}, port {port}"


def _not_there(subnet: Subnet, query: Query) -> str:
    if _named(subnet) in [_named(served.subnet) for served in query.form.beside]:
        return "on the same wire, but in another mode than its first network"
    if query.form.by is By.INTERFACE:
        return "we have no address in it on that wire; a relay would have to name it"
    return f"{_evidence(query)} is not in it"


def _named(subnet: Subnet) -> str:
    return f"{address_text(subnet.network)}/{subnet.prefix}"


def machine(client: BootClient, host: Host | None) -> Reason:
    """Who asks."""
    mac = mac_text(client.mac)
    said = f'class "{client.vendor_class}"' if client.vendor_class else "no vendor class"
    if client.kind is not ClientKind.OTHER:
        said = f"architecture {client.arch} ({architecture_name(client.arch)}), {said}"
    if host is None or not host.configured:
        return Reason("machine", f"{mac}, unknown", f"no [[host]] has its hardware address or machine id; {said}")
    if client.mac in host.macs:
        by = f"host.{host.name}.mac is {mac}"
    elif host.uuid is not None and client.uuid is not None:
        by = f"host.{host.name}.uuid is its machine id (option 97)"
    else:
        by = f"{mac} was learned to be it"
    return Reason("machine", host.name, f"{by}; {said}")


def to_do(host: Host, plan: Plan, record: InstallRecord | None, rack: Rack) -> Reason:
    """Install, local disk, menu or nothing."""
    because = RULES[plan.reason] + (f": {plan.detail}" if plan.detail else "")
    if host.configured and record is not None:
        because += (
            f"; its state is {record.state.value}, attempt {record.attempts} of {rack.settings.boot.max_attempts}"
        )
    return Reason("to do", _deed(plan), because, tuple(_other_deeds(host, plan, record, rack)))


def _other_deeds(host: Host, plan: Plan, record: InstallRecord | None, rack: Rack) -> Iterator[str]:
    settings = plan_settings(rack.settings)
    told = {plan.action}

    def would(when: str, other: Plan) -> Iterator[str]:
        if other.action not in told:
            told.add(other.action)
            yield f"{_deed(other)}: {when}"

    if not host.configured:
        for unknown in ("ignore", "local", "menu"):
            other = policy.plan(host, record, replace(settings, unknown=unknown), rack.profiles)
            yield from would(f'that is what boot.unknown = "{unknown}" would give', other)
        return
    armed = policy.plan(host, None, settings, rack.profiles)
    yield from would(f"after `pxenet reinstall {host.name}`", armed)
    if plan.action is Action.INSTALL:
        over = InstallRecord(host.key, InstallState.INSTALLED)
        ended = policy.plan(host, over, settings, rack.profiles)
        yield from would("only when it has reported the end of its installation", ended)


def _deed(plan: Plan) -> str:
    if plan.action is Action.INSTALL and plan.profile is not None:
        return f"install profile {plan.profile.name}"
    return {Action.LOCAL: "boot its local disk", Action.MENU: "show the menu", Action.NONE: "nothing"}.get(
        plan.action, plan.action.value
    )


def loader(platform: Platform, plan: Plan, host: Host, rack: Rack) -> Reason:
    """Which boot loader the configuration wants on this platform, and what the other loaders lack."""
    taken = policy.loader_of(platform, plan, host, rack.setting.loaders)
    profile = plan.profile
    words = [
        (f"host.{host.name}.loader.{platform.value}", host.loaders),
        (f"profile.{profile.name if profile else ''}.loader.{platform.value}", profile.loaders if profile else {}),
        (f"boot.loader.{platform.value}", rack.settings.boot.loaders),
    ]
    told = [(key, loaders[platform]) for key, loaders in words if platform in loaders]
    chosen = told[0][0] if told else f"boot.loader.{platform.value}"
    default = not told or (len(told) == 1 and chosen == words[-1][0] and taken is policy.DEFAULT_LOADERS[platform])
    because = f"it is the default of {chosen}" if default else f"{chosen} says so"
    others = [f"{choice.value} by {key}: overruled by {chosen}" for key, choice in told[1:]]
    for one in Loader:
        if one is not taken and (platform, one) in policy.LOADERS:
            path, missing = policy.find_loader(platform, one, rack.setting.shelf)
            others.append(f"{one.value}: {f'here as {path}, but not chosen' if path else missing}")
    return Reason("loader", taken.value, because, tuple(others))


def boot_file(
    client: BootClient, host: Host, plan: Plan, boot: BootFile, rack: Rack, server: int, *, proxied: bool
) -> Reason:
    """What is named to the client, and what another firmware of this machine would be told."""
    others = []
    for firmware, arch in FIRMWARE if client.kind is not ClientKind.OTHER else ():
        platform, by_uri = platform_of(arch)
        if platform is not client.platform or (client.kind is ClientKind.HTTP) is not by_uri:
            other = BootClient(client.mac, ClientKind.HTTP if by_uri else ClientKind.PXE, arch, platform, client.uuid)
            told = policy.choose(other, plan, host, rack.setting, rack.url(server), proxied=proxied)
            others.append(f"{firmware}: {_told(told)}")
    because = RULES[boot.reason] + (f"; {boot.detail}" if boot.detail else "")
    return Reason("file", boot.url or boot.path or "none", because, tuple(others))


def _told(boot: BootFile) -> str:
    name = boot.url or boot.path
    return (
        f"{name} ({RULES[boot.reason]})"
        if name
        else f"none: {RULES[boot.reason]}{f', {boot.detail}' if boot.detail else ''}"
    )


def address(tried: Sequence[Candidate]) -> Reason:
    """What a DISCOVER is offered."""
    others = tuple(f"{_candidate(one)} ({one.why.value}): {one.refused}" for one in tried if one.refused)
    taken = next((one for one in tried if not one.refused), None)
    if taken is None:
        return Reason("address", "none", "no address can be offered", others)
    return Reason("address", address_text(taken.address), taken.why.value, others)


def _candidate(one: Candidate) -> str:
    return address_text(one.address) if one.address else f"any of {_named(one.served.subnet)}"


def judgement(stage: Stage, asked: int, finding: Finding, what: Reaction) -> Reason:
    """What a REQUEST meets."""
    because = f"{address_text(asked)}: {finding.value}"
    if what is Reaction.SILENT and finding is not Finding.RIGHT:
        because += "; another server may know better: dhcp.subnet.authoritative = true would refuse it"
    return Reason("address", f"{what.value.upper()} ({stage.value})", because)
