"""The DHCP engine as RFC 2131 wants it: scripts of what is heard, and what is answered and written."""

from __future__ import annotations

import dhcp_scene as scene
import pytest
from dhcp_scene import (
    FAR,
    LAN,
    MAC1,
    MAC2,
    MAC3,
    RELAY,
    SERVER,
    A,
    Scene,
    decline,
    discover,
    message,
    reboot,
    release,
    renew,
    select,
    with_subnet,
)

from pxenet.engine.dhcp import DhcpMode, DhcpSettings, Subnet
from pxenet.engine.dhcp.told import Told
from pxenet.events import Event
from pxenet.model import Host, Lease, LeaseState, Verdict
from pxenet.net.datagram import Interface
from pxenet.wire.dhcp import serialize
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.text import address_text

# What MAC1, MAC2 and MAC3 get from the pool of 10.0.0.100 to 199 when nothing speaks against it.
ONE, TWO, THREE = A("10.0.0.195"), A("10.0.0.105"), A("10.0.0.199")
FRAME1 = "frame 52:54:00:00:00:01"
OFFER1 = f"OFFER 10.0.0.195 to 10.0.0.195:68 {FRAME1}"
ACK1 = f"ACK 10.0.0.195 to 10.0.0.195:68 {FRAME1}"
NAK = "NAK to 255.255.255.255:68"
WRITE1 = "write 10.0.0.195 bound"


def bound(address: int, mac: bytes = MAC1, until: float = 3600.0) -> Lease:
    """A lease that a store kept."""
    return Lease(address, b"\x01" + mac, mac, until)


# -- getting an address ------------------------------------------------------------------------------------------------


def test_four_messages() -> None:
    """DISCOVER, OFFER, REQUEST, and the ACK only behind the write."""
    net = Scene()
    assert net.hear(discover(), 0) == [OFFER1]
    assert net.hear(select(ONE), 1) == [WRITE1, ACK1]
    assert net.events() == ["dhcp.discover", "dhcp.offer", "dhcp.ack"]
    assert net.sightings() == [("offer", ONE), ("lease", ONE)]
    assert net.server.who(ONE, 2) == Lease(ONE, b"\x01" + MAC1, MAC1, 3601.0, since_at=1.0)


def test_retransmissions_get_the_same_answer() -> None:
    """A DISCOVER and a REQUEST said twice give the same address; the second ACK needs no second write; people are told once."""
    net = Scene()
    assert [net.hear(discover(), 0), net.hear(discover(), 1)] == [[OFFER1], [OFFER1]]
    assert [net.hear(select(ONE), 2), net.hear(select(ONE), 3)] == [[WRITE1, ACK1], [ACK1]]
    assert net.events() == ["dhcp.discover", "dhcp.offer", "dhcp.ack"]
    assert net.sent()[3].options.number(OptionCode.LEASE_TIME) == 3599


def test_the_ack_waits_for_the_disk() -> None:
    """Nothing leaves before the verdict, and retransmissions meanwhile do not stack."""
    net = Scene()
    net.verdict = None
    net.hear(discover(), 0)
    assert net.hear(select(ONE), 1) == [WRITE1]
    assert [net.hear(select(ONE), at) for at in (2, 3, 4)] == [[], [], []]
    assert net.server.who(ONE, 5) is None
    assert net.hear(discover(MAC2, {OptionCode.REQUESTED_ADDRESS: ONE}), 5) == [
        "OFFER 10.0.0.105 to 10.0.0.105:68 frame 52:54:00:00:00:02"
    ]
    assert net.settle(Verdict.DURABLE, 6) == [ACK1]
    assert net.server.statistics().dropped == {"its lease is being written": 3}
    assert (
        net.sent()[-1].options.number(OptionCode.LEASE_TIME) == 3597
    )  # as long as the written lease, from its last word on


def test_a_new_exchange_meanwhile_takes_the_answer_over() -> None:
    """A client that has started over while its lease was written gets one ACK, with the xid it now expects."""
    net = Scene()
    net.verdict = None
    net.hear(discover(), 0)
    net.hear(select(ONE, xid=1), 1)
    assert net.hear(discover(xid=2), 5) == [OFFER1]
    assert net.hear(select(ONE, xid=2), 6) == []
    assert net.settle(Verdict.DURABLE, 7) == [ACK1]
    assert net.sent()[-1].xid == 2
    assert net.sent()[-1].options.number(OptionCode.LEASE_TIME) == 3595


def test_a_lease_that_cannot_be_written_is_not_given() -> None:
    """FAILED: silence, an event, no lease; the client may ask again and meets the same address."""
    net = Scene()
    net.verdict = Verdict.FAILED
    net.hear(discover(), 0)
    assert net.hear(select(ONE), 1) == [WRITE1]
    assert net.server.who(ONE, 1) is None
    assert net.events()[-1] == "dhcp.not_durable"
    net.verdict = Verdict.DURABLE
    assert net.hear(select(ONE), 5) == [WRITE1, ACK1]


def test_a_renewal_that_cannot_be_written_leaves_the_old_lease() -> None:
    """FAILED on renewal: the lease ends when it would have ended."""
    net = Scene(leases=[bound(ONE, until=1000)])
    net.verdict = Verdict.FAILED
    assert net.hear(renew(ONE), 500, unicast=True) == [WRITE1]
    lease = net.server.who(ONE, 600)
    assert lease is not None
    assert lease.expires_at == 1000


@pytest.mark.parametrize(
    ("unicast", "answer"), [(True, [WRITE1, NAK]), (False, [WRITE1])], ids=["asked us", "asked all"]
)
def test_an_address_that_another_server_gave_away(unicast: bool, answer: list[str]) -> None:
    """TAKEN: who asked us is refused, who asked everybody meets silence; the address is left alone."""
    net = Scene(leases=[bound(ONE)])
    net.verdict = Verdict.TAKEN
    assert net.hear(renew(ONE), 500, unicast=unicast) == answer
    assert "dhcp.taken" in net.events()
    assert net.server.who(ONE, 501) is None
    assert net.hear(discover(), 502) != [OFFER1]


# In the order of its net/bootp.c; when it reads an answer it skips option 66.
U_BOOT: dict[int, object] = {
    OptionCode.MAX_SIZE: 576,
    OptionCode.ARCHITECTURE: (22,),
    OptionCode.NIC: b"\1\0\0",
    OptionCode.MACHINE_ID: b"\0" + bytes(range(16)),
    OptionCode.VENDOR_CLASS: "U-Boot.armv8",
    OptionCode.PARAMETER_LIST: (1, 3, 6, 12, 17),
}


@pytest.mark.parametrize("left_out", [(), (OptionCode.ARCHITECTURE,), (OptionCode.VENDOR_CLASS,)])
@pytest.mark.parametrize("next_server", [None, A("10.0.0.2")])
def test_u_boot_is_told_where_its_files_are(next_server: int | None, left_out: tuple[int, ...]) -> None:
    """It has names of its own (pxelinux.cfg, boot.scr.uimg) and reads the server from siaddr; a system is told nothing of files."""
    options = {code: value for code, value in U_BOOT.items() if code not in left_out}
    net = Scene(with_subnet(next_server=next_server))
    net.hear(discover(options=options))
    choice = {OptionCode.REQUESTED_ADDRESS: ONE, OptionCode.SERVER_ID: SERVER}
    assert net.hear(message(MessageType.REQUEST, MAC1, {**options, **choice})) == [WRITE1, ACK1]
    where = next_server or SERVER
    for said in net.sent():
        assert (said.siaddr, said.file, said.options.raw(OptionCode.BOOT_FILE)) == (where, b"", None)
        assert said.options.text(OptionCode.TFTP_SERVER) == address_text(where)
    assert not {"dhcp.no_boot", "dhcp.unknown_arch"} & set(net.events())
    net.hear(discover(MAC2, {OptionCode.VENDOR_CLASS: "anaconda-Linux 5.14"}))
    assert (net.sent()[-1].siaddr, net.sent()[-1].options.raw(OptionCode.TFTP_SERVER)) == (0, None)


# -- which address ------------------------------------------------------------------------------------------------------


RESERVED = Host("web1", MAC1, address=A("10.0.0.10"))


def test_a_reservation_comes_first() -> None:
    """Reserved before leased before asked for; and the configured name is told."""
    net = Scene(hosts=[RESERVED], leases=[bound(TWO)])
    asks = discover(options={OptionCode.REQUESTED_ADDRESS: THREE, OptionCode.PARAMETER_LIST: (12,)})
    assert net.hear(asks) == [f"OFFER 10.0.0.10 to 10.0.0.10:68 {FRAME1}"]
    assert net.sent()[0].options.text(OptionCode.HOST_NAME) == "web1"
    # Taking it ends the dynamic lease, durably.
    assert net.hear(select(A("10.0.0.10")), 1) == [
        "write 10.0.0.10 bound",
        f"ACK 10.0.0.10 to 10.0.0.10:68 {FRAME1}",
        "write 10.0.0.105 released",
    ]


def test_a_reservation_that_is_newer_than_a_lease() -> None:
    """Whoever starts again learns of it; nobody loses an address that it uses."""
    net = Scene(hosts=[RESERVED], leases=[bound(TWO)])
    assert net.hear(renew(TWO), 10, unicast=True) == ["write 10.0.0.105 bound", "ACK 10.0.0.105 to 10.0.0.105:68"]
    assert net.hear(reboot(TWO), 20) == ["NAK to 255.255.255.255:68"]
    assert net.hear(reboot(A("10.0.0.10")), 21)[:2] == [
        "write 10.0.0.10 bound",
        f"ACK 10.0.0.10 to 10.0.0.10:68 {FRAME1}",
    ]


def test_a_reserved_address_is_nobody_elses() -> None:
    """An address of the configuration is not given from a pool, nor renewed for another client."""
    settings = DhcpSettings(subnets=(LAN,), reserved=frozenset({ONE}))
    net = Scene(settings, leases=[bound(ONE, until=9000)])
    assert net.hear(discover(), 0) != [OFFER1]
    assert net.hear(renew(ONE), 1, unicast=True) == [NAK]


@pytest.mark.parametrize(
    ("state", "holder"),
    [
        (LeaseState.BOUND, "52:54:00:00:00:02 (old-name)"),
        (LeaseState.DECLINED, "a machine that this server does not know"),
    ],
)
def test_a_reserved_address_that_somebody_else_has(state: LeaseState, holder: str) -> None:
    """Its host gets another one meanwhile, and people are told who has it: once an exchange. Later it gets its own, without a word."""
    reserved = A("10.0.0.10")
    held = Lease(reserved, b"\x01" + MAC2, MAC2, 600.0, state, hostname="old-name")
    net = Scene(hosts=[RESERVED], leases=[held])
    assert [net.hear(discover(), at) for at in (0, 1)] == [[OFFER1], [OFFER1]]
    assert net.hear(select(ONE), 2) == [WRITE1, ACK1]
    assert net.events() == ["dhcp.discover", "dhcp.reservation_held", "dhcp.offer", "dhcp.ack"]
    (event,) = (event for event in net.outputs[0].events if event.kind == "dhcp.reservation_held")
    assert event == Event(event.kind, MAC1, 0, {"reserved": "10.0.0.10", "holder": holder})
    assert net.hear(discover(xid=2), 700) == [f"OFFER 10.0.0.10 to 10.0.0.10:68 {FRAME1}"]
    assert net.events().count("dhcp.reservation_held") == 1


def test_a_reserved_address_goes_to_the_card_that_boots() -> None:
    """A machine with two: its address moves with the boot, and is never leased to both. A system's other card gets its own."""
    address, frame2 = A("10.0.0.10"), "frame 52:54:00:00:00:02"
    net = Scene(hosts=[Host("web1", MAC1, address=address, other_macs=(MAC2,))])

    def boot(mac: bytes, xid: int, now: float) -> list[str]:
        choice: dict[int, object] = {OptionCode.REQUESTED_ADDRESS: address, OptionCode.SERVER_ID: SERVER}
        heard = net.hear(scene.pxe(mac, xid=xid), now)
        return heard + net.hear(scene.pxe(mac, kind=MessageType.REQUEST, options=choice, xid=xid), now)

    gives = [
        f"OFFER 10.0.0.10 to 10.0.0.10:68 {FRAME1}",
        "write 10.0.0.10 bound",
        f"ACK 10.0.0.10 to 10.0.0.10:68 {FRAME1}",
    ]
    assert gives == boot(MAC1, 1, 0)
    # The system brings its other card up, too.
    assert [f"OFFER 10.0.0.105 to 10.0.0.105:68 {frame2}"] == net.hear(discover(MAC2, xid=2), 100)
    assert ["write 10.0.0.105 bound"] == net.hear(select(TWO, MAC2, xid=2), 100)[:1]
    # The machine is made to boot from it.
    moved = [line.replace(FRAME1, frame2) for line in gives] + ["write 10.0.0.105 released"]
    assert moved == boot(MAC2, 3, 200)
    held = [lease.mac for lease in net.server.leases() if lease.state is LeaseState.BOUND and lease.expires_at > 200]
    assert [MAC2] == held
    lease = net.server.who(address, 200)
    assert lease is not None
    assert lease.mac == MAC2
    # What may still run on the first card has to let go.
    assert [NAK] == net.hear(renew(address, MAC1), 300, unicast=True)
    assert "dhcp.reservation_held" not in net.events()


def test_a_card_does_not_take_what_is_on_its_way_to_its_sibling() -> None:
    """Two cards ask at once: the second gets another address while the first one's lease is written."""
    address = A("10.0.0.10")
    net = Scene(hosts=[Host("web1", MAC1, address=address, other_macs=(MAC2,))])
    net.verdict = None
    choice: dict[int, object] = {OptionCode.REQUESTED_ADDRESS: address, OptionCode.SERVER_ID: SERVER}
    net.hear(scene.pxe(MAC1, kind=MessageType.REQUEST, options=choice), 0)
    assert ["OFFER 10.0.0.105 to 10.0.0.105:68 frame 52:54:00:00:00:02"] == net.hear(scene.pxe(MAC2), 0)
    assert net.settle(Verdict.DURABLE, 0) == [f"ACK 10.0.0.10 to 10.0.0.10:68 {FRAME1}"]


@pytest.mark.parametrize(
    ("leases", "requested", "offered"),
    [
        ([bound(TWO)], THREE, "10.0.0.105"),
        ([bound(TWO, until=-5)], THREE, "10.0.0.105"),
        ([Lease(TWO, b"\x01" + MAC1, MAC1, -5, LeaseState.RELEASED)], THREE, "10.0.0.105"),
        ([], THREE, "10.0.0.199"),
        ([bound(THREE, MAC3)], THREE, "10.0.0.195"),
        ([], A("10.0.0.7"), "10.0.0.195"),
        ([], A("192.168.1.7"), "10.0.0.195"),
        ([], 0, "10.0.0.195"),
    ],
    ids=["current", "ended", "given back", "asked for", "asked for, taken", "asked for, no pool", "foreign", "any"],
)
def test_the_order_of_preference(leases: list[Lease], requested: int, offered: str) -> None:
    """The current address, else the previous, else the requested if it is to be had, else the pool's (RFC 2131 §4.3.1)."""
    net = Scene(leases=leases)
    options = {OptionCode.REQUESTED_ADDRESS: requested} if requested else {}
    assert net.hear(discover(options=options)) == [f"OFFER {offered} to {offered}:68 {FRAME1}"]


def test_a_full_pool_gives_what_ended_longest_ago() -> None:
    """Ended leases are remembered as long as possible; an empty pool is silence and one event."""
    small = with_subnet(pools=((A("10.0.0.100"), A("10.0.0.101")),))
    old, older = bound(A("10.0.0.100"), MAC1, -10), bound(A("10.0.0.101"), MAC2, -20)
    net = Scene(small, leases=[old, older])
    assert net.hear(discover(MAC3), 0)[0].startswith("OFFER 10.0.0.101")
    net = Scene(small, leases=[bound(A("10.0.0.100"), MAC1), bound(A("10.0.0.101"), MAC2)])
    assert [net.hear(discover(MAC3), 0), net.hear(discover(MAC3), 4)] == [[], []]
    assert net.events() == ["dhcp.discover", "dhcp.pool_empty"]
    net = Scene(with_subnet(pools=()), hosts=[RESERVED])
    assert net.hear(discover())[0].startswith("OFFER 10.0.0.10")
    assert net.hear(discover(MAC2)) == []
    assert net.events()[-1] == "dhcp.no_pool"


def test_stages_of_one_machine_share_an_address() -> None:
    """Firmware, iPXE and the system send no, one and another option 61: the hardware address is what counts."""
    net = Scene()
    ids = [None, b"\x01" + MAC1, bytes.fromhex("ff00000001000100012a000000525400123456")]
    for at, client_id in enumerate(ids):
        options = {} if client_id is None else {OptionCode.CLIENT_ID: client_id}
        assert net.hear(discover(options=options, xid=at), at) == [OFFER1]
        assert net.sent()[-1].options.raw(OptionCode.CLIENT_ID) == client_id


def test_client_identifiers_when_they_count() -> None:
    """``match_client_id``: two identifiers are two clients; but the firmware's lease goes to the first of its systems."""
    net = Scene(DhcpSettings(subnets=(LAN,), match_client_id=True))
    one, two = ({OptionCode.CLIENT_ID: bytes((0, number)) + b"system"} for number in (1, 2))
    net.hear(discover(), 0)
    net.hear(select(ONE), 0)
    assert net.hear(discover(options=one, xid=1), 1) == [OFFER1]
    assert net.hear(discover(options=two, xid=2), 2) != [OFFER1]


def test_without_hardware_address_the_identifier_is_the_key() -> None:
    """InfiniBand (RFC 4390): hlen 0, option 61, broadcast answers. Nothing at all to tell it by: dropped."""
    net = Scene()
    options = {OptionCode.CLIENT_ID: b"\xff\0\0\0\1\0\3"}
    assert net.hear(discover(b"", options, htype=32))[0].endswith("to 255.255.255.255:68")
    assert net.hear(discover(b"", htype=32)) == []
    assert net.server.statistics().dropped == {"no identity": 1}


# -- facts §7: ACK, NAK or silence --------------------------------------------------------------------------------------------

MINE, TAKEN, FREE, FOREIGN = A("10.0.0.195"), A("10.0.0.199"), A("10.0.0.150"), A("192.168.7.7")
OUTSIDE = A("10.0.0.77")  # of our network, not of our pool
KNOWN = [bound(MINE), bound(TAKEN, MAC3)]
ACKED, REFUSED, SILENT = "ACK", "NAK", ""

TABLE = [
    # state, leases, address asked for, answer, answer if authoritative
    ("selecting", KNOWN, MINE, ACKED, ACKED),
    ("selecting", [], MINE, ACKED, ACKED),  # offered before a restart
    ("selecting", KNOWN, FREE, REFUSED, REFUSED),
    ("selecting", KNOWN, TAKEN, REFUSED, REFUSED),
    ("selecting", KNOWN, FOREIGN, REFUSED, REFUSED),
    ("init-reboot", KNOWN, MINE, ACKED, ACKED),
    ("init-reboot", [bound(MINE, until=-1)], MINE, ACKED, ACKED),  # ended, still to be had
    ("init-reboot", [], MINE, SILENT, REFUSED),
    ("init-reboot", KNOWN, OUTSIDE, REFUSED, REFUSED),
    ("init-reboot", [bound(MINE, until=-1)], FREE, REFUSED, REFUSED),
    ("init-reboot", [bound(MINE, until=-1)], OUTSIDE, SILENT, REFUSED),  # another server's, given since
    ("init-reboot", KNOWN, FREE, REFUSED, REFUSED),
    ("init-reboot", KNOWN, TAKEN, REFUSED, REFUSED),
    ("init-reboot", [bound(TAKEN, MAC3)], TAKEN, REFUSED, REFUSED),
    ("init-reboot", KNOWN, FOREIGN, SILENT, REFUSED),
    ("renewing", KNOWN, MINE, ACKED, ACKED),
    ("renewing", [], MINE, SILENT, REFUSED),
    ("renewing", KNOWN, FREE, SILENT, REFUSED),
    ("renewing", KNOWN, TAKEN, REFUSED, REFUSED),
    ("renewing", KNOWN, A("10.5.0.7"), SILENT, SILENT),
    ("rebinding", KNOWN, MINE, ACKED, ACKED),
    ("rebinding", [], MINE, SILENT, REFUSED),
    ("rebinding", KNOWN, FREE, SILENT, REFUSED),
    ("rebinding", KNOWN, TAKEN, SILENT, REFUSED),
    ("rebinding", KNOWN, FOREIGN, SILENT, REFUSED),
]


@pytest.mark.parametrize("authoritative", [False, True], ids=["", "authoritative"])
@pytest.mark.parametrize(("state", "leases", "address", "modest", "strict"), TABLE)
def test_ack_nak_or_silence(
    state: str, leases: list[Lease], address: int, modest: str, strict: str, authoritative: bool
) -> None:
    """Each state with each relation between client and address (RFC 2131 §4.3.2)."""
    net = Scene(with_subnet(authoritative=authoritative), leases=leases)
    said = {"selecting": select, "init-reboot": reboot, "renewing": renew, "rebinding": renew}[state](address)
    lines = [line for line in net.hear(said, 10, unicast=state == "renewing") if not line.startswith("write")]
    expected = strict if authoritative else modest
    assert [line.split()[0] for line in lines] == ([expected] if expected else [])


def test_another_server_was_chosen() -> None:
    """The offer is dropped, nothing is said; which address the client is about to have is noted."""
    net = Scene()
    net.hear(discover(), 0)
    assert net.hear(select(A("10.0.0.9"), server=A("10.0.0.2")), 1) == []
    assert net.server.statistics().offers == 0
    assert net.sightings()[-1] == ("proxy request", A("10.0.0.9"))


def test_another_server_was_chosen_after_all() -> None:
    """While our lease is being written the client takes the other's: its ACK stays here, and the address is free again."""
    net = Scene()
    net.verdict = None
    assert net.hear(select(ONE)) == [WRITE1]
    assert net.hear(select(A("10.0.0.9"), server=A("10.0.0.2")), 1) == ["write 10.0.0.195 released"]
    assert net.settle(Verdict.DURABLE, 2) == []
    assert net.server.who(ONE, 3) is None


def test_a_stranger_cannot_take_what_another_was_offered_by_rebooting() -> None:
    """An offer holds against other DISCOVERs; the first REQUEST in SELECTING decides."""
    net = Scene()
    net.hear(discover(), 0)
    asks = discover(MAC2, {OptionCode.REQUESTED_ADDRESS: ONE})
    assert net.hear(asks, 1) == ["OFFER 10.0.0.105 to 10.0.0.105:68 frame 52:54:00:00:00:02"]


def test_decline() -> None:
    """Set aside for the hold time, durably; only its client can say so."""
    net = Scene(leases=[bound(ONE)])
    assert net.hear(decline(ONE, MAC2), 1) == []
    assert net.hear(decline(ONE), 2) == ["write 10.0.0.195 declined"]
    assert net.server.who(ONE, 3) is None
    assert net.hear(discover(), 3) != [OFFER1]
    assert net.hear(discover(MAC2, {OptionCode.REQUESTED_ADDRESS: ONE}), 3603 + 61)[0].startswith("OFFER 10.0.0.195")
    assert "dhcp.decline" in net.events()
    net = Scene()
    net.hear(discover())
    assert net.hear(decline(ONE), 1) == ["write 10.0.0.195 declined"]  # also what was merely offered
    assert net.server.statistics().offers == 0
    assert net.hear(select(ONE), 2) == ["NAK to 255.255.255.255:68"]


def test_release() -> None:
    """Free for others, remembered for its client; a stranger cannot give it back."""
    net = Scene(leases=[bound(ONE)])
    assert net.hear(release(ONE, MAC2), 1, unicast=True) == []
    assert net.hear(release(ONE), 2, unicast=True) == ["write 10.0.0.195 released"]
    assert net.server.who(ONE, 3) is None
    assert net.hear(discover(), 4) == [OFFER1]


def test_release_while_the_renewal_is_written() -> None:
    """The ACK stays here, and what is written last is the release."""
    net = Scene(leases=[bound(ONE)])
    net.verdict = None
    assert net.hear(renew(ONE), 600, unicast=True) == [WRITE1]
    assert net.hear(release(ONE), 601, unicast=True) == [WRITE1, "write 10.0.0.195 released"]
    assert net.settle(Verdict.DURABLE, 602) == []
    assert net.server.who(ONE, 603) is None


def test_inform() -> None:
    """Settings to an address of the client's own, without a lease (RFC 2131 §4.3.5)."""
    net = Scene()
    own = A("10.0.0.77")
    said = message(MessageType.INFORM, ciaddr=own, options={OptionCode.PARAMETER_LIST: (1, 3, 51, 58)})
    assert net.hear(said) == ["ACK to 10.0.0.77:68"]
    answer = net.sent()[0]
    assert [code for code, _ in answer.options] == [53, 54, 1, 3]
    assert (answer.yiaddr, answer.ciaddr) == (0, own)
    assert net.server.who(own, 0) is None


def test_bootp_gets_reserved_addresses_only() -> None:
    """No lease, no DHCP options, 64 bytes of options at most (RFC 1534)."""
    net = Scene(hosts=[RESERVED])
    assert net.hear(message(None)) == [f"BOOTP 10.0.0.10 to 10.0.0.10:68 {FRAME1}"]
    assert [code for code, _ in net.sent()[0].options][:2] == [1, 3]
    assert not set(dict(net.sent()[0].options)) & {51, 53, 54, 58, 59}
    assert len(serialize(net.sent()[0])) == 300
    wordy = Scene(with_subnet(domain=".".join(["long"] * 15)), hosts=[RESERVED])
    wordy.hear(message(None))
    assert len(scene.payload_of(scene.sends_of(wordy.outputs[0])[0])) == 300
    assert OptionCode.DOMAIN_NAME not in wordy.sent()[0].options
    bare = serialize(message(None))[:236].ljust(300, b"\0")
    assert net.hear(bare) == [f"BOOTP 10.0.0.10 to 10.0.0.10:68 {FRAME1}"]
    assert net.hear(message(None, MAC2)) == []


# -- networks, relays, interfaces --------------------------------------------------------------------------------------------


def relayed(options: dict[int, bytes], **header: int) -> dict[str, object]:
    """Option 82 of sub-options, in a message through the relay."""
    return {"options": {OptionCode.RELAY_AGENT: b"".join(bytes((c, len(v))) + v for c, v in options.items())}} | header


def test_a_relayed_client_gets_an_address_of_its_network() -> None:
    """By giaddr; the answer goes to the relay's port 67, option 82 back as it came and last."""
    net = Scene()
    said = discover(giaddr=RELAY, **relayed({1: b"port7"}))  # type: ignore[arg-type]
    assert net.hear(said) == ["OFFER 10.5.0.195 to 10.5.0.1:67"]
    assert list(net.sent()[0].options)[-1] == (82, b"\x01\x05port7")
    assert net.sent()[0].options.number(OptionCode.SUBNET_MASK) == FAR.mask
    assert net.sent()[0].giaddr == RELAY


@pytest.mark.parametrize(
    ("options", "giaddr", "offered"),
    [
        ({82: b"\x05\x04" + bytes((10, 5, 0, 9))}, A("10.9.9.9"), "10.5.0.195"),
        ({82: b"\x05\x04" + bytes((10, 5, 0, 9)), 118: bytes((10, 0, 0, 0))}, A("10.0.0.250"), "10.5.0.195"),
        ({118: bytes((10, 5, 0, 0))}, A("10.0.0.250"), "10.5.0.195"),
        ({}, A("10.0.0.250"), "10.0.0.195"),
        ({82: b"\x05\x04" + bytes((10, 5, 0, 9))}, 0, "10.5.0.195"),
    ],
    ids=["link selection", "link selection first", "subnet selection", "giaddr", "without relay"],
)
def test_which_network(options: dict[int, bytes], giaddr: int, offered: str) -> None:
    """82.5 (RFC 3527), else 118 (RFC 3011), else giaddr."""
    net = Scene()
    assert net.hear(discover(options=options, giaddr=giaddr))[0].split()[1] == offered


def test_server_id_override() -> None:
    """The relay's address is ours towards its clients (RFC 5107): sent as 54, and a REQUEST to it is to us."""
    net = Scene()
    option = b"\x0b\x04" + bytes((10, 5, 0, 1))
    net.hear(discover(options={82: option}, giaddr=RELAY))
    assert net.sent()[0].options.address(OptionCode.SERVER_ID) == RELAY
    chosen = {50: A("10.5.0.195"), 54: RELAY, 82: option}
    said = message(MessageType.REQUEST, options=chosen, giaddr=RELAY)
    assert net.hear(said)[-1] == "ACK 10.5.0.195 to 10.5.0.1:67"


def test_unknown_networks_are_told_once() -> None:
    """No subnet where we are to give addresses: silence, and one event for the network."""
    net = Scene(DhcpSettings(subnets=(LAN,), default_mode=DhcpMode.SERVER))
    assert [net.hear(discover(mac, giaddr=A("10.9.9.9"))) for mac in (MAC1, MAC2)] == [[], []]
    assert net.events().count("dhcp.no_subnet") == 1


def test_requests_from_unknown_networks() -> None:
    """Counted once each, and told of, except for a renewal that was routed to us from afar."""
    net = Scene(DhcpSettings(subnets=(LAN,), default_mode=DhcpMode.SERVER))
    assert net.hear(renew(A("10.9.9.7")), unicast=True, interface=3) == []
    assert net.events() == []
    assert net.hear(reboot(A("10.9.9.7"), giaddr=A("10.9.9.9"))) == []
    assert net.events() == ["dhcp.no_subnet"]
    assert net.server.statistics().dropped == {"no subnet": 2}


def test_a_relay_says_that_the_client_asked_us_alone() -> None:
    """A renewal then, refused where the address is another's; without the flag it may be for another server (RFC 5010)."""
    net = Scene(leases=[bound(A("10.5.0.150"), MAC3)])
    flagged = message(MessageType.REQUEST, ciaddr=A("10.5.0.150"), **relayed({10: b"\x80"}, giaddr=RELAY))  # type: ignore[arg-type]
    assert net.hear(renew(A("10.5.0.150"), giaddr=RELAY)) == []
    assert net.hear(flagged) == ["NAK to 10.5.0.1:67"]


def test_an_address_in_the_wrong_place() -> None:
    """A client that asks for an address, or takes an offer, does not have it yet, whatever is in ciaddr: no ARP."""
    net = Scene()
    net.hear(discover())
    said = scene.replace(select(ONE), ciaddr=ONE)
    assert net.hear(discover(ciaddr=A("10.0.0.9"))) == [OFFER1]
    assert net.hear(said, 1) == [WRITE1, ACK1]
    assert net.hear(said, 2, unicast=True) == ["ACK 10.0.0.195 to 10.0.0.195:68"]


def test_interfaces_have_their_own_networks() -> None:
    """By the interface's address, or because the subnet names it; what comes in elsewhere is dropped."""
    eth1 = Interface(3, "eth1", b"", ((A("10.5.0.3"), 24),))
    lab = Interface(4, "lab0", b"", ((A("172.16.0.1"), 30),))
    named = Subnet(A("10.7.0.0"), 24, pools=((A("10.7.0.5"), A("10.7.0.9")),), interface="lab0")
    net = Scene(DhcpSettings(subnets=(LAN, FAR, named)), interfaces=(scene.ETH0, eth1, lab))
    asked = [net.hear(discover(), interface=number)[0].split()[1] for number in (2, 3, 4)]
    assert [address.rsplit(".", 2)[0] for address in asked] == ["10.0", "10.5", "10.7"]
    assert [answer.options.address(OptionCode.SERVER_ID) for answer in net.sent()] == [
        SERVER,
        A("10.5.0.3"),
        SERVER,  # no address of ours there: the one it asked by
    ]
    assert net.hear(discover(), interface=9) == []
    assert net.hear(discover(), interface=0) == []
    assert net.server.statistics().dropped == {"interface": 2}
    assert Scene().hear(discover(), interface=0) == [OFFER1]  # the kernel did not say, but there is only one


def test_two_networks_on_one_wire() -> None:
    """A client may have its address in either; a new one gets the first network with room."""
    eth0 = Interface(2, "eth0", b"", ((SERVER, 24), (A("10.5.0.3"), 24)))
    full = with_subnet(pools=((ONE, ONE),))
    net = Scene(full, interfaces=(eth0,), leases=[bound(A("10.5.0.170"), MAC2), bound(ONE, MAC3)])
    assert net.hear(discover(MAC2))[0].startswith("OFFER 10.5.0.170")
    assert net.hear(discover(MAC1))[0].startswith("OFFER 10.5.0.1")
    assert net.hear(reboot(A("10.5.0.170"), MAC2), 1)[-1].startswith("ACK 10.5.0.170")


def test_a_network_on_our_wire_that_is_not_ours() -> None:
    """Where one of two networks on a wire is another server's, no address of it is given, and none refused: not even as the only
    server of the other network."""
    mine = with_subnet(pools=((ONE, ONE),), authoritative=True).subnets[0]
    theirs = Subnet(A("10.9.0.0"), 24, pools=((A("10.9.0.10"), A("10.9.0.20")),), interface="eth0", mode=DhcpMode.OFF)
    net = Scene(DhcpSettings(subnets=(mine, theirs)), leases=[bound(ONE, MAC3)])
    assert net.hear(discover()) == []
    assert net.hear(reboot(A("10.9.0.15"))) == []
    assert net.hear(renew(A("10.9.0.15"))) == []
    assert net.hear(select(A("10.9.0.15"))) == ["NAK to 255.255.255.255:68"]
    assert net.hear(reboot(A("10.8.0.15"))) == ["NAK to 255.255.255.255:68"]
    elsewhere = Subnet(A("10.9.0.0"), 24, mode=DhcpMode.OFF)
    net = Scene(DhcpSettings(subnets=(mine, elsewhere)))
    assert net.hear(reboot(A("10.9.0.15"))) == ["NAK to 255.255.255.255:68"]


# -- what is in the answers ------------------------------------------------------------------------------------------------------


def test_options_come_in_the_order_asked_for() -> None:
    """The fixed ones, the mask, then 55's order; what was not asked for is not sent (RFC 2132 §9.8)."""
    net = Scene()
    net.hear(discover(options={OptionCode.PARAMETER_LIST: (15, 255, 0, 6, 3, 1, 13, 6)}))
    assert [code for code, _ in net.sent()[0].options] == [53, 54, 51, 58, 59, 1, 15, 6, 3]
    net.hear(discover(xid=2))
    assert [code for code, _ in net.sent()[1].options] == [53, 54, 51, 58, 59, 1, 3, 6, 15, 28]


@pytest.mark.parametrize(
    ("given", "wanted", "told"),
    [
        (3600.0, None, (3600, 1800, 3150)),
        (3600.0, 600, (600, 300, 525)),
        (3600.0, 5, (120, 60, 105)),
        (3600.0, 0xFFFFFFFF, (3600, 1800, 3150)),
        (float("inf"), None, (0xFFFFFFFF, None, None)),
    ],
    ids=["configured", "shorter", "too short", "longer", "for ever"],
)
def test_lease_times(given: float, wanted: int | None, told: tuple[int | None, ...]) -> None:
    """51, 58 and 59: half and seven eighths (RFC 2131 §4.4.5)."""
    net = Scene(with_subnet(lease_s=given))
    net.hear(discover(options={} if wanted is None else {OptionCode.LEASE_TIME: wanted}))
    assert tuple(net.sent()[0].options.number(code) for code in (51, 58, 59)) == told


def test_nak_says_little() -> None:
    """53, 54, 56, 61 and 82, no address and no file; through a relay it sets the broadcast flag (RFC 2131 §4.3.2, table 3)."""
    net = Scene()
    options = {54: SERVER, 50: A("10.0.0.9"), 61: b"\x01" + MAC1, 82: b"\x01\x01a", 97: bytes(17)}
    said = message(MessageType.REQUEST, options=options, giaddr=RELAY)
    assert net.hear(said) == ["NAK to 10.5.0.1:67"]
    answer = net.sent()[0]
    assert [code for code, _ in answer.options] == [53, 54, 56, 61, 82]
    assert (answer.broadcast, answer.yiaddr, answer.ciaddr, answer.siaddr, answer.file) == (True, 0, 0, 0, b"")


def test_client_id_echo_can_be_switched_off() -> None:
    """RFC 2131 forbade what RFC 6842 wants."""
    net = Scene(DhcpSettings(subnets=(LAN,), echo_client_id=False))
    net.hear(discover(options={61: b"\x01" + MAC1}))
    assert 61 not in net.sent()[0].options


# -- hostile packets -------------------------------------------------------------------------------------------------------------


def test_a_flood_of_discovers_costs_offers_only() -> None:
    """Random hardware addresses can use up neither memory nor the leases of others; who asks gets an address all the same."""
    net = Scene(with_subnet(DhcpSettings(subnets=(LAN,), max_offers=50)), leases=[bound(ONE)])
    for number in range(2000):
        net.server.receive([], number / 1000)
        net.hear(discover(b"\x02" + number.to_bytes(5, "big"), xid=number), number / 1000)
    held = net.server.statistics()
    assert (held.offers, held.leases) == (50, 1)
    assert net.server.who(ONE, 3) is not None
    offered = net.hear(discover(MAC2), 3)[0].split()[1]
    assert net.hear(select(A(offered), MAC2), 4)[-1].startswith(f"ACK {offered}")


def test_leases_on_their_way_to_the_disk_are_bounded() -> None:
    """Who comes when too many are being written asks again; what a client says twice needs no second place."""
    net = Scene(DhcpSettings(subnets=(LAN,), max_pending=1))
    net.verdict = None
    assert net.hear(select(ONE)) == [WRITE1]
    assert [net.hear(select(ONE)), net.hear(select(TWO, MAC2))] == [[], []]
    assert net.server.statistics().pending == 1
    assert net.settle(Verdict.DURABLE) == [ACK1]
    assert net.hear(select(TWO, MAC2)) == ["write 10.0.0.105 bound"]


def test_what_was_told_is_bounded() -> None:
    """The client heard of longest ago is forgotten, and told of again."""
    told = Told(limit=2)
    assert [told.first(client, 1, "dhcp.offer", 0.0) for client in (b"a", b"b", b"a", b"c", b"a", b"b")] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        bytes(240),
        bytes(300),
        b"\x02" + serialize(discover())[1:],
        serialize(discover()).replace(b"\x35\x01\x01", b"\x35\x02\x01\x01"),
        serialize(message(MessageType.REQUEST)),
        serialize(message(MessageType(4))),
        serialize(message(MessageType.RELEASE)),
        serialize(message(MessageType.OFFER)),
        serialize(message(None, options={53: b"\x63"})),
    ],
    ids=["empty", "zeros", "BOOTP of zeros", "reply", "bad 53", "REQUEST", "DECLINE", "RELEASE", "OFFER", "type 99"],
)
def test_what_makes_no_sense_is_counted(said: bytes) -> None:
    """Dropped for a reason, nothing sent."""
    net = Scene()
    assert net.hear(said) == []
    assert sum(net.server.statistics().dropped.values()) == 1


def test_damaged_options_are_ignored_alone() -> None:
    """A wrong length in 50, 51, 57, 55, 82, 93, 97 or 61 costs that option, not the answer."""
    net = Scene()
    raw = [(53, b"\x01"), (50, b"abc"), (51, b"a"), (57, b"a"), (82, b"\x05\x09a"), (93, b"a"), (97, b"a"), (61, b"a")]
    said = scene.replace(discover(), options=Options(raw))
    assert net.hear(said) == [OFFER1]
    assert 97 not in net.sent()[0].options
