"""Explanations: of the very values that are sent, by the rules that took them, with what the store knows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from replay_scene import ALL, RACK
from typer.testing import CliRunner, Result

from pxenet.capture.made import BROADCAST, End, udp_frame
from pxenet.cli.main import app
from pxenet.config import Settings, from_text
from pxenet.model import InstallRecord, InstallState, Lease
from pxenet.net.datagram import Datagram, Interface, pack_peer
from pxenet.rack import Rack
from pxenet.replay.explain import (
    FIRMWARE,
    Explanation,
    explain_machine,
    explain_packet,
    explain_recorded,
    snapshot,
)
from pxenet.replay.notebook import Case, Decision, Notebook, Serving
from pxenet.replay.reasons import Reason
from pxenet.replay.recorded import read
from pxenet.sim.link import BEGAN_AT
from pxenet.store.memory import MemoryStore
from pxenet.wire.text import parse_address, parse_mac

WEB01 = parse_mac("52:54:00:77:01:01")
PI = parse_mac("b8:27:eb:00:00:07")
STRANGER = parse_mac("02:00:00:00:00:07")
SERVER = parse_address("10.77.0.1")

HOSTS = """
[[dhcp.subnet]]
network = "10.79.0.0/24"
pool = "10.79.0.100-10.79.0.101"
[[host]]
name = "web01"
mac = "52:54:00:77:01:01"
address = "10.77.0.50"
profile = "tiny"
loader.bios = "ipxe"
[[host]]
name = "bare"
mac = "52:54:00:77:01:02"
"""


@pytest.fixture
def settings() -> Settings:
    """The common configuration of the captures, with two hosts and a second network."""
    text = (RACK / "rack.toml").read_text().replace("[boot]\n", '[boot]\nloader.ia32 = "ipxe"\n', 1)
    return from_text(text + HOSTS, RACK)


def decisions(explained: Explanation) -> list[Decision]:
    return [step for step in explained.steps if isinstance(step, Decision)]


def reason(decision: Decision, step: str) -> Reason:
    return next(one for one in decision.reasons if one.step == step)


def ask(rack: Rack, payload: bytes) -> list[object]:
    """The sends of a rack for one broadcast request."""
    datagram = Datagram(payload, pack_peer(0, 68), SERVER, 67, 1, broadcast=True)
    return list(rack.dhcp.receive([datagram], BEGAN_AT).sends)


def rack_of(settings: Settings, store: MemoryStore | None = None) -> Rack:
    wire = Interface(1, "eth0", b"", ((SERVER, 24),))
    return Rack(
        settings,
        store or MemoryStore(bytes(32)),
        interfaces=(wire,),
        tell=lambda event: None,
        clock=lambda: BEGAN_AT,
    )


@pytest.mark.parametrize("capture", ALL, ids=str)
def test_what_is_explained_is_what_is_sent(capture: str, settings: Settings) -> None:
    """The notebook holds the same objects that the engine sends and reports, and a rack that nobody listens to sends equal ones."""
    said = [one for boot in read(ALL[capture]) for one in boot.requests]
    heard, alone = rack_of(settings), rack_of(settings)
    notebook = Notebook(settings)
    notebook.attend(heard, lambda: BEGAN_AT)
    heard.record(notebook)
    answered = 0
    for one in said:
        before = len(notebook.cases)
        sends = ask(heard, one.payload)
        assert ask(alone, one.payload) == sends
        cases = [case for case in notebook.cases[before:] if isinstance(case, Case)]
        assert [case.query.datagram.data for case in cases if case.query] == [one.payload] * len(cases)
        for send in sends:
            assert any(case.send is send for case in cases)
            answered += 1
    assert answered or not said or all(one.message.giaddr for one in said)


def test_the_boot_file_is_the_one_that_was_chosen(settings: Settings) -> None:
    """The file in the explanation is that of the datagram, and its reason that of the rule."""
    offer = decisions(explain_machine(settings, WEB01, arch="x64"))[0]
    file = reason(offer, "file")
    assert offer.send is not None
    assert b"x64/grubx64.efi" in b"".join(offer.send.parts)
    assert ("x64/grubx64.efi", "the boot loader chosen for its platform") == (file.taken, file.because)
    assert "x86 BIOS: http" not in " ".join(file.others)
    assert any(other.startswith("x86 BIOS: bios/undionly.kpxe") for other in file.others)


@pytest.mark.parametrize(
    ("mac", "arch", "step", "taken", "because"),
    [
        (WEB01, "x64", "machine", "web01", "host.web01.mac is 52:54:00:77:01:01"),
        (STRANGER, "x64", "machine", "02:00:00:00:00:07, unknown", "no [[host]] has its hardware address"),
        (WEB01, "x64", "address", "10.77.0.50", "its [[host]] reserves it"),
        (STRANGER, "x64", "address", "10.77.0.", "the pool has it free"),
        (WEB01, "x64", "to do", "install profile tiny", "it is to be installed with its profile"),
        (STRANGER, "x64", "to do", "install profile tiny", "boot.unknown installs this profile"),
        (parse_mac("52:54:00:77:01:02"), "x64", "to do", "boot its local disk", "its [[host]] names no profile"),
        (WEB01, "bios", "loader", "ipxe", "host.web01.loader.bios says so"),
        (STRANGER, "ia32", "loader", "ipxe", "boot.loader.ia32 says so"),
        (WEB01, "x64", "network", "10.77.0.0/24, which gives addresses", "it is on the wire of this interface"),
        (WEB01, "http", "file", "http://10.77.0.1/x64/ipxe.efi", "iPXE takes their place"),
    ],
)
def test_the_reasons(settings: Settings, mac: bytes, arch: str, step: str, taken: str, because: str) -> None:
    """Each step names what was taken and the rule that took it."""
    found = reason(decisions(explain_machine(settings, mac, arch=arch))[0], step)
    assert found.taken.startswith(taken)
    assert because in found.because


def test_why_others_were_not_chosen(settings: Settings) -> None:
    """The other network, the other deeds, the other loaders and the addresses that were thought of first each have their reason."""
    store = MemoryStore(bytes(32))
    someone = Lease(parse_address("10.77.0.50"), b"\1" + STRANGER, STRANGER, BEGAN_AT + 3600)
    store.commit([someone])
    offer = decisions(explain_machine(settings, WEB01, arch="bios", store=store))[0]
    assert any(other.startswith("10.79.0.0/24: we have no address in it") for other in reason(offer, "network").others)
    assert ("10.77.0.50 (its [[host]] reserves it): somebody else has it",) == reason(offer, "address").others
    assert ("boot its local disk: only when it has reported the end of its installation",) == reason(
        offer, "to do"
    ).others
    overruled = [other for other in reason(offer, "loader").others if "overruled by host.web01.loader.bios" in other]
    assert 1 == len(overruled)


def test_behind_a_relay(settings: Settings) -> None:
    """The relay's address tells the network, and the explanation says so."""
    relay = parse_address("10.79.0.1")
    offer = decisions(explain_machine(settings, STRANGER, relay=relay))[0]
    network = reason(offer, "network")
    assert network.taken.startswith("10.79.0.0/24")
    assert "its relay has that address (10.79.0.1)" == network.because
    assert "10.77.0.0/24: 10.79.0.1 is not in it" in network.others


def test_what_the_store_knows_counts(settings: Settings) -> None:
    """An installed machine is explained as installed, with how to arm it; the store stays as it was."""
    store = MemoryStore(bytes(32))
    record = InstallRecord(WEB01.hex(":"), InstallState.INSTALLED, "tiny", 1)
    store.commit([record])
    explained = explain_machine(settings, WEB01, store=snapshot(store))
    deed = reason(decisions(explained)[0], "to do")
    assert ("boot its local disk", ("install profile tiny: after `pxenet reinstall web01`",)) == (
        deed.taken,
        deed.others,
    )
    assert "its state is installed" in deed.because
    assert ([record], []) == (store.installs(), store.leases())


@pytest.mark.parametrize("arch", FIRMWARE)
def test_every_firmware_is_explained_to_its_end(settings: Settings, arch: str) -> None:
    """Each gets an answer with reasons, and each name that it asks for what it is served."""
    explained = explain_machine(settings, PI if arch.startswith("raspberry") else STRANGER, arch=arch)
    first = decisions(explained)[0]
    assert first.send is not None
    assert {"network", "machine", "address", "to do", "file"} <= {one.step for one in first.reasons}
    assert any(isinstance(step, Serving) for step in explained.steps)
    assert explained.end


def test_texts_are_shown_whole_and_tokens_are_not(settings: Settings) -> None:
    """The answer file is there line by line; with what is printed nobody can ask for it."""
    store = MemoryStore(b"\1" * 32)
    explained = explain_machine(settings, WEB01, arch="x64", store=store)
    token = rack_of(settings, store).installs.token(WEB01.hex(":"))
    texts = {step.name.rpartition("/")[2]: step for step in explained.steps if isinstance(step, Serving) and step.text}
    assert "%post" in texts["ks.cfg"].text
    assert "linux" in texts["grub.cfg"].text
    assert token not in json.dumps(explained.record())
    assert token[:8] in texts["grub.cfg"].text


def test_captured_boots(settings: Settings) -> None:
    """Each boot has its own explanation, by its own words, and ends as in a replay."""
    explained = explain_recorded(settings, read(ALL["uefi-pxe-grub"]))
    assert 1 == len(explained)
    assert "EDK2 PXE, x64" in explained[0].played
    assert "it comes to a good end: installed" == explained[0].end


def test_one_machine_twice(settings: Settings) -> None:
    """What belongs to the second boot of a machine is not told of the first."""
    (boot,) = read(ALL["uefi-pxe-grub"])
    again = replace(boot, number=2, began_s=boot.began_s + 1000)
    first, second = explain_recorded(settings, [boot, again])
    assert max(step.at_s for step in first.steps) < 1000 <= min(step.at_s for step in second.steps)


def test_a_packet(settings: Settings) -> None:
    """A request as bytes is explained alone; a REQUEST shows what is known of the address that it names."""
    said = read(ALL["uefi-pxe-grub"])[0].requests
    discover, request = (decisions(explain_packet(settings, one.payload)) for one in said[:2])
    assert ["OFFER", 1] == [discover[0].answer, len(discover)]
    assert "another server was chosen" in request[0].answer or reason(request[0], "address").taken


def test_a_request_without_an_answer_says_why(settings: Settings) -> None:
    """Whoever gets no answer learns the reason that is counted."""
    off = from_text((RACK / "rack.toml").read_text().replace('mode = "server"', 'mode = "off"', 1), RACK)
    payload = read(ALL["uefi-pxe-grub"])[0].requests[0].payload
    silent = replace(off, dhcp=replace(off.dhcp, subnets=()))
    (decision,) = decisions(explain_packet(silent, payload))
    assert (None, "none: off") == (decision.send, decision.answer)


# -- the command ----------------------------------------------------------------------------------------------------------------------


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, words)])


def pcap_frame(payload: bytes) -> bytes:
    """A broadcast with this payload, as it is on the wire."""
    return udp_frame(0, End(0, 68, bytes(6)), End(0xFFFFFFFF, 67, BROADCAST), payload).data


def test_the_command(tmp_path: Path) -> None:
    """A machine, a packet and a capture, as text and as JSON; the state that was taken is named."""
    config, empty = RACK / "rack.toml", tmp_path / "state"
    shown = run(config, "02:00:00:00:00:07", "--arch", "arm64", "--state", empty)
    assert 0 == shown.exit_code
    assert "    file     arm64/grubaa64.efi\n             because the boot loader chosen" in shown.stdout
    assert "every machine as if it were new" in shown.stdout
    payload = read(ALL["uefi-pxe-grub"])[0].requests[0].payload
    assert "DISCOVER from PXEClient" in run(config, payload.hex(), "--state", empty).stdout
    frame = pcap_frame(payload)
    for spelled in (frame.hex(), frame.hex(":"), frame.hex(" ")):
        assert run(config, payload.hex(), "--state", empty).stdout == run(config, spelled, "--state", empty).stdout
    document = json.loads(run(config, ALL["uefi-pxe-grub"], "--boot", 1, "--json", "--state", empty).stdout)
    assert "x64/grubx64.efi" in json.dumps(document["explanations"][0]["steps"][0])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nobody",), '"nobody" is no hardware address, no host'),
        (("--arch", "vax"), "no firmware is called so; there are bios, x64"),
        (("--via", "10.77"), "--via 10.77:"),
        (("00" * 300,), "no DHCP message"),
        ((ALL["uefi-pxe-grub"], "--boot", "7"), "has no boot 7"),
        ((ALL["uefi-pxe-grub"], "--arch", "x64"), "say both themselves"),
    ],
)
def test_what_cannot_be_explained(words: tuple[object, ...], says: str) -> None:
    """Wrong words end with status 2 and what would be right."""
    result = run(RACK / "rack.toml", *words)
    assert 2 == result.exit_code
    assert says in result.stderr
