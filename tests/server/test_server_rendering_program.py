"""The program with a template that does not end: a clear word in its log, and everybody else is served meanwhile."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from programlab import free_ports, loopback_config, program

LOOP = "{% for a in range(10000) %}" * 3 + "{% if a == 'x' %}x{% endif %}" + "{% endfor %}" * 3
RACK = """\
[[profile]]
name = "{name}"
kernel = "vmlinuz"
answer = "{name}.ks"
[[host]]
mac = "{mac}"
name = "{name}"
profile = "{name}"
"""
MACS = {"good": "52-54-00-00-00-01", "bad": "52-54-00-00-00-02"}
PATIENCE_S = 60.0


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_template_that_does_not_end(workers: int, tmp_path: Path) -> None:
    """It was right when the server started, and then somebody edited it: its machine is refused, another one is answered."""
    ports = free_ports()
    (tmp_path / "vmlinuz").write_text("kernel")
    for name in MACS:
        (tmp_path / f"{name}.ks").write_text("# {{ host.name }}\n")
    tables = [RACK.format(name=name, mac=mac.replace("-", ":")) for name, mac in MACS.items()]
    config = loopback_config(ports, f"workers = {workers}").replace("[dhcp]\n", '[dhcp]\nmode = "off"\n', 1)
    (tmp_path / "rack.toml").write_text(config + "".join(tables))
    with program(tmp_path, "--config", str(tmp_path / "rack.toml")) as server:
        paths = {}
        for name, mac in MACS.items():
            status, text = get(ports["http"], f"/pxelinux.cfg/01-{mac}")
            assert 200 == status, text
            found = re.search(r"inst\.ks=http://[^/]+(/\S+)", text)
            assert found is not None, text
            paths[name] = found[1]
        (tmp_path / "bad.ks").write_text(f"# edited\n{LOOP}\n")
        with ThreadPoolExecutor(12) as threads:
            bad = [threads.submit(get, ports["http"], paths["bad"]) for _ in range(4)]
            good = [threads.submit(get, ports["http"], paths["good"]) for _ in range(8)]
            assert [(200, "# good\n")] * 8 == [(done.result()[0], done.result()[1][:7]) for done in good]
            assert {(404, "its template has a fault, see the server's log")} == {
                (done.result()[0], done.result()[1].strip()) for done in bad
            }
        assert "bad.ks:2: takes too long: does it come to an end?" in server.said()
        (tmp_path / "good.ks").write_text("# mended {{ host.name }}\n")
        assert "# mended good\n" == get(ports["http"], paths["good"])[1][:14]
