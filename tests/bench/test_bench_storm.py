"""Simulated machines against whole racks: a few of them, with the same programs that the benchmark runs a thousand against."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import pytest

from bench import own_rack
from bench.generator import build, clients

ROOT = Path(__file__).parents[2]
A_FEW = """
import json, sys, tempfile
from pathlib import Path
from bench.generator import build
from bench.row import Place
from bench.servers import STORM_PEERS, STORM_PXENET
from bench.storm import Storm
base = Path(sys.argv[1])
(base / "root").mkdir()
base.chmod(0o755)
work = Storm({"machines": 24, "mix": "bios=2,uefi=1,http=1"})
place = Place(base / "root", build())
work.prepare(place)
for number, server in enumerate((STORM_PXENET, STORM_PEERS)[: int(sys.argv[2])]):
    (base / str(number)).mkdir()
    sample = work.once(server, place, base / str(number))
    told = {name: sample.load.told[name] for name in ("complete", "failed", "first_error", "bytes", "blocks")}
    print(json.dumps(told | {"each": len(sample.distribution), "cpu_s": sample.cpu_s}))
"""


@needs.root()
@needs.tool("cc", "ip")
@needs.namespace()
@pytest.mark.parametrize("servers", [1, pytest.param(2, marks=needs.tool("dnsmasq", "nginx"))], ids=["pxenet", "peers"])
def test_all_come_to_their_end(tmp_path: Path, servers: int) -> None:
    """By BIOS, by UEFI and by HTTP boot; every byte of every file is counted."""
    tmp_path.parent.chmod(0o755)
    script = 'ip link set lo up; exec "$@"'
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-c", A_FEW, str(tmp_path), str(servers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert 0 == done.returncode, done.stderr
    mib, loaded = 1 << 20, 24 * 11
    for line in done.stdout.splitlines():
        told = json.loads(line)
        assert (24, 0, "", 24) == (told["complete"], told["failed"], told["first_error"], told["each"])
        assert loaded * mib < told["bytes"] < loaded * mib + 24 * 4096
        # a block more for a loader that fills its last one; those by HTTP have none
        assert 12 * (mib // 1432 + 1) + 6 * (mib // 1468 + 1) == told["blocks"]


TOLD: dict[str, Any] = {
    "wall_s": 2.0, "load_cpu_s": 0.2, "bytes": 4_000_000, "blocks": 10, "complete": 3, "failed": 2, "retransmits": 4,
    "tried_again": {"dhcp": 3, "tftp": 1, "http": 0}, "naks": 1, "failed_at": {"lease": 0, "loader": 2, "script": 0},
    "kernel_s": {"p50": 1.0, "p99": 1.5, "max": 1.6}, "whole_s": {"p50": 1.2, "p99": 1.7, "max": 1.9},
    "first_error": "loader: ERROR 1 file not found",
}  # fmt: skip


def test_what_people_are_told() -> None:
    """How many, how long, what was repeated, and where the others stopped."""
    assert [
        "3 of 5 machines came to their end in 2.0 s",
        "power on to kernel and initrd: p50 1.00 s, p99 1.50 s, the last 1.60 s",
        "power on to the report of the end: p50 1.20 s, p99 1.70 s, the last 1.90 s",
        "2 MB/s; asked again: 3 by DHCP, 1 by TFTP, 0 by HTTP",
        "1 NAKs: machines that had to begin again",
        "FAILED: 2 at loader; the first: loader: ERROR 1 file not found",
    ] == list(own_rack.lines(TOLD))
    busy = TOLD | {"complete": 0, "failed": 0, "naks": 0, "load_cpu_s": 1.9}
    assert "it may be what was measured" in list(own_rack.lines(busy))[-1]


@needs.tool("cc")
def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is not there is no crash: all machines fail at their lease, or the relay's port is not ours."""
    told = clients(
        "storm",
        build(),
        0,
        {
            "server": "127.0.0.9:9",
            "relay": "127.0.0.8:47067",
            "http": "127.0.0.9",
            "tftp": "127.0.0.9",
            "machines": 2,
            "limit": 1,
        },
    ).told
    assert (0, 2, "lease: out of time") == (told["complete"], told["failed"], told["first_error"])
    assert 2 == own_rack.main(["--server", "nowhere", "--relay", "127.0.0.1"])
    assert "nowhere is no IPv4 address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--machines", "0"], "--machines is from 1 to 100000, not 0"),
        (["--machines", "1000", "--every", "1"], "1000 machines would take more than 300 s to be switched on"),
    ],
)
def test_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent."""
    with pytest.raises(SystemExit):
        own_rack.main(["--server", "127.0.0.1", "--relay", "127.0.0.1", *words])
    assert message in capsys.readouterr().err


@needs.tool("cc")
def test_a_mix_of_what_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Told with the kinds that there are."""
    words = ["--server", "127.0.0.1", "--relay", "127.0.0.1", "--mix", "bios=1,mac=2"]
    assert 2 == own_rack.main(words)
    assert "--mix is made of bios, uefi and http, as bios=60,uefi=40, not mac=2" in capsys.readouterr().err
