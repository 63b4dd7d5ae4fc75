"""Letters and lent files between a server and its workers: what is written arrives, in order, and nothing stays open."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from pxenet.content.directory import Directory, OpenFile
from pxenet.content.plain import read
from pxenet.content.tree import bytes_content
from pxenet.engine.http import Reply
from pxenet.model import Absent, Arriving, Asker, Content, Missing, Region
from pxenet.server import post as post_module
from pxenet.server.counted import added, without_now
from pxenet.server.lending import Borrower, LackingError, Lender
from pxenet.server.post import LARGE_BYTES, EndedError, Post, file_of, pair


@asynccontextmanager
async def posts() -> AsyncIterator[tuple[Post, Post]]:
    """Two ends that are at work."""
    ours, theirs = map(Post, pair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        nursery.start_soon(theirs.run)
        yield ours, theirs
        nursery.cancel_scope.cancel()
    ours.close()
    theirs.close()


async def read_all(post: Post, count: int) -> tuple[list[tuple[object, ...]], list[OpenFile]]:
    """So many letters, and the files that came beside them."""
    letters: list[tuple[object, ...]] = []
    files: list[OpenFile] = []
    while len(letters) < count:
        more, beside = await post.read()
        letters += more
        files += beside
    return letters, files


async def test_letters_arrive_in_order() -> None:
    """Thousands, of all that letters may be made of, those that may come later among them; and many in one packet."""
    sent = [
        ("kind", number, "t\udcffxt", b"\0" * (number % 3000), [1, (2.5, None)], {"a": True}) for number in range(3000)
    ]
    async with posts() as (ours, theirs):
        for number, letter in enumerate(sent):
            (ours.mention if number % 3 else ours.write)(*letter)
        assert sent == (await read_all(theirs, len(sent)))[0]
        ours.mention("alone")
        assert [("alone",)] == (await theirs.read())[0]
        assert 0 == ours.lost


async def test_files_come_along() -> None:
    """More than one packet may carry: each is the file that was sent, in order."""
    async with posts() as (ours, theirs):
        for number in range(150):
            ours.write("file", number, files=[file_of(b"%d" % number)])
        letters, files = await read_all(theirs, 150)
        assert list(range(150)) == [letter[1] for letter in letters]
        assert [b"%d" % number for number in range(150)] == [os.pread(file.fd, 10, 0) for file in files]


async def test_a_reader_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be lost is, and is counted; what was written waits; and a packet is never too large for the kernel."""
    monkeypatch.setattr(post_module, "_WAITING", 100)
    async with posts() as (ours, theirs):
        for number in range(500):
            ours.mention("perhaps", number)
        assert 400 == ours.lost
        for number in range(300):
            ours.write("surely", number, b"x" * 30_000)
        letters, _ = await read_all(theirs, 400)
        assert list(range(300)) == [letter[1] for letter in letters if letter[0] == "surely"]


async def test_gathered_entries() -> None:
    """They leave in few letters, each small enough for the kernel, in order, what is written later behind them; of too many that
    wait none is taken."""
    async with posts() as (ours, theirs):
        sent = [b"x" * (number % 3 * 10_000) + b"%d" % number for number in range(3000)]
        taken = []
        for entry in sent:
            gathering = ours.gathering("row", len(entry))
            if gathering is not None:
                gathering.append(entry)
                taken.append(entry)
        ours.write("behind them")
        assert 0 < len(taken) < len(sent)
        letters = []
        while ("behind them",) not in letters:
            letters += (await theirs.read())[0]
        assert taken == [entry for kind, *lists in letters[:-1] for entries in lists for entry in entries]  # type: ignore[attr-defined]
        again = ours.gathering("row", 1)
        assert again is not None
        again.append("one")
        assert [("row", ["one"])] == (await theirs.read())[0]


async def test_the_other_side_ends() -> None:
    """Its last words are read, even when it has left ours unread; then it is over, and writing harms nobody."""
    ours, theirs = map(Post, pair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.run)
        theirs.write("last words")
        await theirs.settle()
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        ours.write("never read")
        await ours.settle()
        theirs.close()
        assert [("last words",)] == (await ours.read())[0]
        with pytest.raises(EndedError):
            await ours.read()
        ours.write("too late")
        await ours.settle()
        nursery.cancel_scope.cancel()
    ours.close()


class Loan:
    """A lender and a borrower, with nothing between them but what really goes over the line."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, bool, str]] = []
        self.lender = Lender(self._arrived)
        self.borrower = Borrower()

    def _arrived(self, number: int, arriving: Arriving) -> None:
        self.told.append((number, arriving.available, arriving.over, arriving.fault))
        self.borrower.arrived(number, arriving.available, arriving.over, arriving.fault)

    def give(self, answer: Content | Absent | Reply, *, lose: bool = False) -> tuple[Content | Absent | Reply, int]:
        """The answer as it comes out, and how many files went along."""
        description, numbers, files = self.lender.describe(answer)
        copies = [] if lose else [OpenFile(os.dup(file.fd)) for file in files]
        try:
            given = self.borrower.answer(description, numbers, iter(copies))
        except LackingError as error:
            self.lender.lacks(error.number)
            raise
        self.lender.follow()
        return given, len(files)


def found(root: Path, name: str) -> Content:
    content = Directory(root).find(name, Asker(0), 0.0)
    assert isinstance(content, Content)
    return content


def test_a_file_goes_along_once(tmp_path: Path) -> None:
    """Both sides have the same content; its standing holds there as here; who asks again needs no file."""
    (tmp_path / "kernel").write_bytes(b"kernel")
    loan, content = Loan(), found(tmp_path, "kernel")
    given, files = loan.give(content)
    assert isinstance(given, Content)
    assert (1, b"kernel") == (files, read(given))
    assert (content.etag, content.role, content.size) == (given.etag, given.role, given.size)
    assert given.standing is not None
    assert given.standing.holds()
    assert 0 == loan.give(content)[1]
    (tmp_path / "kernel").write_bytes(b"another")
    assert not given.standing.holds()


def test_what_is_not_asked_for_is_given_back(tmp_path: Path) -> None:
    """After two rounds of age the file is lent no longer, and goes along again when it is asked for; its reader reads on."""
    (tmp_path / "kernel").write_bytes(b"kernel")
    loan, content = Loan(), found(tmp_path, "kernel")
    given, _ = loan.give(content)
    assert [] == loan.lender.age()
    (back,) = loan.lender.age()
    loan.borrower.give_back(back)
    assert isinstance(given, Content)
    assert b"kernel" == read(given)
    assert 1 == loan.give(content)[1]


def test_a_file_that_did_not_come(tmp_path: Path) -> None:
    """A process that has too many open says which file it lacks, and gets it with the next answer."""
    (tmp_path / "kernel").write_bytes(b"kernel")
    loan, content = Loan(), found(tmp_path, "kernel")
    with pytest.raises(LackingError):
        loan.give(content, lose=True)
    given, files = loan.give(content)
    assert isinstance(given, Content)
    assert (1, b"kernel") == (files, read(given))


@pytest.mark.parametrize("size", [0, 10, LARGE_BYTES, LARGE_BYTES + 1, 3_000_000])
def test_texts_of_any_size(size: int) -> None:
    """A text is a text there too; a large one comes in a file in memory, which is not kept by either side."""
    data = os.urandom(size)
    loan, content = Loan(), bytes_content("text", data)
    given, files = loan.give(content)
    assert isinstance(given, Content)
    assert (data, content.etag) == (read(given), given.etag)
    assert content.segments == given.segments
    assert (1 if size > LARGE_BYTES else 0) == files
    assert [] == loan.lender.age() + loan.lender.age()


@pytest.mark.parametrize("answer", [Absent(Missing.DENIED, "no"), Reply(200, "noted\n")], ids=["absent", "reply"])
def test_other_answers(answer: Absent | Reply) -> None:
    """They come out as they were."""
    assert (answer, 0) == Loan().give(answer)


def test_no_room_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that cannot be handed over is "not now", and not the end of anybody."""

    def refuse(data: bytes) -> OpenFile:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("pxenet.server.lending.file_of", refuse)
    given, _ = Loan().give(bytes_content("text", bytes(LARGE_BYTES + 1)))
    assert Absent(Missing.UNAVAILABLE, "too many open files") == given


def test_a_content_that_is_still_arriving() -> None:
    """The borrower's copy advances with the lender's, once for each step, to the end; a second answer shares it."""
    arriving = Arriving()
    arriving.advance(10)
    content = Content("big", (Region(file_of(bytes(100)), 0, 100),), 100, 0, '"1"', arriving=arriving)
    loan = Loan()
    given, _ = loan.give(content)
    again, _ = loan.give(content)
    assert isinstance(given, Content)
    assert isinstance(again, Content)
    assert given.arriving is not None
    assert given.arriving is again.arriving
    assert (10, False) == (given.arriving.available, given.arriving.over)
    arriving.advance(60)
    assert 60 == given.arriving.available
    arriving.finish("the upstream ended")
    assert (60, True, "the upstream ended") == (given.arriving.available, given.arriving.over, given.arriving.fault)
    assert 3 == len(loan.told)
    late, _ = loan.give(content)
    assert isinstance(late, Content)
    assert late.arriving is not None
    assert late.arriving.over


def test_descriptions_hold_no_files() -> None:
    """What goes over the line as bytes names files by number only: a description alone opens nothing."""
    content = Content("big", (Region(file_of(b"x"), 0, 1),), 1, 0, '"1"')
    description, _, _ = Loan().lender.describe(content)
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(description)


def test_counts_of_several() -> None:
    """Numbers add up part by part; what is of a moment ends with its process."""
    one = {"tftp": {"completed": 3, "reading": 2}, "sockets": {"69": {"sent": 5}}}
    other = {"tftp": {"completed": 4, "reading": 1}, "sockets": {"70": {"sent": 1}}}
    total = {"tftp": {"completed": 7, "reading": 3}, "sockets": {"69": {"sent": 5}, "70": {"sent": 1}}}
    assert total == added(one, other)
    assert one == added({}, one)
    assert {"tftp": {"completed": 7, "reading": 0}, "sockets": total["sockets"]} == without_now(total)
