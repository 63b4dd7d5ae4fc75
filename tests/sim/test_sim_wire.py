"""A fleet on a wire between two hosts, before this project's server and before another one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
from fleet_scene import SITE, make_files
from netlab import SERVER, Wire, run, wire

pytestmark = [needs.root(), needs.namespace()]

RELAY = "10.78.0.2"
MENU = "DEFAULT install\nLABEL install\nKERNEL ::vmlinuz\nINITRD ::initrd.img\nAPPEND quiet\n"


@pytest.fixture
def two_hosts() -> Iterator[Wire]:
    """The fleet's host has an address of its own, which is its relay's."""
    with wire() as made:
        run("ip", "-n", made.client, "address", "add", f"{RELAY}/24", "dev", "v1")
        yield made


def simulate(made: Wire, *arguments: str) -> dict[str, object]:
    common = (sys.executable, "-m", "pxenet", "simulate", SERVER, "--yes", "--json", "--pace", "0", "--for", "60")
    result: dict[str, object] = json.loads(made.on_client(*common, *arguments, check=False, timeout=90).stdout)
    return result


def test_our_server(two_hosts: Wire, tmp_path: Path) -> None:
    """The pool's addresses are made the fleet's own: each machine speaks from its lease, and is installed."""
    run("ip", "-n", two_hosts.client, "route", "add", "local", "10.78.0.48/28", "dev", "lo")
    run("ip", "-n", two_hosts.client, "route", "add", "local", "10.78.0.64/26", "dev", "lo")
    make_files(tmp_path)
    site = SITE.format(loaders="", lease_s=3600).replace("10.60.0.0/16", "10.78.0.0/24").replace("10.60.0.1", SERVER)
    site = site.replace("10.60.1.0-10.60.254.255", "10.78.0.50-10.78.0.99")
    two_hosts.serve(site.replace("[server]", '[server]\ninterface = "v0"'), tmp_path)
    result = simulate(two_hosts, "--mix", "bios=3,uefi=2,http=1")
    assert ({"installed": 6}, 0) == (result["ends"], result["given_twice"]), result["failures"]


@needs.tool("dnsmasq")
def test_another_server(two_hosts: Wire, tmp_path: Path) -> None:
    """dnsmasq knows no relay source port: its answers come to the relay's port 67. The machines have one address for
    all of them, and one menu."""
    make_files(tmp_path)
    root = tmp_path / "root"
    (root / "bios/pxelinux.cfg").mkdir(parents=True, exist_ok=True)
    (root / "bios/pxelinux.cfg/default").write_text(MENU)
    for name in ("vmlinuz", "initrd.img"):
        (tmp_path / "tree/images/pxeboot" / name).rename(root / name)
    two_hosts.start(
        two_hosts.server,
        *("dnsmasq", "--no-daemon", "--no-ping", "--port=0", "--conf-file=/dev/null", "--dhcp-leasefile=/dev/null"),
        *("--user=root", "--interface=v0", "--dhcp-range=10.78.0.50,10.78.0.60", "--dhcp-boot=bios/pxelinux.0"),
        *("--enable-tftp", f"--tftp-root={root}"),
        log=tmp_path / "dnsmasq.log",
    )
    result = simulate(two_hosts, "--relay-port", "67", "--mix", "bios=4")
    assert ({"installed": 4}, 0) == (result["ends"], result["given_twice"]), result["failures"]
