"""Which HTTP replies boot clients accept: each one's rules, as their sources have them (GRUB, EDK2, PXELINUX, iPXE, busybox).

Replies are read from their bytes, as simply as the clients read them. A reply that a client would not take raises AssertionError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EFI_TYPES = ("application/efi", "application/octet-stream")


@dataclass(frozen=True)
class Answer:
    """A reply as it was on the wire."""

    line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])

    def field(self, name: str) -> str:
        """A field spelled exactly so; empty when absent."""
        return dict(self.fields).get(name, "")


def read(raw: bytes) -> Answer:
    """What every client relies on: CR LF, a status line of exactly one shape, one colon and one blank, no field twice."""
    head, mark, body = raw.partition(b"\r\n\r\n")
    assert mark
    assert b"\n" not in head.replace(b"\r\n", b"")
    line, *lines = head.decode("latin-1").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.1 [0-9]{3} [A-Za-z ]+", line), "GRUB compares the version, iPXE wants the blank"
    fields = []
    for text in lines:
        name, colon, value = text.partition(": ")
        assert colon, text
        assert value == value.strip()
        fields.append((name, value))
    assert len(fields) == len({name.lower() for name, _ in fields})
    return Answer(line, tuple(fields), body)


def sized(answer: Answer) -> int:
    """Content-Length, as GRUB, librepo and shim look for it, and not in the last field, which PXELINUX never reads."""
    assert "transfer-encoding" not in {name.lower() for name, _ in answer.fields}
    assert answer.fields[-1][0] not in ("Content-Length", "Location")
    return int(answer.field("Content-Length"))


def whole(answer: Answer) -> bytes:
    """The body of a 200; as long as promised."""
    assert (200, len(answer.body)) == (answer.status, sized(answer))
    return answer.body


def edk2(head: Answer, get: Answer) -> bytes:
    """HEAD for the size and the type, then GET on the same connection; no redirect, no 1.0, no compression."""
    assert (200, b"") == (head.status, head.body)
    assert sized(head) == sized(get)
    assert head.field("Content-Type") in EFI_TYPES
    assert "keep-alive" == head.field("Connection")
    return whole(get)


def pxelinux(get: Answer) -> bytes:
    """HTTP/1.0: 200 only, to the end of the connection."""
    assert "close" == get.field("Connection")
    return whole(get)


def ipxe(get: Answer) -> bytes:
    """Keeps the connection for the next file."""
    assert "keep-alive" == get.field("Connection")
    return whole(get)


def installer(get: Answer) -> bytes:
    """wget, busybox or curl: a 200. A text for one machine is for no cache."""
    return whole(get)
