"""A ``[[profile]]`` → the shared record and where its files are: kernel, initrds, answer template, install source.

Touches the file system, to see that everything is there and readable.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from pxenet.config.paths import absolute, unreadable
from pxenet.config.schema import ProfileKeys
from pxenet.config.settings import ProfileTree
from pxenet.config.trees import BootFiles, find_boot_files, is_debian_medium
from pxenet.model import Profile

Report = Callable[[str, str, str], None]
"""Takes (key in the profile, what is wrong, what would be right)."""

URL_SCHEMES = ("http://", "https://", "ftp://", "nfs:", "nfs4:")
"""Sources that an installer fetches from elsewhere (nfs: as anaconda writes it)."""

BUILT_IN_ANSWERS = ("kickstart",)
"""Names of answer files that come with pxenet; those of ``answer.templates``, which would bring the template engine along."""

OUTSIDE = "boot-files"
"""Directory of the profile's part of the tree for files that are not below its source."""


class ProfileReader:
    """Reads one profile; problems and notes go to the functions given."""

    def __init__(self, keys: ProfileKeys, base: Path, report: Report, note: Report) -> None:
        self._keys = keys
        self._base = base
        self._report = report
        self._note = note
        self._prefix = f"profile/{keys.name}"
        self._files: dict[str, Path] = {}

    def read(self) -> tuple[Profile, ProfileTree]:
        """The profile, complete as far as nothing was reported."""
        keys = self._keys
        source_dir, source_url = self._source()
        found = self._boot_files(source_dir) if keys.kernel is None else None
        if keys.kernel is not None:
            kernel = self._file("kernel", keys.kernel, source_dir)
            initrd = tuple(self._file("initrd", text, source_dir) for text in keys.initrd)
        elif found is not None:
            kernel = self._file("source", found.kernel, source_dir)
            names = [self._file("source", found.initrd, source_dir)] if found.initrd and not keys.initrd else []
            initrd = tuple(names or [self._file("initrd", text, source_dir) for text in keys.initrd])
            if source_dir is not None and found.root:
                source_url = f"{source_url}/{found.root}"
        else:
            kernel, initrd = "", ()
        profile = Profile(
            name=keys.name,
            kernel=kernel,
            initrd=initrd,
            args=keys.args,
            answer=self._answer(),
            source_url=source_url,
            vars=MappingProxyType(dict(keys.vars)),
            kickstart=MappingProxyType(dict(keys.kickstart)),
            loaders=MappingProxyType(keys.loader.chosen()),
        )
        return profile, ProfileTree(source_dir, MappingProxyType(self._files))

    def _source(self) -> tuple[Path | None, str]:
        """(directory to serve, what ``urls.source`` shows)."""
        text = self._keys.source
        if text is None:
            return None, ""
        if text.startswith(URL_SCHEMES):
            return None, text.rstrip("/")
        if "://" in text:
            self._report("source", f'"{text}" is no URL that an installer reads', "use http, https, ftp or nfs")
            return None, ""
        path = absolute(text, self._base)
        if path.is_file():
            self._report(
                "source",
                f"{path} is a file; the contents of an ISO image cannot be served from inside it yet",
                f'unpack or mount it (mount -o loop,ro "{path}" /mnt) and name that directory',
            )
            return None, ""
        reason = unreadable(path, directory=True)
        if reason is not None:
            self._report("source", f"{path} {reason}", "name the directory of an install tree, or its URL")
            return None, ""
        return path, f"{{server}}/{self._prefix}"

    def _boot_files(self, source_dir: Path | None) -> BootFiles | None:
        """Kernel and initrd of the source, when the configuration names none."""
        source = self._keys.source
        if source is None:
            self._report("kernel", "is missing, and there is no source to find one in", "name a kernel, or a source")
        elif source_dir is None and source.startswith(URL_SCHEMES):
            self._report(
                "kernel",
                "is missing: the source is an URL, and boot files must be here",
                f"download e.g. {source.rstrip('/')}/images/pxeboot/vmlinuz and initrd.img, and name them in kernel and initrd",
            )
        if source_dir is None:
            return None
        try:
            found = find_boot_files(source_dir)
        except OSError as error:
            self._report("source", f"{source_dir} cannot be read: {error.strerror}", "make it readable")
            return None
        if found is None and is_debian_medium(source_dir):
            self._report(
                "source",
                f"{source_dir} is a Debian CD: its initrd installs from a CD drive only",
                "unpack netboot.tar.gz of the same release instead, or name its linux and initrd.gz in kernel and initrd",
            )
        elif found is None:
            self._report(
                "source",
                f"no kernel found in {source_dir} (no .treeinfo that names one which is there, no images/pxeboot/vmlinuz)",
                "copy the tree whole, or name the files in it, "
                'e.g. kernel = "images/pxeboot/vmlinuz" and initrd = "images/pxeboot/initrd.img"',
            )
        elif found.outside:
            self._note(
                "source",
                f"its repository {found.outside[0]} lies above {source_dir} and cannot be reached by clients",
                "name the directory above both, or add the repository in the answer file",
            )
        return found

    def _file(self, key: str, text: str, source_dir: Path | None) -> str:
        """The tree's name of a kernel or initrd; relative to the source when it is there, else to the configuration file."""
        if source_dir is not None:
            below = posixpath.normpath(text)
            inside = source_dir / below
            if not text.startswith(("/", "~")) and not below.startswith("..") and inside.exists():
                self._must_read(key, inside)
                return self._below_source(source_dir, below)
        path = absolute(text, self._base)
        if source_dir is not None and path.is_relative_to(source_dir):
            self._must_read(key, path)
            return self._below_source(source_dir, str(path.relative_to(source_dir)))
        hint = f"{text} is not in {source_dir}, and " if source_dir is not None and not os.path.isabs(text) else ""
        self._must_read(key, path, hint)
        return self._outside(path)

    def _below_source(self, source_dir: Path, below: str) -> str:
        """A file that the source directory serves; one behind a link is served as itself, for directories follow no link out."""
        path = source_dir / below
        name = f"{self._prefix}/{below}"
        if path.resolve() != source_dir.resolve() / below:
            self._files[name] = path.resolve()
        return name

    def _outside(self, path: Path) -> str:
        """A file elsewhere: it gets a name of its own in the profile's part of the tree."""
        for number in range(1, 100):
            name = f"{self._prefix}/{OUTSIDE}/{'' if number == 1 else f'{number}-'}{path.name}"
            if self._files.setdefault(name, path) == path:
                return name
        raise AssertionError(f"a hundred initrds are called {path.name}")

    def _must_read(self, key: str, path: Path, hint: str = "") -> None:
        reason = unreadable(path)
        if reason is not None:
            self._report(key, f"{hint}{path} {reason}", "name a file that can be read")

    def _answer(self) -> str | None:
        if self._keys.answer is None:
            return BUILT_IN_ANSWERS[0] if self._keys.kickstart else None
        if self._keys.answer in BUILT_IN_ANSWERS:
            return self._keys.answer
        path = absolute(self._keys.answer, self._base)
        self._must_read("answer", path)
        return str(path)
