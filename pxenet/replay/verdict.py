"""How a replayed boot ended, and where it first stopped, in words for people: what the machine says, why, what would be right.

The reasons are the server's own: the events it would have told, and its verdict on the name that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pxenet.boot.policy import RULES
from pxenet.config import DhcpMode
from pxenet.events import Event, describe
from pxenet.model import Absent, Missing
from pxenet.replay.play import Part, Play, Unfit, find, path_of
from pxenet.sim.body import Read, Stage
from pxenet.wire.text import address_text

GOOD = (Stage.INSTALLED, Stage.DISCOVERED, Stage.LOCAL_DISK)

_PLACES = {
    Stage.OFF: "before it said anything",
    Stage.DISCOVER: "before it had an address",
    Stage.LEASE: "after its address, before any file",
    Stage.LOADER: "at its boot program",
    Stage.CONFIG: "at its boot text",
    Stage.KERNEL: "at its kernel",
    Stage.INITRD: "at its initial RAM disk",
    Stage.SYSTEM: "in the installer, before it had an address",
    Stage.ANSWER: "at its answer file",
    Stage.REPOSITORY: "at the repository",
    Stage.CALLBACK: "at its report",
}

_OF_A_NETWORK = ("dhcp.no_subnet", "dhcp.pool_empty", "dhcp.no_pool")
_OF_A_MACHINE = (
    "dhcp.no_boot", "dhcp.unknown_arch", "proxy.silent", "dhcp.nak", "dhcp.taken", "dhcp.reservation_held", "dhcp.not_durable",
)  # fmt: skip

_REASONS = tuple(kind for kind in _OF_A_MACHINE if kind != "dhcp.nak")
_PLATFORMS = {"aa64": "arm64"}
"""Architectures of EFI file names → keys of ``boot.loader``, where they differ."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where and why a boot did not go on."""

    place: str
    says: str
    """The machine's own words."""
    why: str = ""
    right: str = ""
    """What would be right."""

    @property
    def words(self) -> str:
        """One sentence, or two."""
        reason = f": {self.why}" if self.why else ""
        advice = f"; {self.right}" if self.right else ""
        return f"stops {self.place}{reason}{advice} (it says: {self.says})"


def stop_of(part: Part, whole: Play) -> Stop | None:
    """The first point where the boot stops; None when it comes to a good end."""
    machine = part.machine
    if machine is None:
        return Stop(
            _PLACES[Stage.OFF],
            "nothing",
            "no DHCP packet of it was recorded over IPv4",
            "record from power-on, port 67",
        )
    if machine.stage in GOOD:
        failed = next((event for _, event in part.events if event.kind == "install.failed"), None)
        # Its last script has run to its end, and has reported a failure all the same.
        return Stop(_PLACES[Stage.CALLBACK], "its installation failed", *_told(failed)) if failed is not None else None
    reached = [stage for stage, _ in sorted(machine.reached.items(), key=lambda item: item[1]) if stage in _PLACES]
    stage = reached[-1] if reached else Stage.OFF
    says = machine.failure or (
        "it is switched off and on again" if part.cut_short else f"nothing more, at {stage.value}"
    )
    if stage in (Stage.DISCOVER, Stage.SYSTEM) and not machine.address:
        return Stop(_PLACES[stage], says, *_no_address(part, whole))
    if part.unfit is not None and part.unfit.words == machine.failure:
        return Stop(_PLACES[stage], *_unfit(part.unfit))
    refused = _refused(part, whole)
    if refused is not None:
        return Stop(_PLACES[stage], says, *refused)
    told = next((event for _, event in reversed(part.events) if event.kind in _OF_A_MACHINE), None)
    if told is not None:
        return Stop(_PLACES[stage], says, *_told(told))
    return Stop(_PLACES[stage], says)


def _unfit(file: Unfit) -> tuple[str, str, str]:
    """What the machine says, why, and what would be right."""
    why, _, says = file.words.partition(": ")
    platform = _PLATFORMS.get(file.arch, file.arch)
    there = f"in place of {file.origin}" if file.origin else "there"
    return says, why, f"put a boot program for {platform} {there}, or choose another with boot.loader.{platform}"


def _told(event: Event) -> tuple[str, str]:
    reason = event.detail.get("reason")
    if isinstance(reason, str) and reason in RULES:
        event = replace(event, detail={**event.detail, "reason": RULES[reason]})
    words, advice = describe(event)
    return f"the machine {words}", advice


def _no_address(part: Part, whole: Play) -> tuple[str, str]:
    """Why nobody gave it one."""
    network = list(_of_its_network(part, whole))
    # A refusal alone says no more than that it began anew: what came of that is the reason.
    for kinds, events in ((_REASONS, part.events), (_OF_A_NETWORK, network), (_OF_A_MACHINE, part.events)):
        for _, event in reversed(events):
            if event.kind in kinds and not (event.kind == "dhcp.no_boot" and part.mode is DhcpMode.SERVER):
                return _told(event)
    if part.mode is not DhcpMode.SERVER and part.other is None:
        return (
            f'this configuration gives no addresses there (mode "{part.mode.value}"), and the capture shows no other server that does',
            'set mode = "server" with a pool, or capture the network\'s own DHCP server too',
        )
    return "nobody answered it", ""


def _of_its_network(part: Part, whole: Play) -> Iterator[tuple[float, Event]]:
    """Such events are told once for a network, with the machine that met them first."""
    assert part.role is not None
    assert part.plug is not None
    relayed = part.role.relay
    via = address_text(relayed.message.giaddr if relayed is not None else part.plug.address)
    subnet = whole.wires.settings.subnet_of(relayed.message.giaddr if relayed is not None else part.plug.address)
    network = f"{address_text(subnet.network)}/{subnet.prefix}" if subnet is not None else ""
    for at, event in whole.events:
        if event.detail.get("via") == via or (network and event.detail.get("network") == network):
            yield at, event


def _refused(part: Part, whole: Play) -> tuple[str, str] | None:
    """The server's word on the file at which it ended, or that nobody was there to ask."""
    machine = part.machine
    assert machine is not None
    read = next((read for read in reversed(machine.reads) if read.failure and _base(read) in machine.failure), None)
    if read is None:
        read = next((read for read in reversed(machine.reads) if read.failure), None)
        if read is None or read is not machine.reads[-1]:
            return None
    ours = {address_text(interface.addresses[0][0]) for interface in whole.wires.interfaces}
    host = urlsplit(read.url).hostname or ""
    if host not in ours:
        right = "set dhcp.subnet.next_server to the server that has the files, or leave it out: then it is this one"
        return (
            f"it was sent to {host} for {path_of(read.url)}, and that is not this server: nobody answers there",
            right,
        )
    found = find(whole.rack, machine.address, read.url)
    if not isinstance(found, Absent):
        return None
    why = f"{path_of(read.url)}: {found.missing.value}" + (f": {found.detail}" if found.detail else "")
    return why, _RIGHT.get(found.missing, "")


_RIGHT = {
    Missing.FAULT: "mend the template; pxenet check says whether all is right then",
    Missing.NOT_FOUND: "put the file where the profile or server.root names it; pxenet check says what is missing",
    Missing.DENIED: "the name is another machine's, or what this one may read has changed: see pxenet explain",
}


def _base(read: Read) -> str:
    return read.url.rpartition("/")[2]
