"""Other settings while the engines work: nobody who holds something loses it, and whoever begins now begins by the new ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dhcp_scene import ETH0, FAR, LAN, MAC1, MAC2, MAC3, RELAY, SETTINGS, A, Scene, discover, release, renew, select
from tftp_harness import GRUB, PORTS, Client, Network, content, pattern

from pxenet.engine.access import Access
from pxenet.engine.dhcp import DhcpSettings, Subnet
from pxenet.engine.install import Installs
from pxenet.engine.life import Evidence
from pxenet.engine.tftp import TftpServer, TftpSettings
from pxenet.model import Lease, LeaseState, Verdict
from pxenet.net.datagram import pack_peer
from pxenet.wire.text import address_text

LARGER = replace(LAN, pools=((A("10.0.0.100"), A("10.0.0.220")),), lease_s=600)
OTHER_POOL = replace(LAN, pools=((A("10.0.0.20"), A("10.0.0.30")),))
WITHOUT_LAN = DhcpSettings(subnets=(FAR,))
SECRET = bytes(32)


def of(*subnets: Subnet, reserved: frozenset[int] = frozenset()) -> DhcpSettings:
    """Settings with these networks."""
    return DhcpSettings(subnets=subnets, reserved=reserved)


def leased(scene: Scene, mac: bytes = MAC1, now: float = 0.0) -> int:
    """From DISCOVER to ACK; the address."""
    scene.hear(discover(mac), now)
    address = scene.sent()[-1].yiaddr
    assert "ACK" in scene.hear(select(address, mac), now)[-1]
    return address


# -- DHCP ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [of(LAN, FAR), of(LARGER, FAR), of(OTHER_POOL)], ids=["same", "larger", "other pool"]
)
def test_a_lease_goes_on(settings: DhcpSettings) -> None:
    """A client renews its address after any change that leaves its network, also where no pool has the address any more."""
    scene = Scene()
    address = leased(scene)
    assert [] == scene.reconfigure(settings, 10)
    held = scene.server.who(address, 10)
    assert (MAC1, 3600.0) == (held and held.mac, held and held.expires_at)
    assert f"ACK {address_text(address)}" in scene.hear(renew(address), 1800, source=address, unicast=True)[-1]
    lease = scene.server.who(address, 1800)
    assert max(3600.0, 1800 + settings.subnets[0].lease_s) == (lease and lease.expires_at)


def test_nobody_else_gets_a_held_address() -> None:
    """The new pool knows which of its addresses are taken: as many clients as are left are served, each with its own."""
    two = replace(LAN, pools=((A("10.0.0.100"), A("10.0.0.101")),))
    scene = Scene(of(two))
    first = leased(scene)
    scene.reconfigure(of(replace(two, lease_s=60)), 1)
    second = leased(scene, MAC2, 1)
    assert {A("10.0.0.100"), A("10.0.0.101")} == {first, second}
    scene.hear(discover(MAC3), 1)
    assert "dhcp.pool_empty" == scene.events()[-1]


@pytest.mark.parametrize("settings", [of(LAN, FAR), of(LARGER)], ids=["same", "larger"])
def test_an_offer_is_kept(settings: DhcpSettings) -> None:
    """A client that was offered an address before gets it after."""
    scene = Scene()
    scene.hear(discover())
    address = scene.sent()[-1].yiaddr
    scene.reconfigure(settings, 1)
    scene.hear(discover(MAC2), 1)
    assert address != scene.sent()[-1].yiaddr
    assert f"ACK {address_text(address)}" in scene.hear(select(address), 2)[-1]


def test_an_offer_of_an_address_that_is_reserved_now() -> None:
    """Its client is told to start over, and another address is found for it."""
    scene = Scene()
    scene.hear(discover())
    address = scene.sent()[-1].yiaddr
    scene.reconfigure(of(LAN, reserved=frozenset({address})), 1)
    assert "NAK" in scene.hear(select(address), 1)[-1]
    assert address != leased(scene, MAC1, 2)


def test_an_answer_that_waits_for_the_disk() -> None:
    """Settings may change between a REQUEST and the end of its write: the ACK leaves, and nobody gets the address meanwhile."""
    scene = Scene()
    scene.hear(discover())
    address = scene.sent()[-1].yiaddr
    scene.verdict = None
    assert [f"write {address_text(address)} bound"] == scene.hear(select(address), 1)
    scene.reconfigure(of(LARGER), 2)
    assert "its lease is being written" not in scene.server.statistics().dropped
    assert [] == scene.hear(select(address), 2), "a repeated request waits for the same write"
    assert f"ACK {address_text(address)}" in scene.settle(Verdict.DURABLE, 3)[-1]
    assert (1, 0) == (scene.server.statistics().leases, scene.server.statistics().pending)


def test_an_answer_of_a_network_that_is_gone() -> None:
    """It does not leave, and the disk is told that the lease has ended; the client's next try is not answered."""
    scene = Scene()
    scene.hear(discover())
    address = scene.sent()[-1].yiaddr
    scene.verdict = None
    scene.hear(select(address), 1)
    assert [f"write {address_text(address)} released"] == scene.reconfigure(WITHOUT_LAN, 2)
    assert [] == scene.settle(Verdict.DURABLE, 3)
    assert 0 == scene.server.statistics().pending


def test_a_network_that_comes_back_has_its_leases() -> None:
    """What was taken out of the configuration by mistake is put back by the next reload, without a restart."""
    scene = Scene()
    address = leased(scene)
    scene.reconfigure(WITHOUT_LAN, 10)
    assert None is scene.server.who(address, 10)
    scene.reconfigure(of(OTHER_POOL), 20)
    scene.reconfigure(SETTINGS, 30)
    held = scene.server.who(address, 30)
    assert MAC1 == (held and held.mac)


def test_what_has_ended_stays_ended() -> None:
    """A released address and a declined one are after it what they were before."""
    scene = Scene(leases=[Lease(A("10.0.0.150"), b"", b"", 900.0, LeaseState.DECLINED)])
    address = leased(scene)
    scene.hear(release(address), 5)
    scene.reconfigure(of(LARGER), 10)
    assert None is scene.server.who(address, 10)
    assert address == leased(scene, MAC1, 11), "the same client meets its address again"
    states = {lease.address: lease.state for lease in scene.server.leases()}
    assert {A("10.0.0.150"): LeaseState.DECLINED, address: LeaseState.BOUND} == states


def test_relayed_requests_meet_the_new_network() -> None:
    """What was remembered of the form of requests is not used for another configuration."""
    scene = Scene()
    scene.hear(discover(giaddr=RELAY))
    longer = replace(FAR, pools=((A("10.5.0.7"), A("10.5.0.7")),))
    scene.reconfigure(of(longer), 100)
    scene.hear(discover(MAC2, giaddr=RELAY), 100)
    assert A("10.5.0.7") == scene.sent()[-1].yiaddr


def test_ports_stay() -> None:
    """Sockets are not the engines' to open: to ask for other ports is a mistake of ours, and nothing has changed."""
    scene = Scene()
    address = leased(scene)
    with pytest.raises(ValueError, match="ports"):
        scene.server.reconfigure(replace(SETTINGS, port=1067), 1)
    assert None is not scene.server.who(address, 1)
    tftp = TftpServer(TftpSettings(tid_ports=PORTS))
    with pytest.raises(ValueError, match="ports"):
        tftp.reconfigure(TftpSettings(tid_ports=tuple(port + 1 for port in PORTS)))


# -- TFTP ------------------------------------------------------------------------------------------------------------------


def test_transfers_keep_what_was_negotiated() -> None:
    """A transfer under way goes on with its block size; the next one is granted what holds now."""
    data = pattern(40_000, 1)
    network = Network({"file": content(data)}, settings=TftpSettings(tid_ports=PORTS, max_blksize=1468))
    before, after = (Client(GRUB, "file", pack_peer(A("10.0.0.9"), port)) for port in (1024, 1025))
    network.add(before)
    network.run(until=0.01)
    assert 0 < len(b"".join(before.received)) < len(data)
    network.server.reconfigure(TftpSettings(tid_ports=PORTS, max_blksize=512))
    network.add(after, at=0.02)
    network.run()
    assert [(data, 1024), (data, 512)] == [(each.data, each.blksize) for each in (before, after)]


# -- installs and access -----------------------------------------------------------------------------------------------------


def test_states_and_tokens_stay() -> None:
    """Machines that come, stay and go: no token changes, a machine under way times out as before, and new limits count."""
    installs = Installs([], SECRET, max_attempts=3, keys=["aa", "bb"])
    tokens = {key: installs.token(key) for key in ("aa", "bb")}
    installs.observe("aa", Evidence.BOOTED, "alma9", 0.0)
    due = installs.deadline()
    installs.reconfigure(max_attempts=1, keys=["aa", "cc"])
    assert tokens == {key: installs.token(key) for key in ("aa", "bb")}
    assert ("aa", "bb", "cc") == tuple(installs.key_of(installs.token(key)) for key in ("aa", "bb", "cc"))
    assert due == installs.deadline()
    (stopped,), _ = installs.observe("aa", Evidence.ASKED, "", 100.0)
    assert "started the installer 1 times and never reported the end" == stopped.reason


def test_who_has_which_address_stays() -> None:
    """What was observed is believed on; whether a name suffices is a matter of the configuration."""
    installs = Installs([], SECRET)
    access = Access(installs, lease_of=lambda address, now: None, neighbour=lambda address: None)
    access.observe(7, MAC1, "lease", 0.0)
    assert not access.may_be(MAC2.hex(":"), MAC2, 8, 1.0).allowed
    access.reconfigure(names_suffice=True)
    assert access.may_be(MAC2.hex(":"), MAC2, 8, 1.0).allowed
    assert MAC1 == access.identify(7, "", 1.0).mac


def test_the_interfaces_are_the_same() -> None:
    """The wire of an interface leads to the new subnet."""
    scene = Scene(interfaces=(ETH0,))
    scene.reconfigure(of(OTHER_POOL), 0)
    assert A("10.0.0.20") <= leased(scene) <= A("10.0.0.30")
