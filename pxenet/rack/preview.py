"""What a machine would get, before it is switched on: boot files, boot texts, answer file, and what is wrong with them.

Asks the rack's own policy, tree and templates, so that what is shown is what would be sent. Nothing is remembered by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pxenet.answer import kickstart, kinds
from pxenet.answer.context import answer_path
from pxenet.answer.templates import Fault, TemplateProblem
from pxenet.boot import policy
from pxenet.boot.entries import BootText, InexpressibleError, Reader
from pxenet.config import DhcpMode, Problem, Settings
from pxenet.config.problems import Key
from pxenet.content.rendered import DIALECTS
from pxenet.model import Asker, BootClient, BootFile, ClientKind, Content, Host, Loader, Profile, platform_of
from pxenet.rack.offering import FIRMWARE
from pxenet.rack.rack import Rack
from pxenet.wire.text import address_text, mac_dashes, parse_uuid

_TEXT_NAMES: Mapping[Loader, str] = {
    Loader.PXELINUX: "pxelinux.cfg/default",
    Loader.LPXELINUX: "pxelinux.cfg/default",
    Loader.GRUB: "grub.cfg",
    Loader.SHIM: "grub.cfg",
    Loader.IPXE: "boot.ipxe",
}
"""The generic name under which each loader asks for its text."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one kind of firmware would be told to load."""

    firmware: str
    boot: BootFile


@dataclass(frozen=True, slots=True)
class Text:
    """A text that would be rendered for the machine."""

    name: str
    """In the tree; a boot text has many names, this is the generic one."""
    firmware: tuple[str, ...]
    """Which kinds of firmware would come to read it; empty for an answer file: all of them."""
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything one machine would get."""

    host: Host
    plan: policy.Plan
    offers: tuple[Offer, ...]
    texts: tuple[Text, ...]


def preview(rack: Rack, host: Host, server_address: int) -> Preview:
    """What the machine would get now from us at ``server_address``. Texts that cannot be rendered are left out: see ``problems``."""
    plan = rack.plan(host)
    subnet = rack.settings.subnet_of(host.address or server_address)
    mode = subnet.mode if subnet is not None else rack.settings.dhcp.mode
    proxied = mode is DhcpMode.PROXY
    offers: list[Offer] = []
    boot_texts: dict[tuple[str, str], list[str]] = {}
    for firmware, arch in FIRMWARE:
        client = _client(host, arch)
        boot = rack.boot(client, server_address, proxied)
        offers.append(Offer(firmware, boot))
        for name in _text_names(rack, plan, host, client, boot):
            if name.endswith(".ipxe"):  # who asks for that one is not the firmware any more
                client = replace(client, kind=ClientKind.IPXE, ipxe_features=frozenset(policy.URL_FEATURES.values()))
            text = _read(rack, name, Asker(host.address or 0, host, "preview", client, server_address))
            if text is not None:
                boot_texts.setdefault(text, []).append(firmware)
    texts = [Text(name, tuple(readers), text) for (name, text), readers in boot_texts.items()]
    return Preview(host, plan, tuple(offers), (*texts, *_answers(rack, plan, host, server_address)))


def problems(rack: Rack, settings: Settings, hosts: Iterable[Host], server_address: int) -> list[Problem]:
    """Every fault in a template or in kernel arguments, once each, with the hosts that it concerns."""
    return review(rack, settings, hosts, server_address)[0]


def review(
    rack: Rack, settings: Settings, hosts: Iterable[Host], server_address: int
) -> tuple[list[Problem], list[Problem]]:
    """(``problems``, and what an installer would not like in its answer file), once each, with the hosts that they concern.

    The release is the one that ``vars.version`` or the profile's name tells.
    """
    faults: dict[tuple[str, Fault], list[str]] = {}
    notes: dict[tuple[str, str], list[str]] = {}
    fine: set[object] = set()
    for host in hosts:
        profile = rack.profiles.get(host.profile or "")
        if profile is None:
            continue
        alike = _alike(settings, host, profile)
        if alike in fine:
            continue
        wrong, minor = _found(rack, host, profile, server_address)
        for fault in wrong:
            faults.setdefault((profile.name, fault), []).append(host.name)
        for note in minor:
            notes.setdefault((profile.answer or "", note), []).append(host.name)
        if alike is not None and not wrong and not minor:
            fine.add(alike)
    return (
        [_problem(settings, profile, fault, names) for (profile, fault), names in faults.items()],
        [
            Problem(answer, None, "", f"rendered for {_listed(names)}: {note}", "")
            for (answer, note), names in notes.items()
        ],
    )


_SIMPLE = re.compile(r"(?:[^{]|\{(?![{%#])|\{\{\s*\w+(?:\.\w+)*\s*\}\})*")
"""A template that does nothing with what it is told but to write it down."""


def _alike(settings: Settings, host: Host, profile: Profile) -> object:
    """Hosts of which this is equal get texts that differ in nothing but their names, addresses and tokens, which are right everywhere.

    So when those of one are right, those of all are: a rack has a handful of kinds of hosts, and thousands of each. None: a template
    of the user's may do anything with what it is told, and must be tried for each host.
    """
    if profile.answer not in (None, kickstart.BUILT_IN) and not profile.verbatim:
        return None
    if not _SIMPLE.fullmatch(profile.args):
        return None
    subnet = settings.subnet_of(host.address) if host.address else None
    known = len(host.mac or b""), bool(host.uuid), host.serial, bool(host.address), subnet
    return profile.name, repr(dict(host.vars)), repr(dict(host.kickstart)), tuple(host.loaders.items()), known


def _found(rack: Rack, host: Host, profile: Profile, server_address: int) -> tuple[list[Fault], list[str]]:
    """(faults, notes) of one host's texts."""
    faults = list(_faults(rack, host, profile, server_address))
    if profile.answer is None:
        return faults, []
    try:
        text = rack.rendered.answer(host, profile, Asker(host.address or 0, host, server=server_address))
    except TemplateProblem as problem:
        return [*faults, problem.fault], []
    return faults, list(_notes(rack, profile, host, text))


def _notes(rack: Rack, profile: Profile, host: Host, text: str) -> Iterator[str]:
    kind = kinds.kind_of(profile)
    if kind == kinds.KICKSTART:
        data = {**profile.kickstart, **host.kickstart}
        # What is made of data is right for its release, or was refused by its key, but for lines that were taken as they are.
        if profile.answer != kickstart.BUILT_IN or "commands" in data:
            version = kickstart.version_named(data, {**profile.vars, **host.vars}, profile.name)
            yield from map(str, kickstart.check(text, version))
    if kind == kinds.IGNITION and not text.lstrip().startswith("{"):
        yield "is not JSON, which is all that Ignition reads; from Butane's YAML it is made with butane"
    if profile.reports and kind != kinds.DISCOVERY and f"installed/{rack.installs.token(host.key)}" not in text:
        yield "nothing in it reports the end, so the machine would install itself again: run {{ reports.installed }} at its end"


def _client(host: Host, arch: int) -> BootClient:
    """The machine's firmware, if it were of that architecture."""
    platform, by_uri = platform_of(arch)
    uuid = parse_uuid(host.uuid) if host.uuid is not None else None
    return BootClient(host.mac or b"", ClientKind.HTTP if by_uri else ClientKind.PXE, arch, platform, uuid)


def _text_names(rack: Rack, plan: policy.Plan, host: Host, client: BootClient, boot: BootFile) -> list[str]:
    """What the loader that this firmware is told to load reads, in its order."""
    assert client.platform is not None
    loader = policy.loader_of(client.platform, plan, host, rack.setting.loaders)
    if boot.reason == "http-ipxe":  # instead of a loader that would have no network
        loader = Loader.IPXE
    name = _TEXT_NAMES[loader]
    if name.startswith("pxelinux") and host.mac is not None:
        name = f"pxelinux.cfg/01-{mac_dashes(host.mac)}"
    first = [f"{client.platform.value}/{policy.GRUB_SCRIPT}"] if boot.reason == "grub-proxy" else []
    return [*first, name]


def _read(rack: Rack, name: str, asker: Asker) -> tuple[str, str] | None:
    found = rack.tree.find(name, asker, rack.clock())
    return (name, _text(found)) if isinstance(found, Content) else None


def _answers(rack: Rack, plan: policy.Plan, host: Host, server_address: int) -> Iterator[Text]:
    profile = plan.profile
    if plan.action is not policy.Action.INSTALL or profile is None or profile.answer is None:
        return
    try:
        text = rack.rendered.answer(host, profile, Asker(host.address or 0, host, server=server_address))
    except TemplateProblem:
        return
    path = answer_path(rack.installs.token(host.key), profile)
    yield Text(path, (), text)
    for name in kinds.companions(profile):
        beside = rack.rendered.companion(host, profile, name, Asker(host.address or 0, host, server=server_address))
        if beside is not None:
            yield Text(f"{path.rpartition('/')[0]}/{name}", (), beside)


def _text(content: Content) -> str:
    return b"".join(segment for segment in content.segments if isinstance(segment, bytes)).decode()


def _faults(rack: Rack, host: Host, profile: Profile, server_address: int) -> Iterator[Fault]:
    asker = Asker(host.address or 0, host, server=server_address)
    try:
        text = BootText((rack.rendered.entry(host, profile, asker),))
        reader = Reader(rack.url(server_address), address_text(server_address), host.mac or b"")
        for render in DIALECTS.values():
            render(text, reader)
    except TemplateProblem as problem:
        yield problem.fault
    except InexpressibleError as problem:
        yield Fault(f"profile.{profile.name}.args", 0, str(problem))


def _problem(settings: Settings, profile: str, fault: Fault, names: list[str]) -> Problem:
    """A fault of a template file has that file's line; one of the configuration's own texts has the configuration's."""
    wrong = f"{fault.message} (for {_listed(names)})"
    index = [known.name for known in settings.profiles].index(profile)
    if fault.file == f"profile.{profile}.args":
        return settings.source.problem(("profile", index, "args"), wrong)
    if fault.file.startswith("kickstart."):
        parts = [int(part[:-1]) - 1 if part.endswith("]") else part for part in re.split(r"[.\[]", fault.file)]
        line = f"line {fault.line}: " if fault.line else ""
        return settings.source.problem(_written(settings, index, names, parts), line + wrong)
    if fault.file.startswith("vars."):
        return settings.source.problem(_written(settings, index, names, fault.file.split(".")), wrong)
    return Problem(fault.file, fault.line or None, "", wrong, "")


def _written(settings: Settings, profile: int, hosts: list[str], parts: Sequence[str | int]) -> Key:
    """Where a key of data or a variable was written: below the host, the profile, or the defaults."""
    table, name = str(parts[0]), parts[1]
    for number, host in enumerate(settings.hosts):
        if host.name in hosts:
            if name in (host.kickstart if table == "kickstart" else host.vars):
                return ("host", number, *parts)
            break
    writes = settings.source.writes
    if writes(("defaults", table, name)) and not writes(("profile", profile, table, name)):
        return ("defaults", *parts)
    return ("profile", profile, *parts)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
