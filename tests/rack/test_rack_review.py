"""Every host of a configuration is tried, and thousands that are alike cost little: what is said is the same either way."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest

from pxenet.config import Settings, from_text
from pxenet.rack.desk import Desk
from pxenet.rack.preview import review

SITE = """\
[[dhcp.subnet]]
network = "10.0.0.0/16"
router = "10.0.0.1"
[[profile]]
name = "rhel9"
kernel = "vmlinuz"
args = "{args}"
answer = "{answer}"
kickstart = {{ root_password = "$6$x", network = [{{ method = "static" }}] }}
vars = {{ word = "w" }}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "vmlinuz").touch()
    (tmp_path / "own.ks").write_text(
        "rootpw x\n{% if host.name == 'h5' %}{{ host.nmae }}{% endif %}\n# {{ reports.installed }}\n"
    )
    return tmp_path


def site(base: Path, count: int, *, args: str = "", answer: str = "kickstart", odd: int = 0) -> Settings:
    """So many hosts; the last ``odd`` ones without an address, which a static network needs."""
    lines = [SITE.format(args=args, answer=answer)]
    for number in range(count):
        lines.append(
            f'[[host]]\nname = "h{number}"\nprofile = "rhel9"\nmac = "52:54:00:00:{number >> 8:02x}:{number & 255:02x}"'
        )
        if number < count - odd:
            lines.append(f'address = "10.0.{1 + (number >> 7)}.{1 + (number & 127)}"')
        if number % 7 == 3:
            lines.append('vars = { word = "other" }')
    return from_text("\n".join(lines), base, file="rack.toml")


def said(settings: Settings, *, one_by_one: bool) -> tuple[set[str], set[str]]:
    """Problems and notes, without the hosts' names."""
    with Desk(settings, ()) as desk:
        groups = [[host] for host in settings.hosts] if one_by_one else [list(settings.hosts)]
        found = [review(desk.rack, settings, group, desk.address) for group in groups]

    def plain(text: object) -> str:
        return str(text).partition(" (for ")[0].partition("rendered for ")[0]

    return {plain(p) for problems, _ in found for p in problems}, {plain(n) for _, notes in found for n in notes}


CASES = {
    "right": {"args": "x={{ host.name }} y={{ vars.word }}"},
    "no address": {"odd": 2},
    "no such name": {"args": "x={{ vars.wrod }}"},
    "a condition": {"args": "{% if host.name == 'h5' %}{{ host.nmae }}{% endif %}"},
    "a template of one's own": {"answer": "own.ks"},
    "a line that is none": {"args": "x={{ host.name }}\\u0007y"},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_all_together_as_one_by_one(base: Path, case: dict[str, object]) -> None:
    """A host that is like others is not left out because of them."""
    settings = site(base, 12, **case)  # type: ignore[arg-type]
    together = said(settings, one_by_one=False)
    assert together == said(settings, one_by_one=True)
    assert ("args" in case and "x={{ host.name }} y" in str(case["args"])) == (not together[0])


def test_hosts_that_are_alike_cost_little(base: Path) -> None:
    """One more of the same kind is a dozen calls, not a rendering."""

    def calls(count: int) -> int:
        settings = site(base, count, args="x={{ host.name }}")
        counted = 0

        def count_one(frame: FrameType, event: str, argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        with Desk(settings, ()) as desk:
            sys.setprofile(count_one)
            try:
                assert ([], []) == review(desk.rack, settings, settings.hosts, desk.address)
            finally:
                sys.setprofile(None)
        return counted

    assert calls(600) - calls(100) < 500 * 20
