"""Captures made for proofs: those of the repository many times over, and whole boots of simulated machines, block by block."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from pxenet.capture.kept import CaptureFiles
from pxenet.capture.made import BROADCAST, End, Frame, hardware_of, udp_frame
from pxenet.capture.reading import open_capture
from pxenet.net.datagram import BROADCAST as EVERYBODY
from pxenet.net.datagram import peer_address, peer_port
from pxenet.replay.recorded import Recorded, read
from pxenet.wire.iana import BOOTREPLY
from pxenet.wire.tftp import OpCode

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
APART_S = 1
"""Machines of a multiplied capture are switched on so long after each other."""

_SERVER_HARDWARE = b"\x02\0\0\0\0\1"
_SAID = (OpCode.DATA, OpCode.OACK)


def multiplied(path: Path, count: int) -> None:
    """One capture of ``count`` machines: those of ``captures/`` in turn, each with addresses of its own, many under way at once."""
    known = sorted(CAPTURES.glob("*.pcap"))
    boots = {capture: read(capture)[0] for capture in known}
    with CaptureFiles(path) as out:
        names = [known[number % len(known)] for number in range(count)]
        copies = [_copy(name, boots[name], number) for number, name in enumerate(names)]
        for frame in heapq.merge(*copies, key=lambda frame: frame.at_ns):
            out.write(frame)


def _copy(capture: Path, boot: Recorded, number: int) -> Iterator[Frame]:
    mac = b"\x52\x54\x01" + number.to_bytes(3, "big")
    address = bytes((10, 77, 1 + number // 200, 1 + number % 200))
    given = next(said.message.yiaddr for said in boot.replies if said.message.yiaddr)
    pairs = [
        (boot.mac, mac),
        (_eui64(boot.mac), _eui64(mac)),
        (given.to_bytes(4, "big"), address),
        (boot.mac.hex("-").encode(), mac.hex("-").encode()),
    ]
    began_ns = None
    with open_capture(capture) as reader:
        for at_ns, _, _, buffer, start, end, wire_bytes in reader:
            began_ns = at_ns if began_ns is None else began_ns
            data = buffer[start:end]
            for old, new in pairs:
                data = data.replace(old, new)
            yield Frame(1_700_000_000 * 10**9 + at_ns - began_ns + number * APART_S * 10**9, data, wire_bytes)


def _eui64(mac: bytes) -> bytes:
    """The interface identifier of its IPv6 addresses (RFC 4291 appendix A)."""
    return bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


class Wiretap:
    """Records the datagrams of a fleet in virtual time; ``Link``'s tap."""

    def __init__(self, out: CaptureFiles, server: int) -> None:
        self._out, self._server = out, server
        self._hardware: dict[int, bytes] = {}

    def __call__(self, now: float, payload: bytes, peer: bytes, port: int) -> None:
        address, client_port = peer_address(peer), peer_port(peer)
        server = End(self._server, port, _SERVER_HARDWARE)
        if port in (67, 4011):
            mac, said = payload[28:34], payload[0] == BOOTREPLY
            self._hardware[int.from_bytes(payload[16:20], "big") or address] = mac
            client = End(address, client_port, BROADCAST if address == EVERYBODY else mac)
            if not said and not address:
                server = End(EVERYBODY, port, BROADCAST)
        else:
            said = payload[1] in _SAID
            client = End(address, client_port, self._hardware.get(address) or hardware_of(address))
        source, destination = (server, client) if said else (client, server)
        self._out.write(udp_frame(int(now * 1e9), source, destination, payload))
