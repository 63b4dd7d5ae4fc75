"""A fleet against the real server over the loopback, by ``pxenet simulate``: everybody is installed, and what is shown is right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from fleet_scene import SITE, make_files
from programlab import free_ports, loopback_config, program

NETWORK = "127.60."
RELAY = f"{NETWORK}0.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A server without privileges; what ``simulate`` has to be told to reach it."""
    base = tmp_path_factory.mktemp("sockets")
    make_files(base)
    ports = free_ports()
    site = SITE.format(loaders="", lease_s=3600).replace("10.60.", NETWORK)
    rest = site[site.index("[[dhcp.subnet]]") :]
    (base / "rack.toml").write_text(loopback_config(ports, 'root = "root"') + rest)
    with program(base, "--config", "rack.toml"):
        yield [
            f"127.0.0.1:{ports['dhcp']}",
            *("--tftp-port", str(ports["tftp"]), "--proxy-port", str(ports["proxy"]), "--relay", RELAY, "--pace", "0"),
        ]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pxenet", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL)


def test_everybody_is_installed(server: list[str]) -> None:
    """BIOS by TFTP, UEFI by TFTP windows, HTTP boot; every one from an address of its own, in one process."""
    ran = simulate(*server, "--machines", "16", "--mix", "bios=2,uefi=1,http=1", "--json")
    result = json.loads(ran.stdout)
    assert {"installed": 16} == result["ends"], result["failures"]
    assert ({"bios": 8, "uefi": 4, "http": 4}, 0, True) == (result["mix"], result["given_twice"], result["all_well"])
    assert (0, "") == (ran.returncode, ran.stderr)


def test_what_people_see(server: list[str]) -> None:
    """Lines where nothing can move, then figures per stage and the counts that matter."""
    ran = simulate(*server, "--mix", "bios=2", "--first-mac", "02:00:00:00:01:00")
    assert 0 == ran.returncode, ran.stdout
    assert "installed 2; 0 retries" in ran.stderr
    for words in ("2 machines (bios 2), switched on at once, seed 0", "p50", "p99", "2 installed; ", "given twice: 0"):
        assert words in ran.stdout


def test_a_network_the_server_does_not_know(server: list[str]) -> None:
    """Nobody gets an address: said with what to look at, and told by the exit status."""
    elsewhere = ["127.99.0.1" if word == RELAY else word for word in server]
    ran = simulate(*elsewhere, "--mix", "bios=1", "--for", "2", "--first-mac", "02:00:00:00:02:00")
    assert 1 == ran.returncode
    assert "1 unfinished" in ran.stdout
    assert "127.99.0.1 (--relay) must lie in one of them" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["192.0.2.1"], "nothing was sent; say --yes"),
        (["127.0.0.1:x"], "x is no port"),
        (["127.0.0.1", "--mix", "vax=1"], "vax is no firmware"),
        (["127.0.0.1", "--power", "slowly"], "slowly is no way"),
        (["127.0.0.1", "--first-mac", "00:16:3e:00:00:00"], "no locally administered address"),
        (["127.0.0.1", "--relay", "192.0.2.7"], "cannot listen at 192.0.2.7"),
        (["127.0.0.1", "--relay", "here"], "here"),
    ],
    ids=["real network", "port", "mix", "power", "mac", "relay", "relay address"],
)
def test_what_is_refused(arguments: list[str], words: str) -> None:
    """Before anything is sent, with what would be right."""
    ran = simulate(*arguments)
    assert (2, True) == (ran.returncode, words in ran.stderr), ran.stderr
    assert "" == ran.stdout
