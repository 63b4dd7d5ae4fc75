"""Volume descriptors and directory records of ISO 9660 images, with Joliet names and Rock Ridge (SUSP) fields.

Knows bytes: ECMA-119 (the standard's free twin), the Joliet specification, IEEE P1281 (SUSP) and P1282 (RRIP). Must not know where
an image is, nor how its directories hang together: extents come out as numbers, and whoever reads them looks whether they exist.
"""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass

from pxenet.wire.reader import WireError

SECTOR = 2048

FIRST_DESCRIPTOR = 16
"""Sector of the first volume descriptor (ECMA-119 §6.2.1): before it is room for boot sectors."""

_MAGIC = b"CD001"
_JOLIET = (b"%/@", b"%/C", b"%/E")
"""Escape sequences of the three UCS-2 levels (Joliet specification §3.2)."""

_RECORD_BYTES = 34
"""The shortest directory record: 33 octets and one of a name (ECMA-119 §9.1)."""

HIDDEN, DIRECTORY, ASSOCIATED, MULTI_EXTENT = 0x01, 0x02, 0x04, 0x80
"""File flags (ECMA-119 §9.1.6)."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A primary or supplementary volume descriptor."""

    joliet: bool
    system_id: str
    volume_id: str
    blocks: int
    """Size of the volume in sectors, as it says of itself; trailing data is allowed, a smaller image is cut."""
    root_extent: int
    """First sector of the root directory."""
    root_size: int
    """Bytes."""
    publisher: str = ""
    preparer: str = ""
    application: str = ""
    created: str = ""
    """Digits ``YYYYMMDDhhmmss`` as they stand there."""


@dataclass(frozen=True, slots=True)
class BootRecord:
    """A boot record that says El Torito, and the sector of its catalog."""

    catalog: int


class Terminator:
    """The end of the descriptors."""


@dataclass(frozen=True, slots=True)
class Record:
    """One directory record."""

    name: bytes
    """As it stands there: ``\\0`` and ``\\1`` for the directory itself and the one above it."""
    extent: int
    """First sector of its data, behind an extended attribute record if there is one."""
    size: int
    flags: int
    modified_at: int
    interleaved: bool
    """Its data is spread over the volume with gaps; nothing made today does that."""
    system_use: bytes

    @property
    def directory(self) -> bool:
        """It is one."""
        return bool(self.flags & DIRECTORY)


@dataclass(slots=True)
class RockRidge:
    """What the SUSP fields of one record say, as far as it matters to who reads files."""

    name: bytes = b""
    """Empty: the record's own name holds."""
    link: str = ""
    """Target of a symbolic link; empty when it is none."""
    mode: int = 0
    """POSIX file mode; 0 when not told."""
    modified_at: int | None = None
    child: int = 0
    """Sector of the directory that this stands for (CL): it was moved, to keep ISO 9660's limit of eight levels."""
    moved: bool = False
    """The place to which a directory was moved (RE): not to be shown."""
    compressed: bool = False
    """zisofs (ZF): the data is not the file's."""
    sparse: bool = False
    """A sparse file (SF): the data is not the file's."""
    present: bool = False
    """Some Rock Ridge field was there."""
    _link_parts: list[str] | None = None
    _link_open: bool = False
    _name_more: bool = True


def parse_descriptor(data: bytes) -> Volume | BootRecord | Terminator | None:
    """One sector of the descriptor sequence; None for a kind that does not matter. Raises WireError when it is no descriptor."""
    if len(data) < SECTOR:
        raise WireError(len(data), "volume descriptor", "the image ends here")
    if data[1:6] != _MAGIC:
        raise WireError(1, "standard identifier", "is not CD001: this is no ISO 9660 image")
    kind = data[0]
    if kind == 255:
        return Terminator()
    if kind == 0 and data[7:39].rstrip(b"\0 ") == b"EL TORITO SPECIFICATION":
        return BootRecord(int.from_bytes(data[71:75], "little"))
    if kind == 1:
        return _volume(data, joliet=False)
    if kind == 2 and data[88:91] in _JOLIET:
        return _volume(data, joliet=True)
    return None


def _volume(data: bytes, joliet: bool) -> Volume:
    block = int.from_bytes(data[128:130], "little")
    if block != SECTOR:
        raise WireError(128, "logical block size", f"is {block}; install media have {SECTOR}")
    root = data[156:190]
    if root[0] < _RECORD_BYTES or not root[25] & DIRECTORY:
        raise WireError(156, "root directory record", "is no directory")

    def text(start: int, end: int) -> str:
        raw = data[start:end]
        decoded = raw.decode("utf-16-be", "replace") if joliet else raw.decode("ascii", "replace")
        return "".join(c if c.isprintable() else " " for c in decoded).strip()

    created = data[813:827]
    return Volume(
        joliet=joliet,
        system_id=text(8, 40),
        volume_id=text(40, 72),
        blocks=int.from_bytes(data[80:84], "little"),
        root_extent=int.from_bytes(root[2:6], "little"),
        root_size=int.from_bytes(root[10:14], "little"),
        publisher=text(318, 446),
        preparer=text(446, 574),
        application=text(574, 702),
        created=created.decode("ascii") if created.isdigit() else "",
    )


def parse_records(data: bytes) -> Iterator[Record]:
    """The records of a directory's extent, in order. Raises WireError for one that does not fit into its sector."""
    offset = 0
    while offset < len(data):
        length = data[offset]
        if not length:  # records do not cross sectors: the rest of this one is empty
            offset = (offset // SECTOR + 1) * SECTOR
            continue
        end = offset + length
        if length < _RECORD_BYTES or end > len(data) or (end - 1) // SECTOR != offset // SECTOR:
            raise WireError(offset, "directory record", f"has length {length}, which does not fit")
        yield _record(data[offset:end], offset)
        offset = end


def _record(raw: bytes, at: int) -> Record:
    name_end = 33 + raw[32]
    if not raw[32] or name_end > len(raw):
        raise WireError(at, "length of file identifier", f"is {raw[32]}, more than its record holds")
    # A name of even length is followed by a padding octet (ECMA-119 §9.1.12).
    return Record(
        name=raw[33:name_end],
        extent=int.from_bytes(raw[2:6], "little") + raw[1],
        size=int.from_bytes(raw[10:14], "little"),
        flags=raw[25],
        modified_at=_seven_byte_time(raw[18:25]),
        interleaved=bool(raw[26] or raw[27]),
        system_use=raw[name_end + (1 - raw[32] % 2) :],
    )


def _seven_byte_time(raw: bytes) -> int:
    """Years since 1900, month, day, hour, minute, second, quarters of an hour from Greenwich (ECMA-119 §9.1.5); 0 for nonsense."""
    year, month, day, hour, minute, second, zone = raw
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return 0
    quarters = zone - 256 if zone > 127 else zone
    return max(0, timegm((1900 + year, month, day, hour, minute, second)) - quarters * 900)


# -- SUSP and Rock Ridge -------------------------------------------------------------------------------------------------------

Continuation = tuple[int, int, int]
"""Sector, offset in it, length of a continuation area (CE)."""


def susp_skip(root_system_use: bytes) -> int | None:
    """From the root's own record: octets to skip in each system use area (SP); None when the volume has no SUSP fields."""
    for start in (0, 15):  # CD-ROM XA puts 14 octets before them, and some masterers a padding
        field = root_system_use[start : start + 7]
        if len(field) == 7 and field[:2] == b"SP" and field[4:6] == b"\xbe\xef":
            return field[6]
    return None


def read_fields(area: bytes, found: RockRidge) -> Continuation | None:
    """Add what a system use area (or a continuation of it) says to ``found``; where it goes on, if it does.

    Raises WireError for a field that does not fit.
    """
    offset = 0
    onward: Continuation | None = None
    while offset + 4 <= len(area):
        signature, length = area[offset : offset + 2], area[offset + 2]
        if signature == b"\0\0" or signature == b"ST":
            break
        if length < 4 or offset + length > len(area):
            raise WireError(offset, "SUSP field", f"has length {length}, which does not fit")
        body = area[offset + 4 : offset + length]
        if signature == b"CE" and len(body) >= 24:
            onward = (
                int.from_bytes(body[0:4], "little"),
                int.from_bytes(body[8:12], "little"),
                int.from_bytes(body[16:20], "little"),
            )
        else:
            _rock_ridge(signature, body, found)
        offset += length
    return onward


def _rock_ridge(signature: bytes, body: bytes, found: RockRidge) -> None:
    if signature == b"NM" and body:
        # 0x02 and 0x04 say "the directory itself" and "the one above" (RRIP §4.1.4).
        if not body[0] & 0x06 and found._name_more:
            found.name += body[1:]
            found._name_more = bool(body[0] & 0x01)
    elif signature == b"PX" and len(body) >= 4:
        found.mode = int.from_bytes(body[0:4], "little")
    elif signature == b"SL" and body:
        _symbolic_link(body, found)
    elif signature == b"CL" and len(body) >= 4:
        found.child = int.from_bytes(body[0:4], "little")
    elif signature == b"RE":
        found.moved = True
    elif signature == b"TF" and body:
        found.modified_at = _modification_time(body)
    elif signature == b"ZF":
        found.compressed = True
    elif signature == b"SF":
        found.sparse = True
    elif signature not in (b"RR", b"PL"):
        return
    found.present = True


def _symbolic_link(body: bytes, found: RockRidge) -> None:
    """Components of the target (RRIP §4.1.3.1): 0x02 is ``.``, 0x04 ``..``, 0x08 the root; 0x01: the next one continues it."""
    if found._link_parts is None:
        found._link_parts = []
    parts, offset = found._link_parts, 1
    while offset + 2 <= len(body):
        flags, length = body[offset], body[offset + 1]
        text = body[offset + 2 : offset + 2 + length].decode("utf-8", "surrogateescape")
        offset += 2 + length
        if flags & 0x08:
            parts.append("")
        elif flags & 0x06:
            parts.append("." if flags & 0x02 else "..")
        elif found._link_open and parts:
            parts[-1] += text
        else:
            parts.append(text)
        found._link_open = bool(flags & 0x01)
    found.link = "/".join(parts) or "/"


def _modification_time(body: bytes) -> int | None:
    """Of the time stamps (RRIP §4.1.6): creation is bit 0, modification bit 1; bit 7 says that they have 17 octets each."""
    if not body[0] & 0x02:
        return None
    size = 17 if body[0] & 0x80 else 7
    start = 1 + (size if body[0] & 0x01 else 0)
    raw = body[start : start + size]
    if len(raw) < size:
        return None
    if size == 7:
        return _seven_byte_time(raw)
    digits = raw[:14]
    if not digits.isdigit():
        return None
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    if not (1970 <= year and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    return timegm((year, month, day, int(digits[8:10]), int(digits[10:12]), int(digits[12:14])))


def plain_name(raw: bytes, joliet: bool) -> str:
    """A record's own name for people: without version (``;1``) and the empty extension's dot, ISO 9660's upper case in lower."""
    text = raw.decode("utf-16-be", "replace") if joliet else raw.decode("latin-1")
    text = text.partition(";")[0] if not joliet else text.rpartition(";1")[0] or text
    return text if joliet else text.rstrip(".").lower()
