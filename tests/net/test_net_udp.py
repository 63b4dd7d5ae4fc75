"""UDP sockets on loopback: what arrives is described truly, and leaves as asked."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest

from pxenet.net.batched import SMALL_BYTES, BatchedUdpSocket, batches
from pxenet.net.datagram import Datagram, Quads, Send, pack_peer, peer_address, peer_port, peer_text
from pxenet.net.udp import (
    BATCH,
    EVERYWHERE,
    MAX_DATAGRAM,
    QUEUE_BYTES,
    UdpSocket,
    UdpStatistics,
    counted,
    granted_queue_bytes,
    queue_bytes,
    widen_queue,
)

LOCALHOST = 0x7F000001


def receive(udp: UdpSocket) -> list[object]:
    select.select([udp], [], [], 5)
    return list(udp.receive())


@pytest.fixture(params=[UdpSocket, BatchedUdpSocket], ids=["plain", "batched"])
def kind(request: pytest.FixtureRequest) -> type[UdpSocket]:
    """Both paths: each test says what must hold of either."""
    found: type[UdpSocket] = request.param
    return found


@pytest.fixture(params=["127.0.0.1", EVERYWHERE])
def udp(request: pytest.FixtureRequest, kind: type[UdpSocket]) -> Iterator[UdpSocket]:
    """On one address, where the kernel needs tell and be told nothing, and on all."""
    server = kind(0, request.param)
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
        assert datagram.interface == (0 if udp.local else socket.if_nametoindex("lo"))


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


SIZES = (0, 1, 512, SMALL_BYTES, SMALL_BYTES + 1, 9000, 65507)


def test_every_size_arrives_whole(udp: UdpSocket) -> None:
    """Nothing is cut, and an empty datagram is one too; the order stays, the long ones among the short ones included."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        peer = pack_peer(LOCALHOST, client.getsockname()[1])
        assert udp.send_many([Send(peer, (b"x" * size,), LOCALHOST) for size in SIZES]) == 0
        assert [len(client.recv(MAX_DATAGRAM)) for _ in SIZES] == list(SIZES)
        for size in SIZES:
            client.sendto(b"y" * size, ("127.0.0.1", udp.port))
        assert [len(each.data) for each in receive(udp)] == list(SIZES)


def test_more_than_a_batch_leaves_in_order(udp: UdpSocket) -> None:
    """However many there are; each from the address that it names, or from whichever the kernel takes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        client.settimeout(5)
        peer = pack_peer(LOCALHOST, client.getsockname()[1])
        sends = [Send(peer, (b"%d" % number,), LOCALHOST * (number % 2)) for number in range(BATCH * 2 + 5)]
        assert udp.send_many(sends) == 0
        heard = [client.recvfrom(100) for _ in sends]
        assert heard == [(b"%d" % number, ("127.0.0.1", udp.port)) for number in range(len(sends))]
        assert (udp.statistics.sent, udp.statistics.unsent) == (len(sends), 0)


def test_a_refused_datagram_keeps_none_of_the_others(udp: UdpSocket) -> None:
    """It is counted, and those behind it leave: here from an address that is not ours, and to port 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        peer = pack_peer(LOCALHOST, client.getsockname()[1])
        sends = [
            Send(peer, (b"a",)),
            Send(peer, (b"b",), 0xC633644D),
            Send(pack_peer(LOCALHOST, 0), (b"c",)),
            Send(peer, (b"d",)),
        ]
        assert udp.send_many(sends) == 2
        assert [client.recv(10), client.recv(10)] == [b"a", b"d"]
        assert (udp.statistics.sent, udp.statistics.unsent) == (2, 2)


def test_a_reused_place_keeps_nothing(udp: UdpSocket) -> None:
    """After a long datagram with a source a short one without: neither its end nor its address stays."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        peer = pack_peer(LOCALHOST, client.getsockname()[1])
        udp.send_many([Send(peer, (b"long" * 100,), LOCALHOST)])
        udp.send_many([Send(peer, (b"short",))])
        assert [client.recv(1000), client.recv(1000)] == [b"long" * 100, b"short"]
        client.sendto(b"long" * 100, ("127.0.0.1", udp.port))
        assert [each.data for each in receive(udp)] == [b"long" * 100]
        client.sendto(b"short", ("127.0.0.1", udp.port))
        assert [each.data for each in receive(udp)] == [b"short"]


def test_a_broadcast_is_told_from_a_unicast(udp: UdpSocket) -> None:
    """By the destination in its header; an answer leaves by the interface's own address."""
    other = type(udp)(0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            client.bind(("127.0.0.1", 0))
            client.sendto(b"all", ("127.255.255.255", other.port))
            client.sendto(b"one", ("127.0.0.1", other.port))
            assert [(each.data, each.broadcast, each.local) for each in receive(other)] == [
                (b"all", True, LOCALHOST),
                (b"one", False, LOCALHOST),
            ]
    finally:
        other.close()


def test_what_is_tried_at_the_start() -> None:
    """This machine has the calls, or the tests above would prove nothing about them."""
    assert batches() is True


@pytest.mark.parametrize(
    ("count", "size", "last"), [(1, 516, 516), (16, 1432, 1432), (20, 1432, 0), (70, 300, 7), (3, 9000, 1)]
)
def test_a_run_leaves_as_single_datagrams(udp: UdpSocket, count: int, size: int, last: int) -> None:
    """Each is a datagram of its own, in order; the last may be shorter, and pieces are joined as they belong together."""
    run = [(b"%04d" % number, b"x" * (size - 4)) for number in range(count)]
    run[-1] = (b"last"[:last], b"y" * max(0, last - 4))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.bind(("127.0.0.1", 0))
        peer = pack_peer(LOCALHOST, client.getsockname()[1])
        assert udp.send_run(run, peer, LOCALHOST, 0) == 0
        assert [client.recv(MAX_DATAGRAM) for _ in run] == [b"".join(parts) for parts in run]
    assert udp.statistics.sent == count


def test_a_route_that_takes_no_segments() -> None:
    """What the kernel refuses to cut leaves one by one, and it is not asked again for that address; others are not concerned."""
    udp = BatchedUdpSocket(0, EVERYWHERE)
    calls: list[int] = []

    class Refusing:
        """A kernel that cuts nothing."""

        def sendmsg(self, pieces: object, ancillary: list[object], flags: int, address: tuple[str, int]) -> int:
            calls.append(len(ancillary))
            if len(ancillary) == 2:
                raise OSError(errno.EIO, "no checksums here")
            return 0

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        peer = pack_peer(LOCALHOST, client.getsockname()[1])
        real, udp.socket = udp.socket, Refusing()  # type: ignore[assignment]
        run = [(b"a",), (b"b",)]
        assert (udp.send_run(run, peer, LOCALHOST, 0), udp.send_run(run, peer, LOCALHOST, 0)) == (0, 0)
        assert calls == [2, 1, 1, 1, 1]
        udp.send_run(run, pack_peer(LOCALHOST + 1, 9), LOCALHOST, 0)
        assert calls[5:] == [2, 1, 1]
        udp.socket = real
    udp.close()


@pytest.mark.parametrize(
    "payloads",
    [[b"\0\4\0\1"] * 3, [b"\0\4\0\1", b"\xff\xfe\xfd\xfc"], [b"\0\4\0\1", b"\0\4\0"], [b"abcd"] * BATCH],
    ids=["equal", "different", "not all of four", "many"],
)
def test_small_ones_are_described_as_any(udp: UdpSocket, payloads: list[bytes]) -> None:
    """Whatever form the batch has, it is the same sequence of datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, socket.socket(type=socket.SOCK_DGRAM) as other:
        for number, payload in enumerate(payloads):
            (other if number % 3 == 1 else client).sendto(payload, ("127.0.0.1", udp.port))
        ports = [one.getsockname()[1] for one in (client, other)]
    select.select([udp], [], [], 5)
    batch = udp.receive()
    lo = 0 if udp.local else socket.if_nametoindex("lo")
    expected = [
        Datagram(payload, pack_peer(LOCALHOST, ports[number % 3 == 1]), LOCALHOST, udp.port, lo, False)
        for number, payload in enumerate(payloads)
    ]
    assert (expected, expected[1:], len(expected)) == (list(batch), list(batch[1:]), len(batch))
    quads = isinstance(udp, BatchedUdpSocket) and {len(payload) for payload in payloads} == {4}
    assert quads == isinstance(batch, Quads)


# -- the queue ------------------------------------------------------------------------------------------------------------------------

_NET_ADMIN = 1 << 12
"""CAP_NET_ADMIN, <linux/capability.h>."""


def test_the_queue_is_as_long_as_the_rights_allow() -> None:
    """Beyond net.core.rmem_max with CAP_NET_ADMIN, else up to it."""
    limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
    rights = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines())["CapEff"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        widen_queue(sock, 2 * limit)
        assert (2 * limit if int(rights, 16) & _NET_ADMIN else limit) == queue_bytes(sock)


@needs.root()
@needs.tool("setpriv")
def test_the_queue_of_an_ordinary_user() -> None:
    """As long as net.core.rmem_max; that is what is told."""
    limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
    code = (
        "import socket; from pxenet.net.udp import *; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"widen_queue(sock, {2 * limit}); print(queue_bytes(sock), granted_queue_bytes())"
    )
    dropped = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    done = subprocess.run([*dropped, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [limit, min(limit, QUEUE_BYTES)] == [int(word) for word in done.stdout.split()]


def test_sockets_have_the_queue_that_is_told(udp: UdpSocket) -> None:
    """Those that serve get what ``granted_queue_bytes`` says."""
    assert granted_queue_bytes() == queue_bytes(udp.socket)


@pytest.mark.parametrize("make", [UdpSocket, BatchedUdpSocket], ids=["plain", "batched"])
def test_what_finds_no_room_is_counted(make: type[UdpSocket]) -> None:
    """Nothing is lost in silence: what did not fit into the queue is told, by port, of all sockets that have that port."""
    with contextlib.ExitStack() as closing:
        one = closing.enter_context(contextlib.closing(make(0, "127.0.0.1")))
        two = closing.enter_context(contextlib.closing(make(one.port, "127.0.0.2")))
        client = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(100):
            client.sendto(b"x" * 512, ("127.0.0.1", one.port))
        client.sendto(b"y", ("127.0.0.2", two.port))
        heard = len(receive(one))
        assert 0 < heard < 100
        assert 1 == len(receive(two))
        assert {str(one.port): UdpStatistics(received=heard + 1, overflowed=100 - heard)} == counted([one, two])
        again = closing.enter_context(contextlib.closing(make(0, bound=one.socket.dup())))
        assert 0 == again.counted().overflowed
