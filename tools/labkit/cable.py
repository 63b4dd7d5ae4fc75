"""A cable between a machine and the wire where there are no tap devices: it carries frames between QEMU and an interface.

Knows frames as bytes. Where /dev/net/tun is closed to us (no root, or a container without it) this takes its place: slower, but
it needs no more rights than a network namespace gives. Runs as a process inside the wire's namespace.
"""

from __future__ import annotations

import select
import socket
import sys

_EVERY_PROTOCOL = 0x0003  # ETH_P_ALL of linux/if_ether.h
_OUTGOING = 4  # PACKET_OUTGOING of linux/if_packet.h: what our own kernel says there is not for the machine
_LONGEST_FRAME = 65536


def carry(interface: str, own_path: str, machine_path: str) -> None:
    """Carry frames between ``interface`` and the unix datagram socket of QEMU at ``machine_path``. Never returns."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    wire.bind((interface, 0))
    machine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    machine.bind(own_path)
    while True:
        ready, _, _ = select.select([wire, machine], [], [])
        try:
            if wire in ready:
                frame, (_, _, kind, *_) = wire.recvfrom(_LONGEST_FRAME)
                if kind != _OUTGOING:
                    machine.sendto(frame, machine_path)
            if machine in ready:
                wire.send(machine.recv(_LONGEST_FRAME))
        except OSError:
            pass  # a frame is lost, as on any wire: the machine is off, or its queue is full


if __name__ == "__main__":
    carry(*sys.argv[1:])
