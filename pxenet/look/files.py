"""What a file is for, by its name alone: a loader for some architecture, a configuration, a kernel, an answer file.

Names are what the boot loaders and installers of the field use. Knows names; must not know who asks for them.
"""

from __future__ import annotations

import enum
import re
from urllib.parse import unquote, urlsplit


class Purpose(enum.Enum):
    """What a file is for."""

    LOADER = "loader"
    CONFIG = "configuration"
    KERNEL = "kernel"
    INITRD = "initrd"
    ANSWER = "answer file"
    OTHER = "other"


class Platform(enum.Enum):
    """What a loader runs on, as far as its name tells."""

    BIOS = "BIOS"
    UEFI = "UEFI"


_PURPOSES = (
    (Purpose.ANSWER, r"(^|/)(ks|kickstart|preseed|user-data|meta-data|vendor-data|autoinst|autoyast|answer|unattend)[^/]*$"),
    (Purpose.ANSWER, r"\.(ks|preseed|seed)$"),
    (Purpose.CONFIG, r"pxelinux\.cfg/|grub\.cfg|boot\.ipxe|autoexec\.ipxe|\.ipxe$|\.(cfg|conf|lst|msg|txt)$|boot\.scr"),
    (Purpose.INITRD, r"(initrd|initramfs|installer\.img|initrd\.gz|cpio)[^/]*$"),
    (Purpose.KERNEL, r"(^|/)(vmlinu[xz]|linux|bzimage|kernel|image)[^/]*$|wimboot$"),
    (Purpose.LOADER, r"\.(0|efi|kpxe|kkpxe|pxe|c32|com|n12|wim|sdi)$|bootcode\.bin$|start[^/]*\.elf$"),
)  # fmt: skip
_PLATFORMS = (
    (Platform.UEFI, r"\.efi$"),
    (Platform.BIOS, r"\.(0|kpxe|kkpxe|pxe|com|n12)$"),
)
_ANSWER_ARGUMENTS = re.compile(
    r"(?:^|\s)(?:inst\.ks|ks|url|preseed/url|autoyast|autoinst|ds=nocloud(?:-net)?;s)=([^\s;\"']+)"
)


def path_of(name: str) -> str:
    """The path in an URL or a name, without what a query adds."""
    return unquote(urlsplit(name).path) if "://" in name or "?" in name else name


def purpose_of(name: str) -> Purpose:
    """What the file of this name, path or URL is for."""
    path = path_of(name).lower()
    return next((purpose for purpose, pattern in _PURPOSES if re.search(pattern, path)), Purpose.OTHER)


def platform_of(name: str) -> Platform | None:
    """What this loader runs on; None: its name does not tell."""
    path = path_of(name).lower()
    return next((platform for platform, pattern in _PLATFORMS if re.search(pattern, path)), None)


def answers_named(text: str) -> tuple[str, ...]:
    """The answer files that kernel arguments in this text name: URLs, or what stands for them."""
    return tuple(dict.fromkeys(_ANSWER_ARGUMENTS.findall(text)))
