"""What a profile's ``source`` leads to: a directory, an ISO image or an URL, looked at as far as can be done from here.

Touches the file system. Knows which words an installer takes for an URL; what is in a tree is found out by ``content.media``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pxenet.config.paths import absolute, unreadable
from pxenet.config.settings import ProfileTree
from pxenet.content.iso_image import IsoError
from pxenet.content.iso_index import Browser
from pxenet.content.media.detect import detect
from pxenet.content.media.found import Found, View
from pxenet.content.media.views import DirectoryView, IsoView, UrlView
from pxenet.net.look import Look, LookError

Report = Callable[[str, str, str], None]
"""Takes (key in the profile, what is wrong, what would be right)."""

URL_SCHEMES = ("http://", "https://", "ftp://", "nfs:", "nfs4:")
"""Sources that an installer fetches from elsewhere (nfs: as anaconda writes it)."""

_TAIL_BYTES = 1 << 20
"""What an image may lack at its end: some tools do not write the padding that they count."""


@dataclass(frozen=True, slots=True)
class Place:
    """A source, as far as it could be looked at."""

    text: str
    """What to call it in messages: a path, or the URL."""
    tree: ProfileTree
    url: str = ""
    """What ``urls.source`` shows."""
    view: View | None = None
    """None when nobody can look into it from here."""


def place_of(text: str, key: str, prefix: str, base: Path, report: Report, cache: Path | None = None) -> Place | None:
    """The place that a source names; None when it cannot be used, which is then reported."""
    if text.startswith(("http://", "https://")) and cache is not None:
        url = text.rstrip("/")
        look = Look(url)
        tree = ProfileTree(prefix=prefix, source_upstream=url)
        return Place(url, tree, f"{{server}}/{prefix}", UrlView(look.fetch, look.ask))
    if text.startswith(URL_SCHEMES):
        return Place(text.rstrip("/"), ProfileTree(prefix=prefix), text.rstrip("/"))
    if "://" in text:
        report(key, f'"{text}" is no URL that an installer reads', "use http, https, ftp or nfs")
        return None
    path = absolute(text, base)
    url = f"{{server}}/{prefix}"
    if path.is_file():
        return _image(path, key, prefix, url, report)
    reason = unreadable(path, directory=True)
    if reason is not None:
        report(key, f"{path} {reason}", "name an ISO image, the directory of an install tree, or its URL")
        return None
    return Place(str(path), ProfileTree(source_dir=path, prefix=prefix), url, DirectoryView(path))


def _image(path: Path, key: str, prefix: str, url: str, report: Report) -> Place | None:
    reason = unreadable(path)
    if reason is not None:
        report(key, f"{path} {reason}", "make it readable")
        return None
    try:
        view = IsoView(open_image(path))
    except IsoError as error:
        report(key, f"{path} {error}", "name an ISO image, the directory of an install tree, or its URL")
        return None
    except OSError as error:
        report(key, f"{path} cannot be read: {error.strerror}", "make it readable")
        return None
    about = view.about
    if about.missing_bytes > _TAIL_BYTES:
        wrong = f"{path} is cut: it has {about.image_bytes} of {about.volume_bytes} bytes"
        report(key, wrong, "download it to its end, and compare its checksum")
        return None
    return Place(str(path), ProfileTree(source_iso=path, prefix=prefix), url, view)


def open_image(path: Path) -> Browser:
    """An image to look into; its file is closed with the last reference to it. Raises IsoError and OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Browser(fd, owned=True)
    except BaseException:
        os.close(fd)
        raise


def looked_at(place: Place, cache: Path | None) -> Found | None:
    """What is in a place. Of an URL that cannot be reached now: what was there when it was looked at last. Raises LookError."""
    assert place.view is not None
    if not isinstance(place.view, UrlView) or cache is None:
        return detect(place.view)
    path = cache.parent / "trees" / f"{hashlib.blake2b(place.text.encode(), digest_size=16).hexdigest()}.json"
    try:
        found = detect(place.view)
    except LookError:
        remembered = _remembered(path)
        if remembered is None:
            raise
        return detect(remembered)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps({"texts": place.view.texts, "known": place.view.known}))
        temporary.replace(path)
    except OSError:
        pass  # it is looked at again next time
    return found


def _remembered(path: Path) -> UrlView | None:
    view = UrlView(lambda _path: None, lambda _path: False)
    try:
        raw = json.loads(path.read_text())
        view.texts.update((str(key), None if text is None else str(text)) for key, text in raw["texts"].items())
        view.known.update((str(key), bool(value)) for key, value in raw["known"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return view
