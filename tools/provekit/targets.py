"""What garbage is thrown at: a rack without sockets, obeyed as the shells do, in virtual time and always the same way.

Each target takes packets and counts what became of them. Nothing may be raised but what a protocol's reader is said to raise; whatever
leaves must be well formed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

from provekit.captures import CaptureTarget
from provekit.corpus import (
    HTTP_TOKENS,
    NAMES,
    dhcp_message,
    dhcp_messages,
    dhcp_tokens,
    http_heads,
    spoken,
    tftp_requests,
)
from provekit.mutate import Mutator
from pxenet.config import from_text
from pxenet.engine.http import Request, respond
from pxenet.engine.surface import Blocks, Engine, Output
from pxenet.engine.tftp.blocks import datagrams
from pxenet.model import Verdict
from pxenet.net.datagram import Datagram, Interface, pack_peer
from pxenet.rack import Rack
from pxenet.server.datagrams import read_region
from pxenet.server.http_request import BadRequestError, SizeLimits, find_head_untrusted, parse_head_untrusted, with_body
from pxenet.store.memory import MemoryStore
from pxenet.wire import dhcp, tftp
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.reader import WireError

BATCH = 32
_BEGAN_AT = 1_800_000_000.0
_SERVER, _BESIDE = 0x0A400001, 0x0A410001
_DATE = "Mon, 23 Nov 2026 00:00:00 GMT"
_INTERFACES = (
    Interface(2, "eth0", b"\2\0\0\0\0\1", ((_SERVER, 16),)),
    Interface(3, "eth1", b"\2\0\0\0\0\2", ((_BESIDE, 16),)),
)
_CONFIG = """\
[server]
root = "root"
state = "state"
[boot]
unknown = "plain"
[tftp]
allow_write = true
[[dhcp.subnet]]
network = "10.64.0.0/16"
pool = "10.64.1.0-10.64.1.255"
router = "10.64.0.1"
[[dhcp.subnet]]
network = "10.65.0.0/16"
mode = "proxy"
[[profile]]
name = "plain"
source = "tree"
answer = "answer.cfg"
[[host]]
name = "m0"
mac = "02:50:52:00:00:00"
profile = "plain"
"""


class Target:
    """A rack, a clock that advances by itself, and counts."""

    def __init__(self, directory: Path, chance: Random) -> None:
        for name in NAMES[:3]:
            path = directory / "root" / name.decode()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chance.randbytes(5000))
        (directory / "tree").mkdir()
        for file in ("linux", "initrd.gz"):
            (directory / "tree" / file).write_bytes(chance.randbytes(20_000))
        (directory / "answer.cfg").write_text("# {{ host.name }} {{ urls.installed }}\n")
        self.chance = chance
        self.random = chance.random
        self.now = _BEGAN_AT
        self.count: Counter[str] = Counter()
        self._store = MemoryStore(b"s" * 32)
        self.rack = Rack(
            from_text(_CONFIG, directory),
            self._store,
            interfaces=_INTERFACES,
            tell=lambda event: None,
            clock=lambda: self.now,
            tid_ports=(2001, 2002, 2003, 2004),
        )

    def take(self, packets: list[bytes]) -> None:
        """Feed these."""
        raise NotImplementedError

    def make(self) -> bytes:
        """The next packet."""
        raise NotImplementedError

    def done(self) -> Counter[str]:
        """What became of all of them."""
        return self.count

    def obey(self, engine: Engine, output: Output, sent: Callable[[bytes, bytes], None]) -> None:
        """As the shells do; a disk that fails now and then."""
        pending = [output]
        while pending:
            current = pending.pop()
            for send in current.sends:
                if isinstance(send, Blocks):
                    for parts in datagrams(send, read_region):
                        sent(send.to, b"".join(parts))
                else:
                    sent(send.to, b"".join(send.parts))
            for want in current.wants:
                pending.append(engine.provide(want.id, self.rack.find(want), self.now))
            for upload in current.uploads:
                pending.append(engine.uploaded(upload.id, self.rack.accept(upload), self.now))
            for commit in current.commits:
                verdict = Verdict.FAILED if self.random() < 0.05 else Verdict.DURABLE
                if verdict is Verdict.DURABLE:
                    self._store.commit(commit.changes)
                if commit.id:
                    pending.append(engine.committed(commit.id, verdict, self.now))
            changes = self.rack.absorb(current)
            if changes:
                self.rack.committed(changes, self._store.commit(changes)[0])

    def passes(self, engine: Engine, sent: Callable[[bytes, bytes], None]) -> None:
        """Time goes on: mostly a little, sometimes an hour."""
        self.now += 3600.0 if self.random() < 0.001 else self.random() * 0.2
        if engine.deadline() <= self.now:
            self.obey(engine, engine.tick(self.now), sent)


class DhcpTarget(Target):
    """Ports 67 and 4011, both networks, relayed or not."""

    def __init__(self, directory: Path, chance: Random) -> None:
        super().__init__(directory, chance)
        self._messages = dhcp_messages()
        self._mutator = Mutator((*spoken()["dhcp"], *self._messages), dhcp_tokens(), chance)
        self._offers: list[bytes] = []
        peers = (pack_peer(0, 68), pack_peer(0x0A400105, 68), pack_peer(0x0A400009, 67), pack_peer(0x7F4D0001, 4321))
        self._ways = [
            (peer, local, port, interface, broadcast)
            for peer in peers
            for local, interface in ((_SERVER, 2), (_BESIDE, 3))
            for port in (67, 67, 4011)
            for broadcast in (True, False)
        ]

    def make(self) -> bytes:
        choice = self.random()
        if choice < 0.6:
            return self._mutator.next()
        if choice < 0.8 and self._offers:  # the offer's taker, as it should be or nearly so
            offer = dhcp.parse(self._offers.pop())
            server = offer.options.address(OptionCode.SERVER_ID) or 0
            reply = dhcp_message(offer.xid & 0xFFFF, MessageType.REQUEST, requested=offer.yiaddr, server=server)
            return reply if self.random() < 0.5 else self._mutator.damaged(reply)
        return self._messages[int(self.random() * len(self._messages))]

    def take(self, packets: list[bytes]) -> None:
        ways = self._ways
        batch = [
            Datagram(packet, peer, local, port, interface, broadcast)
            for packet in packets
            for peer, local, port, interface, broadcast in (ways[int(self.random() * len(ways))],)
        ]
        self.obey(self.rack.dhcp, self.rack.dhcp.receive(batch, self.now), self._sent)
        self._look(packets[0])
        self.passes(self.rack.dhcp, self._sent)

    def _sent(self, to: bytes, payload: bytes) -> None:
        if dhcp.parse(payload).defects:
            raise AssertionError(f"a reply with defects: {payload.hex()}")
        self.count["answers"] += 1
        if len(self._offers) < 64:
            self._offers.append(payload)

    @staticmethod
    def _look(packet: bytes) -> None:
        """Every option's own reader; none raises but WireError."""
        try:
            message = dhcp.parse(packet)
        except WireError:
            return
        for code, _ in message.options:
            try:
                message.options.get(code)
            except WireError:
                pass
        for inside in (message.options.relay, message.options.pxe, message.options.ipxe):
            try:
                inside()
            except WireError:
                pass

    def done(self) -> Counter[str]:
        told = self.rack.dhcp.statistics()
        self.count["dropped"] = sum(told.dropped.values())
        self.count["ACKs"] = told.sent.get("ACK", 0)
        return self.count


class TftpTarget(Target):
    """The request port and those of transfers; a few clients whose transfers are under way."""

    _PEERS = tuple(pack_peer(0x0A400105 + n // 4, 2070 + n) for n in range(16))
    _PORTS = (69, 2001, 2002, 2003, 2004)

    def __init__(self, directory: Path, chance: Random) -> None:
        super().__init__(directory, chance)
        requests = tftp_requests()
        self._requests = requests
        tokens = (*NAMES, b"\0", b"octet", b"blksize", b"\0\4\0\1")
        self._mutator = Mutator((*spoken()["tftp"], *requests), tokens, chance)
        self._last: dict[bytes, bytes] = {}
        self._port: dict[bytes, int] = {}

    def make(self) -> bytes:
        choice = self.random()
        if choice < 0.45:
            return self._mutator.next()
        if choice < 0.6:
            return self._requests[int(self.random() * len(self._requests))]
        return b""  # an answer to what the client was sent last, made when its turn comes

    def take(self, packets: list[bytes]) -> None:
        batch = []
        for packet in packets:
            peer = self._PEERS[int(self.random() * len(self._PEERS))]
            port = self._PORTS[int(self.random() * 5)]
            if not packet:
                packet = self._reply(peer)
                port = self._port.get(peer, port)
            elif packet[:2] in (b"\0\1", b"\0\2") and self.random() < 0.9:
                port = 69
            batch.append(Datagram(packet, peer, _SERVER, port, 2))
        self.obey(self.rack.tftp, self.rack.tftp.receive(batch, self.now), self._sent)
        self.passes(self.rack.tftp, self._sent)

    def obey(self, engine: Engine, output: Output, sent: Callable[[bytes, bytes], None]) -> None:
        for send in output.sends:
            self._port[send.to] = send.port
        super().obey(engine, output, sent)

    def _reply(self, peer: bytes) -> bytes:
        """What the client should say now, and now and then nearly that."""
        last = self._last.get(peer, b"\0\3\0\0")
        if last[:2] == b"\0\3":
            reply = b"\0\4" + last[2:4]
        elif last[:2] == b"\0\4":
            block = (int.from_bytes(last[2:4], "big") + 1) & 0xFFFF
            reply = b"\0\3" + block.to_bytes(2, "big") + bytes(512 if self.random() < 0.7 else 9)
        else:
            reply = b"\0\4\0\0"
        return self._mutator.damaged(reply) if self.random() < 0.3 else reply

    def _sent(self, to: bytes, payload: bytes) -> None:
        if payload[1] != 3:
            tftp.parse(payload)
        self._last[to] = payload
        self.count["answers"] += 1

    def done(self) -> Counter[str]:
        told = self.rack.tftp.statistics()
        self.count["dropped"] = told.malformed + told.strays + told.unexpected + told.duplicates + told.repeats
        self.count["refused"] = told.refused
        self.count["transfers completed"] = told.completed
        return self.count


class HttpTarget(Target):
    """Heads and bodies as a connection would read them, to the last byte of the reply."""

    def __init__(self, directory: Path, chance: Random) -> None:
        super().__init__(directory, chance)
        token = self.rack.installs.token("02:50:52:00:00:00").encode()
        tokens = tuple(piece.replace(b"0" * 32, token) for piece in HTTP_TOKENS)
        heads = tuple(head.replace(b"0" * 32, token) for head in http_heads())
        self._mutator = Mutator((*spoken()["http"], *heads), tokens, chance)
        self._limits = SizeLimits()

    def make(self) -> bytes:
        made = self._mutator.next()
        return made if self.random() < 0.5 or b"\r\n\r\n" in made else made + b"\r\n\r\n"

    def take(self, packets: list[bytes]) -> None:
        for packet in packets:
            try:
                request = self._read(packet)
            except BadRequestError:
                self.count["refused"] += 1
                continue
            if request is None:
                self.count["incomplete"] += 1
                continue
            self._answer(request)
        self.now += self.random()

    def _read(self, data: bytes) -> Request | None:
        buffer = bytearray(data)
        if self.random() < 0.1:  # it comes in two pieces
            rest = buffer[len(buffer) // 2 :]
            del buffer[len(buffer) // 2 :]
            if not find_head_untrusted(buffer, self._limits):
                buffer += rest
        end = find_head_untrusted(buffer, self._limits)
        if not end:
            return None
        head = parse_head_untrusted(bytes(buffer[:end]), self._limits, _SERVER)
        body = bytes(buffer[end:])
        if head.chunks is not None:
            whole = head.chunks.feed(body)
            return None if whole is None else with_body(head.request, whole)
        return with_body(head.request, body[: head.length]) if len(body) >= head.length else None

    def _answer(self, request: Request) -> None:
        address = 0x0A400105
        report = self.rack.report(request, address)
        if report is not None and report.changes:
            self.rack.committed(report.changes, self._store.commit(report.changes)[0])
        response = respond(request, report.reply if report else self.rack.fetch(request, address), date=_DATE)
        if not response.head.startswith(b"HTTP/1.1 ") or not response.head.endswith(b"\r\n\r\n"):
            raise AssertionError(f"a reply's head is damaged: {response.head!r}")
        if response.head.count(b"\n") != response.head.count(b"\r\n"):
            raise AssertionError(f"a request could write into the reply's head: {response.head!r}")
        self.count["answers"] += 1


class Thrown(Protocol):
    """What packets are thrown at."""

    def make(self) -> bytes:
        """The next packet."""
        ...

    def take(self, packets: list[bytes]) -> None:
        """Feed these. Whatever is raised is a fault."""
        ...

    def done(self) -> Counter[str]:
        """What became of all of them."""
        ...


TARGETS: dict[str, Callable[[Path, Random], Thrown]] = {
    "dhcp": DhcpTarget,
    "tftp": TftpTarget,
    "http": HttpTarget,
    "capture": CaptureTarget,
}
