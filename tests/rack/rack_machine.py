"""One machine by the book, for scripts about the rack: who it is, and its way to the installer with pxelinux."""

from __future__ import annotations

import re
from collections.abc import Mapping

import dhcp_scene
import firmware_rules as firmware
from rack_scene import RackScene, host_text
from tftp_harness import PXELINUX, Client

from pxenet.net.datagram import pack_peer
from pxenet.wire.dhcp import parse
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import parse_address, parse_mac

MAC, ADDRESS = parse_mac("52:54:00:77:00:01"), parse_address("10.77.0.11")
STRANGER_MAC = parse_mac("52:54:00:aa:aa:aa")
BIOS: Mapping[int, object] = {OptionCode.VENDOR_CLASS: dhcp_scene.BIOS_CLASS, OptionCode.ARCHITECTURE: (0,)}
MACHINE = host_text("machine", MAC, "alma9", ADDRESS)


def token(scene: RackScene, name: str = "machine") -> str:
    """The host's secret name."""
    return scene.rack.installs.token(scene.host(name).key)


def read(scene: RackScene, path: str, address: int) -> Client:
    """By TFTP, as pxelinux does."""
    return scene.read(Client(PXELINUX, path, pack_peer(address, 49152)))


def start_installer(scene: RackScene, mac: bytes = MAC) -> int:
    """Power-on to the kernel, with pxelinux; the machine's address."""
    ack = scene.exchange(mac, BIOS).ack
    assert ack is not None
    loads = firmware.pxelinux(ack)
    address = parse(ack).yiaddr
    text = read(scene, "bios/pxelinux.cfg/01-" + mac.hex("-"), address).data.decode()
    for name in (loads.name, *re.findall(r"LINUX ::(\S+)", text)):
        assert read(scene, name, address).error is None
    return address
