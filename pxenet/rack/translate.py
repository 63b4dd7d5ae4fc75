"""From the settings of the configuration to those of the engines."""

from __future__ import annotations

from collections.abc import Sequence

from pxenet.boot.policy import PlanSettings
from pxenet.config import Settings, Unknown
from pxenet.engine.dhcp.subnet import DhcpSettings, Subnet
from pxenet.engine.tftp.settings import TftpSettings


def dhcp_settings(settings: Settings) -> DhcpSettings:
    """What the DHCP engine is told."""
    dhcp = settings.dhcp
    return DhcpSettings(
        subnets=tuple(
            Subnet(
                network=subnet.network,
                prefix=subnet.prefix,
                pools=subnet.pools,
                routers=subnet.routers,
                dns=subnet.dns,
                domain=subnet.domain,
                lease_s=subnet.lease_s,
                interface=subnet.interface,
                next_server=subnet.next_server or settings.server.address,
                mode=subnet.mode.value,
                authoritative=subnet.authoritative,
            )
            for subnet in dhcp.subnets
        ),
        port=dhcp.port,
        proxy_port=dhcp.proxy_port,
        default_mode=dhcp.mode.value,
        match_client_id=dhcp.match_client_id,
        reserved=frozenset(host.address for host in settings.hosts if host.address is not None),
    )


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
