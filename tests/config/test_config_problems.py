"""Every kind of fault in a configuration is told with its line, its key, what is wrong and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.config import ConfigError, Problem, from_text, load
from pxenet.config.problems import line_of

SUBNET = '[[dhcp.subnet]]\nnetwork = "10.0.0.0/24"\npool = "10.0.0.100-10.0.0.200"\n'
HOST = '[[host]]\nmac = "52:54:00:00:00:01"\nname = "web01"\n'


def problems_of(text: str, base: Path = Path("/nonexistent")) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        from_text(text, base, file="rack.toml")
    return list(caught.value.problems)


FAULTS = [
    # text, line, key, a part of what is wrong, a part of what would be right
    ("[server\n", 1, "", "not valid TOML", "key = value"),
    ("[server]\nport 3\n", 2, "", "in: port 3", "key = value"),
    ("colour = 1\n", 1, "colour", "no such key", "known tables: server, dhcp"),
    ("max_blksize = 512\n", 1, "max_blksize", "no such key", "below its table: [tftp]"),
    ("[subnet]\nx = 1\n", 1, "subnet", "no such table", "did you mean [[dhcp.subnet]]?"),
    ("[servr]\n", 1, "servr", "no such table", "did you mean [server]?"),
    ("server = 3\n", 1, "server", "3 is not a table", "write [server] once"),
    ("[host]\nname = 'a'\n", 1, "host", "is not a list of tables", "write [[host]]"),
    ("[server]\nadress = '10.0.0.1'\n", 2, "server.adress", "no such key", "did you mean address?"),
    ("[server]\nkernel = 'x'\n", 2, "server.kernel", "no such key", "belongs into [profile]"),
    ("[server]\nxyzzy = 1\n", 2, "server.xyzzy", "no such key", "known here: interface, address"),
    ("[server]\nworkers = 0\n", 2, "server.workers", "0 is not a number of processes", "from 1 to 64"),
    ("[server]\nworkers = '4'\n", 2, "server.workers", '"4" is not a number of processes', '"auto" for one'),
    ("[server]\nworkers = 65\n", 2, "server.workers", "65 is not a number of processes", "from 1 to 64"),
    ("[server]\naddress = '10.0.0.256'\n", 2, "server.address", '"10.0.0.256" is not an IPv4 address', "0 to 255"),
    ("[server]\naddress = 7\n", 2, "server.address", "7 is not an IPv4 address", "four numbers"),
    ("[server]\nurl = 'tftp://x'\n", 2, "server.url", "is not an http or https URL", "http://10.0.0.1"),
    ("[server]\nroot = 'nowhere'\n", 2, "server.root", "/nonexistent/nowhere does not exist", "directory"),
    ("[server]\nroot = '/etc/passwd'\n", 2, "server.root", "is not a directory", "directory"),
    ("[server]\nstate = '/etc/passwd'\n", 2, "server.state", "is not a directory", "directory"),
    ("[dhcp]\nport = '67'\n", 2, "dhcp.port", '"67" is not a whole number', "without quotes"),
    ("[dhcp]\nport = 70000\n", 2, "dhcp.port", "70000 is out of range", "from 1 to 65535"),
    ("[dhcp]\nauthoritative = 'yes'\n", 2, "dhcp.authoritative", '"yes" is not true or false', "without quotes"),
    ("[dhcp]\nmode = 'on'\n", 2, "dhcp.mode", '"on" is none of the choices', '"server", "proxy", "off"'),
    ("[dhcp]\nmode = 'server'\n", 2, "dhcp.mode", "there is no [[dhcp.subnet]]", "network and pool"),
    ("[dhcp]\nproxy_port = 67\n", 2, "dhcp.proxy_port", "67 is dhcp.port too", "two ports"),
    ("[dhcp]\nlease_time = '1 year'\n", 2, "dhcp.lease_time", '"1 year" is not a duration', '"12h"'),
    ("[dhcp]\nlease_time = 0\n", 2, "dhcp.lease_time", "0 is out of range", "from 1 to"),
    ("[[dhcp.subnet]]\npool = '10.0.0.1'\n", 1, "dhcp.subnet[1].network", "is missing", 'network = "10.0.0.0/24"'),
    (
        "[[dhcp.subnet]]\nnetwork = '10.0.0.5/24'\n",
        2,
        "dhcp.subnet[1] (10.0.0.5/24).network",
        "inside a network",
        '"10.0.0.0/24"',
    ),
    (
        "[[dhcp.subnet]]\nnetwork = '10.0.0.0'\n",
        2,
        "dhcp.subnet[1] (10.0.0.0).network",
        "no prefix length",
        "10.0.0.0/24",
    ),
    ("[[dhcp.subnet]]\nnetwork = '10.0.0.0/31'\n", 2, "dhcp.subnet[1] (10.0.0.0/31).network", "no room", "1 to 30"),
    (
        SUBNET + 'dns = ["10.0.0.1", "dns"]\n',
        4,
        "dhcp.subnet[1] (10.0.0.0/24).dns[2]",
        '"dns" is not an IPv4',
        "four numbers",
    ),
    (
        SUBNET + "router = '10.0.1.1'\n",
        4,
        "dhcp.subnet[1] (10.0.0.0/24).router",
        "not inside the network 10.0.0.0/24",
        "gateway",
    ),
    (
        SUBNET + "router = '10.0.0.100'\n",
        3,
        "dhcp.subnet[1] (10.0.0.0/24).pool",
        "which is the router of",
        '"10.0.0.101-10.0.0.200"',
    ),
    (SUBNET + "dns = '10.0.0.150'\n", 3, "dhcp.subnet[1] (10.0.0.0/24).pool", "which is the dns of", "leave it out"),
    (
        SUBNET + "domain = 'a b'\n",
        4,
        "dhcp.subnet[1] (10.0.0.0/24).domain",
        '"a b" is not a host or domain name',
        "labels",
    ),
    (
        "[server]\ninterface = 'eth0'\n" + SUBNET + "interface = 'eth1'\n",
        6,
        "dhcp.subnet[1] (10.0.0.0/24).interface",
        '"eth1" is not in',
        "add",
    ),
    (
        "[server]\naddress = '10.0.0.150'\n" + SUBNET,
        5,
        "dhcp.subnet[1] (10.0.0.0/24).pool",
        "which is this server",
        "leave it out",
    ),
    (
        SUBNET.replace("100-", "200-").replace("-10.0.0.200", "-10.0.0.100"),
        3,
        "dhcp.subnet[1] (10.0.0.0/24).pool[1]",
        "ends before it begins",
        '"10.0.0.100-10.0.0.200"',
    ),
    (
        SUBNET.replace("0.200", "1.200"),
        3,
        "dhcp.subnet[1] (10.0.0.0/24).pool",
        "is not inside the network",
        "10.0.0.1 to 10.0.0.254",
    ),
    (
        SUBNET.replace("0.200", "0.255"),
        3,
        "dhcp.subnet[1] (10.0.0.0/24).pool",
        "is not inside the network",
        "10.0.0.1 to 10.0.0.254",
    ),
    (
        SUBNET.replace('"10.0.0.100-10.0.0.200"', '["10.0.0.5", "10.0.0.1-10.0.0.9"]'),
        3,
        "dhcp.subnet[1] (10.0.0.0/24).pool",
        "overlaps another range",
        "once",
    ),
    (
        SUBNET + "[[dhcp.subnet]]\nnetwork = '10.0.0.0/16'\n",
        5,
        "dhcp.subnet[2] (10.0.0.0/16).network",
        "overlaps dhcp.subnet[1] (10.0.0.0/24) in line 1",
        "one",
    ),
    (
        SUBNET + HOST + "address = '10.0.0.150'\n",
        3,
        "dhcp.subnet[1] (10.0.0.0/24).pool",
        "reserved for host[1] (web01) in line 4",
        "leave it out",
    ),
    (
        SUBNET + HOST + "address = '10.0.1.5'\n",
        7,
        "host[1] (web01).address",
        "10.0.1.5 is in no configured subnet",
        "10.0.0.0/24",
    ),
    (SUBNET + HOST + "address = '10.0.0.255'\n", 7, "host[1] (web01).address", "first or last address", "10.0.0.1 to"),
    (
        "[server]\naddress = '10.0.0.5'\n" + HOST + "address = '10.0.0.5'\n",
        6,
        "host[1] (web01).address",
        "is this server",
        "of its own",
    ),
    ("[[host]]\nname = 'web01'\n", 1, "host[1] (web01)", "none of mac, uuid, serial", "mac ="),
    (
        HOST.replace('"52:54:00:00:00:01"', "['52:54:00:00:00:01', '52-54-00-00-00-01']"),
        2,
        "host[1] (web01).mac",
        '"52-54-00-00-00-01" is there twice',
        "each network card once",
    ),
    (
        HOST + "[[host]]\nmac = ['52:54:00:00:00:02', '52:54:00:00:00:01']\n",
        5,
        "host[2] (52:54:00:00:00:02).mac",
        "is that of host[1] (web01) in line 1 too",
        "own mac",
    ),
    ("[[host]]\nmac = []\n", 1, "host[1]", "none of mac, uuid, serial", "mac ="),
    ("[[host]]\nmac = '52:54'\n", 2, "host[1] (52:54).mac", '"52:54" is not a hardware address', "52:54:00"),
    (
        "[[host]]\nmac = 'ff:ff:ff:ff:ff:ff'\n",
        2,
        "host[1] (ff:ff:ff:ff:ff:ff).mac",
        "not the address of one machine",
        "52:54:00",
    ),
    ("[[host]]\nuuid = 'x'\n", 2, "host[1] (x).uuid", '"x" is not a UUID', "dmidecode"),
    (
        HOST + HOST.replace("web01", "web02"),
        5,
        "host[2] (web02).mac",
        "is that of host[1] (web01) in line 1 too",
        "own mac",
    ),
    (
        HOST + HOST.replace('01"\nname', '02"\nname').replace("web01", "WEB01"),
        6,
        "host[2] (WEB01).name",
        "is that of host[1] (web01)",
        "own name",
    ),
    (HOST + "profile = 'alma'\n", 4, "host[1] (web01).profile", 'no profile "alma"', "add a [[profile]]"),
    (HOST + "vars = 3\n", 4, "host[1] (web01).vars", "3 is not a table", "{ }"),
    (
        HOST + "loader.x64 = 'lilo'\n",
        4,
        "host[1] (web01).loader.x64",
        '"lilo" is none of the choices',
        '"grub", "shim"',
    ),
    (
        "[boot]\nloader.bios = 'shim'\n",
        2,
        "boot.loader.bios",
        '"shim" is none of the choices',
        '"pxelinux", "lpxelinux"',
    ),
    ("[boot]\nloader.mips = 'grub'\n", 2, "boot.loader.mips", "no such key", "known here: bios, x64"),
    ("[boot]\nloader = 'grub'\n", 2, "boot.loader", '"grub" is not a table', "loader.x64"),
    ("[boot]\nunknown = 'alma'\n", 2, "boot.unknown", 'no profile "alma"', '"ignore", "local", "menu"'),
    ("[tftp]\nallow_write = true\n", 2, "tftp.allow_write", "no server.root", "set server.root"),
    (
        "[http]\ntls_cert = '/etc/passwd'\ntls_key = '/etc/passwd'\n",
        2,
        "http.tls_cert",
        "/etc/passwd contains no certificate",
        "BEGIN CERTIFICATE",
    ),
    ("[http]\ntls_cert = '/etc/passwd'\n", 2, "http.tls_cert", "set without http.tls_key", "set http.tls_key"),
    ("[[profile]]\nkernel = '/etc/passwd'\n", 1, "profile[1].name", "is missing", 'name = "alma9"'),
    ("[[profile]]\nname = 'a/b'\nkernel = '/etc/passwd'\n", 2, "profile[1] (a/b).name", "cannot be a name", "letters"),
    (
        "[[profile]]\nname = 'menu'\nkernel = '/etc/passwd'\n",
        2,
        "profile[1] (menu).name",
        "meaning in boot.unknown",
        "another",
    ),
    ("[[profile]]\nname = 'a'\n", 1, "profile[1] (a).kernel", "no source to find one in", "name a kernel"),
    (
        "[[profile]]\nname = 'a'\nkernel = 'k'\n",
        3,
        "profile[1] (a).kernel",
        "/nonexistent/k does not exist",
        "can be read",
    ),
    (
        "[[profile]]\nname = 'a'\nkernel = '/etc/passwd'\ninitrd = ['/etc']\n",
        4,
        "profile[1] (a).initrd",
        "/etc is a directory",
        "file",
    ),
    (
        "[[profile]]\nname = 'a'\nkernel = '/etc/passwd'\nanswer = 'a.ks'\n",
        4,
        "profile[1] (a).answer",
        "/nonexistent/a.ks does not exist",
        "file",
    ),
    (
        "[[profile]]\nname = 'a'\nsource = 'ftp://m/alma/9'\n",
        1,
        "profile[1] (a).kernel",
        "the source is an URL that only installers read",
        "ftp://m/alma/9/images/pxeboot/vmlinuz",
    ),
    (
        "[[profile]]\nname = 'a'\nsource = 'http://127.0.0.1:1/alma'\n",
        3,
        "profile[1] (a).source",
        "http://127.0.0.1:1/alma cannot be reached",
        "kernel and initrd yourself",
    ),
    (
        "[[profile]]\nname = 'a'\nsource = 'gopher://m'\nkernel = '/etc/passwd'\n",
        3,
        "profile[1] (a).source",
        "no URL that an installer reads",
        "http",
    ),
    (
        "[[profile]]\nname = 'a'\nsource = '/etc/passwd'\n",
        3,
        "profile[1] (a).source",
        "ISO 9660 image",
        "name an ISO image",
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "key", "wrong", "right"), FAULTS, ids=[f"{f[2]}: {f[3]}"[:60] for f in FAULTS]
)
def test_a_fault_is_told(text: str, line: int, key: str, wrong: str, right: str) -> None:
    """One fault gives exactly one problem, which says where it is and how to mend it."""
    (problem,) = problems_of(text)
    assert (line, key) == (problem.line, problem.key)
    assert wrong in problem.wrong
    assert right in problem.right


def test_https_needs_a_port_of_its_own() -> None:
    """Plain HTTP stays, so its port is taken; without a certificate the key says nothing."""
    text = "[http]\nport = 8443\ntls_port = 8443\n"
    assert 8443 == from_text(text, Path("/nonexistent")).http.tls_port
    keys = [problem.key for problem in problems_of(text + "tls_cert = 'a'\ntls_key = 'b'\n")]
    assert ["http.tls_port", "http.tls_cert", "http.tls_key"] == keys


def test_all_faults_are_told_at_once() -> None:
    """A bad value hides no other, and causes no second complaint about what is missing because of it."""
    text = (
        "[[dhcp.subnet]]\nnetwork = '10.0.0.5/24'\n[[host]]\nmac = 'x'\naddress = '10.9.9.9'\n"
        "[[profile]]\n[boot]\nmax_attempts = 0\n"
    )
    assert [2, 4, 6, 8] == [problem.line for problem in problems_of(text)]


def test_a_message_reads_file_line_key() -> None:
    """What is printed can be clicked in an editor and names the key."""
    (problem,) = problems_of("[tftp]\nport = 0\n")
    assert "rack.toml:2: tftp.port: 0 is out of range; from 1 to 65535" == str(problem)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing configuration is a configuration error, and so is one that is not text."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "rack.toml")
    (tmp_path / "rack.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "rack.toml")


LINES = '''\
[boot]
unknown = "menu" # a comment
loader.x64 = "grub"
[[host]]
vars = { a = 1 }
  [host.loader] # deeper
  bios = "ipxe"
[[host]]
"name" = "b"
args = """
mac = 1
"""
mac = "x"
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("boot", "unknown"), 2),
        (("boot", "loader", "x64"), 3),
        (("boot", "max_attempts"), 1),
        (("host", 0), 4),
        (("host", 0, "vars", "a"), 5),
        (("host", 0, "loader", "bios"), 7),
        (("host", 1, "name"), 9),
        (("host", 1, "mac"), 13),
        (("http", "port"), None),
    ],
    ids=str,
)
def test_the_line_of_a_key(key: tuple[str | int, ...], line: int | None) -> None:
    """A key is found where it is written, else its table; text inside long strings is no key."""
    assert line == line_of(LINES, key)
