"""What stands behind TFTP and HTTP in a worker: the way to the server, which is asked for all that lies not in files.

A content that came with a standing answers for its name as long as that holds, as in the rack; everything else (rendered texts, who may
read what, callbacks) is asked each time. Events and evidence are the server's to judge. Must not know sockets or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import trio

from pxenet.content.directory import OpenFile
from pxenet.content.lately import Lately
from pxenet.content.plain import netascii
from pxenet.content.uploads import save
from pxenet.engine.http import Reply, Request
from pxenet.engine.surface import Output, Upload, Want
from pxenet.events import Event
from pxenet.model import Absent, Change, Content, Later, Missing, Role, Verdict
from pxenet.net.datagram import peer_address
from pxenet.rack.sightings import PROOF
from pxenet.server.lending import Answer, Borrower, LackingError
from pxenet.server.post import Post

_STANDING = 512
"""Contents of which the file is kept open and the way to it remembered, as in the rack."""


class Way:
    """The way to the server: ``datagrams.House`` and ``http.Site`` at once."""

    def __init__(self, post: Post, root: Path | None) -> None:
        self._post = post
        self._root = root
        self._borrower = Borrower()
        self._standing: Lately[str, Content] = Lately(_STANDING)
        self._asked: dict[int, Callable[[Answer], None]] = {}
        self._last = 0
        self._reads: set[int] = set()
        """Wants of reads that the server remembers."""
        self._sources: set[tuple[int, str]] = set()

    # -- questions ---------------------------------------------------------------------------------------------------------

    def find(self, want: Want) -> Content | Absent | Later:
        """What a TFTP client asks for: here, when it was asked for lately and still stands."""
        known = self._stands(want.path)
        if known is not None:
            found = netascii(known) if want.netascii else known
            self._begun(want, found)
            return found
        later = Later()

        def told(answer: Answer) -> None:
            assert not isinstance(answer, Reply)
            if not want.netascii:
                self._remember(want.path, answer)
            self._begun(want, answer)
            later.resolve(answer)

        self._ask(told, "want", want.path, want.peer, want.netascii, want.local)
        return later

    def _begun(self, want: Want, answer: Content | Absent) -> None:
        """Have the server remember a read, so that another worker can go on with it."""
        if isinstance(answer, Content):
            self._reads.add(want.id)
            place = want.peer, want.port, want.interface, want.local, want.request, answer.etag
            self._post.write("begun", want.id, *place)

    def over(self, under_way: Collection[int]) -> None:
        """To be called now and then with the reads under way: others need not be remembered any more."""
        over = self._reads.difference(under_way)
        if over:
            self._reads -= over
            self._post.write("over", list(over))

    async def answer(self, request: Request, peer: bytes) -> Content | Absent | Reply:
        """What an HTTP client asks for. A callback's reply comes when its state is durable."""
        if not request.query and request.method != "POST":
            known = self._stands(request.path)
            if known is not None:
                return known
        answers: list[Answer] = []
        there = trio.Event()

        def told(answer: Answer) -> None:
            answers.append(answer)
            there.set()

        asked = (request.method, request.path, request.query, dict(request.headers), request.version, request.body)
        number = self._ask(told, "ask", *asked, request.local, peer)
        try:
            await there.wait()
        finally:
            self._asked.pop(number, None)
        if not request.query:
            self._remember(request.path, answers[0])
        return answers[0]

    def _ask(self, told: Callable[[Answer], None], kind: str, *asked: object) -> int:
        self._last += 1
        self._asked[self._last] = told
        self._post.write(kind, self._last, *asked)
        return self._last

    def _stands(self, path: str) -> Content | None:
        known = self._standing.get(path)
        return known if known is not None and known.standing is not None and known.standing.holds() else None

    def _remember(self, path: str, answer: Answer) -> None:
        if isinstance(answer, Content) and answer.standing is not None:
            self._standing.put(path, answer)

    def age(self) -> None:
        """To be called now and then: files that nobody asks for any more are closed."""
        self._standing.age()

    # -- evidence and events -------------------------------------------------------------------------------------------------

    def accept(self, upload: Upload) -> Absent | None:
        """Keep a file that a client wrote."""
        return save(self._root, upload.path, upload.data)

    def absorb(self, output: Output) -> Sequence[Change]:
        """Tell the server what happened."""
        for event in output.events:
            self.event(event)
        for delivered in output.delivered:
            self._read(delivered.content, peer_address(delivered.peer), whole=True)
        return ()

    def committed(self, changes: Sequence[Change], verdict: Verdict) -> None:
        """Nothing is kept here."""

    def submit(
        self, changes: Sequence[Change], done: Callable[[Verdict], None], after: Callable[[], None] | None = None
    ) -> None:
        """Nothing is kept here."""
        raise AssertionError("a worker has nothing to keep")

    def delivered(self, content: Content, peer: bytes, duration_s: float, whole: bool) -> None:
        """See ``http.Site``."""
        self._read(content, peer_address(peer), whole=whole)

    def _read(self, content: Content, address: int, *, whole: bool) -> None:
        if content.role not in PROOF:
            return
        if content.role is Role.SOURCE:
            # Installers read their repository in thousands of pieces, and each says the same.
            said = address, content.profile
            if said in self._sources:
                return
            self._sources.add(said)
        self._post.write("read", content.name, content.role.value, content.profile, address, whole)

    def event(self, event: Event) -> None:
        """Something worth telling happened."""
        detail = {
            key: value if type(value) in (str, int, float, bool) else str(value) for key, value in event.detail.items()
        }
        self._post.mention("event", event.kind, event.mac, event.address, detail)

    def forget_said(self) -> None:
        """To be called now and then: what was said of installers may be said again."""
        self._sources.clear()

    # -- what the server writes ----------------------------------------------------------------------------------------------

    def answered(self, number: int, description: bytes, numbers: list[int], beside: Iterator[OpenFile]) -> None:
        """The answer to a question, with the files that came beside it."""
        try:
            answer = self._borrower.answer(description, numbers, beside)
        except LackingError as error:
            self._post.write("lacks", error.number)
            answer = Absent(Missing.UNAVAILABLE, "this worker has too many files open")
        told = self._asked.pop(number, None)
        if told is not None:  # else nobody waits for it any more
            told(answer)

    def arrived(self, number: int, available: int, over: bool, fault: str) -> None:
        """How far a content has come that is still arriving."""
        self._borrower.arrived(number, available, over, fault)

    def reconfigure(self, root: Path | None, era: int) -> None:
        """The server has another configuration: everything is asked for anew."""
        self._root = root
        self._borrower.begin(era)
        self._standing = Lately(_STANDING)

    def back(self, numbers: list[int]) -> None:
        """These files are not lent any more."""
        for number in numbers:
            self._borrower.give_back(number)
