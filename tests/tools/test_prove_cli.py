"""``tools/prove`` as a command: what it prints, and its exit status. The proofs themselves are run by CI, not here."""

from __future__ import annotations

import importlib

import pytest
from provekit import cli
from provekit.cli import main
from provekit.registry import PROOFS, CannotRunError, Options, Proof, Result


def test_every_proof_is_there() -> None:
    """Each line of the table has its file, and says how much is short."""
    for proof in PROOFS:
        assert callable(importlib.import_module(f"provekit.proofs.{proof.name}").run)
        assert 0 < proof.short <= proof.full


def test_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Names and sentences, and nothing is run."""
    assert 0 == main(["--list"])
    assert [proof.name for proof in PROOFS] == [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    """The names that there are come with it."""
    assert 2 == main(["perpetual-motion"])
    assert "no proof perpetual-motion; there are kill, power" in capsys.readouterr().err


class _Proof(Proof):
    def run(self, options: Options) -> Result:
        if self.name == "impossible":
            raise CannotRunError("a tool is missing: apt-get install tool")
        if self.name == "broken":
            raise ZeroDivisionError
        assert (5, options.count) == (options.seed, self.short if options.short else self.full)
        return Result([("things", 1234)], ["a promise"] if self.name == "refuted" else [])


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("sound", 0, "things   1 234\n   seconds  0.0\n   holds"),
        ("refuted", 1, " ! a promise\n   REFUTED"),
        ("impossible", 2, "apt-get install tool"),
        ("broken", 1, "raised, with seed 5"),
    ],
)
def test_what_comes_of_it(
    name: str, status: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 proven, 1 refuted, 2 could not run; the seed is printed always."""
    monkeypatch.setattr(cli, "PROOFS", (_Proof(name, "about it", "things", 9, 3),))
    assert status == main(["--short", "--seed", "5"])
    told = capsys.readouterr()
    assert words in told.out + told.err
    assert "seed 5, 3 things" in told.out
