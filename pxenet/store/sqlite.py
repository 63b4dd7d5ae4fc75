"""The durable store of one server: SQLite in the state directory.

Knows what a state directory must look like before it may be trusted. Must not know protocols,
nor what a state means.

A commit is one SQL statement for each kind of record, fed a whole batch as one JSON text. ``executemany`` would take the interpreter
lock back at every row, and beside a busy event loop that is hundreds of times slower. With ``synchronous=FULL`` in WAL mode each
transaction ends with exactly one flush of the log.

Files, all of mode 0600: ``pxenet.db`` (with ``-wal`` and ``-shm`` while in use), ``pxenet.lock`` (one server at a time), and
``pxenet.marker``: it says that a store was here, so that a lost database is noticed instead of every machine being installed again.

Growth is bounded: a lease is one row per address, machines seen are kept up to ``max_hosts`` (the longest unseen go first), and an
install state is one row per machine that was given a profile.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pxenet.model import AddedHost, Change, DiscoveredMachine, InstallRecord, Lease, SeenHost, Verdict
from pxenet.store.base import MAX_HOSTS, StoreError, StoreInUseError
from pxenet.store.rows import TABLE_OF, TABLES, UPSERT

DATABASE = "pxenet.db"
MARKER = "pxenet.marker"
LOCK = "pxenet.lock"

_SCHEMA = 5
_APPLICATION = 0x7078656E  # "pxen": file(1) and we can tell our database from a stray one
_BUSY_S = 2.0  # a person's sqlite3 shell may hold the write lock for a moment; longer than this is a failure

_MARKER_TEXT = """\
A pxenet store lives in this directory (pxenet.db). While this file is here, the server refuses to start without that store:
starting empty would forget which machines are installed, and install all of them again. Delete this file only to begin anew.
"""


_FORGET = "DELETE FROM added WHERE keys = ?"
_PRUNE = "DELETE FROM host WHERE key IN (SELECT key FROM host ORDER BY last_seen_at DESC, key LIMIT -1 OFFSET ?)"


class SqliteStore:
    """See ``store.base.Store``. Made by :func:`open_sqlite`; holds the directory's lock until ``close``."""

    def __init__(
        self, directory: Path, lock: int, connection: sqlite3.Connection, max_hosts: int, *, reading: bool = False
    ) -> None:
        self._directory = directory
        self._reading = reading
        self._lock = lock
        self._connection: sqlite3.Connection | None = connection
        self._max_hosts = max_hosts
        self._inode = _inode(directory)
        self._hosts_at_most = self._count_hosts(connection)
        self._secret = _read_secret(connection)
        self.last_failure = ""
        """Why the latest failed commit failed, in SQLite's words; empty after one that worked."""

    def leases(self) -> list[Lease]:
        """Every stored lease, whatever its state. StoreError if they cannot be read."""
        return self._load(Lease)

    def hosts(self) -> list[SeenHost]:
        """The machines seen, about ``max_hosts`` at most. StoreError if they cannot be read."""
        return self._load(SeenHost)

    def installs(self) -> list[InstallRecord]:
        """The install state of every machine that has one. StoreError if they cannot be read."""
        return self._load(InstallRecord)

    def added(self) -> list[AddedHost]:
        """Every host that was added and not removed again. StoreError if they cannot be read."""
        return self._load(AddedHost)

    def discovered(self) -> list[DiscoveredMachine]:
        """What machines said that they are. StoreError if they cannot be read."""
        return self._load(DiscoveredMachine)

    def secret(self) -> bytes:
        """The 32 bytes from which machines' tokens are made."""
        return self._secret

    def commit(self, batch: Sequence[Change]) -> list[Verdict]:
        """Make all changes durable with one flush, or none of them: then all are ``FAILED`` and a later commit tries afresh."""
        if not batch:
            return []
        statements = list(self._statements(batch))
        try:
            connection = self._usable()
            self._execute(connection, statements)
        except (sqlite3.DatabaseError, OSError) as error:
            if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError | sqlite3.DataError):
                raise  # our mistake, not the disk's
            self.last_failure = str(error)
            self._discard()
            return [Verdict.FAILED] * len(batch)
        self.last_failure = ""
        return [Verdict.DURABLE] * len(batch)

    def close(self) -> None:
        """Fold the log into the database and release the directory."""
        self._discard()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _load(self, kind: type[Change]) -> list[Any]:
        table = TABLE_OF[kind]
        try:
            connection = self._usable()
            version = _version(connection)
            if version < table.since:  # only looked at, and written by an earlier version
                return []
            rows = connection.execute(table.select(version)).fetchall()
            return [table.unpack(row) for row in rows]
        except (sqlite3.DatabaseError, ValueError, TypeError, OSError) as error:
            raise StoreError(_unreadable(self._directory, f"table {table.name}: {error}")) from error

    def _statements(self, batch: Sequence[Change]) -> Iterable[tuple[str, str | int]]:
        rows: dict[type[Change], dict[int | str, list[Any]]] = {}
        for change in batch:
            row = TABLE_OF[type(change)].pack(change)
            rows.setdefault(type(change), {})[row[0]] = row
        for kind, by_key in rows.items():
            yield UPSERT[kind], json.dumps(list(by_key.values()), allow_nan=False)
        if AddedHost in rows:
            yield _FORGET, ""
        self._hosts_at_most += len(rows.get(SeenHost, ()))
        # Counting is exact only here, and rarely: known machines that show themselves again raise the estimate too.
        if self._hosts_at_most > self._max_hosts + self._max_hosts // 8 and self._connection is not None:
            yield _PRUNE, self._max_hosts
            self._hosts_at_most = self._max_hosts

    @staticmethod
    def _execute(connection: sqlite3.Connection, statements: Sequence[tuple[str, str | int]]) -> None:
        if len(statements) == 1:  # its own transaction: one release of the interpreter lock instead of three
            connection.execute(statements[0][0], (statements[0][1],))
            return
        connection.execute("BEGIN IMMEDIATE")
        for statement, parameter in statements:
            connection.execute(statement, (parameter,))
        connection.execute("COMMIT")

    def _usable(self) -> sqlite3.Connection:
        """The connection; after a failure a fresh one, because the old one may be stuck in the failed state."""
        if self._lock < 0:
            raise sqlite3.ProgrammingError("the store is closed")
        if self._connection is None:
            # Never create here: a database that vanished while the server runs is a failure, not a new beginning.
            self._connection = _connect(self._directory, reading=self._reading)
            if _read_secret(self._connection) != self._secret:
                self._discard()
                raise sqlite3.OperationalError("the database was replaced by another one while the server was running")
            self._inode = _inode(self._directory)
        elif _inode(self._directory) != self._inode:
            # SQLite would go on writing into the deleted file, and nobody would ever read that again.
            raise sqlite3.OperationalError("the database was removed or replaced while the server was running")
        return self._connection

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()  # rolls back what is open
            except sqlite3.Error:
                pass  # a disk that fails may fail here too; what was acknowledged is in the log

    @staticmethod
    def _count_hosts(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM host").fetchone()[0])


def open_sqlite(directory: Path, *, max_hosts: int = MAX_HOSTS, create: bool = True) -> SqliteStore:
    """Open the store in ``directory``, making both when there was never one and ``create`` allows it.

    Raises StoreError when another server uses the directory, when the database is damaged or of a later version, and when a marker
    says that there was a store which is not there any more.
    """
    try:
        if create:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            _expect(directory)
        lock = _take_lock(directory)
    except OSError as error:
        raise StoreError(f"{directory}: state directory cannot be used: {error.strerror}") from error
    return _opened(directory, lock, max_hosts, reading=False)


def read_sqlite(directory: Path) -> SqliteStore:
    """Open the store in ``directory`` to look at it: nothing is made, every commit fails. Raises StoreError.

    Also beside a running server: it takes no lock, so that a server which is just starting does not find one.
    """
    try:
        _expect(directory)
        unlocked = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{directory}: state directory cannot be read: {error.strerror}") from error
    return _opened(directory, unlocked, MAX_HOSTS, reading=True)


def _opened(directory: Path, lock: int, max_hosts: int, *, reading: bool) -> SqliteStore:
    connection: sqlite3.Connection | None = None
    try:
        connection = _open_to_read(directory) if reading else _open_checked(directory)
        return SqliteStore(directory, lock, connection, max_hosts, reading=reading)
    except (sqlite3.Error, OSError, StoreError) as error:
        if connection is not None:
            connection.close()
        os.close(lock)
        if isinstance(error, StoreError):
            raise
        raise StoreError(_unreadable(directory, str(error))) from error


def _expect(directory: Path) -> None:
    """There is a store, or was one; StoreError when there never was. OSError when nobody may look."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        names = []
    if DATABASE not in names and MARKER not in names:
        raise StoreError(f"{directory}: there is no store here; no server has used this state directory yet")


def _take_lock(directory: Path) -> int:
    # flock, not lockf: it also refuses a second store in the same process.
    lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreInUseError(
            f"{directory}: another server uses this state directory (process {owner}); stop it, or give this one its own server.state"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _open_checked(directory: Path) -> sqlite3.Connection:
    database, marker = directory / DATABASE, directory / MARKER
    _refuse_loss(directory)
    # SQLite gives its -wal and -shm the mode of the database, so making it 0600 first covers all three.
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    os.chmod(database, 0o600)
    connection = _connect(directory)
    try:
        _check_schema(directory, connection, fresh=not marker.exists())
    except BaseException:
        connection.close()
        raise
    if not marker.exists():
        _write_marker(directory)
    return connection


def _open_to_read(directory: Path) -> sqlite3.Connection:
    _refuse_loss(directory)
    connection = _connect(directory, reading=True)
    try:
        _check_schema(directory, connection, fresh=False, reading=True)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_loss(directory: Path) -> None:
    database, marker = directory / DATABASE, directory / MARKER
    # A log without its database counts as a trace too: SQLite would replay it into the new, empty one.
    traces = [path for path in (marker, directory / f"{DATABASE}-wal") if path.exists()]
    if traces and not database.exists():
        found = " and ".join(map(str, traces))
        raise StoreError(
            f"{database} is missing, but {found} says that a store was here: starting without it would install every machine "
            f"again. Restore {DATABASE} from a backup; or, to begin anew with every machine armed, delete {found}"
        )


def _connect(directory: Path, *, reading: bool = False) -> sqlite3.Connection:
    uri = f"{(directory / DATABASE).absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        if reading:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(directory: Path, connection: sqlite3.Connection, *, fresh: bool, reading: bool = False) -> None:
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if empty and fresh:
        _use_log(directory, connection)
        _create(connection)
        return
    if empty:
        raise StoreError(_unreadable(directory, "it is empty"))
    if application != _APPLICATION:
        raise StoreError(
            f"{directory / DATABASE} is a database of some other program; move it away or set server.state"
        )
    if version > _SCHEMA:
        raise StoreError(
            f"{directory / DATABASE} was written by a later pxenet (schema {version}, this one knows {_SCHEMA}): "
            f"run that version, or restore a backup from before the upgrade"
        )
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise StoreError(_unreadable(directory, str(problem)))
    for table in TABLES:
        if table.since <= version:
            connection.execute(f"{table.select(version)} LIMIT 0")  # raises when table or column is missing
    _use_log(directory, connection)
    if version < _SCHEMA and not reading:
        _upgrade(connection, version)


def _use_log(directory: Path, connection: sqlite3.Connection) -> None:
    """Switch to WAL, which the file keeps. Only after looking at it: this writes, and a stray database is not ours to change."""
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"{directory}: SQLite cannot keep a write-ahead log here (it stays in mode {mode}); use a local disk"
        )


def _create(connection: sqlite3.Connection) -> None:
    """All or nothing: a crash in the middle leaves an empty file, which the next start takes for a new one."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    connection.execute("INSERT INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32).hex(),))
    for table in TABLES:
        connection.execute(table.create)
    connection.execute("CREATE INDEX host_by_last_seen ON host (last_seen_at)")
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    """From an earlier schema to ours, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        for statement in table.upgrade(version):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _inode(directory: Path) -> int:
    return os.stat(directory / DATABASE).st_ino


def _read_secret(connection: sqlite3.Connection) -> bytes:
    row = connection.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
    if row is None or len(row[0]) != 64:
        raise sqlite3.DatabaseError("its secret is missing")
    return bytes.fromhex(row[0])


def _write_marker(directory: Path) -> None:
    """After the database is durable, never before: the other order would refuse the start after a crash in between."""
    descriptor = os.open(directory / MARKER, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, _MARKER_TEXT.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    for place in (directory.resolve(), *directory.resolve().parents):
        _flush_names(place)


def _flush_names(directory: Path) -> None:
    """Make the names in a directory durable: without its directory's own name a store is lost, flushed as it may be (fsync(2))."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # far above us; what we may not even look into, nobody has just made for us
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # file systems that have nothing to flush
            raise
    finally:
        os.close(descriptor)


def _unreadable(directory: Path, why: str) -> str:
    database, marker = directory / DATABASE, directory / MARKER
    return (
        f"{database} cannot be read ({why}). Restore it from a backup; or, to begin anew with every machine armed "
        f"and thus installed again, move {database} (with its -wal and -shm) away and delete {marker}"
    )
