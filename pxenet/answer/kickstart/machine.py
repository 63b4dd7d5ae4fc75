"""What a kickstart needs to know of the machine it is for, read out of the names that templates see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, in texts. Empty: not known."""

    name: str
    profile: str
    mac: str = ""
    address: str = ""
    netmask: str = ""
    gateway: str = ""
    dns: Sequence[str] = ()
    domain: str = ""
    source: str = ""
    """URL of the install tree."""
    installed: str = ""
    """URL that takes the report of the end."""
    failed: str = ""

    @property
    def fqdn(self) -> str:
        """The host name, with the network's domain where it has none of its own."""
        return f"{self.name}.{self.domain}" if self.domain and "." not in self.name else self.name


def machine_of(names: Mapping[str, object]) -> Machine:
    """The machine of ``answer.context.names``."""
    host, profile, urls = (mapping(names, key) for key in ("host", "profile", "urls"))
    dns = host.get("dns", ())
    return Machine(
        name=str(host.get("name", "")),
        profile=str(profile.get("name", "")),
        dns=tuple(str(each) for each in dns) if isinstance(dns, list | tuple) else (),
        **{key: str(host.get(key, "")) for key in ("mac", "address", "netmask", "gateway", "domain")},
        **{key: str(urls.get(key, "")) for key in ("source", "installed", "failed")},
    )


def mapping(names: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The mapping of that name; an empty one when there is none."""
    found = names.get(key)
    return found if isinstance(found, Mapping) else {}
