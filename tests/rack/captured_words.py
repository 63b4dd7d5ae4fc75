"""What captured machines and servers said, word for word, in the pieces that a boot consists of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rack_scene import OTHER_SERVER, SERVER, Exchange

from pxenet.capture import dissect
from pxenet.capture.boots import Boot, DhcpStep
from pxenet.engine.dhcp.client import boot_client
from pxenet.model import BootClient
from pxenet.wire.dhcp import serialize
from pxenet.wire.iana import MessageType
from pxenet.wire.options import Options

CAPTURES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))}


def captured(name: str) -> Boot:
    """The one machine in a capture."""
    (boot,) = dissect.read(CAPTURES[name]).boots
    return boot


def exchanges(boot: Boot) -> list[tuple[BootClient, list[DhcpStep]]]:
    """What the machine broadcast, by xid, with who said it."""
    found: dict[int, list[DhcpStep]] = {}
    for step in boot.dhcp:
        if step.message.op == 1 and step.packet.destination_port == 67:
            found.setdefault(step.message.xid, []).append(step)
    return [(boot_client(steps[0].message), steps) for steps in found.values()]


def others_words(boot: Boot, steps: list[DhcpStep]) -> Exchange | None:
    """What another server than ours said in the capture, word for word; None when ours was the only one."""
    said = [
        step.packet.payload.ljust(300, b"\0")  # Kea's are shorter than what the rules ask of ours
        for step in boot.dhcp
        if step.message.op == 2 and step.packet.source != SERVER and step.message.xid == steps[0].message.xid
    ]
    if not said:
        return None
    offer, ack = said
    return Exchange(steps[0].packet.payload, [offer], ack)


def plain_words(steps: list[DhcpStep], address: int) -> Exchange:
    """What a server says that knows nothing of booting."""
    options = {1: 0xFFFFFF00, 3: (OTHER_SERVER,), 51: 3600, 54: OTHER_SERVER}
    said = [
        serialize(replace(steps[0].message, op=2, yiaddr=address, options=Options.build({53: kind, **options})))
        for kind in (MessageType.OFFER, MessageType.ACK)
    ]
    return Exchange(steps[0].packet.payload, said[:1], said[1])


def with_path(head: bytes, path: str) -> bytes:
    """The captured head with another path."""
    method, _, rest = head.partition(b" ")
    return method + b" " + path.encode() + b" " + rest.partition(b" ")[2]
