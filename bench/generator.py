"""The load generator, ``load/*.c``: built when its sources have changed, run on a core of its own."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "load"
BUILT = Path(__file__).parents[1] / "build"

LIMIT_S = 300
"""A run that takes longer has failed."""


class LoadError(Exception):
    """The generator cannot be built, or did not run."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients of one run have seen."""

    wall_s: float
    cpu_s: float
    """The generator's own: near ``wall_s`` it is what was measured."""
    bytes: int
    blocks: int
    complete: int
    failed: int
    retransmits: int
    """By clients, after 0.4 s without an answer."""
    first_error: str
    told: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """All that it printed."""

    @property
    def busy(self) -> float:
        """Share of its core."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0


def build() -> Path:
    """The program, compiled anew only for other sources. Raises LoadError."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LoadError("no C compiler for the load generator: apt-get install gcc libc6-dev")
    sources = sorted(SOURCES.glob("*.[ch]"))
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in sources)).hexdigest()[:16]
    program = BUILT / f"load-{digest}"
    if not program.exists():
        BUILT.mkdir(exist_ok=True)
        command = [
            compiler,
            "-O2",
            "-Wall",
            "-o",
            str(program),
            *(str(each) for each in sources if each.suffix == ".c"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LoadError(f"the load generator does not compile: {done.stderr.strip()}")
    return program


def clients(kind: str, program: Path, core: int, options: Mapping[str, object], through: Sequence[str] = ()) -> Load:
    """Clients of one kind. Raises LoadError.

    ``options`` are those of ``load KIND`` (``per_socket`` is ``--per-socket``); ``through`` is what the command begins with.
    """
    given = {"limit": LIMIT_S} | dict(options)
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [*through, "taskset", "-c", str(core), str(program), kind, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S + 30)
    if done.returncode not in (0, 1):
        raise LoadError(done.stderr.strip() or f"load ended with {done.returncode}")
    return read(json.loads(done.stdout))


def read(said: dict[str, Any]) -> Load:
    """What the generator printed."""
    return Load(
        wall_s=said["wall_s"],
        cpu_s=said["load_cpu_s"],
        **{name: said[name] for name in ("bytes", "blocks", "complete", "failed", "retransmits", "first_error")},
        told=said,
    )
