"""Can the user that the server became still read what it serves? The configuration was read as root, who can read everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pxenet.config import Problem, Settings
from pxenet.config.paths import unreadable
from pxenet.config.problems import Key


def unreachable(settings: Settings, user: str) -> list[Problem]:
    """Every directory and file of the configuration that this process may not read."""
    return [
        settings.source.problem(key, f"{path} {reason}", f"let {user} read it")
        for key, path, directory in _read(settings)
        if (reason := unreadable(path, directory)) is not None
    ]


def _read(settings: Settings) -> Iterator[tuple[Key, Path, bool]]:
    """(where it is named, path, is it a directory)."""
    if settings.server.root is not None:
        yield ("server", "root"), settings.server.root, True
    for index, profile in enumerate(settings.profiles):
        for where in settings.trees[profile.name].parts:
            if where.source_dir is not None:
                yield ("profile", index, "source"), where.source_dir, True
            if where.source_iso is not None:
                yield ("profile", index, "source"), where.source_iso, False
            for name, path in where.files.items():
                if path != where.source_iso:
                    yield ("profile", index, "kernel" if name == profile.kernel else "initrd"), path, False
        if profile.answer is not None and Path(profile.answer).is_absolute():  # else one that comes with pxenet
            yield ("profile", index, "answer"), Path(profile.answer), False
