"""Files by HTTP, from servers that do one thing wrong each: it is seen in the bytes, and told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import trio
from doctor_scene import STATION, program

from pxenet.doctor import http
from pxenet.doctor.diagnose import diagnose
from pxenet.doctor.http_rules import RULES
from pxenet.doctor.observed import HttpRead, HttpTry, Observed
from pxenet.sim.http import EDK2, IPXE, Agent

FILE = program(size=3000)


@dataclass(frozen=True)
class Odd:
    """A reply, one part of which a case changes."""

    version: str = "HTTP/1.1"
    status: str = "200 OK"
    fields: dict[str, str] = field(
        default_factory=lambda: {"Content-Length": "3000", "Content-Type": "application/efi"}
    )
    more: dict[str, str | None] = field(default_factory=dict)
    body: bytes = FILE
    ending: str = "\r\n"
    closes: bool = False

    def reply(self, method: str) -> bytes:
        fields = {name: value for name, value in (self.fields | self.more | {"Server": "odd"}).items() if value}
        lines = [f"{self.version} {self.status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return self.ending.join(lines).encode() + (b"" if method == "HEAD" else self.body)


PART = Odd(
    status="206 Partial Content", fields={"Content-Range": "bytes 0-99/3000", "Content-Length": "100"}, body=FILE[:100]
)
WELL = Odd()
NO_LENGTH: dict[str, str | None] = {"Content-Length": None}
CHUNKS = b"bb8\r\n" + FILE + b"\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """What is answered to HEAD, GET and GET with a Range, and what is found."""

    expected: list[str]
    get: Odd = WELL
    head: Odd | None = None
    """The same as GET, where nothing is said."""
    part: Odd = PART
    name: str = "boot.efi"
    agent: Agent = EDK2
    by: str = "http"


MISSING = Odd(status="404 Not Found", more={"Content-Length": "2"}, body=b"no")
CASES = {
    "a good server": Case([]),
    "a good server that closes": Case([], Odd(more={"Connection": "close"}, closes=True)),
    "not there": Case(["error http.status"], MISSING),
    "forbidden": Case(["error http.status"], Odd(status="403 Forbidden", more={"Content-Length": "0"}, body=b"")),
    "elsewhere": Case(
        ["error http.status"], Odd(status="302 Found", more={"Location": "/b.efi", "Content-Length": "0"}, body=b"")
    ),
    "elsewhere, for iPXE": Case(
        [], Odd(status="302 Found", more={"Location": "/b", "Content-Length": "0"}, body=b""), agent=IPXE, by="ipxe"
    ),
    "HEAD is not allowed": Case(
        ["warning http.head-refused"], head=Odd(status="405 Method Not Allowed", more={"Content-Length": "0"})
    ),
    "HEAD without a length": Case(["error http.head-no-length"], head=Odd(more=NO_LENGTH)),
    "HEAD of another length": Case(["error http.lengths"], head=Odd(more={"Content-Length": "2999"})),
    "chunks": Case(
        ["error http.chunked"], Odd(more=NO_LENGTH | {"Transfer-Encoding": "chunked"}, body=CHUNKS), head=WELL
    ),
    "chunks, for iPXE": Case(
        [], Odd(more=NO_LENGTH | {"Transfer-Encoding": "chunked"}, body=CHUNKS), agent=IPXE, by="ipxe"
    ),
    "no length": Case(["error http.no-length"], Odd(more=NO_LENGTH, closes=True), head=WELL),
    "ends early": Case(["error http.short"], Odd(body=FILE[:2000], closes=True)),
    "a type with a charset and a name that tells nothing": Case(
        ["error http.type"], Odd(more={"Content-Type": "application/efi; charset=utf-8"}), name="boot"
    ),
    "a type that tells nothing, and a name": Case([], Odd(more={"Content-Type": "text/plain"})),
    "a program for another machine": Case(["error http.image"], Odd(body=program(0xAA64, 3000))),
    "a web page": Case(["error http.image"], Odd(body=b"<html>".ljust(3000))),
    "HTTP/1.0": Case(["warning http.version"], Odd(version="HTTP/1.0", closes=True)),
    "no reason": Case(["warning http.reason"], Odd(status="200")),
    "an empty reason": Case([], Odd(status="200 ")),
    "bare LF": Case(["warning http.line-ends"], Odd(ending="\n")),
    "small letters": Case(
        ["warning http.spelling"], Odd(fields={"content-length": "3000", "content-type": "application/efi"})
    ),
    "no ranges": Case(["warning http.range"], part=WELL),
}


async def served(case: Case) -> HttpRead:
    """Try the file of a server that answers as the case says."""

    async def answer(stream: trio.SocketStream) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = await stream.receive_some()
                if not more:
                    return
                data += more
            request, _, data = data.partition(b"\r\n\r\n")
            method = request.partition(b" ")[0].decode()
            reply = (
                case.part if b"\r\nRange: " in request else case.head if method == "HEAD" and case.head else case.get
            )
            await stream.send_all(reply.reply(method))
            if reply.closes:
                await stream.aclose()
                return

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        port = listener.socket.getsockname()[1]
        read = await http.examine(f"http://127.0.0.1:{port}/{case.name}", (case.by,), case.agent, 0)
        nursery.cancel_scope.cancel()
    return read


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_server(case: Case) -> None:
    """These findings and no others, beside the note about plain HTTP for UEFI."""
    found = diagnose(Observed(STATION, http=(await served(case),))).findings
    assert case.expected == [f"{one.level.value} {one.id}" for one in found if one.id != "http.scheme"]
    assert [] == [one for one in found if "{" in one.words or not one.words]


async def test_nobody_there() -> None:
    """A closed port is told as such."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    read = await http.examine(f"http://127.0.0.1:{port}/boot.efi", ("http",), EDK2, 0)
    found = diagnose(Observed(STATION, http=(read,))).findings[0]
    assert found.words == f"http://127.0.0.1:{port}/boot.efi cannot be read: the connection is refused"


@pytest.mark.parametrize(
    ("get", "expected"),
    [
        (HttpTry("GET", "this is no HTTP reply: b'220 ftp ready'", ended=True), "http.unreachable"),
        (HttpTry("GET", head=b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n", body=FILE), "http.last-header"),
    ],
)  # fmt: skip
def test_kept_bytes(get: HttpTry, expected: str) -> None:
    """What is no HTTP is told with its bytes; the last header counts, because PXELINUX skips it."""
    read = HttpRead("http://10.0.0.1/a.efi", ("http",), EDK2.name, get)
    assert expected in [one.id for one in diagnose(Observed(STATION, http=(read,))).findings]


def test_body_after_head() -> None:
    """A server that sends the file to HEAD spoils the connection for the GET that follows."""
    head = HttpTry("HEAD", head=b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\nServer: odd\r\n\r\n", body=FILE)
    get = HttpTry("GET", head=head.head, body=FILE)
    read = HttpRead("http://10.0.0.1/a.efi", ("http",), EDK2.name, get, head)
    assert ["http.head-with-body", "http.scheme"] == [
        one.id for one in diagnose(Observed(STATION, http=(read,))).findings
    ]


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 2\xb2\xb30 OK\n\n", b"HTTP/1.1 200\0\r\n:\r\n\r\n"]
)
def test_any_bytes_are_read(data: bytes) -> None:
    """Whatever a server sends as a head leads to a status or 0, and never to an exception."""
    one = HttpTry("GET", head=data)
    assert one.status in (0, 200)
    assert one.length is None
    read = HttpRead("http://10.0.0.1/a.efi", ("http",), EDK2.name, one, one, one)
    assert diagnose(Observed(STATION, http=(read,))).findings


def test_every_rule_is_seen() -> None:
    """Each rule has a case here."""
    here = {word.split()[1] for case in CASES.values() for word in case.expected}
    assert {rule.id for rule in RULES} - here == {
        "http.unreachable", "http.head-with-body", "http.last-header", "http.scheme",
    }  # fmt: skip
