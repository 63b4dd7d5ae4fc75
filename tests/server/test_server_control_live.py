"""The live table of a server in a terminal: what is seen, what a stopped terminal does, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from programlab import PATIENCE_S, Reader, free_ports, loopback_config

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
"""DECTCEM: the cursor."""


@dataclass
class Terminal:
    """A terminal with a server in its foreground."""

    process: subprocess.Popen[bytes]
    master: int
    ports: dict[str, int]
    raw: str = ""

    def read(self) -> None:
        """Take what is there, waiting a moment for it."""
        if select.select([self.master], [], [], 0.1)[0]:
            try:
                self.raw += os.read(self.master, 65536).decode("utf-8", "replace")
            except OSError:  # the other side is closed
                time.sleep(0.01)

    @property
    def text(self) -> str:
        """Without the sequences that move the cursor and colour the text."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    def expect(self, pattern: str) -> str:
        """Wait until the terminal shows this; gives it."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < deadline, f"{pattern} was not shown:\n{self.text[-3000:]}"
            self.read()
        return found[0]

    def ended(self) -> int:
        """The exit status, once it has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            self.read()
        self.read()
        return self.process.returncode


@contextlib.contextmanager
def terminal(
    place: Path, width: int, height: int, *arguments: str, nohup: bool = False, **environment: str
) -> Iterator[Terminal]:
    """``python -m pxenet.server`` in a terminal of that size; with ``nohup`` it outlives that."""
    (place / "root").mkdir()
    (place / "root" / "vmlinuz").write_bytes(bytes(100_000))
    ports = free_ports()
    (place / "rack.toml").write_text(loopback_config(ports, 'root = "root"'))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    # The shell that a person types into: its session owns the terminal, so that Ctrl-C reaches the server.
    code = (
        f"import fcntl, os, signal, sys, termios; signal.signal(signal.SIGHUP, signal.{'SIG_IGN' if nohup else 'SIG_DFL'}); "
        "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.executable, [sys.executable, '-m', 'pxenet.server', *sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--config", "rack.toml", *arguments],
        cwd=place, stdin=slave, stdout=slave, stderr=slave, env=clean | {"TERM": "xterm"} | environment,
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master, ports)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            os.close(master)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_the_table_moves(tmp_path: Path, width: int, height: int) -> None:
    """A machine appears, with its file, how much of it has gone, and what happened; Ctrl-C ends it and gives the cursor back."""
    with terminal(tmp_path, width, height) as shown:
        shown.expect(r"machine +firmware +stage +file +rate +elapsed +retries")
        shown.expect("waiting for machines")
        reader = Reader("127.0.0.1", shown.ports["tftp"], "vmlinuz")
        for _ in range(90):
            reader.take()
        shown.expect(r"127\.0\.0\.1 +loading +4\d % vmlinuz")
        reader.rest()
        shown.expect(r"127\.0\.0\.1 +loading +vmlinuz +[\d.]+ [kM]?B/s")
        shown.expect(r"127\.0\.0\.1 has read vmlinuz \(100000 bytes")
        shown.expect("1 machine: 1 loading")
        os.write(shown.master, b"\x03")
        assert 0 == shown.ended()
        assert shown.raw.count(HIDE) == shown.raw.count(SHOW) > 0
        shown.expect(r"stopping: no new clients[^\0]*stopped\r\n$")
        table = shown.text[shown.text.rindex("machine ") :]
        assert max(len(line) for line in table.split("\r\n")) <= width


@pytest.mark.parametrize(
    ("arguments", "environment"), [(("--lines",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})], ids=str
)
def test_lines_when_asked_for(tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """No table, not one escape sequence."""
    with terminal(tmp_path, 80, 24, *arguments, **environment) as shown:
        shown.expect("in the configuration")
        Reader("127.0.0.1", shown.ports["tftp"], "vmlinuz").rest()
        shown.expect(r"127\.0\.0\.1 has read vmlinuz \(100000 bytes")
        os.write(shown.master, b"\x03")
        assert 0 == shown.ended()
        assert "\x1b" not in shown.raw


def test_json_in_a_terminal(tmp_path: Path) -> None:
    """Stays JSON."""
    with terminal(tmp_path, 80, 24, "--json") as shown:
        shown.expect('"kind": "server"')
        os.write(shown.master, b"\x03")
        assert 0 == shown.ended()
        assert "\x1b" not in shown.raw


def test_a_terminal_that_is_stopped(tmp_path: Path) -> None:
    """Whoever presses Ctrl-S, or leaves a connection hanging, stops the picture and not the server; it also ends."""
    with terminal(tmp_path, 200, 50) as shown:
        shown.expect("waiting for machines")
        os.write(shown.master, b"\x13")
        silent_since = time.monotonic()
        while time.monotonic() - silent_since < 1.0:
            before = shown.raw
            shown.read()
            if before != shown.raw:
                silent_since = time.monotonic()
        assert 200 == served(shown)
        shown.process.send_signal(signal.SIGTERM)
        assert 0 == shown.process.wait(PATIENCE_S)


def test_a_terminal_that_is_gone(tmp_path: Path) -> None:
    """A server that was told to ignore the hang-up serves on, and ends as ever."""
    with terminal(tmp_path, 80, 24, nohup=True) as shown:
        shown.expect("waiting for machines")
        os.close(shown.master)
        for _ in range(10):  # some pictures that could not be drawn
            assert 200 == served(shown)
            time.sleep(0.1)
        shown.process.send_signal(signal.SIGTERM)
        assert 0 == shown.process.wait(PATIENCE_S)


def test_a_terminal_that_hangs_up(tmp_path: Path) -> None:
    """A server that was started in a terminal ends with it: the signal asks for no configuration then."""
    with terminal(tmp_path, 80, 24) as shown:
        shown.expect("waiting for machines")
        os.close(shown.master)
        assert 0 == shown.process.wait(PATIENCE_S)


def served(shown: Terminal) -> int:
    """The status of a request."""
    with urllib.request.urlopen(f"http://127.0.0.1:{shown.ports['http']}/vmlinuz", timeout=PATIENCE_S) as reply:
        return int(reply.status)
