"""Where a reply goes: every row of RFC 2131 §4.1 and its additions."""

from __future__ import annotations

import pytest
from dhcp_scene import MAC1, RELAY, A, message

from pxenet.engine.dhcp.route import Ports, Route, route
from pxenet.net.datagram import BROADCAST, Datagram, pack_peer
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import MessageType

YOURS, OWN = A("10.0.0.5"), A("10.0.0.77")
ASK = MessageType.REQUEST
PORTS = Ports()
OTHER_PORTS = Ports(6767, 4012)

ROWS: list[tuple[str, Message, dict[str, object], Route]] = [
    ("relay", message(ASK, giaddr=RELAY, ciaddr=OWN, broadcast=True), {}, Route(RELAY, 67)),
    ("relay with its port", message(ASK, giaddr=RELAY), {"relay_source_port": True}, Route(RELAY, 5000)),
    ("NAK through a relay", message(ASK, giaddr=RELAY), {"nak": True, "yiaddr": 0}, Route(RELAY, 67)),
    ("NAK", message(ASK), {"nak": True, "yiaddr": 0}, Route(BROADCAST, 68, on_link=True)),
    ("NAK to a renewal", message(ASK, ciaddr=OWN), {"nak": True, "yiaddr": 0}, Route(BROADCAST, 68, on_link=True)),
    ("ciaddr", message(ASK, ciaddr=OWN, broadcast=True), {"yiaddr": OWN}, Route(OWN, 68)),
    ("broadcast flag", message(ASK, broadcast=True), {}, Route(BROADCAST, 68, on_link=True)),
    ("frame", message(ASK), {}, Route(YOURS, 68, MAC1, on_link=True)),
    ("InfiniBand", message(ASK, b"", htype=32), {}, Route(BROADCAST, 68, on_link=True)),
    ("token ring", message(ASK, htype=6), {}, Route(BROADCAST, 68, on_link=True)),
    ("chaddr that is a GUID", message(ASK, bytes(range(16))), {}, Route(BROADCAST, 68, on_link=True)),
    ("no address at all", message(ASK), {"yiaddr": 0, "peer": 0}, Route(BROADCAST, 68, on_link=True)),
    ("INFORM without ciaddr", message(ASK), {"yiaddr": 0}, Route(OWN, 68)),
    ("boot server", message(ASK, ciaddr=OWN), {"port": 4011, "yiaddr": 0}, Route(OWN, 5000)),
    ("boot server, no ciaddr", message(ASK), {"port": 4011}, Route(OWN, 5000)),
    ("boot server, nowhere", message(ASK), {"port": 4011, "peer": 0}, Route(BROADCAST, 5000, on_link=True)),
    ("other ports", message(ASK, broadcast=True), {"ports": OTHER_PORTS}, Route(BROADCAST, 6768, on_link=True)),
    ("relay, other ports", message(ASK, giaddr=RELAY), {"ports": OTHER_PORTS}, Route(RELAY, 6767)),
    ("boot server, other ports", message(ASK), {"ports": OTHER_PORTS, "port": 4012}, Route(OWN, 5000)),
]


@pytest.mark.parametrize(("request_", "how", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_destination(request_: Message, how: dict[str, object], expected: Route) -> None:
    """The first rule that fits decides; each names itself."""
    given = {"ports": PORTS, "yiaddr": YOURS, "nak": False, "relay_source_port": False, "port": 67, "peer": OWN} | how
    ports = given["ports"]
    assert isinstance(ports, Ports)
    datagram = Datagram(b"", pack_peer(int(str(given["peer"])), 5000), 0, int(str(given["port"])), 2)
    found = route(
        request_,
        datagram,
        ports,
        int(str(given["yiaddr"])),
        nak=bool(given["nak"]),
        relay_source_port=bool(given["relay_source_port"]),
    )
    assert found.rule
    assert (found.address, found.port, found.hardware, found.on_link) == (
        expected.address,
        expected.port,
        expected.hardware,
        expected.on_link,
    )
