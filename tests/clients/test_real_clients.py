"""Real clients against the real server, on a wire of their own: what they get is what was meant."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import needs
import netlab
import pytest
from netlab import CLIENT_MAC, SERVER, Wire

pytestmark = [needs.root(), needs.namespace(), needs.tool("ip")]

CONFIG = """\
[server]
interface = "v0"
state = "state"
root = "files"

[[dhcp.subnet]]
network = "10.78.0.0/24"
pool = ["10.78.0.100-10.78.0.199"]
router = "10.78.0.254"
dns = ["10.78.0.1", "10.78.0.2"]
domain = "rack.example"
lease_time = "1h"
"""

BLOB = bytes(range(256)) * 4096 + b"end"
"""1 MiB and a bit: many blocks, a short last one, every byte value."""


@dataclass
class Served:
    """The wire with a server on it."""

    wire: Wire
    directory: Path
    log: Path

    def scratch(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("rack")
    files = directory / "files"
    files.mkdir()
    (files / "blob").write_bytes(BLOB)
    (files / "empty").write_bytes(b"")
    (files / "exact").write_bytes(b"x" * 1024)
    with netlab.wire() as wire:
        log = wire.serve(CONFIG, directory)
        yield Served(wire, directory, log)
        (server,) = wire.processes
        assert wire.stop(server) == 0, log.read_text()


@pytest.fixture
def addressed(served: Served) -> Iterator[Served]:
    """The client host has an address, for programs that need one."""
    served.wire.on_client("ip", "address", "add", "10.78.0.50/24", "dev", "v1")
    yield served
    served.wire.on_client("ip", "address", "flush", "dev", "v1")


def script(directory: Path, line: str) -> Path:
    path = directory / "script"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


@needs.tool("dhclient")
def test_dhclient(served: Served) -> None:
    """dhclient is bound within seconds, with every setting of the subnet; asking again gives the same address; release frees it."""
    scratch = served.scratch("dhclient")
    hook = script(scratch, f'env | grep -E "^(reason|new_)" >> {scratch}/env')
    common = ["-4", "-sf", str(hook), "-lf", f"{scratch}/leases", "-pf", f"{scratch}/pid", "v1"]
    served.wire.on_client("dhclient", "-1", *common)
    text = (scratch / "env").read_text()
    (address,) = set(re.findall(r"new_ip_address=(10\.78\.0\.1\d\d)$", text, re.M))
    assert "new_subnet_mask=255.255.255.0" in text
    assert "new_routers=10.78.0.254" in text
    assert "new_domain_name_servers=10.78.0.1 10.78.0.2" in text
    assert "new_domain_name=rack.example" in text
    assert "new_dhcp_lease_time=3600" in text
    assert f"new_dhcp_server_identifier={SERVER}" in text
    served.wire.on_client("dhclient", "-x", *common)
    (scratch / "env").unlink()
    served.wire.on_client("dhclient", "-1", *common)  # INIT-REBOOT from its leases file
    assert f"new_ip_address={address}" in (scratch / "env").read_text()
    served.wire.on_client("ip", "address", "add", f"{address}/24", "dev", "v1")
    served.wire.on_client("dhclient", "-r", *common)
    served.wire.on_client("ip", "address", "flush", "dev", "v1")
    assert f"gave back {address}" in served.log.read_text()


@needs.tool("udhcpc")
def test_udhcpc(served: Served) -> None:
    """busybox' client, as installers run it, gets the same address as the machine's other clients."""
    scratch = served.scratch("udhcpc")
    hook = script(scratch, f'env | grep -E "^(ip|siaddr|subnet|router|dns|lease|serverid)=" > {scratch}/env')
    served.wire.on_client("udhcpc", "-i", "v1", "-n", "-q", "-f", "-t", "5", "-s", str(hook))
    values = dict(line.split("=", 1) for line in (scratch / "env").read_text().splitlines())
    assert values["serverid"] == SERVER
    assert (values["subnet"], values["router"], values["dns"]) == (
        "255.255.255.0",
        "10.78.0.254",
        "10.78.0.1 10.78.0.2",
    )
    assert values["lease"] == "3600"


def test_an_offer_goes_straight_to_the_hardware_address(served: Served) -> None:
    """Without the broadcast flag the OFFER is a unicast frame to chaddr and yiaddr, as RFC 2131 §4.1 says; with it, a broadcast."""
    done = served.wire.on_client("python3", str(Path(__file__).parent / "sniff_offer.py"), "v1", CLIENT_MAC, timeout=60)
    unicast, broadcast = done.stdout.splitlines()
    assert re.fullmatch(rf"{CLIENT_MAC} 10\.78\.0\.1\d\d 68 ok", unicast)
    assert broadcast == "ff:ff:ff:ff:ff:ff 255.255.255.255 68 ok"


@needs.tool("perfdhcp")
def test_perfdhcp(addressed: Served) -> None:
    """Two hundred machines through a relay address: every exchange completes, no address is given twice."""
    done = addressed.wire.on_client(
        "perfdhcp",
        "-4",
        "-l",
        "v1",
        "-r",
        "50",
        "-n",
        "60",
        "-R",
        "60",
        "-u",
        "-W",
        "2000000",
        SERVER,
        check=False,
        timeout=60,
    )
    assert re.findall(r"drops: (\d+)", done.stdout) == ["0", "0"], done.stdout
    assert re.findall(r"received packets: (\d+)", done.stdout) == ["60", "60"], done.stdout
    assert "non unique addresses: 0" in done.stdout, done.stdout


@needs.tool("tftp")
@pytest.mark.parametrize("name", ["blob", "empty", "exact"])
def test_tftp_hpa(addressed: Served, name: str) -> None:
    """tftp-hpa reads files whole, whatever their last block."""
    scratch = addressed.scratch("tftp")
    addressed.wire.on_client("tftp", "-m", "binary", SERVER, "-c", "get", name, f"{name}.out", cwd=scratch)
    assert (scratch / f"{name}.out").read_bytes() == (addressed.directory / "files" / name).read_bytes()


@needs.tool("tftp")
def test_tftp_hpa_missing(addressed: Served) -> None:
    """A missing file is said at once, in words."""
    scratch = addressed.scratch("tftp")
    done = addressed.wire.on_client(
        "tftp", "-m", "binary", SERVER, "-c", "get", "nothing", cwd=scratch, check=False, timeout=5
    )
    assert "Error code 1: " in done.stdout + done.stderr


@needs.tool("tftp")
def test_writing_is_refused(addressed: Served) -> None:
    """Nobody can write unless it was configured."""
    scratch = addressed.scratch("tftp")
    (scratch / "mine").write_bytes(b"mine")
    done = addressed.wire.on_client(
        "tftp", "-m", "binary", SERVER, "-c", "put", "mine", cwd=scratch, check=False, timeout=5
    )
    assert "Error code" in done.stdout + done.stderr
    assert not (addressed.directory / "files" / "mine").exists()


@needs.tool("atftp")
@pytest.mark.parametrize(
    "options", [[], ["blksize 1428"], ["blksize 1428", "windowsize 16"], ["windowsize 4", "tsize 0"]], ids=str
)
def test_atftp(addressed: Served, options: list[str]) -> None:
    """atftp reads the file whole with each set of options, windows included."""
    scratch = addressed.scratch("atftp")
    flags = [flag for option in options for flag in ("--option", option)]
    addressed.wire.on_client("atftp", *flags, "-g", "-r", "blob", "-l", str(scratch / "out"), SERVER)
    assert (scratch / "out").read_bytes() == BLOB
    (scratch / "out").unlink()


@needs.tool("curl")
@pytest.mark.parametrize("arguments", [[], ["--tftp-blksize", "1468"], ["--tftp-no-options"]], ids=str)
def test_curl_tftp(addressed: Served, arguments: list[str]) -> None:
    """curl reads by TFTP, with and without options."""
    done = subprocess.run(
        ["ip", "netns", "exec", addressed.wire.client, "curl", "-sS", *arguments, f"tftp://{SERVER}/blob"],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == BLOB


@needs.tool("curl")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], BLOB, id="whole"),
        pytest.param(["-r", "10-19"], BLOB[10:20], id="range"),
        pytest.param(["-r", "-5"], BLOB[-5:], id="suffix"),
        pytest.param(["--http1.0"], BLOB, id="HTTP/1.0"),
    ],
)
def test_curl_http(addressed: Served, arguments: list[str], expected: bytes) -> None:
    """curl reads by HTTP, whole or in part."""
    done = subprocess.run(
        ["ip", "netns", "exec", addressed.wire.client, "curl", "-sSf", *arguments, f"http://{SERVER}/blob"],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == expected


@needs.tool("wget")
def test_wget_resumes(addressed: Served) -> None:
    """wget goes on where an earlier download broke off."""
    scratch = addressed.scratch("wget")
    (scratch / "blob").write_bytes(BLOB[:1000])
    addressed.wire.on_client("wget", "-q", "-c", f"http://{SERVER}/blob", cwd=scratch)
    assert (scratch / "blob").read_bytes() == BLOB
