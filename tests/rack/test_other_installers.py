"""Other installers than Anaconda: from the configuration to the reported end, by the arguments, files and reports of each family."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.answer.kinds import kind_of
from pxenet.boot import policy
from pxenet.config import ConfigError, from_text
from pxenet.model import InstallState
from pxenet.net.datagram import Interface
from pxenet.rack.desk import Desk
from pxenet.rack.preview import preview, review
from pxenet.rack.simulated import simulation
from pxenet.sim.fleet import Plan

SITE = """\
[server]
root = "root"
[[dhcp.subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.199"
domain = "lab"
[[profile]]
name = "other"
kernel = "vmlinuz"
initrd = "initrd"
args = "{args}"
answer = "{answer}"
{more}
[[host]]
mac = "52:54:00:12:34:56"
name = "node1"
address = "10.0.0.11"
profile = "other"
"""
ANSWERS = {
    "preseed.cfg": "d-i netcfg/get_hostname string {{ host.name }}\n",
    "user-data": "#cloud-config\nautoinstall:\n  version: 1\n  identity: {hostname: {{ host.name }}, username: a, password: '!'}\n",
    "autoyast.xml": '<profile xmlns="http://www.suse.com/1.0/yast2ns"><!-- {{ host.name }} --></profile>\n',
    "worker.ign": '{"ignition": {"version": "3.3.0"}, "storage": {"files": []}}\n',
}
ARGUMENTS = {
    "preseed.cfg": "auto=true priority=critical interface=auto hostname=node1 domain=lab url={url}/preseed.cfg",
    "user-data": "autoinstall ds=nocloud;s={url}/",
    "autoyast.xml": "autoyast={url}/autoyast.xml",
    "worker.ign": "ignition.config.url={url}/worker.ign ignition.firstboot ignition.platform.id=metal ip=dhcp rd.neednet=1",
}


def desk(base: Path, answer: str, *, text: str = "", args: str = "", more: str = "") -> Desk:
    for name in ("vmlinuz", "initrd"):
        (base / name).write_bytes(name.encode() * 100)
    (base / answer).write_text(text or ANSWERS[answer])
    (base / "root").mkdir(exist_ok=True)
    for loader in policy.LOADERS.values():
        for name in (*loader.names, *loader.beside):
            (base / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (base / "root" / name).write_bytes(b"loader" * 100)
    settings = from_text(SITE.format(answer=answer, args=args, more=more), base)
    return Desk(settings, [Interface(1, "eth0", b"", ((0x0A000001, 24),))])


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_served(answer: str, tmp_path: Path) -> None:
    """Arguments lead to the files, each of which reports the end; nothing is wrong with them."""
    with desk(tmp_path, answer) as made:
        (host,) = made.settings.hosts
        seen = preview(made.rack, host, made.address)
        assert ([], []) == review(made.rack, made.settings, [host], made.address)
    token = made.rack.installs.token(host.key)
    texts = {text.name: text.text for text in seen.texts}
    url = f"http://10.0.0.1/answer/{token}/other"
    (entry,) = [text for name, text in texts.items() if name.startswith("pxelinux.cfg")]
    assert f"  APPEND {ARGUMENTS[answer].format(url=url)}\n" in entry
    file = texts[f"answer/{token}/other/{answer}"]
    assert (
        1 == file.count(f"wget -q -O /dev/null http://10.0.0.1/installed/{token}") or f"/installed/{token}%20" in file
    )
    beside = {name.rpartition("/")[2] for name in texts if name.startswith("answer/")}
    assert ({answer, "meta-data"} if answer == "user-data" else {answer}) == beside


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_machine_installs_itself(answer: str, firmware: str, tmp_path: Path) -> None:
    """From power-on over the loader, the arguments and the files to the report, as that family goes the way."""
    with desk(tmp_path, answer) as made:
        settings = made.settings
    plan = Plan({firmware: 1}, known=(bytes.fromhex("525400123456"),))
    run = simulation(settings, plan)
    run.link.run(7200.0)
    states = [record.state for record in run.store.installs()]
    assert [InstallState.INSTALLED] == states, run.result()


@pytest.mark.parametrize(
    ("answer", "text", "told"),
    [
        ("user-data", "#cloud-config\nautoinstall: {version: 1}\n", "nothing in it reports the end"),
        ("worker.bu", "variant: fcos\n", "is not JSON, which is all that Ignition reads"),
        ("agama.json", "{}\n", "nothing in it reports the end"),
        ("notes.txt", "x\n", "nothing in it reports the end"),
    ],
)
def test_what_reports_nothing(answer: str, text: str, told: str, tmp_path: Path) -> None:
    """Where no report could be added, check says so; the snippet ends that."""
    with desk(tmp_path, answer, text=text) as made:
        problems, notes = review(made.rack, made.settings, made.hosts(), made.address)
    assert ([], True) == (problems, any(told in str(note) for note in notes)), notes
    with desk(tmp_path, answer, text="{} {{ reports.installed }}") as made:
        assert not [
            note
            for note in review(made.rack, made.settings, made.hosts(), made.address)[1]
            if "reports the end" in str(note)
        ]
    with desk(tmp_path, answer, text=text, more="reports = false") as made:
        assert not [
            note
            for note in review(made.rack, made.settings, made.hosts(), made.address)[1]
            if "reports the end" in str(note)
        ]


def test_data_for_another_installer(tmp_path: Path) -> None:
    """Data become a kickstart; a source whose installer reads none is an error with the key, and what would be right."""
    medium = tmp_path / "debian"
    for name in (".disk/info", "dists/bookworm/Release", "install.amd/vmlinuz", "install.amd/initrd.gz"):
        (medium / name).parent.mkdir(parents=True, exist_ok=True)
        (medium / name).write_text("x")
    (medium / ".disk" / "info").write_text(
        'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 NETINST with firmware 20240210-11:27\n'
    )
    (tmp_path / "vmlinuz").write_text("")
    text = '[[profile]]\nname = "debian"\nsource = "debian"\nkernel = "vmlinuz"\n'
    with pytest.raises(ConfigError) as caught:
        from_text(text + 'kickstart.packages = ["vim"]\n', tmp_path)
    assert str(caught.value).endswith(
        f"profile[1] (debian).kickstart: is data for a kickstart, and {medium} is installed by debian-installer, which reads none; "
        "name a template in answer, e.g. preseed.cfg"
    )
    (tmp_path / "node.cfg").write_text("")
    assert "preseed" == kind_of(from_text(text + 'answer = "node.cfg"\n', tmp_path).profiles[0])
