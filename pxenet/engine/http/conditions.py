"""Conditional requests (RFC 9110 §13) and the dates they speak of (§5.6.7).

Knows entity tags, modification times and in which order the conditions count. Must not know how a reply is written.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import UTC, datetime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}

# The three forms of RFC 9110 §5.6.7: IMF-fixdate, which everybody sends, and two obsolete ones that must be understood.
_DATE_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        r"\w{3}, (?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d) GMT",
        r"\w{6,9}, (?P<day>\d\d)-(?P<month>\w{3})-(?P<year>\d\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d) GMT",
        r"\w{3} (?P<month>\w{3}) (?P<day>[ \d]\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d) (?P<year>\d{4})",
    )
)

_LATEST = 253402300799  # 9999-12-31T23:59:59Z: the form has four digits for the year


def serialize_date(seconds: int) -> str:
    """Seconds since the epoch as IMF-fixdate; held within the years 1970 to 9999, for file systems contain nonsense."""
    at = datetime.fromtimestamp(min(max(seconds, 0), _LATEST), UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} GMT"


def parse_date(text: str) -> int | None:
    """Seconds since the epoch of an HTTP date in any of its forms; None when it is none (the field is ignored then)."""
    for form in _DATE_FORMS:
        match = form.fullmatch(text.strip())
        if match is None:
            continue
        month = _MONTH_NUMBERS.get(match["month"])
        year = int(match["year"])
        if len(match["year"]) == 2:  # RFC 850: take the nearest century; nothing here is older than the epoch
            year += 1900 if year >= 70 else 2000
        if month is None or int(match["s"]) > 60:
            return None
        try:
            at = datetime(year, month, int(match["day"]), int(match["h"]), int(match["m"]), tzinfo=UTC)
        except ValueError:
            return None
        return int(at.timestamp()) + int(match["s"])
    return None


class Outcome(enum.Enum):
    """What the conditions of a request make of it."""

    PROCEED = 200
    NOT_MODIFIED = 304
    FAILED = 412


# entity-tag = [ W/ ] DQUOTE *etagc DQUOTE (RFC 9110 §8.8.3), in a list with perhaps empty elements.
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_TAG_LIST = re.compile(r'[\s,]*(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"[ \t]*(?:,[\s,]*|$))+', re.ASCII)


def _matches(field: str, etag: str, *, strong: bool) -> bool:
    """Does the list name this (strong) tag? A list that is malformed names nothing."""
    if field.strip() == "*":
        return True
    if _TAG_LIST.fullmatch(field) is None:
        return False
    return any(tag == etag and not (strong and weak) for weak, tag in _TAG.findall(field))


def evaluate(headers: Mapping[str, str], etag: str, modified_at: int) -> Outcome:
    """Weigh the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2. ``headers`` has lower-case names."""
    if (field := headers.get("if-match")) is not None:
        if not _matches(field, etag, strong=True):
            return Outcome.FAILED
    elif (since := parse_date(headers.get("if-unmodified-since", ""))) is not None and modified_at > since:
        return Outcome.FAILED
    if (field := headers.get("if-none-match")) is not None:
        if _matches(field, etag, strong=False):
            return Outcome.NOT_MODIFIED
    elif (since := parse_date(headers.get("if-modified-since", ""))) is not None and modified_at <= since:
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_applies(headers: Mapping[str, str], etag: str, modified_at: int, date: str) -> bool:
    """Does If-Range allow the range (RFC 9110 §13.1.5)?

    ``date`` is our Date field: a modification time is a strong validator only when its second is over (§8.8.2.2).
    """
    field = headers.get("if-range")
    if field is None:
        return True
    field = field.strip()
    if field.startswith(('"', "W/")):
        return field == etag
    at, now = parse_date(field), parse_date(date)
    return at is not None and at == modified_at and now is not None and now > at
