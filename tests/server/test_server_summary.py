"""What the server says at its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.config import from_text
from pxenet.net.datagram import Interface
from pxenet.net.udp import QUEUE_BYTES
from pxenet.server.summary import networks, queues
from pxenet.wire.text import parse_address

ETH1 = Interface(2, "eth1", b"", ((parse_address("10.0.9.1"), 24),))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "gives boot files beside another DHCP server (ProxyDHCP), no addresses", id="no subnet"),
        pytest.param(
            "[[dhcp.subnet]]\nnetwork = '10.0.9.0/24'",
            "gives addresses and boot files, 10.0.9.0/24, pool none: reserved addresses only",
            id="its subnet",
        ),
        pytest.param(
            "[[dhcp.subnet]]\nnetwork = '10.0.0.0/24'",
            "no addresses and no boot files here: no [[dhcp.subnet]] contains 10.0.9.1; add one, or correct this address",
            id="another subnet",
        ),
    ],
)
def test_an_interface_says_what_it_gives(text: str, told: str, tmp_path: Path) -> None:
    """Nobody is told that a network is served which the configuration does not have."""
    assert f"  eth1 10.0.9.1/24: {told}" == next(iter(networks(from_text(text, tmp_path), [ETH1])))


def test_queues_that_are_too_short() -> None:
    """Are told, with the remedy; others are not."""
    assert [] == list(queues(QUEUE_BYTES))
    (line,) = queues(212_992)
    assert line.startswith("room for 208 KiB of waiting datagrams, not 4096 KiB")
    assert line.endswith("start as root, or sysctl net.core.rmem_max=4194304")
