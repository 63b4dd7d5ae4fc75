"""The server as a program, started by a test: its readiness messages, its words, its end."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

PATIENCE_S = 20.0
"""How long a test waits for what must happen; a slow machine needs a part of it."""


@dataclass
class Program:
    """A running server."""

    process: subprocess.Popen[bytes]
    notify: socket.socket
    log: Path

    def said(self) -> str:
        """Everything it has printed so far, on both of its streams."""
        return self.log.read_text()

    def expect(self, message: str) -> None:
        """The next message to the service manager is this one."""
        assert message == self.next_message(message)

    def next_message(self, wanted: str) -> str:
        """The next message to the service manager; ``wanted``: what is waited for."""
        deadline = time.monotonic() + PATIENCE_S
        while not select.select([self.notify], [], [], 0.05)[0]:
            assert self.process.poll() is None, f"ended with {self.process.returncode}\n{self.said()}"
            assert time.monotonic() < deadline, f"{wanted} did not come\n{self.said()}"
        return self.notify.recv(100).decode()

    def reloaded(self) -> None:
        """It has said to the service manager that it read its configuration, and that it serves, by whichever."""
        state, _, when = self.next_message("RELOADING=1").partition("\n")
        assert ("RELOADING=1", "MONOTONIC_USEC") == (state, when.partition("=")[0])
        self.expect("READY=1")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(PATIENCE_S)

    def stopped(self, number: int = SIGTERM) -> int:
        """The exit status after a signal."""
        self.signal(number)
        return self.ended()


@contextlib.contextmanager
def program(
    directory: Path,
    *arguments: str,
    prefix: Sequence[str] = (),
    script: str = "",
    ready: bool = True,
    env: dict[str, str] | None = None,
) -> Iterator[Program]:
    """Run ``python -m pxenet.server ARGUMENTS``, killed at the end if need be; ``ready``: wait until it says so.

    ``prefix``: a command that runs it (``ip netns exec ...``). ``script``: Python code that changes something in the program before.
    """
    path = directory / "notify"
    path.unlink(missing_ok=True)
    start = "from pxenet.cli.serving import main; raise SystemExit(main())"
    command = [sys.executable, "-c", f"{script}\n{start}"] if script else [sys.executable, "-m", "pxenet.server"]
    with contextlib.ExitStack() as closing:
        notify = closing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notify.bind(str(path))
        path.chmod(0o666)
        log = directory / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*prefix, *command, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"NOTIFY_SOCKET": str(path)} | (env or {}),
                cwd=directory,
            )
        closing.callback(process.wait)
        closing.callback(process.kill)
        running = Program(process, notify, log)
        if ready:
            running.expect("READY=1")
        yield running


def children(process: int) -> list[int]:
    """Its child processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def workers_of(server: Program) -> list[int]:
    """Its workers' processes."""
    return [worker for spawner in children(server.process.pid) for worker in children(spawner)]


def wait_until(true: Callable[[], object], what: str) -> None:
    """Until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def free_ports() -> dict[str, int]:
    """Ports that nobody has, for each key that names a port: below those that the kernel gives to whoever asks for any."""
    kinds = {"http": socket.SOCK_STREAM}
    found: dict[str, int] = {}
    while len(found) < 4:
        name = ("dhcp", "proxy", "tftp", "http")[len(found)]
        port = random.randrange(10_000, 30_000)
        with socket.socket(socket.AF_INET, kinds.get(name, socket.SOCK_DGRAM)) as sock:
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                continue
        if port not in found.values():
            found[name] = port
    return found


def loopback_config(ports: dict[str, int], server: str = "") -> str:
    """A configuration for ports above 1023 on the loopback, which needs no privileges; ends inside ``[server]``."""
    return (
        f"[dhcp]\nport = {ports['dhcp']}\nproxy_port = {ports['proxy']}\n[tftp]\nport = {ports['tftp']}\n"
        f'[http]\nport = {ports["http"]}\n[server]\ninterface = "lo"\nstate = "state"\n{server}\n'
    )


class Reader:
    """A TFTP client that takes a file block by block, when the test says so. 512 octets a block."""

    def __init__(self, host: str, port: int, name: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        self.data = b""
        self.ended = False
        self._block = 0
        self._said = b"\0\1" + name.encode() + b"\0octet\0", (host, port)
        self.socket.sendto(*self._said)

    def close(self) -> None:
        """Leave, saying nothing."""
        self.socket.close()

    def take(self) -> None:
        """Receive the next block and acknowledge it."""
        while True:
            packet, peer = self._receive()
            assert packet[:2] == b"\0\3", packet
            if int.from_bytes(packet[2:4], "big") == (self._block + 1) & 0xFFFF:
                break
        self._block += 1
        self.data += packet[4:]
        self.ended = len(packet) < 516
        self._said = b"\0\4" + packet[2:4], peer
        self.socket.sendto(*self._said)

    def _receive(self) -> tuple[bytes, tuple[str, int]]:
        """What comes next. A packet may be lost, when the server's queue is full of other things: it is repeated, as clients do."""
        for _ in range(int(PATIENCE_S)):
            try:
                return self.socket.recvfrom(2000)
            except TimeoutError:
                self.socket.sendto(*self._said)
        raise AssertionError(f"no block after {self._block}")

    def rest(self) -> bytes:
        """The file, once all of it is here."""
        while not self.ended:
            self.take()
        self.close()
        return self.data
