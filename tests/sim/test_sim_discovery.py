"""Simulated machines that nobody has named: they tell what they are, are made hosts, and are installed at their next boot."""

from __future__ import annotations

from pathlib import Path

from fleet_scene import make_files

from pxenet.config import from_text
from pxenet.rack.simulated import simulation
from pxenet.sim.body import Stage
from pxenet.sim.fleet import Plan
from pxenet.wire.discovery import Nic
from pxenet.wire.text import mac_text

SITE = """\
[server]
root = "root"
[[dhcp.subnet]]
network = "10.60.0.0/16"
pool = "10.60.1.0-10.60.254.255"
[boot]
unknown = "what"
[[profile]]
name = "what"
kernel = "tree/images/pxeboot/vmlinuz"
initrd = "tree/images/pxeboot/initrd.img"
answer = "discovery"
[[profile]]
name = "alma9"
source = "tree"
answer = "ks.cfg.j2"
"""


def test_a_rack_of_strangers(tmp_path: Path) -> None:
    """Every firmware's machines tell what they are; named by what they told, they are installed when they are switched on again."""
    make_files(tmp_path)
    run = simulation(from_text(SITE, tmp_path), Plan({"bios": 4, "uefi": 3, "http": 1}))
    run.link.run(3600)
    assert {"discovered": 8} == run.result().ends, run.result().failures
    told = {record.key: hardware for record, hardware in run.rack.discovered.all()}
    macs = [machine.mac for machine in run.fleet.machines]
    assert {mac_text(mac): (Nic("eth0", mac, "virtio_net"),) for mac in macs} == {
        key: one.nics for key, one in told.items()
    }
    hosts = "".join(f'[[host]]\nmac = "{mac_text(mac)}"\nprofile = "alma9"\n' for mac in macs)
    changes = run.rack.adopt(run.rack.prepare(from_text(SITE + hosts, tmp_path)))
    run.store.commit(changes)
    for index in range(8):
        run.link.switch_on(index, run.link.now + 1.0)
    run.link.go_on(run.link.now + 3600)
    assert [Stage.INSTALLED] * 8 == [machine.stage for machine in run.fleet.machines], run.result().failures
