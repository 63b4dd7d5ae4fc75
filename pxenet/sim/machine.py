"""One simulated machine: power on, what it hears goes in, what it says comes out; no socket, no clock, no thread.

    machine = Machine(PERSONALITIES["bios"], parse_mac("02:00:00:00:00:01"), seed=1)
    said = machine.power_on(now)  ->  Said(sends=[ClientSend(DISCOVER…)], fetches=[])

Deterministic: the same personality, hardware address, seed and answers give the same bytes at the same times.
"""

from __future__ import annotations

from pxenet.sim.body import (
    FINAL,
    NEVER,
    Body,
    BootError,
    ClientSend,
    Heard,
    HttpFetch,
    HttpReply,
    Manners,
    RebootError,
    Relay,
    Said,
    SimDatagram,
    Stage,
    Steps,
)
from pxenet.sim.firmware import PERSONALITIES, Personality, life
from pxenet.wire.reader import WireError

__all__ = [
    "FINAL",
    "NEVER",
    "PERSONALITIES",
    "ClientSend",
    "HttpFetch",
    "HttpReply",
    "Machine",
    "Personality",
    "Relay",
    "Said",
    "SimDatagram",
    "Stage",
]

MAX_RESETS = 5
"""How often a machine resets itself before it counts as failed: a boot text that reboots for ever is a failure to a person."""


class Machine(Body):
    """See the module's text.

    ``stage``, ``reached`` (stage → when first, in this boot), ``retries`` (anything said again), ``boots``, ``file`` (being read),
    ``bytes_read``, ``address``, ``failure`` (why it stopped, in words) and ``trail`` (what it would show on its screen) may be read.
    """

    def __init__(
        self,
        personality: Personality,
        mac: bytes,
        seed: int,
        *,
        name: str = "",
        relay: Relay | None = None,
        uuid: bytes | None = None,
        serial: str = "",
        pace: float = 1.0,
        manners: Manners | None = None,
    ) -> None:
        """``pace`` scales the times a machine spends on itself (self-test, kernel start), never those of its protocols; 0: none."""
        super().__init__(mac, seed, relay=relay, uuid=uuid, serial=serial, pace=pace)
        if manners is not None:
            self.manners = manners
        self.personality = personality
        self.name = name or mac.hex(":")
        self._life: Steps[None] | None = None
        self._wakes_at = NEVER
        self._resets = 0

    def power_on(self, now: float) -> Said:
        """Press the button: whatever it was doing is over, it begins anew."""
        self._resets = 0
        return self._begin(now)

    def power_off(self) -> None:
        """Pull the plug."""
        self._life, self._wakes_at, self.stage = None, NEVER, Stage.OFF

    def receive(self, datagram: SimDatagram, now: float) -> Said:
        """A datagram has arrived. What is none of its business is ignored, as is anything while it is off."""
        self.now = now
        return self._go_on(datagram)

    def fetched(self, id: int, reply: HttpReply, now: float) -> Said:
        """The reply to an HTTP request of this machine is complete, or will never be."""
        self.now = now
        return self._go_on((id, reply))

    def tick(self, now: float) -> Said:
        """Do what is due."""
        self.now = now
        return self._go_on(None) if now >= self._wakes_at else Said()

    def deadline(self) -> float:
        """When ``tick`` is next needed; NEVER when it waits for nothing."""
        return self._wakes_at

    @property
    def over(self) -> bool:
        """Nothing more will happen by itself."""
        return self.stage in FINAL

    def _begin(self, now: float) -> Said:
        self.now = now
        self.boots += 1
        self.stage = Stage.OFF
        self.reached = {}
        self.reads, self.replies = [], []
        self.address = self.netmask = self.router = self.bytes_read = 0
        self.file = self.failure = ""
        self._life = life(self, self.personality)
        return self._go_on(None)

    def _go_on(self, heard: Heard) -> Said:
        self.said = said = Said()
        if self._life is None:
            return said
        try:
            self._wakes_at = self._life.send(heard)
        except StopIteration:
            self._life, self._wakes_at = None, NEVER
        except RebootError as reset:
            self.note(str(reset))
            self.retries += 1
            self._resets += 1
            if self._resets > MAX_RESETS:
                self._stop(f"reset {self._resets} times: {reset}")
                return said
            more = self._begin(self.now)
            said.sends += more.sends
            said.fetches += more.fetches
        except (BootError, WireError) as error:
            self._stop(str(error))
        return said

    def _stop(self, words: str) -> None:
        self._life, self._wakes_at = None, NEVER
        self.failure = words
        self.note(words)
        self.enter(Stage.FAILED)
