"""The tap and the recorder: who follows gets what went by, secrets masked; the ring keeps what explains a failure; nobody pays else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from pxenet.capture import pcap
from pxenet.capture.frames import Packet, parse
from pxenet.capture.made import Frame, udp_frame
from pxenet.config import from_text
from pxenet.content.tree import bytes_content
from pxenet.engine.surface import Blocks, Stream
from pxenet.events import Event
from pxenet.model import Content, Region, Role
from pxenet.net.datagram import BROADCAST, Datagram, Interface, Send, pack_peer
from pxenet.rack import Rack
from pxenet.server.events import Told
from pxenet.server.failures import Failures
from pxenet.server.recording import Recorder
from pxenet.server.tap import Tap, TcpEnds
from pxenet.sim.voices import EDK2_PXE_X64
from pxenet.store.memory import MemoryStore
from pxenet.wire.dhcp import Message, serialize
from pxenet.wire.iana import BOOTREQUEST
from pxenet.wire.text import parse_address, parse_mac
from tests.server.httplab import get, make_site, read_reply, serving

WEB01, OTHER = parse_mac("52:54:00:00:00:01"), parse_mac("52:54:00:00:00:02")
SERVER, CLIENT, RELAY = map(parse_address, ("10.0.0.1", "10.0.0.100", "10.9.0.1"))
OURS = bytes.fromhex("525400ffffff")
TOKEN = "0123456789abcdef" * 2
TEXT = f"kernel x inst.ks=http://10.0.0.1/answer/{TOKEN}/ks.cfg\n".encode()


@pytest.fixture
def rack(tmp_path: Path) -> Rack:
    return made_rack(tmp_path)


def made_rack(tmp_path: Path, secrets: Mapping[str, str] | None = None) -> Rack:
    """A rack with one machine that is known by its address."""
    text = '[server]\naddress = "10.0.0.1"\n[[dhcp.subnet]]\nnetwork = "10.0.0.0/24"\npool = "10.0.0.100-10.0.0.199"\n'
    wire = Interface(1, "eth0", OURS, ((SERVER, 24),))
    made = Rack(
        replace(from_text(text, tmp_path), secrets=secrets or {}),
        MemoryStore(bytes(32)),
        interfaces=(wire,),
        tell=lambda event: None,
        clock=lambda: 1000.0,
    )
    made.access.observe(CLIENT, WEB01, "lease", 1000.0)
    return made


@pytest.fixture
def tap() -> Tap:
    return Tap()


def recorder(tap: Tap, rack: Rack, ring_bytes: int = 0) -> Recorder:
    ticks = iter(range(10**9))
    wire = Interface(1, "eth0", OURS, ((SERVER, 24),))
    return Recorder(tap, rack, (wire,), lambda: 10**18 + next(ticks), ring_bytes)


def asked(mac: bytes, giaddr: int = 0) -> Datagram:
    """A DHCP request as it arrives."""
    message = Message(op=BOOTREQUEST, chaddr=mac.ljust(16, b"\0"), giaddr=giaddr)
    peer = pack_peer(giaddr, 67) if giaddr else pack_peer(0, 68)
    return Datagram(serialize(message), peer, SERVER, 67, 1, broadcast=not giaddr)


def packets(frames: Sequence[Frame]) -> list[Packet]:
    found = [parse(frame.data + bytes(frame.length - len(frame.data))) for frame in frames]
    return [packet for packet in found if packet is not None]


def blocks(content: Content, first: int = 1, count: int = 1) -> Blocks:
    return Blocks(Stream(pack_peer(CLIENT, 2000), content, 512, SERVER, 30000, 1), first, count)


class NoFile:
    """Stands where a file is: the recorder must not read it."""

    fd = -1


def test_nobody_listens(tap: Tap, rack: Rack) -> None:
    """Without a ring the tap is closed until somebody follows, and closed again when they have left."""
    one = recorder(tap, rack)
    assert tap.listener is None
    with one.follow(None, secrets=False):
        assert tap.listener is one
        assert tap.full
    assert tap.listener is None
    recorder(tap, rack, 1000)
    assert (True, False) == (tap.listener is not None, tap.full)


async def test_a_follower_gets_what_went_by(tap: Tap, rack: Rack) -> None:
    """Requests and answers as frames with the right ends; of a file the headers of its blocks, with the lengths of the wire."""
    file = Content("x", (Region(NoFile(), 0, 700),), 700, 0, '""')
    with recorder(tap, rack).follow(None, secrets=False) as follower:
        assert tap.listener is not None
        tap.listener.received([asked(WEB01)])
        tap.listener.sent([Send(pack_peer(BROADCAST, 68), [b"off", b"er"], SERVER, 67, 1), blocks(file, 1, 2)])
        frames, missed = await follower.next()
    request, offer, one, two = packets(list(frames))
    assert (0, WEB01, b"\xff" * 6, BROADCAST) == (
        missed,
        request.source_hardware,
        request.destination_hardware,
        request.destination,
    )
    assert (b"offer", OURS, SERVER, 67) == (offer.payload, offer.source_hardware, offer.source, offer.source_port)
    assert [(b"\0\3\0\1", 516), (b"\0\3\0\2", 192)] == [(each.payload[:4], len(each.payload)) for each in (one, two)]
    assert WEB01 == one.destination_hardware


async def test_tokens_and_secret_texts_are_masked(tap: Tap, rack: Rack) -> None:
    """Unless asked for: of a token its first digits stay, of a text that is secret nothing, and no length changes."""
    text = bytes_content("boot.ipxe", TEXT)
    answer = replace(bytes_content("ks.cfg", b"rootpw secret\n"), secret=True)
    wish = Datagram(f"\0\1answer/{TOKEN}/ks.cfg\0octet\0".encode(), pack_peer(CLIENT, 2000), SERVER, 69, 1)
    one = recorder(tap, rack)
    seen: dict[bool, list[bytes]] = {}
    for secrets in (False, True):
        with one.follow(None, secrets=secrets) as follower:
            assert tap.listener is not None
            tap.listener.received([wish])
            tap.listener.sent([blocks(text), blocks(answer)])
            frames, _ = await follower.next()
            seen[secrets] = [packet.payload for packet in packets(list(frames))]
    assert [wish.data, b"\0\3\0\1" + TEXT, b"\0\3\0\1rootpw secret\n"] == seen[True]
    assert [len(payload) for payload in seen[True]] == [len(payload) for payload in seen[False]]
    assert all(TOKEN[:8].encode() in payload and TOKEN.encode() not in payload for payload in seen[False][:2])
    assert b"\0\3\0\1" + b"x" * 14 == seen[False][2]


async def test_secrets_in_kernel_arguments_are_masked(tap: Tap, tmp_path: Path) -> None:
    """What the configuration calls a secret, wherever packets have it: in a boot text that is cut into blocks, and on a connection."""
    rack = made_rack(tmp_path, secrets={"vnc": "correct horse"})
    text = bytes_content("boot.ipxe", b"#" * 507 + b"correct horse battery")
    ends, reply = TcpEnds(pack_peer(CLIENT, 3000), SERVER, 80), b"HTTP/1.1 200 OK\r\n\r\nkernel password=correct horse"
    seen: dict[bool, bytes] = {}
    for secrets in (False, True):
        with recorder(tap, rack).follow(None, secrets=secrets) as follower:
            assert tap.listener is not None
            tap.listener.sent([blocks(text, 1, 2)])
            tap.listener.said(ends, reply, len(reply))
            frames, _ = await follower.next()
            seen[secrets] = b"".join(packet.payload for packet in packets(list(frames)))
    assert 1 == seen[True].count(b"=correct horse")
    assert len(seen[True]) == len(seen[False])
    assert [0, 0, 0] == [seen[False].count(word) for word in (b"correct", b"horse", b"corre")]
    assert b"=xxxxxxxxxxxxx" in seen[False]
    assert b"x battery" in seen[False]


async def test_a_token_over_two_blocks(tap: Tap, rack: Rack) -> None:
    """It is masked in the whole text, before that is cut into blocks."""
    text = bytes_content("boot.ipxe", b"#" * (512 - 60) + TEXT)
    with recorder(tap, rack).follow(None, secrets=False) as follower:
        assert tap.listener is not None
        tap.listener.sent([blocks(text, 1, 2)])
        frames, _ = await follower.next()
    whole = b"".join(packet.payload[4:] for packet in packets(list(frames)))
    assert len(whole) == text.size
    assert TOKEN[8:16].encode() not in whole


async def test_one_machine_alone(tap: Tap, rack: Rack) -> None:
    """By its hardware address in DHCP, also behind a relay, and by its address elsewhere."""
    with recorder(tap, rack).follow(WEB01, secrets=False) as follower:
        assert tap.listener is not None
        ack = Datagram(b"\0\4\0\1", pack_peer(CLIENT, 2000), SERVER, 30000, 1)
        stranger = Datagram(b"\0\4\0\1", pack_peer(CLIENT + 1, 2000), SERVER, 30000, 1)
        tap.listener.received([asked(WEB01), asked(OTHER), asked(WEB01, RELAY), asked(OTHER, RELAY), ack, stranger])
        frames, _ = await follower.next()
    found = packets(list(frames))
    assert [0, RELAY, CLIENT] == [packet.source for packet in found]
    assert WEB01 == found[2].source_hardware


async def test_too_slow_a_follower(tap: Tap, rack: Rack) -> None:
    """What it cannot take is counted."""
    follower = recorder(tap, rack).follow(None, secrets=False)
    follower.limit = 3
    with follower:
        assert tap.listener is not None
        tap.listener.received([asked(WEB01)] * 5)
        frames, missed = await follower.next()
    assert (3, 2) == (len(list(frames)), missed)


def test_the_ring_is_bounded_and_keeps_what_tells(tap: Tap, rack: Rack) -> None:
    """The oldest goes first; acknowledgements and the middle of files would push everything else out, and are left out."""
    one = recorder(tap, rack, ring_bytes=20 * 700)
    assert tap.listener is not None
    file = Content("x", (Region(NoFile(), 0, 10**6),), 10**6, 0, '""')
    for _ in range(1000):
        tap.listener.received([Datagram(b"\0\4\0\1", pack_peer(CLIENT, 2000), SERVER, 30000, 1)])
        tap.listener.sent([blocks(file, 500)])
    tap.listener.received([asked(WEB01)])
    tap.listener.sent([blocks(file, 1)])
    assert 2 == len(one.remembered(WEB01))
    assert [] == one.remembered(OTHER)
    for _ in range(1000):
        tap.listener.received([asked(OTHER)])
    assert 10 < len(one.remembered(OTHER)) < 40
    assert [] == one.remembered(WEB01)


# -- connections ----------------------------------------------------------------------------------------------------------------------


async def test_a_connection_is_followed(tap: Tap, rack: Rack) -> None:
    """Request, head, body and end become one TCP stream; an answer file is masked behind its head."""
    ends = TcpEnds(pack_peer(CLIENT, 50000), SERVER, 80)
    with recorder(tap, rack).follow(WEB01, secrets=False) as follower:
        assert tap.listener is not None
        tap.listener.heard(ends, f"GET /answer/{TOKEN}/ks.cfg HTTP/1.1\r\n\r\n".encode())
        ends.secret = True
        reply = b"HTTP/1.1 200 OK\r\n\r\nrootpw secret"
        tap.listener.said(ends, reply, len(reply))
        tap.listener.said(ends, b"", 3000)
        tap.listener.closed(ends)
        frames, _ = await follower.next()
    payloads = [packet.payload for packet in packets(list(frames)) if packet.payload]
    assert TOKEN.encode() not in payloads[0]
    assert b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 13 == payloads[1]
    assert 3000 == len(payloads[2])


@pytest.mark.parametrize("plain", [True, False], ids=["plain path", "fast lane"])
async def test_the_http_server_tells_the_tap(tmp_path: Path, tap: Tap, rack: Rack, plain: bool) -> None:
    """Whoever follows hears every request, also one that the fast lane would answer; the bytes are those that left."""
    site = make_site(tmp_path, Role.FILE)
    heard: list[tuple[str, int]] = []

    class Ear:
        """Writes down what it is told."""

        def received(self, batch: Sequence[Datagram]) -> None: ...

        def sent(self, sends: Sequence[Send | Blocks]) -> None: ...

        def heard(self, ends: TcpEnds, data: bytes) -> None:
            heard.append(("heard", len(data)))

        def said(self, ends: TcpEnds, data: bytes, size: int) -> None:
            heard.append(("said", size))

        def closed(self, ends: TcpEnds) -> None:
            heard.append(("closed", 0))

    name = "x64/shimx64.efi"
    async with serving(site, plain=plain, tap=tap) as running, await running.connect() as stream:
        await stream.send_all(get(f"/{name}"))
        await read_reply(stream)
        tap.listener, tap.full = Ear(), True
        sizes = []
        for _ in range(3):
            await stream.send_all(get(f"/{name}"))
            head, body = await read_reply(stream)
            sizes.append(len(head) + 4 + len(body))
    requests = [size for kind, size in heard if kind == "heard" and size]
    assert [len(get(f"/{name}"))] * 3 == requests
    assert sum(sizes) == sum(size for kind, size in heard if kind == "said")
    assert ("closed", 0) == heard[-1]


# -- failures -------------------------------------------------------------------------------------------------------------------------


def frames_of(mac: bytes) -> Iterator[Frame]:
    from pxenet.capture.made import End

    yield udp_frame(10**18, End(0, 68, mac), End(BROADCAST, 67, b"\xff" * 6), b"x")


async def test_a_failure_is_kept(tmp_path: Path) -> None:
    """The machine's frames are in a file that its event names; what is no failure, and a second one soon after, makes none."""
    told: list[Event] = []
    failures = Failures(tmp_path, lambda mac: list(frames_of(mac)), told.append, keep=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(failures.run)
        for at, mac, kind in [
            (1000.0, WEB01, "dhcp.ack"),
            (1000.0, WEB01, "install.failed"),
            (1001.0, WEB01, "install.failed"),
            (1002.0, OTHER, "tftp.gave_up"),
            (1100.0, WEB01, "install.stopped"),
        ]:
            failures.watch(Told(at, "web/01", Event(kind, mac)))
        with trio.fail_after(10):
            while len(told) < 3:
                await trio.sleep(0)
        nursery.cancel_scope.cancel()
    assert ["capture.kept"] * 3 == [event.kind for event in told]
    kept = sorted((tmp_path / "failures").iterdir())
    assert ["19700101T001642-web-01.pcap", "19700101T001820-web-01.pcap"] == [path.name for path in kept]
    assert 1 == len(list(pcap.read(kept[0])))


async def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told; the server goes on."""
    (tmp_path / "failures").write_text("a file is in the way")
    told: list[Event] = []
    failures = Failures(tmp_path, lambda mac: list(frames_of(mac)), told.append, keep=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(failures.run)
        failures.watch(Told(time.time(), "web01", Event("install.failed", WEB01)))
        with trio.fail_after(10):
            while not told:
                await trio.sleep(0)
        nursery.cancel_scope.cancel()
    assert ["capture.not_kept"] == [event.kind for event in told]


def test_a_voice_fits_the_ring(tap: Tap, rack: Rack) -> None:
    """A firmware's packets are whole in it: option 60 can be read."""
    one = recorder(tap, rack, ring_bytes=100_000)
    assert tap.listener is not None
    datagram = asked(WEB01)
    tap.listener.received([replace(datagram, data=datagram.data + EDK2_PXE_X64.vendor_class)])
    (frame,) = one.remembered(WEB01)
    assert EDK2_PXE_X64.vendor_class in frame.data
