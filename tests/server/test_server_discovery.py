"""A machine tells the running server what it is by the script that comes with it, is accepted by command, and goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programlab import PATIENCE_S, free_ports, loopback_config, program, wait_until
from typer.testing import CliRunner

from pxenet.cli.main import app
from pxenet.config import load
from pxenet.model import Asker, InstallRecord, InstallState, SeenHost
from pxenet.rack import Rack
from pxenet.store.sqlite import open_sqlite, read_sqlite
from pxenet.wire.text import parse_address, parse_mac

KEY = "52:54:00:00:00:07"
CONFIG = """\
[[dhcp.subnet]]
network = "127.0.0.0/8"
pool = "127.0.0.100-127.0.0.200"
[boot]
unknown = "what"
[[profile]]
name = "what"
kernel = "kernel"
answer = "discovery"
vars.discovered_poll_s = 0.1
[[profile]]
name = "alma9"
kernel = "kernel"
answer = "answer.cfg"
"""
TOOLS = ("sh", "tr", "grep", "awk", "readlink", "sleep", "cat", "sync")
"""All that the script needs, beside a client of HTTP."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A configuration, and a store that knows the machine."""
    for name in ("root", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "kernel").write_bytes(b"kernel")
    (tmp_path / "answer.cfg").write_text("{{ urls.installed }}\n")
    rest = CONFIG[CONFIG.index("[boot]") :]
    ports = free_ports()
    subnet = CONFIG[: CONFIG.index("[boot]")]
    (tmp_path / "rack.toml").write_text(loopback_config(ports, 'root = "root"') + subnet + rest)
    store = open_sqlite(tmp_path / "state")
    store.commit(
        [SeenHost(KEY, parse_mac(KEY), "", 0, 1.0, 1.0), InstallRecord(KEY, InstallState.LOADING, since_at=time.time())]
    )
    store.close()
    return tmp_path


def pxenet(place: Path, *arguments: str, expect: int = 0) -> str:
    with contextlib.chdir(place):
        done = CliRunner().invoke(app, arguments, prog_name="pxenet")
    assert expect == done.exit_code, done.output
    return done.output


def script(place: Path) -> str:
    """What the machine gets."""
    with contextlib.closing(read_sqlite(place / "state")) as store:
        rack = Rack(load(place / "rack.toml"), store, interfaces=(), tell=lambda event: None, clock=time.time)
        host = rack.hosts.of_mac(parse_mac(KEY))
        profile = rack.plan(host).profile
        assert profile is not None
        return rack.rendered.answer(host, profile, Asker(0, host, server=parse_address("127.0.0.1")))


@contextlib.contextmanager
def machine(place: Path, *clients: str) -> Iterator[subprocess.Popen[bytes]]:
    """A machine that runs the script with these clients of HTTP and no others; its ``reboot`` says so in a file."""
    for tool in (*TOOLS, *clients):
        found = shutil.which(tool)
        assert found is not None, tool
        (place / "bin" / tool).symlink_to(found)
    reboot = place / "bin" / "reboot"
    reboot.write_text(f"#!/bin/sh\necho rebooted > {place}/rebooted\n")
    reboot.chmod(reboot.stat().st_mode | stat.S_IXUSR)
    # Nothing of the host's: a script that found the real reboot would be obeyed.
    text = script(place).replace("PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin", "")
    assert "/sbin" not in text
    (place / "script").write_text(text)
    with (place / "console").open("w") as console:
        process = subprocess.Popen(
            [place / "bin" / "sh", str(place / "script")],
            env={"PATH": str(place / "bin")},
            cwd=place,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_S)


@pytest.mark.parametrize(("client", "workers"), [("curl", 1), ("wget", 1), ("bash", 1), ("curl", 2)])
def test_a_machine_tells_and_is_accepted(place: Path, client: str, workers: int) -> None:
    """By curl, wget, or bash alone it tells, to one process or to workers; it is listed and shown; accepted by a command it is a host,
    armed, and starts anew."""
    config = place / "rack.toml"
    config.write_text(config.read_text().replace('root = "root"', f'root = "root"\nworkers = {workers}'))
    with program(place, "--config", "rack.toml") as server, machine(place, client) as booted:
        listed: list[dict[str, object]] = []

        def told() -> bool:
            listed[:] = json.loads(pxenet(place, "hosts", "discovered", "--config", "rack.toml", "--json"))
            return bool(listed)

        wait_until(told, f"the machine did not tell: {server.said()}")
        (row,) = listed
        assert (KEY, None, os.cpu_count()) == (row["machine"], row["host"], row["cpus"])
        assert isinstance(row["memory_bytes"], int)
        assert row["memory_bytes"] > 1 << 20
        assert "discovered" in pxenet(place, "hosts", "show", KEY, "--config", "rack.toml")
        assert f"pxenet hosts accept {KEY} NAME profile=PROFILE" in server.said()
        said = pxenet(place, "hosts", "accept", "nobody", "web07", "--config", "rack.toml", expect=1)
        assert 'no machine has told that it is nobody; "pxenet hosts discovered" lists those that have\n' == said
        accepted = ("hosts", "accept", KEY.replace(":", "-"), "web07", "profile=alma9", "--config", "rack.toml")
        assert "web07 would be added\n" == pxenet(place, *accepted, "--dry-run")
        assert "web07 is added\n" == pxenet(place, *accepted)
        shown = json.loads(pxenet(place, "hosts", "show", "web07", "--config", "rack.toml", "--json"))
        assert ("new", "install", "alma9", KEY) == (shown["state"], shown["next"], shown["profile"], shown["mac"])
        assert " is web07 already; pxenet reinstall web07" in pxenet(place, *accepted, expect=1)
        if client != "bash":  # which alone cannot read what is answered
            assert 0 == booted.wait(PATIENCE_S), (place / "console").read_text()
            assert "rebooted\n" == (place / "rebooted").read_text()


def test_what_is_said_of_it_beforehand(place: Path) -> None:
    """By check, and by the order that makes a machine tell it again."""
    assert "other machines: tell what they are, by what\n" in pxenet(place, "check", "rack.toml")
    assert f"{KEY} tells what it is at its next network boot\n" == pxenet(
        place, "reinstall", KEY, "--config", "rack.toml"
    )


def test_accepted_without_a_server(place: Path) -> None:
    """In its store: the next start arms the machine, and keeps it armed."""
    with program(place, "--config", "rack.toml"), machine(place, "curl"):
        wait_until(lambda: json.loads(pxenet(place, "hosts", "discovered", "--config", "rack.toml", "--json")), "told")
    assert "web07 is added\n" == pxenet(
        place, "hosts", "accept", KEY, "web07", "profile=alma9", "--config", "rack.toml"
    )
    (row,) = json.loads(pxenet(place, "hosts", "--config", "rack.toml", "--json"))
    assert ("web07", "install", [KEY]) == (row["host"], row["next"], [row["mac"]])
    for _ in range(2):
        with program(place, "--config", "rack.toml"):
            (row,) = json.loads(pxenet(place, "hosts", "--config", "rack.toml", "--json"))
            assert ("web07", "new", "install") == (row["host"], row["state"], row["next"])
