"""A ``[[profile]]`` → the shared record and where its files are: kernel, initrds, answer template, install source.

Touches the file system, to see that everything is there and readable.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from pxenet.config.paths import absolute, unreadable
from pxenet.config.schema import ProfileKeys
from pxenet.config.settings import ProfileTree
from pxenet.config.sources import Place, Report, looked_at, place_of
from pxenet.content.media.found import Found
from pxenet.content.media.views import UrlView
from pxenet.model import DISCOVERY, Installer, Platform, Profile, Repository
from pxenet.net.look import LookError

BUILT_IN_ANSWERS = ("kickstart",)
"""Names of answer files that come with pxenet; those of ``answer.templates``, which would bring the template engine along."""

_KICKSTARTED = (None, Installer.ANACONDA, Installer.ANACONDA_LEGACY, Installer.OTHER)
_EXAMPLES = {
    Installer.DEBIAN: "preseed.cfg",
    Installer.SUBIQUITY: "user-data",
    Installer.LINUXRC: "autoyast.xml",
    Installer.AGAMA: "agama.json",
    Installer.COREOS: "worker.ign",
}

OUTSIDE = "boot-files"
"""Directory of the profile's part of the tree for files that are not below its source."""


class ProfileReader:
    """Reads one profile; problems and notes go to the functions given. ``cache``: where files of URLs are kept, if they are."""

    def __init__(self, keys: ProfileKeys, base: Path, report: Report, note: Report, cache: Path | None = None) -> None:
        self._keys = keys
        self._base = base
        self._report = report
        self._note = note
        self._cache = cache
        self._prefix = f"profile/{keys.name}"

    def read(self) -> tuple[Profile, ProfileTree]:
        """The profile, complete as far as nothing was reported."""
        source = self._keys.source
        if not isinstance(source, dict):
            return self._of("source", source, self._prefix)
        profiles: dict[Platform, Profile] = {}
        trees: dict[Platform, ProfileTree] = {}
        for platform, text in source.items():
            profiles[platform], trees[platform] = self._of(
                f"source.{platform.value}", text, f"{self._prefix}/{platform.value}"
            )
        first = next(iter(profiles.values()))
        several = replace(first, by_platform=MappingProxyType(profiles))
        return several, ProfileTree(prefix=self._prefix, by_platform=MappingProxyType(trees))

    def _of(self, key: str, source: str | None, prefix: str) -> tuple[Profile, ProfileTree]:
        """The profile by one of its sources."""
        keys = self._keys
        place = None if source is None else place_of(source, key, prefix, self._base, self._report, self._cache)
        files = BootFiles(place, prefix, self._base, self._report)
        found = self._found(key, place) if keys.kernel is None or place is not None else None
        kernel = ""
        initrd: tuple[str, ...] = ()
        if keys.kernel is not None:
            kernel = files.name("kernel", keys.kernel)
            initrd = tuple(files.name("initrd", text) for text in keys.initrd)
        elif found is not None and found.kernel is not None:
            kernel = files.name(key, found.kernel)
            names = [files.name(key, found.initrd)] if found.initrd and not keys.initrd else []
            initrd = tuple(names or [files.name("initrd", text) for text in keys.initrd])
        profile = Profile(
            name=keys.name,
            kernel=kernel,
            initrd=initrd,
            args=keys.args,
            answer=self._answer(),
            verbatim=keys.verbatim,
            reports=keys.reports,
            source_url="" if place is None else place.url,
            vars=MappingProxyType(dict(keys.vars)),
            kickstart=MappingProxyType(dict(keys.kickstart)),
            loaders=MappingProxyType(keys.loader.chosen()),
        )
        tree = ProfileTree(prefix=prefix) if place is None else place.tree
        if place is not None and found is not None:
            profile = _told(profile, place, found, files)
            self._must_read_data(profile, place, found)
            if tree.source_upstream:
                tree = replace(tree, checksums=MappingProxyType(dict(found.checksums)))
        return profile, replace(tree, files=MappingProxyType(files.outside))

    def _found(self, key: str, place: Place | None) -> Found | None:
        """What the source is. That it has no kernel is reported when none is named."""
        wanted = self._keys.kernel is None
        if place is None:
            if self._keys.source is None:
                self._report(
                    "kernel", "is missing, and there is no source to find one in", "name a kernel, or a source"
                )
            return None
        if place.view is None:
            if wanted:
                self._report(
                    "kernel",
                    "is missing: the source is an URL that only installers read, and boot files must be here",
                    f"download e.g. {place.text}/images/pxeboot/vmlinuz and initrd.img, and name them in kernel and initrd",
                )
            return None
        if isinstance(place.view, UrlView) and not wanted:
            return None  # nothing needs to be asked for
        try:
            found = looked_at(place, self._cache)
        except LookError as error:
            self._report(key, f"{place.text} {error}", "name an URL that can be reached, or kernel and initrd yourself")
            return None
        if wanted and (found is None or found.kernel is None):
            self._no_kernel(key, place, found)
        if found is not None and found.outside:
            self._note(
                key,
                f"its repository {found.outside[0]} lies above {place.text} and cannot be reached by clients",
                "name the directory above both, or add the repository in the answer file",
            )
        return found

    def _no_kernel(self, key: str, place: Place, found: Found | None) -> None:
        """Nothing here starts a machine: say what it is as far as that is known, and what to do."""
        if found is not None and found.missing:
            named = " ".join(filter(None, (found.family, found.version, found.arch)))
            self._report(key, f"{place.text} is {named}, but has no kernel to boot", f"it lacks {found.missing[0]}")
            return
        self._report(
            key,
            f"no kernel found in {place.text} (no .treeinfo that names one which is there, no images/pxeboot/vmlinuz)",
            "copy the tree whole, or name the files in it, "
            'e.g. kernel = "images/pxeboot/vmlinuz" and initrd = "images/pxeboot/initrd.img"',
        )

    def _must_read_data(self, profile: Profile, place: Place, found: Found) -> None:
        """Data become a kickstart, which other installers do not read."""
        if profile.answer in BUILT_IN_ANSWERS and found.installer not in _KICKSTARTED:
            assert found.installer is not None
            name, example = found.installer.value, _EXAMPLES.get(found.installer, "a file that it reads")
            self._report(
                "kickstart" if self._keys.kickstart else "answer",
                f"is data for a kickstart, and {place.text} is installed by {name}, which reads none",
                f"name a template in answer, e.g. {example}",
            )

    def _answer(self) -> str | None:
        if self._keys.verbatim and (self._keys.kickstart or self._keys.answer in (None, DISCOVERY, *BUILT_IN_ANSWERS)):
            wrong = (
                "is true, but the answer file is made of data" if self._keys.kickstart else "is true, but names no file"
            )
            self._report("verbatim", wrong, 'name an answer file and no data, e.g. answer = "ks.cfg"')
        if self._keys.answer is None:
            return BUILT_IN_ANSWERS[0] if self._keys.kickstart else None
        if self._keys.answer in (*BUILT_IN_ANSWERS, DISCOVERY):
            return self._keys.answer
        path = absolute(self._keys.answer, self._base)
        reason = unreadable(path)
        if reason is not None:
            self._report("answer", f"{path} {reason}", "name a file that can be read")
        return str(path)


class BootFiles:
    """The names in the tree of a profile's kernel and initrds."""

    def __init__(self, place: Place | None, prefix: str, base: Path, report: Report) -> None:
        self._place = place
        self._prefix = prefix
        self._base = base
        self._report = report
        self.outside: dict[str, Path] = {}
        """Those that do not lie in the source: name in the tree → file."""

    def name(self, key: str, text: str) -> str:
        """The tree's name of a file; relative to the source when it is there, else to the configuration file."""
        directory = None if self._place is None else self._place.tree.source_dir
        below = posixpath.normpath(text)
        if self._place is not None and not text.startswith(("/", "~")) and not below.startswith(".."):
            if directory is not None and (directory / below).exists():
                self._must_read(key, directory / below)
                return self._below(directory, below)
            if directory is None and self._has(below, key):
                return f"{self._prefix}/{below}"
        path = absolute(text, self._base)
        if directory is not None and path.is_relative_to(directory):
            self._must_read(key, path)
            return self._below(directory, str(path.relative_to(directory)))
        inside = self._place is not None and self._place.view is not None and not os.path.isabs(text)
        hint = f"{text} is not in {self._place.text}, and " if inside and self._place is not None else ""
        self._must_read(key, path, hint)
        return self.add(path)

    def _has(self, below: str, key: str) -> bool:
        """The source has this file. Of an URL nobody asks: what is not here is taken to be there."""
        assert self._place is not None
        if isinstance(self._place.view, UrlView):
            return not key.startswith(("kernel", "initrd")) or unreadable(absolute(below, self._base)) is not None
        return self._place.view is not None and self._place.view.exists(below)

    def add(self, path: Path) -> str:
        """A file elsewhere: it gets a name of its own in the profile's part of the tree."""
        for number in range(1, 100):
            name = f"{self._prefix}/{OUTSIDE}/{'' if number == 1 else f'{number}-'}{path.name}"
            if self.outside.setdefault(name, path) == path:
                return name
        raise AssertionError(f"a hundred files are called {path.name}")

    def _below(self, directory: Path, below: str) -> str:
        """A file that the source directory serves; one behind a link is served as itself, for directories follow no link out."""
        path = directory / below
        name = f"{self._prefix}/{below}"
        if path.resolve() != directory.resolve() / below:
            self.outside[name] = path.resolve()
        return name

    def _must_read(self, key: str, path: Path, hint: str = "") -> None:
        reason = unreadable(path)
        if reason is not None:
            self._report(key, f"{hint}{path} {reason}", "name a file that can be read")


def _told(profile: Profile, place: Place, found: Found, files: BootFiles) -> Profile:
    """The profile with what its source was found to be."""
    image = ""
    if place.tree.source_iso is not None and found.installer is Installer.SUBIQUITY:
        image = f"{{server}}/{quote(files.add(place.tree.source_iso))}"

    def url(path: str) -> str:
        return posixpath.join(place.url, quote(path)) if path else place.url

    return replace(
        profile,
        source_url=url(found.root),
        installer=found.installer,
        image_url=image,
        stage2_url=url(found.stage2) if found.stage2 is not None else "",
        repositories=tuple(Repository(each.name, url(each.path)) for each in found.repositories),
    )
