"""What installers read that are neither Anaconda nor Debian's: cloud-init's seed, AutoYaST's and Agama's profile, Ignition's file.

By the kernel's arguments, in the order in which they are fetched.

Facts: answerfiles.md §5 to §7. How these systems ask for an address was not captured.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Seed:
    """What one installer reads."""

    name: str
    """What to call the installer."""
    urls: tuple[str, ...]
    """The first is the answer file itself."""
    optional: tuple[str, ...] = ()
    """Asked for behind those, and missed by nobody."""


def seed_of(last: Callable[..., str]) -> Seed | None:
    """What the arguments lead to; ``last`` as ``installer.Arguments.last``. None for other installers."""
    cloud = re.match(r"nocloud(?:-net)?;(?:.*;)?(?:s|seedfrom)=([^;]+)", last("ds"))
    if cloud is not None:
        urls = tuple(cloud[1] + name for name in ("user-data", "meta-data"))
        return Seed("Ubuntu's installer", urls, tuple(cloud[1] + name for name in ("vendor-data", "network-config")))
    for names, name in _BY_ARGUMENT:
        url = last(*names)
        if url.startswith("http"):
            return Seed(name, (url,))
    return None


_BY_ARGUMENT = (
    (("autoyast", "autoyast2"), "AutoYaST"),
    (("inst.auto",), "Agama"),
    (("coreos.inst.ignition_url", "ignition.config.url"), "Ignition"),
)


def script_of(text: str) -> str:
    """The commands in an answer file of these kinds, as lines of shell; those that report a failure are not run."""
    lines = re.split(r"[\n\r]", re.sub(r'["\[\]<>{}]', " ", unquote(text)))
    return "\n".join(line for line in lines if "/failed/" not in line)
