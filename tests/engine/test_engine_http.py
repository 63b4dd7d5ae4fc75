"""HTTP replies as values: what each request gets, spelled as boot firmware needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.engine.http import Reply, Request, Response, message, parse_target, respond, wants_close
from pxenet.engine.http.conditions import parse_date, serialize_date
from pxenet.model import Absent, Content, Missing, Region

MODIFIED_AT = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example
DATE = "Mon, 23 Nov 2026 02:00:00 GMT"
LAST_MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE, AFTER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
DATA = b"0123456789" * 10


class FakeFile:
    """Stands for an open file; the engine never touches it."""

    fd = -1


FILE = FakeFile()
CONTENT = Content("f", (DATA,), 100, MODIFIED_AT, '"tag"', "application/efi")
EMPTY = Content("e", (), 0, MODIFIED_AT, '"tag"')


def ask(method: str = "GET", version: str = "1.1", content: Content = CONTENT, **headers: str) -> Response:
    """The reply to a request for CONTENT; ``if_match="x"`` is the field If-Match."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return respond(Request(method, "/f", headers=fields, version=version), content, date=DATE)


def fields(response: Response) -> dict[str, str]:
    """The head's fields, spelled as they are; every field may come once only."""
    _, *lines = response.head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def body(response: Response) -> bytes:
    return b"".join(piece for piece in response.body if isinstance(piece, bytes))


def test_a_file_byte_for_byte() -> None:
    """The whole head: this spelling and order is what GRUB, PXELINUX, iPXE and librepo read."""
    assert ask().head == (
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Mon, 23 Nov 2026 02:00:00 GMT\r\n"
        b"Server: pxenet\r\n"
        b"Content-Type: application/efi\r\n"
        b"Content-Length: 100\r\n"
        b"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b'ETag: "tag"\r\n'
        b"Accept-Ranges: bytes\r\n"
        b"Connection: keep-alive\r\n\r\n"
    )
    assert body(ask()) == DATA


def test_head_is_the_head_of_get() -> None:
    """The same fields, Content-Length above all (edk2 asks by HEAD for the size), and no body."""
    assert ask("HEAD").head == ask("GET").head
    assert (ask("HEAD").body, ask("HEAD").whole, ask("GET").whole) == ([], False, True)
    assert ask("HEAD", range="bytes=0-1").head == ask("GET").head


CONNECTION = {
    "1.1": ("1.1", {}, False),
    "1.1 close": ("1.1", {"connection": "close"}, True),
    "1.1 Close in a list": ("1.1", {"connection": "TE, Close"}, True),
    "1.1 keep-alive": ("1.1", {"connection": "Keep-Alive"}, False),
    "1.0": ("1.0", {}, True),
    "1.0 keep-alive": ("1.0", {"connection": "keep-alive"}, True),
}


@pytest.mark.parametrize(("version", "headers", "close"), CONNECTION.values(), ids=CONNECTION.keys())
def test_who_keeps_the_connection(version: str, headers: Mapping[str, str], close: bool) -> None:
    """HTTP/1.0 always ends; the reply says what happens, and its status line is of 1.1 (GRUB takes no other)."""
    request = Request("GET", "/f", headers=headers, version=version)
    response = respond(request, CONTENT, date=DATE)
    assert (wants_close(request), response.close) == (close, close)
    assert fields(response)["Connection"] == ("close" if close else "keep-alive")
    assert response.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert respond(request, CONTENT, date=DATE, close=True).close


ABSENT = {
    Missing.NOT_FOUND: 404,
    Missing.BAD_NAME: 404,
    Missing.DENIED: 403,
    Missing.DAMAGED: 404,
    Missing.TOO_LARGE: 404,
    Missing.UNAVAILABLE: 503,
    Missing.FAULT: 404,
    Missing.FULL: 503,
}


@pytest.mark.parametrize("missing", Missing)
def test_what_is_not_there(missing: Missing) -> None:
    """A short text with its length; the detail stays with the people who run the server."""
    response = respond(Request("GET", "/x"), Absent(missing, "inner secrets"), date=DATE)
    assert (response.status, body(response)) == (ABSENT[missing], f"{missing.value}\n".encode())
    assert fields(response)["Content-Length"] == str(len(body(response)))
    head = respond(Request("HEAD", "/x"), Absent(missing), date=DATE)
    assert (head.head, head.body) == (response.head, [])


def test_what_may_be_there_later() -> None:
    """iPXE and curl come back after the time that Retry-After names, and only where it is there."""
    for missing in Missing:
        response = respond(Request("GET", "/x"), Absent(missing), date=DATE)
        assert ("5" if response.status == 503 else None) == fields(response).get("Retry-After")
    busy = respond(Request("POST", "/installed/t"), Reply(503, "not written yet, ask again\n"), date=DATE)
    assert "5" == fields(busy)["Retry-After"]


def test_a_file_can_only_be_read() -> None:
    """Anything but GET and HEAD on a file is 405 with Allow."""
    response = ask("POST")
    assert (response.status, fields(response)["Allow"], response.whole) == (405, "GET, HEAD", False)


def test_a_reply_and_a_204() -> None:
    """A dynamic reply is never cached; 204 has neither body nor length."""
    response = respond(Request("POST", "/installed/t"), Reply(200, "thanks\n"), date=DATE)
    assert (response.status, body(response), fields(response)["Cache-Control"]) == (200, b"thanks\n", "no-store")
    nothing = message(204, "ignored", date=DATE, close=False)
    assert nothing.body == []
    assert "Content-Length" not in fields(nothing)


def test_private_content_is_not_cached() -> None:
    """An answer file is for one machine."""
    private = Content("ks", (b"rootpw",), 6, MODIFIED_AT, '"p"', "text/plain", private=True)
    for headers in ({}, {"range": "bytes=0-1"}, {"if_none_match": '"p"'}):
        assert fields(ask(content=private, **headers))["Cache-Control"] == "no-store"
    assert "Cache-Control" not in fields(ask())


CONDITIONS = {
    "If-Match same": ({"if_match": '"tag"'}, 200),
    "If-Match listed": ({"if_match": '"a", W/"x", "tag"'}, 200),
    "If-Match any": ({"if_match": "*"}, 200),
    "If-Match other": ({"if_match": '"other"'}, 412),
    "If-Match weak": ({"if_match": 'W/"tag"'}, 412),
    "If-Match unquoted": ({"if_match": "tag"}, 412),
    "If-Match empty": ({"if_match": ""}, 412),
    "If-Unmodified-Since same": ({"if_unmodified_since": LAST_MODIFIED}, 200),
    "If-Unmodified-Since before": ({"if_unmodified_since": BEFORE}, 412),
    "If-Unmodified-Since nonsense": ({"if_unmodified_since": "yesterday"}, 200),
    "If-Match beats If-Unmodified-Since": ({"if_match": '"tag"', "if_unmodified_since": BEFORE}, 200),
    "If-None-Match same": ({"if_none_match": '"tag"'}, 304),
    "If-None-Match weak": ({"if_none_match": 'W/"tag"'}, 304),
    "If-None-Match any": ({"if_none_match": "*"}, 304),
    "If-None-Match listed with holes": ({"if_none_match": ', "a",, "tag" ,'}, 304),
    "If-None-Match other": ({"if_none_match": '"other"'}, 200),
    "If-None-Match comma inside": ({"if_none_match": '"a,"tag""'}, 200),
    "If-None-Match malformed": ({"if_none_match": '"tag" x'}, 200),
    "If-Modified-Since same": ({"if_modified_since": LAST_MODIFIED}, 304),
    "If-Modified-Since after": ({"if_modified_since": AFTER}, 304),
    "If-Modified-Since before": ({"if_modified_since": BEFORE}, 200),
    "If-Modified-Since nonsense": ({"if_modified_since": "x"}, 200),
    "If-None-Match beats If-Modified-Since": ({"if_none_match": '"other"', "if_modified_since": AFTER}, 200),
    "If-Match fails first": ({"if_match": '"other"', "if_none_match": '"tag"'}, 412),
    "both hold": ({"if_match": '"tag"', "if_none_match": '"tag"'}, 304),
    "conditions come before ranges": ({"range": "bytes=0-1", "if_none_match": '"tag"'}, 304),
    "edk2 resumes": ({"range": "bytes=10-99", "if_match": '"tag"'}, 206),
    "edk2 resumes by time": ({"range": "bytes=10-99", "if_unmodified_since": LAST_MODIFIED}, 206),
    "edk2 resumes another file": ({"range": "bytes=10-99", "if_match": '"old"'}, 412),
    "If-Range tag": ({"range": "bytes=0-1", "if_range": '"tag"'}, 206),
    "If-Range other tag": ({"range": "bytes=0-1", "if_range": '"other"'}, 200),
    "If-Range weak tag": ({"range": "bytes=0-1", "if_range": 'W/"tag"'}, 200),
    "If-Range date": ({"range": "bytes=0-1", "if_range": LAST_MODIFIED}, 206),
    "If-Range later date": ({"range": "bytes=0-1", "if_range": AFTER}, 200),
    "If-Range nonsense": ({"range": "bytes=0-1", "if_range": "x"}, 200),
    "If-Range without Range": ({"if_range": '"other"'}, 200),
}


@pytest.mark.parametrize(("headers", "status"), CONDITIONS.values(), ids=CONDITIONS.keys())
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(method: str, headers: Mapping[str, str], status: int) -> None:
    """RFC 9110 §13.2.2 in its order; for HEAD a range means nothing."""
    response = ask(method, **headers)
    assert response.status == (200 if method == "HEAD" and status == 206 else status)
    assert response.whole == (method == "GET" and status == 200)
    if status == 304:
        assert response.body == []
        assert fields(response)["ETag"] == '"tag"'
        assert "Content-Length" not in fields(response)


def test_a_time_is_no_strong_validator_within_its_second() -> None:
    """A file that was written this very second may be written again in it (RFC 9110 §8.8.2.2)."""
    request = Request("GET", "/f", headers={"range": "bytes=0-1", "if-range": LAST_MODIFIED})
    assert respond(request, CONTENT, date=LAST_MODIFIED).status == 200
    assert respond(request, CONTENT, date=AFTER).status == 206


DATES = {
    "IMF-fixdate": LAST_MODIFIED,
    "RFC 850": "Sunday, 06-Nov-94 08:49:37 GMT",
    "asctime": "Sun Nov  6 08:49:37 1994",
}


@pytest.mark.parametrize("text", DATES.values(), ids=DATES.keys())
def test_dates_are_read_in_three_forms(text: str) -> None:
    """RFC 9110 §5.6.7; one is written."""
    assert parse_date(text) == MODIFIED_AT
    assert serialize_date(MODIFIED_AT) == LAST_MODIFIED


@given(st.integers(0, 253402300799))
def test_dates_round_trip(seconds: int) -> None:
    """Every second of four-digit years."""
    assert parse_date(serialize_date(seconds)) == seconds


@given(st.integers(-(10**30), 10**30), st.text(max_size=40))
def test_dates_never_fail(seconds: int, text: str) -> None:
    """Nonsense from a file system or a client is a date, or none."""
    assert len(serialize_date(seconds)) == len(DATE)
    parse_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Xxx 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        LAST_MODIFIED + "x",
    ],
)
def test_what_is_no_date(text: str) -> None:
    """It is ignored, so it must not become some other time."""
    assert parse_date(text) is None


TARGETS = {
    "plain": (b"/x64/grubx64.efi", ("/x64/grubx64.efi", "")),
    "query": (b"/boot.ipxe?mac=52:54:00:00:00:01&x=a/b?c", ("/boot.ipxe", "mac=52:54:00:00:00:01&x=a/b?c")),
    "absolute form": (b"http://10.0.0.1:8080/a?b", ("/a", "b")),
    "absolute form, host alone": (b"HTTP://10.0.0.1", ("/", "")),
    "absolute form, query at once": (b"http://h?q", ("/", "q")),
    "escapes": (b"/a%20b%2Fc", ("/a b/c", "")),
    "escaped question mark": (b"/a%3fb", ("/a?b", "")),
    "plus is a plus": (b"/gtk+3.0", ("/gtk+3.0", "")),
    "once only": (b"/%252e%252e/x", ("/%2e%2e/x", "")),
    "parent": (b"/%2e%2e/x", ("/../x", "")),
    "no escapes at all": (b"/100%/%zz/%1", ("/100%/%zz/%1", "")),
    "NUL": (b"/a%00b", ("/a\0b", "")),
    "UTF-8": (b"/caf%C3%A9", ("/café", "")),
    "not UTF-8": (b"/caf%E9", ("/caf\udce9", "")),
    "many slashes": (b"//a//b", ("//a//b", "")),
    "asterisk": (b"*", None),
    "authority": (b"host:80", None),
    "other scheme": (b"ftp://h/x", None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("target", "expected"), TARGETS.values(), ids=TARGETS.keys())
def test_targets(target: bytes, expected: tuple[str, str] | None) -> None:
    """Decoded exactly once, query apart, origin and absolute form alike."""
    assert parse_target(target) == expected


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "range",
            "if-range",
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "connection",
            "expect",
        ]
    ),
    st.one_of(
        st.text(st.characters(min_codepoint=9, max_codepoint=255), max_size=30),
        st.from_regex(re.compile(r'(bytes=)?[0-9,\- ]{0,20}|(W/)?"tag"(, ?)?', re.ASCII), fullmatch=True),
        st.sampled_from([LAST_MODIFIED, BEFORE, '"tag"', "*", "close"]),
    ),
)


@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from(["1.0", "1.1"]),
    HEADERS,
    st.sampled_from([CONTENT, EMPTY]),
)
def test_whatever_is_asked_the_reply_is_valid(
    method: str, version: str, headers: dict[str, str], content: Content
) -> None:
    """A well-formed head, a body of exactly the length that it names, pieces that lie inside the content."""
    response = respond(Request(method, "/f", headers=headers, version=version), content, date=DATE)
    assert re.fullmatch(
        rb"HTTP/1\.1 [2-4]\d\d [A-Z][A-Za-z ]+\r\n([A-Z][A-Za-z-]+: [\x20-\x7e]+\r\n)+Connection: (close|keep-alive)\r\n\r\n",
        response.head,
    )
    found = fields(response)
    if response.status != 304 and method != "HEAD":
        assert int(found["Content-Length"]) == len(body(response))
    if response.status == 200:
        assert int(found["Content-Length"]) == content.size
    if response.status == 206 and not found["Content-Type"].startswith("multipart"):
        match = re.fullmatch(rf"bytes (\d+)-(\d+)/{content.size}", found["Content-Range"])
        assert match is not None
        assert body(response) == DATA[int(match[1]) : int(match[2]) + 1] != b""
    if method == "HEAD":
        assert response.body == []


def test_regions_are_cut_not_read() -> None:
    """A range of a file is a smaller region of it; the engine never touches the file."""
    content = Content("f", (b"head", Region(FILE, 1000, 50), b"tail"), 58, MODIFIED_AT, '"r"')
    response = ask(content=content, range="bytes=2-55")
    assert response.body == [b"ad", Region(FILE, 1000, 50), b"ta"]
    assert ask(content=content, range="bytes=10-19").body == [Region(FILE, 1006, 10)]
