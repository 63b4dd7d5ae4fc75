"""The network interfaces of this machine, and who its neighbours are. Read from the system, not remembered longer than a second."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import netifaces

from pxenet.net.datagram import Interface, pack_peer

_LINK = netifaces.InterfaceType.AF_PACKET
_INET = netifaces.InterfaceType.AF_INET

_ARP_COMPLETE = 0x2
"""ATF_COM of <net/if_arp.h>: the entry holds a hardware address."""

_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCGARP = 0x8913, 0x8921, 0x8954
_IFF_UP_RUNNING = 0x1 | 0x40
"""<linux/sockios.h>, <linux/if.h>"""

_ARPREQ = struct.Struct("=16s16si16s16s")
"""struct arpreq of <net/if_arp.h>: protocol address, hardware address, flags, netmask, device."""

_LOOPBACK = "lo"

_BELIEVED_S = 1.0
_KNOWN = 4096


def interfaces() -> list[Interface]:
    """Every interface of the system, in index order; those without an IPv4 address have empty ``addresses``."""
    found = []
    for index, name in socket.if_nameindex():
        try:
            families = netifaces.ifaddresses(name)
        except ValueError:
            continue  # it vanished between the two questions
        hardware = next((entry["addr"] for entry in families.get(_LINK, []) if "addr" in entry), "")
        addresses = tuple(
            (_address(entry["addr"]), _address(entry["mask"]).bit_count())
            for entry in families.get(_INET, [])
            if "addr" in entry and "mask" in entry
        )
        found.append(Interface(index, name, bytes.fromhex(hardware.replace(":", "")), addresses))
    return found


def _address(text: str) -> int:
    return int.from_bytes(socket.inet_aton(text), "big")


def neighbours(
    ask: Callable[[str, int], bytes | None], clock: Callable[[], float] = time.monotonic
) -> Callable[[int], bytes | None]:
    """A function that looks an IPv4 address up in the kernel's neighbour table: hardware address, or None.

    An address that was found is believed for a second, in which no machine changes; one that was not is looked up again each time.
    ``ask``: see ``neighbour_on``. The whole table as the kernel prints it takes a millisecond per thousand machines.
    """
    known: dict[int, tuple[bytes, float]] = {}
    names: list[str] = []
    named_until = 0.0

    def hardware_of(address: int) -> bytes | None:
        nonlocal named_until
        now = clock()
        hardware, until = known.get(address, (None, 0.0))
        if now < until:
            return hardware
        if now >= named_until:
            names[:] = [name for _, name in socket.if_nameindex() if name != _LOOPBACK]
            named_until = now + _BELIEVED_S
        for name in names:
            hardware = ask(name, address)
            if hardware is not None:
                break
        else:
            known.pop(address, None)
            return None
        if len(known) >= _KNOWN:
            known.clear()
        known[address] = hardware, now + _BELIEVED_S
        return hardware

    return hardware_of


def neighbour_on(probe: socket.socket) -> Callable[[str, int], bytes | None]:
    """A function that asks the kernel for an IPv4 neighbour's hardware address on one interface (arp(7)): None when it knows none.

    ``probe``: any IPv4 socket; nothing is sent.
    """

    def ask(name: str, address: int) -> bytes | None:
        question = _ARPREQ.pack(pack_peer(address, 0), b"", 0, b"", name.encode())
        try:
            answer = _ARPREQ.unpack(fcntl.ioctl(probe, _SIOCGARP, question))
        except OSError:  # no such neighbour, or the interface has none, or is gone
            return None
        family_and_hardware, flags = answer[1], answer[2]
        return bytes(family_and_hardware[2:8]) if flags & _ARP_COMPLETE else None

    return ask


def link_of(name: str) -> tuple[int, bool]:
    """An interface's MTU, and whether it is up and has a carrier. Raises OSError when there is none such."""
    request = struct.pack("16s24x", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        mtu, flags = (fcntl.ioctl(probe, code, request)[16:20] for code in (_SIOCGIFMTU, _SIOCGIFFLAGS))
    running = int.from_bytes(flags[:2], sys.byteorder) & _IFF_UP_RUNNING == _IFF_UP_RUNNING
    return int.from_bytes(mtu, sys.byteorder), running


def udp_ports(table: Path = Path("/proc/net/udp")) -> frozenset[int]:
    """The UDP ports over IPv4 that programs of this host hold."""
    lines = table.read_text().splitlines()[1:]
    return frozenset(int(line.split()[1].partition(":")[2], 16) for line in lines)
