"""Whatever is asked, workers answer as one process does, and what they saw leads to the same: one script, run against both."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programlab import PATIENCE_S, free_ports, loopback_config, program

from pxenet.engine.install import Installs
from pxenet.store.sqlite import open_sqlite

WEB01, WEB02 = "02:00:00:77:00:01", "02:00:00:77:00:02"
MAC_NAME = "01-02-00-00-77-00-01"
LARGE_LINES = 4000
SITE = f"""
[[profile]]
name = "alma9"
source = "tree"
answer = "ks.cfg.j2"
[[host]]
name = "web01"
mac = "{WEB01}"
profile = "alma9"
[[host]]
name = "web02"
mac = "{WEB02}"
profile = "alma9"
"""
ANSWER = """\
# {{ host.name }} {{ urls.answer }}
url --url {{ urls.source }}
%post
curl -f '{{ urls.installed }}' || curl '{{ urls.failed }}'
%end
"""


def write_site(directory: Path) -> None:
    """Everything that is served: files, a tree, texts that are small, one that is large."""
    files = {
        "tree/images/pxeboot/vmlinuz": bytes(range(256)) * 300,
        "tree/images/pxeboot/initrd.img": bytes(70_000),
        "tree/images/install.img": bytes(1000),
        "tree/.treeinfo": b"[general]\nname = AlmaLinux-9\n",
        "tree/repodata/repomd.xml": b"<repomd/>",
        "ks.cfg.j2": (ANSWER + "# padding\n" * LARGE_LINES).encode(),
        "files/motd": b"one\ntwo\rthree\n",
        "files/a b": b"spaced",
    }
    for number in range(600):  # so that their listing is a large text
        files[f"files/many/file-with-a-long-name-{number:04}"] = b"x"
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@dataclass
class Asking:
    """A client of both protocols, which notes every answer."""

    ports: dict[str, int]
    token: Callable[[str], str]
    answers: list[object]

    def http(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
        """One request by a connection of its own. What tells the time is left out of what is noted."""
        with socket.create_connection(("127.0.0.1", self.ports["http"]), PATIENCE_S) as sock:
            lines = [f"{method} {target} HTTP/1.1", "Host: h", "Connection: close", *fields]
            if body:
                lines.append(f"Content-Length: {len(body)}")
            sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            reply = b"".join(iter(lambda: sock.recv(1 << 20), b""))
        head, _, payload = reply.partition(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n") if not line.startswith((b"Date:", b"Last-Modified:"))]
        self.answers.append((method, target, fields, kept, payload))
        return payload

    def tftp(self, name: str, mode: str = "octet", options: bytes = b"") -> bytes:
        """One read; the ERROR's packet when there is one."""
        data, block = b"", 0
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            sock.settimeout(PATIENCE_S)
            request = b"\0\1" + name.encode() + b"\0" + mode.encode() + b"\0" + options
            sock.sendto(request, ("127.0.0.1", self.ports["tftp"]))
            while True:
                packet, peer = sock.recvfrom(70_000)
                if packet[1] == 5:
                    data = packet
                    break
                if packet[1] == 6:
                    data += packet
                    sock.sendto(b"\0\4\0\0", peer)
                    continue
                assert block + 1 == int.from_bytes(packet[2:4], "big")
                block += 1
                data += packet[4:]
                sock.sendto(b"\0\4" + packet[2:4], peer)
                if len(packet) < 516:
                    break
        self.answers.append((name, mode, data))
        return data


def script(asking: Asking) -> None:
    """Files, texts for each machine, access to answer files, callbacks, and everything that is refused."""
    mine, other = asking.token(WEB01), asking.token(WEB02)
    for name in ("motd", "/motd", "many/file-with-a-long-name-0001", "nothing", "../etc/passwd", "many", "a b"):
        asking.tftp(name)
        asking.http("/" + name.lstrip("/").replace(" ", "%20"))
        asking.tftp(name, "netascii")
    asking.tftp("motd", options=b"tsize\x000\0windowsize\x004\0")
    asking.tftp("motd", "mail")
    for target in ("/", "/many", "/profile", "/profile/alma9/images/pxeboot", "/?serial=1", "/motd?x=1"):
        asking.http(target)
    asking.http("/motd", method="HEAD")
    asking.http("/motd", "Range: bytes=2-5")
    asking.http("/motd", "Range: bytes=2-5,7-8")
    asking.http("/motd", "Range: bytes=900-")
    asking.http("/motd", method="POST", body=b"x" * 60_000)
    for name in (f"pxelinux.cfg/{MAC_NAME}", f"grub.cfg-{MAC_NAME}", "pxelinux.cfg/default", "grub.cfg", "boot.ipxe"):
        asking.tftp(name)
        asking.http("/" + name)
    for token in (mine, "0" * 32, other[:-1] + "x"):
        text = asking.http(f"/answer/{token}/alma9/ks.cfg")
        assert (token == mine) == text.startswith(b"# web01 http://192.0.2.9/answer/")
        asking.tftp(f"answer/{token}/alma9/ks.cfg")
    asking.http(f"/answer/{other}/alma9/other.cfg")
    asking.tftp("profile/alma9/images/pxeboot/vmlinuz")
    asking.http("/profile/alma9/images/pxeboot/initrd.img")
    for _ in range(3):
        asking.http("/profile/alma9/repodata/repomd.xml")
    asking.http(f"/installed/{mine}", method="POST")
    asking.http(f"/installed/{mine}")
    asking.http(f"/failed/{other}", method="POST", body=b"the disk is gone")
    asking.http(f"/failed/{other}?reason=again")
    asking.http(f"/installed/{'0' * 32}")
    asking.http(f"/installed/{mine}", method="PUT")
    asking.tftp(f"pxelinux.cfg/{MAC_NAME}")
    asking.http(f"/answer/{mine}/alma9/ks.cfg")  # denied: it is installed


def told(text: str) -> list[tuple[object, ...]]:
    """What a server told of its clients, without its times, in an order of its own: that between two processes is nobody's."""
    records: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    events = [record for record in records if record["kind"] != "server"]
    return sorted(
        (
            event["kind"],
            event["mac"],
            event["address"],
            json.dumps({key: value for key, value in event["detail"].items() if key != "seconds"}, sort_keys=True),
        )
        for event in events
    )


def run(site: Path, ports: dict[str, int], workers: int) -> tuple[list[object], list[tuple[object, ...]], object]:
    """The script against a server with so many workers: all answers, what it told, and what it remembers."""
    state = site / "state"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(site / "store", state)
    server = f'root = "files"\nworkers = {workers}\nurl = "http://192.0.2.9"'
    (site / "rack.toml").write_text(loopback_config(ports, server) + SITE)
    opened = open_sqlite(state)
    installs = Installs(opened.installs(), opened.secret(), max_attempts=3, keys=[WEB01, WEB02])
    asking = Asking(ports, installs.token, [])
    opened.close()
    with program(site, "--config", "rack.toml", "--json") as running:
        script(asking)
        assert 0 == running.stopped()
    kept = open_sqlite(state)
    states = sorted((each.key, each.state.value, each.attempts, each.reason) for each in kept.installs())
    kept.close()
    assert "Traceback" not in running.said()
    return asking.answers, told(running.said()), states


def test_workers_are_as_one(tmp_path: Path) -> None:
    """Every byte of every answer, each event, and the state of each machine at the end."""
    write_site(tmp_path)
    open_sqlite(tmp_path / "store").close()
    ports = free_ports()
    alone = run(tmp_path, ports, 1)
    several = run(tmp_path, ports, 2)
    for one, other in zip(alone[0], several[0], strict=True):
        assert one == other
    assert alone[1] == several[1]
    assert alone[2] == several[2]
    assert [(WEB01, "installed", 1, ""), (WEB02, "failed", 0, "the disk is gone")] == alone[2]
