"""N machines as one thing: which firmware each has, when each is switched on, what became of them.

``Fleet`` does no I/O and reads no clock: what carries its datagrams (``link`` in virtual time, ``sockets`` in real time) tells it what
machines heard and when they came to an end.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice, pairwise

from pxenet.sim.body import FINAL, Relay, Stage
from pxenet.sim.figures import Histogram, Result, Traffic
from pxenet.sim.firmware import PERSONALITIES
from pxenet.sim.ledger import Ledger
from pxenet.sim.machine import Machine
from pxenet.wire.text import mac_text

FIRST_MAC = bytes.fromhex("025058000000")
"""Where the machines' hardware addresses begin: locally administered (the bit 0x02), so that no card has them."""

GOOD = frozenset({Stage.INSTALLED, Stage.DISCOVERED, Stage.LOCAL_DISK})
"""Stages in which nobody has to look after a machine."""


class PlanError(ValueError):
    """A fleet that cannot be. The message says what is wrong, and what would be right."""


# -- power ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Power:
    """How a rack is switched on: ``group`` machines in an instant, then a pause of ``every_s``; group 0: all in one."""

    group: int = 0
    every_s: float = 0.0

    def times(self, machines: int) -> list[float]:
        """When each machine is switched on, in seconds after the first."""
        if not self.group:
            return [0.0] * machines
        return [index // self.group * self.every_s for index in range(machines)]

    def __str__(self) -> str:
        if not self.group:
            return "at once"
        return f"{1 / self.every_s:g}/s" if self.group == 1 else f"{self.group} every {self.every_s:g} s"


AT_ONCE = Power()


def parse_power(text: str) -> Power:
    """``at-once``, ``50/s`` (a rate), or ``20x5s`` (staggered: twenty, then a pause of five seconds). Raises PlanError."""
    text = text.strip().lower()
    try:
        if text in ("at-once", "at once"):
            return AT_ONCE
        if text.endswith("/s"):
            return Power(1, 1 / _positive(text[:-2]))
        group, cross, every = text.removesuffix("s").partition("x")
        if cross:
            return Power(int(_positive(group)), _positive(every))
    except ValueError:
        pass
    raise PlanError(f"{text} is no way to switch machines on; write at-once, 50/s or 20x5s")


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0 or math.isinf(number):
        raise ValueError(text)
    return number


# -- the plan -----------------------------------------------------------------------------------------------------------------------


def parse_mix(text: str) -> dict[str, int]:
    """``bios=4,uefi=3,http=1``: firmware and its share. Raises PlanError."""
    mix: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (word.strip() for word in part.partition("="))
        if name not in PERSONALITIES:
            raise PlanError(f"{name or 'nothing'} is no firmware; there are {', '.join(PERSONALITIES)}")
        if equals and not (number.isascii() and number.isdecimal()):
            raise PlanError(f"{number or 'nothing'} is no number of machines; write {name}=4")
        mix[name] = mix.get(name, 0) + (int(number) if equals else 1)
    if not any(mix.values()):
        raise PlanError("the mix has no machine at all; write bios=4,uefi=3,http=1")
    return mix


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fleet is made of."""

    mix: Mapping[str, int]
    """Firmware (a key of ``PERSONALITIES``) → its share."""
    machines: int = 0
    """How many in all, in the proportions of ``mix``; 0: as many as the mix says."""
    power: Power = AT_ONCE
    seed: int = 0
    first_mac: bytes = FIRST_MAC
    known: tuple[bytes, ...] = ()
    """Hardware addresses of the first machines; ``first_mac`` is that of the next."""
    pace: float = 1.0
    """Of the times that machines spend on themselves (self-test, kernel start); 0: none."""

    @property
    def count(self) -> int:
        """How many machines."""
        return self.machines or sum(self.mix.values())

    def firmwares(self) -> list[str]:
        """Each machine's firmware, the kinds evenly interleaved."""
        total = sum(self.mix.values())
        places = sorted(
            ((number + 0.5) / share, order, name)
            for order, (name, share) in enumerate(self.mix.items())
            for number in range(share)
        )
        assert total == len(places)
        return list(islice(cycle(name for _, _, name in places), self.count))

    def macs(self) -> Iterator[bytes]:
        """Each machine's hardware address. Raises PlanError when they are not locally administered, or run out."""
        if len(self.first_mac) != 6 or self.first_mac[0] & 3 != 2:
            right = f"its first byte must be even and have the bit 0x02, as in {mac_text(FIRST_MAC)}"
            raise PlanError(f"{mac_text(self.first_mac)} is no locally administered address; {right}")
        known = self.known[: self.count]
        count = self.count - len(known)
        first = int.from_bytes(self.first_mac, "big")
        if (first + count) >> 40 != first >> 40:
            raise PlanError(f"there are no {count} addresses from {mac_text(self.first_mac)} on; begin lower")
        return chain(known, (number.to_bytes(6, "big") for number in range(first, first + count)))


# -- the fleet ----------------------------------------------------------------------------------------------------------------------

Again = Callable[[int, Machine, float], float | None]
"""What happens to a machine that has come to an end: the time at which it is switched on again, or None."""


def leave_it(index: int, machine: Machine, now: float) -> None:
    """A machine that has come to its end stays there."""


class Fleet:
    """See the module's text. ``machines`` in the order of their hardware addresses."""

    def __init__(
        self, plan: Plan, *, relay_of: Callable[[int], Relay | None] = lambda index: None, again: Again = leave_it
    ) -> None:
        self.plan = plan
        self._again = again
        seeds = random.Random(plan.seed)
        kinds = plan.firmwares()
        width = len(str(plan.count))
        self.machines: Sequence[Machine] = [
            Machine(
                PERSONALITIES[kind],
                mac,
                seeds.getrandbits(64),
                name=f"{kind}-{index + 1:0{width}}",
                relay=relay_of(index),
                pace=plan.pace,
            )
            for index, (kind, mac) in enumerate(zip(kinds, plan.macs(), strict=True))
        ]
        self.kinds: Sequence[str] = kinds
        self.index_of = {machine.mac: index for index, machine in enumerate(self.machines)}
        self.switched_on_at: list[float | None] = [None] * plan.count
        self.ended_at: list[float | None] = [None] * plan.count
        self.ledger = Ledger()
        self._stages: dict[Stage, Histogram] = {}
        self._whole = Histogram()
        self._running = plan.count
        self._first_at = math.inf
        self._last_at = 0.0
        self._ends: Counter[Stage] = Counter()

    @property
    def done(self) -> bool:
        """Every machine has come to its end."""
        return not self._running

    @property
    def over(self) -> int:
        """How many machines have come to their end."""
        return len(self.machines) - self._running

    def times(self) -> list[float]:
        """When each machine is switched on, in seconds after the first."""
        return self.plan.power.times(len(self.machines))

    def not_before(self, index: int, now: float) -> float | None:
        """Buttons are pressed as planned."""
        return None

    def switched_on(self, index: int, now: float) -> None:
        """A machine's button was pressed."""
        if self.ended_at[index] is not None:
            self._running += 1
        self.switched_on_at[index], self.ended_at[index] = now, None
        self._first_at = min(self._first_at, now)

    def heard(self, payload: bytes, now: float) -> None:
        """A DHCP reply has reached the machine that it is for."""
        self.ledger.heard(payload, now)

    def ended(self, index: int, now: float) -> float | None:
        """A machine has come to an end; when it shall be switched on again, if at all."""
        if self.ended_at[index] is not None:
            return None
        machine = self.machines[index]
        self.ended_at[index] = now
        self._running -= 1
        self._last_at = now
        self._ends[machine.stage] += 1
        self._note_times(index, machine, now)
        return self._again(index, machine, now)

    def stages(self) -> Counter[Stage]:
        """How many machines stand in which stage now."""
        return Counter(machine.stage for machine in self.machines)

    def result(self, now: float, traffic: Traffic) -> Result:
        """What has become of the fleet; ``now``: when the run was stopped, if it did not end by itself."""
        stages = self.stages()
        ends = {stage.value: stages[stage] for stage in Stage if stage in FINAL and stages[stage]}
        unfinished = sum(count for stage, count in stages.items() if stage not in FINAL)
        failures = Counter(machine.failure for machine in self.machines if machine.failure)
        last = self._last_at if self.done else now
        return Result(
            machines=len(self.machines),
            seed=self.plan.seed,
            mix=dict(Counter(self.kinds)),
            power=str(self.plan.power),
            elapsed_s=max(0.0, last - self._first_at),
            ends=ends | ({"unfinished": unfinished} if unfinished else {}),
            failures=dict(failures.most_common(20)),
            boots=sum(machine.boots for machine in self.machines),
            retries=sum(machine.retries for machine in self.machines),
            bytes_read=sum(machine.bytes_read for machine in self.machines),
            given_twice=self.ledger.given_twice,
            given_twice_words=tuple(self.ledger.words),
            moved=self.ledger.moved,
            stages={stage.value: times.figures() for stage in Stage if (times := self._stages.get(stage))},
            whole=self._whole.figures(),
            traffic=traffic,
        )

    def _note_times(self, index: int, machine: Machine, now: float) -> None:
        """How long it stayed in each stage of its last boot."""
        reached = sorted(machine.reached.items(), key=lambda entry: entry[1])
        for (stage, at), (_, until) in pairwise(reached):
            self._stages.setdefault(stage, Histogram()).add(until - at)
        switched_on_at = self.switched_on_at[index]
        if machine.stage in GOOD and switched_on_at is not None:
            self._whole.add(now - switched_on_at)
