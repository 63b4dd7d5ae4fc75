"""What the rack can tell of its decisions while it takes them, beside what the DHCP engine tells: for ``explain``."""

from __future__ import annotations

from typing import Protocol

from pxenet.boot.policy import Plan
from pxenet.engine.dhcp.recorder import Recorder as DhcpRecorder
from pxenet.model import Absent, Asker, BootClient, BootFile, Content, Host


class Recorder(DhcpRecorder, Protocol):
    """Told of what a machine boots and of each content that is asked for, with the very values that are used."""

    def booted(self, client: BootClient, host: Host, plan: Plan, boot: BootFile, *, proxied: bool) -> None:
        """What the machine shall do, and what this client of it is told to load."""
        ...

    def found(self, path: str, asker: Asker, found: Content | Absent) -> None:
        """What a client has asked for, as it spelled the name, and what it gets."""
        ...
