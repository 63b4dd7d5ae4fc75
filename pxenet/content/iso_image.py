"""An ISO image on disk: its descriptors, and its directories by whichever names it has (Rock Ridge, Joliet, or ISO 9660's own).

Knows how to read a part of a file so that nothing in it can lead beyond its end, into a loop, or to memory without bound. Must not know
what is served of it. Faults of single files are told in their entries; an image that has no readable root raises IsoError.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from pxenet.wire.iso9660 import (
    ASSOCIATED,
    FIRST_DESCRIPTOR,
    MULTI_EXTENT,
    SECTOR,
    BootRecord,
    Record,
    RockRidge,
    Terminator,
    Volume,
    parse_descriptor,
    parse_records,
    plain_name,
    read_fields,
    susp_skip,
)
from pxenet.wire.reader import WireError

_MAX_DESCRIPTORS = 64
_MAX_DIRECTORY_BYTES = 64 << 20
"""A directory of half a million packages; larger ones are lies."""

_MAX_CONTINUATIONS = 64
"""Continuation areas of one record: a name and a link target of the longest kind need fewer than ten."""

_S_IFMT, _S_IFLNK, _S_IFREG = 0o170000, 0o120000, 0o100000


class IsoError(Exception):
    """The image cannot be served; the message says why, in words that follow its name."""


@dataclass(frozen=True, slots=True)
class IsoFile:
    """A file: where its bytes lie in the image, in order."""

    extents: tuple[tuple[int, int], ...]
    """Offset and length in bytes."""
    size: int
    modified_at: int
    fault: str = ""
    """Why it cannot be served, in words that follow its name."""


@dataclass(frozen=True, slots=True)
class IsoLink:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class IsoDirectory:
    """A directory: by what its own name space finds it."""

    at: int
    size: int
    modified_at: int = 0


Node = IsoFile | IsoLink | IsoDirectory


@dataclass(slots=True)
class About:
    """What the image says of itself as a whole."""

    volume_id: str = ""
    system_id: str = ""
    publisher: str = ""
    application: str = ""
    created: str = ""
    volume_bytes: int = 0
    image_bytes: int = 0
    names: str = ""
    """"rock ridge", "joliet", "iso 9660" or "udf": whose names are served."""
    boot_catalog: bool = False
    problems: list[str] = field(default_factory=list)
    """What is wrong with parts of it."""

    @property
    def missing_bytes(self) -> int:
        """How much of the volume the file lacks, from its own size: an interrupted download."""
        return max(0, self.volume_bytes - self.image_bytes)


class Image:
    """Parts of an open image. Nothing beyond its end is ever asked for."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the image. Raises IsoError where it ends before, and OSError."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise IsoError(f"ends at byte {self.size}, and something in it points to byte {offset + length}")
        data = b""
        while len(data) < length:
            more = os.pread(self.fd, length - len(data), offset + len(data))
            if not more:
                raise IsoError("became shorter while it was read")
            data += more
        return data


class IsoNames:
    """The directories of an ISO 9660 volume, by the best names that it has."""

    def __init__(self, image: Image, volume: Volume, rock_ridge_skip: int | None) -> None:
        self._image = image
        self._joliet = volume.joliet
        self._skip = rock_ridge_skip
        self.root = IsoDirectory(volume.root_extent, volume.root_size)

    @property
    def kind(self) -> str:
        """What these names are called."""
        return "rock ridge" if self._skip is not None else "joliet" if self._joliet else "iso 9660"

    @property
    def any_case(self) -> bool:
        """Names are found in whatever case: upper case is only how ISO 9660 had to write them."""
        return self._skip is None and not self._joliet

    def entries(self, directory: IsoDirectory) -> Iterator[tuple[str, Node]]:
        """What is in a directory. Raises IsoError, WireError and OSError; what was given before holds."""
        if directory.size > _MAX_DIRECTORY_BYTES:
            raise IsoError(f"has a directory of {directory.size} bytes")
        data = self._image.read(directory.at * SECTOR, directory.size)
        parts: list[Record] = []
        for record in parse_records(data):
            if record.name in (b"\0", b"\1") or record.flags & ASSOCIATED:
                continue
            parts.append(record)
            if record.flags & MULTI_EXTENT:
                continue
            found = self._entry(parts)
            parts = []
            if found is not None:
                yield found
        if parts:
            raise IsoError(f"lacks the last part of {plain_name(parts[0].name, self._joliet)}")

    def _entry(self, parts: list[Record]) -> tuple[str, Node] | None:
        """One file or directory out of its records (several: it is larger than 4 GiB); None when it is not to be shown."""
        record = parts[-1]
        fields = self._rock_ridge(parts[0])
        if fields.moved:
            return None
        name = fields.name.decode("utf-8", "surrogateescape") or plain_name(parts[0].name, self._joliet)
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            return None  # no path can lead there
        modified_at = record.modified_at if fields.modified_at is None else fields.modified_at
        if fields.child:
            return name, self._moved(fields.child)
        if fields.link or fields.mode & _S_IFMT == _S_IFLNK:
            return name, IsoLink(fields.link)
        if record.directory:
            return name, IsoDirectory(record.extent, record.size, modified_at)
        if fields.mode & _S_IFMT not in (0, _S_IFREG):
            return None  # a device, or a socket
        return name, self._file(parts, fields, modified_at)

    def _file(self, parts: list[Record], fields: RockRidge, modified_at: int) -> IsoFile:
        extents: list[tuple[int, int]] = []
        fault = ""
        for part in parts:
            start = part.extent * SECTOR
            if start + part.size > self._image.size:
                fault = f"lies beyond the end of the image, at byte {start + part.size} of {self._image.size}"
            if any(part.name != other.name for other in parts):
                fault = "is made of parts that have other names"
            if part.interleaved:
                fault = "is interleaved with others, which is not served"
            if not part.size:
                continue
            if extents and sum(extents[-1]) == start:
                extents[-1] = (extents[-1][0], extents[-1][1] + part.size)
            else:
                extents.append((start, part.size))
        if fields.compressed:
            fault = "is compressed by zisofs, which is not served"
        elif fields.sparse:
            fault = "is a sparse file, which is not served"
        return IsoFile(tuple(extents), sum(part.size for part in parts), modified_at, fault)

    def _moved(self, sector: int) -> IsoDirectory:
        """A directory that was moved elsewhere: its own first record tells its size."""
        for record in parse_records(self._image.read(sector * SECTOR, SECTOR)):
            if record.name == b"\0" and record.directory:
                return IsoDirectory(record.extent, record.size, record.modified_at)
            break
        raise IsoError(f"says that a directory was moved to sector {sector}, and there is none")

    def _rock_ridge(self, record: Record) -> RockRidge:
        found = RockRidge()
        if self._skip is None:
            return found
        onward = read_fields(record.system_use[self._skip :], found)
        for _ in range(_MAX_CONTINUATIONS):
            if onward is None:
                return found
            sector, offset, length = onward
            if length > SECTOR:
                raise IsoError(f"has a continuation area of {length} bytes")
            onward = read_fields(self._image.read(sector * SECTOR + offset, length), found)
        raise IsoError("has continuation areas without end")


def open_names(image: Image) -> tuple[About, IsoNames]:
    """What an image is, and its directories. Raises IsoError when it is none, or when its root cannot be read; OSError."""
    try:
        volumes, catalog = _descriptors(image)
    except WireError as error:
        raise IsoError(f"is not an ISO 9660 image ({error})") from error
    primary = next((volume for volume in volumes if not volume.joliet), None)
    if primary is None:
        raise IsoError("has no primary volume descriptor")
    joliet = next((volume for volume in volumes if volume.joliet), None)
    names = IsoNames(image, primary, _rock_ridge_skip(image, primary))
    if names.any_case and joliet is not None:
        names = IsoNames(image, joliet, None)
    about = About(
        volume_id=primary.volume_id,
        system_id=primary.system_id,
        publisher=primary.publisher,
        application=primary.application,
        created=primary.created,
        volume_bytes=primary.blocks * SECTOR,
        image_bytes=image.size,
        names=names.kind,
        boot_catalog=catalog,
    )
    return about, names


def _descriptors(image: Image) -> tuple[list[Volume], bool]:
    volumes: list[Volume] = []
    catalog = False
    for number in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + _MAX_DESCRIPTORS):
        at = number * SECTOR
        found = parse_descriptor(image.read(at, SECTOR) if at + SECTOR <= image.size else b"")
        if isinstance(found, Terminator):
            return volumes, catalog
        if isinstance(found, BootRecord):
            catalog = True
        elif found is not None:
            volumes.append(found)
    raise IsoError("has volume descriptors without end")


def _rock_ridge_skip(image: Image, volume: Volume) -> int | None:
    """How to read Rock Ridge fields, when the volume has any: the first record of the root says so."""
    try:
        root = image.read(volume.root_extent * SECTOR, SECTOR)
        first = next(iter(parse_records(root)), None)
    except WireError as error:
        raise IsoError(f"has a damaged root directory ({error})") from error
    if first is None or first.name != b"\0":
        raise IsoError("has a damaged root directory (it does not begin with itself)")
    return susp_skip(first.system_use)
