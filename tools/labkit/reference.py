"""A boot server of well-known programs, set up by hand for the lab's machines: dnsmasq, and Python's own HTTP server.

It shows that the lab itself is right: a scenario that fails with the server under test and passes here (``--reference``) is
the server's fault. Run as a script it is the HTTP part: files, and ``/installed/NAME``, which turns NAME to its local disk.
"""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from labkit.payload import Payload
from labkit.scenarios import KERNEL_ARGS, SCENARIOS, Scenario
from labkit.servers import pool, wait_for_text
from labkit.wire import BRIDGE, Wire

_TOOLS = str(Path(__file__).parents[1])
_LOADERS = {
    "pxelinux.0": "/usr/lib/PXELINUX/pxelinux.0",
    "ldlinux.c32": "/usr/lib/syslinux/modules/bios/ldlinux.c32",
    "grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
    "shimx64.efi": "/usr/lib/shim/shimx64.efi.signed",
    "ipxe.efi": "/usr/lib/ipxe/ipxe.efi",
}
_FIRST_FILE = {"pxelinux": "pxelinux.0", "grub": "grubx64.efi", "shim": "shimx64.efi", "ipxe": "ipxe.efi"}

_EFI_PROGRAMS = ("/EFI/debian/shimx64.efi", "/EFI/BOOT/BOOTX64.EFI")
# For each loader: the file it reads, the text that installs, the text that boots the disk
_TEXTS = {
    "pxelinux": (
        "pxelinux.cfg/01-{dashes}",
        "DEFAULT install\nLABEL install\nKERNEL linux\nINITRD initrd.gz\nAPPEND {args}\nIPAPPEND 2\n",
        "DEFAULT local\nLABEL local\nLOCALBOOT 0\n",
    ),
    "grub": (
        "grub/{mac}.cfg",
        "linux /linux {args} BOOTIF=01-{dashes}\ninitrd /initrd.gz\nboot\n",
        "".join(
            f"if search --no-floppy --set=root --file {p}; then chainloader {p}; boot; fi\n" for p in _EFI_PROGRAMS
        ),
    ),
    "ipxe": (
        "{name}.ipxe",
        "#!ipxe\nkernel linux {args} BOOTIF=01-{dashes} initrd=initrd.gz\ninitrd initrd.gz\nboot\n",
        "#!ipxe\nexit 1\n",
    ),
}
# GRUB takes its server from the DHCP server's own answer and knows nothing of ProxyDHCP. iPXE does, and hands GRUB an answer
# made of its settings: with this one put right, GRUB finds its way without a word to the DHCP server's owner.
_GRUB_BEHIND_PROXY = "#!ipxe\nset netX/next-server {server}\nchain tftp://{server}/grubx64.efi\n"
_TEXTS["shim"] = _TEXTS["grub"]


def write_text(root: Path, scenario: Scenario, server: str, *, installed: bool) -> None:
    """Give the machine of ``scenario`` what it shall read at its next power-on."""
    place, install, local = _TEXTS[scenario.loader]
    args = f"{KERNEL_ARGS} inst.ks=http://{server}/{scenario.name}.ks"
    fields = {"name": scenario.name, "mac": scenario.mac, "dashes": scenario.mac.replace(":", "-"), "args": args}
    path = root / place.format_map(fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((local if installed else install).format_map(fields))


def _kickstart(scenario: Scenario, template: str, server: str) -> str:
    """The lab's template, filled in as far as the lab needs it."""
    values = {
        "host.name": scenario.name,
        "profile.name": "tiny",
        'vars.disk | default("disk.img")': scenario.disk,
        "urls.source": f"http://{server}",
        "urls.installed": f"http://{server}/installed/{scenario.name}",
    }
    return functools.reduce(lambda text, item: text.replace(f"{{{{ {item[0]} }}}}", item[1]), values.items(), template)


class ReferenceServer:
    """dnsmasq for DHCP (or ProxyDHCP) and TFTP, this module as the web server."""

    def __init__(self, wire: Wire, scenarios: Sequence[Scenario], payload: Payload, root: Path, logs: Path) -> None:
        self.log = logs / f"{wire.name}.server.log"
        self._web_log = logs / f"{wire.name}.web.log"
        self._wire, self._scenarios, self._root = wire, scenarios, root
        self._processes: list[subprocess.Popen[bytes]] = []
        root.mkdir(parents=True)
        for name, source in _LOADERS.items():
            if Path(source).exists():
                (root / name).symlink_to(source)
        for name in {payload.kernel, payload.initrd, *(s.disk for s in scenarios)}:
            (root / name).symlink_to(payload.directory / name)
        template = payload.template.read_text()
        for scenario in scenarios:
            (root / f"{scenario.name}.ks").write_text(_kickstart(scenario, template, wire.server_address))
            write_text(root, scenario, wire.server_address, installed=False)
        (root / "grub.ipxe").write_text(_GRUB_BEHIND_PROXY.format(server=wire.server_address))
        (root / "grub").mkdir(exist_ok=True)
        (root / "grub" / "grub.cfg").write_text("configfile /grub/$net_default_mac.cfg\n")

    def _dnsmasq(self) -> list[str]:
        first, last = pool(self._wire)
        argv = [
            "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={BRIDGE}", "--bind-interfaces",
            "--log-dhcp", "--user=root", "--leasefile-ro", "--no-ping", "--enable-tftp", f"--tftp-root={self._root}",
            "--dhcp-match=set:ipxe,175",
        ]  # fmt: skip
        if any(s.proxy for s in self._scenarios):
            argv += [f"--dhcp-range={self._wire.network[0]},proxy", "--pxe-service=X86PC,boot,pxelinux.0"]
            for kind in ("X86-64_EFI", "BC_EFI"):
                argv += [
                    f"--pxe-service=tag:!ipxe,{kind},boot,ipxe.efi",
                    f"--pxe-service=tag:ipxe,{kind},boot,grub.ipxe",
                ]
            return argv
        argv += [f"--dhcp-range={first},{last},1h"]
        for s in self._scenarios:
            argv += [f"--dhcp-host={s.mac},set:{s.name}"]
            plain = ",tag:!ipxe" if s.loader == "ipxe" else ""
            argv += [f"--dhcp-boot=tag:{s.name}{plain},{_FIRST_FILE[s.loader]}"]
            if s.loader == "ipxe":
                argv += [f"--dhcp-boot=tag:{s.name},tag:ipxe,{s.name}.ipxe"]
        return argv

    def start(self) -> None:
        dnsmasq = self._wire.rack.start(*self._dnsmasq(), log=self.log)
        self._processes.append(dnsmasq)
        arguments = [str(self._root), self._wire.server_address, *(s.name for s in self._scenarios)]
        command = (sys.executable, "-u", "-m", "labkit.reference", *arguments)
        web = self._wire.rack.start(*command, log=self._web_log, env={**os.environ, "PYTHONPATH": _TOOLS})
        self._processes.append(web)
        wait_for_text(dnsmasq, self.log, "sockets bound exclusively")
        wait_for_text(web, self._web_log, "serving")

    def alive(self) -> bool:
        return all(process.poll() is None for process in self._processes)

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(10)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.removeprefix("/installed/")
        if name == self.path:
            super().do_GET()
            return
        root, server = Path(sys.argv[1]), sys.argv[2]
        for scenario in (s for s in SCENARIOS if s.name == name):
            write_text(root, scenario, server, installed=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    web = http.server.ThreadingHTTPServer((sys.argv[2], 80), functools.partial(_Handler, directory=sys.argv[1]))
    print("serving", flush=True)
    web.serve_forever()
