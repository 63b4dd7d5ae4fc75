"""Single files under names of their own: a profile's kernel that lies outside its install tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pxenet.content.directory import Directory, mime_type
from pxenet.model import Absent, Asker, Content, Role


class Files:
    """Each whole name of the tree in ``files``, and nothing else. Who names a file may name a link: it is followed anywhere."""

    def __init__(self, files: Mapping[str, Path], *, roles: Mapping[str, Role], profile: str) -> None:
        self._files = {name: (Directory(path.parent), path) for name, path in files.items()}
        self._roles = dict(roles)
        self._profile = profile

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        """The file of that name; None when the name is not ours, or its file is gone."""
        if path not in self._files:
            return None
        directory, file = self._files[path]
        real = file.resolve()
        if real != file:
            directory = Directory(real.parent)
        found = directory.find(real.name, asker, now)
        if not isinstance(found, Content):
            return found
        role = self._roles.get(path, Role.FILE)
        return replace(found, name=path, mime=mime_type(path), role=role, profile=self._profile)
