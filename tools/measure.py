#!/usr/bin/env python3
"""Which files and functions are longer than the house likes: near 450 lines a file, 60 lines a function.

usage: tools/measure.py [DIR ...]      (pxenet, tests and tools by default)

Lists what is longer, longest first. It is a question, not a verdict: a literal table or a long match may be right.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 450
FUNCTION_LINES = 60
ROOT = Path(__file__).resolve().parent.parent


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """(lines, where) of each function, its decorators aside."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield lines, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def main(places: list[str]) -> None:
    """Print the breaches and the sums."""
    roots = [Path(place).resolve() for place in places] or [ROOT / "pxenet", ROOT / "tests", ROOT / "tools"]
    files = sorted(path for root in roots for path in root.rglob("*.py"))
    sizes = [(len(path.read_text().splitlines()), str(path.relative_to(ROOT))) for path in files]
    lengths = [found for path in files for found in functions(path)]
    for limit, found in ((FILE_LINES, sizes), (FUNCTION_LINES, lengths)):
        for lines, where in sorted(found, reverse=True):
            if lines > limit:
                print(f"{lines:5}  {where}")
    print(f"{len(files)} files, {sum(lines for lines, _ in sizes)} lines, {len(lengths)} functions")


if __name__ == "__main__":
    main(sys.argv[1:])
