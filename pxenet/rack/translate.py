"""From the settings of the configuration to those of the engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pxenet.boot.policy import PlanSettings
from pxenet.config import Settings, Unknown
from pxenet.engine.dhcp.subnet import DhcpMode, DhcpSettings
from pxenet.engine.tftp.settings import TftpSettings


def dhcp_settings(settings: Settings) -> DhcpSettings:
    """What the DHCP engine is told."""
    dhcp = settings.dhcp
    return DhcpSettings(
        # An address that clients shall be told instead of ours is where they find their files, too.
        subnets=tuple(
            replace(subnet, next_server=subnet.next_server or settings.server.address) for subnet in dhcp.subnets
        ),
        port=dhcp.port,
        proxy_port=dhcp.proxy_port,
        default_mode=dhcp.mode,
        match_client_id=dhcp.match_client_id,
        reserved=frozenset(host.address for host in settings.hosts if host.address is not None),
    )


def hears_no_dhcp(settings: Settings) -> bool:
    """Whether DHCP is off everywhere, so that machines are known by what they ask for and nothing else."""
    return {DhcpMode.OFF} == {settings.dhcp.mode, *(subnet.mode for subnet in settings.dhcp.subnets)}


def tftp_settings(settings: Settings, tid_ports: Sequence[int]) -> TftpSettings:
    """What the TFTP engine is told; ``tid_ports`` are bound already."""
    tftp = settings.tftp
    return TftpSettings(
        port=tftp.port,
        tid_ports=tuple(tid_ports),
        single_port=tftp.single_port or not tid_ports,
        max_blksize=tftp.max_blksize,
        max_windowsize=tftp.max_windowsize,
        allow_write=tftp.allow_write,
    )


def plan_settings(settings: Settings) -> PlanSettings:
    """What the policy is told."""
    unknown = settings.boot.unknown
    return PlanSettings(unknown.value if isinstance(unknown, Unknown) else unknown, settings.boot.max_attempts)


def unknown_profile(settings: Settings) -> str | None:
    """The profile that machines get which no [[host]] names, if any."""
    unknown = settings.boot.unknown
    return None if isinstance(unknown, Unknown) else unknown
