"""What a right configuration means: defaults, inheritance, units, paths, and where the files of a profile are served."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pxenet.config import ConfigError, DhcpMode, Settings, Unknown, defaults, document, from_text, load, start_problems
from pxenet.engine.life import DEFAULT_TIMEOUTS_S
from pxenet.model import Exit, InstallState, Loader, Platform
from pxenet.net.datagram import Interface
from pxenet.wire.text import parse_address

NOWHERE = Path("/nonexistent")


def test_without_a_configuration_no_network_is_endangered() -> None:
    """Proxy mode, no addresses, nobody installed; an empty file says the same."""
    settings = defaults()
    assert (DhcpMode.PROXY, (), Unknown.IGNORE) == (settings.dhcp.mode, settings.dhcp.subnets, settings.boot.unknown)
    assert settings == from_text("", NOWHERE)


def test_the_printed_defaults_are_the_defaults() -> None:
    """``check --defaults`` prints valid TOML that changes nothing, and names every key."""
    assert defaults() == from_text(document.text(), NOWHERE)
    printed = set(re.findall(r"(?m)^#?([a-z0-9_.]+) = ", document.text()))
    assert {key.name for key in document.all_keys()} == printed


def test_the_printed_examples_are_right() -> None:
    """With every example switched on, nothing is wrong but that its files are not here."""
    text = re.sub(r"(?m)^#(?=[a-z\[])", "", document.text())
    with pytest.raises(ConfigError) as caught:
        from_text(text, NOWHERE)
    wrong = {re.sub(r".*(does not exist)$", r"\1", problem.wrong) for problem in caught.value.problems}
    assert {"does not exist"} == wrong


def test_reading_the_package_needs_no_pydantic() -> None:
    """A server without a configuration file does not pay for the schema."""
    code = "import sys, pxenet.config; pxenet.config.defaults(); print('pydantic' in sys.modules)"
    assert "False\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


MODES = [
    ("", DhcpMode.PROXY, []),
    ("[[dhcp.subnet]]\nnetwork='10.0.0.0/24'", DhcpMode.SERVER, [DhcpMode.SERVER]),
    ("[dhcp]\nmode='proxy'\n[[dhcp.subnet]]\nnetwork='10.0.0.0/24'", DhcpMode.PROXY, [DhcpMode.PROXY]),
    ("[[dhcp.subnet]]\nnetwork='10.0.0.0/24'\nmode='proxy'", DhcpMode.PROXY, [DhcpMode.PROXY]),
    ("[dhcp]\nmode='off'\n[[dhcp.subnet]]\nnetwork='10.0.0.0/24'\nmode='server'", DhcpMode.OFF, [DhcpMode.SERVER]),
]


@pytest.mark.parametrize(("text", "mode", "subnets"), MODES, ids=["none", "subnet", "said", "other", "off"])
def test_the_mode_that_is_not_set(text: str, mode: DhcpMode, subnets: list[DhcpMode]) -> None:
    """A subnet that says nothing else is there to give out addresses; without one only boot files are offered."""
    settings = from_text(text, NOWHERE)
    assert (mode, subnets) == (settings.dhcp.mode, [subnet.mode for subnet in settings.dhcp.subnets])


def test_a_subnet_inherits() -> None:
    """Lease time and authority come from [dhcp] unless the subnet says otherwise; single values may stand for lists."""
    text = """
        [dhcp]
        lease_time = "10m"
        authoritative = true
        [[dhcp.subnet]]
        network = "10.0.0.0/24"
        pool = ["10.0.0.10-10.0.0.19", "10.0.0.30"]
        router = "10.0.0.1"
        [[dhcp.subnet]]
        network = "10.1.0.0/16"
        lease_time = "infinite"
        authoritative = false
    """
    first, second = from_text(text, NOWHERE).dhcp.subnets
    ten = parse_address("10.0.0.0")
    assert ((ten + 10, ten + 19), (ten + 30, ten + 30)) == first.pools
    assert (600.0, True, (ten + 1,)) == (first.lease_s, first.authoritative, first.routers)
    assert (float("inf"), False, 0xFFFF0000) == (second.lease_s, second.authoritative, second.mask)
    assert (ten + 255, True, False) == (first.broadcast, ten + 7 in first, ten + 256 in first)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90.0), ('"90s"', 90.0), ('"10m"', 600.0), ('"12 h"', 43200.0), ('"7d"', 604800.0), ('"2w"', 1209600.0)],
    ids=str,
)
def test_durations(written: str, seconds: float) -> None:
    """A duration is a number of seconds or has a unit."""
    assert seconds == from_text(f"[dhcp]\nlease_time = {written}", NOWHERE).dhcp.lease_s


@pytest.mark.parametrize("written", ["52:54:00:AB:cd:01", "52-54-00-ab-cd-01", "5254.00ab.cd01", "525400abcd01"])
def test_hardware_addresses(written: str) -> None:
    """Every customary spelling is read."""
    (host,) = from_text(f'[[host]]\nmac = "{written}"', NOWHERE).hosts
    assert (bytes.fromhex("525400abcd01"), "host-525400abcd01") == (host.mac, host.name)


def test_several_network_cards() -> None:
    """The first hardware address is the host's key; all of them are its own."""
    (host,) = from_text("[[host]]\nmac = ['52:54:00:00:00:02', '52:54:00:00:00:01']\n", NOWHERE).hosts
    first, second = bytes.fromhex("525400000002"), bytes.fromhex("525400000001")
    assert (first, (first, second), "52:54:00:00:00:02") == (host.mac, host.macs, host.key)
    assert "host-525400000002" == host.name
    (alone,) = from_text("[[host]]\nuuid = '4c4c4544-0042-3510-8058-c7c04f4a4e32'\n", NOWHERE).hosts
    assert () == alone.macs


def test_the_way_to_the_disk() -> None:
    """For all machines, and for one; a host that says nothing has what all have."""
    settings = from_text(
        "[boot]\nexit = 'next'\n[[host]]\nserial = 'A'\nexit = 'disk'\n[[host]]\nserial = 'B'\n", Path()
    )
    assert (Exit.NEXT, [Exit.DISK, None]) == (settings.boot.exit, [host.exit for host in settings.hosts])


def test_stages_have_their_time() -> None:
    """Those that are set; the others their default."""
    timeouts = from_text("[boot]\ntimeout.loading = '5m'\ntimeout.installing = 'infinite'\n", Path()).boot.timeouts_s
    assert (300.0, math.inf) == (timeouts[InstallState.LOADING], timeouts[InstallState.INSTALLING])
    assert dict(DEFAULT_TIMEOUTS_S) == dict(from_text("", Path()).boot.timeouts_s)
    assert set(DEFAULT_TIMEOUTS_S) == set(timeouts)


def test_loaders_are_complete() -> None:
    """The chosen loader replaces one default; profiles and hosts hold only what they say themselves."""
    text = "[boot]\nloader.x64 = 'ipxe'\n[[host]]\nserial = 'A 1'\nloader.bios = 'lpxelinux'\n"
    settings = from_text(text, NOWHERE)
    assert (Loader.IPXE, Loader.PXELINUX) == (settings.boot.loaders[Platform.X64], settings.boot.loaders[Platform.BIOS])
    assert ({Platform.BIOS: Loader.LPXELINUX}, "host-a-1") == (dict(settings.hosts[0].loaders), settings.hosts[0].name)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Wherever the server is started, a path means the same."""
    (tmp_path / "boot").mkdir()
    (tmp_path / "rack.toml").write_text("[server]\nroot = 'boot'\nstate = '../state'\n")
    server = load(tmp_path / "rack.toml").server
    assert (tmp_path / "boot", tmp_path.parent / "state") == (server.root, server.state)


def test_installing_every_machine_is_said() -> None:
    """boot.unknown may name a profile, and the note says what that means."""
    settings = from_text("[boot]\nunknown = 'a'\n[[profile]]\nname = 'a'\nkernel = '/etc/passwd'\n", NOWHERE)
    assert ["boot.unknown"] == [note.key for note in settings.notes]


def test_unknown_machines_tell_what_they_are() -> None:
    """By that nothing is installed: there is nothing to warn of, nor of hosts by serial number, which is told then."""
    text = "[boot]\nunknown = 'a'\n[[profile]]\nname = 'a'\nkernel = '/etc/passwd'\nanswer = 'discovery'\n[[host]]\nserial = 'S1'\n"
    assert () == from_text(text, NOWHERE).notes


@pytest.mark.parametrize(
    ("boot", "more", "noted"),
    [
        ("", "", True),
        ("unknown = 'menu'", "", True),
        ("loader.x64 = 'ipxe'", "", True),
        ("unknown = 'local'\nloader.x64 = 'ipxe'", "", False),
        ("", "mac = '52:54:00:00:00:01'", False),
        ("", "uuid = '4c4c4544-0042-3510-8058-c7c04f4a4e32'", False),
    ],
)
def test_a_serial_number_is_told_by_ipxe_alone(boot: str, more: str, noted: bool) -> None:
    """A machine known by nothing else must be given iPXE before it is known: where it is not, a note says so."""
    other = more.replace(":01", ":02").replace("e32", "e33")
    text = f"[boot]\n{boot}\n[[host]]\nserial = 'S1'\n{more}\n[[host]]\nserial = 'S2'\n{other}\n"
    notes = from_text(text, Path("/nonexistent")).notes
    assert (["host[1] (S1).serial"] if noted else []) == [note.key for note in notes]
    assert all("(and of 1 more)" in note.wrong for note in notes)


INTERFACES = [
    Interface(1, "lo", b"", ((parse_address("127.0.0.1"), 8),)),
    Interface(2, "eth0", bytes(6), ((parse_address("10.0.0.1"), 24),)),
    Interface(3, "eth1", bytes(6), ()),
]
START = [
    ("[server]\ninterface = 'eth0'", []),
    ("[server]\ninterface = ['eth0', 'eht0']", [("server.interface", "did you mean eth0?")]),
    ("[server]\ninterface = 'eth1'", [("server.interface", "ip address add")]),
    ("[server]\naddress = '10.0.0.2'", [("server.address", "its addresses are 127.0.0.1, 10.0.0.1")]),
    (
        "[[dhcp.subnet]]\nnetwork='10.0.0.0/24'\ninterface='eth9'",
        [("dhcp.subnet[1] (10.0.0.0/24).interface", "has lo, eth0, eth1")],
    ),
    (
        "[[dhcp.subnet]]\nnetwork='10.0.0.0/24'\npool='10.0.0.1-10.0.0.9'",
        [("dhcp.subnet[1] (10.0.0.0/24).pool", "leave it out")],
    ),
]


@pytest.mark.parametrize(("text", "expected"), START, ids=[text.split("\n", 1)[1] for text, _ in START])
def test_what_only_the_machine_can_tell(text: str, expected: list[tuple[str, str]]) -> None:
    """Interfaces that are missing or without an address, and pools that contain our own address, are told at start-up."""
    found = start_problems(from_text(text, NOWHERE), INTERFACES)
    assert [key for key, _ in expected] == [problem.key for problem in found]
    for (_, right), problem in zip(expected, found, strict=True):
        assert right in problem.right


def test_a_problem_found_later_knows_its_line() -> None:
    """Whoever has the settings can tell a problem of a key with file and line."""
    settings: Settings = from_text("[http]\nport = 8080\n", NOWHERE, file="rack.toml")
    problem = settings.problem("http.port", "port 8080 is taken", "use another")
    assert "rack.toml:2: http.port: port 8080 is taken; use another" == str(problem)
