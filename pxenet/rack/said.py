"""What a machine says of itself in the body of a report: which line of its log is the reason.

Knows text that anybody may have written, so nothing in it is believed, and no more kept than has room.
"""

from __future__ import annotations

import re

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
