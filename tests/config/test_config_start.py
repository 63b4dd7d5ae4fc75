"""What only the server's own machine tells: its directories, what of them is served, which networks share its wires."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.config import from_text, load, start_notes, start_problems, with_options
from pxenet.net.datagram import Interface
from pxenet.wire.text import parse_address


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


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("boot", "/boot/ks.cfg"),
        ("debian", "/profile/debian/ks.cfg"),
        ("link", "/boot/ks.cfg"),
        (".", ""),
        ("other", ""),
    ],
)
def test_what_holds_passwords_is_not_served(tmp_path: Path, place: str, url: str) -> None:
    """A template below a served directory can be read by everybody, whatever leads there; a link that leads out is not followed."""
    for name in ("served/boot", "debian", "other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("debian/linux", "debian/initrd.gz", "other/ks.cfg", "debian/ks.cfg", "served/boot/ks.cfg", "ks.cfg"):
        (tmp_path / name).touch()
    (tmp_path / "boot").symlink_to("served/boot")
    (tmp_path / "link").symlink_to("boot")
    (tmp_path / "served/out").symlink_to(tmp_path / "other")
    text = f"[server]\nroot = 'served'\n[[profile]]\nname = 'debian'\nsource = 'debian'\nanswer = '{place}/ks.cfg'\n"
    notes = start_notes(from_text(text, tmp_path), [])
    expected = [("profile[1] (debian).answer", 6, f"ks.cfg can be read by everybody, at {url}")] if url else []
    assert expected == [(note.key, note.line, note.wrong) for note in notes]
    assert all("move it out of" in note.right for note in notes)


def test_nor_is_the_configuration_itself(tmp_path: Path) -> None:
    """It names password hashes and every machine."""
    (tmp_path / "rack.toml").write_text("[server]\nroot = '.'\n")
    (note,) = start_notes(load(tmp_path / "rack.toml"), [])
    assert ("server", "this file can be read by everybody, at /rack.toml") == (note.key, note.wrong)


def subnet(network: str, mode: str, interface: str = "") -> str:
    """A [[dhcp.subnet]]."""
    where = f"interface = '{interface}'\n" if interface else ""
    return f"[[dhcp.subnet]]\nnetwork = '{network}'\n{where}mode = '{mode}'\n"


def eth0(*addresses: str) -> Interface:
    """With prefixes of 24."""
    return Interface(2, "eth0", b"", tuple((parse_address(address), 24) for address in addresses))


@pytest.mark.parametrize(
    ("subnets", "addresses", "noted"),
    [
        (subnet("10.0.0.0/24", "server") + subnet("10.0.1.0/24", "proxy"), ("10.0.0.1", "10.0.1.1"), "10.0.1.0/24"),
        (subnet("10.0.0.0/24", "server") + subnet("10.0.1.0/24", "proxy"), ("10.0.1.1", "10.0.0.1"), "10.0.0.0/24"),
        (subnet("10.0.0.0/24", "off") + subnet("10.0.1.0/24", "server"), ("10.0.0.1", "10.0.1.1"), "10.0.1.0/24"),
        (subnet("10.0.0.0/24", "server") + subnet("10.0.1.0/24", "off"), ("10.0.0.1", "10.0.1.1"), ""),
        (subnet("10.0.0.0/24", "server") + subnet("10.0.1.0/24", "server"), ("10.0.0.1", "10.0.1.1"), ""),
        (subnet("10.0.0.0/24", "server") + subnet("10.0.1.0/24", "proxy"), ("10.0.0.1",), ""),
        (
            subnet("10.0.0.0/24", "server", "eth0") + subnet("10.0.1.0/24", "proxy", "eth0"),
            ("10.0.1.1",),
            "10.0.0.0/24",
        ),
        (subnet("10.0.0.0/24", "server", "eth9") + subnet("10.0.1.0/24", "proxy", "eth9"), (), "10.0.1.0/24"),
        (subnet("10.0.0.0/24", "server", "eth0") + subnet("10.0.1.0/24", "proxy", "eth9"), ("10.0.1.1",), ""),
    ],
)
def test_the_networks_of_a_wire_have_one_mode(
    tmp_path: Path, subnets: str, addresses: tuple[str, ...], noted: str
) -> None:
    """Which one decides is said: that of the interface's first address, else the first in the file. Only off is meant so beside it."""
    notes = start_notes(from_text(subnets, tmp_path), [eth0(*addresses)])
    assert [noted] * bool(noted) == [note.key.split("(")[1].split(")")[0] for note in notes]
    assert all(note.key.endswith(".mode") and "does not count on" in note.wrong for note in notes)
