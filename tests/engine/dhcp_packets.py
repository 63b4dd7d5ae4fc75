"""DHCP packets of every kind, and a reception that meets them: what tests of the fast paths hold against the plain ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from dhcp_scene import ETH0, FAR, HTTP_CLASS, LAN, MAC1, MAC2, RELAY, SERVER, A, discover, message, pxe, reboot, select
from hypothesis import strategies as st

from pxenet.capture import frames, pcap
from pxenet.engine.dhcp import DhcpSettings, Subnet
from pxenet.engine.dhcp.reception import Reception
from pxenet.engine.dhcp.subnet import Subnets
from pxenet.model import Host
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.wire.dhcp import Message, serialize
from pxenet.wire.glance import FORMING, OWN
from pxenet.wire.iana import MessageType, OptionCode

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))
CAPTURED = Subnet(network=A("10.77.0.0"), prefix=24, pools=((A("10.77.0.50"), A("10.77.0.60")),))
PI = bytes.fromhex("dca632000001")


def reception(*, match_client_id: bool = False) -> Reception:
    """A reception of two subnets, one behind a relay, and of what the captures were made in."""
    told = DhcpSettings(subnets=(LAN, FAR, CAPTURED), match_client_id=match_client_id)
    host = Host("node1", MAC1)
    return Reception(
        told, (ETH0,), Subnets(told, (ETH0,)), lambda client: host if client.mac == MAC1 else None, Counter()
    )


def datagram(data: bytes, *, interface: int = 2, port: int = 67, broadcast: bool = True) -> Datagram:
    return Datagram(data, pack_peer(0, 68), SERVER, port, interface, broadcast)


def requests() -> list[bytes]:
    """What captured clients say to DHCP servers, and what servers say."""
    found = []
    for path in CAPTURES:
        for _, frame in pcap.read(path):
            packet = frames.parse(frame)
            if packet is not None and packet.protocol == frames.UDP and packet.destination_port in (67, 68, 4011):
                found.append(packet.payload)
    return found


MESSAGES = {
    "discover": discover(),
    "relayed": discover(giaddr=RELAY),
    "nowhere": discover(giaddr=A("10.9.9.9")),
    "flagged": discover(broadcast=True),
    "select": select(A("10.0.0.100")),
    "reboot": reboot(A("10.0.0.100")),
    "renew": message(MessageType.REQUEST, ciaddr=A("10.0.0.100")),
    "BOOTP": message(None),
    "inform": message(MessageType.INFORM),
    "BIOS": pxe(),
    "HTTP": pxe(vendor_class=HTTP_CLASS, arch=16, options={OptionCode.PARAMETER_LIST: (1, 3, 43)}),
    "Pi": pxe(PI, options={OptionCode.PARAMETER_LIST: (1, 43)}),
    "iPXE": discover(MAC2, {OptionCode.IPXE: bytes.fromhex("130101"), OptionCode.CLIENT_ID: b"\x01" + MAC2}),
    "no hardware": message(MessageType.DISCOVER, b"", {OptionCode.CLIENT_ID: b"\x00disk"}, htype=32),
}
LINK_SELECTION = bytes.fromhex("0504") + A("10.5.0.0").to_bytes(4, "big")
VALUES = st.one_of(
    st.binary(max_size=18), st.sampled_from([b"", b"name", bytes(17), b"\0RPi4" + bytes(12), LINK_SELECTION])
)
ITEMS = st.lists(st.tuples(st.sampled_from(sorted({*OWN, *FORMING, 0, 1, 52, 81, 255})), VALUES), max_size=6)


def packet_of(base: Message, more: list[tuple[int, bytes]]) -> bytes:
    """The message with more options behind its own, pads and ends where they fall."""
    data = serialize(base, min_size=0)
    items = b"".join(bytes((code,)) if code in (0, 255) else bytes((code, len(raw))) + raw for code, raw in more)
    return data[:-1] + items + b"\xff"
