"""HTTP in captures: requests and responses of connections whose segments are lost, late, doubled, cut or not recorded."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from talk import CLIENT, MAC, SERVER, SERVER_MAC, Talk

from pxenet.capture.boots import Gap, HttpRequest, Missing
from pxenet.capture.made import Conversation, End, Frame

GET = b"GET /ks.cfg HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: curl/8.0\r\n\r\n"
HEAD = b"HEAD /big HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"


def ok(size: int, *more: bytes) -> bytes:
    """A response's head."""
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Length: %d" % size, *more, b"", b""))


def exchange(talk: Talk, conversation: Conversation, asked: bytes, *said: bytes) -> list[Frame]:
    """A request and what comes back, in segments of these pieces."""
    found = list(conversation.heard(talk.now, asked))
    for piece in said:
        found += conversation.said(talk.now, piece)
    return found


def test_a_request_and_its_response() -> None:
    """Heads, sizes, contents and times."""
    talk = Talk()
    web = talk.http()
    talk.add(*web.opened(talk.now), *web.heard(talk.now, GET)).wait(0.5)
    talk.add(*web.said(talk.now, ok(5, b"Server: x") + b"he")).add(*web.said(talk.now, b"llo"), *web.closed(talk.now))
    found = talk.request()
    assert (found.method, found.target, found.status_code, found.complete) == ("GET", "/ks.cfg", 200, True)
    assert (found.header("user-agent"), found.response_header("SERVER")) == ("curl/8.0", "x")
    assert (found.size, found.sent_bytes, found.recorded_bytes, found.content) == (5, 5, 5, b"hello")
    assert (found.lasted_ns, found.response_ref and found.response_ref.number) == (502_000_000, 5)
    assert (found.gaps, found.retransmissions, found.upload) == ((), 0, None)


@pytest.mark.parametrize("seed", range(30))
def test_out_of_order_and_again(seed: int) -> None:
    """Segments of a response that come late or twice change nothing of what was said."""
    random_ = random.Random(seed)
    talk = Talk()
    web = talk.http()
    talk.add(*web.opened(talk.now))
    bodies = [bytes((65 + number,)) * (number * 1500) for number in range(6)]
    for body in bodies:
        whole = ok(len(body)) + body
        asked, *said = exchange(talk, web, GET, *(whole[at : at + 1000] for at in range(0, len(whole), 1000)))
        late = [frame for frame in said if random_.random() < 0.2] + said
        late.sort(key=lambda frame: said.index(frame) + random_.randrange(4))
        for frame in (asked, *late):
            talk.add(replace(frame, at_ns=talk.now))
    found = talk.boot().http
    assert [one.content for one in found] == bodies
    assert all(one.gaps == () and one.complete for one in found)


def test_not_recorded() -> None:
    """What the recorder left out of a body is counted as sent, and named; the next request is found behind it."""
    talk = Talk()
    web = talk.http()
    body = bytes(200_000)
    whole = ok(len(body)) + body
    frames = exchange(talk, web, GET, *(whole[at : at + 1000] for at in range(0, len(whole), 1000)))
    second = exchange(talk, web, HEAD, ok(7))
    talk.add(*frames[:20]).wait(2).add(*frames[-10:], *second)
    first, last = talk.boot().http
    assert (first.size, first.sent_bytes, first.complete, first.content) == (200_000, 200_000, True, None)
    ((kind, count),) = [(gap.kind, gap.count) for gap in first.gaps]
    assert (kind, first.recorded_bytes) == (Missing.NOT_RECORDED, 200_000 - count)
    assert (last.method, last.size, last.sent_bytes, last.complete) == ("HEAD", 7, 0, True)


def test_acknowledged_but_not_recorded() -> None:
    """A segment that the client acknowledges was there; one that comes again was late, and is no gap."""
    talk = Talk()
    web = talk.http()
    body = bytes(8000)
    whole = ok(len(body)) + body
    frames = exchange(talk, web, GET, *(whole[at : at + 1000] for at in range(0, len(whole), 1000)))
    talk.add(*frames[:3], *frames[4:]).add(*web.heard(talk.now, GET))
    first, _ = talk.boot().http
    assert first.gaps == (Gap(Missing.NOT_RECORDED, 2000 - len(ok(8000)), 1000, first.gaps[0].after),)
    assert first.complete


def test_chunks_and_closed_connections() -> None:
    """Bodies whose length is not told beforehand."""
    talk = Talk()
    web = talk.http()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
    pieces = [chunks[at : at + 3] for at in range(0, len(chunks), 3)]
    talk.add(
        *exchange(talk, web, GET, head, *pieces), *exchange(talk, web, GET, b"HTTP/1.0 200 OK\r\n\r\nto the", b" end")
    )
    first, second = talk.boot().http
    assert (first.size, first.content) == (None, b"hello world")
    assert (second.size, second.content, second.complete) == (None, b"to the end", True)


def test_uploads_interim_answers_and_statuses_without_body() -> None:
    """A POST with its body, 100 before the real answer, and 204 and 304 that have none."""
    talk = Talk()
    web = talk.http()
    post = b"POST /installed HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    talk.add(*exchange(talk, web, post, b"HTTP/1.1 100 Continue\r\n\r\n"))
    talk.add(*exchange(talk, web, b"body", b"HTTP/1.1 204 No Content\r\n\r\n"))
    talk.add(*exchange(talk, web, GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"))
    talk.add(*exchange(talk, web, GET, ok(2) + b"ok"))
    found = talk.boot().http
    assert [one.status_code for one in found] == [204, 304, 200]
    assert [one.upload for one in found] == [b"body", None, None]
    assert [one.complete for one in found] == [True] * 3
    assert found[2].content == b"ok"


def test_cut_by_a_snap_length() -> None:
    """Of each packet 150 bytes: heads as far as they go, sizes by what was on the wire."""
    talk = Talk()
    web = talk.http()
    big = ok(50_000, b"X: " + b"y" * 30)
    asked = b"GET /vmlinuz HTTP/1.1\r\nHost: a\r\nCookie: " + b"c" * 300 + b"\r\n\r\n"
    frames = exchange(talk, web, GET, big, *(bytes(1000) for _ in range(50)))
    frames += exchange(talk, web, asked, b"HTTP/1.1 404 Not Found\r\nServer: x\r\nX: " + b"z" * 300 + b"\r\n\r\n")
    talk.add(*(replace(frame, data=frame.data[:150], length=len(frame.data)) for frame in frames))
    first, second = talk.boot().http
    assert (first.size, first.sent_bytes, first.recorded_bytes < 10_000) == (50_000, 50_000, True)
    assert first.gaps == ()
    assert (second.request_line, second.header("host")) == ("GET /vmlinuz HTTP/1.1", "a")
    assert (second.status_code, second.response_header("server"), second.response_header("x")) == (404, "x", None)


def test_a_port_used_again() -> None:
    """Another connection from the same port is another one; its beginning may be missing."""
    for opened in (True, False):
        talk = Talk()
        for number in range(3):
            web = Conversation(End(CLIENT, 5000, MAC), End(SERVER, 80, SERVER_MAC))
            web._said = web._heard = number * 1_000_000_007
            talk.add(*(web.opened(talk.now) if opened else ()), *exchange(talk, web, GET, ok(3) + b"%03d" % number))
        assert [one.content for one in talk.boot().http] == [b"000", b"001", b"002"]


def test_not_http() -> None:
    """Other connections are no part of a boot."""
    talk = Talk()
    web = talk.http()
    talk.add(*web.opened(talk.now), *exchange(talk, web, b"SSH-2.0-x\r\n", b"SSH-2.0-y\r\n"), *web.closed(talk.now))
    capture = talk.capture()
    assert capture.boots == ()
    assert capture.counts.other == capture.counts.packets


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 70_000,
        b"\xff" * 100,
    ],
    ids=["negative", "huge", "huge chunk", "negative chunk", "no status", "endless head", "noise"],
)
def test_nonsense_in_answers(said: bytes) -> None:
    """Lengths that lie are no lengths; the next request is found."""
    talk = Talk()
    web = talk.http()
    talk.add(*exchange(talk, web, GET, said), *exchange(talk, web, GET, ok(2) + b"ok"))
    found = talk.boot().http
    assert [one.head for one in found] == [GET, GET]
    assert isinstance(found[0], HttpRequest)
    assert found[0].size is None
