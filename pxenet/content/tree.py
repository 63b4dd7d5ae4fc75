"""One tree of names for TFTP and HTTP: which source answers for which name.

Knows how firmware spells names, in what order sources are asked, and how their directories add up to one. Must not know who asks over
which protocol; percent-decoding in particular belongs to HTTP and has happened, once, before a name comes here.
Names of RFC 1350 requests and RFC 9112 targets end up here alike.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable
from urllib.parse import quote

from pxenet.model import Absent, Asker, Content, Later, Missing

MAX_NAME_BYTES = 2048
"""Longest name, encoded; half of Linux' PATH_MAX, so that a root may stand before it. A TFTP request has at most 512 octets."""

MAX_COMPONENT_BYTES = 255
"""NAME_MAX of Linux: a longer component cannot exist."""

_CONTROL = frozenset(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
"""C0, DEL and C1: no boot file has them, and they would reach terminals through our events."""


def normalise(raw: str) -> str | None:
    """The tree's spelling of a name as a client spelled it, or None when no file can have that name.

    Leading slashes, ``//``, ``./`` and a trailing slash vanish (GRUB and pxelinux ask for both ``/x`` and ``x``); backslashes are
    slashes (Windows loaders, shim). ``..`` is refused wherever it stands, also where it would stay inside. Bytes that are
    not UTF-8 come as the surrogates of ``os.fsdecode`` and pass.
    """
    if _CONTROL.intersection(raw):
        return None
    try:
        if len(raw.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
            return None
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return None
    name = raw.replace("\\", "/")
    before, mark, rest = name.rpartition("::")
    if mark and (not before or before.endswith("/")):
        # "From the root", in PXELINUX's words. U-Boot reads the same texts and asks for the mark too, behind its own directory.
        name = rest
    parts = [part for part in name.split("/") if part not in ("", ".")]
    for part in parts:
        if part == ".." or len(part.encode("utf-8", "surrogateescape")) > MAX_COMPONENT_BYTES:
            return None
    return "/".join(parts)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a directory."""

    name: str
    """A single component."""
    directory: bool = False
    size: int = 0
    modified_at: int = 0


class Source(Protocol):
    """Something that has contents under some names."""

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | Later | None:
        """The content of a normalised name; None: not mine, ask the next source. An Absent ends the search, and so does a Later."""
        ...


@runtime_checkable
class Lister(Protocol):
    """A source that can also tell which names it has."""

    def entries(self, path: str) -> Sequence[Entry] | None:
        """What is directly below the normalised name; None when that is no directory of this source."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A source that can tell from a name alone that it will never have it."""

    def claims(self, path: str) -> bool:
        """Perhaps not now and not for everybody, but this source may have something to say about the normalised name."""
        ...


class Tree:
    """The sources in order; the first that knows a name answers for it.

    With ``ignore_case`` a name that nobody has is tried again as the directories spell it, then in lower case (Windows boot
    files ask in any case); an exact match always wins.

    A content keeps its standing only where no earlier source claims the name.
    """

    def __init__(self, sources: Iterable[Source], ignore_case: bool = False) -> None:
        sources = tuple(sources)
        self._sources = tuple((source, source if isinstance(source, Selective) else None) for source in sources)
        self._listers = tuple(source for source in sources if isinstance(source, Lister))
        self._ignore_case = ignore_case

    def find(self, raw_path: str, asker: Asker, now: float = 0.0, *, listing: bool = False) -> Content | Absent | Later:
        """The content of a name as the client spelled it; ``listing`` turns a directory into an HTML page of its entries."""
        path = normalise(raw_path)
        if path is None:
            return Absent(Missing.BAD_NAME, f"{raw_path[:200]!r} cannot be the name of a file")
        for number, candidate in enumerate(self._spellings(path)):
            claimed = number > 0
            for source, selective in self._sources:
                found = source.find(candidate, asker, now)
                if isinstance(found, Later):
                    return found.map(
                        lambda answer: self.find(raw_path, asker, now, listing=listing) if answer is None else answer
                    )
                if found is not None:
                    return _without_standing(found) if claimed else found
                claimed = claimed or selective is None or selective.claims(candidate)
            if listing:
                entries = self.entries(candidate)
                if entries is not None:
                    return listing_page(candidate, entries)
        return Absent(Missing.NOT_FOUND, f"nothing is called {path or '/'}")

    def entries(self, path: str) -> list[Entry] | None:
        """What all sources have directly below a normalised name, sorted; None when none of them has that directory."""
        merged: dict[str, Entry] = {}
        known = False
        for lister in self._listers:
            entries = lister.entries(path)
            if entries is None:
                continue
            known = True
            for entry in entries:
                merged.setdefault(entry.name, entry)
        return sorted(merged.values(), key=lambda entry: (not entry.directory, entry.name)) if known else None

    def _spellings(self, path: str) -> Iterable[str]:
        """The exact name, then the other ways to spell it that are worth a try; lazily, for they cost directory reads."""
        yield path
        if not self._ignore_case:
            return
        listed = self._as_listed(path)
        if listed is not None and listed != path:
            yield listed
        lower = path.lower()
        if lower not in (path, listed):
            yield lower

    def _as_listed(self, path: str) -> str | None:
        """The first existing name, in sorted order, that differs from ``path`` in case only."""
        resolved = ""
        for part in path.split("/"):
            names = [entry.name for entry in self.entries(resolved) or ()]
            folded = part.casefold()
            match = part if part in names else min((n for n in names if n.casefold() == folded), default=None)
            if match is None:
                return None
            resolved = f"{resolved}/{match}" if resolved else match
        return resolved


def _without_standing(found: Content | Absent) -> Content | Absent:
    """An earlier source has the name in its keeping: that it says nothing to it now, and to this asker, is no promise."""
    return replace(found, standing=None) if isinstance(found, Content) and found.standing is not None else found


def bytes_content(name: str, data: bytes, *, mime: str = "application/octet-stream", modified_at: int = 0) -> Content:
    """A content that is held in memory; its ETag is a digest of the bytes, so it is strong whoever made them."""
    etag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    return Content(name, (data,), len(data), modified_at, etag, mime)


def listing_page(path: str, entries: Sequence[Entry]) -> Content:
    """A directory as an HTML page. Links are absolute: no redirect to a trailing slash is needed, which boot clients do not follow."""
    base = "/" + _link(path) + ("/" if path else "")
    title = html.escape("/" + _printable(path))
    rows = [f'<a href="/{_link(path.rpartition("/")[0])}">..</a>'] if path else []
    for entry in entries:
        slash = "/" if entry.directory else ""
        size = "" if entry.directory else f" {entry.size}"
        link, text = base + _link(entry.name) + slash, html.escape(_printable(entry.name) + slash)
        rows.append(f'<a href="{html.escape(link)}">{text}</a>{size}')
    text = (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1><pre>\n" + "\n".join(rows) + "\n</pre></body></html>\n"
    )
    modified_at = max((entry.modified_at for entry in entries), default=0)
    return bytes_content(path, text.encode(), mime="text/html", modified_at=modified_at)


def _link(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"), safe="/~")


def _printable(name: str) -> str:
    """For people: bytes that are no UTF-8 and control characters show as the replacement character."""
    return "".join("\N{REPLACEMENT CHARACTER}" if c in _CONTROL or "\ud800" <= c <= "\udfff" else c for c in name)
