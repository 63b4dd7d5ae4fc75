"""UDP beside the kernel's own sockets: datagrams with any source, and all that arrive for certain ports, whoever they are for.

For those who speak as a machine that has no address yet, on a host that has one: port 68 may be another program's, and an answer may
go to an address that is nobody's. Needs CAP_NET_RAW. Knows IPv4 and UDP headers; must not know what is carried.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pxenet.net.datagram import BROADCAST
from pxenet.net.link import ipv4_udp
from pxenet.net.udp import widen_queue

_ETH_P_ALL, _ETH_P_IP = 0x0003, 0x0800
_SO_ATTACH_FILTER = 26
"""<asm-generic/socket.h>"""
_LOOPBACK = "lo"
_QUEUE_BYTES = 1 << 20

# struct sock_filter: code, jump if true, jump if false, operand. Codes: <linux/bpf_common.h>.
_INSTRUCTION = struct.Struct("=HBBI")
_LD_H_ABS, _LD_B_ABS, _LD_H_IND, _LDX_MSH, _JEQ, _JSET, _RET = 0x28, 0x30, 0x48, 0xB1, 0x15, 0x45, 0x06
_PROTOCOL = 0xFFFFF000
"""SKF_AD_OFF + SKF_AD_PROTOCOL: the Ethernet type, which precedes what the filter sees."""
_FRAGMENT = 0x1FFF


@dataclass(frozen=True, slots=True)
class Overheard:
    """One UDP datagram, whole, and who sent it to whom."""

    payload: bytes
    source: int
    source_port: int
    destination: int
    destination_port: int
    hardware: bytes
    """The sender's hardware address; empty where there is none."""


class RawUdp:
    """Speaks and listens on one interface, and listens on the loopback for programs of this host.

    ``ports``: the destination ports that are listened to. Raises PermissionError without CAP_NET_RAW, OSError when there is no such
    interface.
    """

    def __init__(self, interface: str, ports: Sequence[int]) -> None:
        self._closing = ExitStack()
        self._interface = interface
        try:
            self._out = self._closing.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
            )
            self._out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._bound = self._closing.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
            )
            self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
            self.ears = tuple(self._listen(name, ports) for name in dict.fromkeys((interface, _LOOPBACK)))
        except BaseException:
            self._closing.close()
            raise

    def close(self) -> None:
        """Release the sockets."""
        self._closing.close()

    def send(self, payload: bytes, source: int, source_port: int, destination: int, destination_port: int) -> bool:
        """Send by route. False when the kernel refuses."""
        return self._send(self._out, payload, source, source_port, destination, destination_port)

    def broadcast(self, payload: bytes, source_port: int, destination_port: int) -> bool:
        """Send to all on the wire, from 0.0.0.0, as a machine without an address. False when the kernel refuses.

        Programs of this host do not hear it.
        """
        packet = ipv4_udp(payload, 0, source_port, BROADCAST, destination_port)
        try:
            self.ears[0].sendto(packet, (self._interface, _ETH_P_IP, 0, 0, b"\xff" * 6))
        except OSError:
            return False
        return True

    def broadcast_here(self, payload: bytes, source: int, source_port: int, destination_port: int) -> bool:
        """Send to all on the wire and to programs of this host, from an address that the interface has."""
        return self._send(self._bound, payload, source, source_port, BROADCAST, destination_port)

    def receive(self, ear: socket.socket) -> list[Overheard]:
        """What one of ``ears`` has heard. Damaged datagrams are left out."""
        heard: list[Overheard] = []
        while True:
            try:
                packet, sender = ear.recvfrom(65536)
            except BlockingIOError:
                return heard
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    return heard
                raise
            # The loopback shows everything twice, as it leaves and as it comes.
            if sender[0] == _LOOPBACK and sender[2] == socket.PACKET_OUTGOING:
                continue
            found = overheard_untrusted(packet, sender[4] if sender[0] != _LOOPBACK else b"")
            if found is not None:
                heard.append(found)

    @staticmethod
    def _send(
        out: socket.socket, payload: bytes, source: int, source_port: int, destination: int, destination_port: int
    ) -> bool:
        packet = ipv4_udp(payload, source, source_port, destination, destination_port)
        try:
            out.sendto(packet, (socket.inet_ntoa(destination.to_bytes(4, "big")), 0))
        except OSError:
            return False
        return True

    def _listen(self, name: str, ports: Sequence[int]) -> socket.socket:
        # ETH_P_ALL: only so are answers seen that programs of this host send out by the interface.
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        ear = self._closing.enter_context(socket.socket(socket.AF_PACKET, kind, 0))
        widen_queue(ear, _QUEUE_BYTES)
        attach(ear, udp_filter(ports))
        ear.bind((name, _ETH_P_ALL))
        return ear


def attach(sock: socket.socket, program: bytes) -> None:
    """Let the kernel hand on only what the filter accepts (SO_ATTACH_FILTER)."""
    code = ctypes.create_string_buffer(program)
    # struct sock_fprog: length in instructions, pointer
    sock.setsockopt(
        socket.SOL_SOCKET,
        _SO_ATTACH_FILTER,
        struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(code)),
    )


def udp_filter(ports: Sequence[int]) -> bytes:
    """A classic BPF program for packets that begin with the IPv4 header: UDP to one of these ports, first or only fragments."""
    count = len(ports)
    program = [
        (_LD_H_ABS, 0, 0, _PROTOCOL),
        (_JEQ, 0, count + 6, _ETH_P_IP),
        (_LD_B_ABS, 0, 0, 9),
        (_JEQ, 0, count + 4, socket.IPPROTO_UDP),
        (_LD_H_ABS, 0, 0, 6),
        (_JSET, count + 2, 0, _FRAGMENT),
        (_LDX_MSH, 0, 0, 0),
        (_LD_H_IND, 0, 0, 2),
        *((_JEQ, count - number, 0, port) for number, port in enumerate(ports)),
        (_RET, 0, 0, 0),
        (_RET, 0, 0, 0xFFFF),
    ]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)


def overheard_untrusted(packet: bytes, hardware: bytes = b"") -> Overheard | None:
    """The datagram in an IPv4 packet; None when there is none, or not all of it. Checksums are not looked at: cards fill them in."""
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_UDP:
        return None
    if int.from_bytes(packet[6:8], "big") & (_FRAGMENT | 0x2000):
        return None
    start = (packet[0] & 15) * 4
    total = int.from_bytes(packet[2:4], "big")
    if start < 20 or total > len(packet) or total < start + 8:
        return None
    source_port, destination_port, length = struct.unpack_from("!HHH", packet, start)
    if not 8 <= length <= total - start:
        return None
    return Overheard(
        packet[start + 8 : start + length],
        int.from_bytes(packet[12:16], "big"),
        source_port,
        int.from_bytes(packet[16:20], "big"),
        destination_port,
        hardware,
    )
