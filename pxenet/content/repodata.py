"""The checksums that an RPM repository promises: ``repomd.xml`` tells those of its indexes, ``primary.xml`` those of its packages.

Knows as much of their XML as that needs, entity declarations refused. Must not know where they come from.
"""

from __future__ import annotations

import gzip
import lzma
import posixpath
import zlib
from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

from pxenet.content.media.found import inside

REPOMD = "repodata/repomd.xml"
MAX_FILES = 500_000
_PIECE_BYTES = 1 << 20
MAX_REPOMD_BYTES = 4 << 20
MAX_TEXT_BYTES = 4 << 30
"""Of an index unpacked; Fedora's is a tenth of that."""

_ALGORITHMS = {name: name for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")} | {"sha": "sha1"}


class RepodataError(Exception):
    """It is no index, or not one that is believed."""


class _Reader:
    """Both files alike: an element (``data``, ``package``) that holds a ``checksum`` and a ``location``."""

    def __init__(self, element: str) -> None:
        self._element = element
        self._inside = False
        self._text: list[str] | None = None
        self._algorithm = self._digest = self._path = ""
        self.kind = ""
        self.found: dict[str, str] = {}
        self.primary = ""
        """Where the index of packages is."""
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.EntityDeclHandler = self._entity

    def feed(self, data: bytes, final: bool = False) -> None:
        """More of the file. Raises RepodataError."""
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise RepodataError(str(error)) from error

    def _entity(self, *_: object) -> None:
        raise RepodataError("it declares entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == self._element:
            self._inside = True
            self._algorithm = self._digest = self._path = ""
            self.kind = attributes.get("type", "")
        elif self._inside and name == "checksum":
            self._algorithm = _ALGORITHMS.get(attributes.get("type", "").lower(), "")
            self._text = []
        elif self._inside and name == "location":
            self._path = inside(attributes.get("href")) or ""

    def _data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        if name == "checksum" and self._text is not None:
            self._digest = "".join(self._text).strip().lower()
            self._text = None
        elif name == self._element:
            self._inside = False
            if self._path and self._algorithm and self._digest:
                if len(self.found) >= MAX_FILES:
                    raise RepodataError(f"it names more than {MAX_FILES} files")
                self.found[self._path] = f"{self._algorithm}:{self._digest}"
                if self.kind == "primary":
                    self.primary = self._path


def read_repomd(data: bytes) -> tuple[dict[str, str], str]:
    """(path → ``algorithm:hex`` of the indexes, path of the index of packages or ""). Paths begin where the repository does."""
    reader = _Reader("data")
    reader.feed(data, True)
    return reader.found, reader.primary


def read_primary(file: IO[bytes], name: str) -> dict[str, str]:
    """Path → ``algorithm:hex`` of the packages, of an index packed as its name says; nothing of packings unknown here (zstd).

    Raises RepodataError and OSError.
    """
    reader = _Reader("package")
    size = 0
    try:
        for data in _unpacked(file, name):
            size += len(data)
            if size > MAX_TEXT_BYTES:
                raise RepodataError(f"it has more than {MAX_TEXT_BYTES} bytes")
            reader.feed(data)
        if size:
            reader.feed(b"", True)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise RepodataError(f"it cannot be unpacked: {error}") from error
    return reader.found


def _unpacked(file: IO[bytes], name: str) -> Iterator[bytes]:
    if name.endswith(".gz"):
        with gzip.GzipFile(fileobj=file) as packed:
            yield from iter(lambda: packed.read(_PIECE_BYTES), b"")
    elif name.endswith(".xz"):
        with lzma.LZMAFile(file) as packed_xz:
            yield from iter(lambda: packed_xz.read(_PIECE_BYTES), b"")
    elif name.endswith(".xml"):
        yield from iter(lambda: file.read(_PIECE_BYTES), b"")


def repository_of(path: str) -> str | None:
    """Where the repository begins whose ``repomd.xml`` this is; None when it is none."""
    if path == REPOMD or path.endswith("/" + REPOMD):
        return path[: -len(REPOMD)]
    return None


def below(repository: str, found: dict[str, str]) -> dict[str, str]:
    """The same paths, as the source names them."""
    return {posixpath.join(repository, path): digest for path, digest in found.items()}
