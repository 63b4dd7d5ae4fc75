"""The recording of a wire, replayed before the configuration that its server had: nothing of it may come out otherwise.

Knows the command ``pxenet replay`` and its JSON, as anybody has it who recorded a boot with tcpdump.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ENDS = ("installed", "local disk")
"""Of a machine's first boot, and of all others."""


class ReplayFailed(Exception):  # noqa: N818 - it says what happened
    """The command did not do its work; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What a replay says of one boot."""

    mac: str
    end: str
    address: str
    stops: str
    """Where and why; empty when it came to a good end."""
    departs: tuple[str, ...] = field(default=())
    """What its firmware cares about and was answered otherwise than in the recording."""


def replay(recording: Path, config: Path) -> list[Boot]:
    """Its boots, in order. Raises ReplayFailed."""
    command = [sys.executable, "-m", "pxenet", "replay", str(recording), "--config", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return parse(done.stdout)
    except (ValueError, KeyError, TypeError) as error:
        words = (done.stderr or done.stdout).strip() or str(error)
        raise ReplayFailed(f"pxenet replay of {recording.name} ended with status {done.returncode}: {words}") from error


def parse(text: str) -> list[Boot]:
    """What ``pxenet replay --json`` prints. Raises ValueError, KeyError or TypeError when it is not that."""
    return [_boot(one) for one in json.loads(text)["boots"]]


def _boot(one: Mapping[str, object]) -> Boot:
    differences = one["differences"]
    if not isinstance(differences, list):
        raise TypeError("differences are no list")
    departs = [
        f"{each['where']}: {each['what']}: {each['recorded']!r} -> {each['now']!r}"
        for each in differences
        if each["cares"]
    ]
    return Boot(str(one["mac"]), str(one["end"]), str(one["address"]), str(one["stops"]), tuple(departs))


def faults(boots: Sequence[Boot], mac: str, address: str) -> list[str]:
    """What comes out otherwise for a machine that installed itself at its first boot, and booted its disk at each later one."""
    own = [boot for boot in boots if boot.mac == mac]
    found = []
    if len(own) < len(_ENDS):
        found.append(f"{len(own)} boots of it were found in the recording, and it was switched on {len(_ENDS)} times")
    for number, boot in enumerate(own, 1):
        meant = _ENDS[min(number, len(_ENDS)) - 1]
        if boot.end != meant:
            found.append(
                f"replayed, its boot {number} ends otherwise ({boot.end}, not {meant}): {boot.stops or 'it comes to a good end'}"
            )
        elif boot.address != address:
            found.append(f"replayed, it has the address {boot.address} in its boot {number}, and had {address}")
        found += [f"replayed, it is told something else in its boot {number}: {words}" for words in boot.departs]
    return found
