"""The names that packages offer to others are listed in ``exports.txt``: taking one away, or adding one, is a decision seen in a diff.

After a deliberate change: ``python tests/test_exports.py`` writes the list anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).parent / "exports.txt"

SHARED = (
    "pxenet/model.py",
    "pxenet/events.py",
    "pxenet/config/__init__.py",
    "pxenet/engine/surface.py",
    "pxenet/net/datagram.py",
    "pxenet/rack/__init__.py",
    "pxenet/store/base.py",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "pxenet/wire").glob("*.py")),
)
"""The modules that people outside of their package build on. The others change as their package needs."""


def public_names(path: Path) -> Iterator[str]:
    """``__all__`` where there is one, else what is defined at the top without an underscore."""
    tree = ast.parse(path.read_text(), str(path))
    defined: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.append(node.name)
            continue
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(node.value, ast.List):
                yield from sorted(ast.literal_eval(node.value))
                return
            defined += [name.id for name in ast.walk(target) if isinstance(name, ast.Name)]
    yield from sorted(name for name in defined if not name.startswith("_"))


def listing() -> str:
    """One line per module."""
    lines = []
    for module in SHARED:
        names = " ".join(public_names(ROOT / module))
        if names:
            lines.append(f"{module}: {names}\n")
    return "".join(lines)


def test_the_public_names_are_those_listed() -> None:
    """Nothing that others build on appears or vanishes by accident."""
    assert LIST.read_text().splitlines() == listing().splitlines()


def test_what_a_package_offers_exists() -> None:
    """``__all__`` names nothing that is not there."""
    import pxenet.config
    import pxenet.rack

    for package in (pxenet.config, pxenet.rack):
        assert [] == [name for name in package.__all__ if not hasattr(package, name)]


if __name__ == "__main__":
    LIST.write_text(listing())
