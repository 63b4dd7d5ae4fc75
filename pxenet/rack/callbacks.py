"""What machines report by HTTP: the end of their installation, its failure with the end of a log, or what they are.

Knows the names of the callbacks and what stands in their bodies, which anybody may have written: nothing in it is believed, and no
more kept than has room. Must not know how a report becomes durable; its reply may leave only then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from pxenet.engine.http import Reply, Request
from pxenet.engine.install import CallbackResult, CallbackStatus, Installs
from pxenet.events import Event
from pxenet.model import Change
from pxenet.rack.discovered import record
from pxenet.wire import discovery
from pxenet.wire.reader import WireError

_CALLBACKS = ("installed", "failed", "discovered")
_REFUSALS = {CallbackStatus.UNKNOWN: 404, CallbackStatus.STALE: 409}


@dataclass(frozen=True, slots=True)
class Report:
    """What a machine's callback leads to: ``reply`` may leave only when ``changes`` are durable."""

    reply: Reply
    changes: tuple[Change, ...] = ()


class Callbacks:
    """Takes the reports. ``waits(key)``: nobody has made a host of the machine whose state is stored under that key.

    ``conceal(key, text)``: the text without what that machine was told in confidence; installers write all kinds of things into logs.
    """

    def __init__(
        self,
        installs: Installs,
        waits: Callable[[str], bool],
        conceal: Callable[[str, str], str],
        *,
        tell: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._installs = installs
        self._waits = waits
        self._conceal = conceal
        self._tell = tell
        self._clock = clock

    def take(self, request: Request) -> Report | None:
        """What a request leads to; None when it is no report."""
        outcome, _, token = request.path.strip("/").partition("/")
        if outcome not in _CALLBACKS or "/" in token or not token:
            return None
        if request.method not in ("GET", "POST"):
            return Report(Reply(405, "a report is made by GET or POST\n"))
        if outcome == "discovered":
            return self._what_it_is(token, request.body) if request.method == "POST" else self._has_a_host(token)
        log = request.body.decode("utf-8", "replace").strip()
        words = parse_qs(request.query).get("reason", [reason_in(log)])[0]
        if key := self._installs.owner(token):
            log, words = self._conceal(key, log), self._conceal(key, words)
        result = self._installs.callback(token, outcome, words.strip(), self._clock(), log)
        return self._refused(result) or Report(Reply(200, f"{outcome}: noted\n"), result.changes)

    def _what_it_is(self, token: str, body: bytes) -> Report:
        now = self._clock()
        try:
            hardware = discovery.parse(body)
        except WireError as error:
            return Report(Reply(400, f"{error}\n"))
        result = self._installs.callback(token, "discovered", "", now)
        told = record(result.key, now, hardware)
        return self._refused(result) or Report(Reply(200, "discovered: noted\n"), (*result.changes, told))

    def _has_a_host(self, token: str) -> Report:
        """What a machine asks that has told what it is; also with the token of then."""
        key = self._installs.owner(token)
        if key is None:
            return Report(Reply(404, "no machine has this token\n"))
        return Report(Reply(200, "waiting\n" if self._waits(key) else "accepted\n"))

    def _refused(self, result: CallbackResult) -> Report | None:
        for event in result.events:
            self._tell(event)
        status = _REFUSALS.get(result.status)
        return Report(Reply(status, f"{result.reason}\n")) if status is not None else None


_HEADING = re.compile(r"==> .* <==")
"""``tail`` puts it above each of several files."""

_TROUBLE = re.compile(
    r"\b(error|err|fail|failed|failure|fatal|critical|traceback|cannot|could not)\b|exception", re.IGNORECASE
)


def reason_in(log: str) -> str:
    """The last line of a log that speaks of trouble, else its last line; empty for an empty log."""
    lines = [line.strip() for line in log.splitlines()]
    lines = [line for line in lines if line and not _HEADING.fullmatch(line)]
    return next((line for line in reversed(lines) if _TROUBLE.search(line)), lines[-1] if lines else "")
