"""Engines that are about to stop: nothing new begins, what is under way comes to its end."""

from __future__ import annotations

from dhcp_scene import MAC1, MAC2, Scene, discover, select
from tftp_harness import PORTS, SERVER, content, says

from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.model import Verdict
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.wire.text import address_text, mac_text
from pxenet.wire.tftp import Ack, OpCode, Packet, Request, serialize

PEER = pack_peer(0x0A000005, 2070)
OTHER = pack_peer(0x0A000006, 2070)


def test_a_transfer_under_way_ends_and_none_begins() -> None:
    """A retired TFTP server answers what belongs to its transfers, also the repeated request; it is busy until they are through."""
    server = TftpServer(TftpSettings(tid_ports=PORTS))
    asked = Request(OpCode.RRQ, "f", "octet", ())

    def hears(packet: Packet, port: int = 69, peer: bytes = PEER) -> list[str]:
        out = server.receive([Datagram(serialize(packet), peer, SERVER, port, 2)], 0.0)
        return [line for part in (out, *(server.provide(w.id, content(b"x" * 600, "f"), 0.0) for w in out.wants))
                for line in says(part)]  # fmt: skip

    assert not server.busy()
    hears(asked)
    assert server.busy()
    server.retire()
    assert [f"{PORTS[1]}>2070 DATA 1-1"] == hears(asked)
    assert [] == hears(asked, peer=OTHER)
    assert [f"{PORTS[1]}>2070 DATA 2-2"] == hears(Ack(1), PORTS[1])
    assert server.busy()
    assert ["delivered f", "tftp.done"] == hears(Ack(2), PORTS[1])
    assert not server.busy()
    assert 1 == server.statistics().overload


def test_an_ack_under_way_leaves_and_nobody_else_is_answered() -> None:
    """A retired DHCP server is busy until the last lease is durable and its ACK has left."""
    scene = Scene()
    scene.verdict = None
    scene.hear(discover())
    offered = scene.sent()[0].yiaddr
    text = address_text(offered)
    assert [f"write {text} bound"] == scene.hear(select(offered))
    scene.server.retire()
    assert scene.server.busy()
    assert [] == scene.hear(discover(MAC2))
    assert [f"ACK {text} to {text}:68 frame {mac_text(MAC1)}"] == scene.settle(Verdict.DURABLE)
    assert not scene.server.busy()
    assert 1 == scene.server.statistics().dropped["about to stop"]
