"""What the state directory must survive: reopening, damage, loss, a second server, a disk that fails."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from dataclasses import fields
from functools import partial
from pathlib import Path

import needs
import pytest

from pxenet.model import AddedHost, Change, InstallRecord, InstallState, Lease, SeenHost, Verdict
from pxenet.store.base import StoreError
from pxenet.store.rows import TABLES
from pxenet.store.sqlite import DATABASE, LOCK, MARKER, open_sqlite, read_sqlite

WAL = f"{DATABASE}-wal"
INSTALLED = InstallRecord("52:54:00:12:34:56", InstallState.INSTALLED, "alma9", 1)


def lease(number: int) -> Lease:
    return Lease(number, b"\x01" + number.to_bytes(6, "big"), number.to_bytes(6, "big"), 1e9)


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A state directory that was used and cleanly closed."""
    directory = tmp_path / "state"
    store = open_sqlite(directory)
    store.commit([INSTALLED, *map(lease, range(200))])
    store.close()
    return directory


def refusal(directory: Path) -> str:
    with pytest.raises(StoreError) as caught:
        open_sqlite(directory)
    return str(caught.value)


def test_reopening_brings_everything_back(used: Path) -> None:
    store = open_sqlite(used)
    assert list(store.installs()) == [INSTALLED]
    assert list(store.leases()) == [lease(n) for n in range(200)]
    store.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """Directory and files hold a secret: nobody else reads them, whatever the umask."""
    before = os.umask(0)
    try:
        store = open_sqlite(tmp_path / "deep" / "state")
        store.commit([lease(1)])
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "deep" / "state").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys([DATABASE, WAL, f"{DATABASE}-shm", LOCK, MARKER], 0o600)
    assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o700


def test_two_servers_never_share_a_directory(used: Path) -> None:
    """Neither in one process nor in two; the message names the directory, the other process and the way out."""
    first = open_sqlite(used)
    said = refusal(used)
    assert str(used) in said
    assert f"process {os.getpid()}" in said
    assert "server.state" in said
    other = subprocess.run([sys.executable, "-c", CHILD_OPEN, str(used)], capture_output=True, text=True, check=False)
    assert "another server uses" in other.stderr
    first.close()
    open_sqlite(used).close()


CHILD_OPEN = """
import sys
from pathlib import Path
from pxenet.store.sqlite import open_sqlite
open_sqlite(Path(sys.argv[1]))
"""


def test_the_directory_itself_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new store is flushed up to the names of the directories that were made for it; an old one has been already."""
    flushed: list[str] = []

    def fsync(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", fsync)
    open_sqlite(tmp_path / "var" / "state").close()
    made = [str(tmp_path / name) for name in ("var/state", "var", "")]
    assert [path.rstrip("/") for path in made] == flushed[1:4]
    assert str(tmp_path / "var/state" / MARKER) == flushed[0]
    flushed.clear()
    open_sqlite(tmp_path / "var" / "state").close()
    assert [] == flushed


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file" / "state") in refusal(tmp_path / "file" / "state")


def test_a_lost_database_is_not_a_new_beginning(used: Path) -> None:
    """Beside its marker: refused, saying what, where and what to do. Without the marker: a person decided to begin anew."""
    (used / DATABASE).unlink()
    said = refusal(used)
    assert f"{used / DATABASE} is missing" in said
    assert "backup" in said
    assert f"delete {used / MARKER}" in said
    assert not (used / DATABASE).exists()
    (used / MARKER).unlink()
    store = open_sqlite(used)
    assert list(store.installs()) == []
    store.close()


def test_a_log_without_its_database_is_a_trace_too(used: Path) -> None:
    """SQLite would replay it into the new database: half of the old state, and believed."""
    (used / DATABASE).unlink()
    (used / MARKER).unlink()
    (used / WAL).write_bytes(b"something")
    assert WAL in refusal(used)


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _sql(directory: Path, statement: str) -> None:
    connection = sqlite3.connect(directory / DATABASE)
    connection.executescript(statement)
    connection.commit()
    connection.close()


DAMAGE = {
    "emptied": lambda d: os.truncate(d / DATABASE, 0),
    "not a database": lambda d: (d / DATABASE).write_bytes(b"hello world, " * 1000),
    "header overwritten": lambda d: _overwrite(d / DATABASE, 0, b"\xff" * 100),
    "cut short": lambda d: os.truncate(d / DATABASE, 4096 + 100),
    "pages overwritten": lambda d: _overwrite(d / DATABASE, 4096, b"\xa5" * 20000),
    "secret gone": lambda d: _sql(d, "DELETE FROM meta"),
    "table gone": lambda d: _sql(d, "DROP TABLE install"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_database_is_refused(used: Path, damage: object) -> None:
    """Never opened as if it were empty; the message names file and marker, and restoring the backup mends it."""
    shutil.copy(used / DATABASE, used / "backup")
    damage(used)  # type: ignore[operator]
    said = refusal(used)
    assert f"{used / DATABASE} cannot be read" in said
    assert "backup" in said
    assert str(used / MARKER) in said
    shutil.copy(used / "backup", used / DATABASE)
    for leftover in (WAL, f"{DATABASE}-shm"):
        (used / leftover).unlink(missing_ok=True)
    store = open_sqlite(used)
    assert list(store.installs()) == [INSTALLED]
    store.close()


def test_a_damaged_database_is_refused_without_a_marker_too(used: Path) -> None:
    (used / DATABASE).write_bytes(b"hello world, " * 1000)
    (used / MARKER).unlink()
    assert "cannot be read" in refusal(used)
    assert (used / DATABASE).read_bytes().startswith(b"hello")


def test_unknown_values_are_refused_when_read(used: Path) -> None:
    """A state that this version does not know is an error at start-up, not a machine that is armed again."""
    _sql(used, "UPDATE install SET state = 'sleeping'")
    store = open_sqlite(used)
    with pytest.raises(StoreError, match="sleeping"):
        store.installs()
    store.close()


def test_an_earlier_schema_is_taken_over(used: Path) -> None:
    """A store of the version that knew neither added hosts nor logs can be looked at as it is; who writes brings it up to date."""
    _sql(
        used,
        "DROP TABLE added; DROP TABLE discovered; ALTER TABLE install DROP COLUMN log; "
        "ALTER TABLE host DROP COLUMN address; PRAGMA user_version = 1",
    )
    before = read_sqlite(used)
    assert [] == before.added()
    assert [INSTALLED] == before.installs()
    assert [] == before.discovered()
    before.close()
    for _ in range(2):
        store = open_sqlite(used)
        assert [Verdict.DURABLE] == store.commit([AddedHost("web01", "{}")])
        assert [AddedHost("web01", "{}")] == store.added()
        store.close()


def test_a_later_schema_is_refused(used: Path) -> None:
    _sql(used, "PRAGMA user_version = 99")
    assert "later pxenet (schema 99" in refusal(used)


def test_a_stray_database_is_left_alone(tmp_path: Path) -> None:
    """A database of another program under our name is neither used nor changed."""
    _sql(tmp_path, "CREATE TABLE recipes (name)")
    before = (tmp_path / DATABASE).read_bytes()
    assert "some other program" in refusal(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before


def test_a_crash_while_creating_is_a_new_beginning(tmp_path: Path) -> None:
    """An empty database without a marker was never handed to anybody."""
    (tmp_path / DATABASE).write_bytes(b"")
    open_sqlite(tmp_path).close()
    assert (tmp_path / MARKER).exists()


def test_a_marker_that_was_not_reached_is_written(used: Path) -> None:
    """A crash between database and marker: the next start completes it."""
    (used / MARKER).unlink()
    store = open_sqlite(used)
    assert list(store.installs()) == [INSTALLED]
    assert (used / MARKER).exists()
    store.close()


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.95])
def test_a_torn_log_keeps_the_commits_before_the_tear(tmp_path: Path, keep: float) -> None:
    """After a crash the log may end anywhere: whole commits before that come back, in order, without gaps."""
    store = open_sqlite(tmp_path / "live")
    for number in range(50):
        store.commit([lease(number)])
    shutil.copytree(tmp_path / "live", tmp_path / "crashed")
    store.close()
    os.truncate(tmp_path / "crashed" / WAL, int((tmp_path / "crashed" / WAL).stat().st_size * keep))
    if keep == 0.0:  # the whole log was lost, with the tables in it: not to be taken for an empty store
        assert "it is empty" in refusal(tmp_path / "crashed") or "cannot be read" in refusal(tmp_path / "crashed")
        return
    crashed = open_sqlite(tmp_path / "crashed")
    back = [entry.address for entry in crashed.leases()]
    assert back == list(range(len(back)))
    assert len(back) >= int(50 * keep) - 10
    crashed.close()


def test_a_database_removed_under_the_server_is_a_failure(used: Path) -> None:
    """The deleted file would take writes for ever. Nothing is called durable until the database is back."""
    store = open_sqlite(used)
    assert store.commit([lease(1)]) == [Verdict.DURABLE]
    os.rename(used / DATABASE, used / "elsewhere")
    assert store.commit([lease(1001)]) == [Verdict.FAILED]
    assert "removed" in store.last_failure
    assert store.commit([lease(1002)]) == [Verdict.FAILED]
    os.rename(used / "elsewhere", used / DATABASE)
    assert store.commit([lease(1003)]) == [Verdict.DURABLE]
    assert store.last_failure == ""
    assert {1001, 1002, 1003} & {entry.address for entry in store.leases()} == {1003}
    store.close()


def test_another_database_in_its_place_is_a_failure(used: Path, tmp_path: Path) -> None:
    """Its secret differs, so the tokens that machines hold would be worth nothing after a restart."""
    open_sqlite(tmp_path / "other").close()
    store = open_sqlite(used)
    os.replace(tmp_path / "other" / DATABASE, used / DATABASE)
    assert [store.commit([lease(n)])[0] for n in range(3)] == [Verdict.FAILED] * 3
    store.close()


def test_a_write_lock_held_for_ever_is_a_failure_not_a_hang(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone left a transaction open in a sqlite3 shell: FAILED, and durable again when it ends."""
    monkeypatch.setattr("pxenet.store.sqlite._BUSY_S", 0.01)
    store = open_sqlite(used)
    shell = sqlite3.connect(used / DATABASE, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    assert store.commit([lease(1), INSTALLED]) == [Verdict.FAILED] * 2
    shell.execute("COMMIT")
    shell.close()
    assert store.commit([lease(1), INSTALLED]) == [Verdict.DURABLE] * 2
    store.close()


def test_our_own_mistakes_propagate(used: Path) -> None:
    """A closed store, a record that is none: bugs, and not the disk's fault."""
    store = open_sqlite(used)
    with pytest.raises(KeyError):
        store.commit([object()])  # type: ignore[list-item]
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.commit([lease(1)])


def test_a_backup_made_while_it_runs_is_whole(used: Path, tmp_path: Path) -> None:
    """``sqlite3 pxenet.db ".backup …"`` is how to make a backup of a running server."""
    store = open_sqlite(used)
    store.commit([lease(1000)])
    (tmp_path / "copy").mkdir()
    source, target = sqlite3.connect(used / DATABASE), sqlite3.connect(tmp_path / "copy" / DATABASE)
    source.backup(target)
    source.close()
    target.close()
    restored = open_sqlite(tmp_path / "copy")
    assert list(restored.leases()) == list(store.leases())
    assert restored.secret() == store.secret()
    restored.close()
    store.close()


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_columns_are_the_fields_of_the_record(table: object) -> None:
    """Rows become records by position: a field added to a record must be added here, at the same place."""
    assert [c.name for c in table.columns] == [f.name for f in fields(table.record)]  # type: ignore[attr-defined]


def test_one_flush_and_one_statement_for_each_kind(used: Path) -> None:
    """However large the batch: design §4, an executemany would take the interpreter lock at every row."""
    store = open_sqlite(used)
    said: list[str] = []
    assert store._connection is not None
    store._connection.set_trace_callback(said.append)
    changes: list[Change] = [lease(n) for n in range(300)]
    store.commit(changes)
    assert [statement.split(" ")[0] for statement in said] == ["INSERT"]
    said.clear()
    store.commit([*changes, INSTALLED, SeenHost("k", b"", "", 0, 0.0, 0.0)])
    assert [statement.split(" ")[0] for statement in said] == ["BEGIN", "INSERT", "INSERT", "INSERT", "COMMIT"]
    store.close()


def test_every_connection_flushes_each_commit(used: Path) -> None:
    """``synchronous=FULL`` is a setting of the connection, not of the file: also of the one made after a failure."""
    store = open_sqlite(used)
    for _ in range(2):
        store.commit([lease(1)])
        assert store._connection is not None
        settings = [
            store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")
        ]
        assert settings == [2, "wal"]
        store._discard()
    store.close()


# A disk that fails, for real: in child processes.

FULL_BY_LIMIT = """
import resource, sys
from pathlib import Path
from pxenet.model import Lease, Verdict
from pxenet.store.sqlite import open_sqlite

def leases(start, count, size=0):
    return [Lease(n, b"i", b"m", 1.0, hostname="x" * size) for n in range(start, start + count)]

store = open_sqlite(Path(sys.argv[1]))
assert set(store.commit(leases(0, 10))) == {Verdict.DURABLE}
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limit[1]))
assert set(store.commit(leases(100, 500, 1000))) == {Verdict.FAILED}, "a full disk is FAILED"
assert store.last_failure
assert set(store.commit(leases(100, 500, 1000))) == {Verdict.FAILED}, "and stays so"
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
assert set(store.commit(leases(1000, 5))) == {Verdict.DURABLE}, "and recovers by itself"
store.close()
store = open_sqlite(Path(sys.argv[1]))
assert [l.address for l in store.leases()] == [*range(10), *range(1000, 1005)]
"""

FULL_BY_TMPFS = """
import os, subprocess, sys
from pathlib import Path
from pxenet.model import InstallRecord, InstallState, Lease, Verdict
from pxenet.store.sqlite import open_sqlite

def run(*command):
    subprocess.run(command, check=True)

def commit(store, start, count):
    mixed = [Lease(n, b"i", b"m", 1.0, hostname="x" * 400) for n in range(start, start + count)]
    verdicts = store.commit([*mixed, InstallRecord("k", InstallState.INSTALLED, attempts=start)])
    assert len(verdicts) == count + 1 and len(set(verdicts)) == 1, verdicts
    return verdicts[0]

disk = Path(sys.argv[1])
run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk))
store = open_sqlite(disk / "state")
assert commit(store, 0, 10) is Verdict.DURABLE
with open(disk / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
assert commit(store, 100, 300) is Verdict.FAILED, "full"
assert commit(store, 100, 300) is Verdict.FAILED, "still full"
os.unlink(disk / "filler")
assert commit(store, 1000, 5) is Verdict.DURABLE, "space again"
store.close()
store = open_sqlite(disk / "state")
assert [l.address for l in store.leases()] == [*range(10), *range(1000, 1005)]
assert [r.attempts for r in store.installs()] == [1000]
"""

READ_ONLY = (
    FULL_BY_TMPFS[: FULL_BY_TMPFS.index("with open")]
    + """
# A file system with an open file for writing cannot be made read-only; an error behind its back is what a failing disk does.
store.close()
run("mount", "-o", "remount,ro", str(disk))
try:
    open_sqlite(disk / "state")
except Exception as error:
    assert type(error).__name__ == "StoreError" and str(disk) in str(error), error
else:
    raise AssertionError("a read-only state directory was opened")
run("mount", "-o", "remount,rw", str(disk))
store = open_sqlite(disk / "state")
store._connection.execute("PRAGMA query_only = ON")
assert commit(store, 2000, 5) is Verdict.FAILED, "read-only"
assert commit(store, 2000, 5) is Verdict.DURABLE, "writable again"
"""
)


def run_child(program: str, directory: Path, *prefix: str) -> None:
    directory.mkdir(exist_ok=True)
    command = [*prefix, sys.executable, "-c", textwrap.dedent(program), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_fails_and_recovers(tmp_path: Path) -> None:
    """By a limit on the size of files, which needs no rights."""
    run_child(FULL_BY_LIMIT, tmp_path / "state")


@needs.root()
@needs.namespace()
@pytest.mark.parametrize("program", [FULL_BY_TMPFS, READ_ONLY], ids=["full", "read-only"])
def test_a_real_file_system_that_fails(tmp_path: Path, program: str) -> None:
    """A full and a read-only file system, mounted where nobody else sees it: FAILED for the whole batch, later durable again."""
    run_child(program, tmp_path / "disk", "unshare", "--mount", "--propagation", "private")


def test_reading_makes_nothing(tmp_path: Path) -> None:
    """Where no store was, none is made: neither the directory, nor a lock in it."""
    for opener in (read_sqlite, partial(open_sqlite, create=False)):
        for directory in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(StoreError, match="there is no store here"):
                opener(directory)
    assert [] == list(tmp_path.iterdir())


def test_reading_beside_a_server(tmp_path: Path) -> None:
    """A reader sees what is committed, takes no lock, and can never write, whatever failed before."""
    store = open_sqlite(tmp_path)
    store.commit([lease(1)])
    reader = read_sqlite(tmp_path)
    assert ([lease(1)], store.secret()) == (reader.leases(), reader.secret())
    for _ in range(2):  # the second time by a fresh connection
        assert [Verdict.FAILED] == reader.commit([lease(2)])
    assert [lease(1)] == reader.leases()
    store.close()
    again = open_sqlite(tmp_path, create=False)
    assert [lease(1)] == again.leases()
    again.close()
    reader.close()


def test_reading_refuses_what_a_server_refuses(tmp_path: Path) -> None:
    """A lost database is told, and a stray one is not changed."""
    open_sqlite(tmp_path).close()
    (tmp_path / DATABASE).unlink()
    with pytest.raises(StoreError, match="is missing"):
        read_sqlite(tmp_path)
    stray = sqlite3.connect(tmp_path / DATABASE)
    stray.execute("CREATE TABLE theirs (x)")
    stray.commit()
    stray.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="some other program"):
        read_sqlite(tmp_path)
    assert before == (tmp_path / DATABASE).read_bytes()
