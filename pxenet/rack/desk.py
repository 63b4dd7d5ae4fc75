"""What ``check`` and ``render`` work at, and the server before it starts: a rack of a configuration, with a store that forgets."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from types import TracebackType

from pxenet.answer.confined import Confined
from pxenet.config import Settings
from pxenet.model import Host
from pxenet.net.datagram import Interface
from pxenet.rack.rack import Rack
from pxenet.store.memory import MemoryStore

_UNKNOWN_MAC = bytes.fromhex("020000000001")
"""Stands for a machine that no [[host]] names: locally administered, so nobody's card has it."""


class Desk:
    """A rack to ask, and the address under which its clients would know the server. To be closed: templates are rendered by a child."""

    def __init__(self, settings: Settings, present: Sequence[Interface]) -> None:
        """``present``: the interfaces of this machine."""
        self.settings = settings
        self.present = tuple(present)
        self.address = self._address()
        # Tokens are made of the store's secret: a fixed one, so that the same configuration shows the same texts each time.
        self._engine = Confined(again_s=math.inf)
        self.rack = Rack(
            settings,
            MemoryStore(secret=bytes(32)),
            interfaces=self.present,
            tell=lambda event: None,
            clock=time.time,
            engine=self._engine,
        )

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()

    def hosts(self) -> list[Host]:
        """Every host of the configuration, and one that stands for all others when those are installed too."""
        hosts = list(self.settings.hosts)
        unknown = self.rack.hosts.of_mac(_UNKNOWN_MAC)
        return [*hosts, unknown] if unknown.profile is not None else hosts

    def _address(self) -> int:
        """``server.address``, else that of the interface that is served, else a guess: the first address of the first subnet."""
        if self.settings.server.address is not None:
            return self.settings.server.address
        served = [
            interface.addresses[0][0]
            for interface in self.present
            if interface.addresses and interface.name != "lo" and self._serves(interface)
        ]
        for address in served:
            if self.settings.subnet_of(address) is not None:
                return address
        if self.settings.dhcp.subnets:
            return self.settings.dhcp.subnets[0].network + 1
        return served[0] if served else 0x7F000001

    def _serves(self, interface: Interface) -> bool:
        names = self.settings.server.interfaces
        return not names or interface.name in names
