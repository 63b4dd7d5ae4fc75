"""The kinds of firmware that are asked as: the simulation's, each once where several speak alike."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pxenet.sim.firmware import BIOS_ROM, PERSONALITIES, Personality

_ALIKE = {"bios-e1000", "uefi-redhat"}
"""They differ from others only after DHCP."""

MACHINES: Mapping[str, Personality] = MappingProxyType(
    {BIOS_ROM.name: BIOS_ROM} | {name: one for name, one in PERSONALITIES.items() if name not in _ALIKE}
)
DEFAULT = (BIOS_ROM.name, "bios", "uefi", "http", "ipxe")
"""Most machines of today. Others are asked as when they are named: a network without ARM machines is not ill."""
