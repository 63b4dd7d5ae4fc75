"""The iPXE script that starts GRUB behind another DHCP server.

GRUB takes its server from the DHCP answer (siaddr) and knows no ProxyDHCP. iPXE does, and what it starts sees an answer made of
iPXE's settings: with ``next-server`` put right there, GRUB finds us. The script is the same for all machines.
"""

from __future__ import annotations

from dataclasses import replace

from pxenet.boot.policy import GRUB_SCRIPT, LOADERS
from pxenet.content.tree import bytes_content
from pxenet.model import Absent, Asker, Content, Loader, Platform, Role
from pxenet.wire.text import address_text

_GRUB = {
    f"{platform.value}/{GRUB_SCRIPT}": files.names[0]
    for (platform, loader), files in LOADERS.items()
    if loader is Loader.GRUB and platform is not Platform.BIOS
}
_SCRIPT = """\
#!ipxe
set netX/next-server {server}
chain tftp://{server}/{grub} || goto failed
:failed
echo Could not start GRUB. Trying again in 30 seconds.
sleep 30
reboot
"""


class GrubScript:
    """The source of ``<platform>/grub.ipxe``."""

    def claims(self, path: str) -> bool:
        """It is the name of such a script."""
        return path in _GRUB

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        """The script, naming the address by which the machine reached us."""
        grub = _GRUB.get(path)
        if grub is None:
            return None
        server = address_text(asker.server) if asker.server else "${next-server}"
        text = _SCRIPT.format(server=server, grub=grub)
        return replace(bytes_content(path, text.encode(), mime="text/plain"), role=Role.CONFIG, private=True)
