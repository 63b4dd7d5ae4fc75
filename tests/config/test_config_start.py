"""The directory of the store is not among those that are served."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.config import from_text, start_problems, with_options


@pytest.mark.parametrize(("state", "refused"), [("boot/state", True), ("boot", True), ("link", True), ("state", False)])
def test_the_state_is_not_served(tmp_path: Path, state: str, refused: bool) -> None:
    """It holds the secret behind every machine's token: neither in server.root, nor behind a link that leads there."""
    (tmp_path / "boot").mkdir()
    (tmp_path / "link").symlink_to("boot/state")
    settings = from_text(f"[server]\nroot = 'boot'\nstate = '{state}'\n", tmp_path)
    found = [(problem.key, problem.right) for problem in start_problems(settings, [])]
    assert found == ([("server.state", "keep the state outside, e.g. in /var/lib/pxenet")] if refused else [])


def test_nor_by_an_option(tmp_path: Path) -> None:
    """``--root`` is a directory that is served, too."""
    settings = with_options(from_text("[server]\nstate = 'state'\n", tmp_path), root=tmp_path)
    assert [problem.key for problem in start_problems(settings, [])] == ["server.state"]


def test_nor_in_an_install_tree(tmp_path: Path) -> None:
    """A profile's source is served whole."""
    for name in ("linux", "initrd.gz"):
        (tmp_path / name).touch()
    text = f"[server]\nstate = 'state'\n[[profile]]\nname = 'debian'\nsource = '{tmp_path}'\n"
    assert [problem.key for problem in start_problems(from_text(text, tmp_path), [])] == ["server.state"]
