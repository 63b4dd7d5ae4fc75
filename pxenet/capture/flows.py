"""Where packets belong: the transfers and connections that are open, by the addresses and ports of their packets.

The shared table of the plain path (``dissect``) and the fast one: what ``skim`` of a side takes needs no value made of it, and must
leave everything as the plain path would (``tests/capture/test_capture_skim.py``). Ethernet and IPv4 without options only; whatever
is not quite plain is left to the plain path.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pxenet.capture.frames import TCP, UDP, Packet
from pxenet.capture.machines import OpenBoot
from pxenet.capture.messages import METHODS
from pxenet.capture.streams import Room
from pxenet.capture.transfers import OpenTransfer
from pxenet.capture.web import Connection

Skim = Callable[[bytes, int, int, int, int, int], bool]
"""buffer, start, end, bytes on the wire, at_ns, number: True when the packet was taken."""

MAX_STRANGERS = 65536
"""Connections that belong to no boot, which are remembered so that they need no second look."""
MAX_SILENT = 4096
"""Sides of connections in which nothing was asked yet."""
MAX_FLOWS = 1024
"""Sides of one boot; nothing more is expected of the oldest."""

# Ethernet to TFTP's block: type, version+length, total, fragment, protocol, UDP length, opcode, block
_TFTP = struct.Struct("!12xHBxHxxHxB10x4xHxxHH")
# Ethernet to TCP's flags: type, version+length, total, fragment, protocol, sequence, acknowledged, data offset, flags
_TCP = struct.Struct("!12xHBxHxxHxB10x4xIIBB")
_MASK = 0xFFFFFFFF
_STARTS = frozenset(method[:size] for method in METHODS for size in range(1, 5))
"""What a segment begins with that begins a request; there are clients that write it byte by byte."""
_LARGEST_UDP = 65464 + 12


def flow_key(packet: Packet) -> bytes:
    """Source, destination, ports: of IPv4 as the bytes stand in the packet, so that ``skim`` finds them with one slice."""
    size = 4 if packet.version == 4 else 16
    addresses = packet.source.to_bytes(size, "big") + packet.destination.to_bytes(size, "big")
    return addresses + packet.source_port.to_bytes(2, "big") + packet.destination_port.to_bytes(2, "big")


def reverse_key(key: bytes) -> bytes:
    """The other direction's."""
    size = (len(key) - 4) // 2
    return key[size : 2 * size] + key[:size] + key[-2:] + key[-4:-2]


class TransferSide:
    """What comes from one side of a TFTP transfer."""

    __slots__ = ("boot", "from_client", "transfer")

    def __init__(self, boot: OpenBoot, transfer: OpenTransfer, from_client: bool) -> None:
        self.boot, self.transfer, self.from_client = boot, transfer, from_client

    def skim(self, buffer: bytes, start: int, end: int, wire: int, at_ns: int, number: int) -> bool:
        """DATA and ACK."""
        if end - start < 46:
            return False
        kind, version, total, fragment, protocol, size, op, block = _TFTP.unpack_from(buffer, start)
        if (
            kind != 0x0800 or version != 0x45 or fragment & 0x3FFF or protocol != UDP
            or not 12 <= size <= total - 20 or 14 + total > max(wire, end - start) or size > _LARGEST_UDP
        ):  # fmt: skip
            return False
        transfer = self.transfer
        if op == 3:
            if self.from_client is transfer.reading:
                return False
            payload = None
            if transfer.collecting and start + 34 + size <= end:
                payload = buffer[start + 46 : start + 34 + size]
            transfer.data(number, at_ns, block, size - 12, payload)
            return True
        if op == 4 and self.from_client is transfer.reading:
            transfer.ack(number, at_ns, block)
            return True
        return False


class ConnectionSide:
    """What comes from one side of a TCP connection."""

    __slots__ = ("_flows", "boot", "connection", "from_client")

    def __init__(self, flows: Flows, connection: Connection, from_client: bool) -> None:
        self._flows = flows
        self.boot: OpenBoot | None = None
        """Whose it is; None: nothing was asked yet."""
        self.connection, self.from_client = connection, from_client

    def skim(self, buffer: bytes, start: int, end: int, wire: int, at_ns: int, number: int) -> bool:
        """Acknowledgements without bytes, and the bytes of large bodies."""
        if end - start < 54:
            return False
        kind, version, total, fragment, protocol, sequence, _, offset, flags = _TCP.unpack_from(buffer, start)
        header = 34 + (offset >> 4) * 4
        size = 14 + total - header
        if (
            kind != 0x0800 or version != 0x45 or fragment & 0x3FFF or protocol != TCP or flags & 7
            or header < 54 or size < 0 or 14 + total > max(wire, end - start) or start + header > end
        ):  # fmt: skip
            return False
        connection = self.connection
        if not (connection.client.calm and connection.server.calm):
            return False
        if size == 0:
            self._flows.passed_by += self.boot is None
            return True
        stream, messages = connection.server, connection.responses
        if self.from_client or sequence != stream.next or not messages.skimming or size >= messages.remaining:
            return False
        self._flows.passed_by += self.boot is None
        stream.next = (sequence + size) & _MASK
        messages.remaining -= size
        body = messages.body
        assert body is not None  # else it is not skimming
        body.sent_bytes += size
        kept = min(size, end - start - header)
        if kept:
            body.recorded_bytes += kept
            body.end_number, body.end_ns = number, at_ns
        return True


class StrangerSide:
    """A connection that is not HTTP's, until it says something that could be."""

    __slots__ = ("_flows",)

    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    def skim(self, buffer: bytes, start: int, end: int, wire: int, at_ns: int, number: int) -> bool:
        """Everything but beginnings."""
        if end - start < 54:
            return False
        kind, version, total, fragment, protocol, _, _, offset, flags = _TCP.unpack_from(buffer, start)
        header = 34 + (offset >> 4) * 4
        if kind != 0x0800 or version != 0x45 or fragment & 0x3FFF or protocol != TCP or flags & 2:
            return False
        if header < 54 or 14 + total < header or 14 + total > max(wire, end - start) or start + header > end:
            return False
        if buffer[start + header : min(start + header + 4, start + 14 + total)] in _STARTS:
            return False
        self._flows.passed_by += 1
        return True


def may_begin(payload: bytes) -> bool:
    """A segment with which a connection is HTTP's, when its beginning was not recorded."""
    return payload[:4] in _STARTS


Side = TransferSide | ConnectionSide | StrangerSide


class Flows:
    """The table."""

    def __init__(self) -> None:
        self.skims: dict[bytes, Skim] = {}
        """For the fast path: whom to ask, by ``buffer[26:38]`` of an Ethernet frame. Whose they are: ``sides``."""
        self.sides: dict[bytes, Side] = {}
        self.passed_by = 0
        """Packets that were skimmed, and are no part of a boot."""
        self.room = Room()
        """For the streams of all connections."""
        self._strangers: dict[bytes, None] = {}  # keys without a boot, the oldest first
        self._silent: dict[bytes, None] = {}  # likewise, of connections that may become one's

    def put(self, key: bytes, side: Side, boot: OpenBoot | None) -> None:
        """Packets with this key are this side's."""
        self.sides[key] = side
        self.skims[key] = side.skim
        if boot is not None:
            boot.keys[key] = None
            self._strangers.pop(key, None)
            self._silent.pop(key, None)
            if len(boot.keys) > MAX_FLOWS:
                self._let_go(boot, next(iter(boot.keys)))
            return
        among, most = (
            (self._silent, MAX_SILENT) if isinstance(side, ConnectionSide) else (self._strangers, MAX_STRANGERS)
        )
        for some in (self._strangers, self._silent):
            some.pop(key, None)
        among[key] = None
        if len(among) > most:
            oldest = next(iter(among))
            found = self.sides.get(oldest)
            self._forget(oldest)
            if isinstance(found, ConnectionSide):
                found.connection.forget()

    def drop(self, boot: OpenBoot) -> list[Connection]:
        """A boot is over: its packets belong to nobody now. The connections among them, which are to be finished."""
        found: dict[int, Connection] = {}
        for key in boot.keys:
            side = self.sides.get(key)
            if side is None or isinstance(side, StrangerSide) or side.boot is not boot:
                continue
            self._forget(key)
            if isinstance(side, ConnectionSide):
                found[id(side.connection)] = side.connection
        return list(found.values())

    def drop_keys(self, boot: OpenBoot, keys: tuple[bytes, ...]) -> None:
        """This boot has no more to do with packets of these keys."""
        for key in keys:
            side = self.sides.get(key)
            if side is not None and not isinstance(side, StrangerSide) and side.boot is boot:
                self._forget(key)
                boot.keys.pop(key, None)

    def _let_go(self, boot: OpenBoot, key: bytes) -> None:
        """A boot has more than can be followed."""
        side = self.sides.get(key)
        del boot.keys[key]
        if side is None or isinstance(side, StrangerSide) or side.boot is not boot:
            return
        self._forget(key)
        if isinstance(side, ConnectionSide):
            side.connection.finish()

    def _forget(self, key: bytes) -> None:
        self.sides.pop(key, None)
        self.skims.pop(key, None)
        self._strangers.pop(key, None)
        self._silent.pop(key, None)
