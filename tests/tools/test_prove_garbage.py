"""The garbage proof: reproducible, and what is raised is saved with everything that is needed to have it again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from provekit import targets
from provekit.corpus import spoken
from provekit.mutate import Mutator
from provekit.proofs.garbage import Job, portion
from provekit.targets import TARGETS

COUNT = 640


@pytest.mark.parametrize("protocol", TARGETS)
def test_a_portion_is_what_its_seed_makes_of_it(protocol: str, tmp_path: Path) -> None:
    """Nothing is raised; the same twice gives the same counts, another seed gives others."""
    job = Job(protocol, 7, 3, COUNT, str(tmp_path))
    first, fault = portion(job)
    assert ("", COUNT) == (fault, first["packets"])
    assert first["answers"] or first["boots"]
    assert (first, "") == portion(job)
    assert first != portion(replace(job, seed=8))[0]


def test_every_dhcp_packet_is_answered_or_counted(tmp_path: Path) -> None:
    """What was dropped, and what was answered, are most of it; nothing disappears in silence but what asks for no answer."""
    counts, _ = portion(Job("dhcp", 7, 0, COUNT, str(tmp_path)))
    assert 0.95 * COUNT <= counts["dropped"] + counts["answers"]


def test_what_is_raised_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed, portion, the packets and the trace."""

    def fails(self: targets.HttpTarget, packets: list[bytes]) -> None:
        raise IndexError("of this")

    monkeypatch.setattr(targets.HttpTarget, "take", fails)
    counts, fault = portion(Job("http", 7, 2, COUNT, str(tmp_path / "failures")))
    saved = json.loads((tmp_path / "failures/http-2.json").read_text())
    assert "IndexError: of this" in fault
    assert (0, 7, 2, 0) == (counts["packets"], saved["seed"], saved["portion"], saved["after"])
    assert targets.BATCH == len(saved["packets"])
    assert "fails" in saved["trace"]


def test_mutations() -> None:
    """Most differ from where they began, none is longer than a packet may be, and captures are where they begin."""
    corpus = spoken()["dhcp"]
    assert len(corpus) > 20
    mutator = Mutator(corpus, (b"token",), Random(1))
    made = [mutator.next() for _ in range(500)]
    assert max(map(len, made)) <= 2000
    assert len(set(made) - set(corpus)) > 450
