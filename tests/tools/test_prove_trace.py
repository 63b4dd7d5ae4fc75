"""The proofs' view of a disk: strace's lines become what happened, and a power cut keeps what was flushed, and no more for certain."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from provekit.image import SECTOR, Disk
from provekit.trace import Event, FlushBegins, FlushEnds, Name, Sent, Truncate, Write, read

STATE = Path("/srv/state")
DB = "/srv/state/db"


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def traced(tmp_path: Path, *lines: str) -> list[Event]:
    trace = tmp_path / "trace"
    trace.write_text("\n".join(lines) + "\n")
    return list(read(trace, STATE))


AT = f"7<{hexed(DB)}>"
LINES = {
    "write": (f'10 pwrite64({AT}, "{hexed("abc")}", 3, 4096) = 3', [Write(DB, 4096, b"abc")]),
    "half a write": (f'10 pwrite64({AT}, "{hexed("abc")}", 3, 0) = 1', [Write(DB, 0, b"a")]),
    "failed write": (f'10 pwrite64({AT}, "{hexed("abc")}", 3, 0) = -1 ENOSPC (No space left on device)', []),
    "elsewhere": (f'10 pwrite64(7<{hexed("/srv/other")}>, "{hexed("abc")}", 3, 0) = 3', []),
    "a name that only begins alike": (f'10 pwrite64(7<{hexed("/srv/state2")}>, "{hexed("a")}", 1, 0) = 1', []),
    "flush": (f"10 fdatasync({AT}) = 0", [FlushBegins(DB, 1), FlushEnds(DB, 1)]),
    "failed flush": (f"10 fsync({AT}) = -1 EIO (Input/output error)", [FlushBegins(DB, 1)]),
    "flush above": (f"10 fsync(7<{hexed('/srv')}>) = 0", [FlushBegins("/srv", 1), FlushEnds("/srv", 1)]),
    "truncate": (f"10 ftruncate({AT}, 12) = 0", [Truncate(DB, 12)]),
    "create": (
        f'10 openat(AT_FDCWD<{hexed("/")}>, "{hexed(DB)}", O_RDWR|O_CREAT, 0600) = {AT}',
        [Name(DB)],
    ),
    "open": (f'10 openat(AT_FDCWD<{hexed("/")}>, "{hexed(DB)}", O_RDWR) = {AT}', []),
    "unlink": (f'10 unlink("{hexed(DB)}") = 0', [Name(DB, gone=True)]),
    "mkdir": (f'10 mkdir("{hexed("/srv/state")}", 0700) = 0', [Name("/srv/state", directory=True)]),
    "send": (
        f'10 sendmsg(5<{hexed("socket:[1]")}>, {{msg_name=NULL, msg_iov=[{{iov_base="{hexed("ab")}", iov_len=2}}, '
        f'{{iov_base="{hexed("c")}", iov_len=1}}], msg_iovlen=2}}, 0) = 3',
        [Sent(b"abc")],
    ),
    "send many": (
        f'10 sendmmsg(5<{hexed("socket:[1]")}>, [{{msg_hdr={{msg_name=NULL, msg_iov=[{{iov_base="{hexed("ab")}", iov_len=2}}, '
        f'{{iov_base="{hexed("c")}", iov_len=1}}], msg_iovlen=2}}, msg_len=3}}, {{msg_hdr={{msg_name=NULL, '
        f'msg_iov=[{{iov_base="{hexed("d")}", iov_len=1}}], msg_iovlen=1}}, msg_len=1}}], 2, 0) = 2',
        [Sent(b"abc"), Sent(b"d")],
    ),
}


@pytest.mark.parametrize(("line", "events"), LINES.values(), ids=LINES)
def test_lines(tmp_path: Path, line: str, events: list[Event]) -> None:
    """One system call each."""
    assert events == traced(tmp_path, line)


def test_calls_that_overlap(tmp_path: Path) -> None:
    """A write that ends during a flush comes after its begin; a datagram counts from its beginning."""
    events = traced(
        tmp_path,
        f"10 fdatasync({AT} <unfinished ...>",
        f'11 pwrite64({AT}, "{hexed("a")}", 1, 0 <unfinished ...>',
        f'12 sendto(5<{hexed("socket:[1]")}>, "{hexed("x")}", 1, 0, NULL, 0 <unfinished ...>',
        "11 <... pwrite64 resumed>) = 1",
        "10 <... fdatasync resumed>) = 0",
        "12 <... sendto resumed>) = 1",
    )
    assert events == [FlushBegins(DB, 1), Sent(b"x"), Write(DB, 0, b"a"), FlushEnds(DB, 1)]


def test_datagrams_that_are_told_late(tmp_path: Path) -> None:
    """strace tells what ``sendmmsg`` has sent when that has ended; it counts from when it began: before a flush that began later."""
    message = f'[{{msg_hdr={{msg_iov=[{{iov_base="{hexed("x")}", iov_len=1}}]}}, msg_len=1}}], 1, 0) = 1'
    events = traced(
        tmp_path,
        f"12 sendmmsg(5<{hexed('socket:[1]')}>,  <unfinished ...>",
        f"10 fdatasync({AT} <unfinished ...>",
        f"12 <... sendmmsg resumed>{message}",
        "10 <... fdatasync resumed>) = 0",
        f"12 sendmmsg(5<{hexed('socket:[1]')}>,  <unfinished ...>",
        f"10 fdatasync({AT}) = 0",
    )
    assert [Sent(b"x"), FlushBegins(DB, 1), FlushEnds(DB, 1), FlushBegins(DB, 2), FlushEnds(DB, 2)] == events


def test_positions_of_plain_writes(tmp_path: Path) -> None:
    """They follow one another from the beginning of what was opened."""
    opened = f'10 openat(AT_FDCWD<{hexed("/")}>, "{hexed(DB)}", O_WRONLY|O_CREAT, 0600) = {AT}'
    written = [f'10 write({AT}, "{hexed("ab")}", 2) = 2'] * 2
    assert traced(tmp_path, opened, *written)[1:] == [Write(DB, 0, b"ab"), Write(DB, 2, b"ab")]


def disk(*events: Event) -> Disk:
    made = Disk(STATE)
    for event in events:
        made.happened(event)
    return made


NAMED = (Name(DB), FlushBegins(str(STATE), 90), FlushEnds(str(STATE), 90))


def test_only_what_was_flushed_is_certain() -> None:
    """What was written later, or while the flush was under way, is not."""
    flush = FlushBegins(DB, 1), Write(DB, 2, b"C"), FlushEnds(DB, 1)
    made = disk(*NAMED, Write(DB, 0, b"ab"), *flush, Write(DB, 3, b"d"))
    assert {"db": b"ab"} == made.image()
    made.happened(FlushBegins(DB, 2))
    made.happened(FlushEnds(DB, 2))
    assert {"db": b"abCd"} == made.image()


def test_a_name_is_certain_after_a_flush_of_its_directory() -> None:
    """A file that was flushed under a name that was not is gone, and so is all of a directory that was made just now."""
    flushed = Write(DB, 0, b"ab"), FlushBegins(DB, 1), FlushEnds(DB, 1)
    assert {} == disk(Name(DB), *flushed).image()
    assert {} == disk(Name(str(STATE), directory=True), *NAMED, *flushed).image()
    safe = FlushBegins("/srv", 2), FlushEnds("/srv", 2)
    assert {"db": b"ab"} == disk(Name(str(STATE), directory=True), *safe, *NAMED, *flushed).image()
    assert {"db": b"ab"} == disk(*NAMED, *flushed, Name(DB, gone=True)).image()


def test_what_chance_may_leave() -> None:
    """Each sector is the old one or the new one, and every mixture comes at some time."""
    old, new = b"o" * 2 * SECTOR, b"n" * 2 * SECTOR
    made = disk(*NAMED, Write(DB, 0, old), FlushBegins(DB, 1), FlushEnds(DB, 1), Write(DB, 0, new))
    found = {made.image(Random(seed))["db"] for seed in range(200)}
    half = SECTOR
    assert found == {old, new, new[:half] + old[half:], old[:half] + new[half:]}
