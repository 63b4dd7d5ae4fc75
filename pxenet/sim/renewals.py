"""What installed machines do for years: keep their lease (RFC 2131 §4.4.5), in virtual time.

Knows the renewing REQUEST of a system's DHCP client; the ledger tells whether it was granted. Must not know servers.
"""

from __future__ import annotations

import random

from pxenet.sim.body import ClientSend
from pxenet.sim.dhcp import CLIENT_PORT, SERVER_PORT
from pxenet.sim.fleet import GOOD
from pxenet.sim.link import Link
from pxenet.wire.dhcp import Message, serialize
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.options import Options

SHORTEST_S = 60.0
"""Between two tries (RFC 2131 §4.4.5)."""


class Renewals:
    """``begin`` when a machine's system runs; ``asked`` and ``expired`` count."""

    def __init__(self, link: Link, seed: int = 0) -> None:
        self._link = link
        self._random = random.Random(seed)
        self.asked = 0
        self.expired = 0
        """Leases that ran out although their machine asked in time."""

    def begin(self, index: int) -> None:
        """The system of this machine runs, and keeps its lease until it is switched off."""
        machine = self._link.fleet.machines[index]
        self._wait(index, machine.boots)

    def _wait(self, index: int, boot: int) -> None:
        """Half of what is left, then again half of that, a minute at least."""
        link = self._link
        until = link.fleet.ledger.held_until(link.fleet.machines[index].mac)
        pause = max((until - link.now) / 2, SHORTEST_S) * self._random.uniform(0.95, 1.05)
        if pause < float("inf"):
            link.call(link.now + pause, lambda: self._renew(index, boot))

    def _renew(self, index: int, boot: int) -> None:
        link = self._link
        machine = link.fleet.machines[index]
        if machine.boots != boot or machine.stage not in GOOD or not machine.address:
            return  # it was switched off meanwhile
        if link.fleet.ledger.held_until(machine.mac) <= link.now:
            self.expired += 1
            return
        self.asked += 1
        # Message type first, then who it is and what it wants to know: as udhcpc renews.
        options = Options(
            (
                (OptionCode.MESSAGE_TYPE, bytes((MessageType.REQUEST,))),
                (OptionCode.CLIENT_ID, b"\1" + machine.mac),
                (OptionCode.PARAMETER_LIST, bytes((1, 3, 6, 12, 15, 28, 42))),
            )
        )
        request = Message(
            op=BOOTREQUEST,
            xid=self._random.getrandbits(32),
            ciaddr=machine.address,
            chaddr=machine.mac.ljust(16, b"\0"),
            options=options,
        )
        link.send(index, ClientSend(serialize(request), link.server_address, SERVER_PORT, CLIENT_PORT, machine.address))
        self._wait(index, boot)
