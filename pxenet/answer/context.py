"""The names that templates see: ``host``, ``profile``, ``vars``, ``urls``, ``server``.

Knows how records become plain texts and dictionaries. Templates never get our objects themselves: what they can name is
listed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pxenet.answer.kickstart.data import laid_over
from pxenet.answer.kinds import file_name
from pxenet.answer.reports import busybox, busybox_failed, one_line, report
from pxenet.answer.templates import BUILT_IN
from pxenet.model import Host, Profile
from pxenet.wire.text import address_text, mac_text

NAMES: Mapping[str, tuple[str, ...]] = {
    "host": ("name", "mac", "uuid", "serial", "address", "netmask", "gateway", "dns", "domain"),
    "profile": ("name",),
    "vars": (),
    "kickstart": ("text", "commands", "packages", "scripts"),
    "urls": ("installed", "failed", "discovered", "answer", "source", "image", "stage2"),
    "reports": ("installed", "failed", "busybox", "busybox_failed"),
    "server": ("address",),
}
"""What templates see, for messages and documentation."""


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """The network a host will have. Zero and empty: not known."""

    address: int = 0
    netmask: int = 0
    gateway: int = 0
    dns: tuple[int, ...] = ()
    domain: str = ""


NO_NETWORK = HostNetwork()


def answer_path(token: str, profile: Profile) -> str:
    """The name in the tree of a machine's answer file; empty when its profile has none.

    With the profile in it: from a menu, a machine may be installed with any of them.
    """
    return f"answer/{token}/{profile.name}/{file_name(profile)}" if profile.answer else ""


def urls(token: str, profile: Profile, server_url: str) -> dict[str, str]:
    """``urls`` of the templates. Without an answer file or a source those are empty texts, which templates can test."""
    path = answer_path(token, profile)
    return {
        "installed": f"{server_url}/installed/{token}",
        "failed": f"{server_url}/failed/{token}",
        "discovered": f"{server_url}/discovered/{token}",
        "answer": f"{server_url}/{quote(path)}" if path else "",
        "source": profile.source_url.replace("{server}", server_url),
        "image": profile.image_url.replace("{server}", server_url),
        "stage2": profile.stage2_url.replace("{server}", server_url),
    }


def names(
    host: Host,
    profile: Profile,
    *,
    token: str,
    server_url: str,
    server_address: int,
    network: HostNetwork = NO_NETWORK,
    defaults: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Everything a template sees. ``defaults``, the profile's and the host's variables are laid over one another, in this order.

    A host that is not configured is called by its hardware address with dashes, so that it can be a host name.
    """
    address = network.address or host.address or 0
    told = urls(token, profile, server_url)
    return {
        "host": {
            "name": host.name if host.configured else _unnamed(host),
            "mac": mac_text(host.mac) if host.mac else "",
            "uuid": host.uuid or "",
            "serial": host.serial or "",
            "address": address_text(address) if address else "",
            "netmask": address_text(network.netmask) if network.netmask else "",
            "gateway": address_text(network.gateway) if network.gateway else "",
            "dns": [address_text(server) for server in network.dns],
            "domain": network.domain,
        },
        "profile": {"name": profile.name},
        "vars": {**(defaults or {}), **profile.vars, **host.vars},
        "kickstart": laid_over(profile.kickstart, host.kickstart),
        "urls": told,
        "reports": _reports(profile, told),
        "server": {"address": address_text(server_address) if server_address else "", "url": server_url},
    }


def _reports(profile: Profile, told: Mapping[str, str]) -> dict[str, str]:
    """Lines of shell, for templates of answer files: nothing else has a use for them."""
    if profile.discovers:
        return {"discovered": " || ".join(report(told["discovered"], "hardware"))}
    if profile.answer is None or profile.answer in BUILT_IN:
        return {}
    return {
        "installed": one_line(told["installed"]),
        "failed": one_line(told["failed"], "/tmp/*.log /var/log/installer/*.log"),
        "busybox": busybox(told["installed"]),
        "busybox_failed": busybox_failed(told["failed"]),
    }


def _unnamed(host: Host) -> str:
    return f"host-{host.mac.hex()}" if host.mac else "host"
