"""The install states of all machines: who may move them along the table of ``life``, and when.

Knows tokens, attempts and time-outs. Must not know how evidence comes about (DHCP, transfers, callbacks over HTTP are the
caller's), nor how records are stored: it says what must become durable, and is told the verdict.

What the server sees moves a machine at once; the store follows, and a failed write is tried again. A machine's own report is
different: the 200 promises that it will never be installed again, so its transition happens only when it is durable.

Times are seconds since the epoch: they are stored, and must mean something after a restart.
"""

from __future__ import annotations

import enum
import hashlib
import heapq
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pxenet.engine.life import (
    BOOTS_AGAIN,
    DEFAULT_TIMEOUTS_S,
    ENDED,
    OBSERVABLE,
    REPORTED,
    STAGES,
    UNDER_WAY,
    Evidence,
    moved,
)
from pxenet.engine.surface import NEVER
from pxenet.events import Event
from pxenet.model import InstallRecord, InstallState, Verdict

DEFAULT_SETTLE_S = 2.0
"""A DISCOVER this soon after the kernel is a late or repeated one of the same boot: no firmware resets and asks again so fast."""

RETRY_S = 5.0
"""How long after a failed write the record is offered to the store again."""

MAX_REASON = 500
"""Characters kept of what a machine says about its failure."""

MAX_LOG = 8000
"""Characters kept of the log that a machine sends with it: the last ones."""

MAX_GUESTS = 16_384
"""Tokens kept for machines that have no record and are not configured: names of boot texts are easily invented."""

_REMEMBERED_GENERATIONS = 8
"""Tokens of earlier armings that are still told "stale" rather than "unknown", so that reinstalling every day takes no memory."""


class CallbackStatus(enum.Enum):
    """What a callback is answered."""

    ACCEPTED = "accepted"  # 200, once the changes are durable
    UNKNOWN = "unknown"  # no such token
    STALE = "stale"  # a token of an earlier arming, or a failure reported after the end


@dataclass(frozen=True, slots=True)
class CallbackResult:
    """The answer to a callback. With ``changes``, a 200 may leave only when every one of them is durable."""

    status: CallbackStatus
    key: str = ""
    changes: tuple[InstallRecord, ...] = ()
    events: tuple[Event, ...] = ()
    """To be told now; what the transition itself has to tell comes from ``committed``."""
    reason: str = ""
    """Why it was refused, in words."""


class Installs:
    """The install states of all machines. See the module's text for when they move."""

    def __init__(
        self,
        records: Iterable[InstallRecord],
        secret: bytes,
        *,
        max_attempts: int = 3,
        timeouts_s: Mapping[InstallState, float] = DEFAULT_TIMEOUTS_S,
        settle_s: float = DEFAULT_SETTLE_S,
        keys: Iterable[str] = (),
        began_at: float = -NEVER,
    ) -> None:
        """``records`` as stored; ``keys`` of the configured machines, whose tokens are to be known before they show themselves.

        ``timeouts_s``: seconds for each of ``life.STAGES``. ``began_at``: when this server was started; a boot that was under way at
        that moment has perhaps lost a transfer by it, and is no attempt when its machine begins anew.
        """
        self._secret = secret
        self._max_attempts = max_attempts
        self._timeouts_s = timeouts_s
        self._settle_s = settle_s
        self._began_at = began_at
        self._records: dict[str, InstallRecord] = {}
        # Token → (key, generation). Looking a guess up in a dictionary compares whole strings only after a keyed hash of all of it has
        # matched, so the time it takes says nothing about how much of the guess is right; no constant-time compare is needed.
        self._tokens: dict[str, tuple[str, int]] = {}
        self._token_of: dict[str, str] = {}
        self._configured = frozenset(keys)
        # Machines of which nothing but a token is known, the oldest first.
        self._guests: dict[str, None] = {}
        # Machines in a stage, and when they time out. An entry of the heap counts only where the dictionary says the same: a report
        # that failed to be written, or a clock set back, brings in a machine that is due before others.
        self._staged: dict[str, float] = {}
        self._dues: list[tuple[float, str]] = []
        # Reports whose commit is on its way: the record they lead to, and how many commits carry it.
        self._reports: dict[str, tuple[InstallRecord, int]] = {}
        self._unwritten: dict[str, float] = {}
        for record in records:
            self._records[record.key] = record
            for generation in range(max(1, record.generation - _REMEMBERED_GENERATIONS), record.generation):
                self._tokens[self._make_token(record.key, generation)] = (record.key, generation)
            self.token(record.key)
            self._watch(record)
        for key in self._configured:
            self.token(key)

    def reconfigure(
        self,
        *,
        max_attempts: int,
        keys: Iterable[str],
        timeouts_s: Mapping[InstallState, float] = DEFAULT_TIMEOUTS_S,
    ) -> None:
        """From now on these machines are configured. Nobody's state or token changes, nor what is being written."""
        self._max_attempts = max_attempts
        if timeouts_s != self._timeouts_s:
            self._timeouts_s = timeouts_s
            for record in [record for record in self._records.values() if record.state in STAGES]:
                if record.key not in self._reports:
                    self._watch(record)
        left, self._configured = self._configured, frozenset(keys)
        for key in self._configured:
            self._guests.pop(key, None)
            self.token(key)
        for key in sorted(left - self._configured):
            if key not in self._records:
                self._welcome(key)

    def record(self, key: str) -> InstallRecord | None:
        """Where a machine stands; None: never seen."""
        return self._records.get(key)

    def records(self) -> list[InstallRecord]:
        """All of them."""
        return list(self._records.values())

    def armed(self, key: str) -> bool:
        """The machine is to be installed: it has reported no end, and nobody said otherwise. One never seen is armed."""
        record = self._records.get(key)
        return record is None or record.state not in ENDED

    def token(self, key: str) -> str:
        """The machine's secret name in URLs, 32 hex digits; another one each time it is armed."""
        token = self._token_of.get(key)
        if token is None:
            generation = self._current(key).generation
            token = self._token_of[key] = self._make_token(key, generation)
            self._tokens[token] = (key, generation)
            if key not in self._records and key not in self._configured:
                self._welcome(key)
        return token

    def owner(self, token: str) -> str | None:
        """Whose token this is or was; None for unknown ones."""
        return self._tokens.get(token, ("", 0))[0] or None

    def key_of(self, token: str) -> str | None:
        """Whose current token this is; None for stale and unknown ones."""
        key, generation = self._tokens.get(token, ("", 0))
        return key if key and generation == self._current(key).generation else None

    def observe(
        self, key: str, evidence: Evidence, profile: str, now: float
    ) -> tuple[list[InstallRecord], list[Event]]:
        """Take what the server saw; the machine moves at once. Most evidence proves nothing new and returns nothing.

        ``evidence`` is one of :data:`OBSERVABLE`, ``profile`` the name of what it boots, or empty.
        """
        if evidence not in OBSERVABLE:
            raise ValueError(f"{evidence} is not something that can be observed")
        if key in self._reports:
            return [], []  # the report on its way to the disk settles it, and must not be overtaken by an older state
        before = self._current(key)
        if evidence in BOOTS_AGAIN and before.state in UNDER_WAY:
            if 0 <= now - before.since_at < self._settle_s:
                return [], []
            if before.attempts and before.since_at < self._began_at:
                before = replace(before, attempts=before.attempts - 1)
            elif before.attempts >= self._max_attempts:
                evidence = Evidence.EXHAUSTED
        why = evidence.value
        if evidence is Evidence.EXHAUSTED:
            why = f"started the installer {before.attempts} times and never reported the end"
        after = moved(before, evidence, now, profile=profile, reason=why)
        if after is before:
            return [], []
        return [self._put(after)], [self._told(before, after, evidence, why)]

    def callback(self, token: str, outcome: str, reason: str, now: float, log: str = "") -> CallbackResult:
        """A machine reports: ``outcome`` is "installed", "failed" or "discovered", ``reason`` its own words, or empty.

        ``log`` is what it sends along with a failure.

        Nothing has happened yet when this returns: the transition is made by ``committed`` with the verdict ``DURABLE``. A report
        that says nothing new is accepted without changes. Any other outcome is a ValueError.
        """
        evidence = _OUTCOMES.get(outcome)
        if evidence is None:
            raise ValueError(f"{outcome!r} is not an outcome; a machine reports {', '.join(_OUTCOMES)}")
        key, generation = self._tokens.get(token, ("", 0))
        if not key:
            return _refused(CallbackStatus.UNKNOWN, "", "no machine has this token")
        before, carried = self._reports.get(key, (self._current(key), 0))
        if generation != before.generation:
            return _refused(CallbackStatus.STALE, key, "its token is from before the machine was armed again")
        if evidence is Evidence.REPORTED_FAILED and before.state is InstallState.INSTALLED:
            return _refused(CallbackStatus.STALE, key, "it says failed, but has reported installed before")
        after = moved(before, evidence, now, reason=reason[:MAX_REASON] or evidence.value, log=log[-MAX_LOG:])
        if after is before and not carried:
            return CallbackResult(CallbackStatus.ACCEPTED, key)
        self._reports[key] = (after, carried + 1 if after is before else 1)
        self._staged.pop(key, None)  # it does not time out while its report is being written
        return CallbackResult(CallbackStatus.ACCEPTED, key, (after,))

    def rearm(self, key: str, now: float) -> tuple[list[InstallRecord], list[Event]]:
        """Arm a machine again: an explicit act of a person, to be confirmed to them only when durable. Old tokens are stale."""
        return self._begin_anew(key, Evidence.REARMED, now)

    def retire(self, key: str, now: float) -> tuple[list[InstallRecord], list[Event]]:
        """Take a machine out of service, whatever it does: a person's act like ``rearm``, which alone undoes it."""
        return (
            self._begin_anew(key, Evidence.RETIRED, now)
            if self._current(key).state is not InstallState.RETIRED
            else ([], [])
        )

    def accept(self, key: str, now: float) -> tuple[list[InstallRecord], list[Event]]:
        """A machine that told what it is has become a host: it is armed; nothing, when it is in another state."""
        discovered = self._current(key).state is InstallState.DISCOVERED
        return self._begin_anew(key, Evidence.ACCEPTED, now) if discovered else ([], [])

    def cancel(self, key: str, now: float) -> tuple[list[InstallRecord], list[Event]]:
        """Take back that a machine is to be installed; nothing, when it is not. Its token stays: an installer that runs may report."""
        before = self._current(key)
        if key in self._reports:
            return [], []  # it has come to an end, which is being written
        after = moved(before, Evidence.CANCELLED, now)
        if after is before:
            return [], []
        return [self._put(after)], [self._told(before, after, Evidence.CANCELLED, Evidence.CANCELLED.value)]

    def _begin_anew(self, key: str, evidence: Evidence, now: float) -> tuple[list[InstallRecord], list[Event]]:
        """What was before counts no more: neither attempts nor tokens."""
        before = self._current(key)
        after = replace(
            moved(before, evidence, now), generation=before.generation + 1, attempts=0, reason="", log="", since_at=now
        )
        self._reports.pop(key, None)
        self._token_of.pop(key, None)
        self._tokens.pop(self._make_token(key, after.generation - _REMEMBERED_GENERATIONS - 1), None)
        self._put(after)
        self.token(key)
        return [after], [self._told(before, after, evidence, evidence.value)]

    def committed(self, change: InstallRecord, verdict: Verdict, now: float) -> list[Event]:
        """The fate of a change that this class asked to make durable.

        A report takes effect here, or with a failed write not at all: the machine stays where it was and its callback is to be
        answered 503, so that it tries again. Other changes that could not be written are offered again by ``tick``.
        """
        key = change.key
        before = self._current(key)
        self._settle_report(change)
        if verdict is not Verdict.DURABLE:
            if before == change:  # else a newer record is on its way and has a verdict of its own
                self._unwritten.setdefault(key, now + RETRY_S)
            return []
        if before == change:
            self._unwritten.pop(key, None)
        if not self._is_news(before, change):
            return []
        self._put(change)
        self._unwritten.pop(key, None)  # what the store had missed is overwritten by this
        evidence = _EVIDENCE_OF[change.state]
        return [self._told(before, change, evidence, change.reason or evidence.value)]

    def tick(self, now: float) -> tuple[list[InstallRecord], list[Event]]:
        """End what has been in a stage for too long, and offer again what could not be written."""
        changes: list[InstallRecord] = []
        events: list[Event] = []
        while self._first_due() <= now:
            _, key = heapq.heappop(self._dues)
            before = self._records[key]
            why = f"timed out: {before.state.value} for {_span(self._timeouts_s[before.state])}"
            after = self._put(moved(before, Evidence.TIMED_OUT, now, reason=why))
            changes.append(after)
            events.append(self._told(before, after, Evidence.TIMED_OUT, why))
        for key in [key for key, due in self._unwritten.items() if due <= now]:
            if key in self._reports:
                self._unwritten[key] = now + RETRY_S
            else:
                del self._unwritten[key]
                changes.append(self._records[key])
        return changes, events

    def clock_moved(self, by_s: float, now: float, within_s: float) -> list[InstallRecord]:
        """The clock was stepped by so much (negative: back) within the last ``within_s``; what should become durable.

        Nobody has waited for that long: the times of machines under way move along, but for those that are by the new clock already.
        """
        changes: list[InstallRecord] = []
        self._began_at += by_s
        for record in [record for record in self._records.values() if record.state in STAGES]:
            if now - within_s <= record.since_at <= now:
                continue
            moved = self._records[record.key] = replace(record, since_at=record.since_at + by_s)
            if record.key not in self._reports:  # else the report is written next, and this must not overtake it
                self._watch(moved)
                changes.append(moved)
        self._unwritten = {key: due + by_s for key, due in self._unwritten.items()}
        return changes

    def deadline(self) -> float:
        """When ``tick`` is next needed."""
        return min(self._first_due(), min(self._unwritten.values(), default=NEVER))

    def _settle_report(self, change: InstallRecord) -> None:
        """One of the commits that carry this report is done, well or badly."""
        report, carried = self._reports.get(change.key, (None, 0))
        if report != change:
            return
        if carried > 1:
            self._reports[change.key] = (change, carried - 1)
        else:
            del self._reports[change.key]
            self._watch(self._current(change.key))

    @staticmethod
    def _is_news(before: InstallRecord, change: InstallRecord) -> bool:
        """A durable report that has not taken effect yet; an earlier arming's, or one overtaken by "installed", never will."""
        return (
            change.state in REPORTED
            and change.generation == before.generation
            and before.state is not InstallState.INSTALLED
            and before != change
        )

    def _first_due(self) -> float:
        while self._dues and self._staged.get(self._dues[0][1]) != self._dues[0][0]:
            heapq.heappop(self._dues)
        return self._dues[0][0] if self._dues else NEVER

    def _current(self, key: str) -> InstallRecord:
        return self._records.get(key) or InstallRecord(key, InstallState.NEW)

    def _make_token(self, key: str, generation: int) -> str:
        return hmac.new(self._secret, f"{key}|{generation}".encode(), hashlib.sha256).hexdigest()[:32]

    def _welcome(self, guest: str) -> None:
        self._guests[guest] = None
        if len(self._guests) > MAX_GUESTS:
            forgotten = next(iter(self._guests))
            del self._guests[forgotten]
            del self._tokens[self._token_of.pop(forgotten)]

    def _put(self, record: InstallRecord) -> InstallRecord:
        self._records[record.key] = record
        self._guests.pop(record.key, None)
        self._watch(record)
        return record

    def _watch(self, record: InstallRecord) -> None:
        self._staged.pop(record.key, None)
        due_at = record.since_at + self._timeouts_s.get(record.state, NEVER)
        if due_at < NEVER:
            self._staged[record.key] = due_at
            heapq.heappush(self._dues, (due_at, record.key))

    def _told(self, before: InstallRecord, after: InstallRecord, evidence: Evidence, why: str) -> Event:
        detail = {
            "key": after.key,
            "state": after.state.value,
            "before": before.state.value,
            "why": why,
            "profile": after.profile,
            "attempts": after.attempts,
            "callback": f"installed/{self.token(after.key)}",
        }
        if after.log:
            detail["log"] = after.log
        kind = "install.stalled" if _stalled(before, evidence) else _KIND_OF.get(evidence, "install.state")
        return Event(kind, _mac_of(after.key), 0, detail)


_OUTCOMES = {
    "installed": Evidence.REPORTED_INSTALLED,
    "failed": Evidence.REPORTED_FAILED,
    "discovered": Evidence.REPORTED_DISCOVERED,
}
_EVIDENCE_OF = {InstallState(outcome): evidence for outcome, evidence in _OUTCOMES.items()}
_KIND_OF = {
    Evidence.REPORTED_INSTALLED: "install.installed",
    Evidence.REPORTED_FAILED: "install.failed",
    Evidence.TIMED_OUT: "install.failed",
    Evidence.EXHAUSTED: "install.stopped",
    Evidence.CANCELLED: "install.cancelled",
    Evidence.RETIRED: "install.retired",
}


def _stalled(before: InstallRecord, evidence: Evidence) -> bool:
    return evidence is Evidence.TIMED_OUT and before.state not in UNDER_WAY


def _refused(status: CallbackStatus, key: str, why: str) -> CallbackResult:
    event = Event("install.callback_refused", _mac_of(key), 0, {"key": key, "why": why})
    return CallbackResult(status, key, (), (event,), why)


def _mac_of(key: str) -> bytes:
    """The hardware address in a host's key; empty for hosts known by other marks."""
    try:
        return bytes.fromhex(key.replace(":", ""))
    except ValueError:
        return b""


def _span(seconds: float) -> str:
    unit, size = next(((unit, size) for unit, size in (("h", 3600), ("min", 60)) if seconds >= size), ("s", 1))
    return f"{seconds / size:g} {unit}"
