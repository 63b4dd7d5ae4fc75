"""A configuration as it was at a git revision: the file and all that the revision has beside it, in a directory of its own.

What git does not keep (images, install trees, the state directory) is taken from where it is now. Knows git's command; nothing in
the repository is changed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pxenet.config import ConfigError, Problem, Settings, load
from pxenet.model import Profile

_TIMEOUT_S = 120.0


class RevisionError(Exception):
    """There is no such revision, or it cannot be had; says why."""


@contextmanager
def settings_at(config: Path, revision: str) -> Iterator[Settings]:
    """The settings of ``config`` at a revision; its files are there until the context ends. Raises RevisionError and ConfigError.

    Paths in messages are those of the repository, with the revision before them.
    """
    config = config.absolute()
    root = Path(_git(config.parent, "rev-parse", "--show-toplevel").strip())
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    below = config.resolve().relative_to(root)
    with tempfile.TemporaryDirectory(prefix="pxenet-") as directory:
        then = _mirrored(root, Path(directory))
        _check_out(root, commit, then)
        if not (then / below).exists():
            raise RevisionError(f"{below} is not in {revision}")
        for name in _git(root, "ls-files", "-z", "--others", "--directory").split("\0"):
            if name:
                _link(then / name.rstrip("/"), root / name.rstrip("/"))
        try:
            settings = load(then / below)
        except ConfigError as error:
            raise ConfigError([_told(problem, then, revision) for problem in error.problems]) from None
        yield replace(settings, profiles=tuple(_moved(settings, root, then)))


def _moved(settings: Settings, root: Path, then: Path) -> Iterator[Profile]:
    """Profiles whose answer file is named by its whole path in the repository: that of the revision is meant."""
    for profile in settings.profiles:
        if profile.answer is not None and Path(profile.answer).is_relative_to(root):
            moved = then / Path(profile.answer).relative_to(root)
            if moved.exists():
                profile = replace(profile, answer=str(moved))
        yield profile


def _told(problem: Problem, then: Path, revision: str) -> Problem:
    def named(text: str) -> str:
        return text.replace(f"{then}/", f"{revision}:")

    return replace(problem, file=named(problem.file), wrong=named(problem.wrong), right=named(problem.right))


def _mirrored(root: Path, into: Path) -> Path:
    """The repository's place below ``into``, with links to all that lies around it: ``../images`` leads where it did."""
    here, there = Path(root.anchor), into
    for part in root.parts[1:]:
        with suppress(OSError):  # a directory that may be searched but not listed
            for name in os.listdir(here):
                if name != part:
                    _link(there / name, here / name)
        here, there = here / part, there / part
        there.mkdir()
    return there


def _link(link: Path, target: Path) -> None:
    with suppress(FileExistsError):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _check_out(root: Path, commit: str, into: Path) -> None:
    """The files of a commit, by an index that is not the repository's."""
    with tempfile.TemporaryDirectory(prefix="pxenet-") as directory:
        index = {"GIT_INDEX_FILE": os.path.join(directory, "index")}
        _git(root, "read-tree", commit, environment=index)
        _git(root, "checkout-index", "--all", "--quiet", f"--prefix={into}/", environment=index)


def _git(directory: Path, *words: str, environment: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *words],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError:
        raise RevisionError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise RevisionError(f"git {words[0]} came to no end") from None
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        raise RevisionError(told or f'there is no revision "{words[-1].removesuffix("^{commit}")}"')
    return done.stdout.decode("utf-8", "surrogateescape")
