"""``tools/prove``: what it understands, what it prints, and its exit status (0 proven, 1 refuted, 2 it could not run)."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from provekit.registry import PROOFS, CannotRunError, Options, Proof, Result

SEED = 20261123

_EXAMPLES = """\
examples:
  tools/prove                      every proof in full: most of an hour
  tools/prove --short              every proof in short, as CI runs them
  tools/prove kill --count 1000    one proof, and how much of it
  tools/prove power --seed 7       other chances
"""


def _arguments(argv: list[str]) -> argparse.Namespace:
    table = "\n".join(f"  {p.name:9} {p.about} ({p.full} {p.counts}; short {p.short})" for p in PROOFS)
    parser = argparse.ArgumentParser(
        "tools/prove",
        description="Prove that nothing is lost and nobody can stop the server.",
        epilog=f"proofs:\n{table}\n\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="PROOF", help="which proofs; all of them without a name")
    parser.add_argument("--list", action="store_true", help="name the proofs and end")
    parser.add_argument("--short", action="store_true", help="less of each, for CI")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"of all chance ({SEED})")
    parser.add_argument("--count", type=int, metavar="N", help="how much: see the proofs below")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave configurations, states and logs here")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the command line; the exit status."""
    arguments = _arguments(argv)
    if arguments.list:
        for proof in PROOFS:
            print(f"{proof.name:9} {proof.about}")
        return 0
    known = {proof.name: proof for proof in PROOFS}
    if unknown := [name for name in arguments.names if name not in known]:
        print(f"prove: no proof {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = [known[name] for name in arguments.names] or list(PROOFS)
    return max(_prove(proof, arguments) for proof in chosen)


def _prove(proof: Proof, arguments: argparse.Namespace) -> int:
    count = arguments.count or (proof.short if arguments.short else proof.full)
    print(f"== {proof.name}: {proof.about}; seed {arguments.seed}, {count} {proof.counts}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pxenet-prove-") as scratch:
        directory = Path(scratch)
        if arguments.keep is not None:
            directory = (arguments.keep / proof.name).absolute()
            directory.mkdir(parents=True, exist_ok=True)
        say = _progress if sys.stderr.isatty() else _silent
        try:
            result = proof.run(Options(arguments.seed, count, arguments.short, directory, say))
        except CannotRunError as error:
            print(f"prove: {proof.name}: {error}", file=sys.stderr)
            return 2
        except Exception:  # noqa: BLE001 - the proofs after this one are worth running all the same
            traceback.print_exc()
            print(f" ! raised, with seed {arguments.seed}\n   REFUTED", flush=True)
            return 1
    result.figure("seconds", round(time.monotonic() - began, 1))
    print(_table(result), flush=True)
    return 1 if result.faults else 0


_FAULTS_SHOWN = 20


def _table(result: Result) -> str:
    width = max(len(name) for name, _ in result.figures)
    lines = [f"   {name:{width}}  {_text(value)}" for name, value in result.figures]
    for fault in result.faults[:_FAULTS_SHOWN]:
        lines.append(f" ! {fault}")
    if len(result.faults) > _FAULTS_SHOWN:
        lines.append(f" ! and {len(result.faults) - _FAULTS_SHOWN} more")
    lines.append(f"   {'REFUTED' if result.faults else 'holds'}")
    return "\n".join(lines)


def _text(value: object) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else str(value)


def _progress(line: str) -> None:
    print(f"\r\x1b[K   {line}", end="\r", file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    pass
