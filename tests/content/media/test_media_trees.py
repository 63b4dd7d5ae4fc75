"""Every real tree that we have is found to be what it is: ``findings.txt`` says what that is, and a change of it is seen in a diff.

After a deliberate change: ``python tests/content/media/test_media_trees.py`` writes them anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from packed_trees import PackedView, trees

from pxenet.content.media.detect import detect
from pxenet.content.media.found import Found

FINDINGS = Path(__file__).parent / "findings.txt"


def lines(tree: str) -> Iterator[str]:
    found = detect(PackedView(tree))
    yield f"{tree}:" + ("" if found is not None else " unknown")
    if found is None:
        return
    yield f"  {found.family or '?'} | {found.version or '?'} | {found.arch or '?'} | {found.installer.value}"
    yield from _paths(found)
    yield from (f"  why: {each}" for each in found.why)
    yield from (f"  lacks: {each}" for each in found.missing)


def _paths(found: Found) -> Iterator[str]:
    for name in ("root", "kernel", "initrd", "stage2"):
        if getattr(found, name):
            yield f"  {name}: {getattr(found, name)}"
    for each in found.repositories:
        yield f"  repository {each.name}: {each.path or '.'}"
    yield from (f"  outside: {each}" for each in found.outside)
    if found.checksums:
        yield f"  checksums: {len(found.checksums)}"


def told() -> dict[str, str]:
    """The golden findings, by tree."""
    found: dict[str, list[str]] = {}
    tree = ""
    for line in FINDINGS.read_text().splitlines():
        if not line.startswith(" "):
            tree = line.partition(":")[0]
        found.setdefault(tree, []).append(line)
    return {name: "\n".join(text) for name, text in found.items()}


@pytest.mark.parametrize("tree", sorted(trees()))
def test_a_real_tree(tree: str) -> None:
    """Family, version, architecture, kernel, initrd, stage 2, repositories: as reviewed."""
    assert told()[tree] == "\n".join(lines(tree))


def test_all_trees_are_looked_at() -> None:
    """No finding is of a tree that is not there any more, and there are as many as were collected."""
    assert set(told()) == set(trees())
    assert len(trees()) == 127


if __name__ == "__main__":
    FINDINGS.write_text("\n".join(line for tree in sorted(trees()) for line in lines(tree)) + "\n")
