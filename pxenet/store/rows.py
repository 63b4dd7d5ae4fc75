"""How records become rows of SQLite, and rows records: one table of columns for each kind. Knows no database, and no protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pxenet.model import AddedHost, Change, DiscoveredMachine, InstallRecord, InstallState, Lease, LeaseState, SeenHost


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a record: its name in record and table alike, its SQL type, and the two directions."""

    name: str
    sql: str
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]
    since: int = 1
    """The schema that brought it, where it came later than its table; it then needs a default in ``sql``, and one in the record."""


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of record. The first column is the key."""

    name: str
    record: type[Change]
    columns: tuple[Column, ...]
    since: int = 1
    """The schema that brought it."""

    @property
    def create(self) -> str:
        first, *others = (f"{c.name} {c.sql}" for c in self.columns)
        return f"CREATE TABLE {self.name} ({', '.join([first + ' PRIMARY KEY', *others])})"

    @property
    def upsert(self) -> str:
        """One statement for any number of rows: its parameter is a JSON array of arrays."""
        names = [c.name for c in self.columns]
        values = ", ".join(f"json_extract(value, '$[{i}]')" for i in range(len(names)))
        update = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        # "WHERE true" is for SQLite's parser: without it, ON CONFLICT would read as the ON of a join.
        return (
            f"INSERT INTO {self.name} ({', '.join(names)}) SELECT {values} FROM json_each(?) WHERE true "
            f"ON CONFLICT ({names[0]}) DO UPDATE SET {update}"
        )

    def select(self, version: int) -> str:
        """All rows, as far as a store of that schema has columns for them."""
        names = [c.name for c in self.columns if c.since <= version]
        return f"SELECT {', '.join(names)} FROM {self.name} ORDER BY {names[0]}"

    def upgrade(self, version: int) -> list[str]:
        """What brings a store of an earlier schema up to date."""
        if self.since > version:
            return [self.create]
        later = (c for c in self.columns if c.since > version)
        return [f"ALTER TABLE {self.name} ADD COLUMN {c.name} {c.sql}" for c in later]

    def pack(self, record: Change) -> list[Any]:
        return [c.pack(getattr(record, c.name)) for c in self.columns]

    def unpack(self, row: Sequence[Any]) -> Any:
        return self.record(*(c.unpack(value) for c, value in zip(self.columns, row, strict=False)))


def _same(value: Any) -> Any:
    return value


def _integer(name: str, since: int = 1) -> Column:
    return Column(name, "INTEGER NOT NULL" if since == 1 else "INTEGER NOT NULL DEFAULT 0", _same, _same, since)


def _hex(name: str) -> Column:
    # Text rather than BLOB: JSON has no bytes, and unhex() only came with SQLite 3.41.
    return Column(name, "TEXT NOT NULL", bytes.hex, bytes.fromhex)


def _text(name: str, since: int = 1) -> Column:
    # Kept with JSON's escapes, which plain names have none of: host names come off the wire, and a NUL or a lone surrogate in one
    # would be cut or refused by SQLite.
    sql = "TEXT NOT NULL" if since == 1 else "TEXT NOT NULL DEFAULT ''"
    return Column(name, sql, lambda s: json.dumps(s)[1:-1], lambda s: json.loads(f'"{s}"', strict=False), since)


def _time(name: str) -> Column:
    # JSON has no infinity; NULL is "for ever".
    return Column(
        name,
        "REAL",
        lambda at: None if at == math.inf else float(at),
        lambda at: math.inf if at is None else at,
    )


def _enum(name: str, kind: type[LeaseState] | type[InstallState]) -> Column:
    return Column(name, "TEXT NOT NULL", lambda member: member.value, kind)


# Columns stand in the order of the record's fields.
TABLES = (
    Table(
        "lease",
        Lease,
        (
            _integer("address"),
            _hex("identity"),
            _hex("mac"),
            _time("expires_at"),
            _enum("state", LeaseState),
            _text("hostname"),
            _time("since_at"),
            _hex("client_id"),
        ),
    ),
    Table(
        "host",
        SeenHost,
        (
            _text("key"),
            _hex("mac"),
            _text("uuid"),
            _integer("arch"),
            _time("first_seen_at"),
            _time("last_seen_at"),
            _text("vendor_class"),
            _integer("address", since=5),
        ),
    ),
    Table(
        "install",
        InstallRecord,
        (
            _text("key"),
            _enum("state", InstallState),
            _text("profile"),
            _integer("attempts"),
            _integer("generation"),
            _time("since_at"),
            _text("reason"),
            _text("log", since=3),
        ),
    ),
    Table("added", AddedHost, (_text("name"), _text("keys")), since=2),
    Table("discovered", DiscoveredMachine, (_text("key"), _time("at"), _text("told")), since=4),
)
TABLE_OF = {table.record: table for table in TABLES}
UPSERT = {table.record: table.upsert for table in TABLES}
