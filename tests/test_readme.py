"""What the README shows is true: its configuration is read and checked here."""

from __future__ import annotations

import re
from pathlib import Path

from pxenet.config import DhcpMode, from_text
from pxenet.model import Host, Profile

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
