"""Every captured machine boots from our rack, is installed, and boots its own disk afterwards; nobody else reads what is its own.

The machine follows our answers to the end, with the captured words; see ``boot_models``. Each is tried with every boot loader that its
firmware may be given, not only the one of the capture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import http_rules
import pytest
from boot_models import LocalDisk, Machine, Started, recorded
from captured_words import CAPTURES, captured, with_path
from rack_scene import INITRD, KERNEL, NEIGHBOUR, NEIGHBOUR_MAC, RackScene, host_text, site
from tftp_harness import Weather

from pxenet.boot.policy import Action
from pxenet.capture.boots import Boot
from pxenet.model import InstallRecord, InstallState
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import mac_dashes

BIOS, EFI, EFI_HTTP = ("pxelinux", "lpxelinux", "ipxe"), ("grub", "shim", "ipxe", "pxelinux"), ("ipxe", "grub")
LOADERS = {
    "bios-e1000-pxelinux": BIOS,
    "bios-ipxe-script": BIOS,
    "bios-lpxelinux-v6": BIOS,
    "bios-pxelinux-localboot": BIOS,
    "di-preseed": BIOS,
    "proxy-bios-kea": BIOS,
    "uefi-http-ipxe": EFI_HTTP,
    "uefi-pxe-grub": EFI,
    "uefi-pxe-ipxe": EFI,
    "uefi-pxe6-ipxe": EFI,
}
OF_THE_CAPTURE = {
    "bios-e1000-pxelinux": "pxelinux",
    "bios-ipxe-script": "ipxe",
    "bios-lpxelinux-v6": "lpxelinux",
    "bios-pxelinux-localboot": "pxelinux",
    "di-preseed": "lpxelinux",
    "proxy-bios-kea": "ipxe",
    "uefi-http-ipxe": "ipxe",
    "uefi-pxe-grub": "grub",
    "uefi-pxe-ipxe": "ipxe",
    "uefi-pxe6-ipxe": "ipxe",
}
CASES = [(name, loader) for name, loaders in LOADERS.items() for loader in loaders]
S = InstallState


@dataclass
class Case:
    """A captured machine as a [[host]] called ``machine``, and the loader it is to get."""

    name: str
    scene: RackScene
    boot: Boot
    text: str
    """The configuration."""

    beside: bool = False
    """Another server gives the addresses, though not in the capture."""

    @property
    def proxied(self) -> bool:
        return self.beside or self.name == "proxy-bios-kea"

    def machine(self) -> Machine:
        second = captured("uefi-pxe-ipxe") if self.name == "uefi-pxe-grub" else None  # the same machine, with iPXE
        return Machine(self.scene, self.boot, second, self.beside)


def set_up(base: Path, name: str, loader: str, weather: Weather | None = None, beside: bool = False) -> Case:
    """The captured server's choice of an address is a reservation, so that the captured REQUESTs are right word for word."""
    boot = captured(name)
    wanted = [step.message.options.address(OptionCode.REQUESTED_ADDRESS) for step in boot.dhcp]
    proxied = beside or name == "proxy-bios-kea"
    address = 0 if proxied else next(filter(None, wanted))
    profile = "debian12" if name == "di-preseed" else "alma9"
    platform = "x64" if name.startswith("uefi") else "bios"
    text = site(
        mode="proxy" if proxied else "server",
        loaders={platform: loader},
        more=host_text("machine", boot.hardware, profile, address or 0),
    )
    return Case(name, RackScene(base, text, weather=weather), boot, text, beside)


def install(case: Case, machine: Machine) -> str:
    """From power-on to the callback's 200; the answer file's URL. Each file is whole, and the state follows."""
    scene = case.scene
    assert scene.state("machine") is None
    outcome = machine.power_on()
    assert isinstance(outcome, Started)
    assert (KERNEL, INITRD) == (outcome.kernel, outcome.initrd)
    assert f"01-{mac_dashes(case.boot.hardware)}" == outcome.argument("BOOTIF")
    assert S.BOOTED is scene.state("machine")
    machine.system()
    url = outcome.argument("inst.ks", "url")
    answer = machine.fetch(url)
    assert (200, "no-store") == (answer.status, answer.field("Cache-Control"))
    assert S.ANSWERED is scene.state("machine")
    if "inst.repo=" in outcome.args:
        assert 404 == machine.fetch(outcome.argument("inst.repo") + "/.treeinfo").status
        assert S.ANSWERED is scene.state("machine")
        assert b"<repomd/>" == machine.fetch(outcome.argument("inst.repo") + "/repodata/repomd.xml").body
        assert S.INSTALLING is scene.state("machine")
    callback = re.search(rb"http://[^ ']*/installed/[0-9a-f]{32}", answer.body)
    assert callback is not None
    assert b"machine" in answer.body
    assert 200 == machine.fetch(callback[0].decode()).status
    assert S.INSTALLED is scene.state("machine")
    return url


def story(machine: Machine) -> list[InstallState]:
    """The states a machine passes on its way, by what it read."""
    loaders = [name for name in machine.read if name.lstrip("/").startswith(("bios/", "x64/")) and "cfg" not in name]
    loaders = [name for name in loaders if not name.endswith("grub.ipxe")]
    repository = [S.INSTALLING] if any("pxeboot" in name for name in machine.read) else []
    return [S.OFFERED, *([S.LOADING] if loaders else []), S.BOOTED, S.ANSWERED, *repository, S.INSTALLED]


@pytest.mark.parametrize(("name", "loader"), CASES)
def test_from_power_on_to_installed_and_then_the_local_disk(base: Path, name: str, loader: str) -> None:
    """The whole life of a machine: installed by its first boot, and its second one ends at its own disk."""
    case = set_up(base, name, loader)
    scene, host = case.scene, case.scene.host("machine")
    first = case.machine()
    url = install(case, first)
    assert story(first) == scene.states["machine"]
    record = scene.rack.installs.record(host.key)
    assert record is not None
    assert (record, 1) == (next(iter(scene.store.installs())), record.attempts)
    assert [S.INSTALLED] == [kept.state for kept in scene.store.installs()]

    scene.now += 3600
    second = case.machine()
    assert LocalDisk() == second.power_on()
    assert Action.LOCAL is scene.rack.plan(host).action
    assert not any("vmlinuz" in path or "linux" == path for path in second.read)
    assert 403 == second.fetch(url).status
    assert S.INSTALLED is scene.state("machine")
    assert {"dhcp.nak", "dhcp.not_durable", "tftp.gave_up", "tftp.changed", "install.failed"}.isdisjoint(scene.kinds())


@pytest.mark.parametrize(
    ("name", "loader"), [case for case in CASES if case[0] != "proxy-bios-kea" and case[1] != "shim"]
)
def test_beside_another_server(base: Path, name: str, loader: str) -> None:
    """The same machines where another server gives the addresses and knows nothing of booting.

    Not with shim: the GRUB behind it would look at the other server for its files, which the policy says in words.
    """
    case = set_up(base, name, loader, beside=True)
    install(case, case.machine())
    assert [] == list(case.scene.store.leases())
    case.scene.now += 3600
    assert LocalDisk() == case.machine().power_on()
    assert {"dhcp.offer", "dhcp.ack"}.isdisjoint(case.scene.kinds())


@pytest.mark.parametrize("name", CAPTURES)
def test_on_a_bad_network(base: Path, name: str) -> None:
    """Two packets in a hundred are lost each way and two come twice: the same outcome, only later."""
    case = set_up(base, name, OF_THE_CAPTURE[name], Weather(loss=0.02, duplicate=0.02, delay_s=(0.0005, 0.002)))
    install(case, case.machine())
    case.scene.now += 3600
    assert LocalDisk() == case.machine().power_on()


@pytest.mark.parametrize("name", CAPTURES)
def test_an_installed_machine_boots_its_disk_at_once(base: Path, name: str) -> None:
    """As bios-pxelinux-localboot shows it: nothing is asked for after the text. So it is after a restart of the server."""
    case = set_up(base, name, OF_THE_CAPTURE[name])
    scene = case.scene
    scene.store.commit([InstallRecord(scene.host("machine").key, S.INSTALLED)])
    again = RackScene(base, case.text, store=scene.store)
    machine = Machine(again, case.boot, case.machine().second)
    assert LocalDisk() == machine.power_on()
    assert machine.text
    assert "vmlinuz" not in machine.text
    assert [S.INSTALLED] == again.states["machine"]


@pytest.mark.parametrize("name", CAPTURES)
def test_a_neighbour_gets_nothing_of_it(base: Path, name: str) -> None:
    """Another machine, known by its own lease (or overheard REQUEST), asks by every name that is this machine's, in mid-boot."""
    case = set_up(base, name, OF_THE_CAPTURE[name])
    scene, machine = case.scene, case.machine()
    token = scene.rack.installs.token(scene.host("machine").key)
    mac = mac_dashes(case.boot.hardware)
    answered: list[int] = []

    def meddle() -> None:
        scene.exchange(NEIGHBOUR_MAC, address=NEIGHBOUR if case.proxied else 0)
        before = scene.state("machine")
        for path in (f"/pxelinux.cfg/01-{mac}", f"/x64/grub.cfg-01-{mac}", answer_path(scene, token)):
            assert 403 == scene.get(path, NEIGHBOUR).status
            client = recorded(Machine(scene, case.boot), path, ())
            assert (2, b"") == (client.error.code if client.error else 0, client.data)
        for path in ("/pxelinux.cfg/default", "/grub/grub.cfg", "/boot.ipxe"):
            text = http_body(scene, path)
            assert token not in text
            assert scene.rack.installs.token(scene.host("neighbour").key) in text
        assert before is scene.state("machine")
        answered.append(1)

    machine.at_text = meddle
    install(case, machine)
    assert answered
    assert S.INSTALLED is not scene.state("neighbour")
    assert {"tftp.denied"} <= set(scene.kinds())


def answer_path(scene: RackScene, token: str) -> str:
    """The name of the machine's answer file."""
    profile = scene.rack.profiles[scene.host("machine").profile or ""]
    return f"/answer/{token}/{profile.name}/{'preseed.cfg' if profile.name == 'debian12' else 'ks.cfg'}"


def http_body(scene: RackScene, path: str) -> str:
    """What the neighbour reads there."""
    answer = scene.get(path, NEIGHBOUR)
    assert 200 == answer.status
    return answer.body.decode()


@pytest.mark.parametrize("name", CAPTURES)
def test_every_captured_request(base: Path, name: str) -> None:
    """Each captured RRQ with its own options, its name put where our tree has that file: it is read whole, or refused at once.

    A captured name that is not there (a list of GRUB's, a shortened address of PXELINUX's) is an ERROR 1 of ours too.
    """
    case = set_up(base, name, OF_THE_CAPTURE[name])
    machine = case.machine()
    assert isinstance(machine.power_on(), Started)
    scene, host = case.scene, case.scene.host("machine")
    profile = scene.rack.profiles[host.profile or ""]
    prefix = {"uefi": "x64/"}.get(name[:4], "bios/")
    ours = {"vmlinuz": profile.kernel, "initrd.img": profile.initrd[0], "boot.ipxe": "boot.ipxe"}
    own = f"{machine.address:08X}"
    for step in case.boot.tftp:
        asked = step.request.filename
        wanted = ours.get(asked.lstrip("/")) or (asked if asked.startswith("/grub/") else prefix + asked)
        reader = recorded(machine, wanted, step.request.options)
        last = asked.rpartition("/")[2]
        missing = last.endswith(".lst") or (own.startswith(last) and last != own)
        assert missing == (reader.error is not None), asked
        assert not missing or (reader.error is not None and 1 == reader.error.code)
        if "pxelinux.cfg/" in asked and not missing:
            assert machine.text == reader.data.decode() or OF_THE_CAPTURE[name] != "pxelinux"
        if not missing:
            options = dict(step.request.options)
            assert (int(options["blksize"]), int(options.get("windowsize", "1"))) == (reader.blksize, reader.windowsize)
            assert reader.tsize in (None, len(reader.data))


@pytest.mark.parametrize("name", ["di-preseed", "uefi-http-ipxe", "uefi-pxe-grub"])
def test_every_captured_http_request(base: Path, name: str) -> None:
    """Each captured head with its target put where our tree has that file: the captured status, in a form that its client takes."""
    case = set_up(base, name, OF_THE_CAPTURE[name])
    machine = case.machine()
    assert isinstance(machine.power_on(), Started)
    scene, host = case.scene, case.scene.host("machine")
    profile = scene.rack.profiles[host.profile or ""]
    answer = answer_path(scene, scene.rack.installs.token(host.key))
    ours = {"vmlinuz": f"/{profile.kernel}", "initrd.img": f"/{profile.initrd[0]}", "ipxe.efi": "/x64/ipxe.efi"}
    ours |= {"ks.cfg": answer, "preseed.cfg": answer}
    for step in case.boot.http:
        method, target, version = step.request_line.split(" ")
        reply = scene.http(with_path(step.head, ours.get(target.lstrip("/"), target)), machine.address)
        assert int(step.status.split(b" ")[1]) == reply.status
        assert (method == "HEAD") == (reply.body == b"")
        assert http_rules.sized(reply) == len(reply.body) or method == "HEAD"
        closes = version == "HTTP/1.0" or b"Connection: close" in step.head
        assert ("close" if closes else "keep-alive") == reply.field("Connection")
