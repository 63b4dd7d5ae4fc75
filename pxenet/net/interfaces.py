"""The network interfaces of this machine, and who its neighbours are. Read afresh at each call."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import netifaces

from pxenet.net.datagram import Interface

_LINK = netifaces.InterfaceType.AF_PACKET
_INET = netifaces.InterfaceType.AF_INET

_ARP_COMPLETE = 0x2
"""ATF_COM of <net/if_arp.h>: the entry holds a hardware address."""


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


def neighbours(table: Path = Path("/proc/net/arp")) -> Callable[[int], bytes | None]:
    """A function that looks an IPv4 address up in the kernel's neighbour table, read at each call: hardware address, or None."""

    def hardware_of(address: int) -> bytes | None:
        wanted = socket.inet_ntoa(address.to_bytes(4, "big"))
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            return None
        for row in rows:
            fields = row.split()
            if len(fields) >= 4 and fields[0] == wanted and int(fields[2], 16) & _ARP_COMPLETE:
                return bytes.fromhex(fields[3].replace(":", ""))
        return None

    return hardware_of
