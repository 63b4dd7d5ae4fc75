"""UDP sockets that take and give datagrams by the batch: ``recvmmsg`` and ``sendmmsg``, on arrays made once.

Fast path beside ``udp.UdpSocket``, which it must equal: tests/net/test_net_udp.py runs over both. ``batches`` tells by trying whether
this kernel has the calls. A run of datagrams of one size to one peer leaves as one call too, cut by the kernel (UDP_SEGMENT, udp(7)).
Knows the layouts of <bits/types/struct_msghdr.h> on 64-bit Linux; nothing here knows what payloads mean.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from collections.abc import Sequence
from functools import cache

from pxenet.net.cuts import MAX_SEGMENTS, NO_SEGMENTS, REMEMBERED, BlockSender
from pxenet.net.datagram import BATCH, BROADCAST, Datagram, Quads, Send, peer_address
from pxenet.net.udp import EVERYWHERE, GONE, MAX_DATAGRAM, MAX_PAYLOAD, Parts, UdpSocket, socket_address

# struct mmsghdr: name, its length, iovecs, their number, control, its length, flags; and the length of what came or went.
_HEADER = struct.Struct("=QI4xQQQQi4xI4x")
# Of it: the length of the control data that came, and of the payload.
_RECEIVED = struct.Struct("=40xQ8xI4x")
# struct iovec: address, length.
_IOVEC = struct.Struct("=QQ")
# struct cmsghdr (length, level, type) and struct in_pktinfo (interface index, local address, destination in the header).
_CONTROL = struct.Struct("=Qiii4s4s4x")
_CONTROL_TOLD = struct.Struct("=Qiii4s4s")
_CONTROL_BYTES = 28  # CMSG_LEN of it, without the padding

_NAME_BYTES = 16
_IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)
_SOL_IP = socket.IPPROTO_IP
_NO_ADDRESS = b"\0\0\0\0"
_EVERYONE = b"\xff\xff\xff\xff"

_QUAD_BYTES = 4

_PLACE_BYTES = MAX_DATAGRAM + 64
"""Of one that arrives: a cache line more, so that the first lines of the payloads do not all compete for one place in the cache."""

SMALL_BYTES = 2048
"""What is sent in a batch is copied, and no longer than this: an Ethernet frame holds less. Longer ones go one by one."""

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg, _sendmmsg = _libc.recvmmsg, _libc.sendmmsg
_recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


class _Arena:
    """Headers, names, control data and payloads of one batch, at addresses that stay. Untouched pages cost no memory."""

    __slots__ = ("address", "clean", "controls", "headers", "memory", "names", "payloads", "size", "view")

    def __init__(self, size: int, control_bytes: int = _CONTROL.size) -> None:
        self.size = size
        names = BATCH * _HEADER.size
        iovecs = names + BATCH * _NAME_BYTES
        controls = iovecs + BATCH * _IOVEC.size
        payloads = -(-(controls + BATCH * _CONTROL.size) // 4096) * 4096
        self.memory = mmap.mmap(-1, payloads + BATCH * size)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.names, self.controls, self.payloads = names, controls, payloads
        self.view = memoryview(self.memory)
        for index in range(BATCH):
            _IOVEC.pack_into(self.view, iovecs + index * _IOVEC.size, self.address + payloads + index * size, size)
            _HEADER.pack_into(
                self.view,
                index * _HEADER.size,
                self.address + names + index * _NAME_BYTES,
                _NAME_BYTES,
                self.address + iovecs + index * _IOVEC.size,
                1,
                self.address + controls + index * _CONTROL.size,
                control_bytes,
                0,
                0,
            )
        self.headers = self.view[: BATCH * _HEADER.size]
        self.clean = bytes(self.headers)
        """The headers as the kernel must find them, which it writes over."""


def _quads_of(arena: _Arena) -> bytes:
    """The headers as the kernel leaves them when all datagrams have four octets."""
    headers = bytearray(arena.clean)
    for at in range(_LENGTH_AT, len(headers), _HEADER.size):
        headers[at : at + 4] = _QUAD_BYTES.to_bytes(4, "little")
    return bytes(headers)


@cache
def _names_of(count: int) -> struct.Struct:
    """All names of a batch."""
    return struct.Struct(f"{_NAME_BYTES}s" * count)


@cache
def _words_of(count: int) -> struct.Struct:
    """The first four octets of each payload of a batch, as numbers."""
    return struct.Struct("!" + f"I{_PLACE_BYTES - _QUAD_BYTES}x" * count)


class BatchedUdpSocket(UdpSocket):
    """As UdpSocket; one system call takes or gives up to ``BATCH`` datagrams."""

    def __init__(
        self,
        port: int,
        address: str = EVERYWHERE,
        interface: str | None = None,
        *,
        bound: socket.socket | None = None,
    ) -> None:
        super().__init__(port, address, interface, bound=bound)
        self._in = _Arena(_PLACE_BYTES, 0 if self.local else _CONTROL.size)
        self._used = 0
        """Octets of the headers that the kernel has written since they were clean."""
        self._quads = _quads_of(self._in)
        self._controls: dict[bytes, tuple[int, int, bool]] = {}
        self._out = _Arena(SMALL_BYTES)
        self._unsegmented: dict[bytes, None] = {}
        """Addresses on whose route the kernel refused to cut; the oldest are forgotten, and tried again."""
        self.blocks = BlockSender(self, self._unsegmented)
        """The way of mapped files."""
        self._lengths = self._out.view[self._out.names + BATCH * _NAME_BYTES :][: BATCH * _IOVEC.size]

    def receive(self) -> Sequence[Datagram]:
        """Whatever has arrived, at most ``BATCH``; empty when there is nothing. Quads where it can be."""
        arena, used = self._in, self._used
        arena.headers[:used] = arena.clean[:used]
        count = _recvmmsg(self.socket.fileno(), arena.address, BATCH, socket.MSG_DONTWAIT, None)
        while count < 0:
            number = ctypes.get_errno()
            if number in (errno.EAGAIN, errno.EWOULDBLOCK):
                return []
            if number not in GONE:
                raise OSError(number, os.strerror(number))
            count = _recvmmsg(self.socket.fileno(), arena.address, BATCH, socket.MSG_DONTWAIT, None)
        self._used = count * _HEADER.size
        self.statistics.received += count
        memory, size, port, controls = arena.memory, arena.size, self.port, self._controls
        quads = self._quads[: count * _HEADER.size] == memory[: count * _HEADER.size]
        if quads and (same := self._received_alike(count)) is not None:
            return same
        at, start, where = arena.names, arena.payloads, arena.controls
        batch = []
        for control, length in _RECEIVED.iter_unpack(arena.headers[: count * _HEADER.size]):
            told = memory[where : where + _CONTROL_BYTES] if control == _CONTROL.size else b""
            local, interface, broadcast = controls.get(told) or self._told(told)
            batch.append(
                Datagram(
                    memory[start : start + length], memory[at : at + _NAME_BYTES], local, port, interface, broadcast
                )
            )
            at += _NAME_BYTES
            start += size
            where += _CONTROL.size
        return batch

    def _received_alike(self, count: int) -> Quads | None:
        """The batch in the arena, of ``count`` times four octets; None: not all of them came the same way."""
        arena, memory = self._in, self._in.memory
        told = b""
        if not self.local:
            first = memory[arena.controls : arena.controls + _CONTROL.size]
            if memory[arena.controls : arena.controls + count * _CONTROL.size] != first * count:
                return None
            told = first[:_CONTROL_BYTES]
        local, interface, broadcast = self._controls.get(told) or self._told(told)
        peers = _names_of(count).unpack_from(memory, arena.names)
        words = _words_of(count).unpack_from(memory, arena.payloads)
        return Quads(peers, words, local, self.port, interface, broadcast)

    def _told(self, control: bytes) -> tuple[int, int, bool]:
        """(address of ours, interface, broadcast) out of control data; there are few different ones, so they are remembered."""
        interface = 0
        local = destination = self.local.to_bytes(4, "big")
        if len(control) == _CONTROL_BYTES:
            length, level, kind, index, own, to = _CONTROL_TOLD.unpack(control)
            if (level, kind) == (_SOL_IP, _IP_PKTINFO) and length >= _CONTROL_BYTES:
                interface, local, destination = index, own, to
        found = int.from_bytes(local, "big"), interface, destination != local or destination == _EVERYONE
        if len(self._controls) >= REMEMBERED:
            self._controls.clear()
        self._controls[control] = found
        return found

    def send_many(self, sends: Sequence[Send]) -> int:
        """Hand datagrams to the kernel in order; how many it refused."""
        refused = 0
        for first in range(0, len(sends), BATCH):
            refused += self._send_batch(sends[first : first + BATCH])
        return refused

    def send_run(self, run: Sequence[Parts], to: bytes, source: int, interface: int) -> int:
        """As UdpSocket's; where all but the last are of one size, in as few calls as the kernel's limits allow."""
        size = sum(map(len, run[0]))
        most = min(MAX_SEGMENTS, MAX_PAYLOAD // size) if size else 1
        # An empty datagram at the end would be none at all once its run is cut.
        if len(run) == 1 or most < 2 or to[4:8] in self._unsegmented or not any(run[-1]):
            return super().send_run(run, to, source, interface)
        refused = 0
        for first in range(0, len(run), most):
            part = run[first : first + most]
            if not self._send_cut(part, size, to, source, interface):
                refused += super().send_run(part, to, source, interface)
        return refused

    def _send_cut(self, run: Sequence[Parts], size: int, to: bytes, source: int, interface: int) -> bool:
        """One call for all; False: this route does not take it, and nothing has left."""
        ancillary = self.ancillary(to, source, interface)
        ancillary.append((socket.IPPROTO_UDP, _UDP_SEGMENT, _U16.pack(size)))
        pieces = [piece for parts in run for piece in parts]
        try:
            self.socket.sendmsg(pieces, ancillary, 0, socket_address(to))
        except OSError as error:
            if error.errno in NO_SEGMENTS:
                self._unsegmented[to[4:8]] = None
                if len(self._unsegmented) > REMEMBERED:
                    del self._unsegmented[next(iter(self._unsegmented))]
            return False
        self.statistics.sent += len(run)
        return True

    def _send_batch(self, sends: Sequence[Send]) -> int:
        arena = self._out
        view, names, controls, payloads = arena.view, arena.names, arena.controls, arena.payloads
        for index, send in enumerate(sends):
            payload = b"".join(send.parts)
            if len(payload) > SMALL_BYTES:
                before = self._send_batch(sends[:index]) if index else 0
                alone = not self.send(send)
                return before + alone + (self._send_batch(sends[index + 1 :]) if index + 1 < len(sends) else 0)
            start = payloads + index * SMALL_BYTES
            view[start : start + len(payload)] = payload
            _LENGTH.pack_into(self._lengths, index * _IOVEC.size + 8, len(payload))
            at = names + index * _NAME_BYTES
            view[at : at + _NAME_BYTES] = send.to
            broadcast = send.interface if peer_address(send.to) == BROADCAST else 0
            used = 0
            if broadcast or send.source not in (0, self.local):
                used = _CONTROL.size
                source = send.source.to_bytes(4, "big")
                where = controls + index * used
                _CONTROL.pack_into(view, where, _CONTROL_BYTES, _SOL_IP, _IP_PKTINFO, broadcast, source, _NO_ADDRESS)
            _LENGTH.pack_into(view, index * _HEADER.size + _CONTROL_LENGTH_AT, used)
        return self._flush(len(sends))

    def _flush(self, count: int) -> int:
        """Send what stands in the arena. A refused one is passed over, as the peer would see it: lost."""
        arena, done, refused = self._out, 0, 0
        while done < count:
            sent = _sendmmsg(
                self.socket.fileno(), arena.address + done * _HEADER.size, count - done, socket.MSG_DONTWAIT
            )
            if sent > 0:
                done += sent
                self.statistics.sent += sent
            elif ctypes.get_errno() != errno.EINTR:
                done += 1
                refused += 1
        self.statistics.unsent += refused
        return refused


_LENGTH_AT = 56
"""Where the length of what came stands in a struct mmsghdr."""

_UDP_SEGMENT = 103  # linux/udp.h
_U16 = struct.Struct("=H")

_LENGTH = struct.Struct("=Q")
_CONTROL_LENGTH_AT = 40
"""Where msg_controllen stands in a struct mmsghdr."""


def batches() -> bool:
    """Whether this machine takes the calls: tried once, with a datagram to ourselves. The layouts are those of 64-bit Linux."""
    if sys.platform != "linux" or struct.calcsize("P") != 8 or sys.byteorder != "little":
        return False
    try:
        udp = BatchedUdpSocket(0, "127.0.0.1")
    except OSError:
        return False
    try:
        to = udp.socket.getsockname()
        peer = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", to[1], socket.inet_aton(to[0]))
        if udp.send_many([Send(peer, (b"try",))]):
            return False
        return [(each.data, each.peer) for each in udp.receive()] == [(b"try", peer)]
    except OSError:
        return False
    finally:
        udp.close()
