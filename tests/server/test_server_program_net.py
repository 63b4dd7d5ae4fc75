"""``python -m pxenet.server`` as root on wires of its own: dropped privileges, several networks, other DHCP servers, kill -9."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import needs
import netlab
import pytest
from netlab import CLIENT_MAC, SERVER, Wire, inside
from programlab import PATIENCE_S, Reader, children, program, wait_until

from pxenet.store.sqlite import open_sqlite
from pxenet.wire.dhcp import FLAG_BROADCAST, Message, parse, serialize
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.text import address_text, parse_address, parse_mac

pytestmark = [needs.root(), needs.namespace(), needs.tool("ip")]

SNIFFER = Path(__file__).parents[1] / "clients/sniff_offer.py"
SEED = int(os.environ.get("PXENET_SEED", "20261123"))
KILLS = int(os.environ.get("PXENET_KILLS", "4"))

SUBNET = """
[[dhcp.subnet]]
network = "10.78.0.0/24"
pool = "10.78.0.100-10.78.0.199"
"""
PXE = {OptionCode.VENDOR_CLASS: "PXEClient:Arch:00007:UNDI:003016", OptionCode.ARCHITECTURE: (7,)}


class Station:
    """A machine on a wire that speaks DHCP by hand: asks by broadcast, wants broadcasts back."""

    def __init__(self, namespace: str, interface: str, port: int = 68) -> None:
        def opened() -> socket.socket:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            sock.bind(("0.0.0.0", port))
            return sock

        self.socket = inside(namespace, opened)
        self.from_port = 0
        self._xid = 1000

    def close(self) -> None:
        self.socket.close()

    def say(
        self,
        kind: MessageType,
        options: dict[int, object] | None = None,
        mac: str = CLIENT_MAC,
        *,
        ciaddr: int = 0,
        to: tuple[str, int] = ("255.255.255.255", 67),
    ) -> int:
        """Send a message; its xid."""
        self._xid += 1
        built = Options.build({OptionCode.MESSAGE_TYPE: kind} | (options or {}))
        hardware = parse_mac(mac).ljust(16, b"\0")
        message = Message(
            BOOTREQUEST, 1, 6, xid=self._xid, flags=FLAG_BROADCAST, ciaddr=ciaddr, chaddr=hardware, options=built
        )
        self.socket.sendto(serialize(message), to)
        return self._xid

    def hear(self) -> Message:
        """The next message that comes."""
        assert select.select([self.socket], [], [], PATIENCE_S)[0], "no answer"
        data, (_, self.from_port) = self.socket.recvfrom(2000)
        return parse(data)

    def answer(self, xid: int, server: int = 0) -> Message:
        """The next answer to that question (by that server)."""
        while True:
            message = self.hear()
            if message.xid == xid and server in (0, message.options.address(OptionCode.SERVER_ID)):
                return message

    def lease(self, mac: str = CLIENT_MAC) -> Message:
        """DISCOVER to ACK."""
        offer = self.answer(self.say(MessageType.DISCOVER, mac=mac))
        server = offer.options.address(OptionCode.SERVER_ID)
        options = {OptionCode.REQUESTED_ADDRESS: offer.yiaddr, OptionCode.SERVER_ID: server}
        return self.answer(self.say(MessageType.REQUEST, options, mac))


@pytest.fixture
def wire() -> Iterator[Wire]:
    with netlab.wire() as made:
        yield made


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user can reach, with files to serve."""
    directory = Path(tempfile.mkdtemp(prefix="pxenet-test-"))
    directory.chmod(0o755)
    (directory / "files").mkdir()
    (directory / "files/blob").write_bytes(b"blob" * 1000)
    yield directory
    shutil.rmtree(directory)


def configure(place: Path, server: str, more: str = "") -> None:
    (place / "rack.toml").write_text(f'[server]\nstate = "state"\nroot = "files"\n{server}\n{more}')


def on(wire: Wire) -> tuple[str, ...]:
    """The command that runs another on the server host."""
    return ("ip", "netns", "exec", wire.server)


def second_network(wire: Wire) -> None:
    """Another veth pair: ``w0`` on the server (10.79.0.1/24), ``w1`` on the client."""
    netlab.run("ip", "-n", wire.server, "link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", wire.client)
    netlab.run("ip", "-n", wire.server, "address", "add", "10.79.0.1/24", "dev", "w0")
    for namespace, name in ((wire.server, "w0"), (wire.client, "w1")):
        netlab.run("ip", "-n", namespace, "link", "set", name, "up")


def status(process: int) -> dict[str, str]:
    """/proc/PID/status."""
    rows = Path(f"/proc/{process}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (row.partition(":") for row in rows)}


def family(process: int) -> list[int]:
    """A server's process, that which makes its workers, and those."""
    return [process, *(spawner := children(process)), *(worker for each in spawner for worker in children(each))]


def fetched(wire: Wire, path: str = "blob") -> bytes:
    """A file by TFTP and HTTP alike."""
    with closing(inside(wire.client, lambda: Reader(SERVER, 69, path))) as reader:
        by_tftp = reader.rest()
    with inside(wire.client, lambda: socket.create_connection((SERVER, 80), PATIENCE_S)) as sock:
        sock.sendall(f"GET /{path} HTTP/1.0\r\n\r\n".encode())
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    assert data.partition(b"\r\n\r\n")[2] == by_tftp
    return by_tftp


@pytest.mark.parametrize("workers", [1, 2], ids=["one process", "workers"])
def test_privileges_are_dropped_for_good(wire: Wire, place: Path, workers: int) -> None:
    """Root at the start, nobody ever after: no capability, no group of root's; all three protocols, raw frames and leases go on.

    That holds for workers too, those included that take the place of others.
    """
    configure(place, f'interface = "v0"\nuser = "nobody"\nworkers = {workers}', SUBNET)
    # What is loaded after the drop might be readable by root alone.
    script = (
        "import atexit, sys\nfrom pxenet.server import app\ndropped = app.drop\ndef drop(user):\n"
        "    dropped(user)\n    before = set(sys.modules)\n"
        "    atexit.register(lambda: print('loaded later:', sorted(set(sys.modules) - before)))\napp.drop = drop\n"
        "works = app.work\ndef work(*arguments):\n    before = set(sys.modules)\n    works(*arguments)\n"
        "    print('worker loaded later:', sorted(set(sys.modules) - before))\napp.work = work"
    )
    with program(place, "--config", "rack.toml", prefix=on(wire), script=script) as server, ExitStack() as opened:
        everybody = family(server.process.pid)
        assert (1 if workers == 1 else 2 + workers) == len(everybody)
        if workers > 1:
            os.kill(everybody[-1], signal.SIGKILL)
            wait_until(lambda: len(family(server.process.pid)) == 2 + workers, "nobody took its place")
        for process in family(server.process.pid):
            found = status(process)
            assert ["65534"] * 4 == found["Uid"].split()
            assert ["65534"] * 4 == found["Gid"].split()
            assert set(found["Groups"].split()) <= {"65534"}
            assert {"0" * 16} == {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
        frames = wire.on_client("python3", str(SNIFFER), "v1", CLIENT_MAC).stdout
        assert f"{CLIENT_MAC} 10.78.0.1" in frames
        ack = opened.enter_context(closing(Station(wire.client, "v1"))).lease()
        assert MessageType.ACK == ack.message_type
        wire.on_client("ip", "address", "add", f"{address_text(ack.yiaddr)}/24", "dev", "v1")
        for _ in range(workers * 4):
            assert b"blob" * 1000 == fetched(wire)
        owners = {(path.name, path.stat().st_uid) for path in (place / "state", *(place / "state").iterdir())}
        assert {65534} == {uid for _, uid in owners}
        assert {"state", "pxenet.db", "pxenet.marker", "pxenet.lock"} <= {name for name, _ in owners}
        assert 0 == server.stopped()
    assert "\nloaded later: []" in server.said()
    assert (workers if workers > 1 else 0) == server.said().count("worker loaded later: []")
    assert "Traceback" not in server.said()


def test_files_that_only_root_can_read(wire: Wire, place: Path) -> None:
    """Found out at the start, not by the first machine; nothing is left open."""
    (place / "files").chmod(0o700)
    configure(place, 'interface = "v0"\nuser = "nobody"', SUBNET)
    with program(place, "--config", "rack.toml", prefix=on(wire), ready=False) as server:
        assert 2 == server.ended()
    assert server.said() == (
        f"rack.toml:3: server.root: {place}/files may not be read by this user; let nobody read it\n"
    )


@pytest.mark.parametrize("named", [True, False], ids=["named", "all"])
def test_two_networks(wire: Wire, place: Path, named: bool) -> None:
    """Each client gets an address of its own network, from the server's address on its side."""
    second_network(wire)
    configure(place, 'interface = ["v0", "w0"]' if named else "", SUBNET + SUBNET.replace("10.78", "10.79"))
    with program(place, "--config", "rack.toml", prefix=on(wire)) as server, ExitStack() as opened:
        for interface, network in (("w1", "10.79.0."), ("v1", "10.78.0.")):
            ack = opened.enter_context(closing(Station(wire.client, interface))).lease()
            assert address_text(ack.yiaddr).startswith(network)
            assert f"{network}1" == address_text(ack.options.address(OptionCode.SERVER_ID) or 0)
        assert 0 == server.stopped()


def dnsmasq(wire: Wire, namespace: str, interface: str, network: str, log: Path) -> None:
    """The other DHCP server; waits until it serves."""
    ranges = f"--dhcp-range={network}.50,{network}.60"
    common = (
        "--no-daemon",
        "--no-ping",
        "--port=0",
        "--conf-file=/dev/null",
        "--dhcp-leasefile=/dev/null",
        "--log-dhcp",
    )
    command = ("dnsmasq", *common, "--user=root", f"--interface={interface}", "--bind-interfaces", ranges)
    process = wire.start(namespace, *command, log=log)
    deadline = time.monotonic() + PATIENCE_S
    while "sockets bound" not in log.read_text() and "DHCP, IP range" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)


@needs.tool("dnsmasq")
def test_another_server_on_an_interface_not_named(wire: Wire, place: Path) -> None:
    """SO_BINDTODEVICE: dnsmasq on the other side of the same machine keeps its port 67, and each serves its own wire."""
    second_network(wire)
    dnsmasq(wire, wire.server, "w0", "10.79.0", place / "dnsmasq.log")
    configure(place, 'interface = "v0"', SUBNET)
    with program(place, "--config", "rack.toml", prefix=on(wire)) as server, ExitStack() as opened:
        ours = opened.enter_context(closing(Station(wire.client, "v1")))
        theirs = opened.enter_context(closing(Station(wire.client, "w1")))
        assert address_text(theirs.lease().yiaddr).startswith("10.79.0.5")
        assert address_text(ours.lease().yiaddr).startswith("10.78.0.1")
        assert "w0" not in server.said()
        assert 0 == server.stopped()
    assert "DHCPACK(w0)" in (place / "dnsmasq.log").read_text()


@pytest.fixture
def beside(wire: Wire, place: Path) -> Iterator[Wire]:
    """The client hangs on a bridge with two wires: one to us, one to a host where dnsmasq gives addresses."""
    other = f"pxenet-o{os.getpid()}"
    netlab.run("ip", "netns", "add", other)
    try:
        netlab.run("ip", "-n", wire.client, "link", "add", "name", "bridge", "type", "bridge", "forward_delay", "0")
        netlab.run("ip", "-n", wire.client, "link", "add", "w1", "type", "veth", "peer", "name", "w0", "netns", other)
        netlab.run("ip", "-n", other, "address", "add", "10.78.0.2/24", "dev", "w0")
        netlab.run("ip", "-n", other, "link", "set", "w0", "up")
        for name in ("v1", "w1"):
            netlab.run("ip", "-n", wire.client, "link", "set", name, "master", "bridge")
        for name in ("w1", "bridge"):
            netlab.run("ip", "-n", wire.client, "link", "set", name, "up")
        dnsmasq(wire, other, "w0", "10.78.0", place / "dnsmasq.log")
        yield wire
    finally:
        for process in wire.processes:
            wire.stop(process)
        netlab.run("ip", "netns", "delete", other, check=False)


PROXY = """
[dhcp]
mode = "proxy"
[boot]
unknown = "menu"
"""


@needs.tool("dnsmasq", "udhcpc")
def test_beside_another_server(beside: Wire, place: Path) -> None:
    """ProxyDHCP: a plain client never hears of us, a PXE client gets our offer without an address, and 4011 answers from 4011."""
    configure(place, 'interface = "v0"', PROXY)
    us, them = parse_address(SERVER), parse_address("10.78.0.2")
    with program(place, "--config", "rack.toml", prefix=on(beside)) as server, ExitStack() as opened:
        hook = place / "hook"
        hook.write_text(f'#!/bin/sh\n[ "$1" = bound ] && echo "$serverid $siaddr" > {place}/bound\n')
        hook.chmod(0o755)
        beside.on_client("udhcpc", "-i", "bridge", "-n", "-q", "-f", "-t", "5", "-s", str(hook))
        assert "10.78.0.2" == (place / "bound").read_text().split()[0]
        station = opened.enter_context(closing(Station(beside.client, "bridge")))
        plain = station.say(MessageType.DISCOVER)
        asked = station.say(MessageType.DISCOVER, PXE)
        heard = [station.hear()]
        while not (heard[-1].xid == asked and heard[-1].options.address(OptionCode.SERVER_ID) == us):
            heard.append(station.hear())
        # We read in order: had we answered the plain DISCOVER, that would have come before.
        assert [] == [one for one in heard if one.xid == plain and one.options.address(OptionCode.SERVER_ID) != them]
        offer = heard[-1]
        assert (MessageType.OFFER, 0, "PXEClient") == (
            offer.message_type,
            offer.yiaddr,
            offer.options.text(OptionCode.VENDOR_CLASS),
        )
        beside.on_client("ip", "address", "add", "10.78.0.55/24", "dev", "bridge")
        asked = station.say(MessageType.REQUEST, PXE, ciaddr=parse_address("10.78.0.55"), to=(SERVER, 4011))
        ack = station.answer(asked)
        assert (MessageType.ACK, 0, 4011) == (ack.message_type, ack.yiaddr, station.from_port)
        assert ack.file != b""
        assert 0 == server.stopped()
    assert "addresses" in server.said()


def test_without_configuration(wire: Wire, place: Path) -> None:
    """Plain words, no addresses to anybody, no answer to who does not want to boot; the state directory is made."""
    script = (
        "import pathlib, pxenet.config\n"
        f"pxenet.config.default_state = lambda: pathlib.Path({str(place)!r}, 'var/lib/pxenet')"
    )
    with program(place, prefix=on(wire), script=script) as server, ExitStack() as opened:
        station = opened.enter_context(closing(Station(wire.client, "v1")))
        station.say(MessageType.DISCOVER)
        station.say(MessageType.REQUEST, {OptionCode.REQUESTED_ADDRESS: parse_address("10.78.0.77")})
        station.say(MessageType.INFORM, ciaddr=parse_address("10.78.0.77"))
        asked = station.say(MessageType.DISCOVER, PXE)
        # Nothing is configured to be booted, so this client too is left alone, and told about.
        deadline = time.monotonic() + PATIENCE_S
        while "asks to boot" not in server.said() and not select.select([station.socket], [], [], 0.02)[0]:
            assert time.monotonic() < deadline, server.said()
        station.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            station.socket.recv(1)
        assert asked
        assert 0 == server.stopped()
    said = server.said()
    assert "v0 10.78.0.1/24: gives boot files beside another DHCP server (ProxyDHCP), no addresses" in said
    assert "0 machines in the configuration; others get no boot file" in said
    store = open_sqlite(place / "var/lib/pxenet")
    assert [] == store.leases()
    store.close()


def test_no_interface_has_an_address(wire: Wire, place: Path) -> None:
    """It starts all the same, and says what is missing."""
    netlab.run("ip", "-n", wire.server, "address", "flush", "dev", "v0")
    configure(place, "")
    with program(place, "--config", "rack.toml", prefix=on(wire)) as server:
        assert 0 == server.stopped()
    assert "no interface has an IPv4 address" in server.said()


def test_a_wire_that_is_pulled(wire: Wire, place: Path) -> None:
    """The interface goes down and comes again while the server talks: it serves on."""
    configure(place, 'interface = "v0"', SUBNET)
    with program(place, "--config", "rack.toml", prefix=on(wire)) as server, ExitStack() as opened:
        station = opened.enter_context(closing(Station(wire.client, "v1")))
        before = station.lease().yiaddr
        for _ in range(3):
            station.say(MessageType.DISCOVER)
            netlab.run("ip", "-n", wire.server, "link", "set", "v0", "down")
            netlab.run("ip", "-n", wire.server, "link", "set", "v0", "up")
        while select.select([station.socket], [], [], 0)[0]:
            station.socket.recv(2000)
        assert before == station.lease().yiaddr
        assert 0 == server.stopped()


def test_a_lease_under_way_is_settled(wire: Wire, place: Path) -> None:
    """The server is stopped while a lease is being written: its ACK still leaves, and it is on disk."""
    configure(place, 'interface = "v0"', SUBNET)
    script = (
        "import time\nfrom pxenet.model import Lease\nfrom pxenet.store.sqlite import SqliteStore as S\n"
        "commit = S.commit\ndef slow(self, batch):\n"
        "    if any(isinstance(c, Lease) for c in batch):\n"
        "        print('writing', flush=True)\n        time.sleep(0.5)\n"
        "    return commit(self, batch)\nS.commit = slow"
    )
    with program(place, "--config", "rack.toml", prefix=on(wire), script=script) as server, ExitStack() as opened:
        station = opened.enter_context(closing(Station(wire.client, "v1")))
        offer = station.answer(station.say(MessageType.DISCOVER))
        options = {OptionCode.REQUESTED_ADDRESS: offer.yiaddr, OptionCode.SERVER_ID: parse_address(SERVER)}
        asked = station.say(MessageType.REQUEST, options)
        deadline = time.monotonic() + PATIENCE_S
        while "writing" not in server.said():
            assert time.monotonic() < deadline
        server.signal(signal.SIGTERM)
        assert offer.yiaddr == station.answer(asked).yiaddr
        assert 0 == server.ended()
    store = open_sqlite(place / "state")
    assert [offer.yiaddr] == [lease.address for lease in store.leases()]
    store.close()


RELAY = "10.78.0.50"


class Storm:
    """Many machines behind one relay, 40 exchanges at a time; remembers every ACK of all its lives."""

    def __init__(self, wire: Wire) -> None:
        wire.on_client("ip", "address", "add", f"{RELAY}/24", "dev", "v1")
        self.station = Station(wire.client, "v1", port=67)
        self.acks: dict[bytes, int] = {}
        self._machine = 0

    def _send(self, kind: MessageType, number: int, options: dict[int, object] | None = None) -> None:
        built = Options.build({OptionCode.MESSAGE_TYPE: kind} | (options or {}))
        chaddr = (b"\2\0" + number.to_bytes(4, "big")).ljust(16, b"\0")
        message = Message(
            BOOTREQUEST, 1, 6, hops=1, xid=number, giaddr=parse_address(RELAY), chaddr=chaddr, options=built
        )
        self.station.socket.sendto(serialize(message), (SERVER, 67))

    def _next(self) -> None:
        self._machine += 1
        self._send(MessageType.DISCOVER, self._machine)

    def ask(self, number: int) -> int:
        """The address that a machine of before is offered now."""
        self._send(MessageType.DISCOVER, number)
        return self.station.answer(number).yiaddr

    def blow(self, acks: int) -> None:
        """Until so many more machines have their addresses."""
        for _ in range(40):
            self._next()
        for _ in range(acks):
            while not self._take(self.station.hear()):
                pass
            self._next()

    def rest(self) -> None:
        """What had left the server before it died."""
        while select.select([self.station.socket], [], [], 0)[0]:
            self._take(self.station.hear())

    def _take(self, message: Message) -> bool:
        if message.message_type == MessageType.OFFER:
            server = message.options.address(OptionCode.SERVER_ID)
            options = {OptionCode.REQUESTED_ADDRESS: message.yiaddr, OptionCode.SERVER_ID: server}
            self._send(MessageType.REQUEST, message.xid, options)
        elif message.message_type == MessageType.ACK:
            self.acks[message.hardware] = message.yiaddr
            return True
        return False


def test_killed_in_a_storm(wire: Wire, place: Path) -> None:
    """kill -9 again and again while machines get their addresses: each ACK that left is on disk, no address has two clients."""
    configure(
        place, 'interface = "v0"', '[[dhcp.subnet]]\nnetwork = "10.78.0.0/16"\npool = "10.78.16.0-10.78.47.255"\n'
    )
    chance = random.Random(SEED)
    storm = Storm(wire)
    with closing(storm.station):
        for kill in range(KILLS):
            note = f"seed {SEED}, kill {kill}"
            with program(place, "--config", "rack.toml", prefix=on(wire)) as server:
                for number in chance.sample(range(1, len(storm.acks)), 3) if kill else ():
                    hardware = b"\2\0" + number.to_bytes(4, "big")
                    if hardware in storm.acks:
                        assert storm.acks[hardware] == storm.ask(number), note
                storm.blow(chance.randrange(100, 300))
                assert -signal.SIGKILL == server.stopped(signal.SIGKILL)
            storm.rest()
            store = open_sqlite(place / "state")
            held = {lease.address: lease.mac for lease in store.leases()}
            store.close()
            lost = [address_text(address) for mac, address in storm.acks.items() if held.get(address) != mac]
            assert [] == lost, note
            assert len(storm.acks) == len(set(storm.acks.values())), note


@needs.tool("perfdhcp")
def test_killed_under_perfdhcp(wire: Wire, place: Path) -> None:
    """Another program's storm: after the kill the store opens and gives no address to two machines; the next start goes on."""
    configure(
        place, 'interface = "v0"', '[[dhcp.subnet]]\nnetwork = "10.78.0.0/16"\npool = "10.78.16.0-10.78.47.255"\n'
    )
    wire.on_client("ip", "address", "add", f"{RELAY}/24", "dev", "v1")
    command = ("ip", "netns", "exec", wire.client, "perfdhcp", "-4", "-l", "v1", "-r", "200", "-R", "4000", SERVER)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as storm:
        try:
            for _ in range(2):
                with program(place, "--config", "rack.toml", prefix=on(wire)) as server:
                    deadline = time.monotonic() + PATIENCE_S
                    while server.said().count(" has 10.78.") < 50:
                        assert time.monotonic() < deadline, server.said()[-2000:]
                        select.select([], [], [], 0.02)
                    assert -signal.SIGKILL == server.stopped(signal.SIGKILL)
                told = {
                    line.split(" has ")[1].split()[0]: line.split()[1]
                    for line in server.said().splitlines()
                    if " has 10.78." in line
                }
                store = open_sqlite(place / "state")
                held = {address_text(lease.address): lease.mac.hex(":") for lease in store.leases()}
                store.close()
                assert told.items() <= held.items()
        finally:
            storm.kill()
