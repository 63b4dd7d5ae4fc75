"""Reading by TFTP as each client does: over a bad network, against the real server, and against answers that it refuses."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tftp_harness import SERVER, Network, Personality, Weather, content, pattern
from tftp_harness import Client as HarnessClient

from pxenet.net.datagram import pack_peer, peer_address, peer_port
from pxenet.sim import tftp
from pxenet.sim.body import Body, BootError, Heard, SimDatagram
from pxenet.sim.tftp import Got, TftpError, Traits
from pxenet.wire.tftp import Data, Error, Oack, Packet, Request, parse, serialize

ME = 0x0A000005
EVERYONE = {
    traits.name: traits
    for traits in (
        tftp.IPXE,
        tftp.PXELINUX,
        tftp.LPXELINUX,
        tftp.GRUB,
        tftp.EDK2,
        tftp.SHIM,
        tftp.U_BOOT,
        tftp.RASPBERRY,
    )
}


def body() -> Body:
    made = Body(bytes.fromhex("0200000000a1"), 1, relay=None, uuid=None, serial="", pace=1.0)
    made.address = ME
    return made


class Adapter(HarnessClient):
    """A simulated read in the place of one of the harness's own clients."""

    def __init__(self, traits: Traits, filename: str) -> None:
        self.body = body()
        self.steps: Generator[float, Heard, Got] = tftp.read(self.body, traits, SERVER, filename, 1 << 20)
        self.got: Got | None = None
        self.port = traits.ports[0] if traits.ports else 0
        super().__init__(Personality(traits.name), filename, pack_peer(ME, 0))

    def start(self, now: float) -> None:
        self._go(None, now)

    def tick(self, now: float) -> None:
        self._go(None, now)

    def receive(self, payload: bytes, port: int, now: float) -> None:
        self._go(SimDatagram(payload, SERVER, port, ME, peer_port(self.peer)), now)

    def _go(self, heard: Heard, now: float) -> None:
        self.body.now = now
        self.body.said.sends.clear()
        if self.done:
            return
        try:
            self.deadline = self.steps.send(heard)
        except StopIteration as end:
            self.got, self.done, self.deadline = end.value, True, float("inf")
        for send in self.body.said.sends:
            self.outbox.append((send.payload, send.to_port))
            self.peer = pack_peer(ME, send.from_port)


class BadNetwork(Network):
    """Its client's port is known once it has spoken."""

    def add(self, client: HarnessClient, at: float = 0.0) -> None:
        client.start(at)
        self.clients[client.peer] = client
        self._collect(client)


WEATHERS = {
    "calm": Weather(),
    "loss": Weather(loss=0.08),
    "twice": Weather(duplicate=0.2),
    "overtaking": Weather(delay_s=(0.001, 0.02)),
    "storm": Weather(0.05, 0.05, (0.001, 0.02)),
}


@pytest.mark.parametrize("weather", WEATHERS.values(), ids=WEATHERS.keys())
@pytest.mark.parametrize("traits", EVERYONE.values(), ids=EVERYONE.keys())
def test_every_client_reads_the_file_whole(traits: Traits, weather: Weather) -> None:
    """Whatever the network does, the bytes are the server's, and it ends."""
    data = pattern(61_440, 3)
    for seed in range(4):
        network = BadNetwork({"file": content(data)}, weather, seed)
        client = Adapter(traits, "file")
        network.add(client)
        network.run()
        assert client.got is not None
        assert (data, len(data)) == (client.got.data, client.got.size)
        assert SERVER != peer_address(client.peer)


class Talk:
    """One read, answered by hand."""

    def __init__(self, traits: Traits, name: str = "file", *, size_only: bool = False) -> None:
        self.body = body()
        self.steps: Generator[float, Heard, object] = (
            tftp.size_of(self.body, traits, SERVER, name)
            if size_only
            else tftp.read(self.body, traits, SERVER, name, 100)
        )
        self.until = self.steps.send(None)

    def hear(self, packet: Packet, port: int = 3000) -> None:
        to_port = self.body.said.sends[0].from_port
        self.until = self.steps.send(SimDatagram(serialize(packet), SERVER, port, ME, to_port))

    def wait_for_ever(self) -> None:
        while True:
            self.body.now = self.until
            self.until = self.steps.send(None)

    @property
    def said(self) -> list[Packet]:
        return [parse(send.payload) for send in self.body.said.sends]


NOT_ASKED = Oack((("blksize2", "1024"),))

REFUSALS = {
    "EDK2, not asked for": (tftp.EDK2, NOT_ASKED, 4),
    "EDK2, larger": (tftp.EDK2, Oack((("blksize", "1500"),)), 4),
    "PXELINUX, not asked for": (tftp.PXELINUX, NOT_ASKED, 8),
    "PXELINUX, out of its range": (tftp.PXELINUX, Oack((("blksize", "4096"),)), 8),
    "U-Boot, another time-out": (tftp.U_BOOT, Oack((("timeout", "4"),)), 8),
}


@pytest.mark.parametrize(("traits", "oack", "code"), REFUSALS.values(), ids=REFUSALS.keys())
def test_strict_clients_refuse_what_they_did_not_ask_for(traits: Traits, oack: Oack, code: int) -> None:
    """With the ERROR of their kind, and the boot is over (facts: tftp.md §2)."""
    talk = Talk(traits)
    with pytest.raises(BootError, match="refuses the OACK"):
        talk.hear(oack)
    assert isinstance(talk.said[-1], Error)
    assert code == talk.said[-1].code


def test_ipxe_tolerates_unknown_options() -> None:
    """It reads on as if nothing was said."""
    talk = Talk(tftp.IPXE)
    talk.hear(NOT_ASKED)
    assert "Ack(block=0)" == repr(talk.said[-1])


def test_grub_wants_an_oack() -> None:
    """DATA at once is an error to it."""
    with pytest.raises(BootError, match="wants an OACK"):
        Talk(tftp.GRUB).hear(Data(1, b"x"))


def test_error_1_is_told_as_such() -> None:
    """The server's words are kept."""
    with pytest.raises(TftpError, match=r"error 1 for file: nothing here") as caught:
        Talk(tftp.PXELINUX).hear(Error(1, "nothing here"))
    assert 1 == caught.value.code


@pytest.mark.parametrize(
    ("packet", "reason"),
    [(Data(1, b"x"), "DATA instead of an OACK"), (Oack((("blksize", "1468"),)), "does not tell the size")],
    ids=["DATA", "no tsize"],
)
def test_the_size_probe_fails_without_a_size(packet: Packet, reason: str) -> None:
    """EDK2 asks for the size first; a server that cannot tell it boots nothing."""
    with pytest.raises(BootError, match=reason):
        Talk(tftp.EDK2_SIZE, size_only=True).hear(packet)


def test_silence_ends_after_its_tries() -> None:
    """The request is said again, by each one's own timer, and then no more."""
    talk = Talk(tftp.GRUB)
    with pytest.raises(BootError, match="time-out"):
        talk.wait_for_ever()
    assert [Request] * (1 + tftp.GRUB.tries) == [type(packet) for packet in talk.said]


def test_packets_from_elsewhere_are_ignored() -> None:
    """Another port than the transfer's, and garbage."""
    talk = Talk(tftp.IPXE)
    talk.hear(Oack((("blksize", "1432"),)), 3000)
    count = len(talk.said)
    talk.hear(Data(1, b"x" * 1432), 3001)
    talk.steps.send(SimDatagram(b"\0", SERVER, 3000, ME, talk.body.said.sends[0].from_port))
    assert count == len(talk.said)
