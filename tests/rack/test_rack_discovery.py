"""Unknown machines that are booted to tell what they are, and become hosts by name or by what they told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rack_machine import ADDRESS, MAC, read, start_installer
from rack_scene import RackScene, host_text, site

from pxenet.config import from_text
from pxenet.engine.http import Request
from pxenet.model import InstallState, Verdict
from pxenet.rack import Report
from pxenet.rack.census import Census
from pxenet.wire.discovery import Disk, Hardware, Nic, serialize
from pxenet.wire.text import mac_text

S = InstallState
KEY = mac_text(MAC)
OTHER_CARD = bytes.fromhex("525400770099")
HARDWARE = Hardware(
    "ABC123",
    "",
    "QEMU",
    "Standard PC",
    4,
    2 << 30,
    (Disk("sda", 8 << 30),),
    (Nic("eth0", MAC), Nic("eth1", OTHER_CARD)),
)
PROFILE = """\
[[profile]]
name = "what"
kernel = "tree/images/pxeboot/vmlinuz"
initrd = "tree/images/pxeboot/initrd.img"
args = "quiet"
answer = "discovery"
"""


def scene_of(base: Path, more: str = "") -> RackScene:
    return RackScene(base, site(unknown="what", more=PROFILE + more))


def say(scene: RackScene, method: str = "POST", body: bytes = b"", token: str = "") -> Report:
    """The machine's report, made durable."""
    path = f"/discovered/{token or scene.rack.installs.token(KEY)}"
    report = scene.rack.report(Request(method, path, body=body), ADDRESS)
    assert report is not None
    scene.keep(list(report.changes))
    return report


def adopt(scene: RackScene, base: Path, more: str) -> None:
    scene.keep(scene.rack.adopt(scene.rack.prepare(from_text(site(unknown="what", more=PROFILE + more), base))))


def action(scene: RackScene) -> tuple[str, str]:
    plan = scene.rack.plan(scene.rack.hosts.of_mac(MAC))
    return plan.action.value, plan.reason


def test_from_power_on_to_a_host(base: Path) -> None:
    """An unknown machine boots the environment and finds its script by the kernel's arguments; what it tells is kept; it boots its
    disk until it is a host, and is then installed. Its old token tells it so."""
    scene = scene_of(base)
    address = start_installer(scene)
    text = read(scene, f"bios/pxelinux.cfg/01-{MAC.hex('-')}", address).data.decode()
    url = re.search(r"APPEND quiet pxenet\.discovery=http://10\.77\.0\.1(/answer/\w+/what/discovery\.sh)\n", text)
    assert url is not None, text
    script = scene.get(url[1], address)
    assert 200 == script.status
    token = scene.rack.installs.token(KEY)
    assert (
        f'curl -fsS --retry 5 -o /dev/null --data-binary "$hardware" http://10.77.0.1/discovered/{token} ||'
        in script.body.decode()
    )
    assert S.ANSWERED is (scene.rack.installs.record(KEY) or pytest.fail("no record")).state
    assert (200, "waiting\n") == (say(scene, "GET").reply.status, say(scene, "GET").reply.text)
    assert 200 == say(scene, body=serialize(HARDWARE)).reply.status
    assert ("local", "discovered") == action(scene)
    assert 403 == scene.get(url[1], address).status
    assert HARDWARE == scene.rack.discovered.of(KEY)
    assert "discovery.told" in scene.kinds()
    adopt(scene, base, host_text("web07", MAC, "alma9"))
    assert ("install", "install") == action(scene)
    assert (200, "accepted\n") == (
        say(scene, "GET", token=token).reply.status,
        say(scene, "GET", token=token).reply.text,
    )
    assert token != scene.rack.installs.token(KEY)
    assert 409 == say(scene, body=b"", token=token).reply.status
    scene.now += 60
    start_installer(scene)
    assert S.BOOTED is scene.state("web07")


def test_it_is_known_after_a_restart(base: Path) -> None:
    """What it told, and that it waits; and a host that was named meanwhile is armed by the start."""
    scene = scene_of(base)
    start_installer(scene)
    say(scene, body=serialize(HARDWARE))
    again = RackScene(base, site(unknown="what", more=PROFILE), store=scene.store, now=scene.now)
    assert (HARDWARE, ("local", "discovered")) == (again.rack.discovered.of(KEY), action(again))
    more = PROFILE + host_text("web07", MAC, "alma9")
    named = [RackScene(base, site(unknown="what", more=more), store=scene.store, now=scene.now) for _ in range(2)]
    assert ["install", "install"] == [action(one)[0] for one in named]
    assert named[0].rack.installs.token(KEY) == named[1].rack.installs.token(KEY)


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
def test_a_host_by_serial_number(base: Path, early: bool) -> None:
    """Whatever its boot loader: what it tells makes it the host of that serial number, by any of its cards, also after a restart."""
    more = '[[host]]\nname = "web07"\nserial = "ABC123"\nprofile = "alma9"\n'
    scene = scene_of(base, more if early else "")
    start_installer(scene)
    say(scene, body=serialize(HARDWARE))
    if not early:
        adopt(scene, base, more)
    again = RackScene(base, site(unknown="what", more=PROFILE + more), store=scene.store, now=scene.now)
    for one in (scene, again):
        assert ["web07", "web07"] == [one.rack.hosts.of_mac(mac).name for mac in (MAC, OTHER_CARD)]
        assert ("install", "install") == action(one)
    assert "accepted\n" == say(scene, "GET").reply.text


@pytest.mark.parametrize("serial", ["", "To Be Filled By O.E.M.", "Default string", "None"])
def test_serial_numbers_that_are_none(base: Path, serial: str) -> None:
    """What board makers leave there makes nobody a host."""
    scene = scene_of(base, f'[[host]]\nname = "web07"\nserial = "{serial or "x"}"\nprofile = "alma9"\n')
    start_installer(scene)
    say(scene, body=f"serial\t{serial}\n".encode())
    assert not scene.rack.hosts.of_mac(MAC).configured


WRONG = {
    "no token": ("0" * 32, b"", "POST", 404),
    "asks without a token": ("0" * 32, b"", "GET", 404),
    "nonsense": ("", b"cpus\tmany\n", "POST", 400),
    "put": ("", b"", "PUT", 405),
}


@pytest.mark.parametrize(("token", "body", "method", "status"), WRONG.values(), ids=list(WRONG))
def test_what_is_refused(base: Path, token: str, body: bytes, method: str, status: int) -> None:
    """Nothing of it is kept."""
    scene = scene_of(base)
    start_installer(scene)
    assert status == say(scene, method, body, token).reply.status
    assert [] == list(scene.rack.discovered.all())
    assert "install" == action(scene)[0]


def test_what_could_not_be_written_was_not_told(base: Path) -> None:
    """The machine is answered 503 and tries again; nothing has happened until then."""
    scene = scene_of(base)
    start_installer(scene)
    path = f"/discovered/{scene.rack.installs.token(KEY)}"
    report = scene.rack.report(Request("POST", path, body=serialize(HARDWARE)), ADDRESS)
    assert report is not None
    scene.rack.committed(report.changes, Verdict.FAILED)
    assert (None, "install") == (scene.rack.discovered.of(KEY), action(scene)[0])
    say(scene, body=serialize(HARDWARE))
    assert "discovered" == action(scene)[1]


def test_one_that_never_tells_is_stopped(base: Path) -> None:
    """An environment that does not work does not boot for ever."""
    scene = scene_of(base)
    for _ in range(4):
        start_installer(scene)
        scene.now += 600
    assert ("local", "stopped") == action(scene)


def test_what_people_see(base: Path) -> None:
    """A line for each machine, and all of it for one."""
    scene = scene_of(base)
    start_installer(scene)
    say(scene, body=serialize(HARDWARE))
    census = Census(scene.rack, scene.rack.dhcp.leases)
    (row,) = census.discovered()
    words = f"QEMU Standard PC, serial ABC123, 4 CPUs, 2.15 GB of memory, sda 8.59 GB, eth0 {KEY}, eth1 {mac_text(OTHER_CARD)}"
    assert (KEY, None, words) == (row["machine"], row["host"], row["what"])
    hardware = census.host(scene.rack.hosts.of_mac(MAC))["hardware"]
    assert isinstance(hardware, dict)
    assert ("ABC123", [{"name": "sda", "size_bytes": 8 << 30, "model": "", "serial": ""}]) == (
        hardware["serial"],
        list(hardware["disks"]),
    )
