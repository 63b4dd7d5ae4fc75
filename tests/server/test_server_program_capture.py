"""What the real program records, and what that is good for: captures that rotate, by machine, and of what fails; each replayed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import needs
import netlab
import pytest
from netlab import Wire
from programlab import PATIENCE_S, program, wait_until

from pxenet.capture.dissect import read
from pxenet.wire.text import mac_text

pytestmark = [needs.root(), needs.namespace()]

RACK = Path(__file__).parents[2] / "captures/rack"
MACHINES = 3
CONFIG = """\
[server]
state = "state"
root = "root"
secrets = "secrets.toml"
interface = "lo"
address = "127.0.0.1"
[[dhcp.subnet]]
network = "127.77.0.0/16"
pool = "127.77.1.0-127.77.9.255"
[boot]
unknown = "tiny"
[[profile]]
name = "tiny"
kernel = "root/vmlinuz"
initrd = ["root/initrd.img"]
args = "console=ttyS0 join={{ vars.word }}"
vars = { word = "secret:word" }
answer = "ks.cfg.j2"
[[host]]
mac = "02:50:58:00:00:01"
name = "web01"
profile = "tiny"
"""
SECRET = "j0in-the-domain"
FAILS = "text\n%post\ncurl '{{ urls.failed }}'\n%end\n"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with netlab.wire() as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small rack. The kernel has some hundred blocks, and an argument that nobody else should know."""
    shutil.copytree(RACK, tmp_path, dirs_exist_ok=True)
    (tmp_path / "rack.toml").write_text(CONFIG)
    secrets = tmp_path / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text(f'word = "{SECRET}"\n')
    (tmp_path / "root/vmlinuz").write_bytes(bytes(300_000))
    return tmp_path


def inside(wire: Wire) -> tuple[str, ...]:
    """The command that runs another on the server's host: everybody is there, on its loopback."""
    return ("ip", "netns", "exec", wire.server)


def boot_all(wire: Wire, site: Path) -> None:
    """Simulated machines, by real sockets, until each has come to its end."""
    command = (
        "simulate",
        "127.0.0.1",
        "--relay",
        "127.77.0.1",
        "--machines",
        str(MACHINES),
        "--mix",
        "bios=1",
        "--pace",
        "0",
        "--yes",
    )
    netlab.run(*inside(wire), sys.executable, "-m", "pxenet", *command, check=False, timeout=120, cwd=site)


@contextmanager
def capturing(wire: Wire, site: Path, *arguments: str) -> Iterator[list[str]]:
    """``pxenet capture rack.pcap`` meanwhile; afterwards the last line that it printed."""
    command = (
        *inside(wire),
        sys.executable,
        "-m",
        "pxenet",
        "capture",
        "rack.pcap",
        "--config",
        "rack.toml",
        *arguments,
    )
    said: list[str] = []
    with subprocess.Popen(command, cwd=site, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "recording; Ctrl-C ends it\n" == process.stderr.readline()
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=PATIENCE_S)
    said += rest.splitlines()


def replayed(capture: Path, site: Path) -> list[tuple[str, str, str]]:
    """(machine, end, answer file) of each boot in a capture before the configuration, by the command."""
    command = (sys.executable, "-m", "pxenet", "replay", str(capture), "--config", "rack.toml", "--json")
    found = json.loads(netlab.run(*command, check=False, cwd=site).stdout)
    return [(boot["mac"], boot["end"], boot["answer_file"]) for boot in found["boots"]]


def macs() -> list[str]:
    return [f"02:50:58:00:00:{number:02x}" for number in range(MACHINES)]


def test_files_by_machine(wire: Wire, site: Path) -> None:
    """Each machine has its own, with its whole boot and nobody else's, and is installed again when that is replayed. No secret is
    in any.
    """
    with program(site, "--config", "rack.toml", prefix=inside(wire)), capturing(wire, site, "--by-machine") as said:
        boot_all(wire, site)
    names = ["rack-02-50-58-00-00-00.pcap", "rack-02-50-58-00-00-02.pcap", "rack-web01.pcap"]
    assert names == sorted(path.name for path in site.glob("rack-*.pcap"))
    assert said[-1].endswith(f" packets in {', '.join(names)}")
    found = [replayed(site / name, site) for name in (names[0], names[2], names[1])]
    assert [[(mac, "installed", "read")] for mac in macs()] == found
    assert [False] * MACHINES == [SECRET.encode() in (site / name).read_bytes() for name in names]


def test_files_that_rotate(wire: Wire, site: Path) -> None:
    """None is larger than was asked for, no more are kept, each is a capture of its own, and together they miss nothing; secrets, too,
    where these are asked for.
    """
    limit = 20_000
    rotated = ("--rotate", "20k", "--keep", "100", "--secrets")
    with program(site, "--config", "rack.toml", prefix=inside(wire)), capturing(wire, site, *rotated) as said:
        boot_all(wire, site)
    files = [site / "rack.pcap", *site.glob("rack.pcap.*")]
    assert len(files) > 3
    assert all(path.stat().st_size <= limit + 480 for path in files)
    packets = [read(path).counts.packets for path in files]
    assert int(said[-1].split()[0]) == sum(packets)
    assert 0 not in packets
    assert any(SECRET.encode() in path.read_bytes() for path in files)


def test_what_failed_is_kept_and_replayed(wire: Wire, site: Path) -> None:
    """Each boot that fails is in a file of its own, though nobody recorded; before a template that was mended it would install."""
    right = (site / "ks.cfg.j2").read_text()
    (site / "ks.cfg.j2").write_text(FAILS)
    failures = site / "state/failures"
    with program(site, "--config", "rack.toml", prefix=inside(wire)) as server:
        boot_all(wire, site)
        wait_until(lambda: server.said().count(".pcap") >= MACHINES, "not every failure was kept")
    kept = sorted(failures.iterdir(), key=lambda path: path.name.partition("-")[2])
    assert [False] * MACHINES == [SECRET.encode() in path.read_bytes() for path in kept]
    assert ["02-50-58-00-00-00.pcap", "02-50-58-00-00-02.pcap", "web01.pcap"] == [
        path.name.partition("-")[2] for path in kept
    ]
    boots = [read(path).boots for path in kept]
    first, second, third = macs()
    assert [[first], [third], [second]] == [[mac_text(boot.hardware) for boot in each] for each in boots]
    assert [(first, "at its report", "read")] == replayed(kept[0], site)
    (site / "ks.cfg.j2").write_text(right)
    assert [(first, "installed", "read")] == replayed(kept[0], site)
