"""The life of a machine, from new to installed, as one table: its states, what can happen to it, and where that leads.

Knows what each piece of evidence proves, and how long a stage may last. Must not know how evidence comes about, nor who acts on it
(``install``).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pxenet.model import InstallRecord, InstallState

DEFAULT_TIMEOUTS_S: Mapping[InstallState, float] = MappingProxyType(
    {
        # Firmware loads within a minute of its offer what it loads, and a boot loader its kernel, also where packets are lost.
        InstallState.OFFERED: 600.0,
        InstallState.LOADING: 1800.0,
        # A full server installation over a slow line takes an hour or two; one that takes four is stuck at a question.
        InstallState.BOOTED: 4 * 3600.0,
        InstallState.ANSWERED: 4 * 3600.0,
        InstallState.INSTALLING: 4 * 3600.0,
    }
)
"""Seconds that a machine may stay in a state; infinite for as long as it likes."""


class Evidence(enum.Enum):
    """What can happen to a machine. The first six are seen by the server, the others said or decided."""

    ASKED = "its firmware asks to boot again"
    """A DISCOVER by firmware (classes PXEClient and HTTPClient, iPXE included); never by an operating system."""
    OFFERED = "was offered a boot file"
    LOADING = "read a boot loader whole"
    BOOTED = "read the kernel whole"
    ANSWERED = "read its answer file whole"
    INSTALLING = "reads the repository"

    REPORTED_INSTALLED = "reported the end"
    REPORTED_FAILED = "reported a failure"
    REPORTED_DISCOVERED = "told what it is"
    EXHAUSTED = "started the installer too often"
    TIMED_OUT = "timed out"
    CANCELLED = "was taken back by order"
    RETIRED = "was taken out of service"
    ACCEPTED = "is a host now"
    REARMED = "was armed again"


OBSERVABLE = frozenset(
    {Evidence.ASKED, Evidence.OFFERED, Evidence.LOADING, Evidence.BOOTED, Evidence.ANSWERED, Evidence.INSTALLING}
)
"""What ``observe`` takes."""

STATES = tuple(InstallState)


_LIFE = """
                    new        offered    loading    booted     answered   installing installed failed     discovered cancelled  retired
ASKED               .          .          .          new        new        new        .         .          .          .          .
OFFERED             offered    .          .          .          .          .          .         .          .          .          .
LOADING             loading    loading    .          loading    loading    loading    .         .          .          .          .
BOOTED              booted     booted     booted     .          .          .          .         .          .          .          .
ANSWERED            answered   answered   answered   answered   .          .          .         .          .          .          .
# A running host may look into the repository: only after a boot of ours does that mean an installation.
INSTALLING          .          .          installing installing installing .          .         .          .          .          .
# Nobody can stop an installer that runs: when it reaches its end, that is what has happened.
REPORTED_INSTALLED  installed  installed  installed  installed  installed  installed  .         installed  .          installed  .
REPORTED_FAILED     failed     failed     failed     failed     failed     failed     .         .          .          .          .
REPORTED_DISCOVERED discovered discovered discovered discovered discovered discovered .         discovered .          discovered .
EXHAUSTED           .          .          .          failed     failed     failed     .         .          .          .          .
# Before its kernel nothing has happened to the machine: whatever was in its way, its next boot may try again.
TIMED_OUT           .          new        new        failed     failed     failed     .         .          .          .          .
CANCELLED           cancelled  cancelled  cancelled  cancelled  cancelled  cancelled  .         .          cancelled  .          .
RETIRED             retired    retired    retired    retired    retired    retired    retired   retired    retired    retired    .
REARMED             new        new        new        new        new        new        new       new        new        new        new
ACCEPTED            .          .          .          .          .          .          .         .          new        .          .
"""
"""The whole life of a machine: from each state (column), by each evidence (row), to the state named; a dot stays."""


def _table() -> Mapping[tuple[InstallState, Evidence], InstallState]:
    states, *rows = [line.split() for line in _LIFE.splitlines() if line and not line.startswith("#")]
    return MappingProxyType(
        {
            (InstallState(before), Evidence[evidence]): InstallState(before if after == "." else after)
            for evidence, *afters in rows
            for before, after in zip(states, afters, strict=True)
        }
    )


TRANSITIONS = _table()
"""(state, evidence) → state. Complete: what proves nothing leads back to the same state."""

BOOTS_AGAIN = frozenset({Evidence.ASKED, Evidence.LOADING})
"""What a machine under way does only when it was switched on anew. Its DISCOVER is not always ours to see: with ``dhcp.mode = "off"``
the first that shows is the boot loader."""

UNDER_WAY = frozenset({InstallState.BOOTED, InstallState.ANSWERED, InstallState.INSTALLING})
"""The installer has been started, and may be running."""

STAGES = frozenset(DEFAULT_TIMEOUTS_S)
"""States that time out."""

REPORTED = frozenset({InstallState.INSTALLED, InstallState.FAILED, InstallState.DISCOVERED})
"""What a machine itself says."""

ENDED = REPORTED | {InstallState.CANCELLED, InstallState.RETIRED}
"""Nothing is to be installed."""

_RANK = {state: rank for rank, state in enumerate(STATES)}


def moved(
    before: InstallRecord, evidence: Evidence, now: float, *, profile: str = "", reason: str = "", log: str = ""
) -> InstallRecord:
    """The record after ``evidence``; the very same object when that proves nothing new. States that were skipped count as passed."""
    state = TRANSITIONS[before.state, evidence]
    if state is before.state:
        return before
    reached = state in UNDER_WAY or state is InstallState.INSTALLED
    started = reached and _RANK[before.state] < _RANK[InstallState.BOOTED]
    failed = state is InstallState.FAILED
    return replace(
        before,
        state=state,
        profile=profile or before.profile,
        attempts=before.attempts + started,
        since_at=now,
        reason=reason if failed else "",
        log=log if failed else "",
    )
