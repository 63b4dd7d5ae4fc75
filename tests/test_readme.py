"""What the README shows is true: its configuration is read and checked here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from pxenet.capture import dissect
from pxenet.config import DhcpMode, from_text
from pxenet.look.report import report_lines
from pxenet.model import Host, Profile
from pxenet.replay.report import lines as result_lines
from pxenet.replay.run import replay

CAPTURES = Path(__file__).parent.parent / "captures"
README = (Path(__file__).parent.parent / "README.md").read_text()


def example() -> str:
    found = re.search(r"```toml\n(.*?)```", README, re.S)
    assert found is not None
    return found[1]


def test_one_machine_takes_at_most_twelve_lines() -> None:
    """The promise in the README's own example."""
    assert len([line for line in example().splitlines() if line.strip()]) <= 12


def test_the_example_is_a_right_configuration(tmp_path: Path) -> None:
    """It gives addresses, and web01 installs from the tree."""
    for name in ("vmlinuz", "initrd.img"):
        (tmp_path / "images/pxeboot").mkdir(parents=True, exist_ok=True)
        (tmp_path / "images/pxeboot" / name).touch()
    settings = from_text(example().replace("/srv/alma9", str(tmp_path)), tmp_path)
    profile, host = settings.profile("alma9"), settings.host("web01")
    assert isinstance(profile, Profile)
    assert isinstance(host, Host)
    assert (DhcpMode.SERVER, "alma9", ()) == (settings.dhcp.mode, host.profile, settings.notes)
    assert ("profile/alma9/images/pxeboot/vmlinuz", "{server}/profile/alma9") == (profile.kernel, profile.source_url)


def test_the_links_lead_somewhere() -> None:
    """Every relative link names a file of the checkout."""
    links = re.findall(r"\]\(([^):]+)\)", README)
    assert links
    assert [] == [link for link in links if not (Path(__file__).parent.parent / link).exists()]


def shown(begins: str) -> list[str]:
    """The lines of the README's block that begins so, up to an empty line."""
    lines = README.splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip().startswith(begins))
    return [line.strip() for line in takewhile(str.strip, lines[at:])]


def parts(lines: Iterable[str]) -> list[str]:
    """Lines without the space that makes columns of them."""
    return [" ".join(line.split()) for line in lines]


def test_the_replay_shown_is_what_comes_out() -> None:
    """Shortened by whole lines, and at the end of lines."""
    (found,) = replay([CAPTURES / "uefi-pxe-grub.pcap"], CAPTURES / "rack/rack.toml")
    said = parts(result_lines(found))
    for line in parts(shown("uefi-pxe-grub.pcap boot 1 (52:54:00:77:03:01): installs itself")):
        words = re.sub(r"^(file|different) ", "", line)
        assert any(words in whole for whole in said), line


def test_the_timelines_shown_are_what_comes_out() -> None:
    """Shortened by whole lines, and at the end of lines."""
    said = [line for name in ("di-preseed", "made/lossy", "made/two-servers") for line in looked(name)]
    for begins in ("== boot 1: 52:54:00:77:00:01, 79.7 s ==", "== boot 1: 02:50:58:00:00:00, 19.3 s =="):
        assert [] == [line for line in parts(shown(begins)) if not any(whole.startswith(line) for whole in said)]


def looked(name: str) -> list[str]:
    return parts(report_lines(dissect.read(CAPTURES / f"{name}.pcap")))
