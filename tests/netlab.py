"""Two hosts on one wire, in network namespaces that the test makes itself: the real server on one, real clients on the other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
"""<linux/sched.h>"""

SERVER = "10.78.0.1"
CLIENT_MAC = "02:00:00:78:00:02"


def run(
    *command: str, check: bool = True, timeout: float = 30, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end; what it printed is in the exception when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@dataclass
class Wire:
    """Namespace ``server`` (``v0``, 10.78.0.1/24) and namespace ``client`` (``v1``, no address), joined by a veth pair."""

    server: str
    client: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def on_client(
        self, *command: str, check: bool = True, timeout: float = 30, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the client host."""
        return run("ip", "netns", "exec", self.client, *command, check=check, timeout=timeout, cwd=cwd)

    def start(
        self, namespace: str, *command: str, env: dict[str, str] | None = None, log: Path
    ) -> subprocess.Popen[str]:
        """Start a program that ends with the wire."""
        with log.open("w") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                env=os.environ | (env or {}),
            )
        self.processes.append(process)
        return process

    def serve(self, config: str, directory: Path) -> Path:
        """Start ``python -m pxenet.server`` with this configuration, and wait until it says it is ready; its log's path."""
        path, log = directory / "rack.toml", directory / "server.log"
        path.write_text(config)
        ready = directory / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(ready))
            notify.settimeout(20)
            command = (sys.executable, "-m", "pxenet.server", "--config", str(path))
            self.start(self.server, *command, env={"NOTIFY_SOCKET": str(ready)}, log=log)
            try:
                message = notify.recv(100)
            except TimeoutError:
                raise AssertionError(f"the server did not become ready:\n{log.read_text()}") from None
        ready.unlink()
        assert message == b"READY=1"
        return log

    def stop(self, process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> int:
        """End one of our processes; its exit status."""
        process.send_signal(how)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    """Make the two hosts; take everything away again, whatever happened. Needs root."""
    made = Wire(f"pxenet-s{os.getpid()}", f"pxenet-c{os.getpid()}")
    try:
        for namespace in (made.server, made.client):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "-n", made.server, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", made.client)
        run("ip", "-n", made.client, "link", "set", "v1", "address", CLIENT_MAC)
        run("ip", "-n", made.server, "address", "add", f"{SERVER}/24", "dev", "v0")
        run("ip", "-n", made.server, "link", "set", "v0", "up")
        run("ip", "-n", made.client, "link", "set", "v1", "up")
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                made.stop(process)
        for namespace in (made.server, made.client):
            run("ip", "netns", "delete", namespace, check=False)


def inside(namespace: str, call: Callable[[], T]) -> T:
    """What ``call`` returns when run in a network namespace: sockets opened there stay there. Needs root."""
    result: list[T] = []
    failure: list[BaseException] = []

    def enter() -> None:
        try:
            with Path(f"/run/netns/{namespace}").open() as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            result.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
