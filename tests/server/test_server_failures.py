"""A machine whose installation fails tells the real program so, by what was added to its answer file; `pxenet status` shows the reason.

What an installer would run is run here with the programs that it has.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

import needs
import pytest
from programlab import free_ports, loopback_config, program, wait_until
from typer.testing import CliRunner

from pxenet.cli.main import app

pytestmark = needs.tool("curl", "busybox")

REASON = "WARNING **: Menu item 'partman-base' failed."
LOG = f"first\n{REASON}\n"
ANSWERS = {
    "ks.cfg": "text\n",
    "preseed.cfg": "d-i debian-installer/locale string en_US\n",
    "user-data": "#cloud-config\nautoinstall:\n  version: 1\n",
    "autoyast.xml": '<?xml version="1.0"?>\n<profile xmlns="http://www.suse.com/1.0/yast2ns"></profile>\n',
    "x.ign": '{"ignition": {"version": "3.3.0"}}',
}


def kickstart(text: str) -> str:
    """What Anaconda runs."""
    (body,) = re.findall(r"^%onerror\n(.*?)^%end", text, re.MULTILINE | re.DOTALL)
    return str(body)


def preseed(text: str) -> str:
    """What the Debian installer runs when it begins: it leaves somebody behind."""
    (command,) = re.findall(r"^d-i preseed/early_command string (.*)$", text, re.MULTILINE)
    return str(command)


def autoinstall(text: str) -> str:
    """What subiquity runs."""
    (command,) = re.findall(r'^  error-commands:\n    - (".*")$', text, re.MULTILINE)
    return str(json.loads(command))


def autoyast(text: str) -> str:
    """What AutoYaST runs before everything else, and YaST then when it fails."""
    space = {"y": "http://www.suse.com/1.0/yast2ns"}
    source = ElementTree.fromstring(text).find("y:scripts/y:pre-scripts/y:script/y:source", space)
    assert source is not None
    return f"({source.text})\n/var/lib/YaST2/hooks/installation/installation_failure_00_pxenet"


def ignition(text: str) -> str:
    """What a unit runs when another one has failed."""
    (script,) = (each for each in json.loads(text)["storage"]["files"] if each["path"] == "/etc/pxenet-failed.sh")
    return unquote(script["contents"]["source"].removeprefix("data:,"))


RUNS: Mapping[str, Callable[[str], str]] = {
    "ks.cfg": kickstart,
    "preseed.cfg": preseed,
    "user-data": autoinstall,
    "autoyast.xml": autoyast,
    "x.ign": ignition,
}
"""What of each answer file runs at a failure."""

ELSEWHERE = {
    "/tmp/anaconda.log /tmp/program.log": "installer.log",
    "/var/log/syslog": "installer.log",
    "/var/log/installer/subiquity-server-debug.log": "installer.log",
    "/var/log/YaST2/y2log": "installer.log",
    "journalctl -b -n 100 --no-pager -o cat": "cat installer.log",
    "/run/pxenet-failed.log": "unit.log",
    "/tmp/pxenet.log": "copy.log",
    "/var/lib/YaST2": "yast",
    "sleep 5": "sleep 0.1",
}
"""Where things are in an installer → where they are here, in the order of replacing."""


@pytest.fixture(name="place")
def made_place(tmp_path: Path) -> Path:
    """A rack with a machine for each installer, known by name alone."""
    config = loopback_config(free_ports()).replace("[dhcp]\n", '[dhcp]\nmode = "off"\n')
    for number, (name, text) in enumerate(ANSWERS.items()):
        (tmp_path / name).write_text(text)
        config += f'[[profile]]\nname = "{name}"\nkernel = "vmlinuz"\nanswer = "{name}"\n'
        config += f'[[host]]\nmac = "52:54:00:00:00:0{number}"\nname = "host{number}"\nprofile = "{name}"\n'
    (tmp_path / "vmlinuz").touch()
    (tmp_path / "rack.toml").write_text(config)
    (tmp_path / "installer.log").write_text(LOG)
    (tmp_path / "bin").mkdir()
    busybox = needs.find("busybox")
    for applet in ("tail", "tr", "wc", "cat", "grep", "wget", "nc", "sleep"):
        (tmp_path / "bin" / applet).symlink_to(str(busybox))
    return tmp_path


def pxenet(place: Path, *arguments: str) -> str:
    with contextlib.chdir(place):
        return CliRunner().invoke(app, [*arguments, "--config", "rack.toml"]).output


def told(place: Path) -> list[object]:
    """Who failed, as the server knows."""
    failed: list[object] = json.loads(pxenet(place, "status", "--json"))["failed"]
    return failed


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as reply:
        return str(reply.read().decode())


def fail(place: Path, name: str, text: str) -> None:
    """Run what the installer of an answer file runs at a failure."""
    command = RUNS[name](text)
    for there, here in ELSEWHERE.items():
        command = command.replace(there, here)
    # The Debian installer has nothing but its busybox.
    own = {"PATH": str(place / "bin")} if name == "preseed.cfg" else None
    done = subprocess.run(["/bin/sh", "-c", command], cwd=place, env=own, capture_output=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr


def test_every_installer_tells_why_it_failed(place: Path) -> None:
    """With the end of its log: each machine is then failed, and boots its disk."""
    with program(place, "--config", "rack.toml"):
        base = json.loads(pxenet(place, "status", "--json"))["url"]
        for number, name in enumerate(ANSWERS):
            entry = fetched(f"{base}/pxelinux.cfg/01-52-54-00-00-00-0{number}")
            (answer,) = re.findall(r"http://\S+/answer/[0-9a-f]{32}/[\w.-]+/", entry)
            fail(place, name, fetched(answer + name))
        wait_until(lambda: len(told(place)) == len(ANSWERS), "one of them is silent")
        rows = json.loads(pxenet(place, "hosts", "--json"))
        assert [("failed", REASON, "local")] * len(ANSWERS) == [(r["state"], r["reason"], r["next"]) for r in rows]
        shown = pxenet(place, "hosts", "show", "host1")
        assert ("  | first\n" in shown, f"  | {REASON}\n" in shown) == (True, True)
        assert f"failed: {REASON} pxenet hosts show host" in pxenet(place, "status")
