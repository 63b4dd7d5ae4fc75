"""What each kind of firmware gets: for the start-up summary and ``pxenet check``. Asks the policy itself, with a made-up client."""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.boot import policy
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
    boot = policy.choose(client, policy.Plan(policy.Action.MENU), None, rack.setting, rack.url(server_address))
    path = boot.path or boot.url.removeprefix(rack.url(server_address) + "/")
    origin = rack.loaders.origin(path) if path else ""
    return Offering(firmware, boot.url or boot.path, origin, policy.RULES[boot.reason], boot.detail)
