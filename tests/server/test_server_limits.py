"""Open files: as many as permitted, and never all of them for idle connections."""

from __future__ import annotations

import resource

import pytest

from pxenet.server.limits import WANTED, connections, raise_open_files

NO_END = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "raised", "allowed"),
    [
        ((1024, 1_048_576), [(WANTED, 1_048_576)], WANTED),
        ((1024, 4096), [(4096, 4096)], 4096),
        ((1024, 1024), [], 1024),
        ((1024, NO_END), [(WANTED, NO_END)], WANTED),
        ((100_000, NO_END), [], 100_000),
        ((NO_END, NO_END), [], WANTED),
    ],
)
def test_as_many_as_permitted(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], raised: list[tuple[int, int]], allowed: int
) -> None:
    """The soft limit rises up to the hard one; nothing is lowered."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: calls.append(new))
    assert (allowed, raised) == (raise_open_files(), calls)


@pytest.mark.parametrize(("open_files", "most"), [(1024, 512), (WANTED, 2000), (1, 1)])
def test_files_remain_for_what_is_served(open_files: int, most: int) -> None:
    """A thousand connections that ask nothing must not keep the others from their kernels."""
    assert most == connections(open_files)
