"""The real server as a process of the proof: its configuration on the loopback, its start, its end.

Knows ``python -m pxenet.server`` and READY=1. Everything is on high ports, and run by root it runs without root's rights.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pxenet.store.sqlite import open_sqlite

PATIENCE_S = 60.0
"""How long what must happen may take; a machine under load needs a part of it."""

HOSTS = 48
"""Machines of the configuration, which are installed."""

NETWORK = "10.64.0.0/16"
POOL = "10.64.4.0-10.64.255.250"
LEASE_S = 3600

_CONFIG = """\
[server]
interface = "lo"
address = "127.0.0.1"
state = "{state}"
root = "files"
[dhcp]
port = {dhcp}
proxy_port = {proxy}
[[dhcp.subnet]]
network = "{network}"
pool = "{pool}"
lease_time = {lease_s}
[tftp]
port = {tftp}
[http]
port = {http}
[[profile]]
name = "plain"
source = "tree"
answer = "answer.cfg"
"""


def host_mac(number: int) -> bytes:
    """The hardware address of a configured machine; machines of a storm have others."""
    return b"\x02\x50\x52\x00" + number.to_bytes(2, "big")


@dataclass(slots=True)
class Place:
    """A directory with a configuration and files to serve."""

    directory: Path
    ports: dict[str, int]
    state: Path
    keys: tuple[str, ...]
    """Of the configured machines."""


def make_place(directory: Path, chance: Random, state: Path | None = None, *, with_store: bool = True) -> Place:
    """Write everything that a server needs; its store too, unless the server shall make that itself."""
    for name in ("files/bios", "tree"):
        (directory / name).mkdir(parents=True)
    for name in ("files/bios/pxelinux.0", "files/bios/ldlinux.c32", "tree/linux", "tree/initrd.gz"):
        (directory / name).write_bytes(chance.randbytes(3000))
    (directory / "answer.cfg").write_text("# {{ host.name }} {{ urls.installed }}\n")
    state = state or directory / "state"
    ports = free_ports(chance)
    text = _CONFIG.format(state=state, network=NETWORK, pool=POOL, lease_s=LEASE_S, **ports)
    for number in range(HOSTS):
        text += f'[[host]]\nname = "m{number}"\nmac = "{host_mac(number).hex(":")}"\nprofile = "plain"\n'
    (directory / "rack.toml").write_text(text)
    if with_store:
        open_sqlite(state).close()
    return Place(directory, ports, state, tuple(host_mac(number).hex(":") for number in range(HOSTS)))


def placed(directory: Path, ports: dict[str, int]) -> Place:
    """A directory whose configuration somebody else has written; the state is in ``state``."""
    return Place(directory, ports, directory / "state", ())


def free_ports(chance: Random) -> dict[str, int]:
    """Ports that nobody has, below those that the kernel gives to whoever asks for any."""
    found: dict[str, int] = {}
    for name in ("dhcp", "proxy", "tftp", "http"):
        kind = socket.SOCK_STREAM if name == "http" else socket.SOCK_DGRAM
        while name not in found:
            port = chance.randrange(10_000, 30_000)
            with socket.socket(socket.AF_INET, kind) as sock:
                try:
                    sock.bind(("0.0.0.0", port))
                except OSError:
                    continue
            if port not in found.values():
                found[name] = port
    return found


class Server:
    """A server process. ``prefix`` runs it (strace, say); ``script`` is Python that changes something in it before it starts."""

    def __init__(self, place: Place, *, prefix: Sequence[str] = (), script: str = "", name: str = "server") -> None:
        self.log = place.directory / f"{name}.log"
        notify = place.directory / "notify"
        notify.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(notify))
        start = "from pxenet.cli.serving import main; raise SystemExit(main())"
        program = [sys.executable, "-c", f"{script}\n{start}"] if script else [sys.executable, "-m", "pxenet.server"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*_DIES_WITH_US, *prefix, *_without_rights(), *program, "--config", "rack.toml"],
                cwd=place.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"NOTIFY_SOCKET": str(notify)},
            )

    def said(self) -> str:
        """Everything that it has printed, in all its lives of the same name."""
        return self.log.read_text(errors="replace")

    def ready(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait until it serves; False when it ends before, or does not within the time."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until and self.process.poll() is None:
            if select.select([self._notify], [], [], 0.01)[0]:
                return self._notify.recv(100) == b"READY=1"
        return False

    def kill(self) -> None:
        """SIGKILL, and wait for the end; what runs the server ends by itself."""
        if self.process.poll() is None:
            os.kill(self.pid(), signal.SIGKILL)
        self.close()

    def pid(self) -> int:
        """The process that serves: behind what runs it."""
        found = self.process.pid
        ours = os.path.realpath(sys.executable)
        while os.path.realpath(f"/proc/{found}/exe") != ours and (children := children_of(found)):
            found = children[0]
        return found

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        os.kill(self.pid(), signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.kill()

    def close(self) -> None:
        """Wait for the end, which somebody has brought about."""
        self.process.wait()
        self._notify.close()


def children_of(process: int) -> list[int]:
    """Its child processes; none when it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")


def _without_rights() -> tuple[str, ...]:
    """Run by root, a server without any capability."""
    return (*_DIES_WITH_US, "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else _DIES_WITH_US
