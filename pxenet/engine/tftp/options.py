"""Which TFTP options a server grants: RFC 2347 to 2349 and 7440, as one table.

Knows the request, the limits and the size of the content. Must not know peers or time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from pxenet.wire.tftp import OPTION_RANGES, Oack, OpCode, Options, Request, option_number, serialize

DEFAULT_BLKSIZE = 512
"""Octets, RFC 1350 §2: what holds without the option."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a transfer runs by, after negotiation."""

    blksize: int = DEFAULT_BLKSIZE
    windowsize: int = 1
    timeout_s: int | None = None
    """None: the client did not ask for one."""
    tsize: int | None = None
    """What the client wrote: the size of its file for a WRQ, 0 for an RRQ."""
    oack: Options = ()
    """What the OACK says, names spelled as the client did; empty: there is no OACK (RFC 2347: none of its options was granted)."""
    packet: bytes = b""
    """The OACK as it is sent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest values a server grants."""

    blksize: int
    windowsize: int


@lru_cache(256)
def negotiate(request: Request, limits: Limits, size: int) -> Terms:
    """The terms for a request; ``size`` is that of the content, for tsize.

    Unknown options, repeated ones and values that are no number are passed over, never refused (RFC 2347: an option that is not
    acknowledged was not accepted). A client that sends only such options is answered as if it had sent none. Remembered, for of a
    hundred machines that boot at once nearly all ask for the same.
    """
    granted: dict[str, int] = {}
    oack: list[tuple[str, str]] = []
    for spelled, value in request.options:
        name = spelled.lower() if spelled.isascii() else spelled  # names are ASCII; no other letter shall become one
        rule = _RULES.get(name)
        asked = option_number(value)
        if rule is None or asked is None or name in granted:
            continue
        answer = rule(asked, request, limits, size)
        if answer is not None:
            granted[name] = asked if name == "tsize" else answer
            oack.append((spelled, str(answer)))
    return Terms(
        granted.get("blksize", DEFAULT_BLKSIZE),
        granted.get("windowsize", 1),
        granted.get("timeout"),
        granted.get("tsize"),
        tuple(oack),
        serialize(Oack(tuple(oack))) if oack else b"",
    )


def _blksize(asked: int, request: Request, limits: Limits, size: int) -> int | None:
    # RFC 2348: any value up to the asked one may be granted; below the range there is nothing to grant.
    return min(asked, limits.blksize) if asked >= OPTION_RANGES["blksize"][0] else None


def _windowsize(asked: int, request: Request, limits: Limits, size: int) -> int | None:
    return min(asked, limits.windowsize) if asked >= OPTION_RANGES["windowsize"][0] else None


def _timeout(asked: int, request: Request, limits: Limits, size: int) -> int | None:
    # RFC 2349: the same value or none. U-Boot ends the transfer over a different one.
    low, high = OPTION_RANGES["timeout"]
    return asked if low <= asked <= high else None


def _tsize(asked: int, request: Request, limits: Limits, size: int) -> int | None:
    # RFC 2349: for octet alone, since in netascii the two sides count differently. A WRQ gets its own value back.
    if request.mode != "octet":
        return None
    return asked if request.op is OpCode.WRQ else size


_RULES: dict[str, Callable[[int, Request, Limits, int], int | None]] = {
    "blksize": _blksize,
    "timeout": _timeout,
    "tsize": _tsize,
    "windowsize": _windowsize,
}
