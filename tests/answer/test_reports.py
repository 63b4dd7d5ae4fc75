"""What reports the end and failures, run with what each installer has: by curl, wget, bash, or the Debian installer's busybox."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import needs
import pytest

from pxenet.answer.reports import busybox_failed, one_line


class _Listener(BaseHTTPRequestHandler):
    heard: list[tuple[str, str, str]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.heard.append((self.command, self.path, body))
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Its URL, and what it hears: method, path and body."""
    heard: list[tuple[str, str, str]] = []
    with HTTPServer(("127.0.0.1", 0), type("Listener", (_Listener,), {"heard": heard})) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()


def run(line: str, tools: Path) -> int:
    """The exit status of a line of shell that finds these programs and no others."""
    done = subprocess.run(
        ["/bin/sh", "-c", line], env={"PATH": str(tools)}, capture_output=True, timeout=60, check=False
    )
    return done.returncode


@needs.tool("curl", "wget")
@pytest.mark.parametrize("tools", [("curl",), ("wget",), ("bash", "grep")])
def test_the_line_reports(tools: tuple[str, ...], tmp_path: Path) -> None:
    """With curl, with wget, or with bash alone; a failure brings the end of the log along."""
    for tool in (*tools, "tail", "sleep"):
        found = needs.find(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    (tmp_path / "log").write_text('it "broke" $here %s\n')
    with listening() as (url, heard):
        for line in (one_line(f"{url}/installed/t"), one_line(f"{url}/failed/t", shlex.quote(str(tmp_path / "log")))):
            assert 0 == run(line, tmp_path)
    assert [("GET", "/installed/t", ""), ("POST", "/failed/t", 'it "broke" $here %s')] == heard


@needs.tool("busybox")
@pytest.mark.parametrize("has_nc", [True, False])
def test_the_debian_installer_reports_a_failure(tmp_path: Path, *, has_nc: bool) -> None:
    """By nc with the log, else by wget with the reason alone; nothing to report to is no error."""
    busybox = needs.find("busybox")
    assert busybox is not None
    for applet in ("tail", "tr", "wc", "cat", "grep", "wget", *(["nc"] if has_nc else [])):
        (tmp_path / applet).symlink_to(busybox)
    log = tmp_path / "syslog"
    log.write_text("x" * 5000 + "\nmain-menu: Menu item 'a & b' failed: \u00fc%s\n")
    with listening() as (url, heard):
        line = busybox_failed(f"{url}/failed/t")
        line = line.replace("/var/log/syslog", str(log)).replace("/tmp/pxenet.log", str(tmp_path / "copy"))
        assert 0 == run(line, tmp_path)
    if has_nc:
        assert [("POST", "/failed/t", log.read_bytes()[-4000:].decode())] == heard
    else:
        assert [("GET", "/failed/t?reason=main+menu+Menu+item+a+b+failed+s+", "")] == heard
    heard.clear()
    assert 0 == run(line, tmp_path)
    assert [] == heard
