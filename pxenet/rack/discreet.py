"""What people and logs are told of a machine's secret name in URLs: enough to tell two apart, too little to ask with.

Who can read the log is not who may read the password hashes of an answer file, or report a machine as installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from pxenet.answer.masking import LEAST
from pxenet.events import Event

SHOWN = 8
"""Hex digits of a token that are told; it has 32."""

_TOKEN = re.compile(
    rf"(\b(?:answer|installed|failed|discovered)[/\\]+[0-9a-f]{{{SHOWN}}})[0-9a-f]{{{32 - SHOWN}}}(?![0-9a-f])"
)

_TOKEN_BYTES = re.compile(_TOKEN.pattern.encode())


_SHORTEST = len("answer/") + 32
"""What is shorter holds no token, and need not be searched for one."""


def hidden(text: str) -> str:
    """The text with every token in it shortened."""
    return text if len(text) < _SHORTEST else _TOKEN.sub(r"\1…", text)


def masked(data: bytes) -> bytes:
    """The bytes with the same part of every token in them replaced by as many ``x``: packets keep their length."""
    return _TOKEN_BYTES.sub(lambda found: found[1] + b"x" * (32 - SHOWN), data)


class Veil:
    """Hides tokens in packets, and the secrets that the configuration calls so: boot texts may have them in kernel arguments."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({each.encode() for each in secrets if len(each) >= LEAST}, key=len, reverse=True)
        self._known = re.compile(b"|".join(map(re.escape, known))) if known else None

    def __call__(self, data: bytes) -> bytes:
        """The bytes, as many as there were."""
        shown = masked(data)
        return shown if self._known is None else self._known.sub(lambda found: b"x" * len(found[0]), shown)


def discreet(event: Event) -> Event:
    """The event with every token in its details shortened; the very same one when there is none."""
    shortened = {
        name: shown
        for name, value in event.detail.items()
        if isinstance(value, str) and (shown := hidden(value)) != value
    }
    return replace(event, detail={**event.detail, **shortened}) if shortened else event
