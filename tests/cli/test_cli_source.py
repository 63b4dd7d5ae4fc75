"""``pxenet source inspect``: what a source is, in words and as a document, and what the exit status says of it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pxenet.cli.main import app

TREEINFO = """[general]
family = AlmaLinux
version = 9.4
arch = x86_64
[stage2]
mainimage = images/install.img
[images-x86_64]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
"""


def tree(root: Path) -> Path:
    for name in ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img", "repodata/repomd.xml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / ".treeinfo").write_text(TREEINFO)
    return root


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def inspected(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["source", "inspect", *words])
    return done.exit_code, done.stdout, done.stderr


def test_a_directory_and_its_url_are_the_same(tmp_path: Path) -> None:
    """Kernel, initrd, stage 2, repositories and arguments, found over HTTP as on disk."""
    root = tree(tmp_path / "alma")
    status, here, _ = inspected("--json", str(root))
    with served(tmp_path) as url:
        there = json.loads(inspected("--json", f"{url}/alma/")[1])
    found = json.loads(here)
    assert 0 == status
    assert ("AlmaLinux", "9.4", "x86_64", "anaconda") == tuple(
        found[key] for key in ("family", "version", "arch", "installer")
    )
    assert ("images/pxeboot/vmlinuz", "images/install.img") == (found["kernel"], found["stage2"])
    assert "inst.repo={server}/profile/NAME" == found["arguments"]
    assert found | {"source": ""} == there | {"source": ""}


def test_what_people_read(tmp_path: Path) -> None:
    """One line for each finding, with the reason; nothing is said of what was not looked for."""
    root = tree(tmp_path / "alma")
    lines = inspected(str(root))[1].splitlines()
    assert f"{root}: AlmaLinux 9.4 x86_64, installed by anaconda" == lines[0]
    assert "  kernel      images/pxeboot/vmlinuz" in lines
    assert any(line.startswith("  because     .treeinfo") for line in lines)


@pytest.mark.parametrize("as_json", [False, True], ids=["people", "json"])
def test_a_directory_of_something_else(tmp_path: Path, as_json: bool) -> None:
    """Exit status 1, and how to use it all the same."""
    status, out, _ = inspected(*["--json"][:as_json], str(tmp_path))
    assert 1 == status
    assert ('"found": false' if as_json else 'name the files: kernel = "..."') in out


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    """Exit status 2, with the reason: nothing there, no image, nobody who answers, an URL that is for installers."""
    (tmp_path / "x.iso").write_bytes(b"no image" * 10_000)
    for source, words in (
        (str(tmp_path / "none"), "does not exist"),
        (str(tmp_path / "x.iso"), "is not an ISO 9660 image"),
        ("http://127.0.0.1:1/x", "cannot be reached"),
        ("nfs:server:/export", "by installers only"),
    ):
        status, _, wrong = inspected(source)
        assert (2, True) == (status, words in wrong), wrong
