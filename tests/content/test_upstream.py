"""What a cache answers while nothing is there: whether it is worth asking again, and when the source itself is asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pxenet.content.cached import Kept
from pxenet.content.upstream import AGAIN_S, Cache, Fetch, shelf_of
from pxenet.model import Absent, Missing

URL = "http://mirror.example/alma/images/pxeboot/vmlinuz"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """One that is told of each fetch, and carries out none."""
    cache = Cache(shelf_of(tmp_path, 1 << 20))
    cache.background = lambda _fetch: None
    return cache


def _fetch(cache: Cache, now: float, url: str = URL) -> Fetch:
    found = cache.find(url, now)
    assert isinstance(found, Fetch)
    return found


ENDS: dict[str, tuple[Callable[[Cache, Fetch, float], None], Missing]] = {
    "its source has none": (
        lambda cache, fetch, now: cache.refused(fetch, Absent(Missing.NOT_FOUND, "404"), now),
        Missing.NOT_FOUND,
    ),
    "its source is silent": (
        lambda cache, fetch, now: cache.refused(fetch, Absent(Missing.UNAVAILABLE, "silent"), now),
        Missing.UNAVAILABLE,
    ),
    "it came damaged": (lambda cache, fetch, now: cache.damaged(fetch, "sha256:1", now), Missing.UNAVAILABLE),
}


@pytest.mark.parametrize(("end", "missing"), ENDS.values(), ids=ENDS)
def test_a_source_is_asked_again_soon(
    cache: Cache, end: Callable[[Cache, Fetch, float], None], missing: Missing
) -> None:
    """All who waited and who ask soon after get one answer; only that its source has none says that there is none."""
    fetch = _fetch(cache, 100.0)
    told: list[object] = []
    fetch.begun.then(told.append)
    end(cache, fetch, 100.0)
    soon = cache.find(URL, 99.0 + AGAIN_S)
    assert isinstance(soon, Absent)
    assert (missing, [soon]) == (soon.missing, told)
    assert fetch is not _fetch(cache, 100.0 + AGAIN_S)


def test_damage_silences_nobody(cache: Cache) -> None:
    """A source that sent one damaged file is asked whether what is kept of it is still right: it can be reached."""
    other = URL + ".old"
    first = _fetch(cache, 0.0, other)
    cache.begin(first, Kept(other, 3, '"1"'))
    assert first.file is not None
    cache.received(first, 3)
    Path(f"/proc/self/fd/{first.file.fd}").write_bytes(b"abc")
    cache.complete(first, "", 0.0)
    cache.damaged(_fetch(cache, 10_000.0), "sha256:1", 10_000.0)
    assert isinstance(cache.find(other, 10_000.0), Fetch)
