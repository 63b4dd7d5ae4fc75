"""Byte ranges: every form, every refusal, and no way to have one request cost as much as many."""

from __future__ import annotations

import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.engine.http import Request, Response, respond
from pxenet.engine.http.ranges import MAX_RANGES, cut, parse_ranges, total
from pxenet.model import Content, Region

DATE = "Mon, 23 Nov 2026 02:00:00 GMT"

# Of 100 bytes. None: the field is ignored (200); []: nothing of it can be had (416).
RANGES = {
    "first to last": ("bytes=0-9", [(0, 10)]),
    "one byte": ("bytes=99-99", [(99, 1)]),
    "open": ("bytes=90-", [(90, 10)]),
    "whole": ("bytes=0-", [(0, 100)]),
    "suffix": ("bytes=-10", [(90, 10)]),
    "suffix longer than all": ("bytes=-1000", [(0, 100)]),
    "end beyond all": ("bytes=90-1000", [(90, 10)]),
    "unit in capitals": ("Bytes=0-0", [(0, 1)]),
    "several in any order": ("bytes=50-59,0-9, 90-", [(50, 10), (0, 10), (90, 10)]),
    "empty elements": ("bytes=,0-0,,\t1-1 ,", [(0, 1), (1, 1)]),
    "what cannot be had is left out": ("bytes=0-0,100-", [(0, 1)]),
    "leading zeros": ("bytes=000000000000000000000000000001-2", [(1, 2)]),
    "start at the end": ("bytes=100-", []),
    "start far beyond": (f"bytes={'9' * 4000}-", []),
    "end far beyond": (f"bytes=0-{'9' * 4000}", [(0, 100)]),
    "no bytes at the end": ("bytes=-0", []),
    "backwards": ("bytes=9-0", None),
    "one of them backwards": ("bytes=0-1,9-0", None),
    "no range": ("bytes=", None),
    "only commas": ("bytes=,,", None),
    "dash": ("bytes=-", None),
    "negative": ("bytes=--1", None),
    "words": ("bytes=a-b", None),
    "sign": ("bytes=+1-2", None),
    "other digits": ("bytes=\u0661-\u0662", None),
    "space inside": ("bytes=0 - 1", None),
    "other unit": ("lines=0-1", None),
    "no unit": ("0-1", None),
    "overlaps that cost more than the whole": ("bytes=0-,0-", None),
    "small overlap": ("bytes=0-9,5-14", [(0, 10), (5, 10)]),
}


@pytest.mark.parametrize(("field", "expected"), RANGES.values(), ids=RANGES.keys())
def test_ranges(field: str, expected: list[tuple[int, int]] | None) -> None:
    """RFC 9110 §14.1.2 and §14.2."""
    assert parse_ranges(field, 100) == expected


EMPTY = {"open": ("bytes=0-", []), "suffix": ("bytes=-5", None), "span": ("bytes=0-0", []), "none": ("bytes=-0", [])}


@pytest.mark.parametrize(("field", "expected"), EMPTY.values(), ids=EMPTY.keys())
def test_ranges_of_nothing(field: str, expected: list[tuple[int, int]] | None) -> None:
    """An empty file has no byte that a Content-Range could name."""
    assert parse_ranges(field, 0) == expected


def test_the_number_of_ranges_is_limited() -> None:
    """librepo's 256 are served as asked; a flood is answered by the whole file."""
    asked = ",".join(f"{n * 2}-{n * 2}" for n in range(256))
    assert len(parse_ranges(f"bytes={asked}", 10_000) or ()) == 256
    flood = ",".join(f"{n * 2}-{n * 2}" for n in range(MAX_RANGES + 1))
    assert parse_ranges(f"bytes={flood}", 10_000) is None


@given(
    st.integers(0, 50),
    st.text("bytes=0123456789-, ", max_size=30).map(lambda text: "bytes=" + text) | st.text(max_size=30),
)
def test_ranges_lie_inside(size: int, field: str) -> None:
    """Nothing raises; every span is inside and not empty, and together they are at most the whole."""
    spans = parse_ranges(field, size)
    for first, length in spans or ():
        assert 0 <= first < first + length <= size
    assert sum(length for _, length in spans or ()) <= size or len(spans or ()) == 1


class FakeFile:
    """Stands for an open file."""

    fd = -1


FILE = FakeFile()


@given(st.lists(st.binary(max_size=5) | st.integers(0, 5), max_size=6), st.data())
def test_a_cut_is_a_slice(parts: list[bytes | int], data: st.DataObject) -> None:
    """Cutting segments gives the bytes that slicing their sum would; file regions stay regions."""
    file = bytes(range(200, 220))
    segments = [part if isinstance(part, bytes) else Region(FILE, 7, part) for part in parts]

    def flat(pieces: list[bytes | Region]) -> bytes:
        return b"".join(p if isinstance(p, bytes) else file[p.offset : p.offset + p.length] for p in pieces)

    whole = flat(segments)
    first = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - first))
    pieces = cut(segments, first, length)
    assert flat(pieces) == whole[first : first + length]
    assert total(pieces) == length


DATA = bytes(range(256)) * 4
CONTENT = Content("f", (DATA,), len(DATA), 784111777, '"tag"', "application/x-rpm")


def get(field: str, content: Content = CONTENT) -> Response:
    return respond(Request("GET", "/f", headers={"range": field}), content, date=DATE)


def test_a_single_range() -> None:
    """206 with Content-Range, in the spelling that GRUB and librepo compare."""
    response = get("bytes=10-19")
    assert (response.status, response.body, response.whole) == (206, [DATA[10:20]], False)
    assert b"\r\nContent-Length: 10\r\nContent-Range: bytes 10-19/1024\r\n" in response.head


def test_not_satisfiable() -> None:
    """416 names the size, so that a client that resumes a finished download can see that it is finished."""
    response = get("bytes=1024-")
    assert response.status == 416
    assert b"\r\nContent-Range: bytes */1024\r\n" in response.head


def test_many_ranges_as_mail_software_reads_them() -> None:
    """multipart/byteranges: an independent MIME parser finds each part with its range and its bytes, in the order asked."""
    asked = [(500, 20), (0, 10), (1000, 24)]
    response = get("bytes=" + ",".join(f"{first}-{first + length - 1}" for first, length in asked))
    assert response.status == 206
    head = response.head.split(b"\r\n", 1)[1]
    body = b"".join(piece for piece in response.body if isinstance(piece, bytes))
    assert f"Content-Length: {len(body)}\r\n".encode() in head
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/byteranges"
    boundary = re.escape(str(message.get_boundary()).encode())
    parts = re.findall(
        rb"\r\n--%s\r\nContent-Type: application/x-rpm\r\nContent-Range: bytes (\d+)-(\d+)/1024\r\n\r\n(.*?)(?=\r\n--%s)"
        % (boundary, boundary),
        body,
        re.DOTALL,
    )
    expected = [(b"%d" % first, b"%d" % (first + length - 1), DATA[first : first + length]) for first, length in asked]
    assert parts == expected
    assert len(list(message.iter_parts())) == 3
    assert body.endswith(b"\r\n--%s--\r\n" % str(message.get_boundary()).encode())


def test_one_of_many_remains() -> None:
    """When only one range can be had there is nothing to multiply."""
    response = get("bytes=5-5,2000-")
    assert (response.status, response.body) == (206, [DATA[5:6]])
    assert b"Content-Type: application/x-rpm\r\n" in response.head
