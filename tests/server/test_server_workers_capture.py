"""``pxenet capture`` of a server with workers: whole, and the same as of one process."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import needs
import netlab
import pytest
from netlab import inside
from programlab import PATIENCE_S, free_ports, loopback_config, program, wait_until, workers_of
from test_server_program_net import SUBNET, Station, configure, fetched, on
from test_server_workers_same import SITE, WEB01, Asking, script, write_site

from pxenet.capture.boots import HttpRequest, Outcome, Transfer
from pxenet.capture.dissect import dissect, read
from pxenet.capture.reading import Record, open_capture
from pxenet.engine.install import Installs
from pxenet.store.sqlite import open_sqlite
from pxenet.wire.text import address_text, mac_text

_UDP, _TFTP = 17, 69
_READS = 24
"""By their ports they meet one worker or the other: that all of them meet the same happens once in millions of runs."""
LAST = "/many/file-with-a-long-name-0599"


@contextmanager
def capturing(site: Path, file: Path, *arguments: str, last: str = LAST) -> Iterator[None]:
    """``pxenet capture`` from when it listens until the request for ``last`` is in it."""
    command = [sys.executable, "-m", "pxenet", "capture", str(file), "--config", "rack.toml", *arguments]
    with subprocess.Popen(command, cwd=site, stderr=subprocess.PIPE) as process:
        try:
            # Its head is written with the first answer, which comes when all of them listen.
            wait_until(lambda: file.exists() and file.stat().st_size, "the capture did not begin")
            yield
            wait_until(lambda: f"GET {last} ".encode() in file.read_bytes(), "the capture does not end")
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE_S)
    assert b" packets in " in said
    assert b"more came faster" not in said


def records(file: Path, tftp_port: int) -> Iterator[Record]:
    """The packets of a capture, as if TFTP had been asked for on its own port: only there it is looked for."""
    with open_capture(file) as reader:
        for at_ns, interface, kind, buffer, start, end, size in reader:
            frame = bytearray(buffer[start:end])
            if frame[23] == _UDP and frame[36:38] == tftp_port.to_bytes(2, "big"):
                frame[36:38] = _TFTP.to_bytes(2, "big")
            yield at_ns, interface, kind, bytes(frame), 0, len(frame), size


def seen(file: Path, tftp_port: int) -> list[tuple[object, ...]]:
    """Each request in a capture with all that its answer tells, but not when, and from which of the client's ports."""
    found: list[tuple[object, ...]] = []
    steps = [step for boot in dissect(records(file, tftp_port)).boots for step in boot.steps]
    for step in sorted(steps, key=lambda step: step.ref.number):
        match step:
            case Transfer():
                failure = step.failure or step.abort
                told = step.request, step.answer, failure, step.outcome, step.blksize, step.blocks, step.size
                found.append((*told, step.recorded_bytes, step.gaps != (), step.content))
            case HttpRequest():
                response = re.sub(rb"\r\n(Date|Last-Modified): [^\r]*", b"", step.response)
                told = step.head, response, step.size, step.sent_bytes, step.recorded_bytes
                found.append((*told, step.gaps != (), step.content, step.upload))
    return found[:-1]  # of the last perhaps the request alone


def run(site: Path, ports: dict[str, int], workers: int, *arguments: str) -> tuple[Sequence[Any], Sequence[Any], bytes]:
    """The script against a server with so many workers: all answers, what the capture has of it, and all its bytes."""
    shutil.rmtree(site / "state", ignore_errors=True)
    shutil.copytree(site / "store", site / "state")
    server = f'root = "files"\nworkers = {workers}\nurl = "http://192.0.2.9"'
    (site / "rack.toml").write_text(loopback_config(ports, server) + SITE)
    opened = open_sqlite(site / "state")
    installs = Installs(opened.installs(), opened.secret(), max_attempts=3, keys=[WEB01])
    asking = Asking(ports, installs.token, [])
    opened.close()
    file = site / f"{workers}.pcap"
    with program(site, "--config", "rack.toml") as running:
        assert (workers if workers > 1 else 0) == len(workers_of(running))
        with capturing(site, file, *arguments):
            script(asking)
            asking.http(LAST)
        assert 0 == running.stopped()
    return asking.answers, seen(file, ports["tftp"]), file.read_bytes()


@pytest.mark.parametrize("arguments", [(), ("--secrets",)], ids=["discreet", "secrets"])
def test_workers_are_recorded_as_one(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Every request and every answer, the large texts too, to the byte; no secret that was not asked for."""
    write_site(tmp_path)
    open_sqlite(tmp_path / "store").close()
    ports = free_ports()
    _, alone, _ = run(tmp_path, ports, 1, *arguments)
    asked, several, data = run(tmp_path, ports, 2, *arguments)
    for one, other in zip(alone, several, strict=True):
        assert one == other
    assert len(asked) == len(several) + 1
    read_by_tftp = [answer for answer in asked if len(answer) == 3]
    refused = [answer for answer in read_by_tftp if answer[2].startswith(b"\0\5")]
    outcomes = Counter(each for step in several for each in step if isinstance(each, Outcome))
    assert {Outcome.REFUSED: len(refused), Outcome.COMPLETE: len(read_by_tftp) - len(refused)} == outcomes
    assert bool(arguments) == (b"# padding\n" in data)


def get(path: str) -> None:
    """Ask for a file by HTTP."""
    with socket.create_connection((netlab.SERVER, 80), PATIENCE_S) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert sock.recv(65536)


@needs.root()
@needs.namespace()
@needs.tool("ip")
def test_a_boot_is_whole(tmp_path: Path) -> None:
    """A machine's lease, which the server gives, and its reads, which one worker or the other serves, are one boot without gaps, in
    order of time."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/blob").write_bytes(bytes(100_000))
    configure(tmp_path, 'interface = "v0"\nworkers = 2', SUBNET)
    file = tmp_path / "boot.pcap"
    with netlab.wire() as wire, program(tmp_path, "--config", "rack.toml", prefix=on(wire)):
        with capturing(tmp_path, file, last="/last"):
            with closing(Station(wire.client, "v1")) as station:
                address = address_text(station.lease().yiaddr)
            netlab.run("ip", "-n", wire.client, "address", "add", f"{address}/24", "dev", "v1")
            for _ in range(_READS):
                fetched(wire)
            inside(wire.client, lambda: get("/last"))
        told = json.loads(
            netlab.run(sys.executable, "-m", "pxenet", "status", "--json", "--config", "rack.toml", cwd=tmp_path).stdout
        )
    assert all(worker["tftp"]["completed"] and worker["http"]["requests"] for worker in told["workers"])
    (boot,) = read(file).boots
    assert netlab.CLIENT_MAC == mac_text(boot.hardware)
    assert [1, 2, 3, 5] == [step.message.message_type for step in boot.dhcp]
    assert [(Outcome.COMPLETE, 100_000, ())] * _READS == [(each.outcome, each.size, each.gaps) for each in boot.tftp]
    assert [(100_000, ())] * _READS == [(each.size, each.gaps) for each in boot.http[:-1]]
    times = [step.ref.at_ns for step in boot.steps]
    assert sorted(times) == times
