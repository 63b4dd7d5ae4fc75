"""The servers that are compared, each with settings that let it do its best: no logs, no limits, one core."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.aside import ASIDE, HPA
from bench.wire import INTERFACE, NETWORK, POOL, SERVER, STORM_POOL

PORT = 69
"""dnsmasq knows no other: the benchmark runs in a network namespace of its own."""
HTTP_PORT = 8080
ADDRESS = "127.0.0.1"
TRANSFERS = 12_000
"""Limits of servers are raised to this; dnsmasq's own is 50."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server. ``commands`` makes the command lines of its programs from (directory to serve, working directory)."""

    name: str
    program: str
    package: str
    commands: Callable[[Path, Path], Sequence[Sequence[str]]]
    version: Sequence[str]
    pattern: str
    settings: str
    windows_since: tuple[int, ...] | None = None
    """The version that learned windows (RFC 7440)."""

    def found(self) -> bool:
        """It is installed."""
        return shutil.which(self.program, path=_PATH) is not None

    def version_text(self) -> str:
        """What it says of itself."""
        command = [shutil.which(self.program, path=_PATH) or self.program, *self.version]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        found = re.search(self.pattern, done.stdout + done.stderr)
        return found[1] if found else "?"

    def knows_windows(self) -> bool:
        """RFC 7440, in the version that is installed."""
        if self.windows_since is None:
            return False
        return tuple(map(int, re.findall(r"\d+", self.version_text()))) >= self.windows_since


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:{ASIDE}"


def _pxenet(root: Path, work: Path) -> list[list[str]]:
    config = work / "rack.toml"
    config.write_text(
        f'[server]\nstate = "{work / "state"}"\nroot = "{root}"\naddress = "{ADDRESS}"\n'
        f'[dhcp]\nmode = "off"\n[tftp]\nport = {PORT}\nmax_windowsize = 64\n[http]\nport = {HTTP_PORT}\n'
    )
    return [[sys.executable, "-m", "pxenet.server", "--config", str(config)]]


def _dnsmasq(root: Path, work: Path) -> list[list[str]]:
    limit = f"--tftp-max={TRANSFERS}"
    files = [f"--pid-file={work / 'pid'}", "--conf-file=/dev/null", f"--tftp-root={root}"]
    quiet = ["--quiet-tftp", "--log-facility=/dev/null"]
    return [
        [at_path("dnsmasq"), "--keep-in-foreground", "--user=root", "--port=0", "--enable-tftp", limit, *files, *quiet]
    ]


def _hpa(root: Path, work: Path) -> list[list[str]]:
    # Without --address: it resolves that, which fails where there is no network but the loopback.
    return [[at_path(HPA), "-L", "--ipv4", "--user", "root", "--secure", str(root)]]


def _atftpd(root: Path, work: Path) -> list[list[str]]:
    limits = ["--maxthread", str(TRANSFERS), "--user", "root.root", "--verbose=0", "--logfile", str(work / "log")]
    place = ["--port", str(PORT), "--bind-address", ADDRESS]
    return [[at_path("atftpd"), "--daemon", "--no-fork", *place, *limits, str(root)]]


def at_path(program: str) -> str:
    """Where it is installed; its name alone when it is not."""
    return shutil.which(program, path=_PATH) or program


def _storm_pxenet(root: Path, work: Path) -> list[list[str]]:
    """What every file of ``root`` is for: see ``bench.storm``. Kernel and initrd are a profile's, the answer file is rendered."""
    config = work / "rack.toml"
    config.write_text(
        f'[server]\ninterface = "{INTERFACE}"\nstate = "{state_of(work)}"\nroot = "{root / "loaders"}"\n'
        f'[dhcp]\nauthoritative = true\n[[dhcp.subnet]]\nnetwork = "{NETWORK}"\npool = "{STORM_POOL}"\nrouter = "{SERVER}"\n'
        f'lease_time = "24h"\n[boot]\nunknown = "rack"\n[boot.loader]\nbios = "ipxe"\nx64 = "ipxe"\n'
        f'[[profile]]\nname = "rack"\nkernel = "{root / "static/kernel"}"\ninitrd = ["{root / "static/initrd"}"]\n'
        f'answer = "{root / "ks.cfg.j2"}"\n'
    )
    return [[sys.executable, "-m", "pxenet.server", "--config", str(config)]]


def _storm_peers(root: Path, work: Path) -> list[list[str]]:
    """dnsmasq gives leases and loaders, nginx the rest."""
    first, last = STORM_POOL.split("-")
    mask = "255.192.0.0"
    config = work / "nginx.conf"
    report = "location /installed/ { return 200 ok; }"
    config.write_text(_NGINX.format(work=work, address=SERVER, port=80, root=f"{root / 'static'}; {report}"))
    dhcp = [
        f"--dhcp-range={first},{last},{mask},24h", f"--dhcp-leasefile={work / 'leases'}", "--dhcp-lease-max=100000", "--no-ping",
        "--dhcp-authoritative", f"--interface={INTERFACE}", "--bind-interfaces", "--dhcp-match=set:bios,option:client-arch,0",
        "--dhcp-match=set:http,option:client-arch,16", "--dhcp-boot=tag:bios,bios/undionly.kpxe",
        f"--dhcp-boot=tag:http,http://{SERVER}/x64/ipxe.efi", "--dhcp-boot=tag:!bios,tag:!http,x64/ipxe.efi",
        "--dhcp-option-force=tag:http,60,HTTPClient", "--quiet-dhcp",
    ]  # fmt: skip
    (tftp,) = _dnsmasq(root / "loaders", work)
    return [[*tftp, *dhcp], [at_path("nginx"), "-p", str(work), "-c", str(config), "-e", "stderr"]]


_NGINX = """daemon off; user root; worker_processes 1; pid {work}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 1h;
  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  server {{ listen {address}:{port}; root {root} }}
}}
"""


def _nginx(root: Path, work: Path) -> list[list[str]]:
    config = work / "nginx.conf"
    config.write_text(_NGINX.format(work=work, address=ADDRESS, port=HTTP_PORT, root=f"{root};"))
    return [[at_path("nginx"), "-p", str(work), "-c", str(config), "-e", "stderr"]]


def state_of(work: Path) -> Path:
    """Where pxenet keeps its leases."""
    return work / "state"


def _pxenet_dhcp(root: Path, work: Path) -> list[list[str]]:
    config = work / "rack.toml"
    config.write_text(
        f'[server]\ninterface = "{INTERFACE}"\nstate = "{state_of(work)}"\nroot = "{root}"\n[dhcp]\nauthoritative = true\n'
        f'[[dhcp.subnet]]\nnetwork = "{NETWORK}"\npool = "{POOL}"\nrouter = "{SERVER}"\nlease_time = "24h"\n'
    )
    return [[sys.executable, "-m", "pxenet.server", "--config", str(config)]]


def _kea(root: Path, work: Path) -> list[list[str]]:
    subnet = {"id": 1, "subnet": NETWORK, "pools": [{"pool": POOL}]}
    settings = {
        "interfaces-config": {"interfaces": [f"{INTERFACE}/{SERVER}"], "dhcp-socket-type": "udp"},
        "lease-database": {"type": "memfile", "persist": True, "name": str(work / "leases.csv"), "lfc-interval": 0},
        "valid-lifetime": 86_400,
        "subnet4": [subnet | {"option-data": [{"name": "routers", "data": SERVER}]}],
        "loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": "stderr"}]}],
    }
    (work / "kea.json").write_text(json.dumps({"Dhcp4": settings}))
    places = [f"KEA_LOCKFILE_DIR={work}", f"KEA_PIDFILE_DIR={work}"]
    return [["env", *places, at_path("kea-dhcp4"), "-c", str(work / "kea.json")]]


PXENET = Server(
    "pxenet",
    sys.executable,
    "",
    _pxenet,
    ("-m", "pxenet", "--version"),
    r"pxenet (\S+)",
    "max_windowsize = 64",
    (0,),
)
PXENET_DHCP = replace(
    PXENET, commands=_pxenet_dhcp, settings="every ACK on disk first, a line for each machine to a file"
)
KEA = Server(
    "kea-dhcp4",
    "kea-dhcp4",
    "kea-dhcp4-server",
    _kea,
    ("-v",),
    r"([\d.]+)",
    "memfile, persistent, nothing flushed to disk, no clean-up of its file, no log",
)
DNSMASQ = Server(
    "dnsmasq",
    "dnsmasq",
    "dnsmasq-base",
    _dnsmasq,
    ("--version",),
    r"version (\S+)",
    f"--tftp-max={TRANSFERS} (its own limit: 50), no DNS, no log",
    (2, 92),
)
TFTP_PEERS = (
    DNSMASQ,
    Server("tftpd-hpa", HPA, "tftpd-hpa", _hpa, ("--version",), r"tftp-hpa ([\d.]+)", "-L, no log"),
    Server(
        "atftpd",
        "atftpd",
        "atftpd",
        _atftpd,
        ("--version",),
        r"atftp-(\S+)",
        f"--maxthread {TRANSFERS} (its own limit: 100), no log",
        (0, 8),
    ),
)
NGINX = Server(
    "nginx",
    "nginx",
    "nginx",
    _nginx,
    ("-v",),
    r"nginx/(\S+)",
    "one worker, sendfile, tcp_nopush, open_file_cache, no log, connections kept for ever",
)
STORM_PXENET = replace(
    PXENET, commands=_storm_pxenet, settings="every ACK on disk first, answer files rendered for each machine"
)
STORM_PEERS = replace(
    DNSMASQ,
    name="dnsmasq+nginx",
    commands=_storm_peers,
    settings=f"--no-ping, --dhcp-lease-max=100000, {DNSMASQ.settings}; nginx: {NGINX.settings}; static answer files",
)
