"""Expected answers: what a replay pinned once, compared with what it says now, line by line.

A golden file is JSON made to be read as a diff: one line for each file and each option. Tokens in it are of the replay's own secret.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path

from pxenet.replay.result import BootResult


class GoldenError(Exception):
    """A file of expected answers that is none."""


def text(results: Sequence[BootResult]) -> str:
    """What a golden file says of these results."""
    return json.dumps([result.pinned() for result in results], indent=1, ensure_ascii=False) + "\n"


def surprises(results: Sequence[BootResult], path: Path) -> dict[str, list[str]]:
    """By the boot's title, each line that is not as expected. Raises GoldenError and OSError."""
    expected = _read(path)
    known = {_key(one): one for one in expected}
    found: dict[str, list[str]] = {}
    for result in results:
        now = result.pinned()
        before = known.pop(_key(now), None)
        if before is None:
            found[result.title] = [f"{path} does not know this boot; --update takes it in"]
        elif before != now:
            found[result.title] = _diff(before, now)
    for one in known.values():
        found[f"{one.get('capture')} boot {one.get('boot')}"] = [f"{path} expects this boot, and it was not replayed"]
    return found


def _read(path: Path) -> list[dict[str, object]]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise GoldenError(f"{path} is no file of expected answers: {error}") from error
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise GoldenError(f"{path} is no file of expected answers: it holds no list of boots")
    return document


def _key(one: dict[str, object]) -> tuple[object, object]:
    return one.get("capture"), one.get("boot")


def _diff(before: dict[str, object], now: dict[str, object]) -> list[str]:
    """Removed and added lines alone."""
    old, new = (json.dumps(one, indent=1, ensure_ascii=False).splitlines() for one in (before, now))
    return [
        f"{line[0]} {line[1:].strip().rstrip(',')}"
        for line in difflib.unified_diff(old, new, "expected", "now", lineterm="", n=0)
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    ]
