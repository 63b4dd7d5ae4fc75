"""What engines tell those who watch: how far transfers are, and which leases there are."""

from __future__ import annotations

from tftp_harness import PORTS, SERVER, content

from pxenet.engine.surface import Progress
from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.wire.tftp import Ack, OpCode, Request, serialize


def datagram(data: bytes, peer: int, port: int = 69) -> Datagram:
    return Datagram(data, pack_peer(0x0A000005, peer), SERVER, port, 1, False)


def test_progress_of_reads() -> None:
    """Acknowledged bytes of those that have begun, the latest first, no more than asked for; nothing of what is over."""
    server = TftpServer(TftpSettings(tid_ports=PORTS))
    wants = []
    for peer in (2001, 2002, 2003):
        out = server.receive([datagram(serialize(Request(OpCode.RRQ, f"file{peer}", "octet", ())), peer)], 0.0)
        wants.append(out.wants[0].id)
    assert [] == server.progress(10)  # their contents are not there yet
    for want in wants[:2]:
        server.provide(want, content(bytes(1000)), 0.0)
    (blocks,) = server.provide(wants[2], content(bytes(100)), 0.0).sends
    server.receive([datagram(serialize(Ack(1)), 2003, blocks.port)], 0.1)
    (_, first) = server.progress(10)
    assert Progress(wants[0], 0x0A000005, "file2001", 0, 1000) == first
    assert ["file2002"] == [each.path for each in server.progress(1)]
    server.tick(1.0)
    assert [1, 1] == [each.retransmits for each in server.progress(10)]
