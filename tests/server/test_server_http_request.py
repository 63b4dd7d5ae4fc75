"""Requests out of bytes: the same however they are cut, and nothing but a refusal for garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.server.http_request import BadRequestError, Head, SizeLimits, find_head_untrusted, parse_head_untrusted

LIMITS = SizeLimits()
HEAD = b"GET /a b\xe9?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a:  2 \r\nRange: bytes=0-1\r\n\r\n"


def parse(data: bytes) -> Head | None:
    """As the server does; None when more must arrive."""
    buffer = bytearray(data)
    end = find_head_untrusted(buffer, LIMITS)
    return parse_head_untrusted(bytes(buffer[:end]), LIMITS, 7) if end else None


def test_a_head() -> None:
    """Decoded path, query, lower-case names, repeated fields joined."""
    head = parse(HEAD)
    assert head is not None
    request = head.request
    assert (request.method, request.path, request.query, request.version) == ("GET", "/a b\udce9", "q", "1.1")
    assert request.headers == {"host": "h", "x-a": "1, 2", "range": "bytes=0-1"}
    assert (head.length, head.chunks, head.expects_continue, request.local) == (0, None, False, 7)


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n"])
def test_each_prefix_wants_more(before: bytes) -> None:
    """A head that arrives a byte at a time is found exactly when its last byte is here."""
    data = before + HEAD
    for length in range(len(data)):
        assert parse(data[:length]) is None, data[:length]
    assert parse(data) is not None
    assert parse(data + b"GET /next") is not None


@given(
    st.binary(max_size=200)
    | st.integers(0, len(HEAD) - 1).flatmap(
        lambda at: st.binary(min_size=1, max_size=3).map(lambda b: HEAD[:at] + b + HEAD[at + 1 :])
    )
)
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    """Nothing but BadRequestError escapes, whatever arrives; its status is one of the client's faults."""
    status = 400
    try:
        parse(data + b"\r\n\r\n")
    except BadRequestError as error:
        status = error.status
    assert status in (400, 405, 413, 414, 431, 505)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=20))
def test_chunks_are_garbage_proof(pieces: list[bytes]) -> None:
    """A chunked body ends, goes on or is refused; never more bytes than the limit come of it."""
    head = parse(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert head is not None
    assert head.chunks is not None
    status, body = 400, None
    try:
        for piece in pieces:
            body = head.chunks.feed(piece)
            if body is not None:
                break
    except BadRequestError as error:
        status = error.status
    assert status in (400, 413)
    assert len(body or b"") <= LIMITS.body_bytes
