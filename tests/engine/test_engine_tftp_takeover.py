"""Reads that outlive their server: another one goes on with them, on the word of their clients alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tftp_harness import EVERYONE, PORTS, SERVER, Client, Network, Personality, Weather, content, pattern, says

from pxenet.engine.surface import Output
from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.engine.tftp.takeover import MAX_BLOCKS, Orphan
from pxenet.model import Absent, Content, Missing
from pxenet.net.datagram import Datagram, pack_peer
from pxenet.wire.tftp import Ack, Data, Error, ErrorCode, OpCode, Options, Packet, Request, serialize

PEER = pack_peer(0x0A000005, 2070)
SETTINGS = TftpSettings(tid_ports=PORTS, max_windowsize=64)
PORT = PORTS[1]
SIX = content(b"x" * 41, "six")  # six blocks of 8
NARROW: Options = (("blksize", "8"),)
WIDE: Options = (("blksize", "8"), ("windowsize", "4"))


@dataclass
class Mortal(Network):
    """A network whose server ends now and then, and is replaced by one that knows what was begun, and nothing else."""

    begun: dict[int, Orphan] = field(default_factory=dict)
    ended: int = 0

    def end_at(self, at: float) -> None:
        """The server ends at this time."""
        self._at(at, self._end)

    def _end(self) -> None:
        self.ended += 1
        self.server = TftpServer(self.settings)
        self.server.take_over(list(self.begun.values()), self.now)

    def _obey(self, output: Output) -> None:
        for want in output.wants:
            found = self.contents[want.path]
            assert isinstance(found, Content)
            place = want.peer, want.port, want.interface, want.local, want.request
            self.begun[hash((want.port, want.peer))] = Orphan(*place, found.etag)
        super()._obey(output)


@pytest.mark.parametrize("personality", EVERYONE, ids=lambda personality: personality.name)
@pytest.mark.parametrize("loss", [0.0, 0.05], ids=["calm", "loss"])
def test_a_server_that_ends_over_and_over(personality: Personality, loss: float) -> None:
    """Every kind of client reads its file to the end, whole, with nothing but its own repetitions."""
    data = pattern(60_000)
    network = Mortal({"file": content(data)}, Weather(loss=loss, delay_s=(0.001, 0.005)), seed=3)
    clients = [Client(personality, "file", pack_peer(0x0A000005 + number, 2070)) for number in range(5)]
    for client in clients:
        network.add(client)
    for at in (0.004, 0.02, 0.05, 1.5, 6.0):
        network.end_at(at)
    network.run()
    assert [data] * 5 == [client.data for client in clients]
    assert [None] * 5 == [client.error for client in clients]


@given(
    st.sampled_from(EVERYONE),
    st.lists(st.floats(0.0, 3.0), max_size=4),
    st.integers(0, 2**32),
    st.integers(0, 30_000),
)
def test_whenever_it_ends(personality: Personality, ends: list[float], seed: int, size: int) -> None:
    """At any instant, on a network that doubles and delays: what is read is the file."""
    data = pattern(size, seed)
    network = Mortal({"file": content(data)}, Weather(duplicate=0.05, delay_s=(0.001, 0.02)), seed=seed)
    client = Client(personality, "file", PEER)
    network.add(client)
    for at in ends:
        network.end_at(at)
    network.run()
    assert (data, None) == (client.data, client.error)


def test_a_whole_boot_from_one_port() -> None:
    """pxelinux reads one file after the other from the same port: a new server takes none of its packets for those of another file."""
    files = {name: pattern(20_000, number) for number, name in enumerate(("a", "b", "c", "d"))}
    network = Mortal({name: content(data, name) for name, data in files.items()}, Weather(delay_s=(0.001, 0.01)))
    got: dict[str, bytes] = {}
    at = 0.0
    for name, data in files.items():
        client = Client(EVERYONE[2], name, PEER)
        network.add(client, at)
        network.end_at(at + 0.05)
        network.run(at + 30.0)
        assert data == client.data
        got[name] = client.data
        at = network.now + 0.01
    assert files == got
    assert 4 == network.ended


def after(
    block: Packet, request: Options = NARROW, answer: Content | Absent = SIX, now: float = 10.0, etag: str = '"1"'
) -> list[str]:
    """What a server says to the first packet of an orphan, and then to its content."""
    server = TftpServer(SETTINGS)
    rrq = serialize(Request(OpCode.RRQ, "six", "octet", request))
    server.take_over([Orphan(PEER, PORT, 2, SERVER, rrq, etag)], 0.0)
    out = server.receive([Datagram(serialize(block), PEER, SERVER, PORT, 2)], now)
    said = says(out)
    for want in out.wants:
        assert (PEER, SERVER, PORT, 2, rrq) == (want.peer, want.local, want.port, want.interface, want.request)
        said += says(server.provide(want.id, answer, now))
    return said


LARGE = content(bytes(8 * MAX_BLOCKS), "six")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Ack(0), ["want six", "30002>2070 DATA 1-1"]),
        (Ack(3), ["want six", "30002>2070 DATA 4-4"]),
        (Ack(6), ["want six", "delivered six", "tftp.done"]),
        (Ack(7), ["want six", "30002>2070 ERROR 5 this file has to be read anew"]),
        (Error(ErrorCode.UNDEFINED, "stop"), []),
        (Data(1, b"x"), []),
    ],
    ids=str,
)
def test_the_first_word(block: Packet, said: list[str]) -> None:
    """An ACK tells where to go on; nothing else does."""
    assert said == after(block)


def test_windows_go_on() -> None:
    """From the acknowledged block, in the size that was agreed upon."""
    assert ["want six", "30002>2070 DATA 2-5"] == after(Ack(1), WIDE)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (content(b"x" * 41, "other"), ["30002>2070 DATA 4-4"]),
        (
            Content("six", (b"y" * 41,), 41, 0, '"2"'),
            ["30002>2070 ERROR 0 the file changed while it was being sent", "tftp.changed"],
        ),
        (LARGE, ["30002>2070 ERROR 5 this file has to be read anew"]),
        (Absent(Missing.NOT_FOUND), ["30002>2070 ERROR 1 file not found: six", "tftp.missing"]),
    ],
    ids=["the same", "replaced", "more blocks than numbers", "gone"],
)
def test_another_content(answer: Content | Absent, said: list[str]) -> None:
    """Nobody gets the end of another version than the one of which it has the beginning, nor a block that may be another one."""
    assert ["want six", *said] == after(Ack(3), answer=answer)


def test_nobody_is_waited_for_forever() -> None:
    """A minute later a packet is a stray as any other, from a peer that was known."""
    assert ["want six", "30002>2070 DATA 4-4"] == after(Ack(3), now=59.0)
    assert [] == after(Ack(3), now=61.0)


def test_repetitions_meanwhile() -> None:
    """While the content is looked for, the same ACK again asks for nothing more."""
    server = TftpServer(SETTINGS)
    rrq = serialize(Request(OpCode.RRQ, "six", "octet", NARROW))
    server.take_over([Orphan(PEER, PORT, 2, SERVER, rrq, '"1"')], 0.0)
    ack = Datagram(serialize(Ack(3)), PEER, SERVER, PORT, 2)
    (want,) = server.receive([ack], 1.0).wants
    assert [] == says(server.receive([ack], 2.0))
    assert ["30002>2070 DATA 4-4"] == says(server.provide(want.id, SIX, 2.5))
    assert ["30002>2070 DATA 5-5"] == says(server.receive([Datagram(serialize(Ack(4)), PEER, SERVER, PORT, 2)], 2.6))


def test_the_next_request_takes_another_port() -> None:
    """Late packets of what was begun before must not meet what begins now."""
    server = TftpServer(SETTINGS)
    rrq = serialize(Request(OpCode.RRQ, "six", "octet", NARROW))
    server.take_over([Orphan(PEER, PORT, 2, SERVER, rrq, '"1"')], 0.0)
    other = serialize(Request(OpCode.RRQ, "other", "octet", NARROW))
    (want,) = server.receive([Datagram(other, PEER, SERVER, 69, 2)], 1.0).wants
    assert PORTS[2] == want.port
    # and the old one, which its client has left, is not begun again beside it
    out = server.receive([Datagram(serialize(Ack(3)), PEER, SERVER, PORT, 2)], 1.1)
    assert [] == says(out)
