"""What strangers cannot get from a rack, nor do to it: another machine's token, and memory without end."""

from __future__ import annotations

from pathlib import Path

import pytest
from rack_scene import BEGAN_AT, NEIGHBOUR, NEIGHBOUR_MAC, SERVER, RackScene, make_files, site

from pxenet.engine.surface import Output, Sighting
from pxenet.model import BootClient, ClientKind, Platform
from pxenet.wire.text import mac_dashes, parse_address

STRANGER = parse_address("192.0.2.7")


@pytest.mark.parametrize("name", [f"pxelinux.cfg/01-{mac_dashes(NEIGHBOUR_MAC)}", "grub.cfg-01-52-54-00-77-99-99"])
def test_a_token_for_the_asking(tmp_path: Path, name: str) -> None:
    """A hardware address is no secret: not over IPv6 (address 0), and not while the machine itself is known to be elsewhere."""
    make_files(tmp_path)
    scene = RackScene(tmp_path, site())
    assert scene.get(f"/{name}", 0).status == 403
    scene.rack.access.observe(NEIGHBOUR, NEIGHBOUR_MAC, "offer", BEGAN_AT)
    assert scene.get(f"/{name}", STRANGER).status == 403
    assert scene.get(f"/{name}", NEIGHBOUR).status == 200


def test_invented_http_clients_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who came by HTTP is remembered for so many machines only; the latest are known."""
    monkeypatch.setattr("pxenet.rack.sightings.LEARNED", 2)
    make_files(tmp_path)
    scene = RackScene(tmp_path, site(unknown="menu"))
    macs = [bytes([2, 0, 0, 0, 0, number]) for number in range(3)]
    for mac in macs:
        client = BootClient(mac, ClientKind.HTTP, 16, Platform.X64)
        scene.rack.absorb(Output(sightings=[Sighting(client, 0, "discover")]))
    reasons = [
        scene.rack.boot(
            BootClient(mac, ClientKind.IPXE, 7, Platform.X64, ipxe_features=frozenset({0x13})), SERVER
        ).reason
        for mac in macs
    ]
    assert reasons == ["ipxe-loader", "ipxe-after-http", "ipxe-after-http"]


def test_a_browser_that_names_a_serial_number(tmp_path: Path) -> None:
    """It is printed on the case. Who has not spoken DHCP as iPXE is not believed, whatever page it asks for."""
    make_files(tmp_path)
    more = '[[host]]\nname = "machine"\nserial = "ABC"\nprofile = "alma9"\n'
    scene = RackScene(tmp_path, site(unknown="menu", more=more))
    mac, address = bytes.fromhex("020000000009"), parse_address("10.77.0.59")
    for kind, name in ((ClientKind.OTHER, "02:00:00:00:00:09"), (ClientKind.IPXE, "machine")):
        client = BootClient(mac, kind, 0, Platform.BIOS)
        scene.rack.absorb(Output(sightings=[Sighting(client, address, "lease")]))
        assert scene.get("/boot.ipxe?serial=ABC", address).status == 200
        assert scene.rack.hosts.of_mac(mac).name == name
