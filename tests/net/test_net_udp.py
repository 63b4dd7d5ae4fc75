"""UDP sockets on loopback: what arrives is described truly, and leaves as asked."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from pxenet.net.datagram import Send, pack_peer, peer_address, peer_port, peer_text
from pxenet.net.udp import BATCH, UdpSocket

LOCALHOST = 0x7F000001


def receive(udp: UdpSocket) -> list[object]:
    select.select([udp], [], [], 5)
    return list(udp.receive())


@pytest.fixture
def udp() -> Iterator[UdpSocket]:
    server = UdpSocket(0, "127.0.0.1")
    yield server
    server.close()


def test_peers_are_sockaddr() -> None:
    """The packed form is what the kernel calls sockaddr_in, and reads back."""
    peer = pack_peer(0x0A000005, 2070)
    assert (len(peer), peer_address(peer), peer_port(peer), peer_text(peer)) == (16, 0x0A000005, 2070, "10.0.0.5:2070")


def test_a_datagram_is_described(udp: UdpSocket) -> None:
    """Source, destination address, port and interface are those of the packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.sendto(b"hello", ("127.0.0.1", udp.port))
        (datagram,) = receive(udp)
        assert datagram.data == b"hello"
        assert datagram.peer == pack_peer(LOCALHOST, client.getsockname()[1])
        assert (datagram.local, datagram.port, datagram.broadcast) == (LOCALHOST, udp.port, False)
        assert datagram.interface == socket.if_nametoindex("lo")


def test_parts_are_joined_by_the_kernel(udp: UdpSocket) -> None:
    """A datagram sent in pieces arrives as one, from the address that was asked for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        to = pack_peer(LOCALHOST, client.getsockname()[1])
        assert udp.send(Send(to, (b"\0\3\0\1", memoryview(b"data")), source=LOCALHOST, port=udp.port))
        assert client.recvfrom(100) == (b"\0\3\0\1data", ("127.0.0.1", udp.port))


def test_a_batch_is_bounded(udp: UdpSocket) -> None:
    """One call takes at most a batch, the next one the rest: others get their turn in between."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for number in range(BATCH + 3):
            client.sendto(bytes([number]), ("127.0.0.1", udp.port))
    assert [d.data for d in receive(udp)] == [bytes([n]) for n in range(BATCH)]
    assert len(receive(udp)) == 3
    assert udp.receive() == []


def test_an_unreachable_peer_is_a_lost_packet(udp: UdpSocket) -> None:
    """Sending to a closed port neither raises then nor at the next receive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        to = pack_peer(LOCALHOST, client.getsockname()[1])
    udp.send(Send(to, (b"x",)))
    udp.send(Send(to, (b"x",)))
    assert udp.receive() == []


def test_a_taken_port_raises() -> None:
    """Binding a port twice is an OSError, for the caller to explain."""
    first = UdpSocket(0, "127.0.0.1")
    with pytest.raises(OSError, match="in use"):
        UdpSocket(first.port, "127.0.0.1")
    first.close()
