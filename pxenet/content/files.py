"""Single files under names of their own: a profile's kernel that lies outside its install tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pxenet.content.directory import Directory, mime_type
from pxenet.model import Absent, Asker, Content, Role, Standing


@dataclass(frozen=True, slots=True)
class _LinkStanding:
    """The link is followed again, and must lead to the same file unchanged."""

    file: Path
    real: Path
    found: Standing

    @property
    def changed_at(self) -> float:
        return self.found.changed_at

    def holds(self) -> bool:
        return self.file.resolve() == self.real and self.found.holds()


class Files:
    """Each whole name of the tree in ``files``, and nothing else. Who names a file may name a link: it is followed anywhere."""

    def __init__(self, files: Mapping[str, Path], *, roles: Mapping[str, Role], profile: str) -> None:
        self._files = dict(files)
        self._directories: dict[Path, Directory] = {}
        self._roles = dict(roles)
        self._profile = profile

    def claims(self, path: str) -> bool:
        """It is one of our names."""
        return path in self._files

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        """The file of that name; None when the name is not ours, or its file is gone."""
        file = self._files.get(path)
        if file is None:
            return None
        real = file.resolve()
        found = self._directory(real.parent).find(real.name, asker, now)
        if not isinstance(found, Content):
            return found
        role = self._roles.get(path, Role.FILE)
        standing = _LinkStanding(file, real, found.standing) if found.standing is not None else None
        return replace(found, name=path, mime=mime_type(path), role=role, profile=self._profile, standing=standing)

    def _directory(self, path: Path) -> Directory:
        """The same one each time, so that readers share a descriptor; links that are turned often leave only the latest behind."""
        directory = self._directories.get(path)
        if directory is None:
            if len(self._directories) >= 2 * len(self._files):
                self._directories.clear()
            directory = self._directories[path] = Directory(path)
        return directory
