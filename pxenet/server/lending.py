"""Contents on their way to a worker: described as bytes, their files lent under numbers, each once however often it is asked for.

The server keeps count of what a worker has open, and takes back what was not asked for lately. Descriptions are pickles: only the
server's words are ever read that way, never those of a worker, which speaks with the network. Must not know who asks for what.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Iterable
from typing import Any, cast

from pxenet.content.directory import OpenFile
from pxenet.content.standing import Era
from pxenet.engine.http import Reply
from pxenet.model import Absent, Arriving, Content, Missing, Readable
from pxenet.server.post import LARGE_BYTES, file_of

_LENT = 512
"""Files in one generation of those that a worker has open; there are two generations."""

Answer = Content | Absent | Reply


class Lender:
    """The server's side, for one worker. ``arrived`` is told how far contents have come that are still arriving."""

    def __init__(self, arrived: Callable[[int, Arriving], None]) -> None:
        self._arrived = arrived
        self._last = 0
        self._young: dict[Readable, int] = {}
        self._old: dict[Readable, int] = {}
        self._arriving: dict[int, tuple[int, Arriving]] = {}
        """By identity, until nothing more comes."""
        self._beside: list[tuple[int, Readable]] = []
        self._begun: list[tuple[int, Arriving]] = []

    def describe(self, answer: Answer) -> tuple[bytes, list[int], list[Readable]]:
        """The answer; the numbers of files that the worker does not have yet, and those files, in the same order.

        A negative number is lent for this answer only.
        """
        self._beside = []
        into = io.BytesIO()
        try:
            _Pickler(into, self._reference).dump(answer)
        except OSError as error:  # no room for a file in memory
            return pickle.dumps(Absent(Missing.UNAVAILABLE, error.strerror or str(error))), [], []
        beside = self._beside
        return into.getvalue(), [number for number, _ in beside], [file for _, file in beside]

    def follow(self) -> None:
        """Have it told how far contents have come that are new to the worker; to be called once their description was sent."""
        begun, self._begun = self._begun, []
        for number, arriving in begun:
            self._watch(number, arriving)

    def age(self) -> list[int]:
        """The numbers of files that were not asked for since this was called last: they are no longer lent."""
        back = list(self._old.values())
        self._old, self._young = self._young, {}
        return back

    @property
    def full(self) -> bool:
        """So many files are lent that it is time for ``age``."""
        return len(self._young) >= _LENT

    def lacks(self, number: int) -> None:
        """The worker could not take that file."""
        for lent in (self._young, self._old):
            for file in [file for file, known in lent.items() if known == number]:
                del lent[file]

    def _reference(self, thing: object) -> tuple[str, int, int] | None:
        if isinstance(thing, OpenFile):
            return "file", self._lend(thing), 0
        if isinstance(thing, bytes) and len(thing) > LARGE_BYTES:
            number = -self._next()
            self._beside.append((number, file_of(thing)))
            return "large", number, len(thing)
        if isinstance(thing, Era):
            return "era", thing.number, 0
        if isinstance(thing, Arriving):
            known = self._arriving.get(id(thing))
            if known is None:
                known = self._arriving[id(thing)] = self._next(), thing
                self._begun.append(known)
            return "arriving", known[0], 0
        return None

    def _lend(self, file: Readable) -> int:
        number = self._young.get(file) or self._old.pop(file, None)
        if number is None:
            number = self._next()
            self._beside.append((number, file))
        self._young[file] = number
        return number

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _watch(self, number: int, arriving: Arriving) -> None:
        self._arrived(number, arriving)
        if arriving.over:
            del self._arriving[id(arriving)]
        else:
            arriving.then(lambda: self._watch(number, arriving))


class LackingError(Exception):
    """A file of an answer did not come along: this process has too many open."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Borrower:
    """The worker's side."""

    def __init__(self) -> None:
        self._files: dict[int, OpenFile] = {}
        self._arriving: dict[int, Arriving] = {}
        self._eras: dict[int, Era] = {}
        self._era = 0

    def begin(self, era: int) -> None:
        """What stood in earlier eras stands no longer."""
        for earlier in self._eras.values():
            earlier.over = True
        self._eras, self._era = {}, era

    def give_back(self, number: int) -> None:
        """It is not lent any more; who reads it reads on."""
        self._files.pop(number, None)

    def arrived(self, number: int, available: int, over: bool, fault: str) -> None:
        """How far a content has come."""
        arriving = self._arriving.get(number)
        if arriving is None:
            return
        arriving.advance(available)
        if over:
            del self._arriving[number]
            arriving.finish(fault)

    def answer(self, description: bytes, numbers: Iterable[int], beside: Iterable[OpenFile]) -> Answer:
        """What ``Lender.describe`` described, with the files that came along. Raises LackingError."""
        self._files.update(zip(numbers, beside, strict=False))
        try:
            return cast(Answer, _Unpickler(io.BytesIO(description), self._thing).load())
        finally:
            for number in numbers:
                if number < 0:
                    self.give_back(number)

    def _thing(self, reference: tuple[str, int, int]) -> object:
        kind, number, size = reference
        if kind == "arriving":
            return self._arriving.setdefault(number, Arriving())
        if kind == "era":
            era = self._eras.setdefault(number, Era(number))
            era.over = number < self._era
            return era
        file = self._files.get(number)
        if file is None:
            raise LackingError(number)
        # Bytes again, so that they leave, and are recorded, as those of a small text.
        return os.pread(file.fd, size, 0) if kind == "large" else file


class _Pickler(pickle.Pickler):
    def __init__(self, into: io.BytesIO, number_of: Callable[[object], tuple[str, int, int] | None]) -> None:
        super().__init__(into, pickle.HIGHEST_PROTOCOL)
        self.persistent_id = number_of  # type: ignore[method-assign]


class _Unpickler(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, thing: Callable[[tuple[str, int, int]], object]) -> None:
        super().__init__(source)
        self._thing = thing

    def persistent_load(self, pid: Any) -> object:
        return self._thing(pid)
