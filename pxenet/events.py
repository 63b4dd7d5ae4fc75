"""Everything that can be told to people about a boot: one catalogue, one sentence each, and what to do when something is off.

An engine emits an :class:`Event` (kind and details, no clock, no text); shells stamp it and print ``describe``, or its JSON twin.
Nothing is emitted per packet: an event marks a stage or a fault.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Level(enum.Enum):
    """How much a person should care."""

    INFO = "info"
    NOTICE = "notice"  # a stage of a boot is done
    WARNING = "warning"  # something is off; the advice says what to do
    ERROR = "error"  # the server itself cannot do its work


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can happen: its level, its sentence with ``{fields}``, and advice (same fields) or nothing."""

    level: Level
    sentence: str
    advice: str = ""
    again_s: float = 0.0
    """A boot meets such a fault many times over: the same of one machine is told again after so many seconds, not before."""
    audit: bool = False
    """Each one is told, however many there are: who cannot ask rightly cannot bring it about."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, to whom. ``kind`` is a key of :data:`KINDS`."""

    kind: str
    mac: bytes = b""
    address: int = 0
    detail: Mapping[str, object] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    # DHCP
    "dhcp.discover": Kind(Level.INFO, "asks for an address ({arch}, {vendor_class})"),
    "dhcp.offer": Kind(Level.INFO, "offered {offered}, boot file {file} ({reason})"),
    "dhcp.ack": Kind(Level.NOTICE, "has {given} for {lease_s} s, boot file {file} ({reason})"),
    "dhcp.inform": Kind(Level.INFO, "asked for settings; it has its own address"),
    "dhcp.nak": Kind(Level.WARNING, "was refused {asked}: {why}", "it will start again by itself"),
    "dhcp.release": Kind(Level.INFO, "gave back {given}"),
    "dhcp.decline": Kind(
        Level.WARNING,
        "says {asked} is used by somebody else; set aside for {hold_s} s",
        "find the machine that uses {asked}: it is inside the pool but not known to this server",
    ),
    "dhcp.pool_empty": Kind(
        Level.WARNING,
        "got no address: the pool of {network} is used up",
        "make dhcp.subnet.pool larger or lease_time shorter",
    ),
    "dhcp.no_pool": Kind(
        Level.WARNING,
        "got no address: {network} has no pool, and none of its addresses is reserved for this machine",
        "add a [[host]] with its mac and an address, or dhcp.subnet.pool",
    ),
    "dhcp.no_subnet": Kind(
        Level.WARNING,
        "asked from a network that is not configured ({via})",
        "add a [[dhcp.subnet]] that contains {via}",
    ),
    "dhcp.reservation_held": Kind(
        Level.WARNING,
        "does not get its reserved address {reserved} now: {holder} has it",
        "switch that one off or give it another address; from the end of its lease (pxenet leases) this machine gets {reserved}",
    ),
    "dhcp.taken": Kind(Level.WARNING, "{asked} was taken by another server meanwhile; the client will ask again"),
    "dhcp.not_durable": Kind(
        Level.ERROR,
        "was not answered: its lease could not be written",
        "free disk space in the state directory, or repair it",
    ),
    "dhcp.unknown_arch": Kind(
        Level.WARNING,
        "has architecture {arch}, for which there is no boot loader; it gets an address but no boot file",
        "let it boot its own disk, or with a loader that it finds by itself: loaders are known for bios, x64, ia32 and arm64",
    ),
    "dhcp.no_boot": Kind(Level.INFO, "gets no boot file: {reason}", "{advice}"),
    "proxy.offer": Kind(Level.NOTICE, "was offered boot file {file} beside the other DHCP server ({reason})"),
    "proxy.answer": Kind(Level.NOTICE, "asked on port {port} and was sent to {file} ({reason})"),
    "proxy.silent": Kind(Level.INFO, "asks to boot; not answered: {reason}", "{advice}"),
    # TFTP
    "tftp.start": Kind(Level.INFO, "reads {path} ({size} bytes, blksize {blksize}, windowsize {windowsize})"),
    "tftp.done": Kind(Level.NOTICE, "has read {path} ({size} bytes in {seconds:.1f} s, {retransmits} retransmits)"),
    "tftp.aborted": Kind(Level.INFO, "stopped reading {path}: {why}"),
    "tftp.missing": Kind(Level.INFO, "asked for {path}: {why}"),
    "tftp.denied": Kind(Level.WARNING, "asked for {path}, refused: {why}"),
    "tftp.gave_up": Kind(
        Level.WARNING,
        "stopped answering at block {block} of {path}",
        "look for packet loss, a firewall that blocks the reply port, or a smaller MTU on the way (tftp.max_blksize)",
    ),
    "tftp.changed": Kind(Level.WARNING, "could not be sent {path}: {why}", "replace files by renaming, not in place"),
    "tftp.dropped": Kind(
        Level.WARNING,
        "asked for {path}, and there was no place for that: {why}",
        "it asks again by itself; with more processors, server.workers serves more at once",
        again_s=60,
    ),
    "tftp.saturated": Kind(
        Level.WARNING,
        "TFTP is saturated with {reading} transfers under way: further machines wait for their turn",
        "with more processors, server.workers serves more at once; firmware with HTTP boot, iPXE and GRUB can read by HTTP",
        again_s=60,
    ),
    "tftp.caught_up": Kind(
        Level.NOTICE, "TFTP keeps up again: of the requests so far {waited} had to wait for their turn", again_s=60
    ),
    "tftp.written": Kind(Level.NOTICE, "wrote {path} ({size} bytes)"),
    # HTTP
    "http.done": Kind(Level.NOTICE, "has read {path} ({size} bytes in {seconds:.1f} s)"),
    "http.missing": Kind(Level.INFO, "asked for {path}: {why}"),
    "http.denied": Kind(Level.WARNING, "asked for {path}, refused: {why}"),
    "http.broken": Kind(Level.INFO, "closed the connection in the middle of {path}"),
    "http.changed": Kind(Level.WARNING, "could not be sent {path}: {why}", "replace files by renaming, not in place"),
    "http.tls_refused": Kind(
        Level.WARNING,
        "could not agree on TLS: {why}",
        "a client of https must trust the certificate of http.tls_cert (iPXE: by its TRUST= build option) and know TLS 1.2 or 1.3",
        again_s=600,
    ),
    # Content, whoever asks for it
    "content.fault": Kind(
        Level.WARNING,
        "cannot be given {path}: {why}",
        "mend the template; pxenet check says whether all is right then",
        again_s=600,
    ),
    "content.damaged": Kind(
        Level.ERROR,
        "cannot be given {path}: {why}",
        "download the image or tree again, and compare its checksum with the one that its distribution publishes",
        again_s=600,
    ),
    "cache.damaged": Kind(
        Level.ERROR,
        "what came for the cache was not what was promised: {why}",
        "it was thrown away, and is fetched again when it is asked for; a mirror with which that goes on is being changed, or is "
        "not to be trusted",
    ),
    "cache.failed": Kind(
        Level.ERROR,
        "could not be fetched for the cache: {why}",
        "what the cache has is served all the same; look whether the URL can be reached from this machine",
        again_s=600,
    ),
    "content.unavailable": Kind(
        Level.ERROR,
        "could not be given {path}: {why}",
        "look for a failing disk (dmesg), or raise the server's limits (LimitNOFILE= of its unit for open files)",
        again_s=600,
    ),
    "store.failed": Kind(
        Level.ERROR,
        "cannot be remembered: {directory} cannot be written to; reports of finished installations are refused until it can",
        "free disk space there, or repair the disk; it is tried again every few seconds",
    ),
    # Life of a machine
    "answer.read": Kind(
        Level.NOTICE, "is given its answer file {path} (read {count} of {most}; known by {evidence})", audit=True
    ),
    "install.state": Kind(Level.NOTICE, "is now {state} (was {before}; {why})"),
    "install.installed": Kind(Level.NOTICE, "reports: installed. It boots its own disk from now on"),
    "install.failed": Kind(
        Level.WARNING,
        "failed: {why}",
        "pxenet hosts show tells what it sent, its console more; arm it again when mended",
    ),
    "install.stalled": Kind(
        Level.WARNING,
        "got no further: {why}. It is still to be installed",
        "its console says why it stopped there; pxenet doctor looks for what may be in its way",
    ),
    "install.cancelled": Kind(Level.NOTICE, "is not to be installed any more (was {before}; {why})"),
    "install.retired": Kind(
        Level.NOTICE, "is retired: nothing is served to it any more (was {before})", "pxenet reinstall takes it back"
    ),
    "install.stopped": Kind(
        Level.WARNING,
        "started the installer {attempts} times and never reported the end: stopped, it boots its own disk",
        "look at the end of its answer file: does %post reach {callback}? Then arm it again",
    ),
    "discovery.told": Kind(
        Level.NOTICE, "told what it is: {what}", "to make it a host: pxenet hosts accept {machine} NAME profile=PROFILE"
    ),
    "capture.kept": Kind(Level.NOTICE, "what was on the wire is in {path} ({packets} packets)"),
    "capture.not_kept": Kind(
        Level.WARNING,
        "what was on the wire could not be kept in {directory}: {why}",
        "free disk space, or mend its rights",
    ),
    "config.taken": Kind(Level.NOTICE, "took the configuration {file}: hosts {hosts}, profiles {profiles}"),
    "hosts.changed": Kind(
        Level.NOTICE, "changed its hosts by command: {added} added, {changed} changed, {removed} removed"
    ),
    "config.note": Kind(Level.INFO, "note on the configuration: {note}"),
    "config.refused": Kind(
        Level.ERROR, "refused the configuration, the one before goes on: {why}", "mend it, then: pxenet reload"
    ),
    "worker.ended": Kind(
        Level.ERROR,
        "lost worker {worker} (process {process}), {how}; another one takes its place in {pause_s} s",
        "its clients ask again by themselves; if it was not ended by a person, what it printed says why",
    ),
    "install.callback_refused": Kind(Level.WARNING, "sent a callback that is not valid: {why}"),
}


def describe(event: Event) -> tuple[str, str]:
    """The event's sentence and its advice ("" for none). A detail that is missing shows as ``?`` rather than failing."""
    kind = KINDS[event.kind]
    fields = _Lenient(event.detail)
    return kind.sentence.format_map(fields), kind.advice.format_map(fields)


class _Lenient(dict[str, object]):
    """Telling people must never be what breaks a boot: unknown fields become ``?``."""

    def __missing__(self, key: str) -> object:
        return _Unknown()


class _Unknown:
    def __format__(self, spec: str) -> str:
        return "?"
