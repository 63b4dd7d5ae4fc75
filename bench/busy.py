"""A capture of a busy rack, made up: machines that boot side by side, each frame as it is on the wire, checksums and all.

Every machine gets an address, loads its loader and its kernel by TFTP (lock-step and in windows), and its initial RAM disk and an
answer file by HTTP. The same size and seed make the same file. Must not know who reads it.
"""

from __future__ import annotations

import heapq
import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

from pxenet.wire.dhcp import FLAG_BROADCAST, Message, serialize
from pxenet.wire.iana import BOOTREPLY, BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.options import Options

SLOTS = 64
"""Machines that boot at once."""

_BLKSIZE, _WINDOW, _SEGMENT = 1408, 4, 1448
_LOADER_BLOCKS, _KERNEL_BLOCKS = 600, 4_000
_INITRD_SEGMENTS, _ANSWER_BYTES = 4_000, 3_000
_SERVER, _SERVER_MAC = 0x0A400001, b"\x02\0\x0a\x40\0\1"
_FIRST_ADDRESS = 0x0A410000
_BEGAN_NS = 1_750_000_000 * 10**9
_UDP, _TCP = 17, 6
_SYN, _FIN, _PSH, _ACK = 2, 1, 8, 16

_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBHII")
_UDP_HEAD = struct.Struct("!HHHH")
_TCP_HEAD = struct.Struct("!HHIIBBHHH")
_PSEUDO = struct.Struct("!IIBBH")
_FILE = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
_RECORD = struct.Struct("<IIII")

Made = tuple[int, bytes]
"""at_ns, frame."""


def write(path: Path, size: int, seed: int = 1) -> tuple[int, int]:
    """A pcap file that grows until it has ``size`` bytes; how many packets and machines are in it."""
    packets = written = 0
    numbers = itertools.count()
    senders: set[bytes] = set()
    with path.open("wb") as file:
        written += file.write(_FILE)
        for at_ns, frame in heapq.merge(*(_slot(seed, slot, numbers) for slot in range(SLOTS))):
            seconds, rest = divmod(at_ns, 10**9)
            written += file.write(_RECORD.pack(seconds, rest, len(frame), len(frame)) + frame)
            packets += 1
            senders.add(frame[6:12])
            if written >= size:
                return packets, len(senders - {_SERVER_MAC})
    raise AssertionError("slots never end")


def _slot(seed: int, slot: int, numbers: Iterator[int]) -> Iterator[Made]:
    """One machine after the other, for ever."""
    chance = Random(f"{seed} {slot}")
    at_ns = _BEGAN_NS + slot * 10**7
    while True:
        machine = _Machine(next(numbers), chance, at_ns)
        yield from machine.boot()
        at_ns = machine.at_ns + 10**9


class _Machine:
    """One of them, from DISCOVER to the answer file."""

    def __init__(self, number: int, chance: Random, at_ns: int) -> None:
        self.at_ns = at_ns
        self._chance = chance
        self._mac = b"\x02\x41" + number.to_bytes(4, "big")
        self._address = _FIRST_ADDRESS + number
        self._xid = chance.getrandbits(32)
        self._bytes = chance.randbytes(_SEGMENT)

    def boot(self) -> Iterator[Made]:
        """All of it."""
        for kind, answer in ((MessageType.DISCOVER, MessageType.OFFER), (MessageType.REQUEST, MessageType.ACK)):
            yield self._by_client(68, 67, self._dhcp(kind), broadcast=True)
            yield self._by_server(67, 68, self._dhcp(answer))
        yield from self._tftp("grubx64.efi", 2070, 40001, _LOADER_BLOCKS, 1)
        yield from self._tftp("vmlinuz", 2071, 40002, _KERNEL_BLOCKS, _WINDOW)
        yield from self._http()

    def _dhcp(self, kind: MessageType) -> bytes:
        answer = kind in (MessageType.OFFER, MessageType.ACK)
        options: dict[int, object] = {OptionCode.MESSAGE_TYPE: kind}
        if answer:
            options |= {OptionCode.SERVER_ID: _SERVER, OptionCode.LEASE_TIME: 86_400}
        else:
            options |= {OptionCode.PARAMETER_LIST: (1, 3, 6, 66, 67, 97, 93, 94), OptionCode.ARCHITECTURE: (7,)}
            options |= {OptionCode.VENDOR_CLASS: "PXEClient:Arch:00007:UNDI:003016"}
            options |= {OptionCode.MACHINE_ID: b"\0" + self._mac + bytes(range(10))}
        return serialize(
            Message(
                BOOTREPLY if answer else BOOTREQUEST, 1, 6, xid=self._xid, flags=FLAG_BROADCAST,
                yiaddr=self._address if answer else 0, siaddr=_SERVER if answer else 0,
                chaddr=self._mac.ljust(16, b"\0"), file=b"grubx64.efi" if answer else b"", options=Options.build(options),
            )
        )  # fmt: skip

    def _tftp(self, name: str, port: int, tid: int, blocks: int, windowsize: int) -> Iterator[Made]:
        options = f"blksize\0{_BLKSIZE}\0windowsize\0{windowsize}\0".encode()
        yield self._by_client(port, 69, b"\0\1" + name.encode() + b"\0octet\0" + options)
        yield self._by_server(tid, port, b"\0\6" + options)
        yield self._by_client(port, tid, b"\0\4\0\0")
        body = self._bytes[:_BLKSIZE]
        for block in range(1, blocks + 1):
            data = body if block < blocks else body[:100]
            yield self._by_server(tid, port, b"\0\3" + block.to_bytes(2, "big") + data)
            if not block % windowsize or block == blocks:
                yield self._by_client(port, tid, b"\0\4" + block.to_bytes(2, "big"))

    def _http(self) -> Iterator[Made]:
        said, heard = self._chance.getrandbits(32), self._chance.getrandbits(32)
        yield self._segment(True, heard, 0, _SYN)
        yield self._segment(False, said, heard + 1, _SYN | _ACK)
        said, heard = said + 1, heard + 1
        for target, size in (("/initrd.img", _INITRD_SEGMENTS * _SEGMENT), ("/ks.cfg", _ANSWER_BYTES)):
            ask = f"GET {target} HTTP/1.1\r\nHost: 10.64.0.1\r\nUser-Agent: Wget/1.21\r\n\r\n".encode()
            yield self._segment(True, heard, said, _PSH | _ACK, ask)
            heard += len(ask)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
            yield self._segment(False, said, heard, _PSH | _ACK, head)
            said += len(head)
            for first in range(0, size, _SEGMENT):
                part = self._bytes[: min(_SEGMENT, size - first)]
                yield self._segment(False, said, heard, _ACK, part)
                said += len(part)
                if first // _SEGMENT % 2:  # every second one is acknowledged (RFC 9293 §3.8.6.3)
                    yield self._segment(True, heard, said, _ACK)
        yield self._segment(False, said, heard, _FIN | _ACK)
        yield self._segment(True, heard, said + 1, _FIN | _ACK)

    # -- frames ---------------------------------------------------------------------------------------------------------------

    def _by_client(self, port: int, to: int, payload: bytes, *, broadcast: bool = False) -> Made:
        source, destination = (0, 0xFFFFFFFF) if broadcast else (self._address, _SERVER)
        return self._datagram(source, destination, port, to, payload, b"\xff" * 6 if broadcast else _SERVER_MAC)

    def _by_server(self, port: int, to: int, payload: bytes) -> Made:
        return self._datagram(_SERVER, self._address, port, to, payload, self._mac)

    def _datagram(self, source: int, destination: int, port: int, to: int, payload: bytes, hardware: bytes) -> Made:
        size = _UDP_HEAD.size + len(payload)
        pseudo = _PSEUDO.pack(source, destination, 0, _UDP, size)
        total = _sum(pseudo + _UDP_HEAD.pack(port, to, size, 0) + payload)
        return self._frame(
            source, destination, _UDP, _UDP_HEAD.pack(port, to, size, total or 0xFFFF) + payload, hardware
        )

    def _segment(self, by_client: bool, sequence: int, acknowledged: int, flags: int, data: bytes = b"") -> Made:
        ends = (self._address, _SERVER) if by_client else (_SERVER, self._address)
        ports = (50_000, 80) if by_client else (80, 50_000)
        numbers = (sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF, 5 << 4, flags, 65_535)
        pseudo = _PSEUDO.pack(*ends, 0, _TCP, _TCP_HEAD.size + len(data))
        total = _sum(pseudo + _TCP_HEAD.pack(*ports, *numbers, 0, 0) + data)
        segment = _TCP_HEAD.pack(*ports, *numbers, total, 0) + data
        return self._frame(*ends, _TCP, segment, _SERVER_MAC if by_client else self._mac)

    def _frame(self, source: int, destination: int, protocol: int, inside: bytes, hardware: bytes) -> Made:
        self.at_ns += self._chance.randrange(100_000, 400_000)
        head = _IPV4.pack(0x45, 0, _IPV4.size + len(inside), 0, 0x4000, 64, protocol, 0, source, destination)
        head = head[:10] + _sum(head).to_bytes(2, "big") + head[12:]
        sender = _SERVER_MAC if source == _SERVER else self._mac
        return self.at_ns, (_ETHERNET.pack(hardware, sender, 0x0800) + head + inside).ljust(60, b"\0")


def _sum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): what is congruent modulo 65 535 need not be added word by word."""
    return 0xFFFF - int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF
