"""A rack takes another configuration while machines boot: in virtual time, at any moment, over a bad network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rack_machine import ADDRESS, BIOS, MAC, MACHINE, STRANGER_MAC, start_installer, token
from rack_scene import RackScene, host_text, site

from pxenet.boot.policy import Action
from pxenet.config import Settings, from_text
from pxenet.model import InstallState
from pxenet.rack.simulated import simulation
from pxenet.sim.faults import CALM, Faults
from pxenet.sim.fleet import Plan
from pxenet.wire.text import parse_address

MIX = {"bios": 4, "uefi": 3, "ipxe": 2}
LOSSY = Faults(loss=0.03, duplication=0.02, reordering=0.02)
SITE = site(unknown="alma9")
OTHER = (
    SITE.replace("10.77.0.60", "10.77.0.90").replace("inst.text", "inst.text inst.cmdline")
    + host_text("late", STRANGER_MAC, "debian12", parse_address("10.77.0.11"))
    + "[tftp]\nmax_blksize = 1024\nmax_windowsize = 4\n"
)
"""A larger pool, other arguments, one host more, other limits."""


def adopt(scene: RackScene, text: str, base: Path) -> None:
    """As the server does it."""
    scene.keep(scene.rack.adopt(scene.rack.prepare(from_text(text, base))))


@pytest.mark.parametrize("faults", [CALM, LOSSY], ids=["calm", "lossy"])
@pytest.mark.parametrize("seed", range(4))
def test_reloads_in_the_middle_of_boots(base: Path, seed: int, faults: Faults) -> None:
    """Machines of every firmware install themselves although the configuration changes twenty times a second, to and fro."""
    before, after = from_text(SITE, base), from_text(OTHER, base)
    run = simulation(before, Plan(MIX, seed=seed), faults=faults)
    met: list[int] = []

    def turn(to: Settings, back: Settings) -> Callable[[], None]:
        def act() -> None:
            met.append(run.rack.tftp.statistics().reading)
            changes = run.rack.adopt(run.rack.prepare(to))
            assert len(changes) == len(run.store.commit(changes))
            run.link.call(run.link.now + 0.05, turn(back, to))

        return act

    run.link.call(run.link.now + 1.0 + seed / 70, turn(after, before))
    run.link.run(4 * 3600)
    result = run.result()
    assert {"installed": 9} == result.ends, result.failures
    assert len(met) > 100
    assert sum(met) > 0, "none met a transfer under way"
    assert [InstallState.INSTALLED] * 9 == [record.state for record in run.store.installs()]
    assert 9 == len({machine.address for machine in run.fleet.machines})


def test_a_machine_in_the_middle_of_its_installation(base: Path) -> None:
    """Its address, state and token are the same after it, and its report counts."""
    scene = RackScene(base, site() + MACHINE)
    address = start_installer(scene)
    before = scene.state("machine"), token(scene)
    adopt(scene, OTHER + MACHINE.replace("10.77.0.11", "10.77.0.12"), base)
    assert (InstallState.BOOTED, token(scene)) == before
    lease = scene.rack.dhcp.who(address, scene.now)
    assert MAC == (lease and lease.mac), "its lease, although the configuration now says another address"
    assert b"inst.cmdline" in scene.get(f"/pxelinux.cfg/01-{MAC.hex('-')}", address).body
    assert 200 == scene.get(f"/installed/{token(scene)}", address).status
    assert InstallState.INSTALLED is scene.state("machine")


def test_a_host_that_leaves_and_comes_back(base: Path) -> None:
    """Without its [[host]] an installed machine is a stranger; with it again it is the installed one, and nothing installs it."""
    scene = RackScene(base, site() + MACHINE)
    start_installer(scene)
    scene.get(f"/installed/{token(scene)}", ADDRESS)
    adopt(scene, site(), base)
    assert not scene.rack.hosts.of_mac(MAC).configured
    adopt(scene, site() + MACHINE, base)
    assert Action.LOCAL is scene.rack.plan(scene.host("machine")).action


def test_what_was_learned_of_a_machine(base: Path) -> None:
    """A host that is known by its machine id is known by its hardware address as soon as it is configured, if it was seen before."""
    uuid = "4c4c4544-0042-3510-8058-c7c04f4a4e32"
    wire = bytes.fromhex("44454c4c4200103580 58c7c04f4a4e32".replace(" ", ""))
    scene = RackScene(base, site(mode="server"))
    scene.exchange(MAC, {**BIOS, 97: b"\0" + wire})
    assert not scene.rack.hosts.of_mac(MAC).configured
    named = f'[[host]]\nname = "named"\nuuid = "{uuid}"\nprofile = "alma9"\n'
    adopt(scene, site() + named, base)
    assert "named" == scene.rack.hosts.of_mac(MAC).name
    adopt(scene, site() + named.replace('"alma9"', '"debian12"'), base)
    assert "debian12" == scene.rack.hosts.of_mac(MAC).profile
    adopt(scene, site(), base)
    assert not scene.rack.hosts.of_mac(MAC).configured


def test_a_name_leads_elsewhere(base: Path) -> None:
    """What a name led to before is not remembered for another configuration, though the file is still there."""
    (base / "other").mkdir()
    (base / "other" / "motd").write_bytes(b"another one\n")
    scene = RackScene(base, site())
    assert b"served as it is\n" == scene.get("/motd", ADDRESS).body == scene.get("/motd", ADDRESS).body
    adopt(scene, site().replace('root = "root"', 'root = "other"'), base)
    assert b"another one\n" == scene.get("/motd", ADDRESS).body
    adopt(scene, site().replace('root = "root"\n', ""), base)
    assert 404 == scene.get("/motd", ADDRESS).status


def test_prepared_settings_change_nothing(base: Path) -> None:
    """Only ``adopt`` does: one that is prepared and thrown away leaves no trace."""
    scene = RackScene(base, site() + MACHINE)
    start_installer(scene)
    before = scene.rack.settings, scene.rack.tree, scene.rack.hosts.configured, token(scene)
    scene.rack.prepare(from_text(OTHER, base))
    assert (scene.rack.settings, scene.rack.tree, scene.rack.hosts.configured, token(scene)) == before
