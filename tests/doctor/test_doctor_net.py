"""``pxenet doctor`` on wires that are made for it, against real servers: this project's, dnsmasq, and what is wrong between them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import needs
import netlab
import pytest
from doctor_scene import program
from netlab import CLIENT_MAC, SERVER, Wire

pytestmark = [needs.root(), needs.namespace(), needs.tool("ip", "dnsmasq", "nft")]

CLIENT = "10.78.0.2"
PXELINUX = needs.file("/usr/lib/PXELINUX/pxelinux.0", "pxelinux")
LDLINUX = needs.file("/usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common")
IPXE = needs.file("/usr/lib/ipxe/ipxe.efi", "ipxe")
GRUB = needs.file("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed")
RANGE = "--dhcp-range=10.78.0.100,10.78.0.199"
BIOS = bytes.fromhex("ea0500c007") * 9000
"""As a loader for BIOS begins."""
BY_ARCH = (
    "--dhcp-match=set:efi,option:client-arch,7",
    "--dhcp-boot=tag:!efi,pxelinux.0",
    "--dhcp-boot=tag:efi,grubx64.efi",
)


@dataclass
class Ward:
    """The wire, with an address for the client host, where the doctor stands."""

    wire: Wire
    directory: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def dnsmasq(self, *options: str, namespace: str = "", interface: str = "v0") -> Path:
        """Start one and wait until it listens; its log. It pings nobody: that takes it 3 s for each offer."""
        log = self.directory / f"dnsmasq{len(self.wire.processes)}.log"
        command = ("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", f"--interface={interface}")
        rest = (
            "--bind-interfaces",
            f"--dhcp-leasefile={log}.leases",
            "--no-ping",
            "--user=root",
            "--log-facility=-",
            "--pid-file=",
        )
        self.wire.start(namespace or self.wire.server, *command, *rest, *options, log=log)
        self.until(lambda: "started, version" in log.read_text(), log)
        return log

    def files(self, **contents: bytes) -> tuple[str, ...]:
        """The options with which dnsmasq serves the loaders by TFTP."""
        root = self.directory / "tftp"
        root.mkdir()
        for name, content in ({"pxelinux.0": BIOS, "grubx64.efi": program(size=60000)} | contents).items():
            (root / name).write_bytes(content)
        return "--enable-tftp", f"--tftp-root={root}"

    def until(self, there: Callable[[], bool], log: Path) -> None:
        for _ in range(200):
            if there():
                return
            time.sleep(0.05)
        raise AssertionError(log.read_text())

    def doctor(self, *options: str, status: int, namespace: str = "", interface: str = "v1") -> dict[str, Any]:
        """Its findings and all else, as it prints them for programs."""
        wait = () if "--wait" in options else ("--wait", "0.5")
        command = (sys.executable, "-m", "pxenet", "doctor", "-i", interface, "--yes", "--json", *wait, *options)
        done = netlab.run("ip", "netns", "exec", namespace or self.wire.client, *command, check=False, timeout=90)
        assert (status, "") == (done.returncode, done.stderr), done.stdout
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with netlab.wire() as wire:
        netlab.run("ip", "-n", wire.client, "address", "add", f"{CLIENT}/24", "dev", "v1")
        yield Ward(wire, tmp_path)


def ids(found: dict[str, Any]) -> list[str]:
    return [f"{one['level']} {one['id']}" for one in found["findings"]]


def loads(found: dict[str, Any]) -> dict[str, str | None]:
    return {one["machine"]: one["loads"] for one in found["machines"]}


def third_host(ward: Ward, address: str = "10.78.0.9") -> tuple[str, str]:
    """Another host on the client's wire, behind a bridge on the server's side: its namespace and interface."""
    wire, name = ward.wire, f"{ward.wire.server}x"
    netlab.run("ip", "netns", "add", name)
    netlab.run("ip", "-n", wire.server, "link", "add", "br0", "type", "bridge")
    netlab.run("ip", "-n", wire.server, "link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", name)
    netlab.run("ip", "-n", wire.server, "address", "flush", "dev", "v0")
    for port in ("v0", "w0"):
        netlab.run("ip", "-n", wire.server, "link", "set", port, "master", "br0", "up")
    netlab.run("ip", "-n", wire.server, "address", "add", f"{SERVER}/24", "dev", "br0")
    netlab.run("ip", "-n", wire.server, "link", "set", "br0", "up")
    netlab.run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "w1")
    netlab.run("ip", "-n", name, "link", "set", "w1", "up")
    return name, "w1"


@pytest.fixture
def third(ward: Ward) -> Iterator[tuple[str, str]]:
    made = third_host(ward)
    yield made
    for process in ward.wire.processes:
        if process.poll() is None:
            ward.wire.stop(process)
    netlab.run("ip", "netns", "delete", made[0], check=False)


def test_nobody(ward: Ward) -> None:
    """An empty wire: nobody answers."""
    found = ward.doctor("--wait", "0.2", status=1)
    assert ids(found) == ["error dhcp.silence"]
    assert found["mac"] == CLIENT_MAC


@pytest.mark.parametrize("where", ["from a client's place", "from the server's own host"])
def test_dnsmasq(ward: Ward, where: str) -> None:
    """A dnsmasq that boots by PXE: nothing is wrong, and each firmware gets its file; no lease is left behind."""
    log = ward.dnsmasq(RANGE, "--dhcp-authoritative", *BY_ARCH, *ward.files())
    here = where == "from a client's place"
    found = ward.doctor(status=0, namespace="" if here else ward.wire.server, interface="v1" if here else "v0")
    assert ids(found) == (["note boot.stops"] if here else ["note boot.stops", "note tftp.own-host"])
    assert loads(found) == {
        "bios-rom": f"tftp://{SERVER}/pxelinux.0",
        "bios": f"tftp://{SERVER}/pxelinux.0",
        "uefi": f"tftp://{SERVER}/grubx64.efi",
        "http": None,
        "ipxe": f"tftp://{SERVER}/grubx64.efi",
    }
    assert Path(f"{log}.leases").read_text() == ""
    assert [] == [line for line in log.read_text().splitlines() if "DHCPREQUEST" in line or "DHCPACK" in line]


def test_two_dhcp_servers(ward: Ward, third: tuple[str, str]) -> None:
    """Both are named, with their hardware addresses."""
    ward.dnsmasq(RANGE, *BY_ARCH, interface="br0")
    ward.dnsmasq("--dhcp-range=10.78.0.50,10.78.0.60", namespace=third[0], interface=third[1])
    found = ward.doctor("--as", "uefi,bios", status=1)
    assert ids(found)[0] == "error dhcp.conflict"
    assert {one["server"] for one in found["servers"]} == {SERVER, "10.78.0.9"}
    assert all(len(one["hardware"]) == 1 for one in found["servers"])


def test_proxy_beside_dhcp(ward: Ward, third: tuple[str, str]) -> None:
    """A DHCP server and a ProxyDHCP server that belong together: all is well, port 4011 included."""
    ward.dnsmasq(RANGE, interface="br0")
    services = ("--pxe-service=x86PC,boot,pxelinux", "--pxe-service=x86-64_EFI,boot,grubx64.efi")
    ward.dnsmasq("--dhcp-range=10.78.0.0,proxy", *services, *ward.files(), namespace=third[0], interface=third[1])
    found = ward.doctor("--as", "bios-rom,uefi", status=0)
    assert loads(found) == {"bios-rom": "tftp://10.78.0.9/pxelinux.0", "uefi": "tftp://10.78.0.9/grubx64.efi"}
    assert [(one["server"], one["gives_addresses"], one["proxy"]) for one in found["servers"]] == [
        (SERVER, True, False),
        ("10.78.0.9", False, True),
    ]


def test_4011_closed(ward: Ward, third: tuple[str, str]) -> None:
    """A firewall before the ProxyDHCP server's port 4011 is found."""
    ward.dnsmasq(RANGE, interface="br0")
    services = ("--pxe-service=x86-64_EFI,boot,grubx64.efi",)
    ward.dnsmasq("--dhcp-range=10.78.0.0,proxy", *services, namespace=third[0], interface=third[1])
    rules = "table ip f { chain i { type filter hook input priority 0; udp dport 4011 drop; }; }"
    netlab.run("ip", "netns", "exec", third[0], "nft", rules)
    found = ward.doctor("--as", "uefi", status=1)
    assert ids(found) == ["error proxy.4011-closed"]


def test_class_without_boot_server(ward: Ward) -> None:
    """Option 60 in a DHCP server's answers sends firmware to its port 4011, where nobody is."""
    ward.dnsmasq(RANGE, *BY_ARCH, "--dhcp-option-force=60,PXEClient")
    found = ward.doctor("--as", "uefi", status=1)
    assert ids(found) == ["error proxy.4011-closed"]
    assert "take option 60 out" in found["findings"][0]["remedy"]


def leases(ward: Ward) -> list[str]:
    """What is said of each address that this project's own server ever gave."""
    command = (sys.executable, "-m", "pxenet", "leases", "--state", str(ward.directory / "state"), "--json")
    return [one["state"] for one in json.loads(netlab.run(*command).stdout)]


@PXELINUX
@LDLINUX
@GRUB
@IPXE
def test_pxenet(ward: Ward) -> None:
    """This project's own server, as it comes: nothing is wrong, by any firmware."""
    ward.wire.serve(
        """\
[server]
interface = "v0"
state = "state"
[boot]
unknown = "local"
[[dhcp.subnet]]
network = "10.78.0.0/24"
pool = "10.78.0.100-10.78.0.199"
""",
        ward.directory,
    )
    found = ward.doctor("--as", "bios-rom,bios,uefi,http,ipxe,u-boot", "--server", SERVER, status=0)
    assert ids(found) == ["note http.scheme"]
    assert None not in loads(found).values()
    assert leases(ward) == []
    found = ward.doctor("--as", "uefi,ipxe", "--lease", status=0)
    assert ids(found) == []
    assert [one["answers"][0]["type"] for one in found["leases"]] == ["ACK", "ACK"]
    assert leases(ward) == ["released"]


@PXELINUX
@LDLINUX
@GRUB
@IPXE
def test_pxenet_as_proxy(ward: Ward, third: tuple[str, str]) -> None:
    """Beside a DHCP server that names nothing, port 4011 included; and machines that it does not know are not booted by default."""
    ward.dnsmasq(RANGE, namespace=third[0], interface=third[1])
    config = '[server]\ninterface = "br0"\nstate = "state"\n[boot]\nunknown = "{}"\n'
    ward.wire.serve(config.format("local"), ward.directory)
    found = ward.doctor("--as", "bios-rom,uefi", status=0)
    assert ids(found) == []
    assert loads(found) == {"bios-rom": f"tftp://{SERVER}/bios/pxelinux.0", "uefi": f"tftp://{SERVER}/x64/ipxe.efi"}
    ward.wire.stop(ward.wire.processes[-1])
    ward.wire.serve(config.format("ignore"), ward.directory)
    found = ward.doctor("--as", "uefi", status=1)
    assert ids(found) == ["error boot.stops"]
    assert "ask as one of them by --mac" in found["findings"][0]["remedy"]


def test_another_machine(ward: Ward) -> None:
    """--mac asks as a machine that the server knows, and hears what it would be told."""
    ward.dnsmasq(RANGE, "--dhcp-host=52:54:00:12:34:56,10.78.0.77", *BY_ARCH, *ward.files())
    found = ward.doctor("--as", "uefi,ipxe", "--mac", "52:54:00:12:34:56", status=0)
    assert [one["offered"] for one in found["machines"]] == ["10.78.0.77"] * 2


def test_relay_that_does_not_deliver(ward: Ward) -> None:
    """The server answers relays, and no broadcast reaches it."""
    rules = (
        "table netdev f { chain i { type filter hook ingress device v0 priority 0; ip daddr 255.255.255.255 drop; }; }"
    )
    netlab.run("ip", "netns", "exec", ward.wire.server, "nft", rules)
    ward.dnsmasq(RANGE, *BY_ARCH)
    found = ward.doctor("--as", "uefi", "--wait", "0.5", "--server", SERVER, status=1)
    assert ids(found) == ["error dhcp.silence", "error relay.not-delivering"]


def test_without_an_address(ward: Ward) -> None:
    """DHCP can be asked all the same; what cannot be tried is said."""
    netlab.run("ip", "-n", ward.wire.client, "address", "flush", "dev", "v1")
    ward.dnsmasq(RANGE, *BY_ARCH)
    found = ward.doctor("--as", "uefi", status=0)
    assert ids(found) == ["note station.no-address"]
    assert loads(found) == {"uefi": f"tftp://{SERVER}/grubx64.efi"}


def test_no_tftp(ward: Ward) -> None:
    """A next server that serves no TFTP, and one whose directory lacks the file."""
    ward.dnsmasq(RANGE, *BY_ARCH)
    assert ids(ward.doctor("--as", "uefi,bios", status=1)) == ["error tftp.refused"]
    ward.wire.stop(ward.wire.processes[-1])
    ward.dnsmasq(RANGE, "--dhcp-boot=missing.efi", *ward.files())
    found = ward.doctor("--as", "uefi", status=1)
    assert [one["words"] for one in found["findings"]] == [f"missing.efi at {SERVER} is not there"]


def test_path_that_loses_large_packets(ward: Ward) -> None:
    """Packets above 1428 bytes vanish on the way: the doctor says which block size would arrive."""
    ward.dnsmasq(RANGE, *BY_ARCH, *ward.files())
    rules = "table netdev f { chain i { type filter hook ingress device v1 priority 0; ip length > 1428 drop; }; }"
    netlab.run("ip", "netns", "exec", ward.wire.client, "nft", rules)
    found = ward.doctor("--as", "uefi", status=1)
    assert ids(found) == ["error tftp.blocks-lost"]
    assert "1468 bytes do not arrive, 1380 do" in found["findings"][0]["words"]
    assert "--tftp-mtu=1412" in found["findings"][0]["remedy"]


def atftpd(ward: Ward, *options: str) -> None:
    """DHCP by dnsmasq, the files by atftpd, which grants whatever is asked for."""
    ward.files()
    ward.dnsmasq(RANGE, *BY_ARCH)
    log = ward.directory / "atftpd.log"
    place = ("--user", "root.root", "--bind-address", SERVER, "--logfile", "-", str(ward.directory / "tftp"))
    ward.wire.start(ward.wire.server, "atftpd", "--daemon", "--no-fork", *options, *place, log=log)
    listening = ("ip", "netns", "exec", ward.wire.server, "ss", "-lunH")
    ward.until(lambda: f"{SERVER}:69 " in netlab.run(*listening).stdout, log)


@needs.tool("atftpd")
def test_fragments_are_dropped(ward: Ward) -> None:
    """The server grants blocks that need fragments, and a firewall drops these: a note, as no usual firmware asks for such."""
    atftpd(ward)
    rules = (
        "table netdev f { chain i { type filter hook ingress device v1 priority 0; ip frag-off & 0x3fff != 0 drop; }; }"
    )
    netlab.run("ip", "netns", "exec", ward.wire.client, "nft", rules)
    found = ward.doctor("--as", "uefi", status=0)
    assert ids(found) == ["note tftp.fragments"]
    assert found["tftp"][0]["granted"] == {"tsize": "60000", "blksize": "1468", "windowsize": "4"}


@needs.tool("atftpd")
def test_tftp_server_that_tells_no_size(ward: Ward) -> None:
    """What EDK2 needs and the server does not know is an error."""
    atftpd(ward, "--no-tsize")
    assert ids(ward.doctor("--as", "uefi", status=1)) == ["error tftp.no-size"]


def test_wrong_program(ward: Ward) -> None:
    """The file is looked into: what is not for this firmware is named."""
    ward.dnsmasq(RANGE, "--dhcp-boot=boot", *ward.files(boot=program(0xAA64)))
    found = ward.doctor("--as", "uefi", status=1)
    assert [one["words"] for one in found["findings"]] == [
        "boot is a program for arm64 UEFI: x64 UEFI refuses to start it (Unsupported)"
    ]


BY_HTTP = (
    "--dhcp-vendorclass=set:http,HTTPClient",
    "--dhcp-option-force=tag:http,60,HTTPClient",
    f"--dhcp-boot=tag:http,http://{SERVER}:8080/grubx64.efi",
)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (
            "odd_http.py",
            ["error http.chunked", "warning http.head-refused", "warning http.range", "note http.scheme"],
        ),
        ("http.server", ["warning http.version", "warning http.range", "note http.scheme"]),
    ],
)
def test_http_boot(ward: Ward, server: str, expected: list[str]) -> None:
    """UEFI HTTP boot from web servers that have their quirks."""
    ward.dnsmasq(RANGE, *BY_HTTP, *ward.files())
    root, log = ward.directory / "tftp", ward.directory / "http.log"
    odd = (str(Path(__file__).parent / "odd_http.py"), SERVER, "8080", str(root / "grubx64.efi"))
    plain = ("-m", "http.server", "8080", "--bind", SERVER, "--directory", str(root))
    ward.wire.start(ward.wire.server, sys.executable, *(odd if server.startswith("odd") else plain), log=log)
    listening = ("ip", "netns", "exec", ward.wire.server, "ss", "-ltnH")
    ward.until(lambda: f"{SERVER}:8080 " in netlab.run(*listening).stdout, log)
    found = ward.doctor("--as", "http", status=1)
    assert ids(found) == expected
    assert loads(found) == {"http": f"http://{SERVER}:8080/grubx64.efi"}


def test_leases_are_taken_and_given_back(ward: Ward) -> None:
    """--lease: REQUEST and ACK for each, by a hardware address that is no card's, and nothing is left in the server."""
    log = ward.dnsmasq(RANGE, "--dhcp-authoritative", *BY_ARCH, *ward.files())
    found = ward.doctor("--as", "uefi,ipxe", "--lease", status=0)
    assert ids(found) == []
    assert found["mac"] == "02:50:58:78:00:02"
    assert [one["answers"][0]["type"] for one in found["leases"]] == ["ACK", "ACK"]
    ward.until(lambda: log.read_text().count("DHCPRELEASE") == 2, log)
    assert Path(f"{log}.leases").read_text() == ""


def test_offered_address_in_use(ward: Ward) -> None:
    """Somebody has the only address of the pool by hand, and the server does not look."""
    netlab.run("ip", "-n", ward.wire.server, "address", "add", "10.78.0.50/24", "dev", "v0")
    ward.dnsmasq("--dhcp-range=10.78.0.50,10.78.0.50", *BY_ARCH, *ward.files())
    found = ward.doctor("--as", "uefi", status=1)
    assert ids(found) == ["error dhcp.address-in-use"]


@pytest.fixture
def routed(ward: Ward) -> Iterator[tuple[str, str]]:
    """The server host becomes a router; behind it, in a network of its own, another host: its namespace and interface."""
    wire, name = ward.wire, f"{ward.wire.server}x"
    netlab.run("ip", "netns", "add", name)
    try:
        netlab.run("ip", "-n", wire.server, "link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", name)
        netlab.run("ip", "-n", wire.server, "address", "add", "10.80.0.1/24", "dev", "w0")
        netlab.run("ip", "-n", wire.server, "link", "set", "w0", "up")
        netlab.run("ip", "netns", "exec", wire.server, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        netlab.run("ip", "-n", name, "address", "add", "10.80.0.9/24", "dev", "w1")
        netlab.run("ip", "-n", name, "link", "set", "w1", "up")
        netlab.run("ip", "-n", name, "route", "add", "default", "via", "10.80.0.1")
        netlab.run("ip", "-n", wire.client, "route", "add", "default", "via", SERVER)
        yield name, "w1"
        for process in wire.processes:
            if process.poll() is None:
                wire.stop(process)
    finally:
        netlab.run("ip", "netns", "delete", name, check=False)


@pytest.mark.parametrize(
    ("relay", "status", "expected"),
    [
        pytest.param(True, 0, ["note relay.seen"], id="a relay"),
        pytest.param(False, 1, ["error dhcp.silence", "error relay.not-delivering"], id="none"),
    ],
)
def test_server_behind_a_router(
    ward: Ward, routed: tuple[str, str], relay: bool, status: int, expected: list[str]
) -> None:
    """Through a relay all is as it is on one wire; without one, the server that answers relays is told from one that is silent."""
    subnet = "--dhcp-range=10.78.0.100,10.78.0.199,255.255.255.0"
    ward.dnsmasq(subnet, *BY_ARCH, *ward.files(), namespace=routed[0], interface=routed[1])
    if relay:
        ward.dnsmasq(f"--dhcp-relay={SERVER},10.80.0.9", interface="*")
    found = ward.doctor("--as", "uefi,bios", "--server", "10.80.0.9", status=status)
    assert ids(found) == expected
    if relay:
        assert found["servers"][0]["relays"] == [SERVER]
        assert loads(found) == {"uefi": "tftp://10.80.0.9/grubx64.efi", "bios": "tftp://10.80.0.9/pxelinux.0"}


def test_u_boot_searches(ward: Ward) -> None:
    """U-Boot's list of names is tried down to the one that is there."""
    files = ward.files()
    config = ward.directory / "tftp" / "pxelinux.cfg"
    config.mkdir()
    (config / "default-arm").write_text("default x\nlabel x\nkernel Image\n")
    ward.dnsmasq(RANGE, f"--dhcp-boot=x,,{SERVER}", *files)
    found = ward.doctor("--as", "u-boot", status=0)
    assert loads(found) == {"u-boot": f"tftp://{SERVER}/pxelinux.cfg/default-arm"}
