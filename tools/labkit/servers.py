"""Who answers the machines: the server under test, and the DHCP server of somebody else beside it.

Knows how each is configured and started, and when it is ready. The seam is :class:`Server`; a reference made of well-known
programs stands behind it too (``labkit.reference``), to tell a fault of the lab from a fault of the server.
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
from pathlib import Path
from typing import Protocol

from labkit import distribution
from labkit.payload import Payload
from labkit.scenarios import DISCOVERY, KERNEL_ARGS, PROFILE, Scenario
from labkit.wire import BRIDGE, Namespace, Wire

REPOSITORY = Path(__file__).parents[2]
_READY_S = 30.0


class Server(Protocol):
    """A boot server on a wire."""

    log: Path

    def start(self) -> None:
        """Return when it serves. Raises RuntimeError with its last words when it does not."""

    def alive(self) -> bool:
        """It has not ended by itself."""

    def stop(self) -> None:
        """End it as a service manager would; raises RuntimeError when it does not end well."""


def pool(wire: Wire) -> tuple[str, str]:
    """First and last address for machines."""
    return str(wire.network[100]), str(wire.network[199])


def rack_toml(wire: Wire, scenarios: Sequence[Scenario], payload: Payload, state: Path) -> str:
    """The configuration a person would write for these machines."""
    first, last = pool(wire)
    proxy = any(s.proxy for s in scenarios)
    dhcp = (
        '[dhcp]\nmode = "proxy"\n'
        if proxy
        else f'[[dhcp.subnet]]\nnetwork = "{wire.network}"\npool = "{first}-{last}"\n'
    )
    hosts = "".join(
        f'\n[[host]]\nmac = "{s.mac}"\nname = "{s.name}"\nprofile = "{PROFILE}"\nloader.{s.platform} = "{s.loader}"\n'
        f'vars.disk = "{s.disk}"\nexit = "{s.exit}"\n'
        for s in scenarios
        if s.named
    )
    discovery = ""
    if not all(s.named for s in scenarios):
        discovery = f'''
[boot]
unknown = "{DISCOVERY}"

[[profile]]
name = "{DISCOVERY}"
kernel = "{payload.directory}/{payload.kernel}"
initrd = ["{payload.directory}/{payload.initrd}"]
args = "{KERNEL_ARGS}"
answer = "discovery"
vars.discovered_poll_s = 1
'''
    return f"""\
[server]
interface = "{BRIDGE}"
state = "{state}"
root = "{payload.root}"

{dhcp}
[[profile]]
name = "{PROFILE}"
source = "{payload.directory}"
kernel = "{payload.kernel}"
initrd = ["{payload.initrd}"]
args = "{KERNEL_ARGS}"
answer = "{payload.template}"
{discovery}{hosts}"""


def lab_toml(wire: Wire, scenario: Scenario, image: Path, state: Path) -> str:
    """The twelve lines of a machine that is installed by kickstart data, and where the lab has its server."""
    told = distribution.CONFIG.format(
        network=wire.network,
        source=image,
        key=distribution.KEY,
        mac=scenario.mac,
        name=scenario.name,
        address=reserved(wire, scenario),
    )
    return f'{told}[server]\ninterface = "{BRIDGE}"\nstate = "{state}"\n'


def reserved(wire: Wire, scenario: Scenario) -> str:
    """The address that is a machine's own."""
    return str(wire.network[scenario.number])


class PxenetServer:
    """``python -m pxenet.server`` in the rack's namespace."""

    def __init__(self, place: Namespace, config: Path, log: Path | None, notify: Path) -> None:
        """``log`` None: it speaks to our terminal. ``notify`` is where its readiness will be told."""
        self.log = log or Path("/dev/null")
        self._log = log
        self._place = place
        self._argv = (sys.executable, "-m", "pxenet.server", "--config", str(config))
        self._notify = notify
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Wait for the word that systemd would wait for (sd_notify(3): READY=1)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(self._notify))
            env = {
                **os.environ,
                "NOTIFY_SOCKET": str(self._notify),
                "PYTHONPATH": str(REPOSITORY),
                "PYTHONUNBUFFERED": "1",
            }
            self.process = self._place.start(*self._argv, log=self._log, env=env)
            deadline = time.monotonic() + _READY_S
            while self.process.poll() is None and time.monotonic() < deadline:
                if select.select([notify], [], [], 0.1)[0] and b"READY=1" in notify.recv(4096).split(b"\n"):
                    return
        raise RuntimeError(f"the server did not become ready:\n{tail(self.log)}")

    def order(self, *arguments: str) -> None:
        """Have a command of ``pxenet`` carried out. Raises RuntimeError with its words when it is not."""
        argv = self._place.argv(sys.executable, "-m", "pxenet", *arguments, *self._argv[-2:])
        done = subprocess.run(
            argv, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False
        )
        if done.returncode:
            raise RuntimeError(f"pxenet {' '.join(arguments)}: {done.stdout}{done.stderr}")

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        assert self.process is not None
        if (early := self.process.poll()) is not None:
            raise RuntimeError(f"the server had ended by itself with status {early}:\n{tail(self.log)}")
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError(f"the server did not stop within 10 s of SIGTERM:\n{tail(self.log)}") from None
        if status not in (0, -signal.SIGTERM):
            raise RuntimeError(f"the server ended with status {status}:\n{tail(self.log)}")


class AddressServer:
    """dnsmasq as the DHCP server that was there before us: addresses, a router and nothing about booting."""

    def __init__(self, wire: Wire, logs: Path) -> None:
        first, last = pool(wire)
        self.log = logs / f"{wire.name}.addresses.log"
        self._place = wire.add_peer()
        self._argv = (
            "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--bind-interfaces",
            "--log-dhcp", "--user=root", "--leasefile-ro", "--no-ping", f"--dhcp-range={first},{last},1h",
            f"--dhcp-option=option:router,{wire.peer_address}",
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = self._place.start(*self._argv, log=self.log)
        wait_for_text(self._process, self.log, "sockets bound exclusively")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


def wait_for_text(process: subprocess.Popen[bytes], log: Path, text: str) -> None:
    """Return when ``text`` is in ``log``; RuntimeError when the process ends before or is too slow."""
    deadline = time.monotonic() + _READY_S
    while text not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{log.stem} did not start:\n{tail(log)}")
        time.sleep(0.02)


def tail(log: Path, lines: int = 20, only: Sequence[str] = ()) -> str:
    """The last lines of a log, or of those of its lines that contain one of ``only`` when there are any."""
    try:
        every = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    chosen = [line for line in every if any(word in line for word in only)] if only else every
    return "\n".join((chosen or every)[-lines:])
