"""What a running server cannot take: each thing by its key, with what it is and what it would have become."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.config import from_text
from pxenet.net.datagram import Interface
from pxenet.server.fixed import needs_restart

SERVER = '[server]\ninterface = "eth0"\nstate = "state"\n'
SUBNET = '[[dhcp.subnet]]\nnetwork = "10.0.0.0/24"\npool = "10.0.0.10-10.0.0.20"\n'
BASE = SERVER + SUBNET
ETH0 = (Interface(2, "eth0", b"", ((0x0A000001, 24),)),)

CASES = {
    "nothing": (BASE, BASE, []),
    "what may change": (
        BASE,
        SERVER
        + 'url = "http://x"\ncache_gib = 1\nfailure_captures = 3\n[boot]\nunknown = "local"\n[tftp]\nmax_blksize = 512\n'
        + SUBNET,
        [],
    ),
    "interface": (
        BASE,
        BASE.replace("eth0", "eth1"),
        ["server.interface: cannot become eth1 while the server runs: it is eth0"],
    ),
    "user": (
        BASE,
        BASE.replace("[server]", '[server]\nuser = "px"'),
        ["server.user: cannot become px while the server runs: it is unset"],
    ),
    "address": (
        BASE,
        BASE.replace("[server]", '[server]\naddress = "10.0.0.1"'),
        ["server.address: cannot become 10.0.0.1 while the server runs: it is unset"],
    ),
    "captures": (
        BASE,
        BASE.replace("[server]", "[server]\nfailure_captures = 0"),
        ["server.failure_captures: cannot become 0 while the server runs: it is more than 0"],
    ),
    "ports": (
        BASE,
        "[dhcp]\nport = 1067\n[http]\nport = 8080\n" + BASE,
        [
            "dhcp.port: cannot become 1067 while the server runs: it is 67",
            "http.port: cannot become 8080 while the server runs: it is 80",
        ],
    ),
    "addresses for the first time": (
        SERVER,
        BASE,
        [
            'dhcp.mode: a network cannot begin to have mode "server" while the server runs: the socket for raw frames had to be opened'
        ],
    ),
    "beside another server for the first time": (
        BASE,
        BASE + 'mode = "proxy"\n',
        [
            'dhcp.mode: a network cannot begin to have mode "proxy" while the server runs: the socket for ProxyDHCP had to be opened'
        ],
    ),
    "no addresses any more": (BASE, BASE + 'mode = "off"\n[dhcp]\nmode = "off"\n', []),
    "a wire that was not there": (
        SUBNET,
        SUBNET + 'interface = "eth7"\n',
        ["dhcp.subnet[1] (10.0.0.0/24).interface: eth7 was not there when the server began, which serves eth0"],
    ),
}


@pytest.mark.parametrize(("running", "new", "reasons"), CASES.values(), ids=CASES)
def test_what_needs_a_restart(tmp_path: Path, running: str, new: str, reasons: list[str]) -> None:
    """And nothing else does."""
    before, after = from_text(running, tmp_path), from_text(new, tmp_path)
    said = [str(problem) for problem in needs_restart(before, after, ETH0)]
    assert len(reasons) == len(said), said
    for reason, each in zip(reasons, said, strict=True):
        assert each.startswith(reason)
        assert "restart the server" in each
