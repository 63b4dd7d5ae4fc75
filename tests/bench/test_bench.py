"""The benchmark's own arithmetic: what is a miss, what is doubtful, and that its load generator loads."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import needs
import pytest

from bench.dhcp import read_perfdhcp
from bench.generator import Load, LoadError, build, clients, read
from bench.process import Process
from bench.report import cells_of, markdown, record, table
from bench.row import Figure, Row, Sample, Target, Verdict, judge
from bench.rows import ROWS
from bench.run import Measured
from pxenet.net.udp import UdpSocket

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


def load(wall_s: float = 1.0, cpu_s: float = 0.1, **other: int) -> Load:
    counts = {"bytes": 10_000_000, "blocks": 7000, "complete": 10, "failed": 0, "retransmits": 0} | other
    return Load(wall_s=wall_s, cpu_s=cpu_s, first_error="", **counts)


def measured(ours: Sample, theirs: Sample, *targets: Target) -> Measured:
    row = Row("a row", ROWS[0].work, (Figure("MB/s", lambda sample: sample.mb_per_s, targets),))
    return Measured(row, {"pxenet": [ours], "dnsmasq": [theirs]})


@pytest.mark.parametrize(
    ("target", "ratio", "verdict"),
    [
        (Target("x", 1.05), 1.04, Verdict.MISS),
        (Target("x", 1.05), 1.05, Verdict.PASS),
        (Target("x", 1.05, goal=1.2), 1.19, Verdict.PASS),
        (Target("x", 1.05, goal=1.2), 1.2, Verdict.GOAL),
        (Target("x", most=1.4), 1.4, Verdict.PASS),
        (Target("x", most=1.4), 1.41, Verdict.MISS),
    ],
)
def test_verdicts(target: Target, ratio: float, verdict: Verdict) -> None:
    """At least, or at most; the goal is told from the floor."""
    assert verdict is judge(target, ratio)


def test_a_sample_counts() -> None:
    """Megabytes by the clock and by the server's CPU time; blocks of one client by both."""
    sample = Sample(load(wall_s=2.0), 0.5)
    assert (20.0, 5.0, 3500.0) == (sample.mb_per_cpu_s, sample.mb_per_s, sample.blocks_per_s)
    assert pytest.approx(71.43, abs=0.01) == sample.cpu_us_per_block


def test_ratios_are_of_medians() -> None:
    """One bad round does not decide."""
    each = measured(Sample(load(1.0), 1.0), Sample(load(2.0), 1.0), Target("dnsmasq", 1.5))
    each.samples["pxenet"] += [Sample(load(1.0), 1.0), Sample(load(100.0), 1.0)]
    assert [("MB/s", "dnsmasq", 2.0, Verdict.PASS)] == each.judged()
    assert each.good


def test_a_table_that_can_be_compared() -> None:
    """Fixed columns; the same figures in Markdown and for programs; a fault stands below its row and spoils it."""
    each = measured(Sample(load(2.0), 1.0), Sample(load(1.0), 1.0), Target("dnsmasq", 1.05))
    each.faults.append("pxenet: something")
    lines = list(table([each]))
    assert lines[1].split() == ["a", "row", "MB/s", "dnsmasq", "0.50", ">=", "1.05", "MISS"]
    assert lines[2] == "  ! pxenet: something"
    assert "| a row | MB/s | dnsmasq | 0.50 | >= 1.05 | MISS |" in list(markdown([each]))
    (row,) = record([each])["rows"]
    assert [{"figure": "MB/s", "peer": "dnsmasq", "ratio": 0.5, "verdict": "MISS"}] == row["ratios"]
    assert not each.good


def test_a_row_without_a_peer_counts_what_is_complete() -> None:
    """Where nobody else is asked, the figure itself is judged."""
    row = Row("many", ROWS[0].work, (Figure("complete", lambda sample: sample.share_complete, (Target("", 1.0),)),))
    each = Measured(row, {"pxenet": [Sample(load(complete=99, failed=1), 1.0)]})
    assert [("many", "complete", "-", "0.99", ">= 1", "MISS")] == list(cells_of(each))


def test_rows_are_told_apart() -> None:
    """No two have one name, and each names peers that there are."""
    assert len(ROWS) == len({row.name for row in ROWS})
    for row in ROWS:
        peers = {target.peer for figure in row.figures for target in figure.targets} - {""}
        assert peers <= {server.name for server in row.work.servers} | {"dnsmasq"}, row.name
        assert "pxenet" == row.work.servers[0].name


def test_what_the_generator_says() -> None:
    """Its JSON becomes a record; how busy it was is a share of its core."""
    said = {"wall_s": 2.0, "load_cpu_s": 1.7, "bytes": 1, "blocks": 1, "complete": 1, "failed": 0, "retransmits": 0}
    assert pytest.approx(0.85) == read(said | {"first_error": "", "more": 1}).busy


@needs.tool("cc")
def test_the_generator_finds_out_that_nobody_answers() -> None:
    """A server that says nothing is no success, and the reason is told."""
    udp = UdpSocket(0, "127.0.0.1")
    options = {"server": f"127.0.0.1:{udp.port}", "name": "x", "expect": __file__, "tries": 1, "timeout": 0.05}
    found = clients("tftp", build(), 0, options)
    udp.close()
    assert (0, 1, "no answer") == (found.complete, found.failed, found.first_error)


@needs.tool("cc")
def test_a_misspelled_option_is_refused() -> None:
    """Nothing is measured with settings that nobody meant."""
    with pytest.raises(LoadError, match="there is no option --blksise here"):
        clients("tftp", build(), 0, {"server": "127.0.0.1:9", "name": "x", "expect": __file__, "blksise": 512})


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server that keeps connections, and the file that it has under /file."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: nobody reads it."""

    (tmp_path / "file").write_bytes(os.urandom(100_000))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", tmp_path / "file"
        server.shutdown()
        thread.join()


@needs.tool("cc")
def test_http_clients_read_what_there_is(web: tuple[str, Path]) -> None:
    """Every request is answered, over connections that are kept."""
    server, file = web
    load = clients(
        "http", build(), 0, {"server": server, "path": "/file", "expect": file, "connections": 2, "requests": 10}
    )
    assert (10, 0, 1_000_000) == (load.complete, load.failed, load.bytes)


@needs.tool("cc")
def test_http_clients_notice_what_is_wrong(web: tuple[str, Path], tmp_path: Path) -> None:
    """Other content of the same length is no success; neither is another status."""
    server, file = web
    other = tmp_path / "other"
    other.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1]))
    wrong = clients(
        "http", build(), 0, {"server": server, "path": "/file", "expect": other, "connections": 1, "requests": 1}
    )
    assert (0, 1, "content differs from the file") == (wrong.complete, wrong.failed, wrong.first_error)
    none = clients(
        "http", build(), 0, {"server": server, "path": "/none", "expect": file, "connections": 1, "requests": 1}
    )
    assert (0, 1, "no 200") == (none.complete, none.failed, none.first_error)


def test_a_server_is_counted_with_its_children(tmp_path: Path) -> None:
    """What it starts is part of it, and goes with it."""
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    with Process([[sys.executable, "-c", code]], 0, tmp_path / "log") as process:
        while not (words := (tmp_path / "log").read_text().split()):
            assert not process.ended
        child = int(words[0])
        assert child in process.pids()
        assert process.resident_bytes() > 0
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


PERFDHCP = """
***Statistics for: DISCOVER-OFFER***
sent packets: 100
received packets: 99
drops: 1

***Statistics for: REQUEST-ACK***
sent packets: 99
received packets: 97
drops: 2
"""


def test_what_perfdhcp_says() -> None:
    """An exchange counts when its ACK came; every other one that was begun has failed."""
    found = read_perfdhcp(PERFDHCP, 2.0, 0.5)
    assert (97, 3, 0.25) == (found.complete, found.failed, found.busy)
    with pytest.raises(LoadError, match="perfdhcp says 'no such interface'"):
        read_perfdhcp("no such interface", 1.0, 0.1)


@needs.tool("cc", "ip")
@needs.namespace()
@pytest.mark.parametrize(("words", "complete"), [("windowsize 16, 100", 800), ("start to first answer", 1)])
def test_a_row_from_end_to_end(tmp_path: Path, words: str, complete: int) -> None:
    """The quickest rows against the real server: everything arrives, and the figures are written."""
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "bench", "--rounds", "1", "--only", words, "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, env=dict(os.environ))
    assert done.returncode in (0, 1), done.stderr
    (row,) = json.loads(out.read_text())["rows"]
    (sample,) = row["servers"]["pxenet"]
    assert (complete, 0) == (sample["complete"], sample["failed"])
