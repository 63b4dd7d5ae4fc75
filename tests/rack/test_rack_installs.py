"""The life of a machine at the rack: how often it is tried, what its reports do, and what is promised when the disk fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from rack_machine import ADDRESS, BIOS, MAC, MACHINE, read, start_installer, token
from rack_scene import RackScene, site

from pxenet.boot.policy import Action
from pxenet.config import from_text
from pxenet.engine.http import Request
from pxenet.engine.surface import Output, Sighting
from pxenet.model import BootClient, ClientKind, InstallState, LeaseState, Platform, Verdict
from pxenet.rack.census import Census
from pxenet.wire.dhcp import parse
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import parse_address

S = InstallState


# -- attempts --------------------------------------------------------------------------------------------------------------------


def test_a_machine_that_never_reports_is_stopped(base: Path) -> None:
    """Three starts of the installer; the fourth power-on ends at the local disk, with one event, and after a restart too."""
    scene = RackScene(base, site(more=MACHINE))
    for attempt in range(1, 4):
        start_installer(scene)
        record = scene.rack.installs.record(scene.host("machine").key)
        assert record is not None
        assert (S.BOOTED, attempt) == (record.state, record.attempts)
        scene.now += 600
    for _ in range(2):
        start_installer(scene)
        assert "LOCALBOOT 0" in read(scene, "pxelinux.cfg/default", ADDRESS).data.decode()
        scene.now += 600
    assert 1 == scene.kinds().count("install.stopped")
    (record,) = scene.store.installs()
    assert (S.FAILED, 3) == (record.state, record.attempts)
    assert 403 == scene.get(f"/answer/{token(scene)}/alma9/ks.cfg", ADDRESS).status
    again = RackScene(base, site(more=MACHINE), store=scene.store, now=scene.now)
    start_installer(again)
    assert "LOCALBOOT 0" in read(again, "pxelinux.cfg/default", ADDRESS).data.decode()


def test_a_stopped_machine_may_still_report_the_end(base: Path) -> None:
    """The third installer was only slow."""
    scene = RackScene(base, site(more=MACHINE))
    for _ in range(4):
        start_installer(scene)
        scene.now += 600
    assert S.FAILED is scene.state("machine")
    assert 200 == scene.get(f"/installed/{token(scene)}", ADDRESS).status
    assert S.INSTALLED is scene.state("machine")


def test_the_installer_s_own_dhcp_is_no_new_attempt(base: Path) -> None:
    """The kernel and the installer ask for their address as operating systems: the machine stays where it is."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    scene.now += 60
    for vendor_class in ("udhcp 1.35.0", "d-i", "anaconda-Linux 5.14"):
        scene.exchange(MAC, {OptionCode.VENDOR_CLASS: vendor_class})
    assert S.BOOTED is scene.state("machine")


def test_a_restart_after_http_boot(base: Path) -> None:
    """The server that hears iPXE is another than the one whose URL its firmware loaded: it knows that GRUB would have no network."""
    scene = RackScene(base, site(unknown="menu"))
    http = BootClient(MAC, ClientKind.HTTP, 16, Platform.X64, vendor_class="HTTPClient:Arch:00016")
    ipxe = BootClient(MAC, ClientKind.IPXE, 7, Platform.X64, ipxe_features=frozenset({0x13}))
    assert "ipxe-loader" == scene.rack.boot(ipxe, ADDRESS).reason
    scene.keep(scene.rack.absorb(Output(sightings=[Sighting(http, 0, "discover")])))
    again = RackScene(base, site(unknown="menu"), store=scene.store, now=scene.now)
    assert "ipxe-after-http" == again.rack.boot(ipxe, ADDRESS).reason


@pytest.mark.parametrize("evidence", ["proxy request", "proxy 4011"])
def test_a_restart_beside_another_dhcp_server(base: Path, evidence: str) -> None:
    """Whose address is whose was only observed, and that on the way of another server; the new one knows it, and answers the machine
    that asks from behind a router as before. An address that has another machine since is that one's."""
    text = site(mode="proxy", more=MACHINE.replace('address = "10.77.0.11"\n', ""))
    scene = RackScene(base, text)
    routed, other = parse_address("10.99.0.5"), bytes.fromhex("525400770002")
    client = BootClient(MAC, ClientKind.PXE, 0, Platform.BIOS)
    name = f"/pxelinux.cfg/01-{MAC.hex('-')}"
    assert 403 == scene.get(name, routed).status
    scene.keep(scene.rack.absorb(Output(sightings=[Sighting(client, routed, evidence)])))
    assert 200 == scene.get(name, routed).status
    again = RackScene(base, text, store=scene.store, now=scene.now + 5)
    assert scene.get(name, routed).body == again.get(name, routed).body
    scene.now += 1000
    stranger = BootClient(other, ClientKind.PXE, 0, Platform.BIOS)
    scene.keep(scene.rack.absorb(Output(sightings=[Sighting(stranger, routed, evidence)])))
    third = RackScene(base, text, store=scene.store, now=scene.now)
    assert 403 == third.get(name, routed).status


# -- callbacks -------------------------------------------------------------------------------------------------------------------


def test_a_failure_is_kept_with_its_words(base: Path) -> None:
    """By query or by body; the machine then boots its disk and waits for a person."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    assert 200 == scene.get(f"/failed/{token(scene)}?reason=disk+on+fire", ADDRESS).status
    (record,) = scene.store.installs()
    assert (S.FAILED, "disk on fire") == (record.state, record.reason)
    assert 1 == scene.kinds().count("install.failed")
    scene.now += 600
    start_installer(scene)
    assert "LOCALBOOT 0" in read(scene, "pxelinux.cfg/default", ADDRESS).data.decode()


LOGS = {
    "trouble": (
        "==> /tmp/a.log <==\nstarting\nERR no disk found\ncleaning up\n\n==> /tmp/b.log <==\n",
        "ERR no disk found",
    ),
    "no trouble": ("one\n two \n\n", "two"),
    "bytes": ("Traceback \udcff", "Traceback \ufffd"),
    "empty": ("", "reported a failure"),
}


@pytest.mark.parametrize(("log", "reason"), LOGS.values(), ids=list(LOGS))
def test_a_failure_brings_its_log(base: Path, log: str, reason: str) -> None:
    """The body of a failure is the end of its log: kept, told, and its last line of trouble is the reason."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    body = log.encode("utf-8", "surrogateescape")
    report = scene.rack.report(Request("POST", f"/failed/{token(scene)}", body=body), ADDRESS)
    assert report is not None
    assert 200 == report.reply.status
    scene.rack.committed(report.changes, Verdict.DURABLE)
    record = scene.rack.installs.record(scene.host("machine").key)
    assert record is not None
    assert (reason, body.decode("utf-8", "replace").strip()) == (record.reason, record.log)


def test_a_log_is_kept_without_secrets(base: Path) -> None:
    """Neither the machine's token, nor a value that the configuration calls a secret, nor what looks like one."""
    scene = RackScene(base, site(more=MACHINE + 'vars.root_password = "correct horse"\n'))
    start_installer(scene)
    secret = token(scene)
    body = f"inst.ks=http://10.77.0.1/answer/{secret}/a\nset correct horse\nrootpw --iscrypted $6$abc$def\nERR no disk, correct horse\n"
    report = scene.rack.report(Request("POST", f"/failed/{secret}", body=body.encode()), ADDRESS)
    assert report is not None
    scene.keep(list(report.changes))
    (record,) = scene.store.installs()
    kept = f"{record.log} {record.reason} {[event.detail for event in scene.events]}"
    assert [] == [word for word in (secret, "correct horse", "$6$") if word in kept]
    assert record.reason.startswith("ERR no disk, <secret-")


def test_a_retired_machine_is_served_nothing(base: Path) -> None:
    """No boot file, no text, no answer file; not even as a stranger that boot.unknown installs, once its [[host]] is gone."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    answer = f"/answer/{token(scene)}/alma9/ks.cfg"
    assert 200 == scene.get(answer, ADDRESS).status
    scene.keep(scene.rack.installs.retire(scene.host("machine").key, scene.now)[0])
    assert 403 == scene.get(answer, ADDRESS).status
    for more in (MACHINE, ""):
        scene.rack.adopt(scene.rack.prepare(from_text(site(unknown="alma9", more=more), base)))
        plan = scene.rack.plan(scene.rack.hosts.of_mac(MAC))
        assert ("none", "retired") == (plan.action.value, plan.reason)


def test_a_report_may_come_twice(base: Path) -> None:
    """The 200 of the first was lost: the second is a 200 too, and nothing new happens. A failure after the end is refused."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    for _ in range(3):
        assert 200 == scene.get(f"/installed/{token(scene)}", ADDRESS).status
    assert 1 == scene.kinds().count("install.installed")
    assert 409 == scene.get(f"/failed/{token(scene)}", ADDRESS).status
    assert S.INSTALLED is scene.state("machine")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/installed/" + "0" * 32, 404),
        ("GET", "/installed/", 404),
        ("GET", "/installed", 404),
        ("HEAD", "/installed/TOKEN", 405),
        ("GET", "/installed/TOKEN/more", 404),
        ("GET", "/done/TOKEN", 404),
    ],
)
def test_what_is_no_report(base: Path, method: str, path: str, status: int) -> None:
    """A wrong token, another method, another name: nothing moves."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    assert status == scene.get(path.replace("TOKEN", token(scene)), ADDRESS, method).status
    assert S.BOOTED is scene.state("machine")


def test_an_old_kernel_cannot_report_for_a_new_install(base: Path) -> None:
    """Armed again by a person, the machine has a new token; the old one is stale for everything, also after a restart."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    old = token(scene)
    scene.get(f"/installed/{old}", ADDRESS)
    changes, _ = scene.rack.installs.rearm(scene.host("machine").key, scene.now)
    scene.keep(changes)
    for world in (scene, RackScene(base, site(more=MACHINE), store=scene.store, now=scene.now)):
        assert old != token(world)
        assert 409 == world.get(f"/installed/{old}", ADDRESS).status
        assert 403 == world.get(f"/answer/{old}/alma9/ks.cfg", ADDRESS).status
        assert S.NEW is world.state("machine")
        assert 200 == world.get(f"/answer/{token(world)}/alma9/ks.cfg", 0).status


# -- a disk that fails -----------------------------------------------------------------------------------------------------------


def test_no_lease_is_promised_that_is_not_written(base: Path) -> None:
    """An OFFER may leave, the ACK does not; the client asks again, and gets it when the disk is well."""
    scene = RackScene(base, site(more=MACHINE))
    scene.store.broken = True
    exchange = scene.exchange(MAC, BIOS)
    assert (1, None) == (len(exchange.offers), exchange.ack)
    assert ["dhcp.not_durable"] == [kind for kind in scene.kinds() if kind.startswith("dhcp.n")]
    assert [] == list(scene.store.leases())
    assert scene.rack.dhcp.who(ADDRESS, scene.now) is None
    scene.store.broken = False
    assert scene.exchange(MAC, BIOS).ack is not None
    (lease,) = scene.store.leases()
    assert (ADDRESS, MAC, LeaseState.BOUND) == (lease.address, lease.mac, lease.state)


def test_no_end_is_confirmed_that_is_not_written(base: Path) -> None:
    """503 and the old state; the machine tries again. A server that dies in between installs it once more, and never says 200."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    scene.store.broken = True
    for _ in range(2):
        assert 503 == scene.get(f"/installed/{token(scene)}", ADDRESS).status
        assert S.BOOTED is scene.state("machine")
    assert "install.installed" not in scene.kinds()
    assert scene.kinds().count("store.failed") == 1, "people are told, once"
    scene.store.broken = False
    assert (
        Action.INSTALL is RackScene(base, site(more=MACHINE), store=scene.store).rack.plan(scene.host("machine")).action
    )
    assert 200 == scene.get(f"/installed/{token(scene)}", ADDRESS).status
    assert [S.INSTALLED] == [record.state for record in scene.store.installs()]


def test_what_was_seen_is_written_later(base: Path) -> None:
    """Evidence moves the machine at once and boots go on; the store gets the newest state when the disk is well again."""
    scene = RackScene(base, site(more=MACHINE))
    scene.exchange(MAC, BIOS)
    scene.store.broken = True
    assert read(scene, "bios/pxelinux.0", ADDRESS).error is None
    assert S.LOADING is scene.state("machine")
    assert [S.OFFERED] == [record.state for record in scene.store.installs()]
    scene.store.broken = False
    scene.now += 60
    scene.keep(scene.rack.tick())
    assert [S.LOADING] == [record.state for record in scene.store.installs()]


def test_an_installation_times_out(base: Path) -> None:
    """Stuck at a question since the kernel: failed, told and written; the clock is the rack's."""
    scene = RackScene(base, site(more=MACHINE))
    start_installer(scene)
    scene.now += 5 * 3600
    scene.keep(scene.rack.tick())
    (record,) = scene.store.installs()
    assert S.FAILED is record.state
    assert record.reason.startswith("timed out")


@pytest.mark.parametrize("step_s", [5 * 3600.0, -5 * 3600.0])
def test_the_time_is_corrected_in_the_middle(base: Path, step_s: float) -> None:
    """NTP sets the clock by hours while a machine is under way: it goes on, is written with its new time, and times out when due."""
    clock = [0.0]  # what a clock shows that nobody sets
    scene = RackScene(base, site(more=MACHINE), steady=lambda: clock[0])
    start_installer(scene)
    scene.keep(scene.rack.tick())
    clock[0] += 5
    scene.now += 5 + step_s
    scene.keep(scene.rack.tick())
    (record,) = scene.store.installs()
    assert (S.BOOTED, True) == (record.state, abs(scene.now - record.since_at) < 60)
    for later, state in ((3.9 * 3600, S.BOOTED), (0.2 * 3600, S.FAILED)):
        scene.now += later
        clock[0] += later
        scene.keep(scene.rack.tick())
        assert [state] == [record.state for record in scene.store.installs()]


def test_a_machine_with_two_network_cards(base: Path) -> None:
    """It boots from its second one: the same host, token and state, and the address that is reserved for it."""
    second = bytes.fromhex("52540077ff01")
    more = MACHINE.replace(f'mac = "{MAC.hex(":")}"', f'mac = ["{MAC.hex(":")}", "{second.hex(":")}"]')
    scene = RackScene(base, site(more=more))
    assert ADDRESS == start_installer(scene, second)
    assert S.BOOTED is scene.state("machine")
    assert MAC.hex(":") == scene.host("machine").key
    assert 200 == scene.get(f"/answer/{token(scene)}/alma9/ks.cfg", ADDRESS).status
    assert 200 == scene.get(f"/installed/{token(scene)}", ADDRESS).status
    scene.now += 60
    assert ADDRESS == parse(scene.exchange(MAC, BIOS).ack or b"").yiaddr
    assert "localboot" in read(scene, f"pxelinux.cfg/01-{second.hex('-')}", ADDRESS).data.decode().lower()
    assert [S.INSTALLED] == [record.state for record in scene.store.installs()]
    assert 1 == len([row for row in Census(scene.rack, scene.store.leases).hosts() if row["host"] == "machine"])
