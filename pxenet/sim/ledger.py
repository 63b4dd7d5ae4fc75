"""Who was given which address, kept from the outside: by what servers acknowledge, whatever they think they did.

Knows DHCP replies (RFC 2131 §3.1, §4.3.1); must not know machines or servers.
"""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.wire.dhcp import parse
from pxenet.wire.iana import BOOTREPLY, INFINITE, MessageType, OptionCode
from pxenet.wire.reader import WireError
from pxenet.wire.text import address_text, mac_text

_NEVER = float("inf")
_KEPT = 50
"""Faults that are told in words; all are counted."""


@dataclass(slots=True)
class _Held:
    mac: bytes
    until: float


class Ledger:
    """Watches acknowledgments."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._address: dict[bytes, int] = {}
        self.given_twice = 0
        """How often an address was given to a machine while another one held it."""
        self.moved = 0
        """How often a machine was given another address than before."""
        self.words: list[str] = []
        """The first addresses given twice."""

    def heard(self, payload: bytes, now: float) -> None:
        """A DHCP reply has reached the machine that it names."""
        if payload[:1] != bytes((BOOTREPLY,)):
            return
        try:
            message = parse(payload)
            if message.message_type != MessageType.ACK or not message.yiaddr:
                return
            lease_s = message.options.number(OptionCode.LEASE_TIME)
        except WireError:
            return
        if lease_s is None:
            return  # the answer to an INFORM, or a boot server's: nothing was given
        self._given(message.yiaddr, message.hardware, now, _NEVER if lease_s == INFINITE else now + lease_s)

    def held_until(self, mac: bytes) -> float:
        """When the lease of this machine ends; 0.0 when it has none."""
        held = self._held.get(self._address.get(mac, 0))
        return held.until if held is not None and held.mac == mac else 0.0

    def __len__(self) -> int:
        """Addresses in the book."""
        return len(self._held)

    def _given(self, address: int, mac: bytes, now: float, until: float) -> None:
        held = self._held.get(address)
        if held is not None and held.mac != mac and held.until > now:
            self.given_twice += 1
            words = f"{address_text(address)} to {mac_text(mac)} while {mac_text(held.mac)} held it"
            if len(self.words) < _KEPT:
                self.words.append(words)
        self._held[address] = _Held(mac, until)
        before = self._address.get(mac)
        if before is not None and before != address:
            self.moved += 1
            if (left := self._held.get(before)) is not None and left.mac == mac:
                del self._held[before]  # a machine has one network stack: taking an address it leaves the one before
        self._address[mac] = address
