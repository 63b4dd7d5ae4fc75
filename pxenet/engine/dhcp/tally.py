"""What the DHCP engine counts, for people and monitoring. RFC 2131 has no word on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class DhcpStatistics:
    """Counts since the start, and how much is held now."""

    received: Mapping[str, int]
    """By message type: "DISCOVER", "BOOTP"."""
    sent: Mapping[str, int]
    """By message type; proxy answers as "proxy OFFER" and "proxy ACK"."""
    dropped: Mapping[str, int]
    """Unanswered, by reason."""
    leases: int
    """Records of addresses, those that have ended included."""
    offers: int
    pending: int
    """ACKs that wait for the disk."""
    pool_taken: int
    """Addresses of pools that are not free: leased, remembered, offered or set aside."""
    pool_size: int


class Tally:
    """The counters while they count."""

    __slots__ = ("dropped", "received", "sent")

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def frozen(self) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]]:
        """Copies of (received, sent, dropped) that do not change any more."""
        received, sent, dropped = (
            MappingProxyType(dict(counter)) for counter in (self.received, self.sent, self.dropped)
        )
        return received, sent, dropped
