"""Whole transfers over good and bad networks: every client gets every octet, and the server does not flood it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tftp_harness import (
    EDK2,
    EVERYONE,
    GRUB,
    HPA,
    IPXE,
    LOCKSTEP,
    PLAIN,
    PXELINUX,
    WINDOWED,
    Client,
    Network,
    Personality,
    Weather,
    Writer,
    content,
    fetch,
    pattern,
)

from pxenet.engine.tftp import TftpSettings
from pxenet.model import Absent, Missing
from pxenet.net.datagram import pack_peer

GOOD = Weather()
BAD = Weather(loss=0.05, duplicate=0.03, delay_s=(0.001, 0.003))
AWFUL = Weather(loss=0.2, duplicate=0.1, delay_s=(0.001, 0.2))

by_name = {"ids": lambda value: value.name if isinstance(value, Personality) else str(value)}


def blksize_of(personality: Personality) -> int:
    return int(dict(personality.options).get("blksize", "512"))


def windowsize_of(personality: Personality) -> int:
    return int(dict(personality.options).get("windowsize", "1"))


@pytest.mark.parametrize("blocks", [0, 1, 2, 4, 7, 8, 16, 17])
@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("personality", EVERYONE, **by_name)
def test_sizes_around_multiples(personality: Personality, blocks: int, extra: int) -> None:
    """Byte-exact at every size around a multiple of blksize and of a window, with nothing sent twice and one Delivered."""
    size = blocks * blksize_of(personality) + extra
    if size < 0:
        return
    data = pattern(size)
    network, client = fetch(personality, data, GOOD)
    assert data == client.data
    assert client.done
    assert [(size, 0)] == [(d.content.size, d.retransmits) for d in network.delivered]
    first = 1 if personality.options else 0
    assert first + size // blksize_of(personality) + 1 == network.sent_by_server
    assert ["tftp.start", "tftp.done"] == [event.kind for event in network.events]
    if "tsize" in dict(personality.options):
        assert size == client.tsize


@pytest.mark.parametrize("weather", [BAD, AWFUL], ids=["bad", "awful"])
@pytest.mark.parametrize("personality", EVERYONE, **by_name)
def test_bad_networks(personality: Personality, weather: Weather) -> None:
    """Loss, duplicates and overtaking: whoever finishes has every octet; on a merely bad network everyone finishes."""
    finished = 0
    for seed in range(10):
        data = pattern(40 * blksize_of(personality) + seed, seed)
        network, client = fetch(personality, data, weather, seed)
        assert client.over
        if client.done:
            finished += 1
            assert data == client.data
            assert network.delivered
        assert (0, 0) == (network.server.statistics().reading, network.server.statistics().writing)
    assert finished == 10 if weather is BAD else finished >= 6


@settings(max_examples=60)
@given(
    personality=st.sampled_from(EVERYONE),
    blocks=st.integers(0, 40),
    extra=st.integers(0, 511),
    seed=st.integers(0, 10**6),
    loss=st.floats(0, 0.15),
    duplicate=st.floats(0, 0.15),
    spread=st.floats(0, 0.05),
)
def test_any_weather(
    personality: Personality, blocks: int, extra: int, seed: int, loss: float, duplicate: float, spread: float
) -> None:
    """In whatever weather: what is called done is byte-exact, and the server keeps nothing afterwards."""
    data = pattern(blocks * blksize_of(personality) + extra, seed)
    weather = Weather(loss, duplicate, (0.001, 0.001 + spread))
    network, client = fetch(personality, data, weather, seed)
    assert client.over
    if client.done:
        assert data == client.data
    assert network.server.statistics().reading == 0
    assert network.server.deadline() == float("inf")


@pytest.mark.parametrize("personality", [IPXE, EDK2, HPA], **by_name)
def test_one_percent_loss_is_quick(personality: Personality) -> None:
    """1 % loss each way on a quick network: recovery by the measured round trip, not by whole seconds."""
    data = pattern(1000 * blksize_of(personality))
    network, client = fetch(personality, data, Weather(loss=0.01, delay_s=(0.0005, 0.0006)))
    assert data == client.data
    # Lock-step: 1000 round trips of about 1.1 ms, and 20 losses at somewhat more than the floor of 50 ms each.
    assert network.delivered[0].duration_s < 4.0


@pytest.mark.parametrize("what", [0, 2], ids=["lost", "duplicated"])
@pytest.mark.parametrize("personality", EVERYONE, **by_name)
def test_one_fault_costs_one_window(personality: Personality, what: int) -> None:
    """Sorcerer's apprentice: one packet lost or duplicated makes at most one window and one block leave twice, in either direction,
    wherever in the window it was; with lock-step a duplicate costs nothing. Nothing breeds until the end of the file.
    """
    data = pattern(200 * blksize_of(personality))
    limit = 0 if personality in LOCKSTEP and what == 2 else windowsize_of(personality) + 1
    for fault in range(60, 80):
        network = Network({"file": content(data)}, Weather(delay_s=(0.002, 0.002), at=fault, copies=what))
        client = Client(personality, "file", pack_peer(0x0A000005, 2070))
        network.add(client)
        network.run()
        assert data == client.data
        assert network.server.statistics().retransmits <= limit


WRAPS = {
    "last block 65535": 65535 * 8 - 1,
    "last block 65536, number 0 and empty": 65535 * 8,
    "last block 65537, number 1": 65536 * 8,
    "second rollover": 131_080 * 8 + 3,
}


@pytest.mark.parametrize("size", WRAPS.values(), ids=WRAPS.keys())
def test_rollover(size: int) -> None:
    """Block numbers roll over to 0, in the middle of windows too."""
    rolls = Personality("rolls", (("blksize", "8"), ("windowsize", "60")))
    data = pattern(size)
    network, client = fetch(rolls, data, GOOD)
    assert data == client.data
    assert [0] == [d.retransmits for d in network.delivered]


def test_rollover_with_loss() -> None:
    """The same with packets lost around the rollover."""
    rolls = Personality("rolls", (("blksize", "8"), ("windowsize", "16")))
    data = pattern(66_000 * 8)
    _, client = fetch(rolls, data, Weather(loss=0.002))
    assert data == client.data


def test_rollover_in_lock_step() -> None:
    """One block at a time over the rollover."""
    data = pattern(65_600 * 8)
    _, client = fetch(Personality("small", (("blksize", "8"),)), data, GOOD)
    assert data == client.data


def test_many_at_once() -> None:
    """A hundred clients of all kinds on a bad network share the ports, and each gets its own file."""
    files = {f"file{n}": pattern(20_000 + n, n) for n in range(100)}
    network = Network({name: content(data, name) for name, data in files.items()}, BAD)
    clients = [
        Client(EVERYONE[n % len(EVERYONE)], f"file{n}", pack_peer(0x0A000100 + n // 2, 2000 + n)) for n in range(100)
    ]
    for n, client in enumerate(clients):
        network.add(client, n / 1000)
    network.run()
    assert [files[client.filename] for client in clients] == [client.data for client in clients]
    assert sorted(files) == sorted({delivered.content.name for delivered in network.delivered})


@pytest.mark.parametrize("weather", [GOOD, Weather(loss=0.05, delay_s=(0.001, 0.003))], ids=["good", "lossy"])
def test_one_port_for_a_whole_boot(weather: Weather) -> None:
    """pxelinux asks for one file after the other from one port, some of which are missing: late packets of one never spoil the next."""
    peer = pack_peer(0x0A000005, 49152)
    files = {f"file{n}": pattern(3000 * n, n) for n in range(1, 12, 2)}
    for seed in range(10):
        network = Network({name: content(data, name) for name, data in files.items()}, weather, seed)
        for n in range(12):
            client = Client(PXELINUX, f"file{n}", peer)
            network.add(client, network.now)
            while not client.over:
                network.run(until=network.now + 0.001)
            if client.filename in files:
                assert files[client.filename] == client.data
            else:
                assert client.error is not None
                assert client.error.code == 1
        network.run(until=network.now + 120)
        assert network.server.statistics().reading == 0


@pytest.mark.parametrize("personality", EVERYONE, **by_name)
@pytest.mark.parametrize("weather", [GOOD, BAD], ids=["good", "bad"])
def test_single_port(personality: Personality, weather: Weather) -> None:
    """Everything from the request's own port."""
    data = pattern(50 * blksize_of(personality))
    network = Network({"file": content(data)}, weather, 3, TftpSettings(port=69, single_port=True))
    client = Client(personality, "file", pack_peer(0x0A000005, 2070))
    network.add(client)
    network.run()
    assert client.tid == 69
    assert data == client.data


WRITES = TftpSettings(tid_ports=(1, 2, 3, 4), allow_write=True, max_upload_bytes=200_000)


@pytest.mark.parametrize("weather", [GOOD, BAD], ids=["good", "bad"])
@pytest.mark.parametrize("personality", [GRUB, PLAIN, *WINDOWED], **by_name)
@pytest.mark.parametrize("blocks", [0, 1, 16, 33])
def test_writing(personality: Personality, weather: Weather, blocks: int) -> None:
    """A file written to us arrives whole, once, and its writer learns that it is stored."""
    for seed in range(4):
        data = pattern(blocks * blksize_of(personality) + seed % 2)
        network = Network({}, weather, seed, WRITES)
        writer = Writer(personality, "log", pack_peer(0x0A000005, 2070), data)
        network.add(writer)
        network.run()
        assert [data] == [upload.data for upload in network.uploads]
        assert writer.done
        assert ["tftp.written"] == [event.kind for event in network.events]
        assert network.server.statistics().writing == 0


def test_a_write_that_is_refused() -> None:
    """The last ACK is an ERROR when the file could not be stored."""
    network = Network({}, GOOD, 0, WRITES, refuse=Absent(Missing.DENIED))
    writer = Writer(PLAIN, "log", pack_peer(0x0A000005, 2070), b"x" * 1000)
    network.add(writer)
    network.run()
    assert writer.error is not None
    assert writer.error.code == 2


@pytest.mark.parametrize("personality", [PLAIN, HPA], **by_name)
def test_a_write_that_is_too_large(personality: Personality) -> None:
    """Memory for uploads is bounded, also without tsize."""
    network = Network({}, GOOD, 0, WRITES)
    writer = Writer(personality, "log", pack_peer(0x0A000005, 2070), bytes(200_001))
    network.add(writer)
    network.run()
    assert writer.error is not None
    assert writer.error.code == 3
    assert [] == network.uploads
