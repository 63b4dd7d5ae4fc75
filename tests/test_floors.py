"""Imports go down only: the floors of the house, enforced on the syntax tree of every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pxenet

ROOT = Path(pxenet.__file__).parent

FLOORS = {
    "wire": 0,
    "net": 0,
    "model": 1,
    "events": 1,
    "boot": 2,
    "answer": 2,
    "engine": 2,
    "content": 3,
    "store": 3,
    "capture": 3,
    "config": 4,
    "sim": 4,
    "rack": 5,
    "look": 4,
    "doctor": 5,
    "replay": 6,
    "server": 6,
    "cli": 7,
}
"""Floor of each module or package directly under pxenet. Those on one floor never import each other."""

SIBLING_EXCEPTIONS = {("events", "model"), ("model", "events")}
"""The two record modules of floor 1 may know each other."""

NO_IO = {
    "socket",
    "time",
    "os",
    "random",
    "trio",
    "select",
    "secrets",
    "tempfile",
    "pathlib",
    "shutil",
    "subprocess",
    "threading",
}
"""What codecs and engines never touch: the clock, sockets, files, randomness."""

ONLY_IN = {
    "dpkt": {"capture"},
    "trio": {"server", "cli", "sim", "net", "replay", "doctor"},
    "typer": {"cli"},
    "rich": {"cli"},
    "pydantic": {"config"},
}
"""Libraries with a room of their own."""


def modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if p.name != "__main__.py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of each import, wherever in the module it stands."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            module = node.module or ""
            yield node.lineno, module
            if module == "pxenet":
                for alias in node.names:
                    yield node.lineno, f"pxenet.{alias.name}"


def room(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def breaches(path: Path) -> Iterator[str]:
    here = room(path)
    for line, name in imports(path):
        parts = name.split(".")
        where = f"{path.relative_to(ROOT.parent)}:{line}"
        if parts[0] in ONLY_IN and here not in ONLY_IN[parts[0]]:
            yield f"{where}: {parts[0]} is kept inside {', '.join(sorted(ONLY_IN[parts[0]]))}"
        if here in ("wire", "engine") and parts[0] in NO_IO:
            yield f"{where}: {here} never touches {parts[0]}"
        if parts[0] != "pxenet" or len(parts) < 2 or here == "__init__" or parts[1] == "__version__":
            continue
        there = parts[1]
        if there not in FLOORS:
            yield f"{where}: {there} stands on no floor"
        elif here == "engine" and there == "net" and name != "pxenet.net.datagram":
            yield f"{where}: of net, engines know only the values in net.datagram"
        elif there != here and FLOORS[there] >= FLOORS[here] and (here, there) not in SIBLING_EXCEPTIONS:
            yield f"{where}: {here} (floor {FLOORS[here]}) imports {there} (floor {FLOORS[there]})"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    """No module imports from its own floor's other packages, or from above."""
    assert list(breaches(path)) == []


def test_every_room_stands_on_a_floor() -> None:
    """A new package must be given a floor here and in the design."""
    assert {room(p) for p in modules()} - {"__init__"} <= set(FLOORS)


def test_a_breach_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail: an engine that imports the server, a clock and dpkt is caught three times."""
    bad = ROOT / "engine" / "surface.py"
    monkeypatch.setattr(Path, "read_text", lambda self: "import time\nimport dpkt\nfrom pxenet.server import app\n")
    assert len(list(breaches(bad))) == 3
