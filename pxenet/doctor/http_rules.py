"""Rules about files that firmware reads by HTTP: the table ``RULES``. Facts: http.md §1 and §2, pxe.md §6; sources are named there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from pxenet.boot.images import unfit
from pxenet.doctor.findings import Level, Rule, Seen
from pxenet.doctor.machines import MACHINES
from pxenet.doctor.observed import HttpRead, HttpTry, Observed
from pxenet.sim import http
from pxenet.sim.edk2 import HTTP_TYPES

_SUFFIXES = (".efi", ".iso", ".img")
_SPELLED = ("Content-Length", "Transfer-Encoding", "Content-Range")
_UNLUCKY = ("content-length", "location")


def _check(words: str, wrong: Callable[[HttpRead], str | None]) -> Callable[[Observed], Iterator[Seen]]:
    """A check of every file; ``wrong`` says what goes into the words' braces, None: nothing is wrong."""

    def check(observed: Observed) -> Iterator[Seen]:
        for read in observed.http:
            what = wrong(read)
            if what is not None:
                yield Seen(words.format(what, url=read.url), tuple(_evidence(read)))

    return check


def _evidence(read: HttpRead) -> Iterator[str]:
    yield f"asked as {', '.join(read.by)} ({read.agent})"
    for one in (read.size, read.get):
        if one is not None:
            yield f"{one.method}: {one.failed or '; '.join(one.lines[:8])}"


def _edk2(read: HttpRead) -> bool:
    return read.agent == http.EDK2.name


def _served(read: HttpRead) -> bool:
    return read.get.status == 200


def _unreachable(read: HttpRead) -> str | None:
    return read.get.failed or None


def _status(observed: Observed) -> Iterator[Seen]:
    for read in observed.http:
        get = read.get
        if get.failed or _served(read):
            continue
        if 300 <= get.status < 400:
            if not _edk2(read):
                continue
            place = get.field("Location") or "see Location"
            right = f"name the place itself in option 67 ({place}), or serve the file where it is asked for"
            yield Seen(
                f"{read.url} leads elsewhere (status {get.status}), and EDK2 does not follow",
                tuple(_evidence(read)),
                right,
            )
        else:
            missing = get.status == 404
            words = (
                f"{read.url} is not there (status 404)"
                if missing
                else f"{read.url} is refused with status {get.status}"
            )
            yield Seen(words, tuple(_evidence(read)))


def _head_refused(read: HttpRead) -> str | None:
    size = read.size
    if size is None or not _served(read) or size.status == 200:
        return None
    return size.failed or f"status {size.status}"


def _head_without_length(read: HttpRead) -> str | None:
    size = read.size
    return "" if size is not None and size.status == 200 and size.length is None else None


def _head_with_body(read: HttpRead) -> str | None:
    size = read.size
    return str(len(size.body)) if size is not None and size.body else None


def _chunked(read: HttpRead) -> str | None:
    return "" if _edk2(read) and _served(read) and read.get.chunked else None


def _no_length(read: HttpRead) -> str | None:
    lacks = _served(read) and read.get.length is None and not read.get.chunked
    return "" if lacks and _edk2(read) else None


def _lengths(read: HttpRead) -> str | None:
    size, get = read.size, read.get
    if size is None or size.status != 200 or not _served(read) or size.length is None or get.length is None:
        return None
    return f"{size.length} to HEAD and {get.length} to GET" if size.length != get.length else None


def _short(read: HttpRead) -> str | None:
    get = read.get
    lacks = _served(read) and not get.chunked and get.length is not None and get.ended and len(get.body) < get.length
    return f"{len(get.body)} of {get.length}" if lacks else None


def _version(read: HttpRead) -> str | None:
    version = read.get.lines[0].partition(" ")[0]
    return version if read.get.status and version != "HTTP/1.1" else None


def _reason(read: HttpRead) -> str | None:
    line = read.get.lines[0]
    return repr(line) if read.get.status and not line.partition(" ")[2][3:].startswith(" ") else None


def _type(read: HttpRead) -> str | None:
    kind, path = read.get.field("Content-Type"), urlsplit(read.url).path.lower()
    unknown = kind.lower() not in HTTP_TYPES and not path.endswith(_SUFFIXES)
    return (kind or "none") if _edk2(read) and _served(read) and unknown else None


def _spelling(read: HttpRead) -> str | None:
    known = {name.lower(): name for name in _SPELLED}
    odd = [name for name, _ in read.get.fields if known.get(name.lower(), name) != name]
    return ", ".join(odd) if odd else None


def _line_ends(read: HttpRead) -> str | None:
    return "" if read.get.head and b"\r\n\r\n" not in read.get.head else None


def _last(read: HttpRead) -> str | None:
    fields = read.get.fields
    return fields[-1][0] if fields and fields[-1][0].lower() in _UNLUCKY else None


def _part(read: HttpRead) -> str | None:
    part = read.part
    if part is None or part.status == 206:
        return None
    return part.failed or f"status {part.status}"


def _image(observed: Observed) -> Iterator[Seen]:
    for read in observed.http:
        if not _served(read) or urlsplit(read.url).path.lower().endswith((".iso", ".img")):
            continue
        head = _content(read.get)
        told: dict[str, list[str]] = {}
        for name in read.by:
            if MACHINES[name].firmware == "edk2-http" and (why := unfit(_name(read.url), head, MACHINES[name].arch)):
                told.setdefault(why, []).append(name)
        for why, names in told.items():
            yield Seen(why, (f"{', '.join(names)} would start it; its first bytes are {head[:8].hex(' ')}",))


def _content(get: HttpTry) -> bytes:
    """The first bytes of the file: of chunks the first one's."""
    return get.body.partition(b"\n")[2] if get.chunked else get.body


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2] or url


def _plain(observed: Observed) -> Iterator[Seen]:
    schemes = {urlsplit(read.url).scheme for read in observed.http if _edk2(read)}
    if "http" in schemes:
        yield Seen(
            "the URL for HTTP boot is plain http, which many makers' firmware refuses unless its setup allows it "
            "(EDK2: PcdAllowHttpConnections)"
        )
    if "https" in schemes:
        yield Seen("the URL for HTTP boot is https: its certificate's authority has to be enrolled in each firmware")


RULES = (
    Rule(
        "http.unreachable", Level.ERROR, "start the web server, and let its port through the firewalls",
        _check("{url} cannot be read: {}", _unreachable),
    ),
    Rule("http.status", Level.ERROR, "put the file where it is asked for, readable for everybody", _status),
    Rule(
        "http.head-no-length", Level.ERROR, "send Content-Length to HEAD too: EDK2 takes the size from there",
        _check("{url}: the reply to HEAD has no Content-Length, and EDK2 gives up{}", _head_without_length),
    ),
    Rule(
        "http.head-with-body", Level.ERROR, "send no body to HEAD (RFC 9110 §9.3.2)",
        _check("{url}: {} bytes of body follow the reply to HEAD, and spoil the next one on that connection", _head_with_body),
    ),
    Rule(
        "http.chunked", Level.ERROR, "send the file as it is, with Content-Length: no compression or filter for boot files",
        _check("{url} comes in chunks without a Content-Length: shim refuses it, and EDK2 does not know the size{}", _chunked),
    ),
    Rule(
        "http.no-length", Level.ERROR, "send Content-Length",
        _check("{url} comes without Content-Length: EDK2 and shim refuse it{}", _no_length),
    ),
    Rule(
        "http.lengths", Level.ERROR, "answer both alike; is there a cache or a compressing proxy between?",
        _check("{url} has two sizes: {}", _lengths),
    ),
    Rule(
        "http.short", Level.ERROR, "see the web server's log, and whether the file is being written",
        _check("{url} ends early: {} bytes came", _short),
    ),
    Rule(
        "http.type", Level.ERROR,
        "serve it as application/efi (disk images: application/vnd.efi-iso, application/vnd.efi-img) without charset, or name it *.efi",
        _check("{url}: neither its type ({}) nor its name says what it is, and EDK2 refuses it", _type),
    ),
    Rule("http.image", Level.ERROR, "choose the file by the client's architecture (option 93)", _image),
    Rule(
        "http.head-refused", Level.WARNING, "answer HEAD like GET, without the body: not all firmware asks again by GET",
        _check("{url}: HEAD is refused ({})", _head_refused),
    ),
    Rule(
        "http.version", Level.WARNING, "answer with HTTP/1.1: GRUB refuses others, and EDK2 closes the connection after each file",
        _check("{url} is answered with {}", _version),
    ),
    Rule(
        "http.reason", Level.WARNING, "put a blank behind the status code, also before an empty reason: iPXE wants it",
        _check("{url} is answered with the status line {}", _reason),
    ),
    Rule(
        "http.line-ends", Level.WARNING, "end the lines of the head with CR LF: GRUB fails on bare LF",
        _check("{url}: the lines of the reply's head end with LF alone{}", _line_ends),
    ),
    Rule(
        "http.spelling", Level.WARNING, "spell Content-Length, Transfer-Encoding and Content-Range so: GRUB knows no other spelling",
        _check("{url}: GRUB does not know these headers as they are spelled: {}", _spelling),
    ),
    Rule(
        "http.range", Level.WARNING, "allow ranges (206): GRUB and iPXE read parts of files, and EDK2 resumes by them",
        _check("{url}: a part of it cannot be read ({})", _part),
    ),
    Rule(
        "http.last-header", Level.NOTE, "send it before others: PXELINUX does not look at the last line",
        _check("{url}: {} is the last header", _last),
    ),
    Rule("http.scheme", Level.NOTE, "", _plain),
)  # fmt: skip
"""In the order in which they are told within a level."""
