#!/usr/bin/env python3
"""Make the captures in captures/made: boots of simulated firmware, for what cannot be recorded here.

python tools/made_captures.py            compare; exit status 1 when one is not what is made now
python tools/made_captures.py --update   write them anew; tools/golden.py --update then writes what they decode to

Each is a rack of simulated machines before captures/rack, in virtual time: the same code makes the same bytes. What a recorder
beside the machines would have seen is written: what they send before anything is lost, and what reaches them. TCP's numbers are
made up.
"""

from __future__ import annotations

import http
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "captures" / "made"
sys.path.insert(0, str(ROOT))

# found beside this file, installed or not
from pxenet.capture.frames import COOKED_2, ETHERNET  # noqa: E402
from pxenet.capture.made import BROADCAST, Conversation, End, Frame, hardware_of, udp_frame  # noqa: E402
from pxenet.config import from_text  # noqa: E402
from pxenet.engine.surface import Blocks  # noqa: E402
from pxenet.net.datagram import Interface, Send, peer_address, peer_port  # noqa: E402
from pxenet.net.link import checksum  # noqa: E402
from pxenet.rack import Rack  # noqa: E402
from pxenet.sim.body import ClientSend, HttpFetch, HttpReply, Relay, SimDatagram  # noqa: E402
from pxenet.sim.faults import CALM, Faults  # noqa: E402
from pxenet.sim.fleet import Fleet, Plan, Power  # noqa: E402
from pxenet.sim.link import Link  # noqa: E402
from pxenet.sim.machine import Machine  # noqa: E402
from pxenet.store.memory import MemoryStore  # noqa: E402
from pxenet.wire import dhcp  # noqa: E402
from pxenet.wire.iana import BOOTREPLY, BOOTREQUEST, MessageType, OptionCode  # noqa: E402
from pxenet.wire.options import Options  # noqa: E402

SERVER, OTHER, ROUTER = 0x0A4D0001, 0x0A4D0002, 0x0A4E0001
_LIMITED = 0xFFFFFFFF
_RASPBERRIES = bytes.fromhex("b827eb580001"), bytes.fromhex("dca632580002")
"""Their hardware addresses begin with what their maker was given: by that the ROM of the 3B is known."""

_ANYWHERE = {"etag": '"1"', "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
"""Headers whose values are those of the files of one checkout."""

_ONE_BY_ONE = Power(1, 7.0)

Shape = Callable[[Frame], Iterator[bytes]]
"""What a recorder elsewhere sees of an Ethernet frame."""


def as_it_is(frame: Frame) -> Iterator[bytes]:
    """Beside the machine."""
    yield frame.data


def double_tagged(frame: Frame) -> Iterator[bytes]:
    """On a provider's wire: 802.1ad around 802.1Q."""
    yield frame.data[:12] + bytes.fromhex("88a8 0064 8100 0007") + frame.data[12:]


def cooked(frame: Frame) -> Iterator[bytes]:
    """``tcpdump -i any``: a cooked head, version 2, of interface 2, instead of Ethernet's."""
    yield frame.data[12:14] + bytes.fromhex("0000 00000002 0001 00 06") + frame.data[6:12] + bytes(2) + frame.data[14:]


def in_pieces(frame: Frame) -> Iterator[bytes]:
    """Behind a path of 576 bytes (RFC 791 §3.2)."""
    head, inside = frame.data[14:34], frame.data[34:]
    for at in range(0, len(inside), 552):
        part = inside[at : at + 552]
        more = 0x2000 if at + 552 < len(inside) else 0
        if len(inside) <= 552:
            yield frame.data
            return
        number = (frame.at_ns // 1000) & 0xFFFF
        new = head[:2] + struct.pack("!HHH", 20 + len(part), number, more | at // 8) + head[8:10] + b"\0\0" + head[12:]
        yield frame.data[:14] + new[:10] + checksum(new).to_bytes(2, "big") + new[12:] + part


@dataclass(frozen=True, slots=True)
class Scene:
    """One capture."""

    name: str
    mix: dict[str, int]
    config: Callable[[str], str] = lambda text: text
    faults: Faults = CALM
    power: Power = _ONE_BY_ONE
    shape: Shape = as_it_is
    link: int = ETHERNET
    relayed: bool = False
    beside: bool = False
    known: tuple[bytes, ...] = ()
    """The machines' hardware addresses, where it matters which they are."""
    again_s: float = 0.0
    """A machine that has come to its end is installed again so much later, once."""


SCENES = (
    Scene("uefi-ia32", {"uefi-ia32": 1}),
    Scene("uefi-arm64", {"uefi-arm64": 1, "http-arm64": 1}),
    Scene("u-boot", {"u-boot": 1}),
    Scene("raspberry", {"raspberry": 1, "raspberry-4": 1}, known=_RASPBERRIES),
    Scene("relayed", {"bios": 1, "uefi": 1}, relayed=True),
    Scene("proxy-4011", {"uefi": 1}, lambda text: text.replace('mode = "server"', 'mode = "proxy"'), beside=True),
    Scene("two-servers", {"uefi": 1}, beside=True),
    Scene("fragments", {"u-boot": 1, "bios": 1}, shape=in_pieces),
    Scene("vlan", {"uefi": 1}, shape=double_tagged),
    Scene("cooked-v2", {"http": 1}, shape=cooked, link=COOKED_2),
    Scene("lossy", {"bios": 2, "uefi": 2}, faults=Faults(loss=0.04, duplication=0.03, reordering=0.05)),
    Scene("installed-again", {"bios": 1}, again_s=90.0),
    Scene(
        "shared-address", {"bios": 2},
        lambda text: text.replace("100-10.77.0.199", "100-10.77.0.100").replace("router =", 'lease_time = "10m"\nrouter ='),
        power=Power(1, 1500.0),
    ),
)  # fmt: skip


class Recorder(Link):
    """A link, and who listens on it."""

    def __init__(self, fleet: Fleet, scene: Scene) -> None:
        super().__init__(fleet, faults=scene.faults, seed=1, beside=_beside(fleet) if scene.beside else None)
        self.frames: list[Frame] = []
        self._relayed = scene.relayed
        self._asked: dict[tuple[int, int], tuple[float, HttpFetch]] = {}
        self._ports = 40_000

    def _see(self, frame: Frame) -> None:
        self.frames.append(frame)

    @property
    def _now_ns(self) -> int:
        return int(self.now * 1e6) * 1000

    def _client(self, index: int, address: int, port: int) -> End:
        machine = self.fleet.machines[index]
        return End(address, port, hardware_of(ROUTER) if self._relayed else machine.mac)

    def _to_server(self, index: int, send: ClientSend) -> None:
        hardware = BROADCAST if send.to_address == _LIMITED else hardware_of(send.to_address)
        source = self._client(index, send.from_address, send.from_port)
        self._see(udp_frame(self._now_ns, source, End(send.to_address, send.to_port, hardware), send.payload))
        super()._to_server(index, send)

    def _hear(self, index: int, payload: bytes, send: Send | Blocks) -> None:
        source = send.source or self._plugs[index].address
        port = self._theirs.get(send.port, send.port)
        address = peer_address(send.to)
        to = self._client(index, address, peer_port(send.to))
        to = End(address, to.port, BROADCAST) if address == _LIMITED else to
        self._see(udp_frame(self._now_ns, End(source, port, hardware_of(source)), to, payload))
        super()._hear(index, payload, send)

    def _hear_beside(self, index: int, heard: SimDatagram) -> None:
        source = End(heard.from_address, heard.from_port, hardware_of(heard.from_address))
        self._see(udp_frame(self._now_ns, source, End(heard.to_address, heard.to_port, BROADCAST), heard.payload))
        super()._hear_beside(index, heard)

    def _fetch(self, index: int, fetch: HttpFetch) -> None:
        self._asked[index, fetch.id] = self.now, fetch
        super()._fetch(index, fetch)

    def _fetched(self, index: int, id: int, reply: HttpReply) -> None:
        began, fetch = self._asked.pop((index, id))
        began_ns, end_ns = int(began * 1e6) * 1000, self._now_ns
        self._ports += 1
        url = urlsplit(fetch.url)
        client = self._client(index, self.fleet.machines[index].address, self._ports)
        talk = Conversation(client, End(SERVER, url.port or 80, hardware_of(SERVER)))
        lines = [f"{fetch.method} {url.path or '/'}{'?' + url.query if url.query else ''} HTTP/{fetch.version}"]
        lines += [f"{name}: {value}" for name, value in fetch.headers]
        asked = "\r\n".join([*lines, "", ""]).encode() + fetch.body
        status = f"HTTP/1.1 {reply.status} {http.HTTPStatus(reply.status).phrase}"
        head = "\r\n".join(
            [status, *(f"{name}: {_ANYWHERE.get(name.lower(), value)}" for name, value in reply.headers), "", ""]
        ).encode()
        middle_ns = (began_ns + end_ns) // 2
        for frame in (
            *talk.opened(began_ns), *talk.heard(middle_ns, asked), *talk.said(end_ns, head),
            *talk.said(end_ns, reply.body, reply.size), *talk.closed(end_ns),
        ):  # fmt: skip
            self._see(frame)
        super()._fetched(index, id, reply)


def _beside(fleet: Fleet) -> Callable[[int, ClientSend], list[SimDatagram]]:
    """Another DHCP server on the wire, which gives addresses and knows nothing of booting."""

    def answers(index: int, send: ClientSend) -> list[SimDatagram]:
        if send.to_port != 67 or send.to_address != _LIMITED:
            return []
        said = dhcp.parse(send.payload)
        chosen = said.options.address(OptionCode.SERVER_ID)
        if said.op != BOOTREQUEST or chosen not in (None, OTHER):
            return []
        kind = MessageType.OFFER if said.message_type == MessageType.DISCOVER else MessageType.ACK
        options: dict[int, object] = {
            OptionCode.MESSAGE_TYPE: kind, OptionCode.SERVER_ID: OTHER, OptionCode.LEASE_TIME: 3600,
            OptionCode.SUBNET_MASK: 0xFFFFFF00, OptionCode.ROUTERS: (OTHER,),
        }  # fmt: skip
        address = 0x0A4D0032 + index
        answer = dhcp.Message(
            BOOTREPLY,
            xid=said.xid,
            flags=said.flags,
            yiaddr=address,
            chaddr=said.chaddr,
            options=Options.build(options),
        )
        return [SimDatagram(dhcp.serialize(answer), OTHER, 67, _LIMITED, 68)]

    return answers


def recorded(scene: Scene) -> list[Frame]:
    """What a recorder sees of it, in order of time."""
    text = scene.config((ROOT / "captures/rack/rack.toml").read_text())
    settings = from_text(text, ROOT / "captures/rack")
    left = dict.fromkeys(range(sum(scene.mix.values())), scene.again_s)

    def again(index: int, machine: Machine, now: float) -> float | None:
        after_s, left[index] = left[index], 0.0
        if not after_s:
            return None
        changes, _ = rack.installs.rearm(rack.hosts.of_mac(machine.mac).key, now)
        verdicts = store.commit(changes)
        rack.committed(changes, verdicts[0])
        return now + after_s

    relay = Relay(ROUTER, SERVER, circuit_id=b"port 7")
    plan = Plan(scene.mix, power=scene.power, seed=1, known=scene.known)
    fleet = Fleet(plan, relay_of=lambda index: relay if scene.relayed else None, again=again)
    link = Recorder(fleet, scene)
    store = MemoryStore(bytes(32))
    wires = (Interface(1, "eth0", b"", ((SERVER, 24),)),)
    rack = Rack(
        settings,
        store,
        interfaces=wires,
        tell=lambda event: None,
        clock=link.clock,
        tid_ports=(30000, 30001, 30002, 30003),
    )
    link.serve(rack, SERVER, store.commit)
    link.run(20_000)
    return sorted(link.frames, key=lambda frame: frame.at_ns)


def made(scene: Scene) -> bytes:
    """The capture file: pcap, with nanoseconds."""
    found = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, scene.link)
    for frame in recorded(scene):
        for data in scene.shape(frame):
            seconds, rest = divmod(frame.at_ns, 10**9)
            found += struct.pack("<IIII", seconds, rest, len(data), len(data) + frame.length - len(frame.data)) + data
    return found


def main(arguments: list[str]) -> int:
    """Compare or write all of them."""
    if arguments not in ([], ["--update"]):
        print(__doc__)
        return 2
    differs = 0
    for scene in SCENES:
        path = FOLDER / f"{scene.name}.pcap"
        data = made(scene)
        if path.exists() and path.read_bytes() == data:
            continue
        differs += 1
        if arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        print(f"{path.relative_to(ROOT)} {'updated' if arguments else 'is not what is made now'}")
    return 1 if differs and not arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
