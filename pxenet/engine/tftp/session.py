"""What a TFTP read and a TFTP write have in common: who, on which ports, and the measuring of time (RFC 6298).

Plain slotted classes, for they change with every packet. Knows the peer's address and numbers of seconds; must not know packets,
contents or clocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.engine.surface import NEVER
from pxenet.net.datagram import Datagram
from pxenet.wire.tftp import Request


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before sending again, and when to stop. Seconds.

    Boot clients send again after 0.4 to 5 s. A server that waits for whole seconds (dnsmasq, tftpd-hpa) loses nearly all of its
    throughput at 1 % loss, so the time-out follows the measured round trip down to ``floor_s``.
    """

    first_s: float = 0.5
    """Before any round trip was measured."""
    floor_s: float = 0.05
    cap_s: float = 8.0
    tries: int = 5
    """Give up after at least as many repetitions, and not before ``give_up_s``."""
    give_up_s: float = 20.0
    last_s: float = 5.0
    """The same for the last block: whoever got it owes us nothing but an ACK, which may be lost (RFC 1350 §6)."""
    dally_s: float = 5.0
    """How long the last ACK of a write is repeated on demand (RFC 1350 §6); EDK2 and U-Boot ask again within 5 s."""
    answer_s: float = 30.0
    """How long to wait for the content of a read, and for the fate of an upload."""


class Session:
    """One transfer: a request, the pair of ports it runs between, and its retransmission timer."""

    __slots__ = (
        "apart",
        "armed_at",
        "calm_s",
        "cap_s",
        "due_at",
        "fastest_s",
        "floor_s",
        "fresh",
        "id",
        "interface",
        "late",
        "path",
        "peer",
        "port",
        "progress_at",
        "request",
        "request_bytes",
        "retransmits",
        "rto_s",
        "rttvar_s",
        "since_at",
        "source",
        "srtt_s",
        "started_at",
        "timing",
        "tries",
    )

    def __init__(
        self, id: int, datagram: Datagram, request: Request, port: int, patience: Patience, now: float
    ) -> None:
        self.id = id
        """Of its want, or of its upload."""
        self.peer = datagram.peer
        self.source = datagram.local
        self.interface = datagram.interface
        self.port = port
        """Our TID."""
        self.request = request
        self.request_bytes = datagram.data
        """To tell a repeated request from another one."""
        self.path = request.filename
        self.fresh = True
        """Nothing but its request came from the peer yet."""
        self.late = False
        """Others come first: see ``turns``."""
        self.apart = True
        """Fresh, or late: not what most packets belong to."""
        self.due_at = NEVER
        self.armed_at = NEVER
        self.started_at = now
        self.progress_at = now
        """When the peer last said something new."""
        self.since_at = now
        """When what is outstanding was sent."""
        self.tries = 0
        """Repetitions since then."""
        self.retransmits = 0
        """Datagrams sent again, in all."""
        self.timing = True
        """What is outstanding was sent once, so that its answer measures a round trip (Karn, RFC 6298 §3)."""
        self.floor_s = patience.floor_s
        self.calm_s = patience.floor_s / 8
        self.cap_s = patience.cap_s
        self.rto_s = patience.first_s
        self.srtt_s = 0.0
        """0: nothing measured yet."""
        self.rttvar_s = 0.0
        self.fastest_s = 0.0
        """The shortest round trip measured; 0 before the first."""

    def measured(self, rtt_s: float) -> None:
        """Take a round trip into the retransmission time-out: RFC 6298 §2, with our floor and cap."""
        srtt_s, rttvar_s = self.srtt_s, self.rttvar_s
        if srtt_s:
            away_s = rtt_s - srtt_s
            rttvar_s += ((away_s if away_s > 0 else -away_s) - rttvar_s) / 4
            srtt_s += away_s / 8
            if rtt_s < self.fastest_s:
                self.fastest_s = rtt_s
        else:
            srtt_s = self.fastest_s = rtt_s
            rttvar_s = rtt_s / 2
        self.srtt_s, self.rttvar_s = srtt_s, rttvar_s
        rto_s = srtt_s + 4 * rttvar_s
        if rto_s < self.floor_s:
            rto_s = self.floor_s
        self.rto_s = rto_s if rto_s < self.cap_s else self.cap_s

    def back_off(self) -> None:
        """Nothing came in time: wait twice as long from now on (RFC 6298 §5.5), and measure nothing by an answer to a repetition."""
        self.tries += 1
        self.timing = False
        self.rto_s = min(self.rto_s * 2, self.cap_s)

    def bound(self, timeout_s: int | None) -> None:
        """The time-out that the client asked for bounds ours from above; it must not slow recovery (U-Boot asks for 5 s)."""
        if timeout_s is not None:
            self.cap_s = min(self.cap_s, float(timeout_s))
            self.rto_s = min(self.rto_s, self.cap_s)

    def release(self) -> None:
        """It is over: let go of what it holds, for the timers may remember it for a while."""
