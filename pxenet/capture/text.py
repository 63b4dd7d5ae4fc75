"""Boots and DHCP messages as text for people: one line per field that says something, one per option.

What a value looks like follows from its shape. Must not know what is right or wrong about a message.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from pxenet.capture.dissect import Boot, Capture, DhcpStep, HttpStep, Step, TftpStep
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
    """The boots of a capture, a paragraph per step; times count from the first frame."""
    lines: list[str] = []
    for boot in capture.boots:
        lines += [*boot_lines(boot, capture.began_at), ""]
    lines += (f"frame {damage.frame}: {damage.error}" for damage in capture.damage)
    return "\n".join(lines).rstrip("\n") + "\n"


def boot_lines(boot: Boot, began_at: float) -> Iterator[str]:
    """One machine's steps."""
    yield f"== {mac_text(boot.hardware)} =="
    for step in boot.steps:
        yield ""
        yield from step_lines(step, began_at)


def step_lines(step: Step, began_at: float) -> Iterator[str]:
    """One step: a line of who, when and what, then its details."""
    packet = step.packet
    source = f"{_host(packet.source, packet.version)}:{packet.source_port}"
    destination = f"{_host(packet.destination, packet.version)}:{packet.destination_port}"
    when = f"{step.at - began_at:8.3f}  {source} > {destination}  "
    match step:
        case DhcpStep():
            yield f"{when}DHCP {_type_name(step.message)}, {len(packet.payload)} bytes"
            yield from (f"    {line}" for line in message_lines(step.message))
        case TftpStep():
            yield f"{when}TFTP {tftp_text(step.request)}"
            yield f"    answer: {tftp_text(step.answer) if step.answer else 'none'}"
            if step.abort:
                yield f"    aborted by the client: {tftp_text(step.abort)}"
        case HttpStep():
            yield f"{when}HTTP {step.request_line}"
            yield from (f"    {line}" for line in step.head.decode("latin-1").split("\r\n")[1:] if line)
            yield f"    answer: {step.status.decode('latin-1') or 'none'}"


def _host(address: int, version: int) -> str:
    return address_text(address) if version == 4 else f"[{ipaddress.IPv6Address(address)}]"


def _type_name(message: Message) -> str:
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
