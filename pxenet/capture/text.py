"""Boots and DHCP messages as text for people: one line per field that says something, one per option.

What a value looks like follows from its shape. Must not know what is right or wrong about a message.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from pxenet.capture.boots import (
    ArpStep,
    Boot,
    Capture,
    Damage,
    DhcpStep,
    Fingerprint,
    Gap,
    HttpRequest,
    Lease,
    Missing,
    Outcome,
    Step,
    Transfer,
    Waits,
)
from pxenet.wire import tftp
from pxenet.wire.dhcp import FLAG_BROADCAST, Message
from pxenet.wire.iana import OptionCode, architecture_name, message_type_name
from pxenet.wire.identity import ClientId, Enterprise, MachineId, NetworkInterface, UserClass
from pxenet.wire.names import Fqdn
from pxenet.wire.options import DHCP, Options
from pxenet.wire.pxe import BootItem, BootServer, MenuItem, MenuPrompt, parse_class
from pxenet.wire.reader import WireError
from pxenet.wire.shapes import ADDRESS, ADDRESS_PAIRS, ADDRESSES, Route, Value, show
from pxenet.wire.text import address_text, mac_text, uuid_text_wire


def capture_text(capture: Capture) -> str:
    """The boots of a capture, a paragraph per step; times count from the first packet."""
    lines: list[str] = []
    for boot in capture.boots:
        lines += [*boot_lines(boot, capture.began_at_ns), ""]
    lines += map(damage_text, capture.damage)
    return "\n".join(lines).rstrip("\n") + "\n"


def damage_text(damage: Damage) -> str:
    """What could not be read, and where."""
    cut = " (cut short by the recorder)" if damage.truncated else ""
    return f"packet {damage.packet}, byte {damage.offset}: {damage.reason}{cut}"


def boot_lines(boot: Boot, began_at_ns: int) -> Iterator[str]:
    """One machine's programs, addresses and steps."""
    yield f"== {boot_title(boot)} =="
    if boot.uuid:
        yield f"uuid {uuid_text_wire(boot.uuid)}"
    for other in boot.other_hardware:
        yield f"also as {mac_text(other)}"
    for found in boot.fingerprints:
        yield from fingerprint_lines(found)
    yield from (lease_text(lease) for lease in boot.leases)
    for before, step in zip((None, *boot.steps), boot.steps, strict=False):
        if not (isinstance(before, ArpStep) and isinstance(step, ArpStep)):
            yield ""
        yield from step_lines(step, began_at_ns)
    if boot.dropped_steps:
        yield ""
        yield f"and {boot.dropped_steps} steps more"


def boot_title(boot: Boot) -> str:
    """The machine, and which of its boots this is."""
    name = mac_text(boot.hardware) if boot.hardware else " ".join(map(address_text, boot.addresses)) or "unknown"
    return name if boot.power_on == 1 else f"{name}, switched on for the {ordinal(boot.power_on)} time"


def ordinal(number: int) -> str:
    """2nd, 3rd, 4th."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def fingerprint_lines(found: Fingerprint) -> Iterator[str]:
    """A program, and a line for each thing that tells of it."""
    kind = f", {architecture_name(found.architecture)}" if found.architecture is not None else ""
    yield f"{found.role.value}: {found.name}{kind}"
    yield from (f"    packet {evidence.packet}: {evidence.text}" for evidence in found.evidence)


def lease_text(lease: Lease) -> str:
    """An address that a server gave it."""
    lasts = f" for {lease.lasts_s} s" if lease.lasts_s is not None else ""
    who = f", asked for by {lease.who}" if lease.who else ""
    return f"lease: {address_text(lease.address)} from {address_text(lease.server)}{lasts} in packet {lease.ref.number}{who}"


def step_lines(step: Step, began_at_ns: int) -> Iterator[str]:
    """One step: a line of who, when and what, then its details."""
    packet = step.packet
    when = f"{(step.ref.at_ns - began_at_ns) / 1e9:8.3f}  "
    if isinstance(step, ArpStep):
        yield when + arp_text(step)
        return
    source = f"{host_text(packet.source, packet.version)}:{packet.source_port}"
    destination = f"{host_text(packet.destination, packet.version)}:{packet.destination_port}"
    head = f"{when}{source} > {destination}  "
    match step:
        case DhcpStep():
            yield f"{head}DHCP {type_name(step.message)}, {packet.payload_bytes} bytes"
            yield from (f"    {line}" for line in message_lines(step.message))
        case Transfer():
            yield f"{head}TFTP {tftp_text(step.request)}"
            yield from (f"    {line}" for line in _transfer_lines(step))
        case HttpRequest():
            yield f"{head}HTTP {step.request_line}"
            yield from (f"    {line}" for line in step.head.decode("latin-1").split("\r\n")[1:] if line)
            yield from (f"    {line}" for line in _response_lines(step))


def arp_text(step: ArpStep) -> str:
    """One ARP packet on one line."""
    packet = step.packet
    sender, target = address_text(packet.source), address_text(packet.destination)
    times = f" ({step.count} times)" if step.count > 1 else ""
    if step.announces:
        return f"ARP {sender} is at {mac_text(packet.source_hardware)} (announced){times}"
    if step.probes:
        return f"ARP has anybody {target}? asks {mac_text(packet.source_hardware)}{times}"
    if step.request:
        return f"ARP who has {target}? tell {sender}{times}"
    return f"ARP {sender} is at {mac_text(packet.source_hardware)}{times}"


def _transfer_lines(step: Transfer) -> Iterator[str]:
    yield f"answer: {tftp_text(step.answer) if step.answer else 'none'}"
    if step.abort:
        yield f"aborted by the client: {tftp_text(step.abort)}"
    if step.failure:
        yield f"ended by the server: {tftp_text(step.failure)}"
    if step.blocks:
        whole = "" if step.size is None else f" of {step.size} bytes"
        yield f"{step.outcome.value}: {_blocks(step.blocks)} of {step.blksize}{whole} in {seconds_text(step.lasted_ns)}"
    elif step.outcome in (Outcome.UNANSWERED, Outcome.UNFINISHED):
        yield step.outcome.value
    yield from _repeats(step.retransmissions, "blocks sent again")
    yield from _repeats(step.repeated_acks, "ACKs that say nothing new")
    yield from _repeats(step.repeated_requests, "times asked again")
    yield from (gap_text(gap, "block") for gap in step.gaps)
    yield from _waits(step.client_waits, "client")
    yield from _waits(step.server_waits, "server")


def _blocks(count: int) -> str:
    return "1 block" if count == 1 else f"{count} blocks"


def _response_lines(step: HttpRequest) -> Iterator[str]:
    yield f"answer: {step.status.decode('latin-1') or 'none'}"
    if step.sent_bytes:
        whole = "" if step.size in (None, step.sent_bytes) else f" of {step.size}"
        yield f"{step.sent_bytes}{whole} bytes in {seconds_text(step.lasted_ns)}"
    if step.request_size:
        yield f"{step.request_size} bytes sent with it"
    yield from _repeats(step.retransmissions, "segments sent again")
    yield from (gap_text(gap, "byte") for gap in step.gaps)


def _repeats(count: int, what: str) -> Iterator[str]:
    if count:
        yield f"{count} {what}"


def gap_text(gap: Gap, unit: str) -> str:
    """What is missing: "blocks 51 to 549 not recorded"."""
    last = gap.first + gap.count - 1
    which = f"{unit} {gap.first}" if gap.count == 1 else f"{unit}s {gap.first} to {last}"
    again = ", and sent again" if gap.kind is Missing.LOST else ""
    return f"{which} {gap.kind.value}{again}, after packet {gap.after.number}"


def _waits(waits: Waits, side: str) -> Iterator[str]:
    if waits.count == 1:
        yield f"the {side} took {seconds_text(waits.total_ns)}"
    elif waits.count:
        mean = seconds_text(waits.total_ns // waits.count)
        yield f"the {side} took {mean} on average of {waits.count}, {seconds_text(waits.longest_ns)} at most"


def seconds_text(time_ns: int) -> str:
    """A duration in the unit that suits it: 17 ms."""
    for unit, size in (("s", 10**9), ("ms", 10**6)):
        if time_ns >= size:
            value = time_ns / size
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    return f"{time_ns / 1000:.0f} µs"


def host_text(address: int, version: int) -> str:
    """An address as it stands in front of a port."""
    return address_text(address) if version == 4 else f"[{ipaddress.IPv6Address(address)}]"


def type_name(message: Message) -> str:
    """``DISCOVER``."""
    try:
        return message_type_name(message.message_type)
    except WireError as error:
        return f"({error})"


def tftp_text(packet: tftp.Packet) -> str:
    """One TFTP packet on one line; of DATA its number and size."""
    match packet:
        case tftp.Request():
            return " ".join([packet.op.name, repr(packet.filename), packet.mode, *_pairs(packet.options)])
        case tftp.Oack():
            return " ".join(["OACK", *_pairs(packet.options)])
        case tftp.Data():
            return f"DATA {packet.block}, {len(packet.payload)} bytes"
        case tftp.Ack():
            return f"ACK {packet.block}"
        case tftp.Error():
            return f"ERROR {packet.code} {packet.text!r}"


def _pairs(options: tftp.Options) -> list[str]:
    return [f"{name}={value}" for name, value in options]


def message_lines(message: Message) -> Iterator[str]:
    """A DHCP message: the header's fields that are not zero, then the options in their order, then what is damaged."""
    flags = f"{message.flags:04x}{' (broadcast)' if message.flags & FLAG_BROADCAST else ''}"
    yield f"op {message.op}, htype {message.htype}, hops {message.hops}, xid {message.xid:08x}, secs {message.secs}, flags {flags}"
    for name in ("ciaddr", "yiaddr", "siaddr", "giaddr"):
        if address := getattr(message, name):
            yield f"{name} {address_text(address)}"
    yield f"chaddr {mac_text(message.hardware)}"
    if message.sname:
        yield f"sname {message.server_name!r}"
    if message.file:
        yield f"file {message.boot_file!r}"
    yield from option_lines(message.options)
    for defect in message.defects:
        yield f"damaged at byte {defect.offset}: option {defect.code}: {defect.reason}"


def option_lines(options: Options) -> Iterator[str]:
    """A line per option; what is encapsulated stands below it, indented."""
    for code, raw in options:
        head = f"{code} {options.space.row(code).name}: "
        try:
            inside = _inside(options, code)
            if inside is not None:
                yield head.rstrip()
                yield from (f"    {line}" for line in option_lines(inside))
            else:
                yield head + option_text(options, code)
        except WireError as error:
            yield f"{head}{raw.hex()} ({error})"


def _inside(options: Options, code: int) -> Options | None:
    """The options inside 82 and 175; inside 43 only where the class says that they are PXE's."""
    if code == OptionCode.VENDOR_SPECIFIC:
        boot_class = parse_class(options.text(OptionCode.VENDOR_CLASS) or "")
        return options.pxe() if boot_class is not None else None
    value = options.get(code)
    return value if isinstance(value, Options) else None


def option_text(options: Options, code: int) -> str:
    """The value of an option that is there. WireError when it is malformed."""
    value = options.get(code)
    special = _SPECIAL.get(code) if options.space is DHCP else None
    if special is not None:
        return special(value)
    shape = options.space.row(code).shape
    if shape is ADDRESS and isinstance(value, int):
        return address_text(value)
    if shape is ADDRESSES and isinstance(value, tuple):
        return " ".join(map(address_text, value))
    if shape is ADDRESS_PAIRS and isinstance(value, tuple):
        return " ".join("/".join(map(address_text, pair)) for pair in value)
    return value_text(value)


def value_text(value: Value) -> str:
    """A typed value that is not an address."""
    match value:
        case None:
            return "(empty)"
        case bytes():
            return value.hex() or "(empty)"
        case str():
            return repr(value)
        case tuple():
            return " ".join(map(value_text, value))
        case ClientId():
            return f"type {value.type}, {value.data.hex(':')}"
        case MachineId():
            return f"type {value.type}, {uuid_text_wire(value.uuid)}"
        case NetworkInterface():
            return f"type {value.type}, {value.major}.{value.minor}"
        case UserClass():
            return " ".join(repr(show(item)) for item in value.classes) + (" (bare)" if value.bare else "")
        case Fqdn():
            return f"{value.name!r}, flags {value.flags}"
        case Enterprise():
            return f"enterprise {value.number}: {value.data.hex()}"
        case Route():
            return f"{address_text(value.network)}/{value.prefix} by {address_text(value.router)}"
        case BootServer():
            return f"type {value.type}: {' '.join(map(address_text, value.addresses))}"
        case MenuItem():
            return f"type {value.type}: {value.text!r}"
        case MenuPrompt():
            return f"{value.timeout_s} s, {value.text!r}"
        case BootItem():
            return f"type {value.type}, layer {value.layer}"
        case _:
            return str(value)


def _type_text(value: Value) -> str:
    return f"{value} {message_type_name(value)}" if isinstance(value, int) else value_text(value)


def _architectures_text(value: Value) -> str:
    numbers = value if isinstance(value, tuple) else ()
    return ", ".join(f"{number} {architecture_name(number)}" for number in numbers)


_SPECIAL: dict[int, Callable[[Value], str]] = {
    OptionCode.MESSAGE_TYPE: _type_text,
    OptionCode.ARCHITECTURE: _architectures_text,
}
"""Options whose numbers have names."""
