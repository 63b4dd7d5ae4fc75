"""The servers that are compared, each with settings that let it do its best: no logs, no limits, one core."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PORT = 69
"""dnsmasq knows no other: the benchmark runs in a network namespace of its own."""
ADDRESS = "127.0.0.1"
TRANSFERS = 12_000
"""Limits of servers are raised to this; dnsmasq's own is 50."""


@dataclass(frozen=True, slots=True)
class Server:
    """A TFTP server. ``command`` makes its command line from (directory to serve, working directory)."""

    name: str
    program: str
    package: str
    command: Callable[[Path, Path], Sequence[str]]
    version: Sequence[str]
    pattern: str
    windows: bool
    """It knows RFC 7440, in the version that is installed; see ``knows_windows``."""
    settings: str

    def found(self) -> bool:
        """It is installed."""
        return shutil.which(self.program, path=_PATH) is not None

    def version_text(self) -> str:
        """What it says of itself."""
        command = [shutil.which(self.program, path=_PATH) or self.program, *self.version]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        found = re.search(self.pattern, done.stdout + done.stderr)
        return found[1] if found else "?"


_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _pxenet(root: Path, work: Path) -> list[str]:
    config = work / "rack.toml"
    config.write_text(
        f'[server]\nstate = "{work / "state"}"\nroot = "{root}"\naddress = "{ADDRESS}"\n'
        f'[dhcp]\nmode = "off"\n[tftp]\nport = {PORT}\nmax_windowsize = 64\n[http]\nport = 8080\n'
    )
    return [sys.executable, "-m", "pxenet.server", "--config", str(config)]


def _dnsmasq(root: Path, work: Path) -> list[str]:
    limit = f"--tftp-max={TRANSFERS}"
    files = [f"--pid-file={work / 'pid'}", "--conf-file=/dev/null", f"--tftp-root={root}"]
    quiet = ["--quiet-tftp", "--log-facility=/dev/null"]
    return [_at("dnsmasq"), "--keep-in-foreground", "--user=root", "--port=0", "--enable-tftp", limit, *files, *quiet]


def _hpa(root: Path, work: Path) -> list[str]:
    return [_at("in.tftpd"), "-L", "--address", f"{ADDRESS}:{PORT}", "--user", "root", "--secure", str(root)]


def _atftpd(root: Path, work: Path) -> list[str]:
    limits = ["--maxthread", str(TRANSFERS), "--user", "root.root", "--verbose=0", "--logfile", str(work / "log")]
    return [_at("atftpd"), "--daemon", "--no-fork", "--port", str(PORT), "--bind-address", ADDRESS, *limits, str(root)]


def _at(program: str) -> str:
    return shutil.which(program, path=_PATH) or program


PXENET = Server(
    "pxenet", sys.executable, "", _pxenet, ("-m", "pxenet", "--version"), r"pxenet (\S+)", True, "max_windowsize = 64"
)
PEERS = (
    Server(
        "dnsmasq",
        "dnsmasq",
        "dnsmasq-base",
        _dnsmasq,
        ("--version",),
        r"version (\S+)",
        False,
        f"--tftp-max={TRANSFERS} (its own limit: 50), no DNS, no log",
    ),
    Server("tftpd-hpa", "in.tftpd", "tftpd-hpa", _hpa, ("--version",), r"tftp-hpa ([\d.]+)", False, "-L, no log"),
    Server(
        "atftpd",
        "atftpd",
        "atftpd",
        _atftpd,
        ("--version",),
        r"atftp-(\S+)",
        True,
        f"--maxthread {TRANSFERS} (its own limit: 100), no log",
    ),
)
