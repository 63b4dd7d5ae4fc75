"""What networks, machines and kinds of firmware get, in words: for the start-up summary and ``pxenet check``.

What a firmware gets is asked of the policy itself, with a made-up client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pxenet.boot import policy
from pxenet.config import DhcpMode, Unknown
from pxenet.model import BootClient, ClientKind, platform_of
from pxenet.rack.rack import Rack

FIRMWARE = (
    ("x86 BIOS", 0),
    ("x64 UEFI", 7),
    ("ia32 UEFI", 6),
    ("arm64 UEFI", 11),
    ("x64 UEFI HTTP boot", 16),
    ("arm64 UEFI HTTP boot", 19),
)
"""Name for people, and architecture type (option 93)."""


MODES = {
    DhcpMode.SERVER: "gives addresses and boot files",
    DhcpMode.PROXY: "gives boot files beside another DHCP server (ProxyDHCP), no addresses",
    DhcpMode.OFF: "is not answered",
}
"""How the clients of a network are served, after its name."""

UNKNOWN: Mapping[str, str] = {
    Unknown.IGNORE: "get no boot file (boot.unknown says what else they could get)",
    Unknown.LOCAL: "boot their local disk",
    Unknown.MENU: "get a menu of the profiles",
}
"""What machines get that are not in the configuration."""


@dataclass(frozen=True, slots=True)
class Offering:
    """The boot file of one kind of firmware."""

    firmware: str
    file: str
    """A name in the tree, or an URL; empty when it gets none."""
    origin: str
    """The file on disk behind it."""
    reason: str
    """In words."""
    missing: str
    """What to install, when something is missing."""


def offerings(rack: Rack, server_address: int) -> list[Offering]:
    """What a machine of each firmware would be told now, if it is to boot anything."""
    return [_offering(rack, server_address, firmware, arch) for firmware, arch in FIRMWARE]


def _offering(rack: Rack, server_address: int, firmware: str, arch: int) -> Offering:
    platform, by_uri = platform_of(arch)
    client = BootClient(b"", ClientKind.HTTP if by_uri else ClientKind.PXE, arch, platform)
    dhcp = rack.settings.dhcp
    proxied = DhcpMode.SERVER not in {dhcp.mode, *(subnet.mode for subnet in dhcp.subnets)}
    plan = policy.Plan(policy.Action.MENU)
    boot = policy.choose(client, plan, None, rack.setting, rack.url(server_address), proxied=proxied)
    path = boot.path or boot.url.removeprefix(rack.url(server_address) + "/")
    origin = rack.loaders.origin(path) if path else ""
    return Offering(firmware, boot.url or boot.path, origin, policy.RULES[boot.reason], boot.detail)
